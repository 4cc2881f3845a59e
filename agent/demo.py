"""`inkling demo`: the real daemon on a real (embedded) broker, in a simulated flat, at a speed-up.

Nothing here is special to the demo but the home and the clock: the flat publishes as Zigbee2MQTT and
statestream would, the daemon hears it over MQTT, and the resident answers over MQTT as a phone would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import orjson
from paho.mqtt.client import MQTTMessage
from rich.console import Console
from rich.panel import Panel

from agent.assembly import build_pipeline
from agent.cli_output import evidence_rows
from agent.daemon import Daemon
from agent.embedded_broker import HOST, embedded_broker
from agent.engine import Engine
from agent.importers import load_into
from agent.mqtt import MqttBridge
from agent.settings import MqttSettings, Settings, load_settings
from agent.store import Store
from agent.suggestions import Kind
from agent.ticker import Ticker
from devices.decoder import Publish
from devices.events import Origin, StateChange
from devices.simulated_apartment import apartment
from devices.simulated_faults import Fault, FaultKind
from devices.simulated_plan import HomePlan, Step, entity
from devices.simulated_wire import Zigbee2Mqtt, as_statestream
from devices.simulator import SimulatedEvent, SimulatedHome

ZONE: Final = ZoneInfo("Europe/Berlin")
START: Final = datetime(2026, 3, 2, tzinfo=ZONE).astimezone(UTC)
EVENING: Final = datetime(2026, 3, 30, 17, 30, tzinfo=ZONE).astimezone(UTC)
NIGHT: Final = datetime(2026, 3, 30, 22, 30, tzinfo=ZONE).astimezone(UTC)
MORNING: Final = datetime(2026, 3, 31, 6, 30, tzinfo=ZONE).astimezone(UTC)
END: Final = datetime(2026, 3, 31, 7, 45, tzinfo=ZONE).astimezone(UTC)
FORGOTTEN: Final = (
    Fault(FaultKind.LEFT_ON, "light.bathroom_light", EVENING + timedelta(minutes=70), timedelta(hours=4)),
    Fault(
        FaultKind.LEFT_OPEN,
        "binary_sensor.balcony_door_contact",
        EVENING + timedelta(hours=2),
        timedelta(hours=2),
    ),
)
_STEP_S: Final = 0.1
_THINKS: Final = timedelta(minutes=6)  # of the flat's time, before the resident answers
_AT_ONCE: Final = timedelta(seconds=20)  # the same, where what is offered is about now
_PLAYER: Final = "media_player.kitchen_radio"
_SHOWN: Final = frozenset({"light", "switch", "media_player", "person", "climate", "binary_sensor"})


async def run_demo(database: Path, length: timedelta, *, seed: int) -> bool:
    """Learn four weeks, live one evening within `length`; return whether a hunch was accepted."""
    say = Console(highlight=False, soft_wrap=True)
    say.print(
        "[bold]Inkling's demo[/bold]: a simulated flat of 20 entities, no Home Assistant, no broker needed.\n"
    )
    home = SimulatedHome(flat(), start=START, seed=seed, zone=ZONE, faults=FORGOTTEN)
    async with embedded_broker() as port:
        settings = demo_settings(database, port)
        with Store.open(settings.store.url) as store:
            learn_four_weeks(store, settings, home, say)
            evening = Evening(home, port, say)
            stop = asyncio.Event()
            daemon = Daemon(settings, store)
            running = asyncio.create_task(daemon.run(stop))
            await evening.run(length, daemon.routine_keeper.mine)
            stop.set()
            await running
    say.print(f"\nThe database is {database}. To look into it:")
    say.print(f"  export INKLING_STORE__URL=sqlite:///{database}")
    say.print("  inkling suggestions list --all      inkling explain ID      inkling status")
    return evening.accepted


def flat() -> HomePlan:
    """Return the apartment with its radio on a plug: nobody commands a player without Home Assistant."""
    plan, radio = apartment(), entity("switch", "kitchen_radio", "kitchen")
    return replace(
        plan,
        entities=tuple(radio if e.entity_id == _PLAYER else e for e in plan.entities),
        habits=tuple(replace(h, steps=tuple(map(_plugged, h.steps))) for h in plan.habits),
    )


def _plugged(step: Step) -> Step:
    if step.entity_id != _PLAYER:
        return step
    return replace(
        step, entity_id="switch.kitchen_radio", state={"playing": "on"}.get(step.state, step.state)
    )


def demo_settings(database: Path, port: int) -> Settings:
    """Return settings that suit a home whose time runs two hundred times faster."""
    return load_settings(
        None,
        mqtt={"host": HOST, "port": port, "protocol": "3.1.1"},
        home={"time_zone": ZONE.key},
        store={"url": f"sqlite:///{database}"},
        hunches={"per_day": 4.0, "burst": 2.0},  # an evening should show something
        clock="events",
    )


def learn_four_weeks(store: Store, settings: Settings, home: SimulatedHome, say: Console) -> None:
    """Let the flat live until the evening, and learn from it as `inkling import` would."""
    with say.status("four weeks of everyday life …"):
        began = asyncio.get_running_loop().time()
        past = [event.change for event in home.initial() + home.advance(EVENING)]
        load_into(store, past)
        engine = Engine(store, build_pipeline(settings), Ticker(timedelta(seconds=settings.tick_s)))
        engine.relearn()
        engine.snapshot(EVENING)
        took = asyncio.get_running_loop().time() - began
    people = sum(c.by_resident and c.domain in _SHOWN and c.device_class != "occupancy" for c in past)
    say.print(
        f"Learned {(EVENING - START).days} days in {took:.1f} s: {len(past):,} changes of "
        f"{len({c.entity_id for c in past})} entities, {people:,} of them by a person."
    )


class Evening:
    """The flat's side: publishes what happens, obeys commands, and shows it all on the terminal."""

    def __init__(self, home: SimulatedHome, port: int, say: Console) -> None:
        self.home = home
        self.say = say
        self.accepted = False
        self.wire = Zigbee2Mqtt(home.plan)
        self._answers: list[tuple[datetime, str]] = []
        settings = MqttSettings(host=HOST, port=port, protocol="3.1.1", client_id="flat")
        topics = ["zigbee2mqtt/+/set", "inkling/events"]
        self.bridge = MqttBridge(
            settings, subscriptions=topics, handle=self._heard, commit=lambda: None, on_connected=_nothing
        )

    async def run(self, length: timedelta, search: Callable[[], Awaitable[None]]) -> None:
        """Live until END, spread over `length`; in the night, `search` for routines."""
        connection = asyncio.create_task(self.bridge.run())
        await self.bridge.connected.wait()
        await asyncio.sleep(1.0)  # the daemon subscribes meanwhile
        for message in self.wire.inventory():
            self._publish(message)
        for event in self.home.initial():
            self._publish_event(event)
        self.say.print(f"\n[bold]{EVENING.astimezone(ZONE):%A %H:%M}[/bold], Alex comes home.\n")
        await self._span(EVENING, NIGHT, 0.75 * length)
        self.say.print(
            "\nAlex is asleep. Inkling searches the past weeks for what is always done together …\n"
        )
        self._live(MORNING, shown=False)
        await asyncio.sleep(1.0)  # the daemon hears the night
        await search()
        self.say.print(f"\n[bold]{MORNING.astimezone(ZONE):%A %H:%M}[/bold], Alex gets up.\n")
        await self._span(MORNING, END, 0.25 * length)
        await asyncio.sleep(1.0)
        connection.cancel()
        await asyncio.gather(connection, return_exceptions=True)

    async def _span(self, start: datetime, end: datetime, length: timedelta) -> None:
        steps = max(1, int((length.total_seconds() - 3) / _STEP_S))
        for step in range(1, steps + 1):
            self._live(start + (end - start) * (step / steps))
            await asyncio.sleep(_STEP_S)

    def _live(self, until: datetime, *, shown: bool = True) -> None:
        for event in self.home.advance(max(until, self.home.now)):
            self._publish_event(event)
            if shown:
                self._show(event.change)
        for at, suggestion_id in list(self._answers):
            if at <= until:
                self._answers.remove((at, suggestion_id))
                self.say.print(f"{_clock(until)}  Alex taps [bold green]Accept[/bold green].")
                self._publish(Publish(f"inkling/suggestion/{suggestion_id}/set", b"accept"))

    def _publish_event(self, event: SimulatedEvent) -> None:
        messages = self.wire.messages(event)
        for message in messages:
            body = orjson.loads(message.payload)
            if not message.topic.endswith("/availability"):
                body["last_seen"] = event.change.changed_at.isoformat()  # the flat's own time
            self._publish(Publish(message.topic, orjson.dumps(body), message.qos, message.retain))
        if not messages:
            for message in as_statestream(event):
                self._publish(message)

    def _publish(self, message: Publish) -> None:
        self.bridge.publish(message.topic, message.payload, qos=1, retain=message.retain)

    def _heard(self, batch: Sequence[MQTTMessage]) -> None:
        for message in batch:
            if message.topic == "inkling/events":
                self._told(orjson.loads(message.payload))
            else:
                self._commanded(message.topic, message.payload)

    def _told(self, event: dict[str, object]) -> None:
        kind, suggestion_id = event["event_type"], str(event["id"])
        if kind == "raised":
            self._show_suggestion(event, suggestion_id)
        elif kind == "resolved":
            self.say.print(
                f"{_clock(self.home.now)}  [dim]{suggestion_id} withdrew itself: {event['why']}[/dim]"
            )
        elif kind == "accepted":
            self.accepted = True

    def _show_suggestion(self, event: dict[str, object], suggestion_id: str) -> None:
        evidence, kind = event["evidence"], str(event["kind"])
        assert isinstance(evidence, dict)
        lines = [str(event["title"]), ""]
        if kind == Kind.HUNCH:
            lines += [f"  {name}: {text}" for name, text in evidence_rows(evidence)]
        else:
            lines.append(f"The counts and dates behind it:  inkling explain {suggestion_id}")
        if event["actions"]:
            lines += [
                "",
                f"Accept:  inkling suggestions accept {suggestion_id}",
                "or the button in Home Assistant, or",
            ]
            lines.append(f"mosquitto_pub -t inkling/suggestion/{suggestion_id}/set -m accept")
            thinks = _AT_ONCE if kind in {Kind.GOAL, Kind.ROUTINE} else _THINKS
            self._answers.append((self.home.now + thinks, suggestion_id))
        else:
            lines += ["", "Nothing that Inkling could do from here: only Alex can."]
        title = kind.replace("_", " ")
        self.say.print(Panel("\n".join(lines), title=title, border_style="yellow"), soft_wrap=False)

    def _commanded(self, topic: str, payload: bytes | bytearray) -> None:
        wanted = self.wire.commanded(topic, bytes(payload))
        if wanted is None:
            return
        entity_id, state, level = wanted
        self.say.print(f"{_clock(self.home.now)}  [bold]Inkling → {topic}[/bold] {bytes(payload).decode()}")
        for event in self.home.command(entity_id, state, self.home.now, level=level):
            self._publish_event(event)
            self._show(event.change)

    def _show(self, change: StateChange) -> None:
        if change.domain not in _SHOWN or change.device_class in {"occupancy", "motion"}:
            return
        name = change.attributes.get("friendly_name", change.entity_id)
        by = {Origin.AGENT: " [bold](Inkling)[/bold]", Origin.AUTOMATION: " [dim](automation)[/dim]"}
        self.say.print(f"{_clock(change.changed_at)}  {name}: {change.new}{by.get(change.origin, '')}")


def _clock(at: datetime) -> str:
    return f"{at.astimezone(ZONE):%H:%M}"


async def _nothing() -> None: ...
