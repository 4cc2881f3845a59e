"""A recorder database as Home Assistant makes it, small: the same tables, a few rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import orjson

_TABLES = """
CREATE TABLE schema_changes (change_id INTEGER NOT NULL, schema_version INTEGER, changed DATETIME NOT NULL,
    PRIMARY KEY (change_id));
CREATE TABLE states_meta (metadata_id INTEGER NOT NULL, entity_id VARCHAR(255), PRIMARY KEY (metadata_id));
CREATE UNIQUE INDEX ix_states_meta_entity_id ON states_meta (entity_id);
CREATE TABLE state_attributes (attributes_id INTEGER NOT NULL, hash BIGINT, shared_attrs TEXT,
    PRIMARY KEY (attributes_id));
CREATE TABLE states (state_id INTEGER NOT NULL, entity_id CHAR(0), state VARCHAR(255), attributes CHAR(0),
    event_id SMALLINT, last_changed CHAR(0), last_changed_ts FLOAT, {reported} last_updated CHAR(0),
    last_updated_ts FLOAT, old_state_id INTEGER, attributes_id INTEGER, context_id CHAR(0),
    context_user_id CHAR(0), context_parent_id CHAR(0), origin_idx SMALLINT, context_id_bin BLOB,
    context_user_id_bin BLOB, context_parent_id_bin BLOB, metadata_id INTEGER, PRIMARY KEY (state_id));
CREATE INDEX ix_states_last_updated_ts ON states (last_updated_ts);
"""

StateRow = tuple[
    str, str | None, float, float | None, dict[str, object], bytes | None, bytes | None, bytes | None
]
"""(entity_id, state, last_updated_ts, last_changed_ts, attributes, context, user, parent)"""


def make_recorder_db(path: Path, rows: Iterable[StateRow], schema: int = 42) -> Path:
    """Write a database of Home Assistant 2024.3 (schema 42) or 2026.11 (53)."""
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript(_TABLES.format(reported="last_reported_ts FLOAT," if schema > 42 else ""))
        conn.execute("INSERT INTO schema_changes VALUES (1, ?, '2026-11-21 00:00:22.671756')", (schema,))
        for entity_id, state, updated, changed, attributes, *context in rows:
            conn.execute("INSERT OR IGNORE INTO states_meta(entity_id) VALUES (?)", (entity_id,))
            shared = conn.execute(
                "INSERT INTO state_attributes(shared_attrs) VALUES (?)", (orjson.dumps(attributes).decode(),)
            )
            conn.execute(
                "INSERT INTO states(state, last_updated_ts, last_changed_ts, attributes_id, context_id_bin,"
                " context_user_id_bin, context_parent_id_bin, metadata_id, origin_idx)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT metadata_id FROM states_meta WHERE entity_id = ?), 0)",
                (state, updated, changed, shared.lastrowid, *context, entity_id),
            )
        conn.commit()
    return path
