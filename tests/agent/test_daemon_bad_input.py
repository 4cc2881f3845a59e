"""Whatever comes, the daemon lives, counts and says so once, or stops and says what to do.

How each decoder takes garbage is tested in tests/devices/test_decoders.py, how the store fails in
test_store_failures.py, how Home Assistant's gateway gets back in test_ha.py: here it is what the daemon does.
"""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs
from structlog.typing import EventDict
from typer.testing import CliRunner

from agent.checks import Health, checks
from agent.cli import app
from agent.clock import Clock
from agent.mqtt import RECEIVE_MAXIMUM
from agent.pipeline import Alive
from agent.settings import Settings
from agent.store import Store
from tests.agent.fake_ha import TOKEN, FakeHomeAssistant
from tests.agent.living import Living, living, settings_for
from tests.broker import Broker, BrokerOptions, Certificates, Mosquitto
from tests.conftest import MakeBroker
from tests.process import wait_for

LAMP, LAMP_TOPIC = "light.lamp", "zigbee2mqtt/lamp"
INVENTORY = [
    {
        "ieee_address": "0x1", "friendly_name": "lamp", "type": "Router",
        "definition": {"exposes": [{"type": "light", "features": [
            {"type": "binary", "name": "state", "property": "state", "access": 7,
             "value_on": "ON", "value_off": "OFF"},
        ]}]},
    },
]  # fmt: skip


@pytest.fixture
def broker(broker: Broker) -> Broker:
    """Return a broker on which Zigbee2MQTT has announced one lamp."""
    broker.publish("zigbee2mqtt/bridge/devices", json.dumps(INVENTORY), retain=True)
    return broker


def switch(broker: Broker, state: str, **more: Any) -> None:
    broker.publish(LAMP_TOPIC, json.dumps({"state": state, **more}))


def said(logs: list[EventDict], event: str) -> list[EventDict]:
    return [entry for entry in logs if entry["event"] == event]


def states(home: Living, entity_id: str = LAMP) -> list[str]:
    return [c.new for c in home.store.events(entities=[entity_id])]


# -- what comes over MQTT -----------------------------------------------------------------------------


def bad_then_good(broker: Broker, folder: Path, payloads: list[str | bytes]) -> list[EventDict]:
    """Send bad payloads twice each on their own topics; return what the daemon said, still alive."""
    with capture_logs() as logs, living(settings_for(broker, folder)) as home:
        switch(broker, "OFF")
        for payload in [*payloads, *payloads]:
            broker.publish(LAMP_TOPIC, payload)
        switch(broker, "ON")
        home.wait_state(LAMP, "on")
        assert states(home) == ["off", "on"]
        home.call(home.daemon.bad_payloads.report)
        home.call(home.daemon.bad_payloads.report)
        assert home.daemon.intake.router.bad() == {LAMP_TOPIC: 2 * len(payloads)}
    status = CliRunner().invoke(app, ["status", "--json"], env=env(folder))
    assert json.loads(status.stdout)["bad_payloads"]["worst"] == {LAMP_TOPIC: 2 * len(payloads)}
    told = said(logs, "unreadable payload")
    assert [(entry["topic"], entry["log_level"]) for entry in told] == [(LAMP_TOPIC, "warning")]
    assert "dropped" in told[0]["hint"]
    return told


def env(folder: Path) -> dict[str, str]:
    return {"INKLING_STORE__URL": f"sqlite:///{folder}/inkling.db", "COLUMNS": "200"}


def test_malformed_json(broker: Broker, tmp_path: Path) -> None:
    (told,) = bad_then_good(broker, tmp_path, ["{", "nonsense", b"\xff\xfe\x00", '{"state": "ON"'])
    assert told["why"].startswith("JSONDecodeError")


def test_payloads_of_a_megabyte(broker: Broker, tmp_path: Path) -> None:
    (told,) = bad_then_good(broker, tmp_path, [json.dumps({"state": "x" * 1_000_000})])
    assert told["why"] == "BadPayloadError: 1000013 bytes"  # {"state": "…"} is 13 characters around it


def test_wrong_types(broker: Broker, tmp_path: Path) -> None:
    bad_then_good(broker, tmp_path, ["[]", "17", "null", '"ON"'])


