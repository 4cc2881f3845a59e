"""Writing what a batch holds beside state changes.

A suggestion is on its way out while this runs, so its statements are built once, not at each commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Table, bindparam

from agent.records import Batch, Document, Setting, StoredSuggestion
from agent.schema import (
    commands,
    dump,
    from_micros,
    goals,
    inbox,
    journal,
    load,
    micros,
    routines,
    settings,
    suggestions,
)
from agent.suggestions import Resolution, Status, Suggestion

ALIVE: Final = (Status.OPEN, Status.SNOOZED)

_DROP: Final = suggestions.delete().where(suggestions.c.id == bindparam("old_id"))
_RAISE: Final = suggestions.insert()
_RESOLVE: Final = (
    suggestions.update()
    .where(suggestions.c.id == bindparam("of"))
    .values(status=bindparam("status"), resolved_at=bindparam("resolved_at"), why=bindparam("why"))
)
_DELIVER: Final = (
    suggestions.update()
    .where(suggestions.c.id == bindparam("of"))
    .values(delivered_at=bindparam("delivered_at"))
)
_UPDATE: Final = (
    suggestions.update().where(suggestions.c.id == bindparam("of")).values(body=bindparam("body"))
)
_COMMAND: Final = commands.insert()
_JOURNAL: Final = journal.insert()


def write_outputs(conn: Connection, batch: Batch) -> None:
    """Write everything but `changes` and `inflight`."""
    _journal(conn, batch)
    _suggestions(conn, batch.suggestions)
    if batch.updates:
        latest = {s.id: s for s in batch.updates}
        conn.execute(_UPDATE, [{"of": s.id, "body": dump(s.to_dict())} for s in latest.values()])
    resolved = [
        {
            "of": r.suggestion_id,
            "status": r.status.value,
            "resolved_at": None if r.status in ALIVE else micros(r.at),
            "why": r.why,
        }
        for r in _in_force(batch)
    ]
    if resolved:
        conn.execute(_RESOLVE, resolved)
    if batch.commands:
        rows = [
            {
                "suggestion_id": c.suggestion_id,
                "entity_id": c.entity_id,
                "state": c.state,
                "at": micros(c.at),
                "undo": int(c.undo),
            }
            for c in batch.commands
        ]
        conn.execute(_COMMAND, rows)
    if batch.delivered:
        conn.execute(_DELIVER, [{"of": i, "delivered_at": micros(at)} for i, at in batch.delivered])
    _documents(conn, routines, batch.routines)
    _documents(conn, goals, batch.goals)
    _settings(conn, batch.settings)
    if batch.inbox:
        conn.execute(inbox.delete().where(inbox.c.id.in_(batch.inbox)))


def stored_suggestion(row: Any) -> StoredSuggestion:
    """Return a row of `suggestions`."""
    return StoredSuggestion(
        Suggestion.from_dict(load(row.body)),
        Status(row.status),
        None if row.resolved_at is None else from_micros(row.resolved_at),
        None if row.delivered_at is None else from_micros(row.delivered_at),
        row.why,
    )


def _journal(conn: Connection, batch: Batch) -> None:
    rows = []
    for seq, at, entry in batch.journal:
        body = {key: value for key, value in entry.items() if key not in ("kind", "at")}
        rows.append({"seq": seq, "kind": entry["kind"], "at": micros(at), "body": dump(body)})
    if rows:
        conn.execute(_JOURNAL, rows)


def _suggestions(conn: Connection, raised: Sequence[Suggestion]) -> None:
    latest = {s.id: s for s in raised}
    if not latest:
        return
    # Delete and insert is an upsert that every database understands.
    conn.execute(_DROP, [{"old_id": suggestion_id} for suggestion_id in latest])
    rows = [
        {
            "id": s.id,
            "kind": s.kind.value,
            "detector": s.detector,
            "entity_id": s.entity_id,
            "status": Status.OPEN.value,
            "raised_at": micros(s.raised_at),
            "expires_at": micros(s.expires_at),
            "why": "",
            "body": dump(s.to_dict()),
        }
        for s in latest.values()
    ]
    conn.execute(_RAISE, rows)


def _in_force(batch: Batch) -> Iterable[Resolution]:
    again = {s.id: s.deliver_at for s in batch.suggestions}
    for resolution in batch.resolutions:
        at = again.get(resolution.suggestion_id)
        if resolution.status is not Status.SNOOZED or at is None or at <= resolution.at:
            yield resolution


def _documents(conn: Connection, table: Table, documents: Sequence[Document]) -> None:
    latest = {d.id: d for d in documents}
    if latest:
        conn.execute(table.delete().where(table.c.id.in_(latest)))
        rows = [
            {"id": d.id, "status": d.status, "created_at": micros(d.created_at), "body": dump(d.body)}
            for d in latest.values()
        ]
        conn.execute(table.insert(), rows)


def _settings(conn: Connection, changed: Sequence[Setting]) -> None:
    for s in changed:
        conn.execute(settings.delete().where(sa.and_(settings.c.entity == s.entity, settings.c.key == s.key)))
        if s.value is not None:
            conn.execute(settings.insert().values(entity=s.entity, key=s.key, value=dump(s.value)))
