"""Candidates for routines: what residents do together, in which order, and when they did."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import ceil, inf
from typing import Final, NamedTuple

from routines.actions import Action, Item
from routines.links import DAY_S, Link, Pair, links
from routines.prefixspan import Gaps, PrefixSpan

LEAST_EVIDENCE: Final = 3.0
"""A sieve: of pairs that only chance brings together, one in twenty or fewer passes at each width."""

MAX_GAP_S: Final = 2700.0
MAX_LENGTH: Final = 6
LIMIT: Final = 1000
_BEGUN: Final = (
    32  # sequences begun and not completed; more within 45 minutes are somebody playing with a switch
)
_REMEMBERED: Final = 32  # beginnings of sequences, of which many begin alike

Pattern = tuple[Item, ...]
Times = tuple[float, ...]


class Candidate(NamedTuple):
    """Steps that were taken in this order, and the times of each step, every time (epoch seconds)."""

    items: Pattern
    support: int  # sessions that hold it
    occurrences: tuple[Times, ...]  # they don't overlap
    evidence: float  # of its weakest step, in nats: `links.Link`


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidates, the strongest first, and how many of what there were on the way."""

    found: tuple[Candidate, ...]
    sessions: int
    pairs: int  # ordered, often enough in one session
    links: int  # of these, more often and sooner than their hours explain
    sequences: int  # before the limit
    cut: int  # by the limit


def least_support(days: float) -> int:
    """Return the sessions that must hold a candidate: once in two weeks, four times at least.

    >>> least_support(28), least_support(180)
    (4, 13)
    """
    return max(4, ceil(days / 14))


def candidates(
    sessions: Sequence[Sequence[Action]],
    *,
    min_support: int | None = None,
    max_gap_s: float = MAX_GAP_S,
    max_length: int = MAX_LENGTH,
    limit: int = LIMIT,
) -> Candidates:
    """Return sequences of two and more actions that are repeated, with every time that they were.

    1. mlxtend finds the pairs of items that enough sessions have in common.
    2. `links` keeps those that follow one another more often than their hours explain, and how soon.
    3. The gap-constrained PrefixSpan makes sequences of them: each step waits as its link says, for about the
       same time each time (`Link.regular`), and any two steps are linked. The closed ones stay.
    4. All linked pairs stay, also where a longer sequence has their support, or their waits are irregular.
    5. At most `limit` of these: those whose weakest step has the most evidence, then those with most support.
    6. Their occurrences are found in the whole stream, across sessions: the earliest to be complete, with
       the shortest waits; the next begins after the last step of the one before.

    Sets of more than two would run into the millions in sessions of twenty actions; order and waits sift far
    better. Imports pandas and mlxtend (about 130 MB): not for the daemon's own process.

    Parameters
    ----------
    min_support: sessions; by default `least_support` of the days from the first to the last action.
    max_gap_s: seconds between two steps at most.
    max_length: steps at most.
    limit: candidates at most.

    Complexity: O(n · m) for n actions with m within the gap, and what PrefixSpan says; occurrences
    O(log n) for each time of the last step of a candidate.
    """
    stream = sorted((action for session in sessions for action in session), key=lambda a: a.at)
    if not stream:
        return Candidates((), 0, 0, 0, 0, 0)
    least = least_support((stream[-1].at - stream[0].at) / DAY_S) if min_support is None else min_support
    pairs = list(_frequent_pairs(sessions, least))
    linked = links(stream, pairs, max_gap_s=max_gap_s, least_evidence=LEAST_EVIDENCE)
    patterns = _sequences(sessions, linked, least, max_length)
    ranked = sorted(patterns, key=lambda p: (-_weakest(p, linked), -patterns[p], p))
    times = _times(stream)
    occurrences = _occurrences(ranked[:limit], times, linked)
    found = tuple(Candidate(p, patterns[p], occurrences[p], _weakest(p, linked)) for p in ranked[:limit])
    return Candidates(found, len(sessions), len(pairs), len(linked), len(ranked), len(ranked) - len(found))


def _frequent_pairs(sessions: Sequence[Sequence[Action]], least: int) -> Iterator[Pair]:
    """Yield both orders of every two items that enough sessions hold."""
    import pandas as pd  # noqa: PLC0415 - only the process that mines pays for it
    from mlxtend.frequent_patterns import apriori  # noqa: PLC0415
    from mlxtend.preprocessing import TransactionEncoder  # noqa: PLC0415

    held = [{action.item for action in session} for session in sessions]
    if len(held) < least:
        return
    encoder = TransactionEncoder()
    cells = encoder.fit(held).transform(held, sparse=True)
    frame = pd.DataFrame.sparse.from_spmatrix(cells)
    # For sets of two, Apriori is one product of sparse columns; FP-growth plants a tree for each item.
    for itemset in apriori(frame, min_support=least / len(held), max_len=2)["itemsets"]:
        if len(itemset) == 2:
            one, other = (encoder.columns_[column] for column in sorted(itemset))
            yield one, other
            yield other, one


def _sequences(
    sessions: Sequence[Sequence[Action]], linked: Mapping[Pair, Link], least: int, max_length: int
) -> dict[Pattern, int]:
    """Return the support of closed sequences of regular waits, and of all linked pairs."""
    timed = [[(action.at, action.item) for action in session] for session in sessions]
    gaps: Gaps = {pair: (link.soonest_s, link.latest_s) for pair, link in linked.items()}
    regular: Gaps = {pair: gap for pair, gap in gaps.items() if linked[pair].regular}
    found = PrefixSpan(least, regular, max_length, together=linked.keys()).closed(timed)
    found |= PrefixSpan(least, gaps, 2).frequent(timed)
    return {pattern: support for pattern, support in found.items() if len(pattern) > 1}


def _weakest(pattern: Pattern, linked: Mapping[Pair, Link]) -> float:
    return min(linked[pair].evidence for pair in pairwise(pattern))


def _times(stream: Iterable[Action]) -> dict[Item, list[float]]:
    times: defaultdict[Item, list[float]] = defaultdict(list)
    for action in stream:
        times[action.item].append(action.at)
    return times


def _occurrences(
    patterns: Iterable[Pattern], times: Mapping[Item, Sequence[float]], linked: Mapping[Pair, Link]
) -> dict[Pattern, tuple[Times, ...]]:
    """Return the times of the steps, every time that a sequence was completed, for each."""

    @lru_cache(_REMEMBERED)
    def chains(pattern: Pattern) -> list[Times]:
        if len(pattern) == 1:
            return [(at,) for at in times[pattern[0]]]
        *_, item, follower = pattern
        return list(_continued(chains(pattern[:-1]), times[follower], linked[item, follower]))

    # Those that begin alike come one after another, so that little is remembered and nothing done twice.
    return {pattern: tuple(_apart(chains(pattern))) for pattern in sorted(patterns)}


def _continued(chains: Sequence[Times], times: Iterable[float], wait: Link) -> Iterator[Times]:
    """Yield the newest chain that a step at each of these times continues, with the step."""
    ends = [chain[-1] for chain in chains]
    for at in times:
        n = bisect_right(ends, at - wait.soonest_s) - 1
        begun = n + _BEGUN
        if n >= 0 and at - ends[n] <= wait.latest_s and (begun >= len(ends) or ends[begun] > at):
            yield (*chains[n], at)


def _apart(chains: Iterable[Times]) -> Iterator[Times]:
    """Yield chains that don't overlap, those that are complete first.

    What is left out has no other beginning: each chain has the newest, and later ones no older.
    """
    last = -inf
    for chain in chains:
        if chain[0] > last:
            last = chain[-1]
            yield chain
