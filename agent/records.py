"""What the store takes in and gives out, beside the types of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent.interning import Change
from agent.suggestions import Command, Resolution, Status, Suggestion


@dataclass(frozen=True, slots=True)
class Document:
    """A routine or a goal as kept."""

    id: str
    status: str
    created_at: datetime
    body: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a resident set for an entity (an id or a glob). None as value takes the setting back."""

    entity: str
    key: str
    value: Any = field(hash=False)


@dataclass(frozen=True, slots=True)
class InboxItem:
    """A request from the command line or the web, which the daemon carries out."""

    id: int
    at: datetime
    kind: str
    body: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class StoredSuggestion:
    """A suggestion and what became of it."""

    suggestion: Suggestion
    status: Status
    resolved_at: datetime | None
    delivered_at: datetime | None
    why: str

    def to_dict(self) -> dict[str, Any]:
        """Return the public form of the suggestion, with its fate."""
        return self.suggestion.to_dict() | {
            "status": self.status.value,
            "resolved_at": self.resolved_at and self.resolved_at.isoformat(),
            "delivered_at": self.delivered_at and self.delivered_at.isoformat(),
            "why": self.why,
        }


@dataclass(slots=True)
class Batch:
    """What is written together or not at all. Sequence numbers rise strictly, over changes and journal.

    Suggestions are written before resolutions; one that is suggested again after a snooze stays open.
    """

    changes: list[Change] = field(default_factory=list)  # (seq, change, state that it replaced)
    journal: list[tuple[int, datetime, Mapping[str, Any]]] = field(default_factory=list)  # with "kind"
    suggestions: list[Suggestion] = field(default_factory=list)
    updates: list[Suggestion] = field(default_factory=list)  # alive ones that say something else now
    resolutions: list[Resolution] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    delivered: list[tuple[str, datetime]] = field(default_factory=list)  # suggestion ids
    routines: list[Document] = field(default_factory=list)
    goals: list[Document] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)
    inbox: list[int] = field(default_factory=list)  # ids that are carried out
    inflight: list[tuple[int, bytes]] = field(default_factory=list)  # (packet id, digest), all digests alike

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a batch's changes."""

    new: int
    duplicates: tuple[int, ...] = ()  # sequence numbers of changes that the log held already


@dataclass(frozen=True, slots=True)
class Stats:
    """How much the store holds."""

    events: int
    entities: int
    journal: int
    suggestions: int
    snapshots: int
    oldest: datetime | None
    newest: datetime | None
    bytes: int
