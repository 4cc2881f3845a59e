"""Which actions make up one habit: pairs that go together, grown as far as the same rule holds."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import Final

from routines.actions import Item
from routines.coincidence import Coincidence
from routines.guard import fisher
from routines.habit import (
    LEAST_HITS,
    LEAST_RATE,
    PAUSES_S,
    Habit,
    around,
    in_turn,
    nearly,
    ordered,
    recollect,
)
from routines.history import DAY_S
from routines.runs import WIDTHS_S, Runs

BOUND: Final = 0.8
"""What belongs together is within reach, not just often near: looking twice as far finds little more."""

JOINS: Final = 0.05
"""A step joins a habit if chance would have brought so good a one with this probability.

Times the share of occasions on which it had to be done: what is rarely seen has to be surer.
"""

APART_S: Final = 5400.0
"""Hours that are so far apart are two habits, unless they are the same in everything."""

_WORTH_A_LOOK: Final = 0.01
_HOURS: Final = 2.0 * DAY_S / APART_S  # to choose from


class Habits:
    """Grows pairs of actions into habits.

    An item belongs to a habit if on most occasions on which it isn't so already the resident makes it so, and
    chance doesn't explain it (`guard`). So "TV off, lights off, door locked" is one habit, although the TV
    isn't on every night. What lies between two steps may be three times what usually does, within bounds.
    What has another step on weekends is another habit there.

    Complexity: O(items · occurrences) a round of growth. Memory: O(occurrences).
    """

    def __init__(self, guard: Coincidence, runs: Runs) -> None:
        self._guard = guard
        self._history = guard.history
        self._runs = runs
        self._ends = runs.ends

    def pairs(self, sequences: Iterable[Sequence[Item]]) -> list[Habit]:
        """Return pairs of actions on different entities that go together, the closest first.

        `sequences`: what to look at; every two items that follow each other in one.
        """
        found: list[Habit] = []
        close = {tuple(sorted(two)) for items in sequences for two in pairwise(items)}
        for a, b in sorted(close):
            if a.entity_id == b.entity_id or {a, b} & self._ends:
                continue
            pair = self._pair(a, b, self._history.times[a], self._history.times[b])
            found += [pair] if pair is not None else self._at_an_hour(a, b)
        return sorted(found, key=lambda h: (self._window(h), h.p))

    def _pair(self, a: Item, b: Item, of_a: Sequence[float], of_b: Sequence[float]) -> Habit | None:
        """Return two actions as a habit, by the times of one of them that count: of the rarer."""
        self._guard.tests += 1
        few, many, times = (a, b, of_a) if len(of_a) <= len(of_b) else (b, a, of_b)
        occurrences = tuple(self._meetings(few, many, PAUSES_S[1], times))
        if len(occurrences) < max(LEAST_HITS, LEAST_RATE / 3 * self._occasions(many, times, occurrences)):
            return None
        farther = sum(1 for _ in self._meetings(few, many, 2.0 * PAUSES_S[1], times))
        if not nearly(BOUND, len(occurrences), farther):
            return None
        lags = [o[many] - o[few] for o in occurrences]
        if not in_turn(lags):
            return None
        tail = self._guard.test(times, many, [around(lags), *((-w, w) for w in WIDTHS_S)])
        return ordered(Habit((a, b), occurrences, tail.p, (few, many))) if tail.p < _WORTH_A_LOOK else None

    def _occasions(self, item: Item, times: Iterable[float], met: Iterable[Mapping[Item, float]]) -> int:
        """Return at how many times there was occasion to do an item: it was done, or it is left to do."""
        done = {t for o in met for t in o.values()}
        return sum(t in done or self._lacks(item, t) for t in times)

    def _at_an_hour(self, a: Item, b: Item) -> Iterator[Habit]:
        """Yield two actions, often done one without the other, as a habit of the hours at which both are.

        The choice of these hours is paid for.
        """
        met = [
            self._history.clock(o[a])[1] for o in self._meetings(a, b, PAUSES_S[1], self._history.times[a])
        ]
        if len(met) < LEAST_HITS:
            return
        line = sorted(met)
        low = max(line, key=lambda c: (bisect_left(line, c + APART_S) - bisect_left(line, c), -c))
        within = [c for c in line if low <= c < low + APART_S]
        low = (within[0] + within[-1] - APART_S) / 2.0  # those hours in the middle
        own = [
            [t for t in self._history.times[i] if low <= self._history.clock(t)[1] < low + APART_S]
            for i in (a, b)
        ]
        if not all(own):
            return
        pair = self._pair(a, b, *own)
        if pair is not None and (p := min(1.0, _HOURS * pair.p)) < _WORTH_A_LOOK:
            yield replace(pair, p=p)

    def by_hour(self, habit: Habit) -> list[Habit]:
        """Return a habit, or several if its hours lie far apart: more may go with one of them."""
        hours = sorted((self._history.clock(min(o.values()))[1], n) for n, o in enumerate(habit.occurrences))
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
        whole = [o for o in of if all(any(i in one for one in o) for i in habit.items)]
        return [ordered(replace(habit, occurrences=o)) for o in whole] or [habit]

    def _meetings(
        self, one: Item, other: Item, within_s: float, times: Iterable[float]
    ) -> Iterator[Mapping[Item, float]]:
        for at in times:
            near = self._history.between(other, at - within_s, at + within_s)
            if near:
                yield {one: at, other: min(near, key=lambda t: abs(t - at))}

    # ------------------------------------------------------------------------------------ growth

    def grown(self, seed: Habit) -> list[Habit]:
        """Return what a seed grows to: one habit, or one for each of its hours, or kinds of days."""
        if len({item.entity_id for item in seed.items}) == 1:
            return [seed]  # a run; meanwhile life goes on
        found = [self._by_days(one) for one in self.by_hour(seed)]
        if len({frozenset(h.items) for of in found for h in of}) < len(found):
            found = [self._by_days(seed)]
        return [h for of in found for h in of]

    def regrown(self, habit: Habit) -> Habit:
        """Return a habit from a part of this history with what belongs to it in all of it."""
        if len({item.entity_id for item in habit.items}) == 1:
            return habit
        return self.grow(max(self.by_hour(recollect(habit, self._history)), key=lambda h: len(h.occurrences)))

    def _by_days(self, seed: Habit) -> list[Habit]:
        """Return what a seed grows to; on workdays and on weekends if these differ in a step."""
        of: list[list[Mapping[Item, float]]] = [[], []]
        for o in seed.occurrences:
            of[self._history.on_weekend(min(o.values()))].append(o)
        if min(len(of[0]), len(of[1])) >= LEAST_HITS:
            two = [self._complete(ordered(replace(seed, occurrences=tuple(part)))) for part in of]
            if any(self._refutes(a, b) for a, b in (two, two[::-1])):
                return two
        return [self._complete(seed)]

    def _refutes(self, one: Habit, other: Habit) -> bool:
        """Whether a step of one habit is left out where the other is done, though there is occasion to."""
        rates = [self._rate(other, i, self._window(other)) for i in one.items if i not in other.items]
        return any(chances >= LEAST_HITS and not nearly(LEAST_RATE, hits, chances) for hits, chances in rates)

    def _complete(self, seed: Habit) -> Habit:
        return self._runs.with_ends(self.grow(seed))

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
        close = sorted(
            item
            for item, count in nearby.items()
            if count >= LEAST_HITS
            and item not in self._ends
            and all(item.entity_id != i.entity_id for i in habit.items)
        )
        for item in close:
            self._guard.tests += 1
            hits, chances = self._rate(habit, item, window)
            if hits < LEAST_HITS or hits < LEAST_RATE * chances or (best and hits <= best[0]):
                continue
            if not nearly(BOUND, hits, self._rate(habit, item, 2.0 * window)[0]):
                continue
            grown = self._with(habit, item, window)
            p = self._link(grown, item)
            if p * len(close) < JOINS * (hits / len(habit.occurrences)):
                best = hits, replace(grown, p=fisher((habit.p, p)))
        return best[1] if best else None

    def _link(self, habit: Habit, item: Item) -> float:
        """Return how rare it is that an item keeps its distance from the step that it keeps it best from."""
        best: tuple[float, Item, tuple[float, float]] | None = None  # the narrowest
        for step in habit.items:
            lags = [o[item] - o[step] for o in habit.occurrences if item in o and step in o]
            if step != item and len(lags) >= LEAST_HITS and in_turn(lags):
                usual = around(lags)
                if best is None or usual[1] - usual[0] < best[0]:
                    best = usual[1] - usual[0], step, usual
        if best is None:
            return 1.0
        step, usual = best[1:]
        anchors = [
            o[step]
            for o in habit.occurrences
            if step in o and (item in o or self._lacks(item, o[step] + min(usual[0], 0.0)))
        ]
        return self._guard.test(anchors, item, [usual]).p * (len(habit.items) - 1)

    def _lacks(self, item: Item, at: float) -> bool:
        """Whether there was anything to do: the entity was in another state."""
        return self._history.state(item.entity_id, at) not in {item.state, None}

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
        actions = self._history.actions
        low, high = min(occurrence.values()) - window, max(occurrence.values()) + window
        first = bisect_left(actions, low, key=lambda a: a.at)
        last = bisect_left(actions, high, key=lambda a: a.at)
        return {a.item for a in actions[first:last]} - occurrence.keys()

    def _rate(self, habit: Habit, item: Item, window: float) -> tuple[int, int]:
        """Return how often an item was done along with a habit, and how often there was anything to do."""
        hits = chances = 0
        for o in habit.occurrences:
            start, end = min(o.values()), max(o.values())
            near = self._history.between(item, start - window, end + window)
            done = bool(near) and self._lacks(item, min(start, near[0]))
            hits += done
            chances += done or self._lacks(item, start - window)
        return hits, chances

    def _with(self, habit: Habit, item: Item, window: float) -> Habit:
        occurrences = []
        for o in habit.occurrences:
            low, high = min(o.values()) - window, max(o.values()) + window
            near = self._history.between(item, low, high)
            middle = median(o.values())
            occurrences.append({**o, item: min(near, key=lambda t: abs(t - middle))} if near else o)
        return ordered(Habit((*habit.items, item), tuple(occurrences), habit.p, (*habit.grown, item)))
