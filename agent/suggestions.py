"""What the pipeline takes in beside device changes, and what comes out of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from devices.events import utc


class Kind(StrEnum):
    """What a suggestion is about."""

    HUNCH = "hunch"
    ROUTINE = "routine"
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
    """A state that an entity should take."""

    entity_id: str
    state: str


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
            "actions": [{"entity_id": a.entity_id, "state": a.state} for a in self.actions],
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
            actions=tuple(Action(a["entity_id"], a["state"]) for a in data["actions"]),
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
class Feedback:
    """A resident's answer to a suggestion. `snooze` says for how long, where the verdict is SNOOZED."""

    suggestion_id: str
    verdict: Verdict
    at: datetime
    snooze: timedelta = timedelta(hours=1)


class HomeMode(StrEnum):
    """What the residents said about themselves."""

    HOME = "home"
    AWAY = "away"
    VACATION = "vacation"  # no learning, only security hunches
    GUEST = "guest"  # no learning


@dataclass(frozen=True, slots=True)
class Control:
    """A resident's instruction: the household's mode, or the two global switches. None: as it was."""

    at: datetime
    mode: HomeMode | None = None
    until: datetime | None = None  # the mode falls back to HOME
    learning: bool | None = None
    suggesting: bool | None = None


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop an entity and all that was learned from it, or carry it over to a new id."""

    at: datetime
    entity_id: str
    renamed_to: str | None = None


@dataclass(frozen=True, slots=True)
class Permit:
    """A resident lets Inkling act unasked on what a detector finds about an entity, or no longer."""

    at: datetime
    entity_id: str
    detector: str
    allowed: bool


@dataclass(frozen=True, slots=True)
class Reset:
    """Undo what answers have changed for an entity: silences, raised bars, permissions."""

    at: datetime
    entity_id: str


Request = Feedback | Control | Forget | Permit | Reset
"""What a resident says, as the journal keeps it."""


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


Output = Suggestion | Update | Resolution | Command


def request_to_dict(event: Request) -> dict[str, Any]:
    """Return the JSON form under which the journal keeps an input that isn't a device change."""
    match event:
        case Feedback():
            body: dict[str, Any] = {
                "suggestion_id": event.suggestion_id,
                "verdict": event.verdict.value,
                "snooze_s": event.snooze.total_seconds(),
            }
        case Control():
            body = {
                "mode": event.mode and event.mode.value,
                "until": event.until and event.until.isoformat(),
                "learning": event.learning,
                "suggesting": event.suggesting,
            }
        case Forget():
            body = {"entity_id": event.entity_id, "renamed_to": event.renamed_to}
        case Permit():
            body = {"entity_id": event.entity_id, "detector": event.detector, "allowed": event.allowed}
        case Reset():
            body = {"entity_id": event.entity_id}
    return {"kind": type(event).__name__.lower(), "at": event.at.isoformat(), **body}


def request_from_dict(data: Mapping[str, Any]) -> Request:
    """Rebuild from `request_to_dict`; raises ValueError or KeyError for anything else."""
    at = utc(data["at"])
    match data["kind"]:
        case "feedback":
            snooze = timedelta(seconds=float(data.get("snooze_s") or 3600))
            return Feedback(str(data["suggestion_id"]), Verdict(data["verdict"]), at, snooze)
        case "control":
            mode, until = data.get("mode"), data.get("until")
            return Control(
                at,
                HomeMode(mode) if mode else None,
                utc(until) if until else None,
                data.get("learning"),
                data.get("suggesting"),
            )
        case "forget":
            return Forget(at, str(data["entity_id"]), data.get("renamed_to"))
        case "permit":
            return Permit(at, str(data["entity_id"]), str(data["detector"]), bool(data["allowed"]))
        case "reset":
            return Reset(at, str(data["entity_id"]))
        case kind:
            raise ValueError(f"unknown input {kind!r}")


def reopened(suggestion: Suggestion, at: datetime) -> Suggestion:
    """Return the suggestion as delivered again, under the id it had (a snooze that ended)."""
    return replace(suggestion, deliver_at=at)
