"""When a routine runs: its trigger, its conditions, and what of it is still to do."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Final

from devices.context import Calendar, Context
from devices.events import Origin, StateChange, Tick, utc
from devices.state import EntityState, HomeState
from routines.conditions import holds
from routines.routine import AtSun, AtTime, OnState, Routine, Step, SunEvent

CUE_HORIZON_S: Final = 300.0
CLOCK_HORIZON_S: Final = 1800.0
"""How long after it was due a step may come from the resident and still have been right.

After a cue it is soon or not at all; by the clock, residents stray.
"""

_LATE: Final = timedelta(minutes=15)
_DAY: Final = timedelta(days=1)
_COMMANDED: Final = frozenset({Origin.AUTOMATION, Origin.AGENT})
_PEOPLE: Final = frozenset({"person", "device_tracker"})

SunTimes = Callable[[SunEvent, date], datetime | None]


@dataclass(frozen=True, slots=True)
class Firing:
    """A routine that is due, and the steps of it that aren't so already."""

    routine: Routine
    at: datetime
    steps: tuple[Step, ...]

    @property
    def until(self) -> datetime:
        """When it is known whether the resident wanted it."""
        return self.at + timedelta(seconds=max(self.horizon_s(step) for step in self.steps))

    def horizon_s(self, step: Step) -> float:
        """Return how many seconds after the firing the resident may do a step himself."""
        if self.routine.is_limit:
            return step.delay_s  # what is used for longer would have been cut short
        at_cue = isinstance(self.routine.trigger, OnState)
        return (CUE_HORIZON_S if at_cue else CLOCK_HORIZON_S) + 2.0 * step.delay_s


