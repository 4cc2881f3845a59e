"""Reading the log: streamed in chunks, each its own short transaction, so that no reader holds up the WAL."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from sys import intern
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Select

from agent.database import Database
from agent.schema import (
    NO_ATTRIBUTES_ID,
    ORIGINS,
    SOURCES,
    attributes,
    entities,
    events,
    from_micros,
    journal,
    load,
    micros,
)
from devices.events import NO_ATTRIBUTES, StateChange

Input = StateChange | dict[str, Any]
"""An entry of the log: a state change, or another input of the pipeline in its JSON form."""

CHUNK: Final = 5000
_MAX_CACHED: Final = 4096

_EVENTS: Final = sa.select(
    events.c.seq,
    entities.c.entity_id,
    events.c.changed_at,
    events.c.received_at,
    events.c.old,
    events.c.new,
    events.c.attributes,
    events.c.origin,
    events.c.confidence,
    events.c.source,
    events.c.retained,
    events.c.context_id,
).join_from(events, entities)


def tail(db: Database, after: int, chunk: int = CHUNK) -> Iterator[Input]:
    """Yield events and journal entries with a greater sequence number, in its order."""
    reader = _Reader()
    while True:
        with db.read() as conn:
            rows = conn.execute(_EVENTS.where(events.c.seq > after).order_by(events.c.seq).limit(chunk)).all()
            query = sa.select(journal).where(journal.c.seq > after).order_by(journal.c.seq).limit(chunk)
            others = conn.execute(query).all()
            reader.learn(conn, rows)
        # A full chunk says nothing of what lies beyond its last entry.
        ends = [full[-1].seq for full in (rows, others) if len(full) == chunk]
        end = min(ends, default=None)
        merged = [(r.seq, r, reader.change) for r in rows] + [(r.seq, r, entry) for r in others]
        for seq, row, decode in sorted(merged, key=lambda item: item[0]):
            if end is None or seq <= end:
                yield decode(row)
        if end is None:
            return
        after = end


def by_time(db: Database, chunk: int = 2000) -> Iterator[Input]:
    """Yield events and journal entries in the order of their receipt; an import brings older ones later."""
    all_times = sa.union_all(
        sa.select(events.c.received_at.label("at"), events.c.seq), sa.select(journal.c.at, journal.c.seq)
    ).subquery()
    with db.read() as conn:  # eight bytes an entry
        order = array("q", conn.scalars(sa.select(all_times.c.seq).order_by(all_times.c.at, all_times.c.seq)))
    reader = _Reader()
    for start in range(0, len(order), chunk):
        wanted = order[start : start + chunk]
        with db.read() as conn:
            rows = conn.execute(_EVENTS.where(events.c.seq.in_(wanted))).all()
            others = conn.execute(sa.select(journal).where(journal.c.seq.in_(wanted))).all()
            reader.learn(conn, rows)
        found: dict[int, Input] = {r.seq: reader.change(r) for r in rows}
        found |= {r.seq: entry(r) for r in others}
        yield from (found[seq] for seq in wanted)


def find_events(
    db: Database,
    since: datetime | None = None,
    until: datetime | None = None,
    globs: Sequence[str] = (),
    limit: int | None = None,
) -> Iterator[StateChange]:
    """Yield changes with since <= changed_at < until of entities that match a glob, oldest first."""
    reader = _Reader()
    query = _EVENTS.order_by(events.c.changed_at, events.c.seq)
    if until is not None:
        query = query.where(events.c.changed_at < micros(until))
    if globs:
        query = query.where(events.c.entity.in_(_matching(db, globs)))
    start = events.c.changed_at >= (micros(since) if since is not None else 0)
    while limit is None or limit > 0:
        size = CHUNK if limit is None else min(CHUNK, limit)
        rows = _chunk(db, reader, query.where(start).limit(size))
        for row in rows:
            yield reader.change(row)
        if len(rows) < size:
            return
        limit = None if limit is None else limit - len(rows)
        last = rows[-1]
        start = sa.tuple_(events.c.changed_at, events.c.seq) > sa.tuple_(last.changed_at, last.seq)


def find_journal(
    db: Database, kind: str | None = None, since: datetime | None = None
) -> Iterator[dict[str, Any]]:
    """Yield journal entries of a kind, in order."""
    after = -1
    query = sa.select(journal).order_by(journal.c.seq).limit(CHUNK)
    if kind is not None:
        query = query.where(journal.c.kind == kind)
    if since is not None:
        query = query.where(journal.c.at >= micros(since))
    while True:
        with db.read() as conn:
            rows = conn.execute(query.where(journal.c.seq > after)).all()
        yield from map(entry, rows)
        if len(rows) < CHUNK:
            return
        after = rows[-1].seq


def entry(row: Any) -> dict[str, Any]:
    """Return a journal row in the form that was appended."""
    return {"kind": row.kind, "at": from_micros(row.at).isoformat(), **load(row.body)}


class _Reader:
    """Rows to state changes. Equal attributes come out as one object."""

    def __init__(self) -> None:
        self._attributes: dict[int, Mapping[str, Any]] = {NO_ATTRIBUTES_ID: NO_ATTRIBUTES}

    def learn(self, conn: Connection, rows: Sequence[Any]) -> None:
        """Load the attributes that rows refer to."""
        wanted = {r.attributes for r in rows}
        missing = wanted - self._attributes.keys()
        if not missing:
            return
        if len(self._attributes) > _MAX_CACHED:
            keep = wanted | {NO_ATTRIBUTES_ID}
            self._attributes = {i: a for i, a in self._attributes.items() if i in keep}
        query = sa.select(attributes.c.id, attributes.c.body).where(attributes.c.id.in_(missing))
        self._attributes.update((i, load(body)) for i, body in conn.execute(query))

    def change(self, row: Any) -> StateChange:
        """Return a row's state change."""
        _, entity_id, changed, received, old, new, attrs, origin, confidence, source, retained, context = row
        changed_at = from_micros(changed)
        return StateChange(
            intern(entity_id),  # a year of changes is read by who looks for habits
            intern(new),
            changed_at,
            changed_at if received == changed else from_micros(received),
            old and intern(old),
            self._attributes[attrs],
            ORIGINS[origin],
            confidence,
            bool(retained),
            SOURCES[source],
            context,
        )


def _chunk(db: Database, reader: _Reader, query: Select[Any]) -> Sequence[Any]:
    with db.read() as conn:
        rows = conn.execute(query).all()
        reader.learn(conn, rows)
    return rows


def _matching(db: Database, globs: Sequence[str]) -> list[int]:
    with db.read() as conn:
        known = conn.execute(sa.select(entities.c.id, entities.c.entity_id)).all()
    return [i for i, name in known if any(fnmatchcase(name, glob) for glob in globs)]
