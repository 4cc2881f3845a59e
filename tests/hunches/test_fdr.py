from __future__ import annotations

import json
from math import exp, log, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunches.fdr import LordPlusPlus, MemLord, Saffron

Procedure = LordPlusPlus | MemLord
MAKE = [LordPlusPlus, Saffron, MemLord]
p_values = st.lists(
    st.one_of(st.floats(0.0, 1.0), st.sampled_from([0.0, 1e-9, 1e-4, 0.001, 0.5, 1.0])), max_size=80
)


def lord_gamma(t: int) -> float:
    return 0.07720838 * log(max(t, 2)) / (t * exp(sqrt(log(t))))


def saffron_gamma(t: int) -> float:
    return 0.4374901658 * t**-1.6


def lord_by_the_formula(ps: list[float], alpha: float) -> list[float]:
    levels: list[float] = []
    for t in range(1, len(ps) + 1):
        hits = [s for s in range(1, t) if ps[s - 1] <= levels[s - 1]]
        level = alpha / 2 * lord_gamma(t)
        for j, hit in enumerate(hits):
            level += (alpha / 2 if j == 0 else alpha) * lord_gamma(t - hit)
        levels.append(level)
    return levels


def saffron_by_the_formula(ps: list[float], alpha: float, lam: float) -> list[float]:
    levels: list[float] = []
    worth = (1 - lam) * alpha
    for t in range(1, len(ps) + 1):
        hits = [s for s in range(1, t) if ps[s - 1] <= levels[s - 1]]
        level = worth / 2 * saffron_gamma(t - sum(p <= lam for p in ps[: t - 1]))
        for j, hit in enumerate(hits):
            candidates = sum(p <= lam for p in ps[hit : t - 1])
            level += (worth / 2 if j == 0 else worth) * saffron_gamma(t - hit - candidates)
        levels.append(min(lam, level))
    return levels


def run(fdr: Procedure, ps: list[float]) -> tuple[list[float], list[bool]]:
    levels, rejected = [], []
    for p in ps:
        levels.append(fdr.threshold())
        rejected.append(fdr.learn_one(p))
    return levels, rejected


@given(p_values)
def test_lord_follows_its_formula(ps: list[float]) -> None:
    assert run(LordPlusPlus(alpha=0.1), ps)[0] == pytest.approx(lord_by_the_formula(ps, 0.1))


@given(p_values)
def test_saffron_follows_its_formula(ps: list[float]) -> None:
    levels = run(Saffron(alpha=0.1, lam=0.4), ps)[0]
    assert levels == pytest.approx(saffron_by_the_formula(ps, 0.1, 0.4), rel=1e-5)


def test_mem_lord_by_hand() -> None:
    # α = 0.1, w₀ = 0.05, δ = 0.5, κ = 0.5, and the second of three p-values is rejected.
    # α₁ = 0.5 · 0.05 = 0.025, A = 0.025
    # α₂ = 0.5 · (0.05 - 0.0125) = 0.01875, A = 0.0125 + 0.01875 = 0.03125, R = 1
    # α₃ = 0.5 · (0.05 + 0.05 · 0.5 - 0.015625) = 0.0296875
    levels, rejected = run(MemLord(alpha=0.1, decay=0.5, spend=0.5), [0.5, 0.001, 0.5])
    assert levels == pytest.approx([0.025, 0.01875, 0.0296875])
    assert rejected == [False, True, False]


@given(p_values, st.sampled_from(MAKE))
def test_what_is_rejected_is_at_most_the_level(ps: list[float], make: type[Procedure]) -> None:
    levels, rejected = run(make(), ps)
    assert rejected == [p <= level for p, level in zip(ps, levels, strict=True)]


@given(p_values, st.sampled_from([0.05, 0.1, 0.3]))
def test_lord_never_spends_more_than_it_may(ps: list[float], alpha: float) -> None:
    levels, rejected = run(LordPlusPlus(alpha=alpha), ps)
    for t in range(1, len(ps) + 1):
        assert sum(levels[:t]) <= alpha * max(1, sum(rejected[:t])) + 1e-12


@given(p_values, st.sampled_from([0.05, 0.1, 0.3]), st.sampled_from([0.1, 0.5, 0.8]))
def test_saffron_never_spends_more_than_it_may(ps: list[float], alpha: float, lam: float) -> None:
    levels, rejected = run(Saffron(alpha=alpha, lam=lam), ps)
    for t in range(1, len(ps) + 1):
        spent = sum(level for level, p in zip(levels[:t], ps, strict=False) if p > lam) / (1 - lam)
        assert spent <= alpha * max(1, sum(rejected[:t])) + 1e-12