def test_unknown_entities(broker: Broker, tmp_path: Path) -> None:
    with capture_logs() as logs, living(settings_for(broker, tmp_path)) as home:
        for topic in ("inkling/suggestion/ffffffffffff/set", "inkling/top/set"):
            broker.publish(topic, "accept")  # of no suggestion
        broker.publish("inkling/learning/set", "perhaps")
        broker.publish("inkling/learning/set", "perhaps")
        broker.publish("zigbee2mqtt/never_listed", '{"state": "ON"}')
        broker.publish("statestream/light/x/state/and/more", "on")
        switch(broker, "ON")
        home.wait_state(LAMP, "on")
        assert list(home.pipeline.home) == [LAMP]
        assert [f["verdict"] for f in home.store.journal("feedback")] == ["accept"]
    (told,) = said(logs, "not understood")
    assert (told["topic"], told["why"]) == ("inkling/learning/set", "learning takes on, off")


def test_a_flood_of_retained_states(broker: Broker, tmp_path: Path) -> None:
    def flood(state: str) -> None:
        with broker.client() as other:
            for n in range(1100):
                other.paho.publish(f"statestream/light/l{n}/state", state, 1, retain=True)
            other.publish("statestream/light/last/state", state, retain=True)

    flood("off")
    with living(settings_for(broker, tmp_path)) as home:
        home.wait_state("light.last", "off")
        assert len(home.pipeline.home) == 1101
    flood("idle")  # these also wait in the session, as if they happened at the connection
    with living(settings_for(broker, tmp_path)) as home:
        wait_for("all of them", lambda: sum(s == "idle" for s in map(home.state, home.pipeline.home)) == 1101)
        assert home.detector.learned == 0, "what happened unseen teaches nothing"
        wait_for("the retained ones", lambda: home.daemon.bridge.received > 2 * 1101)
        assert home.store.stats().events == 2 * 1101, "said again, it is no news"


# -- clocks -------------------------------------------------------------------------------------------


def test_devices_with_future_and_past_clocks(broker: Broker, tmp_path: Path) -> None:
    before = datetime.now(UTC)
    with living(settings_for(broker, tmp_path)) as home:
        switch(broker, "OFF")
        for state, last_seen in (
            ("ON", "2199-01-01T00:00:00+00:00"),
            ("OFF", "1970-01-01T00:00:09+00:00"),
            ("ON", 99_999_999_999_999_999),
            ("OFF", "yesterday"),
        ):
            switch(broker, state, last_seen=last_seen)
        wait_for("changes", lambda: len(states(home)) == 5)
        changed = [c.changed_at for c in home.store.events()]
        assert all(before <= at <= datetime.now(UTC) for at in changed), "the time of receipt is believed"
        assert home.detector.learned == 4


