"""A habit as it is mined: what goes together, and every time that it did."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Final

from routines.actions import Item
from routines.history import History

LEAST_HITS: Final = 4
"""What happened less often is no habit."""

LEAST_RATE: Final = 0.6
"""Of the times when a step would have changed something, the share in which it was taken."""

PAUSES_S: Final = (180.0, 300.0)
"""Bounds of what may lie between two steps of a habit."""

IN_ORDER: Final = 0.85
"""Of the times, the share at which two steps come in the same order."""

WALK_S: Final = 30.0
"""Who goes from one room to the next is there by then."""

AS_GOOD_AS_EVEN_S: Final = 30.0
_SPARE_S: Final = 1800.0
LIKE: Final = 0.8
"""The interquartile range of a pause is at most so much of it, or so many seconds."""


@dataclass(frozen=True, slots=True)
class Habit:
    """Items that go together, in order, and every time that they did."""

    items: tuple[Item, ...]
    occurrences: tuple[Mapping[Item, float], ...]
    p: float = 1.0
    grown: tuple[Item, ...] = ()  # the items in the order in which they were found

    @property
    def starts(self) -> list[float]:
        """Return when it began, each time."""
        return [min(o.values()) for o in self.occurrences]

    def offset_s(self, item: Item) -> float:
        """Return the median seconds from the beginning to a step."""
        return median(o[item] - min(o.values()) for o in self.occurrences if item in o)


def recollect(habit: Habit, history: History, *, unusual: float = 0.0) -> Habit:
    """Return a habit with every time that most of what was left of it to do was done, at its pauses.

    `unusual`: leaves out the hours at both ends at which this share is done.
    """
    if len(habit.items) == 1:
        return _recollect_answer(habit, history)
    lags = {i: habit.offset_s(i) for i in habit.items}
    hours = _hours(habit, history, unusual)
    kinds = {history.on_weekend(t) for t in habit.starts}
    occurrences: list[Mapping[Item, float]] = []
    seen: set[tuple[Item, float]] = set()
    for anchor in habit.grown:
        for at in history.times.get(anchor, []):
            if (anchor, at) in seen or not hours[0] <= history.clock(at)[1] <= hours[1]:
                continue
            if history.on_weekend(at) not in kinds:
                continue
            found = dict(_together(history, anchor, at, lags))
            if seen.isdisjoint(found.items()) and len(found) > max(1, len(left_out(habit, found, history))):
                occurrences.append(found)
                seen |= found.items()
    occurrences.sort(key=lambda o: min(o.values()))
    return replace(habit, occurrences=tuple(occurrences)) if occurrences else habit


def _hours(habit: Habit, history: History, share: float) -> tuple[float, float]:
    """Return between what hours of the resident's day it is done, but for a share at both ends."""
    clocks = sorted(history.clock(t)[1] for o in habit.occurrences for t in o.values())
    return quantile(clocks, share) - _SPARE_S, quantile(clocks, 1.0 - share) + _SPARE_S


def _recollect_answer(habit: Habit, history: History) -> Habit:
    cue, item = habit.grown
    found = tuple({item: t} for t in history.times[item] if history.between(cue, t - PAUSES_S[1], t))
    return replace(habit, occurrences=found) if found else habit


def _together(
    history: History, anchor: Item, at: float, lags: Mapping[Item, float]
) -> Iterator[tuple[Item, float]]:
    yield anchor, at
    for item, offset in lags.items():
        lag = offset - lags[anchor]
        reach = max(PAUSES_S[1], LIKE * abs(lag))
        near = history.between(item, at + lag - reach, at + lag + reach)
        if item != anchor and near:
            yield item, min((abs(t - at - lag), t) for t in near)[1]


def left_out(habit: Habit, occurrence: Mapping[Item, float], history: History) -> list[Item]:
    """Return the steps that there was occasion to take, and that weren't taken."""
    start = min(occurrence.values())
    return [
        item
        for n, item in enumerate(habit.items)
        if item not in occurrence
        and (
            any(i in occurrence for i in habit.items[:n] if i.entity_id == item.entity_id)  # it was begun
            or history.state(item.entity_id, start) not in {item.state, None}
        )
    ]


