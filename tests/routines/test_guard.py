import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routines.guard import (
    DayShuffle,
    benjamini_hochberg,
    fisher,
    hoeffding,
    hour_tail,
    incomplete_beta,
    upper_tail,
)

EVENING = 57_600.0  # 20:00, of a day that begins at four
KINDS = dict.fromkeys(range(40), 0)


def test_a_lamp_that_follows_the_film_is_no_coincidence() -> None:
    rng = Random(1)
    films = [(day, EVENING + rng.gauss(0, 900)) for day in range(40)]
    lamps = [(day, clock + rng.uniform(5, 25)) for day, clock in films]
    tail = DayShuffle(lamps, KINDS).test(films, 0.0, 30.0)
    assert tail.hits == 40
    assert tail.expected < 3.0
    assert tail.p < 1e-12


def test_two_things_at_the_same_hour_every_evening_are_a_coincidence() -> None:
    found = []
    for seed in range(60):
        rng = Random(seed)
        films = [(day, EVENING + rng.gauss(0, 600)) for day in range(40)]
        lamps = [(day, EVENING + rng.gauss(0, 600)) for day in range(40)]
        found.append(DayShuffle(lamps, KINDS).test(films, -120.0, 120.0).p)
    assert sum(p < 0.05 for p in found) <= 8  # of 60, 3 are expected and 8 are a hundredth's chance
    assert min(found) > 1e-4


def test_days_are_shuffled_among_their_like_only() -> None:
    """On weekends both happen at nine to the second, on workdays neither: that is the weekend's doing."""
    kinds = {day: int(day % 7 >= 5) for day in range(42)}
    both = [(day, 18_000.0) for day, weekend in kinds.items() if weekend]
    assert DayShuffle(both, kinds).test(both, -1.0, 1.0).p == 1.0
    assert DayShuffle(both, dict.fromkeys(kinds, 0)).test(both, -1.0, 1.0).p < 1e-6


def test_few_days_that_hit_are_told_by_their_places() -> None:
    """Nine evenings at hours of their own, of forty: to put them there is one of 40!/31! ways."""
    lamps = [(day, 30_000.0 + 3600.0 * day) for day in range(9)]
    films = [*lamps, *((day, 10_000.0) for day in range(9, 40))]
    tail = DayShuffle(lamps, KINDS).test(films, -60.0, 60.0)
    assert tail.hits == 9
    assert tail.p == pytest.approx(2 / math.perm(40, 9))
    assert upper_tail(9, 9 / 40, 9 / 40, 40) > 1e-9  # by moments it would be nothing special


def test_what_happens_after_four_belongs_to_the_night_before() -> None:
    films = [(day, 86_395.0) for day in range(0, 40, 2)]
    lamps = [(day + 1, 5.0) for day in range(0, 40, 2)]
    tail = DayShuffle(lamps, KINDS).test(films, 0.0, 30.0)
    assert tail.hits == 20


def test_nothing_to_meet() -> None:
    assert DayShuffle([], KINDS).test([(0, 5.0)], 0.0, 30.0).p == 1.0
    assert DayShuffle([(0, 5.0)], KINDS).test([], 0.0, 30.0).p == 1.0
    assert DayShuffle([(0, 5.0)], KINDS).test([(99, 5.0)], 0.0, 30.0).hits == 0  # a day that wasn't recorded


def test_few_days_are_judged_by_the_hour() -> None:
    rng = Random(2)
    doors = [(day, EVENING + 3600 * rng.uniform(-4, 4)) for day in range(5) for _ in range(4)]
    assert hour_tail(doors, [(d, c + 10.0) for d, c in doors], (1.0, 30.0), 5).p < 1e-12
    other = [(day, EVENING + 3600 * rng.uniform(-4, 4)) for day in range(5) for _ in range(4)]
    assert hour_tail(doors, other, (1.0, 30.0), 5).p > 0.05


def test_what_came_once_is_met_once() -> None:
    doors = [(0, EVENING + n) for n in range(10)]
    assert hour_tail(doors, [(0, EVENING + 20.0)], (1.0, 60.0), 10).hits == 1


@pytest.mark.parametrize(("n", "p", "hits"), [(10, 0.5, 8), (50, 0.1, 12), (30, 0.02, 4)])
def test_the_tail_is_near_the_binomial_one(n: int, p: float, hits: int) -> None:
    # P(T >= k) = I_p(k, n - k + 1), exactly
    exact = incomplete_beta(hits, n - hits + 1, p)
    assert exact / 3 < upper_tail(hits, n * p, n * p * (1 - p), n) < 5 * exact
    assert hoeffding(hits, n * p, n) > exact  # a bound


@given(st.floats(0.2, 20), st.floats(0.2, 20), st.floats(0, 1))
def test_the_beta_function_is_a_distribution(a: float, b: float, x: float) -> None:
    value = incomplete_beta(a, b, x)
    assert -1e-9 <= value <= 1 + 1e-9
    assert value == pytest.approx(1 - incomplete_beta(b, a, 1 - x), abs=1e-6)


@given(st.lists(st.floats(0, 1), max_size=20), st.integers(0, 50))
def test_q_values_are_ordered_as_p_values(p_values: list[float], tests: int) -> None:
    q_values = benjamini_hochberg(p_values, tests)
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert all(q_values[a] <= q_values[b] for a, b in pairwise(order))
    assert all(q >= p * (1 - 1e-12) for p, q in zip(p_values, q_values, strict=True))


def test_what_was_looked_at_in_vain_counts_too() -> None:
    assert benjamini_hochberg([0.001, 0.004]) == [0.002, 0.004]
    assert benjamini_hochberg([0.001, 0.004], 100) == [0.1, 0.2]  # 0.001 · 100 / 1, 0.004 · 100 / 2


def test_combined_evidence_is_stronger_than_each() -> None:
    assert fisher([0.01]) == pytest.approx(0.01)
    assert fisher([0.01, 0.01]) < 0.01 < fisher([0.01, 1.0])
