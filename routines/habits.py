"""Which actions make up one habit: pairs that go together, grown as far as the same rule holds."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Final

from routines.actions import Item
from routines.guard import DayShuffle, Tail, fisher, hour_tail
from routines.history import History

LEAST_HITS: Final = 4
FEW_DAYS: Final = 21
MAYBE: Final = 0.1
"""With so few days, shuffling them can't show more than this; then the profile by the hour decides."""

LEAST_RATE: Final = 0.6
"""Of the times when a step would have changed something, the share in which it was taken."""

BOUND: Final = 0.8
"""What belongs together is within reach, not just often near: looking twice as far finds little more."""

PAUSES_S: Final = (180.0, 300.0)
"""Bounds of what may lie between two steps of a habit."""

JOINS: Final = 0.05
"""A step joins a habit if chance would have brought so good a one with this probability."""

IN_ORDER: Final = 0.85
"""Of the times, the share at which two steps come in the same order."""

AS_GOOD_AS_EVEN_S: Final = 30.0
LIKE: Final = 0.8
"""The interquartile range of a pause is at most so much of it, or so many seconds."""

APART_S: Final = 5400.0
"""Hours that are so far apart are two habits, unless they are the same in everything."""

RUN_S: Final = (1.0, 3 * 3600.0)
"""How long something may run that is switched on and off again as one habit."""

ENDS_S: Final = 2700.0
"""What a habit switched on is switched off within this time, to be part of it."""

STEADY: Final = 2.5
"""The 90th percentile of a run's length is at most so many times the 10th."""

_WIDTHS_S: Final = (30.0, 120.0, PAUSES_S[1])
_AT_ONCE_S: Final = 1.0  # what comes together is one act
REACTION_S: Final = 60.0
"""A single action is taken for the answer to a cue that came so shortly before it."""

CUE_RATE: Final = 0.3
"""A cue comes before at least this share of the actions that it is to bring about."""

_STRETCH: Final = 1.6  # around the median length of a run


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


