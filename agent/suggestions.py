"""What comes out of the pipeline."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from devices.events import utc
from routines.routine import Routine


class Kind(StrEnum):
    """What a suggestion is about."""

    HUNCH = "hunch"
    ROUTINE_PROPOSED = "routine_proposed"  # make it a routine?
    ROUTINE = "routine"  # it is time for one
    GOAL_PROPOSED = "goal_proposed"
    GOAL = "goal"


class Mode(StrEnum):
    """What a suggestion wants of the resident."""

    NOTIFY = "notify"  # nothing to do from here: only the resident can
    ASK = "ask"  # act when accepted
    ACT = "act"  # acted already, as allowed


class Severity(StrEnum):
    """How much a suggestion matters. Only INFO waits for the budget and for the end of the quiet hours."""

    INFO = "info"
    WARNING = "warning"  # a way into the home, and nobody is awake and there
    CRITICAL = "critical"  # water, smoke, gas, thawing food


class Status(StrEnum):
    """Where a suggestion is in its life. OPEN and SNOOZED are alive, the others final."""

    OPEN = "open"
    SNOOZED = "snoozed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    INTENTIONAL = "intentional"
    RESOLVED = "resolved"  # the state is normal again without us
    EXPIRED = "expired"  # ignored until it wasn't worth saying any more
    UNDONE = "undone"


class Verdict(StrEnum):
    """What a resident answered, or that they didn't."""

    ACCEPTED = "accept"
    REJECTED = "reject"
    SNOOZED = "snooze"
    UNDONE = "undo"
    INTENTIONAL = "intentional"  # "not a problem": never again for this entity in these circumstances
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Action:
    """A state that an entity should take; so long after the others begin, with these numeric targets."""

    entity_id: str
    state: str
    delay_s: float = 0.0
    targets: tuple[tuple[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the public form; what isn't there is left out."""
        body: dict[str, Any] = {"entity_id": self.entity_id, "state": self.state}
        if self.delay_s:
            body["delay_s"] = self.delay_s
        if self.targets:
            body["targets"] = dict(self.targets)
        return body

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        targets = tuple(dict(data.get("targets", ())).items())
        return cls(data["entity_id"], data["state"], data.get("delay_s", 0.0), targets)


@dataclass(frozen=True, slots=True)
class Member:
    """One entity that a suggestion is about."""

    entity_id: str
    context_key: str
    raised_for: str  # the abnormal state; leaving it settles this entity's part
    short: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One thing worth a resident's attention, with all that is needed to check it and to act on it.

    `score` and `threshold` are in the unit that `evidence` explains. `id` is a hash of what is suggested and
    when, so that a replay of the same events gives the same ids.
    """

    kind: Kind
    detector: str
    entity_id: str
    title: str
    evidence: Mapping[str, Any] = field(hash=False)
    actions: tuple[Action, ...]
    mode: Mode
    score: float
    threshold: float
    raised_at: datetime
    expires_at: datetime
    deliver_at: datetime  # later than raised_at in quiet hours
    context_key: str = ""
    raised_for: str = ""  # the abnormal state; leaving it resolves the suggestion
    clears_itself: bool = False  # the detector says when it is over, not the entity's state
    severity: Severity = Severity.INFO
    short: str = ""  # the finding in a few words after the entity's name
    group: str = ""  # what joins it within the hour is one message with it
    also: tuple[Member, ...] = ()  # the other entities of one incident

    @property
    def id(self) -> str:
        """Twelve hex digits, the same in every replay."""
        parts = (self.kind, self.detector, self.entity_id, self.raised_for, self.raised_at.isoformat())
        return hashlib.blake2s("\0".join(parts).encode(), digest_size=6).hexdigest()

    @property
    def members(self) -> tuple[Member, ...]:
        """Every entity that it is about, the first one first."""
        return (Member(self.entity_id, self.context_key, self.raised_for, self.short), *self.also)

    def to_dict(self) -> dict[str, Any]:
        """Return the public form, as `inkling backtest`, MQTT and the command line show it."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "detector": self.detector,
            "entity_id": self.entity_id,
            "raised_at": self.raised_at.isoformat(),
            "expires_at": self.expires_at.isoformat(),
            "deliver_at": self.deliver_at.isoformat(),
            "title": self.title,
            "evidence": dict(self.evidence),
            "actions": [a.to_dict() for a in self.actions],
            "mode": self.mode.value,
            "score": self.score,
            "threshold": self.threshold,
            "context": self.context_key,
            "raised_for": self.raised_for,
            "clears_itself": self.clears_itself,
            "severity": self.severity.value,
            "short": self.short,
            "group": self.group,
            "also": [[m.entity_id, m.context_key, m.raised_for, m.short] for m in self.also],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        return cls(
            kind=Kind(data["kind"]),
            detector=data["detector"],
            entity_id=data["entity_id"],
            title=data["title"],
            evidence=data["evidence"],
            actions=tuple(map(Action.from_dict, data["actions"])),
            mode=Mode(data["mode"]),
            score=data["score"],
            threshold=data["threshold"],
            raised_at=utc(data["raised_at"]),
            expires_at=utc(data["expires_at"]),
            deliver_at=utc(data["deliver_at"]),
            context_key=data["context"],
            raised_for=data["raised_for"],
            clears_itself=data.get("clears_itself", False),
            severity=Severity(data.get("severity", Severity.INFO)),
            short=data.get("short", ""),
            group=data.get("group", ""),
            also=tuple(Member(*m) for m in data.get("also", ())),
        )


@dataclass(frozen=True, slots=True)
class Update:
    """A suggestion that is alive says something else now: another entity has joined it."""

    suggestion: Suggestion


@dataclass(frozen=True, slots=True)
class Resolution:
    """A suggestion changed its status."""

    suggestion_id: str
    status: Status
    at: datetime
    why: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A state that the shell must bring a device to, on behalf of a suggestion."""

    suggestion_id: str
    entity_id: str
    state: str
    at: datetime
    undo: bool = False
    targets: tuple[tuple[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable form."""
        return {
            "suggestion_id": self.suggestion_id,
            "entity_id": self.entity_id,
            "state": self.state,
            "at": self.at.isoformat(),
            "undo": self.undo,
            "targets": dict(self.targets),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        targets = tuple(data["targets"].items())
        return cls(
            data["suggestion_id"], data["entity_id"], data["state"], utc(data["at"]), data["undo"], targets
        )


class Standing(StrEnum):
    """Where a routine is in its life."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RETIRED = "retired"  # the habit has gone, or the resident removed it


@dataclass(frozen=True, slots=True)
class RoutineNews:
    """A routine has another standing now, or says something else."""

    routine: Routine
    standing: Standing
    mode: Mode  # ASK: asks each time; ACT: runs by itself
    at: datetime
    why: str = ""
    elsewhere: bool = False  # Home Assistant runs it, or it was let go there
    rests: bool = False  # it asks before it acts by itself again
    off: str = ""  # why its automation is switched off there: "rests", "resident"


@dataclass(frozen=True, slots=True)
class GoalNews:
    """A goal has become believed, or isn't any more."""

    goal_id: str
    standing: Standing
    goal: Mapping[str, Any] = field(hash=False)  # empty where it is gone
    at: datetime
    why: str = ""


@dataclass(frozen=True, slots=True)
class Weighed:
    """Whether to show a goal was decided: what is needed to evaluate another policy later."""

    goal_id: str
    suggestion_id: str | None  # None: it wasn't shown
    decision: Mapping[str, Any] = field(hash=False)
    at: datetime


Output = Suggestion | Update | Resolution | Command | RoutineNews | GoalNews | Weighed


def reopened(suggestion: Suggestion, at: datetime) -> Suggestion:
    """Return the suggestion as delivered again, under the id it had (a snooze that ended)."""
    return replace(suggestion, deliver_at=at)
