"""The gateway against a fake Home Assistant: resync, provenance, outages, refusals, costs."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent.errors import InklingError
from agent.ha import HomeAssistant
from agent.ha_listener import Connection, HomeInfo
from agent.ha_socket import (
    AuthError,
    HomeAssistantError,
    NoAnswerError,
    NotConnectedError,
    RefusedError,
    base_url,
)
from devices.events import Origin, StateChange, utc
from devices.provenance import HaContext, Provenance
from tests.agent.fake_ha import CLOUD_USER, OWN_USER, TOKEN, FakeHomeAssistant
from tests.broker import Certificates

FIXTURES = Path(__file__).with_name("fixtures")


class Ear:
    """A listener that keeps everything, with the origin that Provenance gives."""

    def __init__(self) -> None:
        self.provenance = Provenance()
        self.changes: list[StateChange] = []
        self.origins: list[tuple[str, str, Origin]] = []
        self.said: list[Any] = []

    def on_connected(self, info: HomeInfo) -> None:
        self.said.append("connected")

    def on_disconnected(self) -> None:
        self.said.append("disconnected")

    def on_change(self, change: StateChange, context: HaContext | None) -> None:
        origin, _ = self.provenance.classify(change, context=context, now=change.received_at)
        self.changes.append(change)
        if not change.retained:
            self.origins.append((change.entity_id, change.new, origin))

    def on_registry(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.said.append(("registry", len(rows)))

    def on_renamed(self, old: str, new: str) -> None:
        self.said.append(("renamed", old, new))

    def on_notification_action(self, data: Mapping[str, Any]) -> None:
        self.said.append(data["action"])


def gateway(url: str, ear: Ear, token: Callable[[], str] = lambda: TOKEN, **options: Any) -> HomeAssistant:
    made = HomeAssistant(
        url, token, listener=ear, provenance=ear.provenance, now=lambda: datetime.now(UTC),
        rng=random.Random(1), **options,
    )  # fmt: skip
    made.back_off_s = (0.02, 0.1)
    return made


async def until(reached: Callable[[], Any], timeout_s: float = 5) -> None:
    async with asyncio.timeout(timeout_s):
        while not reached():  # noqa: ASYNC110 - anything may be waited for
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(made: HomeAssistant) -> AsyncIterator[HomeAssistant]:
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        failed = task.exception() if task.done() else None
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert failed is None


@asynccontextmanager
async def connected(home: FakeHomeAssistant, ear: Ear) -> AsyncIterator[HomeAssistant]:
    async with home, running(gateway(home.url, ear)) as made:
        await until(lambda: made.connected)
        yield made


def home_with(**states: str) -> FakeHomeAssistant:
    home = FakeHomeAssistant()
    for entity, state in states.items():
        entity_id = entity.replace("__", ".")
        home.states[entity_id] = home.object(entity_id, state)
    return home


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


# -- connecting ---------------------------------------------------------------------------------------


def test_it_learns_the_home_at_connect() -> None:
    async def test() -> None:
        home, ear = home_with(light__hall="on", sensor__t="20"), Ear()
        home.registry = [{"entity_id": "light.hall", "unique_id": "1", "platform": "mqtt"}]
        async with connected(home, ear) as ha:
            assert ear.said == ["connected", ("registry", 1)]
            assert [(c.entity_id, c.new, c.retained) for c in ear.changes] == [
                ("light.hall", "on", True),
                ("sensor.t", "20", True),
            ]
            info = HomeInfo("2026.11.0", "Europe/Berlin", 52.5, 13.4, OWN_USER, admin=True)
            assert ha.info == info
            assert ear.provenance.own_user == OWN_USER
            assert ear.provenance.non_persons == {CLOUD_USER}
            assert ha.knows("light.hall")
            assert not ha.knows("light.cellar")

    run(test())


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("http://ha:8123", "http://ha:8123"),
        ("http://ha:8123/", "http://ha:8123"),
        ("  https://ha.example/api ", "https://ha.example"),
        ("https://example.org/ha/", "https://example.org/ha"),
        ("ws://ha:8123/api/websocket", "http://ha:8123"),
        ("wss://ha/api/websocket/", "https://ha"),
        ("192.168.1.5:8123", "http://192.168.1.5:8123"),
        ("http://[::1]:8123", "http://[::1]:8123"),
    ],
)
def test_addresses_as_people_write_them(written: str, read: str) -> None:
    assert base_url(written) == read


@pytest.mark.parametrize("wrong", ["", "ftp://ha", "http://", "mqtt://ha:1883"])
def test_what_is_no_address_is_said_so(wrong: str) -> None:
    with pytest.raises(HomeAssistantError, match="not an address"):
        base_url(wrong)


def test_tls_with_an_authority_of_our_own(certificates: Certificates) -> None:
    async def test() -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificates.server, certificates.server_key)
        async with FakeHomeAssistant(tls) as home:
            for options in ({"ca_file": certificates.ca}, {"verify_tls": False}):
                async with running(gateway(home.url, Ear(), **options)) as ha:
                    await until(lambda ha=ha: ha.connected)
            async with gateway(home.url, Ear(), ca_file=certificates.ca).rest() as rest:
                assert await rest.request("history/period/x", params={"filter_entity_id": "a.b"}) == []
            async with running(gateway(home.url, Ear())) as ha:
                await until(lambda: ha.error is not None)
                assert "ca_file" in str(ha.error)

    run(test())


# -- events and provenance ----------------------------------------------------------------------------


def test_our_call_is_ours_though_its_answer_comes_after_the_event() -> None:
    async def test() -> None:
        home, ear = home_with(light__hall="off"), Ear()
        home.answer_late_s = 0.1
        async with connected(home, ear) as ha:
            context_id = await ha.call_service("light", "turn_on", {"entity_id": "light.hall"})
            await home.change("light.hall", "off", (context_id, None, OWN_USER))
            await until(lambda: len(ear.origins) == 2)
        assert ear.origins == [("light.hall", "on", Origin.AGENT), ("light.hall", "off", Origin.PHYSICAL)]

    run(test())


def test_without_administrator_rights_it_makes_do() -> None:
    async def test() -> None:
        home, ear = home_with(light__hall="off"), Ear()
        home.admin = False
        with capture_logs() as logs:
            async with connected(home, ear) as ha:
                await ha.call_service("light", "turn_on", {"entity_id": "light.hall"})
                await home.change("light.hall", "off", ("auto", "parent", None))
                await until(lambda: len(ear.origins) == 2)
        assert [origin for *_, origin in ear.origins] == [Origin.AGENT, Origin.AUTOMATION]
        (warning,) = [entry for entry in logs if entry["log_level"] == "warning"]
        assert "administrator" in warning["hint"]

    run(test())


def test_events_become_facts() -> None:
    async def test() -> None:
        home, ear = home_with(light__hall="off"), Ear()
        async with connected(home, ear):
            click, ran = ("a", None, "user-anna"), ("b", "a", None)
            await home.fire("automation_triggered", {"entity_id": "automation.dusk", "name": "Dusk"}, ran)
            fields = {"domain": "light", "service": "turn_on", "service_data": {"entity_id": "light.hall"}}
            await home.fire("call_service", fields, ran)
            await home.change("light.hall", "on", ran)
            await home.fire("call_service", {**fields, "service": "turn_off"}, click)
            await home.change("light.hall", "off", click)
            await home.change("light.hall", "on", ("c", None, None))
            await home.fire("mobile_app_notification_action", {"action": "INKLING_ACCEPT_1"})
            await until(lambda: "INKLING_ACCEPT_1" in ear.said)
        assert [o for *_, o in ear.origins] == [Origin.AUTOMATION, Origin.PERSON, Origin.PHYSICAL]
        assert ear.provenance.evidence("b") == "automation.dusk, run by a person"

    run(test())


def test_odd_events_are_survived() -> None:
    async def test() -> None:
        home, ear = home_with(light__hall="off"), Ear()
        async with connected(home, ear) as ha:
            for data in ({}, [], {"entity_id": 7, "new_state": {}}, {"new_state": 5}, {"service_data": 3}):
                for kind in ("state_changed", "call_service", "entity_registry_updated"):
                    await home.replay({"event_type": kind, "data": data, "context": {"id": "x"}})
                    await home.replay({"event_type": kind, "data": data})
            await home.change("light.hall", "on")
            await until(lambda: ear.origins)
            assert ha.connected
            assert ha.reader.bad["state_changed"] > 0

    run(test())


def test_a_rename_and_a_removal() -> None:
    async def test() -> None:
        home, ear = home_with(light__hall="on"), Ear()
        async with connected(home, ear) as ha:
            update = {
                "action": "update",
                "entity_id": "light.den",
                "old_entity_id": "light.hall",
                "changes": {},
            }
            await home.fire("entity_registry_updated", update)
            await home.change("light.hall", None)
            await home.change("light.den", "on")
            await until(lambda: ear.said.count(("registry", 0)) == 2)
            assert ("renamed", "light.hall", "light.den") in ear.said
            assert [(c.entity_id, c.new) for c in ear.changes[1:]] == [
                ("light.hall", "unavailable"),
                ("light.den", "on"),
            ]
            assert not ha.knows("light.hall")
            assert ha.knows("light.den")

    run(test())


@pytest.mark.parametrize("release", ["2024.3", "2026.11"])
def test_recorded_events_of_real_releases(release: str) -> None:
    """Recorded at the real ones: a click, a hand, an automation, a command with a hand 2 s after it."""
    recorded = json.loads((FIXTURES / f"home_assistant_{release}.json").read_text())

    async def test() -> None:
        home, ear = FakeHomeAssistant(), Ear()
        async with connected(home, ear):
            for event in recorded["events"]:
                await home.replay(event)
            await until(lambda: len(ear.origins) == len(recorded["origins"]))
        heard = [[entity_id, state, origin.value] for entity_id, state, origin in ear.origins]
        assert heard == recorded["origins"]

    run(test())


# -- asking -------------------------------------------------------------------------------------------


def test_call_until_waits_for_the_state() -> None:
    async def test() -> None:
        home, ear = home_with(light__hall="off", cover__gate="closed"), Ear()
        async with connected(home, ear) as ha:
            call = ("light", "turn_on", {"entity_id": "light.hall"})
            assert await ha.call_until(call, "light.hall", "on")
            assert await ha.call_until(call, "light.hall", "on"), "it is so already"
            gate = ("cover", "open_cover", {"entity_id": "cover.gate"})
            assert not await ha.call_until(gate, "cover.gate", "open", within_s=0.05)
            asyncio.get_running_loop().call_later(
                0.05, lambda: asyncio.ensure_future(home.change("cover.gate", "open"))
            )
            assert await ha.call_until(gate, "cover.gate", "open", within_s=5)
            assert not ha._awaited

    run(test())


def test_refusals_and_silence_are_told_apart() -> None:
    async def test() -> None:
        home, ear = home_with(light__hall="off"), Ear()
        home.refuse = {"call_service": "not_found", "some/command": "unauthorized"}
        async with connected(home, ear) as ha:
            with pytest.raises(RefusedError, match="no call_service"):
                await ha.call_service("light", "turn_on", {"entity_id": "light.hall"})
            await home.change("light.hall", "on")
            await until(lambda: ear.origins)
            assert ear.origins == [("light.hall", "on", Origin.PHYSICAL)], "nothing came of the refused call"
            with pytest.raises(RefusedError) as refused:
                await ha.request("some/command")
            assert refused.value.hint == "give Inkling a token of an administrator"
            home.mute = True
            with pytest.raises(NoAnswerError):
                await ha.request("get_config", timeout_s=0.05)
        with pytest.raises(NotConnectedError):
            await ha.request("get_config")

    run(test())


def test_automation_parts_are_validated_in_the_words_of_each_release() -> None:
    async def test() -> None:
        home, ear = FakeHomeAssistant(), Ear()
        async with connected(home, ear) as ha:
            good = {"valid": True, "error": None}
            parts = {"triggers": [], "actions": []}
            assert await ha.validate_config(**parts) == {"triggers": good, "actions": good}
            home.refuse = {"validate_config": "invalid_format"}
            with pytest.raises(RefusedError):
                await ha.validate_config(**parts)
            assert set(home.received[-1]) == {"id", "type", "trigger", "action"}, "the older words"

    run(test())


def test_history_day_by_day() -> None:
    async def test() -> None:
        def row(entity_id: str, state: str, when: str) -> dict[str, Any]:
            times = {"last_changed": when, "last_updated": when}
            return {"entity_id": entity_id, "state": state, "attributes": {}, **times}

        home = FakeHomeAssistant()
        home.history = [
            [
                row("light.x0", "on", "2026-03-01T10:00:00+00:00"),
                {"state": "off", "last_changed": "2026-03-01T12:00:00+00:00"},
            ],
            [row("light.x70", "on", "2026-03-01T11:00:00+00:00")],
        ]  # fmt: skip
        start, seen = utc("2026-03-01T00:00:00+00:00"), []
        async with home, gateway(home.url, Ear()).rest() as rest:
            days = rest.history(
                [f"light.x{n}" for n in range(80)], start, start + timedelta(hours=30),
                on_progress=lambda done, all_: seen.append((done, all_)),
            )  # fmt: skip
            changes = [[(c.entity_id, c.new) for c in day] async for day in days]
            assert changes[0] == [("light.x0", "on"), ("light.x70", "on"), ("light.x0", "off")]
            assert len(changes) == 2
            assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
            with pytest.raises(HomeAssistantError):
                await rest.request("nothing/there")
            home.tokens.clear()
            with pytest.raises(AuthError):
                await rest.request("config")

    run(test())


# -- outages ------------------------------------------------------------------------------------------


def test_an_outage_is_logged_once_and_the_home_read_again() -> None:
    async def test() -> None:
        home, ear = home_with(light__hall="off", light__old="on"), Ear()
        with capture_logs() as logs:
            async with home, running(gateway(home.url, ear)) as ha:
                await until(lambda: ha.connected)
                await home.stop()
                await until(lambda: ha.state is Connection.UNREACHABLE)
                await asyncio.sleep(0.3)  # several attempts
                del home.states["light.old"]
                home.states["light.hall"] = home.object("light.hall", "on")
                await home.start()
                await until(lambda: ha.connected)
                await home.change("light.hall", "off")
                await until(lambda: ear.origins)
        assert ear.said == ["connected", ("registry", 0), "disconnected", "connected", ("registry", 0)]
        assert [(c.entity_id, c.new, c.retained) for c in ear.changes[2:]] == [
            ("light.hall", "on", True),
            ("light.old", "unavailable", True),
            ("light.hall", "off", False),
        ]
        assert [(e["log_level"], e["event"]) for e in logs] == [
            ("info", "connected to Home Assistant"),
            ("warning", "no connection to Home Assistant; trying again"),
            ("info", "connected to Home Assistant again"),
        ]

    run(test())


def test_not_there_at_start() -> None:
    async def test() -> None:
        home, ear = FakeHomeAssistant(), Ear()
        async with home:
            url = home.url
            await home.stop()
            async with running(gateway(url, ear)) as ha:
                await until(lambda: ha.state is Connection.UNREACHABLE)
                assert ha.error is not None
                assert ha.error.hint == "is the address right, and is it running?"
                await home.start()
                await until(lambda: ha.connected)
                assert ha.error is None
        assert "disconnected" not in ear.said

    run(test())


def test_dropped_connections_come_back() -> None:
    async def test() -> None:
        home, ear = home_with(light__hall="off"), Ear()
        async with connected(home, ear) as ha:
            for n in range(1, 4):
                await home.drop()
                await until(lambda n=n: ear.said.count("connected") == n + 1)
            assert ha.connected
            assert home.logins == 8, "two connections a session"

    run(test())


def test_a_wrong_token_says_what_to_do_and_a_new_one_is_taken() -> None:
    async def test() -> None:
        home, ear, token = FakeHomeAssistant(), Ear(), ["wrong"]
        with capture_logs() as logs:
            async with home:
                ha = gateway(home.url, ear, lambda: token[0])
                assert ha.auth_retry_s == 300
                ha.auth_retry_s = 0.05
                async with running(ha):
                    await until(lambda: home.logins >= 3)
                    assert ha.state is Connection.REFUSED
                    assert isinstance(ha.error, AuthError)
                    assert "long-lived token" in str(ha.error)
                    token[0] = TOKEN
                    await until(lambda: ha.connected)
        assert [e["log_level"] for e in logs] == ["error", "info"]

    run(test())


def test_a_token_revoked_while_connected() -> None:
    async def test() -> None:
        home, ear = FakeHomeAssistant(), Ear()
        async with connected(home, ear) as ha:
            reasons: list[InklingError | None] = []
            ear.on_disconnected = lambda: (reasons.append(ha.error), ear.said.append("disconnected"))  # type: ignore[method-assign,assign,func-returns-value]
            home.tokens.clear()
            await home.drop()
            await until(lambda: ha.state is Connection.REFUSED)
            assert ear.said[-1] == "disconnected"
            assert len(reasons) == 1, "whoever hears of the loss can ask why"
            assert isinstance(reasons[0], InklingError)
            attempts = home.logins
            await asyncio.sleep(0.3)
            assert home.logins == attempts, "no hammering: Home Assistant would ban our address"

    run(test())


def test_a_banned_address_and_a_missing_token_file() -> None:
    async def test() -> None:
        home = FakeHomeAssistant()
        home.forbid = True

        def missing() -> str:
            raise FileNotFoundError("token.txt")

        async with home:
            async with running(gateway(home.url, Ear())) as ha:
                await until(lambda: ha.state is Connection.REFUSED)
                assert "ip_bans.yaml" in str(ha.error)
            async with running(gateway(home.url, Ear(), missing)) as ha:
                await until(lambda: ha.state is Connection.REFUSED)
                assert "token.txt" in str(ha.error)

    run(test())


def test_a_server_that_is_silent_is_left() -> None:
    async def test() -> None:
        home, ear = FakeHomeAssistant(), Ear()
        async with home:
            ha = gateway(home.url, ear)
            ha.ping_s = 0.5
            async with running(ha):
                await until(lambda: sum(c["type"] == "ping" for c in home.received) >= 4)
                assert ha.connected
                home.mute = True
                await until(lambda: "disconnected" in ear.said, timeout_s=20)
                assert isinstance(ha.error, NoAnswerError)

    run(test())


def test_a_server_that_is_busy_is_not_left() -> None:
    """A pong that waits behind events is no sign of death, as long as events come."""

    async def test() -> None:
        home, ear = home_with(light__hall="off"), Ear()
        async with home:
            ha = gateway(home.url, ear)
            ha.ping_s = 0.1
            async with running(ha):
                await until(lambda: ha.connected)
                home.late_pong = True
                for n in range(60):
                    await home.change("light.hall", "on" if n % 2 else "off")
                    await asyncio.sleep(0.01)
                    assert ha.connected

    run(test())


def test_a_burst_leaves_others_their_turn() -> None:
    """A compressed packet may hold thousands of events."""

    async def test() -> None:
        home, ear = home_with(light__hall="off"), Ear()
        async with connected(home, ear):
            turns = 0

            async def other() -> None:
                nonlocal turns
                while len(ear.origins) < 3000:
                    turns += 1
                    await asyncio.sleep(0)

            task = asyncio.create_task(other())
            for n in range(3000):
                await home.change("light.hall", "on" if n % 2 else "off")
            await asyncio.wait_for(task, 30)
            assert turns > 50

    run(test())


def test_something_else_at_the_address() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        await writer.drain()
        writer.close()

    async def test() -> None:
        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with running(gateway(f"http://127.0.0.1:{port}", Ear())) as ha:
                await until(lambda: ha.error is not None)
                assert ha.state is Connection.UNREACHABLE
            async with running(gateway(f"https://127.0.0.1:{port}", Ear())) as ha:
                await until(lambda: ha.error is not None)
                assert isinstance(ha.error, InklingError)

    run(test())


# -- cost ---------------------------------------------------------------------------------------------


def test_memory_does_not_grow_with_events_and_commands() -> None:
    """The library keeps every event; 1,000 of them would be some 2 MB."""

    async def test() -> None:
        home, ear = home_with(light__hall="off"), Ear()
        async with connected(home, ear) as ha:
            seen = [0]
            ha._listener.on_change = lambda *_: seen.__setitem__(0, seen[0] + 1)  # type: ignore[method-assign]

            async def burst(n: int) -> None:
                seen[0] = 0
                for k in range(n):
                    await home.change("light.hall", "on" if k % 2 else "off")
                await ha.request("get_config")
                await until(lambda: seen[0] == n, 60)

            await burst(500)
            tracemalloc.start()
            await burst(200)
            before = tracemalloc.get_traced_memory()[0]
            await burst(1000)
            grown = tracemalloc.get_traced_memory()[0] - before
            tracemalloc.stop()
            assert grown < 200_000, grown

    run(test())


def test_an_event_is_cheap() -> None:
    """Decoding and dispatch alone, without the socket: about 15 µs on a desktop; 20 times that allowed."""
    home, ear = FakeHomeAssistant(), Ear()
    ha = gateway("http://127.0.0.1:1", ear)
    states = [home.object("light.hall", state, (state, None, None)) for state in ("on", "off")]
    data = [{"entity_id": "light.hall", "old_state": states[n], "new_state": states[1 - n]} for n in (0, 1)]
    events = [{"event_type": "state_changed", "data": data[n % 2]} for n in range(2000)]
    start = time.perf_counter()
    for event in events:
        ha._on_event(event)
    assert (time.perf_counter() - start) / len(events) < 300e-6
    assert len(ear.origins) == 2000
