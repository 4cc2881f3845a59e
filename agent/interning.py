"""Entity ids and attribute sets as small integers, and state changes as rows of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from agent.schema import NO_ATTRIBUTES_ID, ORIGINS, SOURCES, attributes, dump_bytes, entities, events, micros
from devices.events import StateChange

Change = tuple[int, StateChange, str | None]
"""Sequence number, the change, and the state that it replaced."""
Row = tuple[Any, ...]

_MAX_CACHED: Final = 4096
_MAX_CACHED_BYTES: Final = 2048  # one cached body: at most 8 MB in all
_ORIGIN_CODE: Final = {origin: code for code, origin in enumerate(ORIGINS)}
_SOURCE_CODE: Final = {source: code for code, source in enumerate(SOURCES)}


class Interner:
    """What the writer knows of `entities` and `attributes`. Thrown away when a transaction fails."""

    def __init__(self, conn: Connection) -> None:
        self._entities: dict[str, int] = {row.entity_id: row.id for row in conn.execute(sa.select(entities))}
        self._next_entity = max(self._entities.values(), default=0) + 1
        self._next_attributes = (conn.scalar(sa.select(sa.func.max(attributes.c.id))) or NO_ATTRIBUTES_ID) + 1
        self._cache: dict[bytes, int] = {}

    def rows(self, conn: Connection, changes: Sequence[Change]) -> list[Row]:
        """Return rows for `events`, having inserted what they refer to."""
        self._add_entities(conn, changes)
        bodies = [dump_bytes(c.attributes) if c.attributes else b"" for _, c, _ in changes]
        known = self._attribute_ids(conn, bodies)
        return [
            _row(seq, c, old, self._entities[c.entity_id], known[body])
            for (seq, c, old), body in zip(changes, bodies, strict=True)
        ]

    def _add_entities(self, conn: Connection, changes: Sequence[Change]) -> None:
        new = dict.fromkeys(c.entity_id for _, c, _ in changes if c.entity_id not in self._entities)
        if not new:
            return
        numbered = dict(zip(new, range(self._next_entity, self._next_entity + len(new)), strict=True))
        conn.execute(entities.insert(), [{"id": i, "entity_id": name} for name, i in numbered.items()])
        self._next_entity += len(new)
        self._entities |= numbered

    def _attribute_ids(self, conn: Connection, bodies: Sequence[bytes]) -> Mapping[bytes, int]:
        known: dict[bytes, int] = {b"": NO_ATTRIBUTES_ID}
        new: dict[bytes, None] = {}  # a set that keeps the order
        for body in bodies:
            if body not in known:
                if (number := self._cache.get(body)) is not None:
                    known[body] = number
                else:
                    new[body] = None
        if new:
            found = self._find_or_add(conn, new)
            if len(self._cache) + len(found) > _MAX_CACHED:
                self._cache.clear()
            self._cache.update((body, i) for body, i in found.items() if len(body) <= _MAX_CACHED_BYTES)
            known |= found
        return known

    def _find_or_add(self, conn: Connection, bodies: Iterable[bytes]) -> dict[bytes, int]:
        digests = {body: _digest(body) for body in bodies}
        query = sa.select(attributes.c.digest, attributes.c.id).where(
            attributes.c.digest.in_(digests.values())
        )
        stored = {row.digest: row.id for row in conn.execute(query)}
        fresh = []
        for body, digest in digests.items():
            if digest not in stored:
                stored[digest] = self._next_attributes
                fresh.append({"id": self._next_attributes, "digest": digest, "body": body.decode()})
                self._next_attributes += 1
        if fresh:
            conn.execute(attributes.insert(), fresh)
        return {body: stored[digest] for body, digest in digests.items()}


def insert_events(*, sqlite: bool) -> str:
    """Return the one statement of the hot path, which drops duplicates, in the driver's own form."""
    names = ", ".join(c.name for c in events.columns)
    marks = ", ".join(["?" if sqlite else "%s"] * len(events.columns))
    once = "changed_at, entity, new, attributes"
    return f"INSERT INTO events ({names}) VALUES ({marks}) ON CONFLICT ({once}) DO NOTHING"  # noqa: S608


def _row(seq: int, c: StateChange, old: str | None, entity: int, attributes_id: int) -> Row:
    changed = micros(c.changed_at)
    return (
        seq,
        entity,
        changed,
        changed if c.received_at is c.changed_at else micros(c.received_at),
        old,
        c.new,
        attributes_id,
        _ORIGIN_CODE[c.origin],
        c.confidence,
        _SOURCE_CODE[c.source],
        int(c.retained),
        c.context_id,
    )


def _digest(body: bytes) -> int:
    return int.from_bytes(blake2b(body, digest_size=8).digest(), signed=True)
