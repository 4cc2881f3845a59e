"""The store: one log of all inputs, and what came of them. Everything durable goes through here.

There is one writer (`Access.WRITE`: the daemon, or an import while it is stopped), which appends batches;
each is one transaction. Command line and web read, and leave requests in the inbox.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Self

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DataError

from agent import outputs, queries, retention
from agent.database import Access, Database
from agent.interning import Change, Interner, Row, insert_events
from agent.packets import PacketJournal, recent_packets
from agent.queries import Input
from agent.records import Appended, Batch, Document, InboxItem, Setting, Stats, StoredSuggestion
from agent.schema import (
    commands,
    dump,
    dump_bytes,
    entities,
    events,
    from_micros,
    goals,
    inbox,
    journal,
    load,
    micros,
    routines,
    settings,
    snapshots,
    suggestions,
)
from agent.suggestions import Command, Status
from devices.events import StateChange

log = structlog.get_logger()

SNAPSHOTS_KEPT: Final = 3
PACKETS_KEPT: Final = 4096


class Store:
    """An open database. Safe to use from several threads; `append` from one at a time."""

    def __init__(self, database: Database, *, packets_kept: int = PACKETS_KEPT) -> None:
        self.database = database
        self._packets_kept = packets_kept
        self._insert_events = insert_events(sqlite=database.sqlite)
        self._writing = threading.Lock()
        self._known: tuple[Interner, PacketJournal] | None = None

    @classmethod
    def open(
        cls,
        url: str,
        *,
        access: Access = Access.WRITE,
        create: bool = True,
        synchronous: str = "normal",
        packets_kept: int = PACKETS_KEPT,
    ) -> Self:
        """Open, and create or upgrade, where the access allows it; check it after an unclean shutdown.

        `synchronous`: "normal" survives a crash of the process, and after a power cut may lack the last
        second; "full" lacks nothing, at two thirds of the speed.
        """
        database = Database(url, access, synchronous=synchronous).open(create=create)
        store = cls(database, packets_kept=packets_kept)
        try:
            if database.unclean:
                log.info("checking the database after an unclean shutdown", database=database.name)
                store.check()
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close; another writer may open it then."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- writing ----------------------------------------------------------------------------------

    def append(self, batch: Batch) -> Appended:
        """Write a batch in one transaction. Raises StoreError having written nothing: try again later."""
        with self._writing:
            try:
                return self._append(batch, batch.changes)
            except (DataError, UnicodeEncodeError):
                # Text that the database can't hold must not block all that comes after it.
                log.warning("replaced characters that the database can't hold")
            clean = [(seq, _clean(c), old and _clean_text(old)) for seq, c, old in batch.changes]
            return self._append(batch, clean)

    def _append(self, batch: Batch, changes: Sequence[Change]) -> Appended:
        known, self._known = self._known, None  # what fails may have known of rows that are rolled back
        done = Appended(0)
        with self.database.write() as conn:
            known = known or (Interner(conn), PacketJournal(conn, self._packets_kept))
            if changes:
                done = self._insert(conn, known[0].rows(conn, changes))
            outputs.write_outputs(conn, batch)
            if batch.inflight:
                known[1].add(conn, batch.inflight)
        self._known = known
        return done

    def _insert(self, conn: Connection, rows: list[Row]) -> Appended:
        result = conn.execution_options(preserve_rowcount=True).exec_driver_sql(self._insert_events, rows)
        if result.rowcount in (0, len(rows)):
            return Appended(result.rowcount, () if result.rowcount else tuple(row[0] for row in rows))
        query = sa.select(events.c.seq).where(events.c.seq.between(rows[0][0], rows[-1][0]))
        stored = set(conn.scalars(query))
        return Appended(len(stored), tuple(seq for seq, *_ in rows if seq not in stored))

    # -- the log ----------------------------------------------------------------------------------

    @property
    def last_seq(self) -> int:
        """The greatest sequence number in use, 0 in an empty store."""
        with self.database.read() as conn:
            greatest = [conn.scalar(sa.select(sa.func.max(t.c.seq))) for t in (events, journal, snapshots)]
        return max((g for g in greatest if g is not None), default=0)

    def tail(self, after_seq: int = 0) -> Iterator[Input]:
        """Yield state changes and journal entries after a sequence number, in its order."""
        return queries.tail(self.database, after_seq)

    def by_time(self) -> Iterator[Input]:
        """Yield state changes and journal entries in the order of their receipt."""
        return queries.by_time(self.database)

    def events(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        entities: Sequence[str] = (),
        limit: int | None = None,
    ) -> Iterator[StateChange]:
        """Yield changes with since <= changed_at < until of entities that match a glob, oldest first."""
        return queries.find_events(self.database, since, until, entities, limit)

    def journal(self, kind: str | None = None, since: datetime | None = None) -> Iterator[dict[str, Any]]:
        """Yield other inputs ("feedback", "control", …), in order."""
        return queries.find_journal(self.database, kind, since)

    def holds(self, change: StateChange) -> bool:
        """Whether the log has this state of the entity at this very time."""
        with self.database.read() as conn:
            query = (
                sa.select(events.c.seq)
                .join_from(events, entities)
                .where(
                    events.c.changed_at == micros(change.changed_at),
                    entities.c.entity_id == change.entity_id,
                    events.c.new == change.new,
                )
            )
            return conn.execute(query.limit(1)).first() is not None

    # -- snapshots --------------------------------------------------------------------------------

    def save_snapshot(self, seq: int, body: Mapping[str, Any], at: datetime, *, version: int = 1) -> None:
        """Keep what was learned up to a sequence number; the last three are kept."""
        packed = zlib.compress(dump_bytes(body), 3)
        with self._writing, self.database.write() as conn:
            conn.execute(
                snapshots.insert().values(seq=seq, created_at=micros(at), version=version, body=packed)
            )
            kept = sa.select(snapshots.c.id).order_by(snapshots.c.id.desc()).limit(SNAPSHOTS_KEPT)
            conn.execute(snapshots.delete().where(snapshots.c.id.not_in(list(conn.scalars(kept)))))

    def load_snapshot(self, *, version: int = 1) -> tuple[int, dict[str, Any]] | None:
        """Return (seq, body) of the newest one that can be read and has this version."""
        with self.database.read() as conn:
            query = sa.select(snapshots.c.id).where(snapshots.c.version == version)
            for number in list(conn.scalars(query.order_by(snapshots.c.id.desc()))):
                row = conn.execute(sa.select(snapshots).where(snapshots.c.id == number)).one()
                try:
                    return row.seq, load(zlib.decompress(row.body))
                except (zlib.error, ValueError) as err:
                    log.warning("a snapshot is damaged, trying the one before", seq=row.seq, error=str(err))
        return None

    # -- suggestions and what belongs to them -----------------------------------------------------

    def suggestions(
        self, status: Sequence[Status] = (), *, since: datetime | None = None, limit: int | None = None
    ) -> list[StoredSuggestion]:
        """Return suggestions, newest first."""
        query = sa.select(suggestions).order_by(suggestions.c.raised_at.desc(), suggestions.c.id)
        if status:
            query = query.where(suggestions.c.status.in_([s.value for s in status]))
        if since is not None:
            query = query.where(suggestions.c.raised_at >= micros(since))
        with self.database.read() as conn:
            return [outputs.stored_suggestion(row) for row in conn.execute(query.limit(limit))]

    def find_suggestions(self, id_prefix: str) -> list[StoredSuggestion]:
        """Return the suggestions whose id starts so: one is the answer, several want a longer prefix."""
        query = sa.select(suggestions).where(suggestions.c.id.startswith(id_prefix, autoescape=True))
        with self.database.read() as conn:
            return [outputs.stored_suggestion(row) for row in conn.execute(query.order_by(suggestions.c.id))]

    def commands(self, suggestion_id: str) -> list[Command]:
        """Return what was done on behalf of a suggestion, in order."""
        query = sa.select(commands).where(commands.c.suggestion_id == suggestion_id).order_by(commands.c.id)
        with self.database.read() as conn:
            return [
                Command(r.suggestion_id, r.entity_id, r.state, from_micros(r.at), bool(r.undo))
                for r in conn.execute(query)
            ]

    def routines(self) -> list[Document]:
        """Return routines, oldest first."""
        return self._documents(routines)

    def goals(self) -> list[Document]:
        """Return goals, oldest first."""
        return self._documents(goals)

    def knows(self, entity_id: str) -> bool:
        """Whether the log has anything of an entity."""
        with self.database.read() as conn:
            found = sa.select(entities.c.id).where(entities.c.entity_id == entity_id)
            return conn.execute(found).first() is not None

    def settings(self) -> list[Setting]:
        """Return the residents' settings for entities."""
        with self.database.read() as conn:
            rows = conn.execute(sa.select(settings).order_by(settings.c.entity, settings.c.key))
            return [Setting(r.entity, r.key, load(r.value)) for r in rows]

    def _documents(self, table: sa.Table) -> list[Document]:
        with self.database.read() as conn:
            rows = conn.execute(sa.select(table).order_by(table.c.created_at, table.c.id))
            return [Document(r.id, r.status, from_micros(r.created_at), load(r.body)) for r in rows]

    # -- between processes ------------------------------------------------------------------------

    def inbox_put(self, kind: str, body: Mapping[str, Any], at: datetime) -> int:
        """Leave a request for the daemon; return its id, for `inbox_pending`."""
        with self.database.write() as conn:
            row = inbox.insert().values(at=micros(at), kind=kind, body=dump(body)).returning(inbox.c.id)
            return int(conn.execute(row).scalar_one())

    def inbox_take(self, limit: int = 100) -> list[InboxItem]:
        """Return the oldest requests. They stay until the batch with their effects names them in `inbox`."""
        with self.database.read() as conn:
            rows = conn.execute(sa.select(inbox).order_by(inbox.c.id).limit(limit))
            return [InboxItem(r.id, from_micros(r.at), r.kind, load(r.body)) for r in rows]

    def inbox_pending(self, item_id: int) -> bool:
        """Whether a request still waits."""
        with self.database.read() as conn:
            return conn.execute(sa.select(inbox.c.id).where(inbox.c.id == item_id)).first() is not None

    def recent_packets(self) -> list[tuple[int, bytes]]:
        """Return (packet id, digest) of the last committed packets, oldest first."""
        with self.database.read() as conn:
            return recent_packets(conn)

    # -- keeping house ----------------------------------------------------------------------------

    def purge(self, before: datetime) -> int:
        """Delete what is older, in short transactions between which others can write; return the rows."""
        total = 0
        while True:
            deleted = self._change(lambda conn: retention.purge_chunk(conn, before))
            total += deleted
            if deleted < retention.CHUNK:
                return total + self._change(lambda conn: retention.purge_rest(conn, before))

    def forget(self, *entity_ids: str) -> int:
        """Delete all of these entities and every snapshot; return how many events. Save a snapshot next."""
        return self._erase(lambda conn: retention.forget(conn, entity_ids))

    def forget_before(self, before: datetime) -> int:
        """Delete all before a time, learned or recorded; return how many events. Learn anew next."""
        return self._erase(lambda conn: retention.forget_before(conn, before))

    def stats(self) -> Stats:
        """Return how much there is."""
        return retention.stats(self.database)

    def check(self) -> None:
        """Raise CorruptError if the file is damaged."""
        retention.check(self.database)

    def _erase(self, work: Callable[[Connection], int]) -> int:
        count = self._change(work, erase=True)
        retention.empty_wal(self.database)
        return count

    def _change(self, work: Callable[[Connection], int], *, erase: bool = False) -> int:
        with self._writing:
            self._known = None  # may know of rows that are deleted now
            with self.database.write() as conn:
                if erase and self.database.sqlite:
                    conn.exec_driver_sql("PRAGMA secure_delete=on")  # overwrite, don't just unlink
                return work(conn)


def _clean(change: StateChange) -> StateChange:
    context_id = change.context_id and _clean_text(change.context_id)
    return replace(
        change, entity_id=_clean_text(change.entity_id), new=_clean_text(change.new), context_id=context_id
    )


def _clean_text(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
