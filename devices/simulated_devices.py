"""The devices of a simulated home: states, reports, the home's own automations, and the clockwork."""

from __future__ import annotations

from binascii import crc32
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from heapq import heappop, heappush
from random import Random
from typing import Any, Final, NamedTuple

from devices.events import UNAVAILABLE, Origin, StateChange
from devices.simulated_people import LocalClock
from devices.simulated_plan import Cycle, Entity, HomePlan, Load, MotionLight, active_state
from devices.simulated_sensors import Readings

_FULL: Final = 255  # brightness, as Home Assistant counts it


class SimulatedEvent(NamedTuple):
    """A change, and the truth about it."""

    change: StateChange
    habit: str | None = None
    execution: str | None = None
    fault: str | None = None  # the id of the planted fault that it begins or ends


class Cause(NamedTuple):
    """Why something happens."""

    origin: Origin
    habit: str | None = None
    execution: str | None = None
    fault: str | None = None


HAND: Final = Cause(Origin.PHYSICAL)
APP: Final = Cause(Origin.PERSON)
AUTOMATION: Final = Cause(Origin.AUTOMATION)


def moment(at: float) -> datetime:
    """Return epoch seconds as aware UTC, cut to milliseconds, which is what devices' hubs tell."""
    return datetime.fromtimestamp(int(at * 1000) / 1000, UTC)


