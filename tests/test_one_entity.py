"""One device, one entity: a light heard natively, by statestream and by Home Assistant's WebSocket."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clock import Clock
from agent.intake import Intake
from agent.own_entities import OwnEntities
from devices.decoders import Router
from devices.discovery import DiscoveryIndex
from devices.events import Origin, Source, StateChange
from devices.home_assistant import HomeAssistantReader
from devices.provenance import HaContext, Provenance
from devices.state import HomeState
from devices.statestream import StatestreamDecoder
from devices.zigbee2mqtt import Zigbee2MqttDecoder

T0 = datetime(2024, 5, 6, 18, 0, tzinfo=UTC)
LIGHT = "light.kitchen_ceiling"
NATIVE = "zigbee2mqtt/kitchen"
INVENTORY = [
    {
        "ieee_address": "0x1", "friendly_name": "kitchen", "type": "Router",
        "definition": {"exposes": [{"type": "light", "features": [
            {"type": "binary", "name": "state", "property": "state", "access": 7,
             "value_on": "ON", "value_off": "OFF"},
        ]}]},
    },
]  # fmt: skip
CONFIG = {
    "schema": "json", "state_topic": NATIVE, "command_topic": f"{NATIVE}/set", "unique_id": "0x1_light_z",
    "object_id": "kitchen", "device": {"identifiers": ["zigbee2mqtt_0x1"], "name": "kitchen"},
}  # fmt: skip
REGISTRY = [{"entity_id": LIGHT, "unique_id": "0x1_light_z", "platform": "mqtt"}]
ANNA: HaContext = ("call", None, "anna")
NOBODY: HaContext = ("event", None, None)


class Home:
    """An intake with all three sources on, told what each of them reports."""

    def __init__(self, *, configured_first: bool = True) -> None:
        self.state = HomeState()
        router = Router([StatestreamDecoder(), Zigbee2MqttDecoder()])
        self.provenance = Provenance()
        self.reader = HomeAssistantReader()
        self.intake = Intake(
            self.state,
            router=router,
            index=DiscoveryIndex(router.addresses()),
            provenance=self.provenance,
            clock=Clock(),
            own=OwnEntities("inkling", "homeassistant"),
        )
        self.out: list[StateChange] = []
        self.seen: dict[Source, str] = {}
        tell = [
            lambda: self.mqtt("zigbee2mqtt/bridge/devices", INVENTORY, 0, retained=True),
            lambda: self.mqtt("homeassistant/light/0x1/light/config", CONFIG, 0, retained=True),
            lambda: self.intake.index.registry(REGISTRY),
        ]
        for step in tell if configured_first else reversed(tell):
            step()

    def mqtt(self, topic: str, payload: Any, s: float, *, retained: bool = False) -> None:
        raw = (payload if isinstance(payload, str) else json.dumps(payload)).encode()
        self._keep(self.intake.message(topic, raw, at(s), retained=retained, late=False))

    def hears(self, source: Source, state: str, s: float, context: HaContext = NOBODY) -> None:
        """Take in a report by one source."""
        match source:
            case Source.NATIVE:
                self.mqtt(NATIVE, {"state": state.upper()}, s)
            case Source.STATESTREAM:
                self.mqtt(f"statestream/light/{LIGHT.partition('.')[2]}/state", state, s)
            case _:
                old, new = (self._object(x, s, context) for x in (self.seen.get(source), state))
                event = {"data": {"entity_id": LIGHT, "old_state": old, "new_state": new}}
                change = self.reader.event({"event_type": "state_changed", **event}, at(s))
                assert change is not None
                self._keep(self.intake.home_assistant(change, context))
        self.seen[source] = state

    def _object(self, state: str | None, s: float, context: HaContext) -> dict[str, Any] | None:
        if state is None:
            return None
        body = dict(zip(("id", "parent_id", "user_id"), context, strict=True))
        when = at(s).isoformat()
        return {"entity_id": LIGHT, "state": state, "attributes": {"friendly_name": "Kitchen ceiling"},
                "last_changed": when, "last_updated": when, "context": body}  # fmt: skip

    def passes(self, s: float) -> None:
        self._keep(self.intake.fusion.release(at(s)))

    def _keep(self, changes: list[StateChange]) -> None:
        self.out += [self.state.apply(change) for change in changes]

    @property
    def changes(self) -> list[StateChange]:
        """What counts: no repeats, no attributes."""
        return [change for change in self.out if change.old != change.new]


def at(s: float) -> datetime:
    return T0 + timedelta(seconds=s)


SOURCES = (Source.NATIVE, Source.STATESTREAM, Source.HOME_ASSISTANT)


def settled(home: Home) -> Home:
    """Let each source report that the light is off."""
    for n, source in enumerate(SOURCES):
        home.hears(source, "off", -100 + n)
    home.passes(-50)
    home.out.clear()
    return home


def test_three_sources_are_one_entity() -> None:
    home = settled(Home())
    assert list(home.state) == [LIGHT]
    command = home.intake.router.command("light.kitchen", "on", {})
    assert command is not None
    assert command.topic == f"{NATIVE}/set", "it can still be commanded natively"


def test_what_ties_them_together_may_come_in_any_order() -> None:
    assert list(settled(Home(configured_first=False)).state) == [LIGHT]


@settings(max_examples=30, deadline=None)
@given(st.permutations(SOURCES), st.lists(st.floats(0.001, 0.3), min_size=3, max_size=3))
def test_the_best_origin_wins_whoever_is_first(order: list[Source], gaps: list[float]) -> None:
    home = settled(Home())
    home.provenance.service_called(ANNA, "light", "turn_on", {"entity_id": LIGHT}, at(0))
    s = 0.0
    for source, gap in zip(order, gaps, strict=True):
        s = min(s + gap, 0.39)  # Home Assistant's report comes within the time that a change is held
        home.hears(source, "on", s, ANNA)
    home.passes(10)
    (change,) = home.changes
    assert (change.entity_id, change.new, change.origin) == (LIGHT, "on", Origin.PERSON)


delays = st.lists(st.floats(0, 3), min_size=8, max_size=8)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.floats(0.05, 30), min_size=1, max_size=8),
    st.tuples(delays, delays, delays),
    st.booleans(),
)
def test_each_change_counts_once_in_any_order_of_arrival(
    gaps: list[float], late: tuple[list[float], ...], configured_first: bool
) -> None:
    """The light toggles; each source tells it with delays of its own, in its own order."""
    home = settled(Home(configured_first=configured_first))
    s, arrivals = 0.0, list[dict[Source, float]]()
    last = dict.fromkeys(SOURCES, 0.0)
    for k, gap in enumerate(gaps):
        s += gap
        for source, delay in zip(SOURCES, late, strict=True):
            last[source] = max(last[source] + 1e-3, s + delay[k])
        arrivals.append(dict(last))
    reports = [(when, source, k) for k, heard in enumerate(arrivals) for source, when in heard.items()]
    for when, source, k in sorted(reports):
        home.passes(when)
        home.hears(source, "on" if k % 2 == 0 else "off", when)
    home.passes(1e6)
    assert [c.new for c in home.changes] == ["on" if k % 2 == 0 else "off" for k in range(len(gaps))]
    assert {c.entity_id for c in home.out} == {LIGHT}
    labelled = [  # by Home Assistant, who alone can tell that it was a hand, while the change is held
        heard[Source.HOME_ASSISTANT] - min(heard.values()) < 0.39 for heard in arrivals
    ]
    assert all(c.origin is Origin.PHYSICAL for c, told in zip(home.changes, labelled, strict=True) if told)


def test_the_clock_is_set_back_by_a_year() -> None:
    home = settled(Home())
    year = 365 * 86400.0
    home.hears(Source.NATIVE, "on", 0)  # held for Home Assistant's report, which comes under the other time
    home.hears(Source.HOME_ASSISTANT, "on", 0.1 - year)
    home.hears(Source.STATESTREAM, "on", 0.2 - year)
    for n, state in enumerate(("off", "on", "off")):
        for source in SOURCES:
            home.hears(source, state, 60 * n + 60 - year)
        home.passes(60 * n + 90 - year)
    assert [c.new for c in home.changes] == ["on", "off", "on", "off"]
    assert [c.received_at for c in home.changes[1:]] == [at(60 * n + 60 - year) for n in range(3)]