class FakeClock(Clock):
    """A wall clock that somebody sets."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = timedelta(0)

    def read(self) -> datetime:
        return datetime.now(UTC) + self.offset


def test_our_clock_is_set_back_by_a_year_and_forth(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    monkeypatch.setattr("agent.daemon.Clock", lambda: clock)
    with living(settings_for(broker, tmp_path)) as home:
        raised: list[int] = []
        for offset in (timedelta(0), -timedelta(days=365), timedelta(0)):
            clock.offset = offset
            ticked = home.daemon.engine.ticker.last
            wait_for("ticks go on", lambda t=ticked: home.daemon.engine.ticker.last not in {None, t})
            switch(broker, "ON")
            home.wait_state(LAMP, "on")
            wait_for("a hunch", lambda: home.pipeline.alive)
            switch(broker, "OFF")
            home.wait_state(LAMP, "off")
            raised.append(len(home.store.suggestions()))
        assert raised == [1, 2, 3], "one each time that it was on, none for the years between"
        assert clock.jumps == 1


# -- Home Assistant -----------------------------------------------------------------------------------


@contextmanager
def home_assistant() -> Iterator[tuple[FakeHomeAssistant, Callable[[Coroutine[Any, Any, Any]], Any]]]:
    """Run a fake Home Assistant in a thread; yield it, and what runs its coroutines there."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def do(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(10)

    fake = FakeHomeAssistant()
    try:
        yield do(fake.start()), do
    finally:
        do(fake.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def with_home_assistant(broker: Broker, folder: Path, url: str) -> Settings:
    return settings_for(broker, folder, home_assistant={"url": url, "token": TOKEN})


def test_an_entity_is_renamed(broker: Broker, tmp_path: Path) -> None:
    with home_assistant() as (fake, do):
        fake.states[LAMP] = fake.object(LAMP, "off")
        with living(with_home_assistant(broker, tmp_path, fake.url)) as home:
            home.wait_state(LAMP, "off")
            do(fake.change(LAMP, "on"))
            wait_for("a hunch", lambda: home.pipeline.alive)
            renamed = {"action": "update", "old_entity_id": LAMP, "entity_id": "light.reading"}
            do(fake.fire("entity_registry_updated", renamed))
            home.wait_state("light.reading", "on")
            assert home.state(LAMP) is None
            wait_for("a hunch of that name", lambda: [a.suggestion.entity_id for a in alive(home)])
            assert {a.suggestion.entity_id for a in alive(home)} == {"light.reading"}
        with living(with_home_assistant(broker, tmp_path, fake.url)) as home:
            assert home.state(LAMP) is None, "after a restart too"


def alive(home: Living) -> list[Alive]:
    return list(home.pipeline.alive.values())


def test_home_assistants_token_is_revoked(broker: Broker, tmp_path: Path) -> None:
    with capture_logs() as logs, home_assistant() as (fake, do):
        fake.states[LAMP] = fake.object(LAMP, "off")
        settings = with_home_assistant(broker, tmp_path, fake.url)
        with living(settings) as home:
            home.wait_state(LAMP, "off")
            fake.tokens.clear()
            assert home.daemon.gateway is not None
            home.daemon.gateway.back_off_s = (0.02, 0.02)
            do(fake.drop())
            wait_for("refusal", lambda: [e for e in logs if e["log_level"] == "error"])
            switch(broker, "ON")
            home.wait_state(LAMP, "on")
        (check,) = asyncio.run(checks(settings))[-1:]
    (told,) = [e for e in logs if e["log_level"] == "error"]
    assert "token" in told["hint"]
    assert (check.name, check.health) == ("home assistant", Health.BROKEN)
    assert "token" in check.advice


# -- the broker ---------------------------------------------------------------------------------------


def test_the_broker_is_down_at_the_start(broker: Broker, tmp_path: Path) -> None:
    broker.stop()
    with capture_logs() as logs, living(settings_for(broker, tmp_path), connected=False) as home:
        wait_for("complaint", lambda: said(logs, "no broker, trying on"))
        broker.start()
        wait_for("connection", home.daemon.bridge.connected.is_set)
        broker.publish("statestream/light/hall/state", "on")
        home.wait_state("light.hall", "on")
    (told,) = said(logs, "no broker, trying on")
    assert told["hint"] == "is it running, and are mqtt.host and mqtt.port right?"


def refused(settings: Settings, tries: int = 1) -> EventDict:
    """Let a daemon try; return what it logged, which is what the doctor says too."""
    with capture_logs() as logs, living(settings, connected=False) as home:
        wait_for("tries", lambda: home.daemon.bridge.failures >= tries)
        assert home.alive
    (told,) = said(logs, "no broker, trying on")
    (check,) = [c for c in asyncio.run(checks(settings)) if c.name.startswith("broker")]
    assert (check.health, check.advice) == (Health.BROKEN, told["hint"])
    assert check.says == told["why"]
    return told


def test_a_wrong_password(make_broker: MakeBroker, tmp_path: Path) -> None:
    guarded = make_broker(BrokerOptions(users={"inkling": "right"}))
    told = refused(settings_for(guarded, tmp_path, {"username": "inkling", "password": "wrong"}), tries=2)
    assert told["why"].startswith("the broker refused the connection: ")
    assert "mqtt.password" in told["hint"]
    with living(settings_for(guarded, tmp_path, {"username": "inkling", "password": "right"})) as home:
        assert home.daemon.bridge.failure is None


# paho leaves the closing of a socket on which TLS failed to the collector
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_tls(make_broker: MakeBroker, certificates: Certificates, tmp_path: Path) -> None:
    options = BrokerOptions(certificates=certificates, require_client_certificate=True)
    guarded = make_broker(options, kind=Mosquitto)  # amqtt can't require one
    own = {"cert_file": certificates.client, "key_file": certificates.client_key}
    with living(settings_for(guarded, tmp_path, {"ca_file": certificates.ca, **own})) as home:
        guarded.client().publish("statestream/light/hall/state", "on")
        home.wait_state("light.hall", "on")
    told = refused(settings_for(guarded, tmp_path, {"ca_file": certificates.client, **own}))
    assert "certificate verify failed" in told["why"]
    assert "mqtt.ca_file" in told["hint"]
    told = refused(settings_for(guarded, tmp_path, {"ca_file": certificates.ca}))
    assert "mqtt.cert_file" in told["hint"]
    told = refused(settings_for(guarded, tmp_path))
    assert "mqtt.tls" in told["hint"]
    gc.collect()


def test_tls_without_verification(
    make_broker: MakeBroker, certificates: Certificates, tmp_path: Path
) -> None:
    guarded = make_broker(BrokerOptions(certificates=certificates))
    with living(settings_for(guarded, tmp_path, {"tls": True, "tls_verify": False})) as home:
        assert home.daemon.bridge.failure is None


# -- the database -------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try to write again sooner."""
    monkeypatch.setattr("agent.mqtt._RETRY_STORE_S", 0.05)


def pragma(home: Living, statement: str) -> None:
    """Set it on the one connection that is left: it holds for a connection, not for the file."""
    home.store.database.engine.dispose()
    with home.store.database.outside_transaction() as conn:
        conn.exec_driver_sql(f"PRAGMA {statement}")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("trouble", "end", "hint"),
    [
        ("max_page_count=1", "max_page_count=1000000", "make room"),
        ("query_only=on", "query_only=off", "right to write"),
    ],
    ids=["disk full", "read-only"],
)
def test_a_database_that_cannot_be_written_for_a_while(
    make_broker: MakeBroker, tmp_path: Path, trouble: str, end: str, hint: str
) -> None:
    broker = make_broker(kind=Mosquitto)  # amqtt sends nothing again
    count = 1500
    with capture_logs() as logs, living(settings_for(broker, tmp_path)) as home:
        broker.publish("statestream/light/hall/state", "on")
        home.wait_state("light.hall", "on")
        home.call(lambda: pragma(home, trouble))
        sender = broker.client()
        for n in range(count):
            sender.paho.publish("statestream/sensor/counter/state", str(n), 1)
        bridge = home.daemon.bridge
        wait_for("trouble", lambda: bridge.stalled)
        received = bridge.received
        home.call(home.store.inbox_take)  # reading works; in the daemon's thread, or it opens a connection
        home.call(lambda: bridge._client.socket().shutdown(2))  # the broker sends all of it again
        wait_for("reconnection", lambda: said(logs, "lost the broker, reconnecting"))
        wait_for("connection", bridge.connected.is_set)
        assert bridge.stalled is not None
        assert bridge.received == received, "nothing is acknowledged"
        assert len(home.daemon.engine.unwritten_packets) <= 2 * RECEIVE_MAXIMUM
        home.call(lambda: pragma(home, end))
        home.wait_state("sensor.counter", str(count - 1))
        wait_for("all of it", lambda: len(states(home, "sensor.counter")) == count)
        assert states(home, "sensor.counter") == [str(n) for n in range(count)], "each exactly once"
    (told,) = said(logs, "can't write; nothing is acknowledged until it works")
    assert hint in told["why"]
    assert said(logs, "the database is writable again")


