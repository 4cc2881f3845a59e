"""Home Assistant state objects: WebSocket events, REST states and history, recorder database rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from devices.decoder import MAX_STATE_CHARS, BadPayloadError
from devices.events import NO_ATTRIBUTES, UNAVAILABLE, Origin, Source, StateChange, utc
from devices.values import ENTITY_ID, moment

MAX_ENTITIES: Final = 20_000
MAX_ATTRIBUTE_TEXTS: Final = 20_000
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

RecorderRow = tuple[
    str, str | None, float | None, float | None, str | None, bytes | None, bytes | None, bytes | None
]
"""(entity_id, state, last_updated_ts, last_changed_ts, shared_attrs, context, user and parent id as bytes)"""


def origin_of(user: object, parent: object) -> tuple[Origin, float]:
    """Read a single context: who probably caused the change, and how sure that is.

    A user may also be Node-RED or our own token; "neither" may be Assist or polling; a parent is sure to be
    an automation or a script.

    >>> origin_of("8f1c", None)
    (<Origin.PERSON: 'person'>, 0.7)
    """
    if user:
        return Origin.PERSON, 0.7
    if parent:
        return Origin.AUTOMATION, 0.8
    return Origin.PHYSICAL, 0.6


class HomeAssistantReader:
    """Turn Home Assistant's state objects into changes. Never raises: bad objects are counted in `bad`.

    All forms share one reading of a state object. `changed_at` is `last_changed`, or `last_updated` where
    only attributes changed (the state is the one last read of that entity). Attributes equal to those last
    read of the entity are the same object. Memory: one record an entity, 20,000 at most.
    """

    def __init__(self) -> None:
        self.bad: Counter[str] = Counter()
        self._last: dict[str, tuple[str, Mapping[str, Any]]] = {}  # entity id -> state, attributes
        self._parsed: dict[str, Mapping[str, Any]] = {}  # the recorder's attribute texts

    def event(self, event: Mapping[str, Any], received_at: datetime) -> StateChange | None:
        """Read a `state_changed` event, with or without the WebSocket's envelope; removed is unavailable."""
        try:
            data = event["event"]["data"] if "event" in event else event["data"]
            new = data["new_state"]
            if new is None:
                return self._removed(str(data["entity_id"]), received_at)
            return self._state(new, received_at, Source.HOME_ASSISTANT, live=True)
        except Exception:  # noqa: BLE001 - the boundary: whatever is sent, the daemon lives
            self.bad["state_changed"] += 1
            return None

    def states(self, objects: Iterable[Any], received_at: datetime) -> list[StateChange]:
        """Read the answer of `/api/states` or `get_states`: a picture of the home, so all are `retained`."""
        changes = []
        for item in objects:
            try:
                changes.append(self._state(item, received_at, Source.HOME_ASSISTANT, live=False))
            except Exception:  # noqa: BLE001 - the boundary
                self.bad["states"] += 1
        return changes

    def history(self, groups: Iterable[Iterable[Any]]) -> Iterator[StateChange]:
        """Read REST history, one group an entity, minimal rows (state and time only) included.

        Its contexts are missing or wrong, depending on the version, so the origin is unknown.
        """
        for group in groups:
            entity_id, attributes = "", NO_ATTRIBUTES
            rows = group if isinstance(group, list) else []
            for row in rows:
                try:
                    entity_id = row.get("entity_id", entity_id)
                    attributes = row.get("attributes", attributes)
                    whole = {**row, "entity_id": entity_id, "attributes": attributes, "context": None}
                    yield self._state(whole, None, Source.RECORDING, live=True)
                except Exception:  # noqa: BLE001 - the boundary
                    self.bad["history"] += 1

    def row(self, row: Sequence[Any]) -> StateChange | None:
        """Read one joined row of the recorder database (`RecorderRow`)."""
        try:
            entity_id, state, updated, changed, shared, context, user, parent = row
            if state is None:  # the recorder's mark of a removed entity
                state = UNAVAILABLE
            updated_at = utc(updated)
            changed_at = updated_at if changed is None else utc(changed)
            return self._change(
                (entity_id, state, self._attributes(shared)),
                (changed_at, updated_at),
                None,
                origin_of(user, parent),
                (ulid(context) if context else None, Source.RECORDING, False),
            )
        except Exception:  # noqa: BLE001 - the boundary
            self.bad["recorder"] += 1
            return None

    def _state(
        self, item: Mapping[str, Any], received_at: datetime | None, source: Source, *, live: bool
    ) -> StateChange:
        """Read one state object; without `received_at` (an import) its own times must be good."""
        changed, updated = item["last_changed"], item.get("last_updated")
        if received_at is None:
            changed_at = utc(changed)
            updated_at = changed_at if updated is None or updated == changed else utc(updated)
        else:
            changed_at = moment(changed, received_at)
            updated_at = changed_at if updated == changed else moment(updated, received_at)
        context = item.get("context")
        if context:
            cause = origin_of(context.get("user_id"), context.get("parent_id"))
            context_id = context.get("id")
        else:
            cause, context_id = (Origin.UNKNOWN, 0.0), None
        if not live:
            cause = (Origin.UNKNOWN, 0.0)  # the context is that of the last write, maybe of an attribute
        return self._change(
            (
                item["entity_id"],
                UNAVAILABLE if item["state"] == "" else item["state"],
                item.get("attributes") or NO_ATTRIBUTES,
            ),
            (changed_at, updated_at),
            received_at,
            cause,
            (context_id, source, not live),
        )

    def _change(
        self,
        what: tuple[str, str, Mapping[str, Any]],
        times: tuple[datetime, datetime],
        received_at: datetime | None,
        cause: tuple[Origin, float],
        where: tuple[str | None, Source, bool],
    ) -> StateChange:
        entity_id, state, attributes = what
        last = self._last.get(entity_id)
        if last is None or last[0] != state:
            at = times[0]
            if last is None:
                self._check(entity_id)
        else:
            at = times[1]
        if not isinstance(state, str) or len(state) > MAX_STATE_CHARS or not isinstance(attributes, Mapping):
            raise BadPayloadError(f"not a state of {entity_id}")
        if last is not None and last[1] == attributes:
            attributes = last[1]
        self._last[entity_id] = (state, attributes)
        context_id, source, retained = where
        return StateChange(
            entity_id, state, at, received_at or at, None, attributes, *cause, retained, source,
            context_id if isinstance(context_id, str) else None,
        )  # fmt: skip

    def _check(self, entity_id: object) -> None:
        if not isinstance(entity_id, str) or not ENTITY_ID.fullmatch(entity_id):
            raise BadPayloadError("not an entity id")
        if len(self._last) >= MAX_ENTITIES:
            raise BadPayloadError("too many entities")

    def _attributes(self, shared: str | None) -> Mapping[str, Any]:
        if not shared:
            return NO_ATTRIBUTES
        parsed = self._parsed.get(shared)
        if parsed is None:
            if len(self._parsed) >= MAX_ATTRIBUTE_TEXTS:
                self._parsed.clear()
            parsed = self._parsed[shared] = orjson.loads(shared)
        return parsed

    def _removed(self, entity_id: str, received_at: datetime) -> StateChange | None:
        last = self._last.pop(entity_id, None)
        if last is None:
            return None
        return StateChange(
            entity_id, UNAVAILABLE, received_at, received_at, None, last[1], source=Source.HOME_ASSISTANT
        )


def ulid(raw: bytes) -> str:
    """Return the text of a context id that the recorder keeps as 16 bytes.

    >>> ulid(bytes.fromhex("01a1fb7180ce56c599e3466fcbc3beeb"))
    '01M7XQ306EAV2SKRT6DZ5W7FQB'
    """
    if len(raw) != 16:
        raise BadPayloadError("a context id has 16 bytes")
    value = int.from_bytes(raw)
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))
