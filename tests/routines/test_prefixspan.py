from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routines.prefixspan import PrefixSpan, closed

Timed = list[list[tuple[float, int]]]
Found = dict[tuple[int, ...], int]

ITEMS = st.integers(0, 3)
PLAIN = st.lists(st.lists(ITEMS, max_size=6), max_size=6)
TIMED = st.lists(st.lists(st.tuples(st.integers(0, 30), ITEMS), max_size=6).map(sorted), max_size=5)
LEAST = st.integers(1, 3)
GAPS = st.sampled_from([0.0, 3.0, 8.0, 15.0])


def untimed(db: Sequence[Sequence[int]]) -> Timed:
    return [[(0.0, item) for item in sequence] for sequence in db]


def is_part(part: Sequence[int], whole: Sequence[int]) -> bool:
    rest = iter(whole)
    return all(item in rest for item in part)


def by_definition(db: Timed, least: int, gap_s: float) -> Found:
    """Every choice of positions of every sequence."""
    holds: defaultdict[tuple[int, ...], set[int]] = defaultdict(set)
    for n, sequence in enumerate(db):
        for length in range(1, len(sequence) + 1):
            for steps in combinations(sequence, length):
                if all(b[0] - a[0] <= gap_s for a, b in pairwise(steps)):
                    holds[tuple(item for _, item in steps)].add(n)
    return {pattern: len(held) for pattern, held in holds.items() if len(held) >= least}


def closed_by_definition(found: Found) -> Found:
    return {
        p: n
        for p, n in found.items()
        if not any(len(q) > len(p) and m >= n and is_part(p, q) for q, m in found.items())
    }


@given(PLAIN, LEAST)
def test_without_a_gap_it_finds_what_the_prefixspan_package_finds(db: list[list[int]], least: int) -> None:
    package = pytest.importorskip("prefixspan")
    theirs = {tuple(p): n for n, p in package.PrefixSpan(db).frequent(least)}
    ours = PrefixSpan(least)
    assert ours.frequent(untimed(db)) == theirs
    # Its own closed=True lets some through that aren't (PrefixSpan-py issue 14), and misses none.
    with_extras = {tuple(p): n for n, p in package.PrefixSpan(db).frequent(least, closed=True)}
    mine = ours.closed(untimed(db))
    assert mine == closed_by_definition(with_extras)
    assert mine == closed_by_definition(theirs)


@given(TIMED, LEAST, GAPS)
def test_with_a_gap_it_finds_what_the_definition_says(db: Timed, least: int, gap_s: float) -> None:
    ours = PrefixSpan(least, gap_s)
    assert ours.frequent(db) == by_definition(db, least, gap_s)
    assert ours.closed(db) == closed_by_definition(by_definition(db, least, gap_s))


@given(TIMED, GAPS)
def test_support_is_anti_monotone(db: Timed, gap_s: float) -> None:
    found = PrefixSpan(1, gap_s).frequent(db)
    for pattern, support in found.items():
        if len(pattern) > 1:
            assert found[pattern[:-1]] >= support
            assert found[pattern[1:]] >= support
    wider = PrefixSpan(1, gap_s + 5).frequent(db)
    assert all(wider[pattern] >= support for pattern, support in found.items())
    fewer = PrefixSpan(1, gap_s).frequent(db[1:])
    assert all(found[pattern] >= support for pattern, support in fewer.items())


@given(TIMED, LEAST, st.integers(0, 4))
def test_a_longest_length_cuts_nothing_else(db: Timed, least: int, longest: int) -> None:
    every = PrefixSpan(least, 8.0).frequent(db)
    short = PrefixSpan(least, 8.0, longest).frequent(db)
    assert short == {p: n for p, n in every.items() if len(p) <= longest}


def test_a_later_end_is_continued_where_the_first_cant_be() -> None:
    db = [[(0.0, 1), (100.0, 1), (105.0, 2)]] * 2
    assert PrefixSpan(2, 10.0).frequent(db) == {(1,): 2, (2,): 2, (1, 2): 2}


def test_closed_under_a_gap_a_longer_one_explains_with_more_support() -> None:
    # 1 -> 3 is within the gap once only, 1 -> 2 -> 3 twice: it is known from that, and not closed.
    db = [[(0.0, 1), (8.0, 2), (16.0, 3)], [(0.0, 1), (4.0, 2), (8.0, 3)]]
    assert PrefixSpan(1, 10.0).frequent(db)[1, 3] == 1
    assert PrefixSpan(1, 10.0).closed(db) == {(1, 2, 3): 2}
    # 1 -> 2 is part of nothing that both sequences hold
    assert closed({(1, 2): 2, (1, 2, 3): 1, (1,): 2, (3,): 1}) == {(1, 2, 3): 1, (1, 2): 2}


def test_gaps_of_pairs_and_what_goes_together() -> None:
    db = [[(0.0, 1), (2.0, 2), (30.0, 3)]] * 3
    gaps = {(1, 2): (0.0, 5.0), (2, 3): (20.0, 40.0), (1, 3): (0.0, 10.0)}
    assert set(PrefixSpan(3, gaps).frequent(db)) == {(1,), (2,), (3,), (1, 2), (2, 3), (1, 2, 3)}
    together = {(1, 2), (2, 3)}
    assert (1, 2, 3) not in PrefixSpan(3, gaps, together=together).frequent(db)
    assert PrefixSpan(3, {}).closed(db) == {(1,): 3, (2,): 3, (3,): 3}


def test_a_support_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="min_support 0"):
        PrefixSpan(0).frequent([])