class Habits:
    """Grows pairs of actions into habits.

    An item belongs to a habit if on most occasions on which it isn't so already the resident makes it so, and
    chance doesn't explain it (`guard`). So "TV off, lights off, door locked" is one habit, although the TV
    isn't on every night. What lies between two steps may be three times what usually does, within bounds.
    The exception is what runs for a steady time: a switch that goes off as long after it went on as always.

    Complexity: O(items · occurrences) a round of growth. Memory: O(occurrences).
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.tests = 0
        self._shuffles: dict[tuple[Item, int], DayShuffle] = {}
        self._items = sorted({a.item for a in history.actions})
        self._common = [i for i in self._items if len(history.times[i]) >= LEAST_HITS]
        self.runs = sorted(self._find_runs(), key=lambda h: h.p)
        self._ends = {run.items[1] for run in self.runs if run.p < JOINS}

    def test(
        self,
        anchors: Iterable[float],
        item: Item,
        windows: Sequence[tuple[float, float]],
        *,
        weekdays: bool = True,
    ) -> Tail:
        """Test an item after anchors, in the best of some windows; the choice is paid for.

        `weekdays`: whether both may owe something to the day of the week; one device owes it all to itself.
        """
        clocks = [self.history.clock(t) for t in anchors]
        kinds = self.history.kinds_for({day for day, _ in clocks} if weekdays else frozenset())
        if (item, id(kinds)) not in self._shuffles:
            times = [self.history.clock(t) for t in self.history.times[item]]
            self._shuffles[item, id(kinds)] = DayShuffle(times, kinds)
        shuffle = self._shuffles[item, id(kinds)]
        tails = [shuffle.test(clocks, low, high) for low, high in windows]
        if len(self.history.days) < FEW_DAYS:
            times = [self.history.clock(t) for t in self.history.times[item]]
            days = len(self.history.days)
            hours = [hour_tail(clocks, times, window, days) for window in windows]
            tails = [h if t.p < MAYBE else t for h, t in zip(hours, tails, strict=True)]
        best = min(tails, key=lambda t: t.p)
        return replace(best, p=min(1.0, best.p * len(windows)))

    # -------------------------------------------------------------------------------------- runs

    def _find_runs(self) -> Iterator[Habit]:
        """Yield what is switched on and goes off a steady time later."""
        states = defaultdict(list)
        for item in self._common:
            states[item.entity_id].append(item)
        for items in states.values():
            for on, off in ((a, b) for a in items for b in items if a.state != b.state):
                if on.state in {"off", "closed", "locked"}:
                    continue
                if (run := self._run(on, off)) is not None:
                    yield run

    def _run(self, on: Item, off: Item) -> Habit | None:
        lengths = list(self._lengths(on, off))
        self.tests += 1
        sizes = sorted(end - start for start, end in lengths)
        n = len(self.history.times[on])
        if not self._steady(sizes, n) and not self._short(sizes, n):
            return None
        mid = _quantile(sizes, 0.5)
        windows = [(mid / _STRETCH, mid * _STRETCH), *((0.0, w) for w in _WIDTHS_S)]
        tail = self.test(self.history.times[on], off, windows, weekdays=False)
        return Habit((on, off), tuple({on: s, off: e} for s, e in lengths), tail.p, (on, off))

    def _steady(self, lengths: Sequence[float], n: int) -> bool:
        """Whether runs, sorted by length, are nearly all there and nearly equal."""
        if len(lengths) < LEAST_HITS or len(lengths) < LEAST_RATE * n:
            return False
        low, mid, high = (_quantile(lengths, q) for q in (0.1, 0.5, 0.9))
        return RUN_S[0] <= mid <= RUN_S[1] and high <= STEADY * low

    def _short(self, lengths: Sequence[float], n: int) -> bool:
        """Whether runs, sorted by length, are nearly all over within the pause between two steps."""
        if len(lengths) < LEAST_HITS or len(lengths) < LEAST_RATE * n:
            return False
        mid, high = (_quantile(lengths, q) for q in (0.5, 0.9))
        return mid >= RUN_S[0] and high <= PAUSES_S[1]

    def _lengths(self, on: Item, off: Item) -> Iterator[tuple[float, float]]:
        """Yield the start and end of each time that it was on."""
        ends = self.history.times[off]
        starts = self.history.times[on]
        for start, following in zip(starts, [*starts[1:], math.inf], strict=True):
            n = bisect_left(ends, start)
            if n < len(ends) and ends[n] < min(following, start + 2 * RUN_S[1]):
                yield start, ends[n]

    # ------------------------------------------------------------------------------------- pairs

    def pairs(self, sequences: Iterable[Sequence[Item]]) -> list[Habit]:
        """Return pairs of actions on different entities that go together, the closest first.

        `sequences`: what to look at; every two items that follow each other in one.
        """
        found = []
        close = {tuple(sorted(two)) for items in sequences for two in pairwise(items)}
        for a, b in sorted(close):
            if a.entity_id == b.entity_id or {a, b} & self._ends:
                continue
            self.tests += 1
            few, many = sorted((a, b), key=lambda i: len(self.history.times[i]))
            occurrences = tuple(self._meetings(few, many, PAUSES_S[1]))
            rate = len(occurrences) / len(self.history.times[few])
            if len(occurrences) < LEAST_HITS or rate < LEAST_RATE / 3:
                continue
            if len(occurrences) < BOUND * sum(1 for _ in self._meetings(few, many, 2.0 * PAUSES_S[1])):
                continue
            lags = [o[many] - o[few] for o in occurrences]
            if not _in_turn(lags):
                continue
            around = _around(lags)
            tail = self.test(self.history.times[few], many, [around, *((-w, w) for w in _WIDTHS_S)])
            if tail.p < 0.01:
                found.append(_ordered(Habit((a, b), occurrences, tail.p, (few, many))))
        return sorted(found, key=lambda h: (self._window(h), h.p))

    def by_hour(self, habit: Habit) -> list[Habit]:
        """Return a habit, or several if its hours lie far apart: more may go with one of them."""
        hours = sorted((self.history.clock(min(o.values()))[1], n) for n, o in enumerate(habit.occurrences))
        groups: list[list[tuple[float, int]]] = []
        for clock, n in hours:
            if groups and clock - groups[-1][-1][0] <= APART_S:
                groups[-1].append((clock, n))
            else:
                groups.append([(clock, n)])
        groups = [g for g in groups if len(g) >= LEAST_HITS]
        if len(groups) < 2 or any(g[-1][0] - g[0][0] > 2.0 * APART_S for g in groups):
            return [habit]
        of = [tuple(habit.occurrences[n] for _, n in sorted(g, key=lambda one: one[1])) for g in groups]
        return [_ordered(replace(habit, occurrences=o)) for o in of]

    def _meetings(self, one: Item, other: Item, within_s: float) -> Iterator[Mapping[Item, float]]:
        for at in self.history.times[one]:
            near = self.history.between(other, at - within_s, at + within_s)
            if near:
                yield {one: at, other: min(near, key=lambda t: abs(t - at))}

    # ------------------------------------------------------------------------------------ growth

    def grow(self, habit: Habit) -> Habit:
        """Add items as long as one belongs to it."""
        while (grown := self._step(habit)) is not None:
            habit = grown
        return habit

    def _step(self, habit: Habit) -> Habit | None:
        window = self._window(habit)
        nearby: Counter[Item] = Counter()
        for o in habit.occurrences:
            nearby.update(self._near(o, window))
        best: tuple[int, Habit] | None = None
        for item, count in sorted(nearby.items()):
            if count < LEAST_HITS or item in self._ends or any(_clash(item, i) for i in habit.items):
                continue
            self.tests += 1
            hits, chances = self._rate(habit, item, window)
            if hits < LEAST_HITS or hits < LEAST_RATE * chances or (best and hits <= best[0]):
                continue
            if hits < BOUND * self._rate(habit, item, 2.0 * window)[0]:
                continue
            grown = self._with(habit, item, window)
            p = self._link(grown, item)
            if p < JOINS:
                best = hits, replace(grown, p=fisher((habit.p, p)))
        return best[1] if best else None

    def _link(self, habit: Habit, item: Item) -> float:
        """Return how rare it is that an item keeps its distance from the step that it keeps it best from."""
        best: tuple[float, Item, tuple[float, float]] | None = None  # the narrowest
        for step in habit.items:
            lags = [o[item] - o[step] for o in habit.occurrences if item in o and step in o]
            if step != item and len(lags) >= LEAST_HITS and _in_turn(lags):
                around = _around(lags)
                if best is None or around[1] - around[0] < best[0]:
                    best = around[1] - around[0], step, around
        if best is None:
            return 1.0
        step, around = best[1:]
        anchors = [
            o[step]
            for o in habit.occurrences
            if step in o and (item in o or self._lacks(item, o[step] + min(around[0], 0.0)))
        ]
        return self.test(anchors, item, [around]).p * (len(habit.items) - 1)

    def _lacks(self, item: Item, at: float) -> bool:
        """Whether there was anything to do: the entity was in another state."""
        return self.history.state(item.entity_id, at) not in {item.state, None}

    def _window(self, habit: Habit) -> float:
        offsets = sorted(habit.offset_s(i) for i in self._quick(habit))
        gaps = [b - a for a, b in pairwise(offsets)]
        return min(PAUSES_S[1], max(PAUSES_S[0], 3.0 * max(gaps, default=0.0)))

    def _quick(self, habit: Habit) -> list[Item]:
        """Return the steps without the ends of runs."""
        began: set[str] = set()
        quick = []
        for item in habit.items:
            if item.entity_id not in began:
                quick.append(item)
            began.add(item.entity_id)
        return quick

    def _near(self, occurrence: Mapping[Item, float], window: float) -> set[Item]:
        actions = self.history.actions
        low, high = min(occurrence.values()) - window, max(occurrence.values()) + window
        first = bisect_left(actions, low, key=lambda a: a.at)
        last = bisect_left(actions, high, key=lambda a: a.at)
        return {a.item for a in actions[first:last]} - occurrence.keys()

    def _rate(self, habit: Habit, item: Item, window: float) -> tuple[int, int]:
        """Return how often an item was done along with a habit, and how often there was anything to do."""
        hits = chances = 0
        for o in habit.occurrences:
            low, high = min(o.values()) - window, max(o.values()) + window
            done = bool(self.history.between(item, low, high))
            hits += done
            chances += done or self._lacks(item, low)
        return hits, chances

    def _with(self, habit: Habit, item: Item, window: float) -> Habit:
        occurrences = []
        for o in habit.occurrences:
            low, high = min(o.values()) - window, max(o.values()) + window
            near = self.history.between(item, low, high)
            middle = median(o.values())
            occurrences.append({**o, item: min(near, key=lambda t: abs(t - middle))} if near else o)
        return _ordered(Habit((*habit.items, item), tuple(occurrences), habit.p, (*habit.grown, item)))

    # ------------------------------------------------------------------------------------- cues

    def after_cues(self) -> Iterator[Habit]:
        """Yield single actions that follow a sensor or somebody's coming, with the times of both."""
        counts: Counter[tuple[Item, Item]] = Counter()
        signals = self.history.signals
        common = set(self._common)
        for action in self.history.actions:
            if action.item in common:
                last = bisect_left(signals, action.at - _AT_ONCE_S, key=lambda s: s.at)
                first = bisect_left(signals, action.at - REACTION_S, key=lambda s: s.at)
                counts.update((c, action.item) for c in {s.item for s in signals[first:last]})
        for (cue, item), n in sorted(counts.items()):
            if n < LEAST_HITS:
                continue
            self.tests += 1
            if n < CUE_RATE * len(self.history.times[item]):
                continue
            windows = [(_AT_ONCE_S, w) for w in (REACTION_S / 4.0, REACTION_S)]
            tail = self.test(self.history.times[cue], item, windows)
            if tail.p < 0.01:
                yield Habit((item,), tuple(self._cued(cue, item)), tail.p, (cue, item))

    def _cued(self, cue: Item, item: Item) -> Iterator[Mapping[Item, float]]:
        for at in self.history.times[item]:
            if self.history.between(cue, at - REACTION_S, at - _AT_ONCE_S):
                yield {item: at}

    # -------------------------------------------------------------------------------------- ends

    def with_ends(self, habit: Habit) -> Habit:
        """Add the end of a steady run that a habit begins; but a light goes off when somebody leaves."""
        if len(habit.items) < 2:
            return habit
        for item in habit.items:
            if item.domain == "light":
                continue
            for off in self._common:
                if off.entity_id == item.entity_id and off.state != item.state and off not in habit.items:
                    habit = self._with_end(habit, item, off)
        return habit

    def _with_end(self, habit: Habit, on: Item, off: Item) -> Habit:
        ends = dict(self._lengths(on, off))
        lengths = sorted(ends[o[on]] - o[on] for o in habit.occurrences if o.get(on) in ends)
        self.tests += 1
        if not self._steady(lengths, sum(on in o for o in habit.occurrences)):
            return habit
        mid = _quantile(lengths, 0.5)
        if mid > ENDS_S:
            return habit
        starts = [o[on] for o in habit.occurrences if on in o]
        tail = self.test(starts, off, [(mid / _STRETCH, mid * _STRETCH)])
        if tail.p > 1e-3:
            return habit
        occurrences = tuple({**o, off: ends[o[on]]} if o.get(on) in ends else o for o in habit.occurrences)
        items = (*habit.items, off)
        return _ordered(Habit(items, occurrences, habit.p, (*habit.grown, off)))