def stops(folder: Path, url: str | None = None) -> str:
    """Run `inkling run`, which must stop with exit code 1; return what it says on stderr."""
    environment = env(folder) | {"INKLING_MQTT__PORT": "1"} | ({"INKLING_STORE__URL": url} if url else {})
    try:
        result = CliRunner().invoke(app, ["run"], env=environment)
    finally:
        structlog.reset_defaults()  # it logs to the runner's stderr, which is gone now
    assert result.exit_code == 1, result.output
    return result.stderr


def test_a_read_only_database_at_the_start(unprivileged: Path) -> None:
    Store.open(f"sqlite:///{unprivileged}/inkling.db").close()
    (unprivileged / "inkling.db").chmod(0o400)
    told = stops(unprivileged)
    assert "readonly database" in told
    assert "give Inkling's user the right to write there" in told


def test_a_folder_that_cannot_be_written_at_the_start(unprivileged: Path) -> None:
    unprivileged.chmod(0o500)
    assert f"can't write in the folder {unprivileged}" in stops(unprivileged)


def test_a_newer_schema_than_the_code(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/inkling.db") as store, store.database.write() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    told = stops(tmp_path)
    assert "has schema 9999, this Inkling knows up to" in told
    assert "install the Inkling that wrote it, or a newer one" in told


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "inkling.db").write_bytes(b"no database by any means" * 100)
    assert "move the file and its -wal aside" in stops(tmp_path)


def test_two_daemons_on_one_database(broker: Broker, tmp_path: Path) -> None:
    with living(settings_for(broker, tmp_path)) as home:
        told = stops(tmp_path)
        assert "is being written by another process" in told
        assert "stop the other one" in told
        switch(broker, "ON")
        home.wait_state(LAMP, "on")


def test_invalid_settings(tmp_path: Path) -> None:
    config = tmp_path / "inkling.toml"
    config.write_text('[mqtt]\nport = "many"\nhots = "broker"\n')
    result = CliRunner().invoke(app, ["run", "--config", str(config)])
    assert result.exit_code == 1
    assert "mqtt.port: Input should be a valid integer" in result.stderr
    assert "mqtt.hots: Extra inputs are not permitted" in result.stderr


def test_certificates_that_are_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKLING_MQTT__CA_FILE", str(tmp_path / "missing.crt"))
    assert "mqtt.ca_file can't be used" in stops(tmp_path)