def earned(habit: Habit, history: History, since: float, least: float) -> Habit:
    """Return a habit without the steps that don't earn their place.

    When most of the others are done, and a step is left to do, it has to be done `least` times for each time
    that it isn't; what came before `since` counts half. The worst goes first.

    Complexity: O(steps³ · occurrences).
    """
    while len(habit.items) > 2:
        odds, worst = min((_odds(habit, i, history, since), i) for i in habit.items)
        if odds >= least:
            break
        habit = _without(habit, worst)
    return habit


def _odds(habit: Habit, item: Item, history: History, since: float) -> float:
    """Return how often a step is done for each time that it isn't; one more is granted."""
    done = not_done = 0.0
    lags = {i: habit.offset_s(i) for i in habit.items}
    for others in recollect(_without(habit, item), history, unusual=0.1).occurrences:
        weight = 1.0 if min(others.values()) >= since else 0.5
        anchor = min(others, key=lambda i: abs(lags[i] - lags[item]))
        near = dict(_together(history, anchor, others[anchor], {anchor: lags[anchor], item: lags[item]}))
        if item in near:
            done += weight
        elif item in left_out(habit, others, history):
            not_done += weight
    return (done + 1.0) / not_done if not_done else math.inf


def _without(habit: Habit, item: Item) -> Habit:
    kept = tuple(i for i in habit.items if i != item)
    occurrences = ({i: t for i, t in o.items() if i != item} for o in habit.occurrences)
    return replace(
        habit,
        items=kept,
        occurrences=tuple(o for o in occurrences if o),
        grown=tuple(i for i in habit.grown if i != item),
    )


def is_walk(habit: Habit) -> bool:
    """Whether it may be somebody who goes from room to room: lights go off and on at once, nothing else."""
    lights = all(i.domain == "light" for i in habit.items) and len({i.entity_id for i in habit.items}) > 1
    if not lights or len({i.state for i in habit.items}) == 1:
        return False
    offsets = sorted(habit.offset_s(i) for i in habit.items)
    return all(b - a <= WALK_S for a, b in pairwise(offsets))


def ordered(habit: Habit) -> Habit:
    """Return a habit with its steps in the order in which they are usually taken."""
    return replace(habit, items=tuple(sorted(habit.items, key=lambda i: (habit.offset_s(i), i))))


def in_turn(lags: Sequence[float]) -> bool:
    """Whether one follows the other in the same order, after about the same pause.

    What both owe to a third thing, like getting up, comes near but not in turn.
    """
    line, n = sorted(lags), len(lags)
    low, mid, high = (quantile(line, q) for q in (0.25, 0.5, 0.75))
    after = sum(lag >= 0.0 for lag in line)
    like = LIKE * (1.0 + 1.0 / math.sqrt(n))
    return nearly(IN_ORDER, max(after, n - after), n) and high - low <= max(
        AS_GOOD_AS_EVEN_S, like * abs(mid)
    )


def nearly(share: float, k: int, n: int) -> bool:
    """Whether k of n may be so large a share, but for a standard error.

    >>> nearly(0.8, 8, 11), nearly(0.8, 80, 110)
    (True, False)
    """
    return k >= share * n - math.sqrt(share * (1.0 - share) * n)


def around(lags: Sequence[float]) -> tuple[float, float]:
    """Return a stretch that holds what is usual: thrice the interquartile range about the median."""
    line = sorted(lags)
    low, mid, high = (quantile(line, q) for q in (0.25, 0.5, 0.75))
    half = max(10.0, 1.5 * (high - low))
    return mid - half, mid + half


def quantile(line: Sequence[float], q: float) -> float:
    """Return a quantile of values in order."""
    return line[round(q * (len(line) - 1))]


def overlap(one: Habit, other: Habit) -> float:
    """Return the share of the first one's occurrences that share an event with one of the second's."""
    events = {(i, t) for o in other.occurrences for i, t in o.items()}
    return sum(any((i, t) in events for i, t in o.items()) for o in one.occurrences) / len(one.occurrences)
