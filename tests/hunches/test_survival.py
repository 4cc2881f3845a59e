from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunches.survival import Survival

durations = st.lists(st.floats(0.0, 1e8), max_size=60)


def learned(seconds: list[float], **kwargs: float) -> Survival:
    s = Survival(**kwargs)
    for x in seconds:
        s.learn_one(x, day=0.0)
    return s


def test_tail_by_hand() -> None:
    # 20 stays of 60 s and one of 640 s. ln 60 / (ln 2 / 4) = 23.6: bin 23; ln 640: bin 37.
    # The largest tenth is k = 2: 640 s and a 60 s; the third longest is in bin 23, u = 2^(23.5/4) = 58.7 s.
    # Middles are used: the excess is 14 bins of ln 2 / 4 = 0.1733, 2.426; α = (2 + 3) / (2.426 + 3 / 1.3)
    s = learned([60.0] * 20 + [640.0])
    tail = s.tail()
    assert tail.start_s == pytest.approx(58.7, rel=1e-3)
    assert tail.exponent == pytest.approx(5 / (2.426 + 2.3077), rel=1e-3)
    assert s.sf(6400.0) == pytest.approx(2.5 / 22 * (6400 / tail.start_s) ** -tail.exponent)


def test_beyond_the_longest_of_few_is_less_surprising_than_of_many() -> None:
    few, many = learned([100.0, 300.0] * 3), learned([100.0, 300.0] * 300)
    assert few.sf(3000.0) > 10 * many.sf(3000.0)


def test_a_little_over_the_longest_of_five_hundred_is_no_news() -> None:
    s = learned([60.0 * math.exp(i / 100) for i in range(500)])  # up to 145 min, evenly in the logarithm
    assert s.sf(1.2 * 60.0 * math.exp(4.99)) > 0.003


def test_what_was_learned_fades() -> None:
    s = learned([7200.0] * 10, half_life_days=10.0)
    before = s.sf(3600.0)
    for i in range(40):
        s.learn_one(60.0, day=50.0 + i)
    assert s.n < 50
    assert s.sf(3600.0) < before / 10


@given(durations, st.floats(0.0, 1e8), st.floats(1.0, 100.0))
def test_survival_never_rises(seconds: list[float], d: float, factor: float) -> None:
    s = learned(seconds)
    assert 0.0 < s.sf(d * factor) <= s.sf(d) + 1e-12 <= 1.0 + 1e-9


@given(durations)
def test_bounded_and_restored(seconds: list[float]) -> None:
    s = learned(seconds)
    assert len(s.bins) <= 89
    other = Survival()
    other.load(json.loads(json.dumps(s.to_dict())))
    assert other.tail() == s.tail()
    assert other.quantile(0.9) == s.quantile(0.9)


def test_quantiles_to_a_bins_width() -> None:
    s = learned([float(x) for x in range(1, 1001)])
    assert s.quantile(0.5) == pytest.approx(500, rel=0.2)
    assert s.quantile(0.99) == pytest.approx(990, rel=0.2)
    assert Survival().quantile(0.5) == 0.0


def test_of_few_the_tail_is_what_was_assumed_of_many_what_was_seen() -> None:
    few, many = learned([60.0] * 5 + [90.0]), learned([6000.0 / i for i in range(1, 201)])
    before = [s.tail().exponent for s in (few, many)]
    for s in (few, many):
        s.assume(5.0)
    # k = 1: three of four parts are the prior; k = 15: three of eighteen
    assert few.tail().exponent > 2 * before[0]
    assert before[1] < many.tail().exponent < 1.2 * before[1]


def test_tail_evidence_by_hand() -> None:
    # as in test_tail_by_hand: k = 2, one of them 14 bins above u = 58.7 s
    k, excess, start = learned([60.0] * 20 + [640.0]).tail_evidence()
    assert (k, start) == (2.0, pytest.approx(58.7, rel=1e-3))
    assert excess == pytest.approx(14 * math.log(2) / 4)
