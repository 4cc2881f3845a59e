from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routines.rooks import rook_tail

days = st.integers(0, 4)
boards = st.frozensets(st.tuples(days, days), min_size=1).map(lambda cells: dict.fromkeys(cells, 1))


def tail(board: dict[tuple[int, int], int], n: int, hits: int) -> float:
    """Return the share of all permutations with so many hits."""
    every = [sum((d, e) in board for d, e in enumerate(to)) >= hits for to in permutations(range(n))]
    return sum(every) / len(every)


@given(boards, st.integers(1, 5))
def test_it_is_never_less_than_the_share_of_permutations(board: dict, hits: int) -> None:
    assert rook_tail([(board, 5)], hits) >= tail(board, 5, hits) - 1e-12


@given(boards, boards, st.integers(1, 6))
def test_kinds_of_days_are_permuted_on_their_own(one: dict, other: dict, hits: int) -> None:
    both = sum((tail(one, 5, k) - tail(one, 5, k + 1)) * tail(other, 5, max(0, hits - k)) for k in range(6))
    assert rook_tail([(one, 5), (other, 5)], hits) >= both - 1e-12


def test_days_that_meet_only_themselves_are_exact() -> None:
    diagonal = {(day, day): 1 for day in range(9)}
    assert rook_tail([(diagonal, 12)], 9) == pytest.approx(6 / 479_001_600)  # 3! / 12!


def test_more_hits_than_days_to_hit_are_impossible() -> None:
    assert rook_tail([({(0, 0): 1}, 6)], 2) == 0.0
    assert rook_tail([], 1) == 0.0


def test_what_is_expected_is_not_rare() -> None:
    full = {(d, e): 1 for d in range(5) for e in range(5)}
    assert rook_tail([(full, 5)], 5) == 1.0
