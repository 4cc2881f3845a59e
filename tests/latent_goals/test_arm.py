from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import bandit, proba

from latent_goals.arm import Arm

rewards = st.lists(st.sampled_from([1.0, 0.25, -1.0, -2.0, -3.0]), max_size=60)
cells = st.lists(st.sampled_from(["a", "b", "c"]), min_size=60, max_size=60)


def learned(values: list[float], **kwargs: float) -> Arm:
    arm = Arm(**kwargs)
    for value in values:
        arm.learn_one("", value)
    return arm


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=80))
def test_without_changes_it_is_rivers_beta(answers: list[bool]) -> None:
    river = bandit.ThompsonSampling(reward_obj=proba.Beta(1, 1), seed=1)
    arm = learned([1.0 if a else -1.0 for a in answers], hazard=0.0)
    for answer in answers:
        river.update("arm", answer)
    known = river._rewards["arm"]
    [(weight, a, b)] = arm.posterior("")
    assert weight == 1.0
    assert (a, b) == pytest.approx((known.alpha, known.beta))
    assert arm.tail("") == pytest.approx(1.0 - known.cdf(0.5), abs=1e-9)


def test_moments_by_hand() -> None:
    # prior +1, -1, then 0 twice: n = 4, m = 0, q = 2/4, Var[v] = 0.5/5 = 0.1
    # (1 + v)/2: mean 1/2, variance 0.025, so a + b = 0.25/0.025 - 1 = 9
    arm = learned([0.0, 0.0], hazard=0.0)
    assert arm.posterior("") == [(1.0, pytest.approx(4.5), pytest.approx(4.5))]


def test_what_is_always_the_same_is_soon_known() -> None:
    ignored = learned([-0.25] * 12, hazard=0.0)
    coins = learned([1.0, -1.0, -1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 1.0, -1.0, -1.0, -0.5], hazard=0.0)
    assert ignored.mean("") > coins.mean("") - 0.1
    assert ignored.tail("") < coins.tail("") / 2


def test_a_large_reward_is_several() -> None:
    assert learned([-3.0], hazard=0.0).posterior("") == learned([-1.0] * 3, hazard=0.0).posterior("")


def test_a_thousand_good_ones_need_a_handful_of_bad_ones() -> None:
    arm = learned([1.0] * 1000)
    assert arm.tail("") > 0.95
    bad = 0
    while arm.tail("") >= 0.1:
        arm.learn_one("", -1.0)
        bad += 1
    assert bad <= 4


def test_an_arm_with_some_losses_takes_them_as_before() -> None:
    rng = Random(3)
    arm = learned([1.0 if rng.random() < 0.75 else -1.0 for _ in range(200)])
    for _ in range(2):
        arm.learn_one("", -1.0)
    assert arm.tail("") > 0.5


def test_a_cell_has_its_own_value() -> None:
    arm = Arm()
    for _ in range(20):
        arm.learn_one("evening", 1.0)
        arm.learn_one("morning", -1.0)
    assert arm.mean("evening") > 0.5 > -0.5 > arm.mean("morning")


def test_an_unseen_cell_believes_the_others_to_a_degree() -> None:
    # cells that differ: prior 1, 1 and four rewards of -1 at most: Beta(1, 5), P(p > 1/2) = 1/32
    arm = Arm(hazard=0.0, pool=4.0, alike=0.0)
    for _ in range(50):
        arm.learn_one("morning", -1.0)
    assert arm.tail("evening") == pytest.approx(1 / 32)


def test_cells_that_are_alike_have_one_value() -> None:
    arm = Arm(hazard=0.0, alike=1.0)
    for cell in ("morning", "evening", "morning"):
        arm.learn_one(cell, -1.0)
    # Beta(1, 4) everywhere
    assert [arm.tail(c) for c in ("morning", "evening", "night")] == pytest.approx([1 / 16] * 3)


def test_what_is_refused_in_the_morning_can_be_found_out_to_be_wanted_in_the_evening() -> None:
    arm = Arm()
    arm.learn_one("morning", -2.0)
    doubt = arm.tail("evening")
    for _ in range(2):
        arm.learn_one("morning", -1.0)
        arm.learn_one("evening", 1.0)
    assert arm.tail("evening") > 0.5 > doubt > 0.15
    assert arm.tail("morning") < 0.2


def test_what_is_refused_everywhere_is_soon_believed_to_be_everywhere() -> None:
    arm = Arm()
    for cell in ("morning", "evening", "afternoon", "evening", "morning"):
        arm.learn_one(cell, -1.0)
    assert arm.tail("night") < 0.1


@pytest.mark.parametrize("reward", [-1.0, -2.0, -3.0])
@pytest.mark.parametrize("record", [6, 30, 200])
def test_no_single_answer_turns_a_good_record(record: int, reward: float) -> None:
    arm = learned([1.0] * record)
    arm.learn_one("", reward)
    assert arm.tail("") > 0.65


def test_in_vain_are_bad_showings_since_the_last_change_unless_enough_were_good() -> None:
    assert learned([-1.0, -2.0, -0.25], hazard=0.0).in_vain("", 4) == 2.0
    assert learned([1.0] * 4 + [-1.0], hazard=0.0).in_vain("", 4) == 0.0
    turned = learned([1.0] * 40 + [-1.0] * 5)
    assert 4.0 < turned.in_vain("", 4) < 5.0


def test_supposing_changes_nothing() -> None:
    arm = learned([1.0] * 9)
    before = arm.to_dict()
    assert arm.supposing("", -1.0, 2).to_dict() == learned([1.0] * 9 + [-1.0] * 2).to_dict()
    assert arm.to_dict() == before


@settings(deadline=None)
@given(rewards, cells)
def test_posterior_is_a_distribution(values: list[float], where: list[str]) -> None:
    arm = Arm()
    for value, cell in zip(values, where, strict=False):
        arm.learn_one(cell, value)
    for cell in "abcd":
        mixture = arm.posterior(cell)
        assert sum(w for w, _, _ in mixture) == pytest.approx(1.0)
        assert all(a > 0.0 and b > 0.0 for _, a, b in mixture)
        assert 1.0 + 1e-9 >= arm.tail(cell, -0.5) >= arm.tail(cell, 0.0) >= arm.tail(cell, 0.5) >= 0.0
        assert -1.0 < arm.mean(cell) < 1.0


@settings(deadline=None)
@given(rewards, rewards)
def test_goes_on_after_json(first: list[float], second: list[float]) -> None:
    arm, other = learned(first), Arm()
    other.load(json.loads(json.dumps(arm.to_dict())))
    for value in second:
        arm.learn_one("x", value)
        other.learn_one("x", value)
    assert other.to_dict() == arm.to_dict()


def test_bounded() -> None:
    arm, rng = Arm(segments=4), Random(1)
    for i in range(2000):
        arm.learn_one(str(i % 200), rng.choice([1.0, -1.0]))
    assert len(arm.cells) <= 25
    assert len(json.dumps(arm.to_dict())) < 10_000


def test_refuses_nonsense() -> None:
    for kwargs in ({"prior": (0.0, 1.0)}, {"hazard": 1.0}, {"pool": -1.0}, {"segments": 1}, {"alike": 2.0}):
        with pytest.raises(ValueError, match="range"):
            Arm(**kwargs)
