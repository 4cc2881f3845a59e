"""Off-policy estimates beside the truth, which a simulated resident knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from benchmarks._bandit_baselines import Baseline, EpsilonGreedy
from benchmarks._bandit_home import DAYPARTS, OUTCOMES, SHARES, Goal, goals
from latent_goals.bandit import GoalBandit
from latent_goals.decision import Policy, Value
from latent_goals.off_policy import Evaluation, Logged, OffPolicy

LOGGERS: dict[str, Callable[[], Policy]] = {
    "at random": Baseline,
    "epsilon-greedy": EpsilonGreedy,
    "inkling": GoalBandit,
}


def cautious(arm: str, x: Mapping[str, Value]) -> float:
    """Three goals, the third in the evening, rarely the others."""
    wanted = arm.startswith("wanted") or (arm == "evenings only" and x["daypart"] == "evening")
    return 0.9 if wanted else 0.02


def bold(arm: str, x: Mapping[str, Value]) -> float:
    """All goals, rather in the evening, and the one that used to be wanted less."""
    return (0.8 if x["daypart"] == "evening" else 0.4) / (2 if arm == "turning" else 1)


TARGETS = {"cautious": cautious, "bold": bold}


def draw(rng: Random, home: list[Goal]) -> tuple[Goal, str]:
    return rng.choice(home), rng.choices(DAYPARTS, SHARES)[0]


def truth(home: list[Goal], target: Callable[[str, Mapping[str, Value]], float]) -> float:
    """Return the expected reward of an opportunity."""
    return sum(
        share / len(home) * goal.value(0.0, daypart) * target(goal.name, {"daypart": daypart})
        for goal in home
        for daypart, share in zip(DAYPARTS, SHARES, strict=True)
    )


def log(rng: Random, home: list[Goal], policy: Policy, n: int) -> list[Logged]:
    """Return what a policy that goes on learning does, answered at once."""
    records = []
    for _ in range(n):
        goal, daypart = draw(rng, home)
        decision = policy.decide(goal.name, {"daypart": daypart}, rng)
        outcome = rng.choices(OUTCOMES, goal.answers(0.0, daypart))[0]
        if decision.show:
            policy.show_one(decision)
            policy.learn_one(decision, outcome)
        records.append(Logged.of(decision, *([outcome] if decision.show else [])))
    return records


def coverage(logger: str, target: str, runs: int, n: int, seed: int) -> dict[str, float]:
    """Return the shares of runs in which the intervals held the truth, and how wide they were."""
    held = dict.fromkeys(("ips", "snips", "dr"), 0)
    width = dict.fromkeys(held, 0.0)
    for run in range(runs):
        rng = Random(f"{seed} {logger} {target} {run}")
        home = goals(rng, 1e9)
        value = truth(home, TARGETS[target])
        records = log(rng, home, LOGGERS[logger](), n)
        result: Evaluation = OffPolicy().evaluate(records, TARGETS[target])
        for name in held:
            estimate = getattr(result, name)
            held[name] += estimate.low <= value <= estimate.high
            width[name] += (estimate.high - estimate.low) / runs
    return {k: v / runs for k, v in held.items()} | {f"{k} width": v for k, v in width.items()}