class Devices:
    """A queue of what happens next, and the state of everything.

    An action is carried out only where it changes something, so nothing is switched on twice. What a device
    is (`actual`) and what it last said (`reported`) differ while it is mute. Complexity: O(log n) an event,
    n what is planned for a day.
    """

    def __init__(self, plan: HomePlan, clock: LocalClock, seed: int, now: float) -> None:
        self.now = now
        self.clock = clock
        self.entities = {e.entity_id: e for e in plan.entities}
        self.actual: dict[str, tuple[str, int | None]] = {
            e.entity_id: (e.initial, None) for e in plan.entities
        }
        self.reported = dict(self.actual)
        self.since: dict[str, float] = {}
        self.held: set[str] = set()  # by a fault: neither habits nor automations change these
        self._mute = dict.fromkeys(self.entities, 0)

        self._motion_lights = {a.sensor: a for a in plan.automations if isinstance(a, MotionLight)}
        self._loads = {s.switch: e for e, s in plan.sensors.items() if isinstance(s, Load)}
        self._measuring: set[str] = set()
        self._readings = {e: Readings(s, Random(f"{seed}/sensor/{e}")) for e, s in plan.sensors.items()}
        self._attributes: dict[tuple[str, str, int | None], Mapping[str, Any]] = {}
        self._fixed = {e.entity_id: _fixed(e) for e in plan.entities}
        self._out: list[SimulatedEvent] = []
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        for entity_id, readings in self._readings.items():
            if not isinstance(readings.spec, Load):
                self.push(now + readings.first_s(), self._read, entity_id)

    def push(self, at: float, action: Callable[..., None], *arguments: Any) -> None:
        """Have `action(at, *arguments)` called at a moment."""
        self._count += 1
        heappush(self._queue, (at, self._count, action, arguments))

    def run(self, until: float) -> None:
        """Let everything happen up to and including a moment."""
        queue = self._queue
        while queue and queue[0][0] <= until:
            at, _, action, arguments = heappop(queue)
            self.now = at
            action(at, *arguments)
        self.now = until

    def drain(self) -> list[SimulatedEvent]:
        """Return what has been reported since the last call."""
        events, self._out = self._out, []
        return events

    def all(self) -> Iterator[SimulatedEvent]:
        """Yield the reported state of everything, as changes from nothing."""
        for entity_id, state in self.reported.items():
            yield SimulatedEvent(self._change(entity_id, self.now, state, Cause(Origin.UNKNOWN)))

    def set(self, at: float, entity_id: str, state: str, cause: Cause, level: int | None = None) -> None:
        """Bring an entity into a state, if that changes it and no fault holds it."""
        if entity_id in self.held:
            return
        old, old_level = self.actual[entity_id]
        if entity_id.startswith("light."):
            level = (level or old_level or _FULL) if state == "on" else None
        if state == old and level == old_level:
            return
        self.actual[entity_id] = (state, level)
        if state != old:
            self.since[entity_id] = at
        self._report(at, entity_id, cause)
        if state != old and (sensor := self._loads.get(entity_id)) is not None:
            self._power(at, sensor)

    def mute(self, at: float, entity_id: str, cause: Cause, *, gone: bool) -> None:
        """Let an entity's whole device fall silent; `gone`: it is also reported unavailable."""
        for other in self.siblings(entity_id):
            self._mute[other] += 1
            if gone and self.reported[other][0] != UNAVAILABLE:
                self._emit(at, other, (UNAVAILABLE, None), cause)

    def unmute(self, at: float, entity_id: str, cause: Cause) -> None:
        """Let it speak again. One that was only silent says nothing until something changes."""
        for other in self.siblings(entity_id):
            self._mute[other] -= 1
            if not self._mute[other] and self.reported[other][0] == UNAVAILABLE:
                self._report(at, other, cause)

    def deaf(self, entity_id: str) -> bool:
        """Whether a command wouldn't reach it."""
        return self._mute[entity_id] > 0

    def siblings(self, entity_id: str) -> list[str]:
        """Return all entities of the same device."""
        device = self.entities[entity_id].device
        return [e.entity_id for e in self.entities.values() if e.device == device] if device else [entity_id]

    # ----------------------------------------------------------------------------------- reports

    def _report(self, at: float, entity_id: str, cause: Cause) -> None:
        state = self.actual[entity_id]
        if self._mute[entity_id] or state == self.reported[entity_id]:
            return
        self._emit(at, entity_id, state, cause)
        automation = self._motion_lights.get(entity_id)
        if automation is None:
            return
        if state[0] == "off":
            self.push(at + automation.off_after_s, self._darken, automation)
        elif self.clock.dark(at):
            self.push(at + 0.3, self.set, automation.light, "on", AUTOMATION)

    def _darken(self, at: float, automation: MotionLight) -> None:
        still = self.reported[automation.sensor][0] == "off"
        if still and at - self.since[automation.sensor] >= automation.off_after_s - 1e-3:
            self.set(at, automation.light, "off", AUTOMATION)

    def _emit(self, at: float, entity_id: str, state: tuple[str, int | None], cause: Cause) -> None:
        old = self.reported[entity_id][0]
        self.reported[entity_id] = state
        change = self._change(entity_id, at, state, cause, old)
        self._out.append(SimulatedEvent(change, cause.habit, cause.execution, cause.fault))

    def _change(
        self, entity_id: str, at: float, now: tuple[str, int | None], cause: Cause, old: str | None = None
    ) -> StateChange:
        when = moment(at)
        number, attributes = self._fixed[entity_id]
        if attributes is None:
            attributes = self._attributes_of(entity_id, *now)
        known = cause.origin is not Origin.UNKNOWN
        return StateChange(
            entity_id, now[0], when, when, old, attributes, cause.origin, 1.0 if known else 0.0,
            context_id=f"{number}{int(at * 1000):014x}" if known else None,
        )  # fmt: skip

    def _attributes_of(self, entity_id: str, state: str, level: int | None) -> Mapping[str, Any]:
        """Return attributes with what goes with a state; changes share them, as most never differ."""
        key = (entity_id, state, level)
        if key not in self._attributes:
            extra = {} if level is None else {"brightness": level}
            if entity_id.startswith("cover.") and state != UNAVAILABLE:
                extra = {"current_position": 0 if state == "closed" else 100}
            self._attributes[key] = {**self.entities[entity_id].attributes, **extra}
        return self._attributes[key]

    # ----------------------------------------------------------------------------------- sensors

    def _read(self, at: float, entity_id: str) -> None:
        readings = self._readings[entity_id]
        needs = readings.spec.needs if isinstance(readings.spec, Cycle) else None
        active = needs is None or self.actual[needs][0] == active_state(needs)
        state, wait_s = readings.next(self.clock.hour(at), active=active)
        self.set(at, entity_id, state, AUTOMATION if entity_id.startswith("switch.") else HAND)
        self.push(at + wait_s, self._read, entity_id)

    def _power(self, at: float, entity_id: str) -> None:
        """Measure what a switch feeds, at once when it is switched and now and then while it is on."""
        readings = self._readings[entity_id]
        assert isinstance(readings.spec, Load)
        active = self.actual[readings.spec.switch][0] == "on"
        state, wait_s = readings.next(0.0, active=active)
        self.set(at, entity_id, state, HAND)
        if active and entity_id not in self._measuring:
            self._measuring.add(entity_id)
            self.push(at + wait_s, self._measure, entity_id)

    def _measure(self, at: float, entity_id: str) -> None:
        self._measuring.discard(entity_id)
        readings = self._readings[entity_id]
        if isinstance(readings.spec, Load) and self.actual[readings.spec.switch][0] == "on":
            self._power(at, entity_id)


def _fixed(entity: Entity) -> tuple[str, Mapping[str, Any] | None]:
    """Return the start of an entity's context ids, and its attributes where they never change."""
    varies = entity.entity_id.startswith(("light.", "cover."))
    return f"{crc32(entity.entity_id.encode()):012x}", None if varies else dict(entity.attributes)
