"""Other policies behind the same protocol. Where they draw themselves, p_show is what they drew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from random import Random
from types import ModuleType
from typing import Any

from river import bandit as river_bandit
from river import proba

from latent_goals.decision import REWARDS, Decision, Outcome, Value

SILENCE = "silence"


class Baseline:
    """Shows at random, half of the time."""

    def decide(self, arm: str, x: Mapping[str, Value], rng: Random, *, cost: float = 0.0) -> Decision:
        p = self.p_show(arm, x, rng)
        show = rng.random() < p
        decision = Decision(arm, dict(x), show, p if show else 1.0 - p, p)
        if not show:
            self.learn_silence(x)
        return decision

    def p_show(self, arm: str, x: Mapping[str, Value], rng: Random) -> float:
        return 0.5

    def show_one(self, decision: Decision) -> None:
        pass

    def learn_one(self, decision: Decision, outcome: Outcome) -> None:
        pass

    def learn_silence(self, x: Mapping[str, Value]) -> None:
        pass


class Always(Baseline):
    def p_show(self, arm: str, x: Mapping[str, Value], rng: Random) -> float:
        return 1.0


class Never(Baseline):
    def p_show(self, arm: str, x: Mapping[str, Value], rng: Random) -> float:
        return 0.0


class EpsilonGreedy(Baseline):
    """Shows where the mean reward so far is not below silence's; explores at random now and then."""

    def __init__(self, epsilon: float = 0.1) -> None:
        self.epsilon = epsilon
        self.sums: defaultdict[str, float] = defaultdict(float)

    def p_show(self, arm: str, x: Mapping[str, Value], rng: Random) -> float:
        return self.epsilon / 2 + (1 - self.epsilon) * (self.sums[arm] >= 0.0)

    def learn_one(self, decision: Decision, outcome: Outcome) -> None:
        self.sums[decision.arm] += REWARDS[outcome]


class RiverThompson(Baseline):
    """river's ThompsonSampling with Betas: one arm a goal, and silence, half of whose trials succeed."""

    def __init__(self, seed: int) -> None:
        self.policy = river_bandit.ThompsonSampling(reward_obj=proba.Beta(1, 1), seed=seed)

    def p_show(self, arm: str, x: Mapping[str, Value], rng: Random) -> float:
        return float(self.policy.pull([arm, SILENCE]) == arm)

    def learn_one(self, decision: Decision, outcome: Outcome) -> None:
        self.policy.update(decision.arm, REWARDS[outcome] > 0.0)

    def learn_silence(self, x: Mapping[str, Value]) -> None:
        self.policy.update(SILENCE, True)
        self.policy.update(SILENCE, False)


class RiverLinUCB(Baseline):
    """river's LinUCBDisjoint: the daypart one-hot, rewards as they are, silence an arm with reward 0."""

    def __init__(self, seed: int) -> None:
        self.policy = river_bandit.LinUCBDisjoint(seed=seed)

    def p_show(self, arm: str, x: Mapping[str, Value], rng: Random) -> float:
        return float(self.policy.pull([arm, SILENCE], _one_hot(x)) == arm)

    def learn_one(self, decision: Decision, outcome: Outcome) -> None:
        self.policy.update(decision.arm, _one_hot(decision.x), REWARDS[outcome])

    def learn_silence(self, x: Mapping[str, Value]) -> None:
        self.policy.update(SILENCE, _one_hot(x), 0.0)


def _one_hot(x: Mapping[str, Value]) -> dict[str, float]:
    return {"bias": 1.0, **{f"{k}={v}": 1.0 for k, v in x.items()}}


class MabWiserThompson(Baseline):
    """mabwiser's ThompsonSampling, one for each goal: to show, or silence, half of whose trials succeed."""

    def __init__(self, mab: ModuleType, seed: int) -> None:
        self.mab, self.seed = mab, seed
        self.known: dict[str, Any] = {}

    def _of(self, arm: str) -> Any:
        if arm not in self.known:
            thompson = self.mab.LearningPolicy.ThompsonSampling()
            self.known[arm] = self.mab.MAB([arm, SILENCE], thompson, seed=self.seed + len(self.known))
            self.known[arm].fit([SILENCE, SILENCE], [0, 1])
        return self.known[arm]

    def p_show(self, arm: str, x: Mapping[str, Value], rng: Random) -> float:
        self.last = arm
        return float(self._of(arm).predict() == arm)

    def learn_one(self, decision: Decision, outcome: Outcome) -> None:
        self._of(decision.arm).partial_fit([decision.arm], [int(REWARDS[outcome] > 0.0)])

    def learn_silence(self, x: Mapping[str, Value]) -> None:
        self._of(self.last).partial_fit([SILENCE, SILENCE], [0, 1])
