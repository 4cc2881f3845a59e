"""The one main path: every event goes through `Pipeline.step`, live and in every replay.

    StateChange | Tick | Feedback | Control | Forget  ->  [Suggestion | Resolution | Command]

Read `step` and the methods in the order in which it calls them, and you know the system.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from agent.policy import Decision, Policy
from agent.suggestions import (
    Action,
    Command,
    Control,
    Feedback,
    Forget,
    Kind,
    Mode,
    Output,
    Resolution,
    Status,
    Suggestion,
    Verdict,
    reopened,
)
from devices.context import Calendar, Context, Occupancy, OccupancyTracker
from devices.events import NOT_A_STATE, StateChange, Tick, utc
from devices.state import HomeState
from hunches.detector import Detector, Hunch

Event = StateChange | Tick | Feedback | Control | Forget

MINUTE: Final = timedelta(minutes=1)
MAX_UNDO: Final = 200
"""How many acted suggestions can still be undone."""
_OCCUPANCY_DOMAINS: Final = ("person.", "device_tracker.", "alarm_control_panel.")
_VERDICT_STATUS: Final = {
    Verdict.ACCEPTED: Status.ACCEPTED,
    Verdict.REJECTED: Status.REJECTED,
    Verdict.INTENTIONAL: Status.INTENTIONAL,
    Verdict.SNOOZED: Status.SNOOZED,
    Verdict.IGNORED: Status.EXPIRED,
}


@dataclass(slots=True)
class Alive:
    """A suggestion that can still be answered."""

    suggestion: Suggestion
    snoozed_until: datetime | None = None


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

    def __init__(self, calendar: Calendar, detectors: Sequence[Detector], policy: Policy) -> None:
        self.calendar = calendar
        self.detectors = detectors
        self.policy = policy
        self.home = HomeState()
        self.occupancy = OccupancyTracker()
        self.alive: dict[str, Alive] = {}
        self._held: dict[tuple[str, str], Hunch] = {}  # over budget, by (detector, entity)
        self._told: dict[str, str] = {}  # entity -> the state it is in that has been told already
        self._undo: dict[str, tuple[Suggestion, tuple[Action, ...]]] = {}  # id -> states before we acted
        self._household = Occupancy.HOME
        self._context: Context | None = None

    def step(self, event: Event) -> list[Output]:
        """Take one event in; return what follows from it. Score first, then learn."""
        match event:
            case StateChange():
                return self._change(event)
            case Tick():
                return self._tick(event)
            case Feedback():
                return self._feedback(event)
            case Control():
                self.policy.control(event)
                return []
            case Forget():
                return self._forget(event)

    # -- device changes and time ------------------------------------------------------------------

    def _change(self, event: StateChange) -> list[Output]:
        change = self.home.apply(event)
        if change.old == change.new:
            return []  # a repeat, or attributes only
        self.occupancy.observe(change)
        if change.entity_id.startswith(_OCCUPANCY_DOMAINS):
            self._assess_household(change.received_at)
        out: list[Output] = []
        if self._told or self._held:
            out += self._withdraw(change)
        return out + self._score_and_learn(change, change.received_at)

    def _tick(self, tick: Tick) -> list[Output]:
        self.policy.tick(tick.at)
        self._assess_household(tick.at)
        out = self._expire(tick.at) if self.alive else []
        out += self._score_and_learn(tick, tick.at)
        if self._held:
            out += self._show_held(tick.at)
        return out

    def _score_and_learn(self, event: StateChange | Tick, at: datetime) -> list[Output]:
        context = self.context(at)
        out: list[Output] = []
        if isinstance(event, Tick) or event.trains:
            for detector in self.detectors:
                for hunch in detector.score_one(event, self.home, context):
                    out += self._consider(hunch, at, context)
        if not self.policy.may_learn and isinstance(event, StateChange):
            event = replace(event, retained=True)  # still updates what is pending, but teaches nothing
        for detector in self.detectors:
            detector.learn_one(event, self.home, context)
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

    # -- from a finding to a suggestion -----------------------------------------------------------

    def _consider(self, hunch: Hunch, at: datetime, context: Context) -> list[Output]:
        if self._already_told(hunch):
            return []
        decision, why = self.policy.decide(hunch, at, self.home, context)
        if decision is Decision.SHOW:
            return [self._show(hunch, at, context, why)]
        if decision is Decision.HOLD:
            self._held[hunch.detector, hunch.entity_id] = hunch
        return []

    def _already_told(self, hunch: Hunch) -> bool:
        """Whether this stretch of the abnormal has had its suggestion, whatever became of it."""
        return self._told.get(hunch.entity_id) == hunch.raised_for

    def _show(self, hunch: Hunch, at: datetime, context: Context, why: str) -> Suggestion:
        urgent = self.policy.urgent(hunch.entity_id, self.home, context)
        if not urgent:
            self.policy.pay(at)
        deliver_at = self.policy.deliver_at(at, context, urgent=urgent)
        suggestion = Suggestion(
            kind=Kind.HUNCH,
            detector=hunch.detector,
            entity_id=hunch.entity_id,
            title=hunch.title,
            evidence={**hunch.evidence, "shown_because": why},
            actions=(Action(hunch.entity_id, hunch.remedy),) if hunch.remedy is not None else (),
            mode=Mode.ASK if hunch.remedy is not None else Mode.NOTIFY,
            score=round(hunch.score, 4),
            threshold=round(hunch.threshold, 4),
            raised_at=at,
            expires_at=deliver_at + hunch.lasts,
            deliver_at=deliver_at,
            context_key=hunch.context_key,
            raised_for=hunch.raised_for,
        )
        self.alive[suggestion.id] = Alive(suggestion)
        self._told[hunch.entity_id] = hunch.raised_for
        return suggestion

    def _show_held(self, at: datetime) -> list[Output]:
        """Show what waited for the budget, the most surprising first, if it is still true."""
        context = self.context(at)
        out: list[Output] = []
        for key, hunch in sorted(self._held.items(), key=lambda kv: (-kv[1].score, kv[0])):
            if at - hunch.abnormal_since > hunch.lasts or self._already_told(hunch):
                del self._held[key]
                continue
            decision, why = self.policy.decide(hunch, at, self.home, context)
            if decision is not Decision.HOLD:
                del self._held[key]
            if decision is Decision.SHOW:
                out.append(self._show(hunch, at, context, why))
        return out

    # -- the life of a suggestion -----------------------------------------------------------------

    def _withdraw(self, change: StateChange) -> list[Output]:
        """Take back what an entity's return to another state has settled."""
        if change.new in NOT_A_STATE:
            return []
        if self._told.get(change.entity_id, change.new) != change.new:
            del self._told[change.entity_id]
        for key in [
            k for k, h in self._held.items() if k[1] == change.entity_id and h.raised_for != change.new
        ]:
            del self._held[key]
        settled = [
            a.suggestion
            for a in self.alive.values()
            if a.suggestion.entity_id == change.entity_id and a.suggestion.raised_for != change.new
        ]
        why = f"{change.entity_id} became {change.new} ({change.origin.value})"
        return [self._close(s, Status.RESOLVED, change.received_at, why) for s in settled]

    def _expire(self, at: datetime) -> list[Output]:
        out: list[Output] = []
        for a in list(self.alive.values()):
            if at >= a.suggestion.expires_at:
                self.policy.answer(a.suggestion, Verdict.IGNORED)
                out.append(self._close(a.suggestion, Status.EXPIRED, at, "nobody answered"))
            elif a.snoozed_until is not None and at >= a.snoozed_until:
                again = reopened(a.suggestion, at)
                self.alive[again.id] = Alive(again)
                out.append(again)
        return out

    def _feedback(self, event: Feedback) -> list[Output]:
        if event.verdict is Verdict.UNDONE:
            return self._undone(event)
        alive = self.alive.get(event.suggestion_id)
        if alive is None:
            return []  # answered twice, or too late: the shell has told the resident
        suggestion = alive.suggestion
        self.policy.answer(suggestion, event.verdict)
        if event.verdict is Verdict.SNOOZED:
            alive.snoozed_until = event.at + event.snooze
            alive.suggestion = replace(
                suggestion, expires_at=max(suggestion.expires_at, alive.snoozed_until + timedelta(hours=1))
            )
            return [Resolution(suggestion.id, Status.SNOOZED, event.at)]
        out: list[Output] = [self._close(suggestion, _VERDICT_STATUS[event.verdict], event.at)]
        if event.verdict is Verdict.ACCEPTED:
            out += self._act(suggestion, event.at)
        return out

    def _act(self, suggestion: Suggestion, at: datetime) -> Iterable[Command]:
        before = tuple(
            Action(a.entity_id, known.state)
            for a in suggestion.actions
            if (known := self.home.get(a.entity_id)) and known.state not in NOT_A_STATE
        )
        if before:
            self._undo[suggestion.id] = (suggestion, before)
            while len(self._undo) > MAX_UNDO:
                del self._undo[next(iter(self._undo))]
        return [Command(suggestion.id, a.entity_id, a.state, at) for a in suggestion.actions]

    def _undone(self, event: Feedback) -> list[Output]:
        suggestion, before = self._undo.pop(event.suggestion_id, (None, ()))
        if suggestion is None:
            return []
        self.policy.answer(suggestion, Verdict.UNDONE)
        return [
            Resolution(event.suggestion_id, Status.UNDONE, event.at),
            *(Command(event.suggestion_id, a.entity_id, a.state, event.at, undo=True) for a in before),
        ]

    def _close(self, suggestion: Suggestion, status: Status, at: datetime, why: str = "") -> Resolution:
        self.alive.pop(suggestion.id, None)
        return Resolution(suggestion.id, status, at, why)

    def _forget(self, event: Forget) -> list[Output]:
        old, new = event.entity_id, event.renamed_to
        learned: tuple[Keyed, ...] = (self.home, self.policy, *self.detectors)
        for part in learned:
            if new is None:
                part.forget(old)
            else:
                part.rename(old, new)
        gone = [a.suggestion for a in self.alive.values() if a.suggestion.entity_id == old]
        self._held = {k: h for k, h in self._held.items() if k[1] != old}
        self._told.pop(old, None)
        why = "forgotten" if new is None else f"renamed to {new}"
        return [self._close(s, Status.RESOLVED, event.at, why) for s in gone]

    # -- snapshots --------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "home": self.home.to_dict(),
            "occupancy": self.occupancy.to_dict(),
            "household": self._household.value,
            "policy": self.policy.to_dict(),
            "detectors": {d.name: d.to_dict() for d in self.detectors},
            "alive": [
                [a.suggestion.to_dict(), a.snoozed_until and a.snoozed_until.isoformat()]
                for a in self.alive.values()
            ],
            "told": self._told,
            "held": [h.to_dict() for h in self._held.values()],
            "undo": [
                [s.to_dict(), [[a.entity_id, a.state] for a in before]] for s, before in self._undo.values()
            ],
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
        for body, snoozed in data["alive"]:
            suggestion = Suggestion.from_dict(body)
            self.alive[suggestion.id] = Alive(suggestion, utc(snoozed) if snoozed else None)
        self._told = dict(data["told"])
        for body in data["held"]:
            hunch = Hunch.from_dict(body)
            self._held[hunch.detector, hunch.entity_id] = hunch
        for body, before in data["undo"]:
            suggestion = Suggestion.from_dict(body)
            self._undo[suggestion.id] = (suggestion, tuple(Action(e, s) for e, s in before))
