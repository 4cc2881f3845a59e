"""What may start a habit: a time of day, the sun, its own first action, a sensor, somebody who comes."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Final

from routines.actions import Item
from routines.conditions import WEEKDAYS, WEEKEND, unrolled
from routines.habit import LEAST_HITS, Habit
from routines.history import History
from routines.matching import sun_of
from routines.routine import (
    MINUTES_A_DAY,
    AtSun,
    AtTime,
    Conditions,
    OnState,
    Routine,
    Step,
    SunEvent,
    Target,
    Trigger,
)

CUE_S: Final = 300.0
"""How long before a habit begins something may have happened that starts it."""

_AT_ONCE_S: Final = 60.0  # who acts within a minute of a cue would have it done at once
_CUE_RATE: Final = 0.4  # of the occasions that come after it
_EARLY: Final = (0.2, 0.5)  # of the days, the share on which the resident is earlier: few, or half of them
_MOST_SPREAD_MIN: Final = 180


def proposals(history: History, habit: Habit) -> Iterator[Routine]:
    """Yield the habit as a routine for each trigger that it may have, without conditions."""
    if len(habit.items) == 1:  # by itself, an hour is no habit
        cue = habit.grown[0]
        if not _ends_itself(habit, cue):
            yield from _after(history, habit, cue, _before(history, habit, cue))
        return
    yield from _timed(history, habit)
    yield from _solar(history, habit)
    for item in habit.items[:-1]:
        if len(_at(habit, item)) >= LEAST_HITS and not _ends_itself(habit, item):
            yield from _after(history, habit, item, dict(_own(habit, item)))
    for cue, before in _cues(history, habit).items():
        yield from _after(history, habit, cue, before)


def _ends_itself(habit: Habit, cue: Item) -> bool:
    """Whether a device only goes off after it went on: an appliance does so when it is done."""
    return all(item.entity_id == cue.entity_id for item in habit.items)


def _own(habit: Habit, item: Item) -> Iterator[tuple[int, float]]:
    """Yield where in the list of occurrences an item began what was left, and when."""
    for n, o in enumerate(habit.occurrences):
        if item in o and any(t > o[item] for t in o.values()):
            yield n, o[item]


def _at(habit: Habit, item: Item) -> list[float]:
    return [o[item] for o in habit.occurrences if item in o]


# ------------------------------------------------------------------------------------------ times


def _timed(history: History, habit: Habit) -> Iterator[Routine]:
    moments = [history.moment(start, followed=True) for start in habit.starts]
    for weekdays in ((), WEEKDAYS, WEEKEND):
        own = [m.minute for m in moments if not weekdays or m.weekday in weekdays]
        if len(own) < LEAST_HITS:
            continue
        line = _densest(unrolled(own))
        early, late = line[0], line[-1]
        if late - early > _MOST_SPREAD_MIN:
            continue
        for share in _EARLY:
            minute = line[int(share * len(line))]
            trigger = AtTime(minute % MINUTES_A_DAY, minute - early, late - minute)
            yield _routine(history, habit, trigger, Conditions(weekdays=weekdays))


def _densest(line: Sequence[int], share: float = 0.8) -> Sequence[int]:
    """Return the shortest stretch with a share of the minutes: what happens at other hours is left out."""
    n = max(2, round(share * len(line)))
    first = min(range(len(line) - n + 1), key=lambda i: line[i + n - 1] - line[i])
    low, high = line[first], line[first + n - 1]
    slack = max(10, high - low)
    return [m for m in line if low - slack <= m <= high + slack]


def _solar(history: History, habit: Habit) -> Iterator[Routine]:
    """Yield the habit at sunrise and sunset, if it keeps to the sun more closely than to the clock."""
    clock = _spread([history.moment(t, followed=True).minute for t in habit.starts])
    times = sun_of(history.calendar)
    if times is None:
        return
    for event in SunEvent:
        offsets = []
        for start in habit.starts:
            at = datetime.fromtimestamp(start, UTC)
            sun = times(event, at.astimezone(history.calendar.zone).date())
            if sun is not None:
                offsets.append(round((at - sun).total_seconds() / 60))
        if len(offsets) < LEAST_HITS or _spread(offsets) > 0.7 * clock or abs(median(offsets)) > 180:
            continue
        offset = sorted(offsets)[int(_EARLY[0] * len(offsets))]
        yield _routine(history, habit, AtSun(event, offset), Conditions())


def _spread(minutes: Sequence[int]) -> float:
    line = sorted(minutes)
    return float(line[round(0.8 * (len(line) - 1))] - line[round(0.2 * (len(line) - 1))])


# ------------------------------------------------------------------------------------------ states


def _cues(history: History, habit: Habit) -> dict[Item, dict[int, float]]:
    """Return what often happened shortly before the habit began: its last time before each occurrence."""
    found: dict[Item, dict[int, float]] = {}
    counts: Counter[Item] = Counter()
    signals = history.signals
    for n, start in enumerate(habit.starts):
        last = bisect_left(signals, start, key=lambda s: s.at)
        first = bisect_left(signals, start - CUE_S, key=lambda s: s.at)
        for signal in signals[first:last]:
            found.setdefault(signal.item, {})[n] = signal.at
    for item, before in found.items():
        counts[item] = len(before)
    least = max(LEAST_HITS, _CUE_RATE * len(habit.occurrences))
    return {item: found[item] for item, n in sorted(counts.items()) if n >= least}


def _before(history: History, habit: Habit, cue: Item) -> dict[int, float]:
    """Return when a cue last came before each occurrence, where it did."""
    found = {}
    for n, start in enumerate(habit.starts):
        if times := history.between(cue, start - CUE_S, start):
            found[n] = times[-1]
    return found


def _after(history: History, habit: Habit, cue: Item, before: Mapping[int, float]) -> Iterator[Routine]:
    """Yield the habit as what follows a state."""
    if len(before) < LEAST_HITS:
        return
    trigger = OnState(cue.entity_id, cue.state)
    yield _routine(history, habit, trigger, Conditions(), before)


# ------------------------------------------------------------------------------------------- steps


def _routine(
    history: History,
    habit: Habit,
    trigger: Trigger,
    conditions: Conditions,
    before: Mapping[int, float] | None = None,
) -> Routine:
    steps = tuple(_steps(history, habit, before))
    return Routine("", trigger, steps, conditions)


def _steps(history: History, habit: Habit, before: Mapping[int, float] | None) -> Iterator[Step]:
    delays = {}
    for item in habit.items:
        lags = [
            o[item] - (min(o.values()) if before is None else before[n])
            for n, o in enumerate(habit.occurrences)
            if item in o and (before is None or n in before)
        ]
        delays[item] = max(0.0, median(lags)) if lags else 0.0
    first = min(delays.values())
    at_once = first if first <= _AT_ONCE_S else 0.0
    for item in sorted(habit.items, key=lambda i: (delays[i], habit.items.index(i))):
        delay = round(delays[item] - at_once)
        yield Step(item.entity_id, item.state, float(delay), _targets(history, habit, item))


def _targets(history: History, habit: Habit, item: Item) -> tuple[Target, ...]:
    """Return the numbers that go with a step, where the entity is given different ones."""
    if len({i.bucket for i in history.times if (i.entity_id, i.state) == (item.entity_id, item.state)}) < 2:
        return ()
    values: dict[str, list[float]] = {}
    for at in _at(habit, item):
        for name, value in history.targets.get((item, at), {}).items():
            values.setdefault(name, []).append(value)
    return tuple(
        Target(name, median(v), sorted(v)[len(v) // 10], sorted(v)[-1 - len(v) // 10], len(v))
        for name, v in sorted(values.items())
    )
