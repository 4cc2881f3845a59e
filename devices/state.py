"""The home's current state: a fold of changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from devices.events import NOT_A_STATE, Origin, StateChange, device_class_of, utc

MAX_LEFT: Final = 8


@dataclass(slots=True)
class EntityState:
    """What is known of one entity now."""

    state: str
    since: datetime  # when it entered `state`
    seen_at: datetime  # last report of any kind
    attributes: Mapping[str, Any]
    origin: Origin
    resumed_from: str | None = None  # the state before it became unavailable
    left: tuple[tuple[datetime, str], ...] = ()  # states that it had since `since`, and when they began
    device_class: str | None = field(init=False)  # Home Assistant's, where known; asked for all the time

    def __post_init__(self) -> None:
        self.device_class = device_class_of(self.attributes)

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Take on other attributes."""
        self.attributes, self.device_class = attributes, device_class_of(attributes)

    @property
    def name(self) -> str | None:
        """The name that the resident gave it, where known."""
        value = self.attributes.get("friendly_name")
        return value if isinstance(value, str) else None

    def enter(self, change: StateChange) -> str:
        """Take on another state; return the one before, which is the one before an outage."""
        old = self.state
        if old in NOT_A_STATE and self.resumed_from is not None:
            old = self.resumed_from
        if old != change.new:
            if self.left or change.changed_at == self.since:  # rare
                self._leave(self.since, old)
                self.left = tuple(left for left in self.left if left[0] >= change.changed_at)
            self.since, self.origin = change.changed_at, change.origin
        self.state, self.resumed_from = change.new, None
        return old

    def lose(self, change: StateChange) -> None:
        """Begin an outage, or go on in another."""
        if self.state not in NOT_A_STATE:
            self.resumed_from = self.state
            self._leave(self.since, self.state)
        self.state = change.new
        self._leave(change.changed_at, change.new)

    def _leave(self, since: datetime, state: str) -> None:
        """Remember a state, to know it when it is reported again; the last few are enough."""
        self.left = tuple(dict.fromkeys((*self.left, (since, state))))[-MAX_LEFT:]


class HomeState:
    """Current state of every entity, folded from changes in the order they are given.

    A return from "unavailable" to the state held before is no event: the entity goes on in that state
    since the original time. Memory: one record an entity.

    >>> from devices.events import StateChange, utc
    >>> home = HomeState()
    >>> t0, t1 = utc("2024-01-01T08:00:00+00:00"), utc("2024-01-01T08:05:00+00:00")
    >>> home.apply(StateChange("light.hall", "on", t0, t0)).old is None
    True
    >>> home.apply(StateChange("light.hall", "off", t1, t1)).old
    'on'
    """

    def __init__(self) -> None:
        self._entities: dict[str, EntityState] = {}

    def __len__(self) -> int:
        return len(self._entities)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entities)

    def __contains__(self, entity_id: str) -> bool:
        return entity_id in self._entities

    def get(self, entity_id: str) -> EntityState | None:
        """Return what is known of an entity, or None."""
        return self._entities.get(entity_id)

    def device_class(self, entity_id: str) -> str | None:
        """Return an entity's device class, where known."""
        known = self._entities.get(entity_id)
        return known.device_class if known is not None else None

    @property
    def heard_at(self) -> datetime | None:
        """When anything was last reported."""
        return max((e.seen_at for e in self._entities.values()), default=None)

    def apply(self, change: StateChange) -> StateChange:
        """Fold a change in, and return it with `old` set to the state it replaced.

        A report of a state from before the present one is late, and one with a time and state that it had
        already is a duplicate: both change nothing and come back as a repeat (unless our own clock was set
        back: then `received_at` went back too).
        After an outage `old` is the state before the outage, so that a device that comes back as it left
        is a repeat and one that comes back changed is a change.
        """
        known = self._entities.get(change.entity_id)
        if known is None:
            self._entities[change.entity_id] = EntityState(
                change.new, change.changed_at, change.received_at, change.attributes, change.origin
            )
            return change
        old, new, received_at = known.state, change.new, change.received_at
        if received_at < known.seen_at and received_at < known.since:
            known.since = received_at  # our clock was set back: what is so now began in its past
        if new != old:
            late = change.changed_at < known.since and received_at >= known.seen_at
            if late or (known.left and (change.changed_at, new) in known.left):
                return _with_old(change, new)
        known.seen_at = received_at
        if change.attributes is not known.attributes and change.attributes:
            known.describe(change.attributes)
        if new in NOT_A_STATE:
            if new != old:
                known.lose(change)
        elif new != old:
            old = known.enter(change)
        elif change.retained and change.changed_at < known.since:
            known.since = change.changed_at  # a source that knows for how long it has been so
        return _with_old(change, old)

    def forget(self, entity_id: str) -> None:
        """Drop an entity."""
        self._entities.pop(entity_id, None)

    def rename(self, old: str, new: str) -> None:
        """Carry an entity's state over to its new id."""
        if (known := self._entities.pop(old, None)) is not None:
            self._entities.setdefault(new, known)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            entity_id: [
                e.state,
                e.since.isoformat(),
                e.seen_at.isoformat(),
                dict(e.attributes),
                e.origin.value,
                e.resumed_from,
                *([at.isoformat(), state] for at, state in e.left),
            ]
            for entity_id, e in self._entities.items()
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`, in place: others hold on to this home."""
        self._entities.clear()
        for entity_id, (state, since, seen_at, attributes, origin, resumed, *rest) in data.items():
            left = tuple((utc(at), left) for at, left in rest)
            self._entities[entity_id] = EntityState(
                state, utc(since), utc(seen_at), attributes, Origin(origin), resumed, left
            )


def _with_old(c: StateChange, old: str) -> StateChange:
    """Copy with `old` set: twice as fast as dataclasses.replace, which matters on the one hot path.

    What has been folded before, as all that the log holds, needs no copy.
    """
    if c.old == old:
        return c
    return StateChange(
        c.entity_id, c.new, c.changed_at, c.received_at, old, c.attributes,
        c.origin, c.confidence, c.retained, c.source, c.context_id,
    )  # fmt: skip
