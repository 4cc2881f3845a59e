from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random

import pytest

from latent_goals.decision import Decision, Outcome, Value
from latent_goals.off_policy import Logged, NoSupportError, OffPolicy, Target

VALUES = {"good": 0.6, "bad": -0.4}


def shows(p: float) -> Target:
    return lambda _arm, _x: p


always = shows(1.0)


def only_good(arm: str, _x: Mapping[str, Value]) -> float:
    return float(arm == "good")


def logs(rng: Random, n: int, p: float = 0.3) -> list[Logged]:
    """Return what a policy logs that shows two arms at random; rewards are ±1."""
    out = []
    for _ in range(n):
        arm, show = rng.choice(["good", "bad"]), rng.random() < p
        reward = (1.0 if rng.random() < (1 + VALUES[arm]) / 2 else -1.0) if show else 0.0
        out.append(Logged(arm, {}, show, p if show else 1 - p, reward))
    return out


def test_by_hand() -> None:
    log = [
        Logged("a", {}, True, 0.5, 1.0),  # w = 0.8/0.5 = 1.6
        Logged("a", {}, False, 0.5),  # w = 0.2/0.5 = 0.4
        Logged("b", {}, True, 0.25, -1.0),  # w = 0.8/0.25 = 3.2
    ]
    result = OffPolicy(rewards=(-1.0, 1.0)).evaluate(log, shows(0.8))
    assert result.ips.value == pytest.approx((1.6 - 3.2) / 3)
    assert result.snips.value == pytest.approx((1.6 - 3.2) / 5.2)
    # q: 0 before the first; after one reward of 1 all arms have 1/3, a (1 + 2/3)/3 = 5/9, b 1/3
    # 1.6 · 1, 0.8 · 5/9, and 0.8 · 1/3 + 3.2 · (-1 - 1/3)
    assert result.dr.value == pytest.approx((1.6 + 4 / 9 + 0.8 / 3 - 3.2 * 4 / 3) / 3)
    assert result.gain.value == pytest.approx(result.dr.value)  # the log's mean reward is 0
    assert result.effective_n == pytest.approx(5.2**2 / (1.6**2 + 0.4**2 + 3.2**2))
    assert (result.n, result.largest_weight, result.clipped) == (3, pytest.approx(3.2), 0)


def test_the_logging_policy_itself() -> None:
    log = logs(Random(2), 300)
    result = OffPolicy(rewards=(-1.0, 1.0)).evaluate(log, shows(0.3))
    assert result.ips.value == pytest.approx(result.logged.value)
    assert result.effective_n == pytest.approx(300)


def test_silence_is_worth_nothing_for_certain() -> None:
    result = OffPolicy().evaluate(logs(Random(2), 50), shows(0.0))
    for estimate in (result.ips, result.dr):
        assert (estimate.value, estimate.low, estimate.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("target", [always, only_good])
def test_intervals_hold_the_truth(target: Target) -> None:
    truth = sum(v * target(arm, {}) for arm, v in VALUES.items()) / 2
    held = dict.fromkeys(("ips", "snips", "dr"), 0)
    for seed in range(60):
        result = OffPolicy(rewards=(-1.0, 1.0)).evaluate(logs(Random(seed), 150), target)
        for name in held:
            estimate = getattr(result, name)
            assert estimate.low <= estimate.value <= estimate.high
            held[name] += estimate.low <= truth <= estimate.high
    # 60 runs at 95%: 57 expected, fewer than 52 once in a hundred times
    assert min(held.values()) >= 52


def test_unbiased_where_showings_are_rare() -> None:
    runs = [OffPolicy().evaluate(logs(Random(seed), 100, p=0.1), only_good) for seed in range(60)]
    truth, n = VALUES["good"] / 2, len(runs)
    for name in ("ips", "dr"):
        values = [getattr(r, name).value for r in runs]
        mean = sum(values) / n
        error = (sum((v - mean) ** 2 for v in values) / n / (n - 1)) ** 0.5
        assert abs(mean - truth) < 3 * error


def test_a_log_without_the_showings_in_question_knows_little() -> None:
    log = [Logged("a", {}, False, 0.98) for _ in range(100)]
    result = OffPolicy(rewards=(-1.0, 1.0)).evaluate(log, always)
    # weights up to 1/0.02 = 50, so that a mean of m costs -100 log(1 - m/50) = 1.97: m = 0.975
    assert (result.ips.low, result.ips.high) == (
        pytest.approx(-0.975, abs=0.03),
        pytest.approx(0.975, abs=0.03),
    )


def test_clipped_weights_are_counted() -> None:
    log = logs(Random(1), 200, p=0.1)
    plain, clipped = (OffPolicy(clip=c).evaluate(log, always) for c in (None, 5.0))
    assert (plain.clipped, clipped.clipped) == (0, sum(r.show for r in log))
    assert clipped.largest_weight == 5.0 < plain.largest_weight
    assert clipped.ips.value == pytest.approx(plain.ips.value / 2)  # all weights were 10


def test_nobody_knows_what_was_never_possible() -> None:
    log = [*logs(Random(1), 20), Logged("never", {}, False, 1.0)]
    with pytest.raises(NoSupportError, match="1 of 21"):
        OffPolicy().evaluate(log, always)
    assert OffPolicy().evaluate(log, only_good).n == 21


def test_refuses_nonsense() -> None:
    for propensity in (0.0, -0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="propensity"):
            Logged("a", {}, True, propensity, 1.0)
    with pytest.raises(ValueError, match="silence"):
        Logged("a", {}, False, 0.5, 1.0)
    with pytest.raises(ValueError, match="empty"):
        OffPolicy().evaluate([], always)
    with pytest.raises(ValueError, match="target"):
        OffPolicy().evaluate(logs(Random(1), 3), shows(1.5))
    with pytest.raises(ValueError, match="reward of 5"):
        OffPolicy().evaluate([Logged("a", {}, True, 0.5, 5.0)], always)
    for kwargs in ({"rewards": (0.5, 1.0)}, {"clip": 0.0}, {"level": 1.0}):
        with pytest.raises(ValueError, match=r"range|rewards"):
            OffPolicy(**kwargs)


def test_a_record_of_a_decision() -> None:
    decision = Decision("a", {"daypart": "night"}, True, 0.4, 0.4)
    assert Logged.of(decision, Outcome.REJECTED) == Logged("a", {"daypart": "night"}, True, 0.4, -2.0)
    assert Logged.of(decision, Outcome.ACCEPTED, Outcome.UNDONE).reward == -2.0
    for outcomes in ([], [Outcome.WITHDRAWN]):
        with pytest.raises(ValueError, match="no outcome"):
            Logged.of(decision, *outcomes)
    silent = Decision("a", {}, False, 0.6, 0.4)
    assert Logged.of(silent).p_show == pytest.approx(0.4)


def test_json() -> None:
    result = OffPolicy().evaluate(logs(Random(1), 30), only_good).to_dict()
    assert json.loads(json.dumps(result))["dr"] == result["dr"]
