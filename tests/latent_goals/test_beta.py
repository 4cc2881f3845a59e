from __future__ import annotations

from math import comb, exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latent_goals.beta import beta_tail, log_evidence


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.001, 0.999))
def test_tail_is_a_sum_of_binomials(a: int, b: int, x: float) -> None:
    # P(Beta(a, b) > x) = P(Binomial(a + b - 1, x) < a)
    n = a + b - 1
    expected = sum(comb(n, k) * x**k * (1 - x) ** (n - k) for k in range(a))
    assert beta_tail(x, a, b) == pytest.approx(expected, abs=1e-10)


@settings(deadline=None)
@given(st.floats(0.05, 3000.0), st.floats(0.05, 3000.0), st.floats(0.01, 0.99))
def test_tail_is_a_probability_and_symmetric(a: float, b: float, x: float) -> None:
    assert -1e-9 <= beta_tail(x, a, b) <= 1.0 + 1e-9
    assert beta_tail(x, a, b) == pytest.approx(1.0 - beta_tail(1.0 - x, b, a), abs=1e-9)


def test_edges() -> None:
    assert (beta_tail(0.0, 2.0, 3.0), beta_tail(1.0, 2.0, 3.0), beta_tail(-1.0, 1.0, 1.0)) == (1.0, 0.0, 1.0)


def test_evidence_by_hand() -> None:
    # a hit, then a miss after Beta(1, 1): 1/2 · 1/3
    assert exp(log_evidence(1.0, 1.0, 1.0, 1.0)) == pytest.approx(1 / 6)
