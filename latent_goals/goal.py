"""What a latent goal is: a first action, what it implies, and why that is believed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Pattern:
    """Something that is done to a thing, or to a kind of thing in whichever room it is.

    `target` is an entity id, or, in `any_room`, a kind: "light", "media_player.tv".
    """

    target: str
    verb: str
    any_room: bool = False

    @property
    def key(self) -> str:
        """As text: "light.hall=on", "light@room=dim"."""
        return f"{self.target}{'@room' if self.any_room else ''}={self.verb}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a step is believed to follow: counts and dates that a resident can check."""

    n: int  # occasions on which it could follow
    k: int  # on which it did
    probability: float  # that it follows, small counts shrunk
    without: float  # that it comes at these hours when the first action doesn't happen
    controls: int  # windows of other days that say so
    npmi: float
    p: float
    q: float
    context: str  # "any", or the circumstances in which it holds: "dark", "weekend", "evening" …
    first_day: str  # local dates on which it followed
    last_day: str
    days: int  # how many of them
    delay_s: tuple[int, int, int]  # 10%, 50%, 90%
    rooms: tuple[str, ...] = ()  # that the counts are from, where they are pooled


@dataclass(frozen=True, slots=True)
class Step:
    """What is implied. `value` is what it is set to; `carried`: that is taken from the first action."""

    pattern: Pattern
    value: float | str | None = None
    carried: bool = False
    evidence: Evidence | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Goal:
    """A first action and the steps that it implies.

    `id` is a hash of what is done, without numbers and circumstances, which drift: a rejection stays a
    rejection. `entries` are the actions that it can be recognised by: the first one, and steps that imply
    the rest of them.
    """

    first: Pattern
    steps: tuple[Step, ...]
    entries: tuple[Pattern, ...]
    title: str = field(default="", compare=False)
    horizon_s: int = 900
    replaces: str | None = None  # the id of the goal that this one has grown out of
    except_rooms: tuple[str, ...] = ()  # where the resident doesn't do so

    @property
    def id(self) -> str:
        """Twelve hex digits."""
        parts = [self.first.key, *sorted(s.pattern.key for s in self.steps)]
        return hashlib.blake2s("\0".join(parts).encode(), digest_size=6).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable form."""
        return {"id": self.id, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`; raises KeyError or TypeError for anything else."""
        body = {k: v for k, v in data.items() if k != "id"}
        body["first"] = Pattern(**data["first"])
        body["steps"] = tuple(_step(s) for s in data["steps"])
        body["entries"] = tuple(Pattern(**e) for e in data["entries"])
        body["except_rooms"] = tuple(data["except_rooms"])
        return cls(**body)


@dataclass(frozen=True, slots=True)
class Action:
    """A command that would carry out a step now."""

    entity_id: str
    state: str
    attributes: Mapping[str, Any] = field(default_factory=dict, hash=False)  # {"brightness": 64}


@dataclass(frozen=True, slots=True)
class Proposed:
    """A goal has become established. Said once."""

    goal: Goal


@dataclass(frozen=True, slots=True)
class Implied:
    """The resident has begun: these actions are likely to follow. Said again when fewer are left to do."""

    goal: Goal
    occasion: str  # the same for one occasion; a later one replaces it
    actions: tuple[Action, ...]
    probability: float  # that the resident would do all of them
    threshold: float  # the least probability that is worth saying now
    evidence: Mapping[str, Any] = field(hash=False)
    lasts: timedelta


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What was implied is settled: the resident did it himself, or went back."""

    goal_id: str
    occasion: str
    why: str


@dataclass(frozen=True, slots=True)
class Retired:
    """A goal doesn't hold any more, or has grown into another."""

    goal_id: str
    why: str


Finding = Proposed | Implied | Withdrawn | Retired


def _step(data: Mapping[str, Any]) -> Step:
    body = dict(data)
    body["pattern"] = Pattern(**data["pattern"])
    if (found := data["evidence"]) is not None:
        lists = {"delay_s": tuple(found["delay_s"]), "rooms": tuple(found["rooms"])}
        body["evidence"] = Evidence(**{**found, **lists})
    return Step(**body)
