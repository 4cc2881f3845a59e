from __future__ import annotations

from math import inf, log
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latent_goals.empirical_likelihood import interval, log_ratio, t_quantile


def test_of_two_values_it_is_the_binomial_likelihood_ratio() -> None:
    # 3 of 10 are +1/2, the others -1/2: mean 0 means p = 1/2
    # 3 log(.3/.5) + 7 log(.7/.5) = 0.8228
    scores = [0.5] * 3 + [-0.5] * 7
    assert log_ratio(scores, -0.5, 0.5) == pytest.approx(3 * log(0.6) + 7 * log(1.4))


def test_what_was_never_seen_is_possible() -> None:
    # 30 zeros of up to 10; a mean of 0.1 takes a part of 1/100 of tens: -30 log(0.99)
    assert log_ratio([-0.1] * 30, -0.1, 9.9) == pytest.approx(-30 * log(0.99))


def test_beyond_the_possible() -> None:
    assert log_ratio([1.0, 2.0], 1.0, 2.0) == inf
    assert log_ratio([0.0, 0.0], 0.0, 1.0) == 0.0


@settings(deadline=None)
@given(st.lists(st.floats(-1.0, 1.0), min_size=2, max_size=30))
def test_no_evidence_against_the_mean(values: list[float]) -> None:
    mean = sum(values) / len(values)
    assert log_ratio([v - mean for v in values], -1.1 - mean, 1.1 - mean) == pytest.approx(0.0, abs=1e-6)


def test_wider_bounds_are_never_stronger_evidence() -> None:
    scores = [0.3, -0.1, 0.5, 0.2]
    assert log_ratio(scores, -5.0, 5.0) <= log_ratio(scores, -1.0, 1.0) <= log_ratio(scores, -0.2, 0.6)


def test_interval_of_many_is_the_normal_one() -> None:
    rng = Random(1)
    values = [rng.random() for _ in range(2000)]
    mean = sum(values) / 2000
    low, high = interval(lambda m: ([v - m for v in values], -m, 1.0 - m), mean, (0.0, 1.0), 2000)
    # 1.96 · sqrt(1/12 / 2000) = 0.01265
    assert (low, high) == (pytest.approx(mean - 0.01265, abs=5e-4), pytest.approx(mean + 0.01265, abs=5e-4))


@pytest.mark.parametrize(("degrees", "expected"), [(1, 12.706), (2, 4.303), (5, 2.571), (30, 2.042)])
def test_students_quantiles(degrees: int, expected: float) -> None:
    assert t_quantile(0.975, degrees) == pytest.approx(expected, rel=0.01)
