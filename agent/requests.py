"""What the pipeline takes in beside device changes and time: what residents say, and what was mined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from agent.suggestions import Mode, Verdict
from devices.events import utc
from routines.routine import Routine


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


@dataclass(frozen=True, slots=True)
class Mined:
    """What a mining run found, the most useful first."""

    at: datetime
    routines: tuple[Routine, ...]
    report: Mapping[str, Any] = field(default_factory=dict, hash=False)  # what was looked at, and left out
    covered: Mapping[str, str] = field(default_factory=dict, hash=False)  # routine id -> automation


@dataclass(frozen=True, slots=True)
class Adopt:
    """A resident makes something a routine, or changes one; or it is known now who runs it.

    `elsewhere`: Home Assistant runs it. `replaces`: the id that it had before an edit.
    """

    at: datetime
    routine: Routine
    mode: Mode
    elsewhere: bool = False
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Dismiss:
    """A resident doesn't want a routine, or not any more."""

    at: datetime
    routine_id: str
    why: str = ""


Request = Feedback | Control | Forget | Permit | Reset | Mined | Adopt | Dismiss
"""What a resident says or a mining run found, as the journal keeps it."""


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
        case Mined():
            body = {
                "routines": [r.to_dict() for r in event.routines],
                "report": dict(event.report),
                "covered": dict(event.covered),
            }
        case Adopt():
            body = {
                "routine": event.routine.to_dict(),
                "mode": event.mode.value,
                "elsewhere": event.elsewhere,
                "replaces": event.replaces,
            }
        case Dismiss():
            body = {"routine_id": event.routine_id, "why": event.why}
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
        case "mined":
            routines = tuple(Routine.from_dict(r) for r in data["routines"])
            return Mined(at, routines, data.get("report") or {}, data.get("covered") or {})
        case "adopt":
            routine, mode = Routine.from_dict(data["routine"]), Mode(data["mode"])
            return Adopt(at, routine, mode, bool(data.get("elsewhere")), data.get("replaces"))
        case "dismiss":
            return Dismiss(at, str(data["routine_id"]), str(data.get("why") or ""))
        case kind:
            raise ValueError(f"unknown input {kind!r}")
