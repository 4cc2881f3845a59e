"""Latent goals: what a first action implies is offered where the bandit and the moment allow it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from typing import Any, Final

from agent.docket import Docket
from agent.goal_wording import goal_proposed, implied
from agent.moments import Moments, outcome_of
from agent.policy import Policy
from agent.suggestions import (
    GoalNews,
    Output,
    Severity,
    Standing,
    Status,
    Suggestion,
    Update,
    Verdict,
    Weighed,
)
from devices.context import Context
from devices.events import StateChange, Tick
from devices.state import HomeState
from latent_goals.bandit import GoalBandit
from latent_goals.decision import Decision, Outcome, Reason
from latent_goals.goal import Finding, Implied, Proposed, Withdrawn
from latent_goals.goals import Goals

_MOST: Final = 200
_DONE: Final = "all of it has been done"


@dataclass(frozen=True, slots=True)
class _Shown:
    """A goal that was suggested, and the decision that led to it."""

    occasion: str
    decision: Decision


class GoalBook:
    """Shows goals, and learns which are wanted.

    Whether a goal may show is the bandit's decision, at the cost that an interruption has at the moment. In a
    trial (a backtest) nobody answers, so every one shows and nothing is learned of it. Chance is drawn from
    the occasion, so that a replay decides alike.

    Memory: the goals that were learned, the last 200 decisions to show, and one note a goal.
    """

    def __init__(  # noqa: PLR0917 - one caller
        self,
        goals: Goals,
        docket: Docket,
        home: HomeState,
        policy: Policy,
        moments: Moments,
        taken: Callable[[str, Collection[tuple[str, str]]], str | None],
    ) -> None:
        self.goals = goals
        self.docket = docket
        self.home = home
        self.policy = policy
        self.moments = moments
        self.taken = taken  # why no question is needed for states that a thing's use implies, if so
        self.bandit = GoalBandit()
        self.revision = 0  # counts what `effects` would tell anew
        self._shown: dict[str, _Shown] = {}  # suggestion ->
        self._not_asked: dict[str, dict[str, str]] = {}  # goal -> when it began last and wasn't offered, why

    def step(self, event: StateChange | Tick, context: Context) -> list[Output]:
        """Return what an action implies, or what a tick has established."""
        out: list[Output] = []
        for finding in self.goals.score_one(event, self.home, context):
            out += self._consider(finding, event, context)
        return out

    def learn_one(self, event: StateChange | Tick, context: Context) -> None:
        """Learn from an event."""
        self.goals.learn_one(event, self.home, context)

    def _consider(self, finding: Finding, event: StateChange | Tick, context: Context) -> list[Output]:
        at = event.at if isinstance(event, Tick) else event.received_at
        if isinstance(finding, Implied):
            used = "" if isinstance(event, Tick) else event.entity_id
            return self._implied(finding, used, at, context)
        if isinstance(finding, Withdrawn):
            return self._withdrawn(finding, at)
        self.revision += 1
        if isinstance(finding, Proposed):
            news = GoalNews(finding.goal.id, Standing.PROPOSED, finding.goal.to_dict(), at)
            trial = self.policy.config.trial and self.policy.may_ask(at)
            return [news, *([goal_proposed(finding.goal, at)] if trial else ())]
        return [GoalNews(finding.goal_id, Standing.RETIRED, {}, at, finding.why)]

    def _implied(self, finding: Implied, used: str, at: datetime, context: Context) -> list[Output]:
        told = next((i for i, shown in self._shown.items() if shown.occasion == finding.occasion), None)
        if told is not None:
            alive = self.docket.alive.get(told)
            if alive is None:
                return []  # answered: the occasion is over
            now = implied(finding, at)
            alive.suggestion = replace(
                alive.suggestion, actions=now.actions, evidence=now.evidence, score=now.score
            )  # its id, which holds the first entity, stays
            return [Update(alive.suggestion)]
        if not self.policy.may_offer([a.entity_id for a in finding.actions], at):
            return self._not_now(finding, context, "the settings, or the mode, don't allow it")
        if self.policy.deliver_at(at, context, Severity.INFO) > at and not self.policy.config.trial:
            return self._not_now(finding, context, "it was in the quiet hours")  # a goal is about now
        if why := self.taken(used, [(a.entity_id, a.state) for a in finding.actions]):
            return self._not_now(finding, context, why)
        return self._weighed(finding, at, context)

    def _not_now(self, finding: Implied, context: Context, why: str) -> list[Output]:
        """Remember why the residents weren't asked."""
        self.revision += 1
        self._not_asked.pop(finding.goal.id, None)
        self._not_asked[finding.goal.id] = {"at": f"{context.local:%Y-%m-%d %H:%M}", "why": why}
        while len(self._not_asked) > _MOST:
            del self._not_asked[next(iter(self._not_asked))]
        return []

    def _why_silent(self, decision: Decision) -> str:
        if decision.reason is Reason.WAITING:
            return "earlier questions have no answer yet"
        if decision.reason is Reason.SUPPRESSED:
            return "it is worse than silence, so far"
        moment = self.moments.why(decision.x) if decision.cost > 0.0 else ""
        if decision.reason is Reason.COSTLY:
            return moment
        chance = f"it isn't clear yet that it is wanted, so that its chance was {decision.p_show:.0%}"
        return f"{chance}: {moment}" if moment else chance

    def _weighed(self, finding: Implied, at: datetime, context: Context) -> list[Output]:
        features = self.moments.features(at, context)
        cost = self.moments.model.cost(features)
        chance = Random(f"{finding.goal.id} {finding.occasion}")
        decision = self.bandit.decide(finding.goal.id, features, chance, cost=cost)
        suggestion = implied(finding, at)
        trial = self.policy.config.trial
        shows = decision.show or trial
        weighed = Weighed(finding.goal.id, suggestion.id if shows else None, decision.to_dict(), at)
        if not shows:
            return [*self._not_now(finding, context, self._why_silent(decision)), weighed]
        self.revision += 1
        self._not_asked.pop(finding.goal.id, None)
        if not trial:
            self.bandit.show_one(decision)
        self._shown[suggestion.id] = _Shown(finding.occasion, decision)
        while len(self._shown) > _MOST:
            del self._shown[next(iter(self._shown))]
        self.moments.told(suggestion.id, at, context)
        self.docket.open(suggestion)
        return [weighed, suggestion]

    def _withdrawn(self, finding: Withdrawn, at: datetime) -> list[Output]:
        for suggestion_id, shown in self._shown.items():
            alive = self.docket.alive.get(suggestion_id)
            if shown.occasion == finding.occasion and alive is not None:
                by_hand = finding.why == _DONE
                self._learn(alive.suggestion, Outcome.BY_HAND if by_hand else Outcome.WITHDRAWN)
                return [self.docket.close(alive.suggestion, Status.RESOLVED, at, finding.why)]
        return []

    def heard(self, suggestion: Suggestion, verdict: Verdict) -> None:
        """Learn from the answer to a goal; "not a problem" is a no like any other."""
        self._learn(suggestion, outcome_of(verdict))

    def _learn(self, suggestion: Suggestion, outcome: Outcome) -> None:
        shown = self._shown.get(suggestion.id)
        if shown is not None and not self.policy.config.trial:
            self.bandit.learn_one(shown.decision, outcome)
            self.moments.heard(suggestion.id, outcome)
            self.revision += 1

    def effects(self) -> dict[str, Any]:
        """Return what answers have changed, by goal, for those who ask why it is quiet."""
        told = {shown.decision.arm for shown in self._shown.values()} | set(self.goals.established)
        return {
            goal_id: {**self.bandit.explain(goal_id), "not_asked": self._not_asked.get(goal_id)}
            for goal_id in sorted(told)
        }

    # -- a past that was only replayed ------------------------------------------------------------

    def unasked(self) -> None:
        """Drop what a replay took for answers: in a past that was imported nobody was asked."""
        self.revision += 1
        self.bandit = GoalBandit()
        self.moments.unasked()
        self._not_asked.clear()
        self._shown = {i: shown for i, shown in self._shown.items() if i in self.docket.alive}

    def unsaid(self, said: Mapping[str, str], at: datetime) -> list[GoalNews]:
        """Return what a replay has established, or not, other than `said`: the standing by id."""
        goals = self.goals.established
        gone = [i for i, standing in said.items() if standing == Standing.PROPOSED and i not in goals]
        return [
            *(GoalNews(i, Standing.RETIRED, {}, at, "it doesn't hold any more") for i in gone),
            *(
                GoalNews(i, Standing.PROPOSED, goal.to_dict(), at)
                for i, goal in goals.items()
                if said.get(i) != Standing.PROPOSED
            ),
        ]

    # -- keeping ----------------------------------------------------------------------------------

    def forget(self, entity_id: str) -> None:
        """Drop what was learned about an entity."""
        self.revision += 1
        self.goals.forget(entity_id)

    def rename(self, old: str, new: str) -> None:
        """Carry what was learned over to an entity's new id."""
        self.revision += 1
        self.goals.rename(old, new)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "goals": self.goals.to_dict(),
            "bandit": self.bandit.to_dict(),
            "shown": {i: [s.occasion, s.decision.to_dict()] for i, s in self._shown.items()},
            "not_asked": self._not_asked,
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self.goals.load(data["goals"])
        self.bandit.load(data["bandit"])
        self._shown = {i: _Shown(o, Decision.from_dict(d)) for i, (o, d) in data["shown"].items()}
        self._not_asked = dict(data.get("not_asked", {}))
