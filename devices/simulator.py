"""The simulated home: a household that lives by its habits, errs now and then, and obeys commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from devices.events import Origin
from devices.simulated_apartment import apartment
from devices.simulated_devices import APP, AUTOMATION, HAND, Cause, Devices, SimulatedEvent, moment
from devices.simulated_family import family
from devices.simulated_faults import FORGOTTEN, Fault, FaultKind, FaultTruth, HabitTruth, Truth, random_faults
from devices.simulated_people import Conditions, Day, Execution, LocalClock, Planner, Use, Visit
from devices.simulated_plan import Habit, HomePlan, Person, Scheduled, active_state, rest_state
from devices.simulated_wire import Zigbee2Mqtt, as_recording_line, as_statestream

__all__ = [
    "HOMES", "Conditions", "Fault", "FaultKind", "FaultTruth", "HabitTruth", "HomePlan", "SimulatedEvent",
    "SimulatedHome", "Simulation", "Truth", "Zigbee2Mqtt", "apartment", "as_recording_line",
    "as_statestream", "family", "simulate",
]  # fmt: skip

HOMES: Final[Mapping[str, Callable[[], HomePlan]]] = {"apartment": apartment, "family": family}
COMMANDABLE: Final = frozenset({"light", "switch", "cover", "lock", "climate", "media_player"})

_MOTION_HOLD_S: Final = 90.0  # a motion sensor clears this long after the last movement
_RETRY_S: Final = 300.0
_DAY_STARTS: Final = 4.0  # local hour at which a day is planned

HomeName = Literal["apartment", "family"]


class Simulation(NamedTuple):
    """A finished simulation."""

    events: list[SimulatedEvent]
    truth: Truth


class _Room:
    """Who is in a room: how many, when one of them last moved, whether one would leave it dark."""

    __slots__ = ("light", "motion", "moved_at", "people", "turns_off", "windowless")

    def __init__(self, light: str | None, motion: str | None, *, windowless: bool) -> None:
        self.light = light
        self.motion = motion
        self.windowless = windowless
        self.people = 0
        self.moved_at = 0.0
        self.turns_off = False


def simulate(
    home: HomePlan | HomeName,
    *,
    start: datetime,
    days: int,
    seed: int,
    zone: ZoneInfo,
    faults: Sequence[Fault] | int = (),
    conditions: Conditions = Conditions(),  # noqa: B008 - frozen
) -> Simulation:
    """Return `days` local days of a home and the truth about them; a number of faults plants random ones.

    The first events give every entity's state at the start. The same arguments give the same events, and
    another fault changes only what it touches.
    """
    plan = HOMES[home]() if isinstance(home, str) else home
    local = start.astimezone(zone)
    if isinstance(faults, int):
        clock = LocalClock(zone)
        faults = random_faults(plan, faults, first=local.date(), days=days, seed=seed, clock=clock)
    simulated = SimulatedHome(plan, start=start, seed=seed, zone=zone, faults=faults, conditions=conditions)
    end = (local.replace(tzinfo=None) + timedelta(days=days)).replace(tzinfo=zone)
    return Simulation(simulated.initial() + simulated.advance(end), simulated.truth)


class SimulatedHome:
    """A home that runs as far as it is told, and can be commanded on the way.

    It lives through the day before `start` unheard, so that it begins in the middle of life. Planned actions
    are carried out only where they change something: a light that a command switched off isn't switched off
    again. Memory: a day's plans, and the truth.

    >>> start = datetime(2024, 3, 4, 18, tzinfo=UTC)
    >>> home = SimulatedHome("apartment", start=start, seed=1, zone=ZoneInfo("Europe/Berlin"))
    >>> home.command("light.bedroom_light", "on", start + timedelta(minutes=5))[-1].change.origin.value
    'agent'
    """

    def __init__(
        self,
        home: HomePlan | HomeName,
        *,
        start: datetime,
        seed: int,
        zone: ZoneInfo,
        faults: Sequence[Fault] = (),
        conditions: Conditions = Conditions(),  # noqa: B008 - frozen
    ) -> None:
        self.plan = HOMES[home]() if isinstance(home, str) else home
        self._clock = LocalClock(zone)
        self._start = start.timestamp()
        first = start.astimezone(zone).date()
        before = first - timedelta(days=1)
        self._planner = Planner(self.plan, self._clock, seed, first, conditions)
        self._devices = Devices(self.plan, self._clock, seed, self._clock.at(before, _DAY_STARTS))
        self._rooms = {r.area: _Room(r.light, r.motion, windowless=r.windowless) for r in self.plan.rooms}
        self._locks = [e.entity_id for e in self.plan.entities if e.entity_id.startswith("lock.")]
        self._awake: set[str] = set()
        self._inside = {p.name for p in self.plan.people}
        self.truth = Truth({h.name: HabitTruth(h) for h in self.plan.habits}, {})
        self._plan_day(self._devices.now, before)
        self._devices.run(self._start)
        self._devices.drain()
        for fault in faults:
            self._plant(fault)

    @property
    def now(self) -> datetime:
        """The moment up to which the home has been run."""
        return datetime.fromtimestamp(self._devices.now, UTC)

    def initial(self) -> list[SimulatedEvent]:
        """Return the state of every entity as it is now, as changes from nothing, of unknown origin."""
        return list(self._devices.all())

    def state(self, entity_id: str) -> str:
        """Return what an entity last reported."""
        return self._devices.reported[entity_id][0]

    def advance(self, until: datetime) -> list[SimulatedEvent]:
        """Run up to and including a moment, and return what happened, in time order."""
        if until.timestamp() < self._devices.now:
            raise ValueError(f"{until} has passed: the home has been run to {self.now}")
        self._devices.run(until.timestamp())
        return self._devices.drain()

    def command(
        self,
        entity_id: str,
        state: str,
        at: datetime,
        *,
        level: int | None = None,
        origin: Origin = Origin.AGENT,
    ) -> list[SimulatedEvent]:
        """Run up to `at`, set an entity, and return all that happened until then.

        As the agent by default; a resident (another `origin`) can close doors as well. It ends what was
        forgotten. A device that is away, or in that state already, does nothing.
        """
        agent = origin is Origin.AGENT
        if entity_id not in self._devices.entities or (
            agent and entity_id.partition(".")[0] not in COMMANDABLE
        ):
            raise ValueError(f"{entity_id} can't be commanded in this home")
        events = self.advance(at)
        if not (agent and self._devices.deaf(entity_id)):
            fault = self._forgotten(entity_id) if state != active_state(entity_id) else None
            if fault is not None:
                self._end_hold(self._devices.now, fault, origin)
            cause = Cause(origin, fault=fault.fault.id if fault else None)
            self._devices.set(self._devices.now, entity_id, state, cause, level)
        return events + self._devices.drain()

    # --------------------------------------------------------------------------------- the plans

    def _plan_day(self, at: float, day: date) -> None:
        push, tomorrow = self._devices.push, day + timedelta(days=1)
        push(self._clock.at(tomorrow, _DAY_STARTS), self._plan_day, tomorrow)
        for a in self.plan.automations:
            if isinstance(a, Scheduled):
                when = self._clock.dusk(day) + a.hour * 3600 if a.from_sunset else self._clock.at(day, a.hour)
                push(when, self._devices.set, a.entity_id, a.state, AUTOMATION)
        for plan in self._planner.days(day):
            self._plan_resident(plan, at)

    def _plan_resident(self, plan: Day, now: float) -> None:
        push = self._devices.push
        last = len(plan.spans) - 1
        for n, (start, end) in enumerate(plan.spans):
            push(start, self._come, plan, not (plan.wakes and n == 0))
            push(end, self._go, plan, not (plan.beds and n == last))
        for visit in plan.visits:
            push(max(visit.start, now), self._enter, visit)
            push(visit.end, self._exit, visit)
            for moved in visit.moves:
                push(moved, self._move, visit.area)
        for use in plan.uses:
            push(use.start, self._use, use, active_state(use.entity_id))
            push(use.end, self._use, use, rest_state(use.entity_id))
        for habit, trigger, execution in plan.executions:
            push(trigger, self._follow, habit, plan.date, execution)
            for act in execution.acts if execution else ():
                origin = Origin.PERSON if act.app else Origin.PHYSICAL
                cause = Cause(origin, habit.name, execution.id if execution else None)
                push(act.at, self._devices.set, act.step.entity_id, act.step.state, cause, act.step.level)

    def _follow(self, at: float, habit: Habit, day: date, execution: Execution | None) -> None:
        """Note the truth; what was over before the start isn't part of it."""
        if (execution.acts[-1].at if execution else at) >= self._start:
            truth = self.truth.habits[habit.name]
            truth.opportunities.append(day)
            if execution:
                truth.executions.append(execution)

    # ----------------------------------------------------------------------------- the residents

    def _come(self, at: float, plan: Day, from_outside: bool) -> None:  # noqa: FBT001
        self._awake.add(plan.person.name)
        if from_outside:
            self._inside.add(plan.person.name)
            self._door(at)
            if plan.person.entity_id:
                self._devices.set(at, plan.person.entity_id, "home", HAND)

    def _go(self, at: float, plan: Day, outside: bool) -> None:  # noqa: FBT001
        name = plan.person.name
        self._awake.discard(name)
        if outside:
            self._inside.discard(name)
            self._door(at + 30)
            if plan.person.entity_id:
                self._devices.push(at + 170, self._gone, plan.person.entity_id, name)
        self._switch_off(at, plan.person)

    def _gone(self, at: float, entity_id: str, name: str) -> None:
        if name not in self._inside:
            self._devices.set(at, entity_id, "not_home", HAND)

    def _door(self, at: float) -> None:
        push, change = self._devices.push, self._devices.set
        for lock in self._locks:
            push(at, change, lock, "unlocked", HAND)
        push(at + 3, change, self.plan.front_door, "on", HAND)
        push(at + 14, change, self.plan.front_door, "off", HAND)

    def _switch_off(self, at: float, person: Person) -> None:
        """Switch off what is still on: all if nobody is up any more, else what is this person's own."""
        own = {s.entity_id for h in self.plan.habits if h.person == person.name for s in h.steps}
        begun = [e for e in self.plan.switched_off() if self._devices.actual[e][0] != rest_state(e)]
        left = [e for e in begun if not self._awake or (e in own and e not in self._locks)]
        for n, entity_id in enumerate(left):
            at_last = at + (50 if entity_id in self._locks and not self._inside else 3 * n)
            self._devices.push(at_last, self._devices.set, entity_id, rest_state(entity_id), HAND)

    def _enter(self, at: float, visit: Visit) -> None:
        room = self._rooms[visit.area]
        room.people += 1
        self._move(at, visit.area)
        wanted = visit.lights and (room.windowless or self._clock.dark(at))
        if wanted and room.light and self._devices.actual[room.light][0] == "off":
            self._devices.set(at, room.light, "on", HAND)

    def _exit(self, at: float, visit: Visit) -> None:
        room = self._rooms[visit.area]
        room.people -= 1
        room.turns_off |= visit.turns_off or (visit.lights and not self._clock.dark(at))
        if room.people == 0:
            if room.turns_off and room.light:
                self._devices.set(at, room.light, "off", HAND)
            room.turns_off = False

    def _use(self, at: float, use: Use, state: str) -> None:
        app = use.app and not use.entity_id.startswith("binary_sensor.")
        self._devices.set(at, use.entity_id, state, APP if app else HAND)

    def _move(self, at: float, area: str) -> None:
        room = self._rooms[area]
        room.moved_at = at
        if room.motion and self._devices.actual[room.motion][0] == "off":
            self._devices.set(at, room.motion, "on", HAND)
            self._devices.push(at + _MOTION_HOLD_S, self._still, room)

    def _still(self, at: float, room: _Room) -> None:
        clear = room.moved_at + _MOTION_HOLD_S
        if clear > at:
            self._devices.push(clear, self._still, room)
        elif room.motion:
            self._devices.set(at, room.motion, "off", HAND)

    # -------------------------------------------------------------------------------- the faults

    def _plant(self, fault: Fault) -> None:
        if fault.entity_id not in self._devices.entities:
            raise ValueError(f"a fault in {fault.entity_id}, which this home doesn't have")
        truth = self.truth.faults[fault.id] = FaultTruth(fault)
        begin = self._hold if fault.kind in FORGOTTEN or fault.kind is FaultKind.ODD_HOUR else self._fail
        self._devices.push(max(fault.at.timestamp(), self._devices.now), begin, truth)

    def _forgotten(self, entity_id: str) -> FaultTruth | None:
        running = (t for t in self.truth.faults.values() if t.started_at and not t.ended_at)
        return next(
            (t for t in running if t.fault.entity_id == entity_id and entity_id in self._devices.held), None
        )

    def _unseen(self, truth: FaultTruth) -> bool:
        """Whether nobody is up who could forget, or notice, it."""
        return truth.fault.kind in FORGOTTEN and not self._awake

    def _hold(self, at: float, truth: FaultTruth) -> None:
        entity_id = truth.fault.entity_id
        if self._unseen(truth) or entity_id in self._devices.held:
            self._devices.push(at + _RETRY_S, self._hold, truth)
            return
        active = active_state(entity_id)
        if self._devices.actual[entity_id][0] != active:
            self._devices.set(at, entity_id, active, HAND._replace(fault=truth.fault.id))
        truth.started_at = moment(self._devices.since.get(entity_id, at))
        self._devices.held.add(entity_id)
        self._devices.push(at + truth.fault.duration.total_seconds(), self._notice, truth)

    def _notice(self, at: float, truth: FaultTruth) -> None:
        if truth.ended_at:
            return
        if self._unseen(truth):
            self._devices.push(at + _RETRY_S, self._notice, truth)
            return
        entity_id = truth.fault.entity_id
        self._end_hold(at, truth, Origin.PHYSICAL)
        self._devices.set(at, entity_id, rest_state(entity_id), HAND._replace(fault=truth.fault.id))

    def _end_hold(self, at: float, truth: FaultTruth, by: Origin) -> None:
        self._devices.held.discard(truth.fault.entity_id)
        truth.ended_at, truth.ended_by = moment(at), by

    def _fail(self, at: float, truth: FaultTruth) -> None:
        fault = truth.fault
        truth.started_at = moment(at)
        cause, gone = HAND._replace(fault=fault.id), fault.kind is FaultKind.DROPOUT
        self._devices.mute(at, fault.entity_id, cause, gone=gone)
        self._devices.push(at + fault.duration.total_seconds(), self._recover, truth)

    def _recover(self, at: float, truth: FaultTruth) -> None:
        fault = truth.fault
        truth.ended_at, truth.ended_by = moment(at), Origin.PHYSICAL
        self._devices.unmute(at, fault.entity_id, HAND._replace(fault=fault.id))
