"""Recordings: Home Assistant's state objects, one a line of JSON. The interchange format of this project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import orjson

from devices.decoder import MAX_STATE_CHARS, BadPayloadError, Decoder
from devices.events import NO_ATTRIBUTES, Origin, Source, StateChange, utc
from devices.home_assistant import origin_of
from devices.values import ENTITY_ID


def parse_line(line: bytes) -> StateChange | None:
    """Read one line; None for an empty or bad one (no state, no entity id, a time that can't be).

    >>> line = b'{"entity_id": "light.hall", "state": "on", "last_changed": "2024-03-01T18:00:00+00:00"}'
    >>> change = parse_line(line)
    >>> change.entity_id, change.new, change.origin.value, change.confidence
    ('light.hall', 'on', 'unknown', 0.0)
    """
    try:
        return _change(orjson.loads(line), None)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def format_line(change: StateChange, user_id: str | None = None, parent_id: str | None = None) -> bytes:
    """Write one line. Our origin has keys of its own: a context alone would have to be read again.

    >>> at = utc("2024-03-01T18:00:00+00:00")
    >>> parse_line(format_line(StateChange("light.hall", "on", at, at))).changed_at == at
    True
    """
    item: dict[str, Any] = {
        "entity_id": change.entity_id,
        "state": change.new,
        "last_changed": change.changed_at.isoformat(),
        "attributes": dict(change.attributes),
    }
    if change.context_id is not None:
        item["context"] = {"id": change.context_id, "user_id": user_id, "parent_id": parent_id}
    item["origin"] = change.origin.value
    item["confidence"] = change.confidence
    return orjson.dumps(item, option=orjson.OPT_NON_STR_KEYS) + b"\n"


class RecordingDecoder(Decoder):
    """Decode a recording that is replayed over MQTT: `<base>/<entity_id>` with a line as payload.

    The times are the recording's own, so a time that can't be is a bad payload here.
    """

    family: ClassVar[str] = "recording"

    def __init__(self, base: str = "inkling/replay") -> None:
        super().__init__()
        self._base = base.rstrip("/")
        self._prefix = self._base + "/"

    @property
    def subscriptions(self) -> Sequence[str]:
        """Everything under the base."""
        return (f"{self._base}/+",)

    def handles(self, topic: str) -> bool:
        """Whether a topic lies under the base."""
        return topic.startswith(self._prefix)

    def _decode(self, topic: str, payload: bytes, received_at: datetime, retained: bool) -> list[StateChange]:  # noqa: FBT001
        change = _change(orjson.loads(payload), received_at, retained=retained)
        if topic != self._prefix + change.entity_id:
            raise BadPayloadError(f"{change.entity_id} under another topic")
        return [change]


def _change(item: Mapping[str, Any], received_at: datetime | None, *, retained: bool = False) -> StateChange:
    entity_id, state = item["entity_id"], item["state"]
    if not ENTITY_ID.fullmatch(entity_id):
        raise BadPayloadError("not an entity id")
    if not isinstance(state, str) or len(state) > MAX_STATE_CHARS:
        raise BadPayloadError("not a state")
    attributes = item.get("attributes") or NO_ATTRIBUTES
    if not isinstance(attributes, Mapping):
        raise BadPayloadError("attributes aren't an object")
    changed_at = utc(item["last_changed"])
    context = item.get("context") or None
    origin, confidence = _origin(item, context)
    return StateChange(
        entity_id, state, changed_at, received_at or changed_at, None, attributes,
        origin, confidence, retained, Source.RECORDING, context.get("id") if context else None,
    )  # fmt: skip


def _origin(item: Mapping[str, Any], context: Mapping[str, Any] | None) -> tuple[Origin, float]:
    """Our own mark, else a reading of the context, else unknown: nothing is invented."""
    mark = item.get("origin")
    if isinstance(mark, str):
        confidence = float(item.get("confidence", 0.0))
        if not 0.0 <= confidence <= 1.0:
            raise BadPayloadError("confidence is 0 to 1")
        return Origin(mark), confidence
    if context and "user_id" in context and "parent_id" in context:
        return origin_of(context["user_id"], context["parent_id"])
    return Origin.UNKNOWN, 0.0
