"""From a finding to a suggestion: calibrated, then acted on, joined to a message, shown, or kept waiting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from agent.docket import Alive, Docket
from agent.moments import Moments
from agent.policy import Decision, Policy
from agent.suggestions import Output, Severity, Update
from agent.waiting import Waiting, dated
from agent.wording import group_of, joined, suggestion_of
from devices.context import Context
from devices.events import NOT_A_STATE, StateChange
from devices.state import HomeState
from hunches.calibration import Calibration
from hunches.detector import Clear, Finding, Hunch


class Triage:
    """Decides what becomes of the detectors' findings. Memory: a record a detector, and what waits."""

    def __init__(self, policy: Policy, docket: Docket, home: HomeState, moments: Moments) -> None:
        self.policy = policy
        self.docket = docket
        self.home = home
        self.moments = moments
        self.calibration = Calibration(alpha=policy.config.fdr or 0.1, per_day=policy.config.per_day)
        self._waiting = Waiting()

    def consider(self, finding: Finding, at: datetime, context: Context) -> list[Output]:
        """Take a detector's finding in; return what follows from it."""
        if isinstance(finding, Clear):
            self._waiting.drop(finding.detector, finding.entity_id)
            return self.docket.cleared(finding, at)
        if self.docket.told(finding):
            return []
        self.policy.budget.note(finding.detector, finding.entity_id, finding.abnormal_since, at)
        return self._decide(self._calibrated(finding, context), at, context, at)

    def left(self, change: StateChange) -> None:
        """Let go what waits and is settled by an entity's change to another state."""
        if self._waiting and change.new not in NOT_A_STATE:
            self._waiting.left(change)

    def show_waiting(self, at: datetime, context: Context) -> list[Output]:
        """Show what waited for the budget, the most surprising first, if it is still true."""
        out: list[Output] = []
        if self._waiting:
            for hunch, found_at in self._waiting.take(at):
                if not self.docket.told(hunch):
                    out += self._decide(hunch, at, context, found_at)
        return out

    def tick(self, context: Context) -> None:
        """Take note of the day."""
        if self.policy.may_learn:
            self.calibration.tick(context.local.toordinal())

    def _calibrated(self, hunch: Hunch, context: Context) -> Hunch:
        """Return a finding with how likely a day is that brings one as surprising though nothing is wrong."""
        day = context.local.toordinal()
        verdict = self.calibration.admits(hunch.detector, hunch.score, day)
        if self.policy.may_learn:
            self.calibration.learn_one(hunch.detector, hunch.score, day)
        known = {"p_home": float(f"{verdict.p:.3g}"), "fdr_level": float(f"{min(1.0, verdict.level):.3g}")}
        return replace(hunch, evidence={**hunch.evidence, **known})

    def _decide(self, hunch: Hunch, at: datetime, context: Context, found_at: datetime) -> list[Output]:
        """Act where that is allowed, else join a message, else show or let it wait."""
        severity = self.policy.severity(hunch, self.home, context)
        decision, why = self.policy.decide(hunch, at, severity)
        if decision is Decision.DROP:
            return []
        if self.policy.may_act(hunch):
            return self._raise(hunch, at, context, severity, "you allowed to act unasked", act=True)
        if severity is Severity.INFO and (alive := self._companion(hunch, at)) is not None:
            return self._join(alive, hunch)
        if decision is Decision.SHOW:
            if severity is Severity.INFO:
                self.policy.pay(hunch, at)
            shown = dated(hunch, found_at, at, context.local.tzinfo)
            return self._raise(shown, at, context, severity, why)
        self._waiting.hold(hunch, found_at)
        return []

    def _raise(
        self, hunch: Hunch, at: datetime, context: Context, severity: Severity, why: str, *, act: bool = False
    ) -> list[Output]:
        suggestion = suggestion_of(
            hunch,
            self.home,
            at=at,
            deliver_at=self.policy.deliver_at(at, context, severity),
            severity=severity,
            act=act,
            why=why,
        )
        self.docket.note(hunch)
        self.docket.open(suggestion)
        self.moments.told(suggestion.id, at, context)
        return [suggestion, *(self.docket.act(suggestion, self.home, at) if act else ())]

    def _companion(self, hunch: Hunch, at: datetime) -> Alive | None:
        return self.docket.companion(hunch.detector, group_of(hunch, self.home), at)

    def _join(self, alive: Alive, hunch: Hunch) -> list[Output]:
        alive.suggestion = joined(alive.suggestion, hunch, self.home)
        self.docket.note(hunch)
        return [Update(alive.suggestion)]

    def forget(self, entity_id: str) -> None:
        """Drop what waits about an entity."""
        self._waiting.forget(entity_id)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {"calibration": self.calibration.to_dict(), "waiting": self._waiting.to_dict()}

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self.calibration.load(data["calibration"])
        self._waiting.load(data["waiting"])
