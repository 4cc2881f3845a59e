"""What a resident makes of one step that a routine took: from stop to stop, until it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self

from devices.events import Origin, utc
from routines.actions import COMMANDABLE, SETTLE_S, Seen, bucket_of, bucket_width

REVERSAL: Final = timedelta(minutes=10)
"""Put back within this time, it wasn't wanted (now); later, it has served."""
KEPT: Final = timedelta(minutes=30)
"""What isn't changed for as long is kept."""
RETURNS: Final = timedelta(hours=2)
"""For as long something put back may come after all: it was only too early."""
MAX_PATH: Final = 8
LATER: Final = "later"

_SETTLE: Final = timedelta(seconds=SETTLE_S)
_RAMP: Final = timedelta(seconds=10)  # a device's own reports of the level at which it goes on
_NEAR: Final = 0.4  # of a bucket: no change of a number
_COMMANDED: Final = frozenset({Origin.AUTOMATION, Origin.AGENT})


class Node(NamedTuple):
    """A stop: a state, and about how far its number is from what the routine set ("" for near)."""

    state: str
    level: str = ""  # a bucket, or LATER


class Turn(StrEnum):
    """What a change makes of a chain."""

    NONE = "none"
    ADJUSTED = "adjusted"
    REVERSED = "reversed"  # put back, just after it was done
    RETURNED = "returned"  # done after all
    OVER = "over"  # it has served: what it was before the change was kept
    LOST = "lost"  # nobody knows who did that


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a step, once."""

    at: datetime  # when the routine took it
    before: str  # the state that it replaced
    path: tuple[Node, ...]
    value: float | None = None  # the number at the end, or the seconds until LATER

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable form."""
        return {**asdict(self), "at": self.at.isoformat(), "path": [list(n) for n in self.path]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        path = tuple(Node(*n) for n in data["path"])
        return cls(utc(data["at"]), data["before"], path, data["value"])


@dataclass(slots=True)
class Chain:
    """What the routine set → corrections → what is kept, of one step.

    A slider's stops within a minute are one, and so are those of a device on its way. To put it back within
    ten minutes is a reversal, unless it is done again within two hours: then it was too early. To end it
    later, or after having adjusted it, or when they usually end it, is no correction: it has served.
    """

    entity_id: str
    step: str  # its key
    start: str
    before: str
    at: datetime
    target: float | None  # the number that the step sets
    reported: float | None = None  # the number at which the device came out
    path: list[Node] = field(default_factory=list)
    value: float | None = None
    last: datetime | None = None  # the resident's last change

    def __post_init__(self) -> None:
        self.path = self.path or [Node(self.start)]

    @property
    def put_back(self) -> bool:
        """Whether it is as it was before the step, without having been adjusted."""
        return self.path[-1].state == self.before != self.start

    @property
    def changed(self) -> bool:
        """Whether it isn't as the step left it."""
        return self.path[-1] != self.path[0]

    @property
    def until(self) -> datetime:
        """When what it is now counts as kept."""
        return self.at + RETURNS if self.put_back else (self.last or self.at) + KEPT

    def ended(self) -> Ended:
        """Return what became of it."""
        return Ended(self.at, self.before, tuple(self.path), self.value)

    def observe(self, seen: Seen, by: Origin, at: datetime, *, usual: bool = False) -> Turn:
        """Take in what the entity shows now, and who did it; `usual`: they use it for as long as a rule."""
        if self._is_ramp(seen, by, at):
            self.reported = seen.value if seen.value is not None else self.reported
            return Turn.NONE
        node = self._node(seen)
        if node == self.path[-1] or (self.path[-1].level == LATER and node.state == self.start):
            self.value = seen.value if node.level else self.value
            return Turn.NONE
        if by not in {Origin.PERSON, Origin.PHYSICAL}:
            return Turn.OVER if by in _COMMANDED else Turn.LOST
        if self._has_served(seen, at, usual=usual):
            return Turn.OVER
        was_back = self.put_back
        self._add(node, seen.value, at)
        if was_back and not self.put_back:
            return Turn.RETURNED
        return Turn.REVERSED if self.put_back else Turn.ADJUSTED

    def _is_ramp(self, seen: Seen, by: Origin, at: datetime) -> bool:
        """Whether a report tells of the step itself: its echo, a device on its way."""
        if seen.state != self.start or self.last is not None or by is Origin.PERSON:
            return False
        if by is Origin.PHYSICAL:
            return self.target is None and at - self.at <= _RAMP
        return at - self.at <= _SETTLE

    def _node(self, seen: Seen) -> Node:
        value = seen.value
        if seen.state != self.start or value is None:
            return Node(seen.state)
        set_to = [number for number in (self.target, self.reported) if number is not None]
        if not set_to or any(abs(value - n) <= _NEAR * bucket_width(seen.name, n) for n in set_to):
            return Node(seen.state)
        return Node(seen.state, bucket_of(seen.name, value))

    def _has_served(self, seen: Seen, at: datetime, *, usual: bool) -> bool:
        """Whether a resident ends what a step did after its time, rather than to correct it."""
        if seen.state == self.start or (is_mode(self.entity_id) and seen.state != self.before):
            return False
        return seen.state != self.before or self.changed or usual or at - self.at > REVERSAL

    def _add(self, node: Node, value: float | None, at: datetime) -> None:
        """Go on to another stop; the stops of the last minute are one."""
        if self.put_back and node.state == self.start and at - self.at >= REVERSAL:
            node, value = Node(self.start, LATER), (at - self.at).total_seconds()
        elif len(self.path) > 1 and (len(self.path) >= MAX_PATH or self._is_hasty(at)):
            self.path.pop()
        if node != self.path[-1]:
            self.path.append(node)
        self.value, self.last = value, at

    def _is_hasty(self, at: datetime) -> bool:
        return self.last is not None and at - self.last <= _SETTLE

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        last = self.last and self.last.isoformat()
        return {**asdict(self), "at": self.at.isoformat(), "last": last, "path": [list(n) for n in self.path]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        last = utc(data["last"]) if data["last"] else None
        path = [Node(*n) for n in data["path"]]
        return cls(**{**data, "at": utc(data["at"]), "last": last, "path": path})


def is_mode(entity_id: str) -> bool:
    """Whether residents choose among an entity's states (heat, cool, auto) rather than use and end them."""
    states = COMMANDABLE.get(entity_id.partition(".")[0])
    return states is not None and not states
