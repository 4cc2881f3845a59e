"""Sequences of actions that many sessions have in common, in order and without long pauses."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Pattern = tuple[T, ...]
Gaps = Mapping[tuple[Any, Any], tuple[float, float]]
Waits = Mapping[int, tuple[float, float]]  # the number of what follows -> at least, at most


@dataclass(frozen=True, slots=True)
class PrefixSpan:
    """Gap-constrained PrefixSpan: what is repeated in many sequences of timed items.

    A sequence holds the pattern p₁ … p_k if it has items p₁ … p_k at positions j₁ < … < j_k with

        0 <= t(j_{i+1}) - t(j_i) <= gap        for all i

    whatever lies between; the bounds may depend on p_i and p_{i+1}. The support of a pattern is the number of
    sequences that hold it, however often. Patterns grow at their end; all positions where an occurrence may
    end are carried along, as a later one may be continued where the first can't. A pattern's prefixes and
    suffixes have at least its support; with a gap, a pattern with a middle step left out may have less.

    A pattern p is closed if no longer frequent pattern that p is part of (in order, with anything between)
    has at least p's support. Without a gap that is the usual definition: the support of a longer one can
    then only be equal. With `max_length` the longer ones within that length count.

    Complexity: each frequent pattern costs one look at the positions within reach of its ends, O(n) at
    most, n all items; closing costs O(k) look-ups for a pattern of k items. Memory: the frequent patterns,
    and the positions within reach for each prefix of the one that is being grown.

    Parameters
    ----------
    min_support: sequences that must hold a pattern.
    gap_s: seconds at most from one step to the next, or the least and the most for each pair of items; pairs
        that aren't named never follow one another.
    max_length: steps at most; None: any number.
    together: pairs of items of which a pattern may hold the first before the second; None: any.

    >>> evenings = [[(0, "tv"), (9, "lamp")], [(0, "tv"), (5, "blind"), (500, "lamp")], [(0, "tv")]]
    >>> PrefixSpan(min_support=2).closed(evenings)
    {('tv', 'lamp'): 2, ('tv',): 3}
    >>> PrefixSpan(min_support=2, gap_s=60).closed(evenings)
    {('tv',): 3, ('lamp',): 2}

    References
    ----------
    Pei, J. et al. (2004). Mining sequential patterns by pattern-growth: the PrefixSpan approach. IEEE
    Transactions on Knowledge and Data Engineering 16(11).
    Pei, J., Han, J. and Wang, W. (2007). Constraint-based sequential pattern mining: the pattern-growth
    methods. Journal of Intelligent Information Systems 28(2).
    """

    min_support: int
    gap_s: float | Gaps = inf
    max_length: int | None = None
    together: Container[tuple[Any, Any]] | None = None

    def frequent(self, sequences: Sequence[Sequence[tuple[float, T]]]) -> dict[Pattern[T], int]:
        """Return the support of every frequent pattern. Items of a sequence come in time order."""
        if self.min_support < 1:
            raise ValueError(f"min_support {self.min_support}: at least 1")
        return _Growth(self, sequences).patterns

    def closed(self, sequences: Sequence[Sequence[tuple[float, T]]]) -> dict[Pattern[T], int]:
        """Return the support of every frequent pattern that is closed, the longest first."""
        return closed(self.frequent(sequences))


def closed(patterns: Mapping[Pattern[T], int]) -> dict[Pattern[T], int]:
    """Keep the patterns without a longer one among them that contains them and has as much support.

    >>> closed({("a",): 5, ("b",): 3, ("a", "b"): 3})
    {('a', 'b'): 3, ('a',): 5}
    """
    covered: dict[int, dict[Pattern[T], int]] = defaultdict(
        dict
    )  # length -> pattern -> support of longer ones
    by_length: dict[int, list[Pattern[T]]] = defaultdict(list)
    for pattern in patterns:
        by_length[len(pattern)].append(pattern)
    found: dict[Pattern[T], int] = {}
    for length in range(max(by_length, default=0), 0, -1):
        longer = covered.pop(length, {})
        for pattern in by_length[length]:
            if patterns[pattern] > longer.get(pattern, 0):
                found[pattern] = longer[pattern] = patterns[pattern]
        below = covered[length - 1]
        for pattern, support in longer.items():  # also of what is not frequent itself, but part of it may be
            for i in range(length):
                part = pattern[:i] + pattern[i + 1 :]
                if support > below.get(part, 0):
                    below[part] = support
    return found


class _Growth(Generic[T]):
    """One run: the items of all sequences side by side, and what can be reached from each of them."""

    def __init__(self, rule: PrefixSpan, sequences: Sequence[Sequence[tuple[float, T]]]) -> None:
        self.patterns: dict[Pattern[T], int] = {}
        self._least = rule.min_support
        self._longest = inf if rule.max_length is None else rule.max_length
        self._together = rule.together
        self._free = rule.gap_s == inf  # then the first end in a sequence reaches all that others do
        self._names = _frequent_items(sequences, rule.min_support)
        self._items: list[int] = []  # their numbers, as these are compared and looked up a lot faster
        self._sequence_of: list[int] = []
        self._reach: list[list[int]] = []  # position -> positions that may come next
        numbers = {item: n for n, item in enumerate(self._names)}
        followers = _followers(rule.gap_s, numbers)
        starts: list[list[int]] = []
        for i, sequence in enumerate(sequences):
            kept = [(at, n) for at, item in sequence if (n := numbers.get(item)) is not None]
            first = len(self._items)
            reach = _first_of_each(kept, first) if self._free else _near(kept, first, followers)
            starts.append(reach.pop())
            self._reach += reach
            self._items += [item for _, item in kept]
            self._sequence_of += [i] * len(kept)
        if self._longest > 0:
            self._grow((), starts)

    def _grow(self, prefix: Pattern[T], reached: Iterable[Iterable[int]]) -> None:
        """Try every item after a prefix from whose ends the positions `reached` can be reached."""
        items, least, reach = self._items, self._least, self._reach
        found: defaultdict[int, list[int]] = defaultdict(list)
        for positions in reached:
            for j in positions:
                found[items[j]].append(j)
        for number, places in found.items():
            item = self._names[number]
            if len(places) < least or not self._fits(prefix, item):
                continue
            # With a gap, a place may be reached from several, and a sequence may have several places.
            ends = places if self._free else list(set(places))
            support = len(ends) if self._free else len({self._sequence_of[j] for j in ends})
            if support < least:
                continue
            pattern = (*prefix, item)
            self.patterns[pattern] = support
            if len(pattern) < self._longest:
                self._grow(pattern, (reach[j] for j in ends))

    def _fits(self, prefix: Pattern[T], item: T) -> bool:
        return self._together is None or all((earlier, item) in self._together for earlier in prefix)


def _frequent_items(sequences: Iterable[Iterable[tuple[float, T]]], least: int) -> list[T]:
    counts = Counter(item for sequence in sequences for item in {item for _, item in sequence})
    return [item for item, n in counts.items() if n >= least]


def _followers(gap_s: float | Gaps, numbers: Mapping[T, int]) -> list[tuple[float, Waits]]:
    """Return, by number, the longest wait for what may follow an item, and the waits of each of these."""
    if not isinstance(gap_s, Mapping):
        return [(gap_s, dict.fromkeys(range(len(numbers)), (0.0, gap_s)))] * len(numbers)
    found: list[dict[int, tuple[float, float]]] = [{} for _ in numbers]
    for (item, follower), wait in gap_s.items():
        if item in numbers and follower in numbers:
            found[numbers[item]][numbers[follower]] = wait
    return [(max((most for _, most in waits.values()), default=-1.0), waits) for waits in found]


def _first_of_each(sequence: Sequence[tuple[float, int]], offset: int) -> list[list[int]]:
    """Return, for each position and (last) for the start, where each item comes next."""
    following: dict[int, int] = {}
    reach: list[list[int]] = []
    for i in range(len(sequence) - 1, -1, -1):
        reach.append(list(following.values()))
        following[sequence[i][1]] = offset + i
    reach.reverse()
    reach.append(list(following.values()))
    return reach


def _near(
    sequence: Sequence[tuple[float, int]], offset: int, followers: Sequence[tuple[float, Waits]]
) -> list[list[int]]:
    """Return, for each position, what comes soon enough after it, and (last) all positions to start at."""
    reach: list[list[int]] = []
    for i, (at, item) in enumerate(sequence):
        near: list[int] = []
        longest, waits = followers[item]
        for j in range(i + 1, len(sequence)):
            later, follower = sequence[j]
            wait = later - at
            if wait > longest:
                break
            if follower in waits and waits[follower][0] <= wait <= waits[follower][1]:
                near.append(offset + j)
        reach.append(near)
    reach.append(list(range(offset, offset + len(sequence))))
    return reach
