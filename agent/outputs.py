"""Writing what a batch holds beside state changes. Few rows, so clarity comes before speed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Table

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


def write_outputs(conn: Connection, batch: Batch) -> None:
    """Write everything but `changes` and `inflight`."""
    _journal(conn, batch)
    _suggestions(conn, batch.suggestions)
    for resolution in _in_force(batch):
        final = resolution.status not in ALIVE
        conn.execute(
            suggestions.update()
            .where(suggestions.c.id == resolution.suggestion_id)
            .values(
                status=resolution.status.value,
                resolved_at=micros(resolution.at) if final else None,
                why=resolution.why,
            )
        )
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
        conn.execute(commands.insert(), rows)
    for suggestion_id, at in batch.delivered:
        query = suggestions.update().where(suggestions.c.id == suggestion_id)
        conn.execute(query.values(delivered_at=micros(at)))
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
        conn.execute(journal.insert(), rows)


def _suggestions(conn: Connection, raised: Sequence[Suggestion]) -> None:
    latest = {s.id: s for s in raised}
    if not latest:
        return
    # Delete and insert is an upsert that every database understands.
    conn.execute(suggestions.delete().where(suggestions.c.id.in_(latest)))
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
    conn.execute(suggestions.insert(), rows)


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