@given(p_values, st.sampled_from([0.05, 0.3]), st.sampled_from([0.5, 0.9, 1.0]), st.sampled_from([0.0, 5.0]))
def test_mem_lord_never_spends_more_than_it_may(
    ps: list[float], alpha: float, decay: float, granted: float
) -> None:
    levels, rejected = run(MemLord(alpha=alpha, decay=decay, granted=granted), ps)
    for t in range(1, len(ps) + 1):
        faded = [decay ** (t - 1 - s) for s in range(t)]
        spent = sum(f * level for f, level in zip(faded, levels, strict=False))
        found = sum(f * r for f, r in zip(faded, rejected, strict=False))
        assert spent <= alpha * (granted + max(1.0, found)) + 1e-12


@given(p_values, st.integers(0, 79), st.sampled_from(MAKE))
def test_one_discovery_more_lowers_no_later_level(ps: list[float], i: int, make: type[Procedure]) -> None:
    if i < len(ps):
        before, after = run(make(), ps)[0], run(make(), [*ps[:i], 0.0, *ps[i + 1 :]])[0]
        assert all(a >= b - 1e-12 for a, b in zip(after, before, strict=True))


def test_plain_lord_dies_out_and_mem_lord_does_not() -> None:
    plain, faded = LordPlusPlus(), MemLord(decay=0.96, spend=0.2)
    run(plain, [0.5] * 3000)
    run(faded, [0.5] * 3000)
    # w₀ κ (1-δ) / (1 - δ + δ κ) = 0.05 · 0.2 · 0.04 / (0.04 + 0.192) = 0.001724
    assert faded.threshold() == pytest.approx(0.001724, rel=1e-3)
    assert plain.threshold() < faded.threshold() / 100


def test_mem_lord_does_not_squander_what_it_earned_long_ago() -> None:
    fdr = MemLord(decay=0.96, spend=0.2)
    run(fdr, [0.0] * 300)
    assert fdr.threshold() > 0.04
    run(fdr, [0.5] * 200)
    assert fdr.threshold() == pytest.approx(0.001724, rel=0.01)


def test_what_is_granted_is_a_rate_of_false_discoveries() -> None:
    # a discovery in two days granted, for ten days: g = 0.5 / (1 - 0.9) = 5, α g = 0.5 false ones in ten days
    # (0.5 + 0.05) · 0.5 · 0.1 / (0.1 + 0.45) = 0.05 a day
    fdr = MemLord(granted=5.0, decay=0.9, spend=0.5)
    run(fdr, [0.5] * 200)
    assert fdr.threshold() == pytest.approx(0.05)


def test_a_batch_of_one_is_a_test() -> None:
    one, batch = MemLord(), MemLord()
    one.learn_one(0.0)
    batch.learn_batch(1)
    assert one.to_dict() == batch.to_dict()


@pytest.mark.parametrize("make", MAKE)
def test_share_of_false_discoveries(make: type[Procedure]) -> None:
    rng = Random(5)
    false = found = 0
    for _ in range(150):
        fdr = make(alpha=0.1)
        for _ in range(200):
            null = rng.random() < 0.8
            if fdr.learn_one(rng.random() if null else rng.random() ** 20):
                false, found = false + null, found + 1
    assert found > 500
    assert false / found <= 0.1


@given(p_values, p_values, st.sampled_from(MAKE))
def test_goes_on_after_json(first: list[float], second: list[float], make: type[Procedure]) -> None:
    fdr, other = make(), make()
    run(fdr, first)
    other.load(json.loads(json.dumps(fdr.to_dict())))
    assert run(fdr, second) == run(other, second)


@pytest.mark.parametrize("make", MAKE)
def test_bounded(make: type[Procedure]) -> None:
    fdr = make(alpha=0.5)
    run(fdr, [0.0] * 5000)
    assert len(json.dumps(fdr.to_dict())) < 5000


def test_refuses_nonsense() -> None:
    for kwargs in ({"w0": 0.2}, {"w0": 0.0}, {"alpha": 1.0, "w0": 0.5}):
        with pytest.raises(ValueError, match="w0"):
            LordPlusPlus(**kwargs)
    for kwargs in ({"decay": 1.1}, {"spend": 0.0}, {"w0": 0.2}, {"granted": -1.0}):
        with pytest.raises(ValueError, match="range"):
            MemLord(**kwargs)
