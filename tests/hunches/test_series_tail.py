"""MagnitudeTail: counted where there are magnitudes, a Pareto tail beyond them."""

import json
import random
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from hunches.series_tail import MagnitudeTail

magnitudes = st.lists(st.one_of(st.just(0.0), st.floats(1e-9, 1e9)), max_size=80)


def learned(values: list[float]) -> MagnitudeTail:
    tail = MagnitudeTail()
    for value in values:
        tail.learn_one(value)
    return tail


def test_nothing_is_known_at_first() -> None:
    assert MagnitudeTail().score_one(5.0) == 0.0
    assert MagnitudeTail().quantile(0.01) == 0.0


def test_the_first_number_above_zero_is_as_rare_as_there_were_zeros() -> None:
    assert learned([0.0] * 999).score_one(1e-6) == 3.0  # one in 999 + 1


def test_a_magnitude_within_range_has_the_share_above_it() -> None:
    tail = learned([1.0] * 900 + [8.0] * 100)
    assert abs(tail.score_one(8.0) - 1.0) < 0.01  # 100.5 / 1001
    assert tail.score_one(1.0) < 0.01


def test_what_comes_each_day_is_as_rare_as_that_however_large() -> None:
    daily = learned(([1.0] * 287 + [1000.0]) * 14)
    assert daily.score_one(1000.0) < 2.5  # 14 in 4032: 2.46
    assert learned([1.0] * 4032).score_one(1000.0) > 6.0


def test_a_tail_learned_from_pareto_numbers_is_calibrated() -> None:
    rng = random.Random(1)
    tail = learned([rng.paretovariate(4.0) for _ in range(5000)])
    for digits in (1.0, 2.0, 3.0, 5.0):
        magnitude = 10.0 ** (digits / 4.0)  # P(D > d) = d ** -4
        assert abs(tail.score_one(magnitude) - digits) < 0.5


@given(magnitudes, st.lists(st.floats(1e-9, 1e12), min_size=2, max_size=10))
def test_larger_is_at_least_as_rare_and_scores_are_finite(seen: list[float], asked: list[float]) -> None:
    tail = learned(seen)
    scores = [tail.score_one(magnitude) for magnitude in sorted(asked)]
    assert scores == sorted(scores)
    assert all(0.0 <= score < inf for score in scores)


@given(magnitudes)
def test_a_snapshot_is_the_same_tail(seen: list[float]) -> None:
    tail, copy = learned(seen), MagnitudeTail()
    copy.load(json.loads(json.dumps(tail.to_dict())))
    for magnitude in (1e-6, 1.0, 1e6, 1e12):
        assert copy.score_one(magnitude) == MagnitudeTail.score_one(learned(seen), magnitude)


def test_quantiles_invert_scores() -> None:
    rng = random.Random(2)
    tail = learned([abs(rng.gauss(0.0, 1.0)) for _ in range(3000)])
    for digits in (1.0, 2.0, 4.0):
        assert abs(tail.score_one(tail.quantile(10.0**-digits)) - digits) < 0.5  # bins of a quarter octave
    assert tail.quantile(1e-4) > tail.quantile(0.01) > tail.quantile(0.1) > 1.0


def test_fading_forgets() -> None:
    tail = learned([1.0] * 100)
    tail.fade(0.5)
    assert tail.n == 50.0
    tail.fade(1e-9)
    assert tail.bins == {}
    assert tail.score_one(1.0) < 0.01


def test_bins_are_bounded() -> None:
    tail = learned([10.0**k for k in range(-300, 300)])
    assert len(tail.bins) <= 96
    assert tail.n == 600.0
    assert sum(tail.bins.values()) == 600.0
