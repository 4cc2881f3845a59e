"""Candidates for routines: what residents do together, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Final, NamedTuple

from routines.actions import Action, Item
from routines.links import DAY_S, Link, Pair, links
from routines.prefixspan import Gaps, PrefixSpan

LEAST_EVIDENCE: Final = 3.0
"""A sieve: of pairs that only chance brings together, one in twenty or fewer passes at each width."""

MAX_GAP_S: Final = 2700.0
MAX_LENGTH: Final = 6
LIMIT: Final = 1000

Pattern = tuple[Item, ...]


class Candidate(NamedTuple):
    """Steps that were taken in this order."""

    items: Pattern
    support: int  # sessions that hold it
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
    """Return sequences of two and more actions that are repeated.

    1. mlxtend finds the pairs of items that enough sessions have in common.
    2. `links` keeps those that follow one another more often than their hours explain, and how soon.
    3. The gap-constrained PrefixSpan makes sequences of them: each step waits as its link says, for about the
       same time each time (`Link.regular`), and any two steps are linked. The closed ones stay.
    4. All linked pairs stay, also where a longer sequence has their support, or their waits are irregular.
    5. At most `limit` of these: those whose weakest step has the most evidence, then those with most support.

    Sets of more than two would run into the millions in sessions of twenty actions; order and waits sift far
    better. Imports pandas and mlxtend (about 130 MB): not for the daemon's own process.

    Parameters
    ----------
    min_support: sessions; by default `least_support` of the days from the first to the last action.
    max_gap_s: seconds between two steps at most.
    max_length: steps at most.
    limit: candidates at most.

    Complexity: O(n · m) for n actions with m within the gap, and what PrefixSpan says.
    """
    stream = sorted((action for session in sessions for action in session), key=lambda a: a.at)
    if not stream:
        return Candidates((), 0, 0, 0, 0, 0)
    least = least_support((stream[-1].at - stream[0].at) / DAY_S) if min_support is None else min_support
    pairs = list(_frequent_pairs(sessions, least))
    linked = links(stream, pairs, max_gap_s=max_gap_s, least_evidence=LEAST_EVIDENCE)
    patterns = _sequences(sessions, linked, least, max_length)
    ranked = sorted(patterns, key=lambda p: (-_weakest(p, linked), -patterns[p], p))
    found = tuple(Candidate(p, patterns[p], _weakest(p, linked)) for p in ranked[:limit])
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
