"""The events that everything else is made of: plain values, told the time, never reading it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

NO_ATTRIBUTES: Final[Mapping[str, Any]] = MappingProxyType({})

UNAVAILABLE: Final = "unavailable"
UNKNOWN: Final = "unknown"
NOT_A_STATE: Final = frozenset({UNAVAILABLE, UNKNOWN, ""})
"""States that say "nobody knows": they never train anything and are never numbers."""


class Origin(StrEnum):
    """Who caused a change. Habits are learned from PERSON and PHYSICAL changes only."""

    PERSON = "person"  # through a user interface or an app
    PHYSICAL = "physical"  # a hand at the device, or the world itself
    AUTOMATION = "automation"
    AGENT = "agent"  # our own command
    UNKNOWN = "unknown"


_RESIDENTS: Final = frozenset({Origin.PERSON, Origin.PHYSICAL})


class Source(StrEnum):
    """Where a change was heard, best first: a better source wins when several report one change."""

    HOME_ASSISTANT = "home_assistant"  # WebSocket events: they carry the context
    STATESTREAM = "statestream"
    NATIVE = "native"  # the device's own topics
    RECORDING = "recording"  # a replay or an import


@dataclass(frozen=True, slots=True)
class StateChange:
    """An entity's state as one source reported it.

    `old` is what the fold (`devices.state.HomeState`) held before; decoders leave it None. A change whose
    `old` equals `new` is a repeat or concerns attributes only, and trains nothing. Times are aware UTC.
    """

    entity_id: str
    new: str
    changed_at: datetime
    received_at: datetime
    old: str | None = None
    attributes: Mapping[str, Any] = field(
        default_factory=lambda: NO_ATTRIBUTES, hash=False
    )  # 3.11 takes no mappingproxy as default
    origin: Origin = Origin.UNKNOWN
    confidence: float = 0.0  # of the origin, 0..1
    retained: bool = False
    source: Source = Source.RECORDING
    context_id: str | None = None  # Home Assistant's, where the source has one

    @property
    def domain(self) -> str:
        """The part of the entity id before the dot: "light" of "light.kitchen"."""
        return self.entity_id.partition(".")[0]

    @property
    def device_class(self) -> str | None:
        """Home Assistant's device class ("door", "motion", …), where known."""
        return device_class_of(self.attributes)

    @property
    def trains(self) -> bool:
        """Whether detectors may learn from it: a live change between two known, different states."""
        old, new = self.old, self.new
        if old is None or old == new or self.retained:
            return False
        return new not in NOT_A_STATE and old not in NOT_A_STATE

    @property
    def by_resident(self) -> bool:
        """Whether a person caused it, in an app or at the device."""
        return self.origin in _RESIDENTS


@dataclass(frozen=True, slots=True)
class Tick:
    """Time as an event, so that "still open" can be noticed and a replay is exact."""

    at: datetime


def device_class_of(attributes: Mapping[str, Any]) -> str | None:
    """Return Home Assistant's device class among the attributes of an entity, where known."""
    value = attributes.get("device_class")
    return value if isinstance(value, str) else None


def utc(value: str | float) -> datetime:
    """Parse an ISO 8601 text (a zone is required) or epoch seconds into aware UTC.

    Raises ValueError for anything else, including times before 1970 or after 2200.

    >>> utc("2024-03-31T02:30:00+02:00").isoformat()
    '2024-03-31T00:30:00+00:00'
    """
    if isinstance(value, str):
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise ValueError(f"time without a zone: {value!r}")
        at = at.astimezone(UTC)
    else:
        try:
            at = datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError, TypeError) as err:
            raise ValueError(f"not a time: {value!r}") from err
    if not 1970 <= at.year <= 2200:
        raise ValueError(f"time out of range: {value!r}")
    return at
