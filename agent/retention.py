"""Removing: by age, and because a resident asked for it. And looking at what is left."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from agent.database import Database
from agent.outputs import ALIVE
from agent.records import Stats
from agent.schema import (
    attributes,
    commands,
    entities,
    events,
    from_micros,
    goals,
    journal,
    load,
    micros,
    routines,
    settings,
    snapshots,
    suggestions,
)

CHUNK: Final = 5000
"""Rows deleted in one transaction: some 50 ms during which nothing else is written."""


def purge_chunk(conn: Connection, before: datetime) -> int:
    """Delete the oldest events before a time, at most `CHUNK`; return how many."""
    old = (
        sa.select(events.c.seq)
        .where(events.c.changed_at < micros(before))
        .order_by(events.c.changed_at)
        .limit(CHUNK)
    )
    return conn.execute(events.delete().where(events.c.seq.in_(old))).rowcount


def purge_rest(conn: Connection, before: datetime) -> int:
    """Delete answers and inputs before a time, and attributes that no event has any more."""
    at = micros(before)
    final = suggestions.c.status.not_in([s.value for s in ALIVE])
    gone = conn.execute(journal.delete().where(journal.c.at < at)).rowcount
    gone += conn.execute(suggestions.delete().where(suggestions.c.raised_at < at, final)).rowcount
    gone += conn.execute(commands.delete().where(commands.c.at < at)).rowcount
    _sweep(conn)
    return gone


def forget(conn: Connection, entity_ids: Iterable[str]) -> int:
    """Delete all that entities left behind, snapshots included; return how many events."""
    names = list(entity_ids)
    numbers = list(conn.scalars(sa.select(entities.c.id).where(entities.c.entity_id.in_(names))))
    count = conn.execute(events.delete().where(events.c.entity.in_(numbers))).rowcount
    conn.execute(entities.delete().where(entities.c.id.in_(numbers)))
    ids = set(conn.scalars(sa.select(suggestions.c.id).where(suggestions.c.entity_id.in_(names))))
    conn.execute(suggestions.delete().where(suggestions.c.id.in_(ids)))
    about = sa.or_(commands.c.entity_id.in_(names), commands.c.suggestion_id.in_(ids))
    conn.execute(commands.delete().where(about))
    conn.execute(settings.delete().where(settings.c.entity.in_(names)))
    for table, key in ((journal, journal.c.seq), (routines, routines.c.id), (goals, goals.c.id)):
        told = [
            k for k, body in conn.execute(sa.select(key, table.c.body)) if _mentions(load(body), ids, names)
        ]
        conn.execute(table.delete().where(key.in_(told)))
    conn.execute(snapshots.delete())  # what was learned from them is in there
    _sweep(conn)
    return count


def forget_before(conn: Connection, before: datetime) -> int:
    """Delete all that was before a time, and what was learned from it; return how many events."""
    at = micros(before)
    count = conn.execute(events.delete().where(events.c.changed_at < at)).rowcount
    conn.execute(suggestions.delete().where(suggestions.c.raised_at < at))
    for table in (routines, goals):
        conn.execute(table.delete().where(table.c.created_at < at))
    conn.execute(snapshots.delete())
    purge_rest(conn, before)
    return count


def empty_wal(db: Database) -> None:
    """Bring the log of writes into the file and empty it: it still holds what was deleted."""
    if db.sqlite:
        with db.outside_transaction() as conn:
            conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def stats(db: Database) -> Stats:
    """Return counts, range and size."""
    with db.read() as conn:
        counts = {
            table.name: conn.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in (events, entities, journal, suggestions, snapshots)
        }
        oldest = conn.scalar(sa.select(sa.func.min(events.c.changed_at)))
        newest = conn.scalar(sa.select(sa.func.max(events.c.changed_at)))
        size = _size(db, conn)
    return Stats(
        **counts,
        oldest=None if oldest is None else from_micros(oldest),
        newest=None if newest is None else from_micros(newest),
        bytes=size,
    )


def check(db: Database) -> None:
    """Raise CorruptError if the pages of the file don't hold together (half a second a million events)."""
    if not db.sqlite:
        return  # a server looks after its own
    with db.read() as conn:
        found = conn.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if found != "ok":
        raise db.corrupt(str(found))


def _sweep(conn: Connection) -> None:
    conn.execute(attributes.delete().where(attributes.c.id.not_in(sa.select(events.c.attributes))))


def _mentions(value: Any, ids: set[str], names: list[str]) -> bool:
    if isinstance(value, dict):
        return any(_mentions(k, ids, names) or _mentions(v, ids, names) for k, v in value.items())
    if isinstance(value, list):
        return any(_mentions(v, ids, names) for v in value)
    return isinstance(value, str) and (value in ids or value in names)


def _size(db: Database, conn: Connection) -> int:
    if not db.sqlite:
        return int(conn.scalar(sa.select(sa.func.pg_database_size(sa.func.current_database()))) or 0)
    if db.path is None:
        return 0
    files = (Path(f"{db.path}{suffix}") for suffix in ("", "-wal", "-shm"))
    return sum(f.stat().st_size for f in files if f.exists())