class Matcher:
    """Streams events past the routines and says which of them are due.

    A time of day comes once a local day, at the first tick not earlier; a tick later than a quarter of an
    hour doesn't count (the daemon was down, or the clock was set). A state counts when it is entered live
    and, if a resident could have done it, not by an automation or by ourselves. Until it is known whether
    the last firing was right, a routine doesn't fire again.

    Parameters: `sun` gives the time of sunrise or sunset on a local day; without it they are seen in the
    context's daylight, and an offset before them counts from the day before. Complexity: O(1) an event plus
    O(routines that the entity triggers); O(timed routines) a tick. Memory: two times a routine.

    >>> from zoneinfo import ZoneInfo
    >>> from devices.context import Calendar, Occupancy
    >>> lamp = Routine("Hall light", OnState("binary_sensor.door", "on"), (Step("light.hall", "on"),))
    >>> at = utc("2024-03-04T18:00:00+00:00")
    >>> door = StateChange("binary_sensor.door", "on", at, at, "off")
    >>> context = Calendar(ZoneInfo("UTC")).context(at, Occupancy.HOME)
    >>> [firing.routine.name for firing in Matcher([lamp]).step(door, HomeState(), context)]
    ['Hall light']
    """

    def __init__(self, routines: Iterable[Routine] = (), *, sun: SunTimes | None = None) -> None:
        self._sun_times = sun
        self._by_state: dict[tuple[str, str], list[tuple[str, Routine]]] = {}
        self._timed: dict[str, Routine] = {}
        self._rests: dict[str, datetime] = {}  # key of a routine -> until when
        self._open: dict[str, set[tuple[str, str]]] = {}  # what the resident hasn't done since it fired
        self._awaited: dict[tuple[str, str], set[str]] = {}  # the same, by state
        self._due: dict[str, datetime | None] = {}  # computed from the last tick
        self._soonest: datetime | None = None  # of them, once all are known
        self._seen: datetime | None = None  # last tick
        self._daylight: bool | None = None
        self._sun: dict[SunEvent, datetime] = {}  # last seen
        self.watch(routines)

    def watch(self, routines: Iterable[Routine]) -> None:
        """Match these from now on; what is known of those that stay is kept."""
        by_state: dict[tuple[str, str], list[tuple[str, Routine]]] = defaultdict(list)
        self._timed = {}
        alike: Counter[str] = Counter()
        for routine in sorted(routines, key=lambda r: r.id):
            alike[routine.id] += 1  # they may differ in times and conditions
            key = f"{routine.id}/{alike[routine.id]}"
            trigger = routine.trigger
            if isinstance(trigger, OnState):
                by_state[trigger.entity_id, trigger.state].append((key, routine))
            else:
                self._timed[key] = routine
        self._by_state = dict(by_state)
        keys = {key for of in by_state.values() for key, _ in of} | set(self._timed)
        self._rests = {k: v for k, v in self._rests.items() if k in keys}
        self._await({k: v for k, v in self._open.items() if k in keys})
        self._due, self._soonest = {}, None
        suns = any(isinstance(r.trigger, AtSun) for r in self._timed.values())
        self._watches_sun = suns and self._sun_times is None

    def quiet(self, at: datetime) -> bool:
        """Whether a tick can't set off anything: cheaper than to work out the context for nothing."""
        if not self._timed:
            return True
        return self._soonest is not None and at < self._soonest and not self._watches_sun

    def concerns(self, change: StateChange) -> bool:
        """Whether a change can set off anything: cheaper than to work out the context for nothing."""
        if not self._by_state and not self._awaited:
            return False
        now = change.entity_id, reached(change)
        return change.trains and (now in self._by_state or now in self._awaited)

    def step(self, event: StateChange | Tick, home: HomeState, context: Context) -> list[Firing]:
        """Return what is due after an event that has been folded into `home` already."""
        if isinstance(event, Tick):
            due = list(self._on_time(event.at, context))
            return [f for key, r in due if (f := self._fire(key, r, home, context))]
        if not self.concerns(event):
            return []
        now = event.entity_id, reached(event)
        self._done(now)
        triggered = self._by_state.get(now, ())
        if triggered and event.domain not in _PEOPLE and event.origin in _COMMANDED:
            return []
        return [f for key, r in triggered if (f := self._fire(key, r, home, context))]

    def _fire(self, key: str, routine: Routine, home: HomeState, context: Context) -> Firing | None:
        rests = self._rests.get(key)
        if (rests is not None and context.at < rests) or not holds(routine.conditions, context):
            return None
        steps = remaining(routine, home)
        if not steps:
            return None
        firing = Firing(routine, context.at, steps)
        self._rests[key] = firing.until
        self._expect(key, {(s.entity_id, s.state) for s in steps})
        return firing

    def _expect(self, key: str, states: set[tuple[str, str]]) -> None:
        """Await these states of a routine, no longer those from before."""
        for state in self._open.get(key, ()):
            self._awaited[state].discard(key)
            if not self._awaited[state]:
                del self._awaited[state]
        self._open[key] = states
        for state in states:
            self._awaited.setdefault(state, set()).add(key)

    def _done(self, now: tuple[str, str]) -> None:
        """Note what the resident did; once it is all, it is known what became of the firing."""
        for key in self._awaited.pop(now, ()):
            self._open[key].discard(now)
            if not self._open[key]:
                del self._open[key]
                self._rests.pop(key, None)

    def _await(self, waiting: Mapping[str, set[tuple[str, str]]]) -> None:
        self._open, self._awaited = {}, {}
        for key, states in waiting.items():
            self._expect(key, states)

    # ------------------------------------------------------------------------------------- times

    def _on_time(self, at: datetime, context: Context) -> Iterator[tuple[str, Routine]]:
        if self._seen is not None and at <= self._seen:
            return
        self._watch_sun(at, context.daylight)
        if self._soonest is not None and at < self._soonest:
            self._seen = at
            return
        zone = context.local.tzinfo
        assert zone is not None  # a context's local time is aware
        after = (self._seen or at - timedelta(microseconds=1)) if self._timed else at
        for key, routine in self._timed.items():
            due = self._due.get(key)
            if due is None:
                due = self._next(routine, after, zone)
            if due is not None and due <= at:
                if at - due <= _LATE:
                    yield key, routine
                due = self._next(routine, at, zone)
            self._due[key] = due
        known = [due for due in self._due.values() if due is not None]
        self._soonest = min(known) if known and len(known) == len(self._due) else None
        if self._timed:  # else the last tick means nothing, and a snapshot needn't know it
            self._seen = at

    def _next(self, routine: Routine, after: datetime, zone: tzinfo) -> datetime | None:
        """Return the first due time after a moment; None: not known yet."""
        trigger = routine.trigger
        today = after.astimezone(zone).date()
        if isinstance(trigger, AtTime):
            clock = time(trigger.minute // 60, trigger.minute % 60)
            days = (today + n * _DAY for n in (0, 1, 2))
            times = [datetime.combine(d, clock, zone).astimezone(after.tzinfo) for d in days]
        else:
            assert isinstance(trigger, AtSun)
            times = self._suns(trigger, today)
        return next((t for t in sorted(times) if t > after), None)

    def _suns(self, trigger: AtSun, today: date) -> list[datetime]:
        offset = timedelta(minutes=trigger.offset_min)
        if self._sun_times is not None:
            days = (today + n * _DAY for n in (-1, 0, 1, 2))
            return [t + offset for d in days if (t := self._sun_times(trigger.event, d)) is not None]
        seen = self._sun.get(trigger.event)
        # Before the sun, only yesterday's is known; it moves by four minutes a day at the most.
        return [] if seen is None else [seen + offset + (_DAY if offset < timedelta() else timedelta())]

    def _watch_sun(self, at: datetime, daylight: bool | None) -> None:  # noqa: FBT001 - what it sees
        if daylight is not None and self._daylight is not None and daylight is not self._daylight:
            event = SunEvent.SUNRISE if daylight else SunEvent.SUNSET
            self._sun[event] = at
            if self._sun_times is None:
                for key, routine in self._timed.items():
                    trigger = routine.trigger
                    if isinstance(trigger, AtSun) and trigger.event is event:
                        self._due[key] = self._suns(trigger, at.date())[0]
                        self._soonest = None
        self._daylight = daylight

    # --------------------------------------------------------------------------------- snapshots

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot, without the routines."""
        return {
            "rests": {k: at.isoformat() for k, at in self._rests.items()},
            "open": {k: sorted(states) for k, states in self._open.items()},
            "seen": self._seen and self._seen.isoformat(),
            "daylight": self._daylight,
            "sun": {event.value: at.isoformat() for event, at in self._sun.items()},
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`, into a matcher that watches the same routines."""
        self._rests = {k: utc(at) for k, at in data["rests"].items()}
        self._await({k: {(e, s) for e, s in states} for k, states in data["open"].items()})
        self._seen = utc(data["seen"]) if data["seen"] else None
        self._daylight = data["daylight"]
        self._sun = {SunEvent(event): utc(at) for event, at in data["sun"].items()}
        self._due, self._soonest = {}, None


def sun_of(calendar: Calendar) -> SunTimes | None:
    """Return when the sun rises and sets in a home; None where its place isn't known."""
    if calendar.sun_times(date(2000, 3, 20)) is None:
        return None

    def times(event: SunEvent, day: date) -> datetime | None:
        known = calendar.sun_times(day)
        if known is None or isinstance(known, bool):
            return None
        return known[event is SunEvent.SUNSET].astimezone(UTC)

    return times


def reached(change: StateChange) -> str:
    """Return the state that a change counts as: whoever is anywhere else is not home.

    >>> at = utc("2024-03-04T18:00:00+00:00")
    >>> reached(StateChange("person.ada", "work", at, at, "home"))
    'not_home'
    """
    if change.domain in _PEOPLE and change.new != "home":
        return "not_home" if change.old == "home" else change.new
    return change.new


def remaining(routine: Routine, home: HomeState) -> tuple[Step, ...]:
    """Return the steps that would change something, one after the other; what isn't there is left out."""
    now: dict[str, str | None] = {}
    steps = []
    for step in routine.steps:
        entity = home.get(step.entity_id)
        if step.entity_id not in now:
            now[step.entity_id] = entity.state if entity else None
        if now[step.entity_id] != step.state or (entity and not _at_target(step, entity)):
            steps.append(step)
            now[step.entity_id] = step.state
    trigger = routine.trigger
    if isinstance(trigger, OnState):
        done = (trigger.entity_id, trigger.state)
        if steps and (steps[0].entity_id, steps[0].state) == done:
            steps.pop(0)  # it has just been done, whatever its numbers
    return tuple(steps) if len(steps) < len(routine.steps) else routine.steps  # of which there is one already


def _at_target(step: Step, entity: EntityState) -> bool:
    """Whether the numbers that the step sets are near what they are: a tenth of the usual spread's ends."""
    if entity.state != step.state:
        return True  # decided by the state
    for target in step.targets:
        value = entity.attributes.get(target.name)
        slack = 0.1 * max(abs(target.high), 1e-9)
        if isinstance(value, int | float) and not target.low - slack <= value <= target.high + slack:
            return False
    return True
