from __future__ import annotations

import json
from collections.abc import Callable
from math import exp, log10
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunches.conformal import CLAIMED, Conformal

Draw = Callable[[Random], float]
scores = st.lists(st.one_of(st.floats(0.0, 12.0), st.sampled_from([0.0, 2.0, 3.0])), max_size=40)


# -log10 of the least of 50 p-values, of a detector that is honest, or claims the square or the cube of p
def honest(rng: Random) -> float:
    return log10(50) - log10(rng.expovariate(1.0))


LIGHT: dict[str, Draw] = {
    "honest": honest,
    "all p-values 30 times too small": lambda r: honest(r) + log10(30),
    "p-values squared": lambda r: 2 * honest(r),
    "exponential": lambda r: r.expovariate(1.0),
    "normal": lambda r: 3.0 + r.gauss(0, 1),
    "uniform": lambda r: r.uniform(0, 3),
    "seldom": lambda r: 0.0 if r.random() < 0.8 else 2.0 + r.expovariate(1 / CLAIMED),
    "hardly ever": lambda r: 0.0 if r.random() < 0.97 else 2.0 + r.expovariate(1 / CLAIMED),
    "all the same": lambda _: 2.0,
    "cut off": lambda r: min(3.0, honest(r)),
}
HEAVY: dict[str, Draw] = {
    "log-normal": lambda r: exp(r.gauss(0, 1)),
    "Pareto": lambda r: r.paretovariate(2),
    "either or": lambda r: 0.0 if r.random() < 0.5 else 9.0,
    "small whole numbers": lambda r: float(int(r.expovariate(0.7))),
}


def learned(past: list[float], **kwargs: float) -> Conformal:
    c = Conformal(**kwargs)  # type: ignore[arg-type]
    for day, score in enumerate(past):
        c.learn_one(score, day=day)
    return c


def p_values(draw: Draw, n: int, times: int, floor: float = 0.0) -> list[float]:
    """Return p-values of the next score after n of the same kind, many times over."""
    rng, out = Random(n), []
    for _ in range(times):
        c = learned([draw(rng) for _ in range(n)], floor=floor)
        out += [c.p(draw(rng), day=n) for _ in range(5)]
    return out


def share(ps: list[float], a: float) -> float:
    return sum(p <= a for p in ps) / len(ps)


@pytest.mark.parametrize("n", [8, 15, 30])
@pytest.mark.parametrize("name", LIGHT)
def test_super_uniform_at_all_levels(name: str, n: int) -> None:
    ps = p_values(LIGHT[name], n, 1000, floor=2.0 if name in {"seldom", "hardly ever"} else 0.0)
    for a in (0.1, 0.05, 0.01, 0.002):
        # five p-values share a past: about 1000 + 4000 / 3 independent ones. 3 standard errors are allowed,
        # and half of `a` on top: the tail is estimated
        assert share(ps, a) <= 1.5 * a + 3 * (a / 2300) ** 0.5, a


@pytest.mark.parametrize("n", [8, 15, 30])
@pytest.mark.parametrize("name", HEAVY)
def test_super_uniform_down_to_the_ranks_whatever_the_scores(name: str, n: int) -> None:
    ps = p_values(HEAVY[name], n, 1000)
    for a in (0.5, 0.2, 2.0 / (n + 1)):
        assert share(ps, a) <= a + 3 * (a / 1000) ** 0.5, a


def test_by_hand() -> None:
    # Scores 0 … 4 of n = 5 days, no fading to speak of: half of them, 2.5, is reached at u = 2.
    # b = 3 · 1 + 1 + 2 = 6, two are above: p(8) = (3 + 1) / 6 · (1 + 6 / 6)^-5 = 1/48, less than 1/6
    c = learned([3.0, 0.0, 4.0, 2.0, 1.0], scale=1.0, half_life_days=1e9)
    assert c.p(8.0, day=5) == pytest.approx(1 / 48)
    # 4 / 6 · (1 + 2 / 6)^-5 = 0.158, but one of five was as high: 1/6 at least
    assert c.p(4.0, day=5) == pytest.approx(1 / 6)
    assert c.p(4.1, day=5) == pytest.approx(4 / 6 * (1 + 2.1 / 6) ** -5)
    assert c.p(1.5, day=5) == pytest.approx(4 / 6)
    assert c.p(-1.0, day=5) == 1.0


def test_nothing_known_is_no_surprise() -> None:
    assert Conformal().p(0.0, day=0) == 1.0
    # (1 + 2 / (3 · 0.4343))^-3 = 0.0614: its word for one in a hundred is taken with a pinch of salt
    assert Conformal().p(2.0, day=0) == pytest.approx(0.0614, abs=1e-4)


def test_quiet_days_make_a_finding_rarer() -> None:
    few, many = (learned([0.0] * n, floor=2.0, half_life_days=1e9) for n in (8, 80))
    assert few.p(4.0, day=8) == pytest.approx(81 / 9 * many.p(4.0, day=80))


@given(scores, st.floats(0.0, 20.0), st.floats(0.0, 5.0))
def test_between_the_ranks_and_never_rising(past: list[float], score: float, more: float) -> None:
    c = learned(past, half_life_days=1e9)
    n, k = len(past), sum(s >= score for s in past)
    p = c.p(score, day=n)
    assert k / (n + 1) - 1e-6 <= p <= (k + 1) / (n + 1) + 1e-6
    assert c.p(score + more, day=n) <= p + 1e-12


def test_what_was_fades() -> None:
    c = Conformal(half_life_days=10)
    for day in range(20):
        c.learn_one(6.0, day=day)
    for day in range(20, 80):
        c.learn_one(1.0 + 0.1 * (day % 3), day=day)
    # what is left of twenty sixes: Σ 2^-(60…79)/10 = 2^-6 · (1 - 2^-2) / (1 - 2^-0.1) = 0.175 of 14.9 days
    assert c.p(6.0, day=80) == pytest.approx((1 + 0.175) / (1 + 14.9), rel=0.9)
    assert c.p(6.0, day=80) < 0.03
    assert c.n(day=80) == pytest.approx(14.9 / 2**0.1, rel=0.05)


def test_an_answer_changes_what_a_day_counts_for() -> None:
    c = learned([1.0] * 20 + [7.0])
    before = c.p(6.5, day=21)
    c.reweigh(20, 0.0)
    assert c.p(6.5, day=21) < before / 10
    c.reweigh(20, 1.0)
    assert c.p(6.5, day=21) == before


@given(scores, st.floats(0.0, 20.0))
def test_goes_on_after_json(past: list[float], score: float) -> None:
    c, other = learned(past), Conformal()
    other.load(json.loads(json.dumps(c.to_dict())))
    before = c.to_dict()
    assert other.p(score, day=50) == c.p(score, day=50)
    assert c.to_dict() == before
    for x in (c, other):
        x.learn_one(score, day=50)
    assert other.to_dict() == c.to_dict()


def test_bounded() -> None:
    c = learned([1.0] * 1000)
    assert len(c.to_dict()["seen"]) == 180
