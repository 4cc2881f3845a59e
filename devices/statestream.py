"""Home Assistant's mqtt_statestream: `<base>/<domain>/<object_id>/state` and one topic an attribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

import orjson

from devices.decoder import MAX_STATE_CHARS, BadPayloadError, Decoder
from devices.events import NO_ATTRIBUTES, Origin, Source, StateChange
from devices.values import ENTITY_ID, moment

MAX_ENTITIES: Final = 20_000
MAX_TOPICS: Final = 200_000
MAX_ATTRIBUTES: Final = 256  # of one entity

# Attributes that a person sets or a room has: their change is reported, not kept for the next state.
TARGETS: Final = frozenset({
    "brightness", "color_temp", "color_temp_kelvin", "current_humidity", "current_position",
    "current_temperature", "current_tilt_position", "humidity", "percentage", "target_temp_high",
    "target_temp_low", "temperature", "volume_level",
})  # fmt: skip


class _Entity:
    """What was last heard of an entity."""

    __slots__ = ("attributes", "entity_id", "last_changed", "state")

    def __init__(self, entity_id: str) -> None:
        self.entity_id = entity_id
        self.attributes: Mapping[str, Any] = NO_ATTRIBUTES
        self.last_changed: datetime | None = None  # retained only: a live state changes when it is heard
        self.state = ""


class _Topic:
    """A parsed topic, with the last payload: most attributes are sent again unchanged with each state."""

    __slots__ = ("entity", "field", "payload")

    def __init__(self, entity: _Entity, field: str) -> None:
        self.entity = entity
        self.field = field
        self.payload: bytes | None = None


class StatestreamDecoder(Decoder):
    """Decode mqtt_statestream.

    Home Assistant sends a state first, then its timestamps and attributes. So a live state has the time of
    receipt and the attributes known before it; a numeric target (brightness, temperature …) that arrives
    after it is a further change with the same state. A retained state has the time in `last_changed`: it is
    reported again with that time when this comes second. There is no context, hence no origin.
    """

    family: ClassVar[str] = "statestream"

    def __init__(self, base: str = "statestream") -> None:
        super().__init__()
        self._base = base.rstrip("/")
        self._prefix = self._base + "/"
        self._entities: dict[str, _Entity] = {}
        self._topics: dict[str, _Topic | None] = {}

    @property
    def subscriptions(self) -> Sequence[str]:
        """Everything under the base."""
        return (f"{self._base}/+/+/+",)

    def handles(self, topic: str) -> bool:
        """Whether a topic lies under the base."""
        return topic.startswith(self._prefix)

    def _decode(self, topic: str, payload: bytes, received_at: datetime, retained: bool) -> list[StateChange]:  # noqa: FBT001
        try:
            known = self._topics[topic]
        except KeyError:
            known = self._parse(topic)
        if known is None or not payload:  # an empty payload clears a retained topic and says nothing
            return []
        if known.field == "state":
            return [_state(known.entity, payload, received_at, retained)]
        if payload == known.payload:
            return []
        known.payload = payload
        if known.field == "last_changed":
            return _last_changed(known.entity, payload, received_at) if retained else []
        return _attribute(known.entity, known.field, payload, received_at, retained)

    def _parse(self, topic: str) -> _Topic | None:
        """Remember what a topic is about; None for what never matters here."""
        if len(self._topics) >= MAX_TOPICS:
            self._topics.clear()
        parts = topic[len(self._prefix) :].split("/")
        if len(parts) != 3 or parts[2] == "last_updated":
            self._topics[topic] = None
            return None
        entity_id = f"{parts[0]}.{parts[1]}"
        entity = self._entities.get(entity_id)
        if entity is None:
            if not ENTITY_ID.fullmatch(entity_id) or len(self._entities) >= MAX_ENTITIES:
                raise BadPayloadError(f"not an entity, or one too many: {entity_id[:80]!r}")
            entity = self._entities[entity_id] = _Entity(entity_id)
            self.addresses[f"{self._prefix}{parts[0]}/{parts[1]}/state", ""] = entity_id
        known = self._topics[topic] = _Topic(entity, parts[2])
        return known


def _state(entity: _Entity, payload: bytes, received_at: datetime, retained: bool) -> StateChange:  # noqa: FBT001
    state = payload.decode()
    if len(state) > MAX_STATE_CHARS:
        raise BadPayloadError(f"{len(state)} characters")
    entity.state = state
    changed_at = received_at
    if retained:
        changed_at = entity.last_changed or received_at
    else:
        entity.last_changed = None
    return _change(entity, changed_at, received_at, retained)


def _last_changed(entity: _Entity, payload: bytes, received_at: datetime) -> list[StateChange]:
    changed_at = moment(payload.decode(), received_at)
    if changed_at is received_at:
        raise BadPayloadError("a time that can't be")
    entity.last_changed = changed_at
    return [_change(entity, changed_at, received_at, retained=True)] if entity.state else []


def _attribute(
    entity: _Entity,
    name: str,
    payload: bytes,
    received_at: datetime,
    retained: bool,  # noqa: FBT001
) -> list[StateChange]:
    value = orjson.loads(payload)
    former = entity.attributes.get(name)
    if value == former:
        return []
    if len(entity.attributes) >= MAX_ATTRIBUTES and name not in entity.attributes:
        raise BadPayloadError("too many attributes")
    entity.attributes = {
        **entity.attributes,
        name: value,
    }  # a new object: changes already reported keep theirs
    if retained or not entity.state or name not in TARGETS or type(value) not in {int, float}:
        return []
    return [_change(entity, received_at, received_at, retained=False)]


def _change(entity: _Entity, changed_at: datetime, received_at: datetime, retained: bool) -> StateChange:  # noqa: FBT001
    return StateChange(
        entity.entity_id, entity.state, changed_at, received_at, None, entity.attributes,
        Origin.UNKNOWN, 0.0, retained, Source.STATESTREAM,
    )  # fmt: skip
