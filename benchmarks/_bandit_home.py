"""A simulated resident who wants some goals and not others, and answers when it suits."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from latent_goals.decision import REWARDS, Decision, Outcome, Policy

DAYPARTS = ("night", "morning", "afternoon", "evening")
SHARES = (0.05, 0.3, 0.2, 0.45)  # of the opportunities
OUTCOMES = (Outcome.ACCEPTED, Outcome.BY_HAND, Outcome.IGNORED, Outcome.REJECTED, Outcome.UNDONE)
Odds = tuple[float, ...]
"""Probabilities of `OUTCOMES`."""


@dataclass(frozen=True)
class Goal:
    """What the resident answers, by daypart, until it changes its mind."""

    name: str
    odds: Mapping[str, Odds]
    turns_at_h: float = float("inf")
    turned: Odds = ()

    def answers(self, at_h: float, daypart: str) -> Odds:
        return self.turned if at_h >= self.turns_at_h else self.odds[daypart]

    def value(self, at_h: float, daypart: str) -> float:
        odds = self.answers(at_h, daypart)
        return sum(p * REWARDS[o] for p, o in zip(odds, OUTCOMES, strict=True))


@dataclass(frozen=True)
class Opportunity:
    """A moment at which a goal's trigger fires."""

    at_h: float
    goal: Goal
    daypart: str


@dataclass(frozen=True)
class Step:
    """An opportunity and what a policy made of it."""

    opportunity: Opportunity
    decision: Decision
    outcome: Outcome | None

    @property
    def reward(self) -> float:
        return REWARDS[self.outcome] if self.outcome else 0.0

    @property
    def regret(self) -> float:
        value = self.opportunity.goal.value(self.opportunity.at_h, self.opportunity.daypart)
        return max(0.0, value) - value * self.decision.show


def _wanted(rng: Random) -> Odds:
    """Six to nine in ten of the showings are accepted; most of the others just pass."""
    accepted = rng.uniform(0.6, 0.9)
    rest = 1.0 - accepted
    return accepted, 0.3 * rest, 0.4 * rest, 0.25 * rest, 0.05 * rest


def _unwanted(rng: Random) -> Odds:
    """Up to one in ten is accepted, up to one in twenty done by hand; some are rejected, some ignored."""
    accepted, by_hand, ignored = rng.uniform(0.0, 0.1), rng.uniform(0.0, 0.05), rng.uniform(0.1, 0.9)
    rest = 1.0 - accepted - by_hand
    return accepted, by_hand, ignored * rest, (1.0 - ignored) * 0.95 * rest, (1.0 - ignored) * 0.05 * rest


def goals(rng: Random, days: float) -> list[Goal]:
    """Return ten: three wanted (one only in the evening), one that turns bad in mid-run, six unwanted."""
    out = [Goal(f"wanted {i}", dict.fromkeys(DAYPARTS, _wanted(rng))) for i in range(2)]
    bad, good = _unwanted(rng), _wanted(rng)
    out.append(Goal("evenings only", {d: good if d == "evening" else bad for d in DAYPARTS}))
    out.append(Goal("turning", dict.fromkeys(DAYPARTS, _wanted(rng)), days * 12, _unwanted(rng)))
    return out + [Goal(f"unwanted {i}", dict.fromkeys(DAYPARTS, _unwanted(rng))) for i in range(6)]


def opportunities(rng: Random, days: float, per_day: float) -> list[Opportunity]:
    """Return when the triggers of all goals fire: at random, `per_day` times each."""
    out = []
    for goal in goals(rng, days):
        at_h = rng.expovariate(per_day / 24)
        while at_h < days * 24:
            out.append(Opportunity(at_h, goal, rng.choices(DAYPARTS, SHARES)[0]))
            at_h += rng.expovariate(per_day / 24)
    return sorted(out, key=lambda o: o.at_h)


def live(policy: Policy, moments: list[Opportunity], rng: Random, delay_h: float) -> list[Step]:
    """Run a policy; answers come after `delay_h` on average, and after five times that where there are none.

    What the resident would answer at an opportunity is the same for every policy.
    """
    answers, own, steps = Random(rng.random()), Random(rng.random()), []
    waiting: list[tuple[float, int, Decision, Outcome]] = []
    for i, moment in enumerate(moments):
        while waiting and waiting[0][0] <= moment.at_h:
            _, _, decision, outcome = heapq.heappop(waiting)
            policy.learn_one(decision, outcome)
        outcome = answers.choices(OUTCOMES, moment.goal.answers(moment.at_h, moment.daypart))[0]
        late = 5 * delay_h if outcome is Outcome.IGNORED else answers.expovariate(1 / delay_h)
        decision = policy.decide(moment.goal.name, {"daypart": moment.daypart}, own)
        steps.append(Step(moment, decision, outcome if decision.show else None))
        if decision.show:
            policy.show_one(decision)
            heapq.heappush(waiting, (moment.at_h + late, i, decision, outcome))
    return steps