def is_walk(habit: Habit) -> bool:
    """Whether it may be somebody who goes from room to room: lights go off and on, and nothing else."""
    return all(i.domain == "light" for i in habit.items) and len({i.state for i in habit.items}) > 1 < len(
        {i.entity_id for i in habit.items}
    )


def _clash(one: Item, other: Item) -> bool:
    """Whether two items can't both be steps that follow each other soon."""
    return one.entity_id == other.entity_id


def _ordered(habit: Habit) -> Habit:
    return replace(habit, items=tuple(sorted(habit.items, key=lambda i: (habit.offset_s(i), i))))


def _in_turn(lags: Sequence[float]) -> bool:
    """Whether one follows the other in the same order, after about the same pause.

    What both owe to a third thing, like getting up, comes near but not in turn.
    """
    line = sorted(lags)
    low, mid, high = (_quantile(line, q) for q in (0.25, 0.5, 0.75))
    after = sum(lag >= 0.0 for lag in line)
    return max(after, len(line) - after) >= IN_ORDER * len(line) and high - low <= max(
        AS_GOOD_AS_EVEN_S, LIKE * abs(mid)
    )


def _around(lags: Sequence[float]) -> tuple[float, float]:
    """Return a stretch that holds what is usual: thrice the interquartile range about the median."""
    line = sorted(lags)
    low, mid, high = (_quantile(line, q) for q in (0.25, 0.5, 0.75))
    half = max(10.0, 1.5 * (high - low))
    return mid - half, mid + half


def _quantile(ordered: Sequence[float], q: float) -> float:
    return ordered[round(q * (len(ordered) - 1))]


def jaccard(one: Habit, other: Habit) -> float:
    """Return what two habits have in common, of all that they have."""
    a, b = set(one.items), set(other.items)
    return len(a & b) / len(a | b)


def overlap(one: Habit, other: Habit) -> float:
    """Return the share of the first one's occurrences that share an event with one of the second's."""
    events = {(i, t) for o in other.occurrences for i, t in o.items()}
    return sum(any((i, t) in events for i, t in o.items()) for o in one.occurrences) / len(one.occurrences)
