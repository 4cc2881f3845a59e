"""Runs: what is switched on, and goes off as long after as always."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from routines.actions import Item
from routines.coincidence import Coincidence
from routines.habit import LEAST_HITS, LEAST_RATE, PAUSES_S, Habit, ordered, quantile

RUN_S: Final = (1.0, 3 * 3600.0)
"""How long something may run that is switched on and off again as one habit."""

ENDS_S: Final = 2700.0
"""What a habit switched on is switched off within this time, to be part of it."""

STEADY: Final = 2.5
"""The 90th percentile of a run's length is at most so many times the 10th."""

WIDTHS_S: Final = (30.0, 120.0, PAUSES_S[1])
_STRETCH: Final = 1.6  # around the median length
_LIKELY: Final = 0.05
_REST: Final = frozenset({"off", "closed", "locked"})


class Runs:
    """Finds runs of one entity that are of nearly one length, or all short.

    `found`: all of them, the rarest by chance first; `ends`: the items that end one, which aren't the
    resident's next idea but belong to the beginning. Complexity: O(actions).
    """

    def __init__(self, guard: Coincidence) -> None:
        self._guard = guard
        self._history = guard.history
        self.found = sorted(self._find_runs(), key=lambda h: h.p)
        short = (r for r in self.found if r.p < _LIKELY and r.offset_s(r.items[1]) <= ENDS_S)
        self.ends = frozenset(run.items[1] for run in short)

    def with_ends(self, habit: Habit) -> Habit:
        """Add the end of a steady run that a habit begins; but a light goes off when somebody leaves."""
        if len(habit.items) < 2:
            return habit
        for item in habit.items:
            if item.domain == "light":
                continue
            for off in self._guard.common:
                if off.entity_id == item.entity_id and off.state != item.state and off not in habit.items:
                    habit = self._with_end(habit, item, off)
        return habit

    def _with_end(self, habit: Habit, on: Item, off: Item) -> Habit:
        ends = dict(self._lengths(on, off))
        lengths = sorted(ends[o[on]] - o[on] for o in habit.occurrences if o.get(on) in ends)
        self._guard.tests += 1
        if not self._steady(lengths, sum(on in o for o in habit.occurrences)):
            return habit
        mid = quantile(lengths, 0.5)
        if mid > ENDS_S:
            return habit
        starts = [o[on] for o in habit.occurrences if on in o]
        tail = self._guard.test(starts, off, [(mid / _STRETCH, mid * _STRETCH)])
        if tail.p > 1e-3:
            return habit
        occurrences = tuple({**o, off: ends[o[on]]} if o.get(on) in ends else o for o in habit.occurrences)
        items = (*habit.items, off)
        return ordered(Habit(items, occurrences, habit.p, (*habit.grown, off)))

    def _find_runs(self) -> Iterator[Habit]:
        """Yield what is switched on and goes off a steady time later."""
        states = defaultdict(list)
        for item in self._guard.common:
            states[item.entity_id].append(item)
        for items in states.values():
            for on, off in ((a, b) for a in items for b in items if a.state != b.state):
                if on.state in _REST:
                    continue
                if (run := self._run(on, off)) is not None:
                    yield run

    def _run(self, on: Item, off: Item) -> Habit | None:
        lengths = list(self._lengths(on, off))
        self._guard.tests += 1
        sizes = sorted(end - start for start, end in lengths)
        n = len(self._history.times[on])
        if not self._steady(sizes, n) and not self._short(sizes, n):
            return None
        mid = quantile(sizes, 0.5)
        windows = [(mid / _STRETCH, mid * _STRETCH), *((0.0, w) for w in WIDTHS_S)]
        tail = self._guard.test(self._history.times[on], off, windows, weekdays=False)
        return Habit((on, off), tuple({on: s, off: e} for s, e in lengths), tail.p, (on, off))

    def _steady(self, lengths: Sequence[float], n: int) -> bool:
        """Whether runs, sorted by length, are nearly all there and nearly equal."""
        if len(lengths) < LEAST_HITS or len(lengths) < LEAST_RATE * n:
            return False
        low, mid, high = (quantile(lengths, q) for q in (0.1, 0.5, 0.9))
        return RUN_S[0] <= mid <= RUN_S[1] and high <= STEADY * low

    def _short(self, lengths: Sequence[float], n: int) -> bool:
        """Whether runs, sorted by length, are nearly all over within the pause between two steps."""
        if len(lengths) < LEAST_HITS or len(lengths) < LEAST_RATE * n:
            return False
        mid, high = (quantile(lengths, q) for q in (0.5, 0.9))
        return mid >= RUN_S[0] and high <= PAUSES_S[1]

    def _lengths(self, on: Item, off: Item) -> Iterator[tuple[float, float]]:
        """Yield the start and end of each time that it was on."""
        ends = self._history.times[off]
        starts = self._history.times[on]
        for start, following in zip(starts, [*starts[1:], math.inf], strict=True):
            n = bisect_left(ends, start)
            if n < len(ends) and ends[n] < min(following, start + 2 * RUN_S[1]):
                yield start, ends[n]
