"""The one main path: every event goes through `Pipeline.step`, live and in every replay.

    StateChange | Tick | Feedback | Control | …  ->  [Suggestion | Update | Resolution | Command]

Read `step` and the methods in the order in which it calls them, and you know the system. What becomes of a
finding is in `agent/triage.py`, what becomes of a suggestion after it is raised in `agent/docket.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Final, Protocol

from agent.docket import Alive, Docket
from agent.goal_book import GoalBook
from agent.moments import Moments, outcome_of
from agent.policy import Policy
from agent.requests import Adopt, Control, Dismiss, Feedback, Forget, Mined, Permit, Request, Reset
from agent.routine_book import RoutineBook
from agent.suggestions import Kind, Mode, Output, Status, Suggestion, Verdict
from agent.triage import Triage
from devices.context import Calendar, Context, Occupancy, OccupancyTracker
from devices.events import StateChange, Tick
from devices.state import HomeState
from hunches.detector import Detector
from latent_goals.goals import Goals
from routines.matching import sun_of
from routines.routine import SunEvent

Event = StateChange | Tick | Request

MINUTE: Final = timedelta(minutes=1)
_OCCUPANCY_DOMAINS: Final = ("person.", "device_tracker.", "alarm_control_panel.")
_VERDICT_STATUS: Final = {
    Verdict.ACCEPTED: Status.ACCEPTED,
    Verdict.REJECTED: Status.REJECTED,
    Verdict.INTENTIONAL: Status.INTENTIONAL,
    Verdict.IGNORED: Status.EXPIRED,
}


class Keyed(Protocol):
    """Anything that remembers by entity id."""

    def forget(self, entity_id: str) -> None: ...  # noqa: D102
    def rename(self, old: str, new: str) -> None: ...  # noqa: D102


class Pipeline:
    """The home as learned so far, and the suggestions that are alive. Synchronous and deterministic.

    The same events in the same order give byte-identical outputs, from the first event or from a snapshot
    (`to_dict`, `load`) plus the events after it. Nothing here reads a clock: "now" is the time of the
    event, and `Tick`s are the passing of time.
    """

    def __init__(
        self,
        calendar: Calendar,
        detectors: Sequence[Detector],
        policy: Policy,
        goals: Goals | None = None,
    ) -> None:
        self.calendar = calendar
        self.detectors = detectors
        self.policy = policy
        self.home = HomeState()
        self.occupancy = OccupancyTracker()
        self.docket = Docket()
        self.moments = Moments()
        self.triage = Triage(policy, self.docket, self.home, self.moments)
        self.routines = RoutineBook(self.docket, self.home, policy, self.moments, self._sun)
        self.goals = GoalBook(
            goals or Goals(), self.docket, self.home, policy, self.moments, self.routines.asks_or_does
        )
        self._household = Occupancy.HOME
        self._context: Context | None = None

    @property
    def alive(self) -> Mapping[str, Alive]:
        """The suggestions that can still be answered, by id."""
        return self.docket.alive

    def step(self, event: Event) -> list[Output]:
        """Take one event in; return what follows from it. Score first, then learn."""
        match event:
            case StateChange():
                return self._change(event)
            case Tick():
                return self._tick(event)
            case Feedback():
                return self._feedback(event)
            case Mined() | Adopt() | Dismiss():
                return self._routine(event)
            case Forget():
                return self._forget(event)
            case Control():
                self.policy.control(event)
            case Permit():
                self.policy.permit(event)
            case Reset():
                self.policy.forget(event.entity_id)
        return []

    # -- device changes and time ------------------------------------------------------------------

    def _change(self, event: StateChange) -> list[Output]:
        change = self.home.apply(event)
        served = self.routines.served(change)  # to end it then takes nothing back
        out = self.routines.observe(change, self.calendar.zone)
        if change.old == change.new:
            return out + self._adjust(change)
        self.occupancy.observe(change)
        self.moments.observe(change)
        if change.entity_id.startswith(_OCCUPANCY_DOMAINS):
            self._assess_household(change.received_at)
        if not served:
            out += self._undone_by_hand(change)
        self.triage.left(change)
        out += self.docket.left(change)
        return out + self._score_and_learn(change, change.received_at)

    def _adjust(self, change: StateChange) -> list[Output]:
        """Follow what a thing is told in the state that it is in: to dim, to heat less."""
        known = self.home.get(change.entity_id)
        if change.retained or known is None or known.state != change.new:
            return []  # a late report of a state that is over says nothing
        context = self.context(change.received_at)
        out = self.goals.step(change, context)
        if self.policy.may_learn:
            self.goals.learn_one(change, context)
        return out

    def _tick(self, tick: Tick) -> list[Output]:
        self.policy.tick(tick.at)
        self._assess_household(tick.at)
        context = self.context(tick.at)
        self.triage.tick(context)
        out = self._expire(tick.at) if self.alive else []
        out += self._score_and_learn(tick, tick.at)
        return out + self.triage.show_waiting(tick.at, context)

    def _score_and_learn(self, event: StateChange | Tick, at: datetime) -> list[Output]:
        context = self.context(at)
        out: list[Output] = []
        if isinstance(event, Tick) or event.trains:
            for detector in self.detectors:
                for finding in detector.score_one(event, self.home, context):
                    out += self.triage.consider(finding, at, context)
            out += self.routines.step(event, context)
            out += self.goals.step(event, context)
        if isinstance(event, StateChange) and (
            not self.policy.may_learn or self.docket.ends_confirmed(event)
        ):
            event = replace(event, retained=True)  # still updates what is pending, but teaches nothing
        for detector in self.detectors:
            detector.learn_one(event, self.home, context)
        self.goals.learn_one(event, context)
        return out

    def context(self, at: datetime) -> Context:
        """Return the circumstances at a time, to the minute (so a snapshot needs no hidden state)."""
        known = self._context
        if (
            known is None
            or not known.at <= at < known.at + MINUTE
            or known.occupancy is not self._household
            or known.local.tzinfo is not self.calendar.zone
        ):
            minute = at.replace(second=0, microsecond=0)
            known = self._context = self.calendar.context(minute, self._household)
        return known

    def _assess_household(self, at: datetime) -> None:
        self._household = self.occupancy.occupancy(at, at.astimezone(self.calendar.zone))

    def unasked(self) -> None:
        """Drop what was learned from answers: the past that was replayed was put before nobody."""
        self.policy.unasked()
        self.goals.unasked()

    def _sun(self, event: SunEvent, day: date) -> datetime | None:
        """Return when the sun rises or sets, by the calendar that holds now."""
        times = sun_of(self.calendar)
        return None if times is None else times(event, day)

    # -- the life of a suggestion -----------------------------------------------------------------

    def _expire(self, at: datetime) -> list[Output]:
        out: list[Output] = []
        for suggestion in self.docket.expired(at):
            if suggestion.mode is Mode.ACT:
                out.append(self.docket.close(suggestion, Status.ACCEPTED, at, "nobody took it back"))
                continue
            out += self._answered(suggestion, Verdict.IGNORED, at)
            out.append(self.docket.close(suggestion, Status.EXPIRED, at, "nobody answered"))
        return out + self.docket.woken(at)

    def _routine(self, event: Mined | Adopt | Dismiss) -> list[Output]:
        match event:
            case Mined():
                return self.routines.mined(event, self.context(event.at))
            case Adopt():
                return self.routines.adopt(event)
            case Dismiss():
                return self.routines.dismiss(event)

    def _feedback(self, event: Feedback) -> list[Output]:
        alive = self.alive.get(event.suggestion_id)
        acted = alive is not None and alive.suggestion.mode is Mode.ACT
        if event.verdict is Verdict.UNDONE or (acted and event.verdict is Verdict.REJECTED):
            return self._undone(event.suggestion_id, event.at)
        if alive is None:
            return []  # answered twice, or too late: the shell has told the resident
        suggestion = alive.suggestion
        if event.verdict is Verdict.SNOOZED:
            return [self.docket.snooze(alive, event.at, event.snooze)]
        out: list[Output] = []
        if event.verdict is Verdict.ACCEPTED and not acted:
            out += self._carry_out(suggestion, event.at)
        closed = self.docket.close(suggestion, _VERDICT_STATUS[event.verdict], event.at)
        return [closed, *out, *self._answered(suggestion, event.verdict, event.at)]

    def _carry_out(self, suggestion: Suggestion, at: datetime) -> list[Output]:
        """Do what a resident has said yes to."""
        if suggestion.kind is Kind.ROUTINE_PROPOSED:
            return []  # it is to be a routine, not to be done now
        if suggestion.kind is Kind.HUNCH:
            self.docket.confirm(suggestion)
        commands = self.docket.act(suggestion, self.home, at)
        return self.routines.paced(suggestion, commands, at) if suggestion.kind is Kind.ROUTINE else commands

    def _answered(self, suggestion: Suggestion, verdict: Verdict, at: datetime) -> list[Output]:
        """Learn from an answer."""
        if suggestion.kind is Kind.ROUTINE_PROPOSED:
            return self.routines.answered(suggestion, verdict, at)
        if suggestion.kind is Kind.ROUTINE:
            return self.routines.heard(suggestion, verdict, at)
        if suggestion.kind is Kind.GOAL:
            self.goals.heard(suggestion, verdict)
            return []
        self.policy.answer(suggestion, verdict)
        self.moments.heard(suggestion.id, outcome_of(verdict))
        if verdict is not Verdict.IGNORED:
            day = suggestion.raised_at.astimezone(self.calendar.zone).toordinal()
            mistaken = verdict is not Verdict.ACCEPTED
            self.triage.calibration.answer_one(suggestion.detector, day, mistaken=mistaken)
        return []

    def _undone(self, suggestion_id: str, at: datetime) -> list[Output]:
        undone = self.docket.undo(suggestion_id, at)
        if undone is None:
            return []
        suggestion, out = undone
        return out + self._learn_reversal(suggestion, at)

    def _undone_by_hand(self, change: StateChange) -> list[Output]:
        """Learn from a resident who puts back at once what was done for a suggestion."""
        suggestion = self.docket.reversed_by(change)
        if suggestion is None:
            return []
        why = f"{change.entity_id} was put back to {change.new} by hand"
        closed = self.docket.close(suggestion, Status.UNDONE, change.received_at, why)
        return [closed, *self._learn_reversal(suggestion, change.received_at)]

    def _learn_reversal(self, suggestion: Suggestion, at: datetime) -> list[Output]:
        if suggestion.kind is Kind.ROUTINE:
            self.routines.cancel(suggestion.id)
            return self.routines.heard(suggestion, Verdict.UNDONE, at)
        if suggestion.kind is Kind.GOAL:
            self.goals.heard(suggestion, Verdict.UNDONE)
            return []
        self.policy.answer(suggestion, Verdict.UNDONE)
        if suggestion.mode is Mode.ACT:
            self.policy.revoke(suggestion)
        return []

    def _forget(self, event: Forget) -> list[Output]:
        old, new = event.entity_id, event.renamed_to
        learned: tuple[Keyed, ...] = (self.home, self.policy, self.goals, *self.detectors)
        for part in learned:
            if new is None:
                part.forget(old)
            else:
                part.rename(old, new)
        self.triage.forget(old)
        why = "forgotten" if new is None else f"renamed to {new}"
        book, at = self.routines, event.at
        out = book.forget(old, at) if new is None else book.rename(old, new, at)
        return out + [self.docket.close(s, Status.RESOLVED, at, why) for s in self.docket.forget(old)]

    # -- snapshots --------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "home": self.home.to_dict(),
            "occupancy": self.occupancy.to_dict(),
            "household": self._household.value,
            "policy": self.policy.to_dict(),
            "detectors": {d.name: d.to_dict() for d in self.detectors},
            "docket": self.docket.to_dict(),
            "triage": self.triage.to_dict(),
            "routines": self.routines.to_dict(),
            "goals": self.goals.to_dict(),
            "moments": self.moments.to_dict(),
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`. A detector that the snapshot doesn't know starts empty."""
        self.home.load(data["home"])
        self.occupancy.load(data["occupancy"])
        self._household = Occupancy(data["household"])
        self.policy.load(data["policy"])
        for detector in self.detectors:
            if detector.name in data["detectors"]:
                detector.load(data["detectors"][detector.name])
        self.docket.load(data["docket"])
        self.triage.load(data["triage"])
        self.routines.load(data["routines"])
        self.goals.load(data["goals"])
        self.moments.load(data["moments"])
