"""The database's tables, and how a state change becomes a row. Times are integer microseconds, UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

from devices.events import Origin, Source

SCHEMA_VERSION: Final = "0001"
KNOWN_VERSIONS: Final = ("0001",)
"""Every revision in `agent/migrations/versions`, oldest first: so that a start need not load Alembic."""

NO_ATTRIBUTES_ID: Final = 0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = 1_000_000

metadata = MetaData(
    naming_convention={
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

_Seq = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER is SQLite's row id
_Time = BigInteger

version = Table("alembic_version", metadata, Column("version_num", String(32), primary_key=True))

entities = Table(
    "entities",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("entity_id", Text, nullable=False, unique=True),
)

# Attributes hardly ever change, so each distinct set is kept once. Nothing refers to it by a foreign key:
# deleting one would scan all events for lack of an index; `retention.sweep` finds the unused ones instead.
attributes = Table(
    "attributes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("digest", BigInteger, nullable=False, unique=True),  # 64 bits of BLAKE2b of the body
    Column("body", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("seq", _Seq, primary_key=True, autoincrement=False),
    Column("entity", Integer, ForeignKey("entities.id"), nullable=False),
    Column("changed_at", _Time, nullable=False),
    Column("received_at", _Time, nullable=False),
    Column("old", Text),
    Column("new", Text, nullable=False),
    Column("attributes", Integer, nullable=False),  # 0: none
    Column("origin", SmallInteger, nullable=False),  # place in ORIGINS
    Column("confidence", Float, nullable=False),
    Column("source", SmallInteger, nullable=False),  # place in SOURCES
    Column("retained", SmallInteger, nullable=False),
    Column("context_id", Text),
)
# Drops duplicates. Time comes first, so that appending touches one page instead of one an entity (three
# times as fast), and the same index serves time ranges and retention.
Index(
    "events_once",
    events.c.changed_at,
    events.c.entity,
    events.c.new,
    events.c.attributes,
    unique=True,
)

journal = Table(
    "journal",
    metadata,
    Column("seq", _Seq, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("at", _Time, nullable=False),
    Column("body", Text, nullable=False),
)

suggestions = Table(
    "suggestions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("detector", Text, nullable=False),
    Column("entity_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("raised_at", _Time, nullable=False),
    Column("expires_at", _Time, nullable=False),
    Column("resolved_at", _Time),
    Column("delivered_at", _Time),
    Column("why", Text, nullable=False),
    Column("body", Text, nullable=False),
)
Index("suggestions_status", suggestions.c.status, suggestions.c.raised_at)

commands = Table(
    "commands",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("suggestion_id", Text, nullable=False),
    Column("entity_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", _Time, nullable=False),
    Column("undo", SmallInteger, nullable=False),
)


def _documents(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("id", Text, primary_key=True),
        Column("status", Text, nullable=False),
        Column("created_at", _Time, nullable=False),
        Column("body", Text, nullable=False),
    )


routines = _documents("routines")
goals = _documents("goals")

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),  # zlib of JSON
    sqlite_autoincrement=True,  # "newest" stays the greatest id when all older ones are gone
)

settings = Table(
    "settings",
    metadata,
    Column("entity", Text, primary_key=True),  # id or glob
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", _Time, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_autoincrement=True,  # an id waits for its answer, so it must never be given out twice
)

inflight = Table(
    "inflight",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("packets", LargeBinary, nullable=False),  # of one batch: message id, digest, message id, …
)

ORIGINS: Final = (Origin.UNKNOWN, Origin.PERSON, Origin.PHYSICAL, Origin.AUTOMATION, Origin.AGENT)
SOURCES: Final = (Source.RECORDING, Source.HOME_ASSISTANT, Source.STATESTREAM, Source.NATIVE)
"""Stored as places in these tuples: append only."""


def micros(at: datetime) -> int:
    """Return microseconds since 1970, exactly; three small integers are faster than dividing timedeltas.

    >>> micros(datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC))
    1704067200000001
    """
    d = at - _EPOCH
    return (d.days * 86400 + d.seconds) * _US + d.microseconds


def from_micros(value: int) -> datetime:
    """Return the time of `micros`.

    >>> from_micros(1704067200000001).isoformat()
    '2024-01-01T00:00:00.000001+00:00'
    """
    return _EPOCH + timedelta(0, 0, value)


def dump(value: Any) -> str:
    """Return JSON for any mapping or sequence; what JSON can't say becomes text, and never an error."""
    return dump_bytes(value).decode()


def dump_bytes(value: Any) -> bytes:
    """Return `dump` as UTF-8."""
    try:
        return orjson.dumps(value, default=_plain)
    except TypeError:  # integers over 64 bits, lone surrogates, keys that aren't text, too deep
        return orjson.dumps(_tame(value, 0))


def load(body: str | bytes) -> Any:
    """Return what `dump` was given."""
    return orjson.loads(body)


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)


def _tame(value: object, depth: int) -> Any:
    if isinstance(value, Mapping) and depth < 100:
        return {str(_tame(str(k), depth)): _tame(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < 100:
        return [_tame(v, depth + 1) for v in value]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    return str(value).encode("utf-8", "replace").decode()
