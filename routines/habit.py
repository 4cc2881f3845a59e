"""A habit as it is mined: what goes together, and every time that it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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

AS_GOOD_AS_EVEN_S: Final = 30.0
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


def recollect(habit: Habit, history: History) -> Habit:
    """Return a habit with every time that most of it was done in a longer history, at its pauses."""
    anchor = habit.grown[-1] if len(habit.items) == 1 else habit.grown[0]
    lags = {i: habit.offset_s(i) - habit.offset_s(anchor) for i in habit.items}
    occurrences = []
    for at in history.times.get(anchor, []):
        found = {anchor: at}
        for item, lag in lags.items():
            reach = max(PAUSES_S[1], LIKE * abs(lag))
            near = history.between(item, at + lag - reach, at + lag + reach)
            if item != anchor and near:
                found[item] = min((abs(t - at - lag), t) for t in near)[1]
        if len(habit.items) == 1:
            done = bool(history.between(habit.grown[0], at - PAUSES_S[1], at))
        else:
            done = 2 * len(found) > len(habit.items)
        if done:
            occurrences.append(found)
    return replace(habit, occurrences=tuple(occurrences)) if occurrences else habit


def is_walk(habit: Habit) -> bool:
    """Whether it may be somebody who goes from room to room: lights go off and on, and nothing else."""
    return all(i.domain == "light" for i in habit.items) and len({i.state for i in habit.items}) > 1 < len(
        {i.entity_id for i in habit.items}
    )


def ordered(habit: Habit) -> Habit:
    """Return a habit with its steps in the order in which they are usually taken."""
    return replace(habit, items=tuple(sorted(habit.items, key=lambda i: (habit.offset_s(i), i))))


def in_turn(lags: Sequence[float]) -> bool:
    """Whether one follows the other in the same order, after about the same pause.

    What both owe to a third thing, like getting up, comes near but not in turn.
    """
    line = sorted(lags)
    low, mid, high = (quantile(line, q) for q in (0.25, 0.5, 0.75))
    after = sum(lag >= 0.0 for lag in line)
    return max(after, len(line) - after) >= IN_ORDER * len(line) and high - low <= max(
        AS_GOOD_AS_EVEN_S, LIKE * abs(mid)
    )


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
