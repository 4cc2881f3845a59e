"""A home's past as the miner sees it: what was done and what happened, by item, day and clock."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, date, datetime, timedelta
from typing import Final

from devices.context import Calendar, Occupancy, OccupancyTracker
from devices.events import NOT_A_STATE, StateChange
from devices.state import HomeState
from routines.actions import COMMANDABLE, Action, Item, Signal, actions_of, signals_of
from routines.conditions import WEEKEND, Moment

DAY_S: Final = 86_400.0
DAY_STARTS_S: Final = 4 * 3600.0
"""A day of a resident begins at four: what is done after midnight belongs to the evening."""

_CACHED: Final = 200_000
_LEAST_DAYS: Final = 4  # of one kind, that can be shuffled among one another
_CUES: Final = frozenset({"alarm_control_panel", "binary_sensor", "device_tracker", "person"})
_KINDS: Final = (tuple(range(7)), (0, 0, 0, 0, 0, 1, 1), (0,) * 7)


class History:
    """Folded changes of a stretch of time, and what the miner asks about them.

    Numeric sensors are left out. Memory: O(changes). A look-up takes O(log n).
    """

    def __init__(
        self, changes: Iterable[StateChange], calendar: Calendar, *, include_unknown: bool = False
    ) -> None:
        self.calendar = calendar
        self.events = 0
        self.changes: list[StateChange] = []
        self.names: dict[str, str] = {}
        self._whereabouts: list[tuple[float, Occupancy]] = []  # since when
        self._states: dict[str, tuple[list[float], list[str]]] = {}
        self._fold(changes)
        self.actions: list[Action] = actions_of(self.changes, include_unknown=include_unknown)
        self.signals: list[Signal] = signals_of(self.changes)
        self.targets = {(a.item, a.at): a.targets for a in self.actions if a.targets}
        self.times: dict[Item, list[float]] = defaultdict(list)
        for action in self.actions:
            self.times[action.item].append(action.at)
        for signal in self.signals:
            self.times[signal.item].append(signal.at)
        self._clock: dict[float, tuple[int, float]] = {}
        zone = calendar.zone  # `clock` would remember each of these
        self.days = sorted({_on_the_clock(c.changed_at.astimezone(zone))[0] for c in self.changes})
        self._kinds = self._alike(_KINDS), self._alike(_KINDS[1:])

    def _fold(self, changes: Iterable[StateChange]) -> None:
        home, tracker = HomeState(), OccupancyTracker()
        for raw in changes:
            self.events += 1
            if raw.domain not in COMMANDABLE and raw.domain not in _CUES:
                continue
            change = home.apply(raw)
            self.changes.append(change)
            tracker.observe(change)
            at, now = change.changed_at, change.changed_at.timestamp()
            occupancy = tracker.occupancy(at, at.astimezone(self.calendar.zone))
            if not self._whereabouts or self._whereabouts[-1][1] is not occupancy:
                self._whereabouts.append((now, occupancy))
            if change.new not in NOT_A_STATE:
                times, states = self._states.setdefault(change.entity_id, ([], []))
                if not times or now >= times[-1]:
                    times.append(now)
                    states.append(change.new)
        for entity_id in home:
            if (known := home.get(entity_id)) is not None and known.name:
                self.names[entity_id] = known.name

    def kinds_for(self, days: Set[int]) -> Mapping[int, int]:
        """Return which days are alike, for something that happened on some.

        By weekday if it keeps to some of them, else workday or weekend, as far as there are enough of a kind.
        """
        fine, coarse = self._kinds
        return fine if _uneven(days, coarse) else coarse

    def _alike(self, kinds: Sequence[Sequence[int]]) -> Mapping[int, int]:
        for kind in kinds:
            of = {day: kind[date.fromordinal(day).weekday()] for day in self.days}
            sizes = Counter(of.values())
            if min(sizes.values(), default=0) >= _LEAST_DAYS:
                return of
        return dict.fromkeys(self.days, 0)

    def clock(self, at: float) -> tuple[int, float]:
        """Return the resident's day, as an ordinal, and the seconds since it began on the local clock."""
        known = self._clock.get(at)
        if known is None:
            if len(self._clock) >= _CACHED:
                self._clock.clear()
            known = self._clock[at] = _on_the_clock(datetime.fromtimestamp(at, self.calendar.zone))
        return known

    def on_weekend(self, at: float) -> bool:
        """Whether a moment lies on a resident's Saturday or Sunday."""
        return date.fromordinal(self.clock(at)[0]).weekday() in WEEKEND

    def state(self, entity_id: str, at: float) -> str | None:
        """Return the state of an entity just before a moment; None where it isn't known."""
        times, states = self._states.get(entity_id, ((), ()))
        n = bisect_left(times, at)
        return states[n - 1] if n else None

    def between(self, item: Item, since: float, until: float) -> list[float]:
        """Return when an item happened in (since, until)."""
        times = self.times.get(item, [])
        first = bisect_left(times, since)
        if first < len(times) and times[first] == since:
            first += 1
        return times[first : bisect_left(times, until, first)]

    def moment(self, at: float, *, followed: bool) -> Moment:
        """Return the circumstances of something that happened."""
        when = datetime.fromtimestamp(at, UTC)
        local = when.astimezone(self.calendar.zone)
        daylight = self.calendar.daylight(when, local.date())
        occupancy = self._occupancy(at)
        return Moment(
            local.hour * 60 + local.minute,
            local.weekday(),
            occupancy.value if occupancy else "",
            None if daylight is None else not daylight,
            followed,
        )

    def _occupancy(self, at: float) -> Occupancy | None:
        """Return what was known at the last event."""
        n = bisect_right(self._whereabouts, at, key=lambda one: one[0])
        return self._whereabouts[n - 1][1] if n else None

    def until(self, end: datetime) -> Iterator[StateChange]:
        """Yield the changes before a moment."""
        return (c for c in self.changes if c.changed_at < end)

    def day_start(self, day: int) -> datetime:
        """Return when a resident's day begins, in UTC."""
        local = datetime.combine(date.fromordinal(day), datetime.min.time()) + timedelta(seconds=DAY_STARTS_S)
        return local.replace(tzinfo=self.calendar.zone).astimezone(UTC)


def _on_the_clock(local: datetime) -> tuple[int, float]:
    """Return the resident's day of a local time, and the seconds since it began."""
    seconds = local.hour * 3600.0 + local.minute * 60.0 + local.second + local.microsecond / 1e6
    day, clock = local.toordinal(), seconds - DAY_STARTS_S
    return (day, clock) if clock >= 0 else (day - 1, clock + DAY_S)


def _uneven(days: Set[int], kinds: Mapping[int, int]) -> bool:
    """Whether days lie on some weekdays more than on others of their kind (chi² test)."""
    sizes = Counter((kind, date.fromordinal(day).weekday()) for day, kind in kinds.items())
    totals = Counter(kinds.values())
    seen = Counter((kinds[day], date.fromordinal(day).weekday()) for day in days if day in kinds)
    of = Counter(kinds[day] for day in days if day in kinds)
    chi2, freedom = 0.0, 0
    for (kind, weekday), size in sizes.items():
        share = of[kind] / totals[kind]
        if 0.0 < share < 1.0:
            expected = share * size
            chi2 += (seen[kind, weekday] - expected) ** 2 / (expected * (1.0 - share))
            freedom += 1
    freedom -= len(totals)
    return freedom > 0 and chi2 > freedom + 1.645 * (2.0 * freedom) ** 0.5  # about the 95th percentile
