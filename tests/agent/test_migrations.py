from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from agent import database, schema
from agent.database import MIGRATIONS, Access, Database, migrate
from agent.errors import MigrationError, NewerSchemaError, OlderSchemaError
from agent.store import Store
from agent.suggestions import Status
from devices.events import StateChange
from tests.agent.log import at, batch, change, many, suggestion

V1 = Path(__file__).parent / "fixtures" / "store_v1.sql"

NEXT = f"""
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{schema.SCHEMA_VERSION}"


def upgrade():
    op.add_column("inbox", sa.Column("author", sa.Text))
    with op.batch_alter_table("events") as events:  # SQLite can't, so the table is rebuilt
        events.alter_column("context_id", new_column_name="context")
    op.execute("DELETE FROM journal")
    FAIL
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inkling.db"


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make this code one schema newer; return the file of the new revision."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    revision = folder / "versions" / "v9999_next.py"
    revision.write_text(NEXT.replace("FAIL", ""))
    monkeypatch.setattr(database, "MIGRATIONS", folder)
    monkeypatch.setattr(schema, "KNOWN_VERSIONS", (*schema.KNOWN_VERSIONS, "9999"))
    monkeypatch.setattr(schema, "SCHEMA_VERSION", "9999")
    return revision


def restore_v1(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript(V1.read_text())


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute(sql).fetchall()


def test_migrating_from_nothing_gives_the_tables_of_the_schema(url: str) -> None:
    db = Database(url, Access.WRITE)
    migrate(db)
    with db.engine.connect() as conn:
        context = MigrationContext.configure(
            conn,
            opts={"compare_type": True, "include_object": lambda _o, name, *_: name != "alembic_version"},
        )
        assert compare_metadata(context, schema.metadata) == []
    db.close()
    with Store.open(url) as store:
        assert store.append(batch([change()])).new == 1


def test_migrated_and_created_tables_are_the_same_sql(tmp_path: Path) -> None:
    Store.open(f"sqlite:///{tmp_path}/created.db").close()
    db = Database(f"sqlite:///{tmp_path}/migrated.db", Access.WRITE)
    migrate(db)
    db.close()
    listing = (
        "SELECT name, sql FROM sqlite_master WHERE name != 'alembic_version' AND sql NOT NULL ORDER BY name"
    )

    def tables(name: str) -> list[tuple[object, set[str]]]:
        return [(n, set(str(sql).replace(",", " ").split())) for n, sql in query(tmp_path / name, listing)]

    assert tables("migrated.db") == tables("created.db")


def test_every_revision_is_known_and_the_last_is_ours() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    revisions = [r.revision for r in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(revisions)) == schema.KNOWN_VERSIONS
    assert schema.KNOWN_VERSIONS[-1] == schema.SCHEMA_VERSION


def test_a_database_of_the_first_version_opens_with_all_it_has(path: Path) -> None:
    restore_v1(path)
    with Store.open(f"sqlite:///{path}") as store:
        check_v1(store)


def check_v1(store: Store) -> None:
    entries = list(store.tail())
    assert [e for e in entries if isinstance(e, StateChange)] == [
        *many(20),
        change("lock.door", "locked", 30),
    ]
    assert [e["kind"] for e in entries if not isinstance(e, StateChange)] == ["control"]
    (stored,) = store.suggestions()
    assert (stored.suggestion, stored.status) == (suggestion(), Status.ACCEPTED)
    assert store.load_snapshot() == (21, {"home": {"light.l0": "on"}})
    assert [i.kind for i in store.inbox_take()] == ["mode"]
    assert store.recent_packets() == [(1, b"abcdefgh"), (2, b"ijklmnop")]
    assert [(s.entity, s.key, s.value) for s in store.settings()] == [("light.*", "act", True)]


@pytest.mark.usefixtures("next_version")
def test_an_older_database_is_upgraded_with_its_data(path: Path) -> None:
    restore_v1(path)
    with pytest.raises(OlderSchemaError, match="has schema 0001, not 9999") as caught:
        Store.open(f"sqlite:///{path}", access=Access.INBOX)
    assert caught.value.hint == "start the daemon: it upgrades the database"
    Store.open(f"sqlite:///{path}").close()
    assert query(path, "SELECT version_num FROM alembic_version") == [("9999",)]
    assert query(path, "SELECT count(context), count(*) FROM events") == [(0, 21)]
    assert query(path, "SELECT count(*) FROM journal") == [(0,)]
    assert query(path, "SELECT kind, author FROM inbox") == [("mode", None)]
    assert query(path, "PRAGMA foreign_key_check") == []
    with Store.open(f"sqlite:///{path}") as store, store.database.read() as conn:
        assert conn.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


@pytest.mark.parametrize(
    "failure",
    [
        "raise RuntimeError('half-way')",
        "op.execute('INSERT INTO nowhere VALUES (1)')",
        "op.execute('DELETE FROM entities')",
    ],
)
def test_an_upgrade_that_fails_half_way_leaves_the_database_as_it_was(
    path: Path, next_version: Path, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore_v1(path)
    before = list(map(str, query(path, "SELECT * FROM sqlite_master ORDER BY name")))
    next_version.write_text(NEXT.replace("FAIL", failure))
    with pytest.raises(MigrationError, match="failed and was undone") as caught:
        Store.open(f"sqlite:///{path}")
    assert caught.value.hint is not None
    assert list(map(str, query(path, "SELECT * FROM sqlite_master ORDER BY name"))) == before
    monkeypatch.undo()
    with Store.open(f"sqlite:///{path}") as store:
        check_v1(store)
        store.append(batch([change("light.new", minutes=99)], 50))


def test_an_upgrade_that_fails_on_a_server_is_undone_too(next_version: Path, url: str) -> None:
    if url.startswith("sqlite"):
        pytest.skip("the test above")
    with pytest.MonkeyPatch().context() as m:
        m.setattr(schema, "SCHEMA_VERSION", "0001")
        with Store.open(url) as store:
            store.append(batch(many(20)))
    next_version.write_text(NEXT.replace("FAIL", "raise RuntimeError('half-way')"))
    with pytest.raises(MigrationError):
        Store.open(url)
    next_version.write_text(NEXT.replace("FAIL", ""))
    with Store.open(url) as store, store.database.read() as conn:
        assert conn.scalar(sa.text("SELECT count(context) + count(*) FROM events")) == 20


def test_a_newer_database_is_refused_and_not_touched(path: Path) -> None:
    restore_v1(path)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '0042'")
        conn.commit()
    for access in Access:
        with pytest.raises(
            NewerSchemaError, match="has schema 0042, this Inkling knows up to 0001"
        ) as caught:
            Store.open(f"sqlite:///{path}", access=access)
        assert caught.value.data["found"] == "0042"
        assert caught.value.hint == "install the Inkling that wrote it, or a newer one"
    assert query(path, "SELECT count(*) FROM events") == [(21,)]


def test_alembic_is_not_loaded_when_nothing_is_due(path: Path) -> None:
    code = (
        "import sys; from agent.store import Store\n"
        f"for _ in range(2): Store.open('sqlite:///{path}').close()\n"
        "sys.exit('alembic' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode
        == 0
    )


def test_the_next_minute_is_after_the_first(path: Path) -> None:
    restore_v1(path)
    with Store.open(f"sqlite:///{path}") as store:
        assert store.last_seq == 22
        assert store.append(batch([change("light.l0", minutes=0)], 23)).duplicates == (23,)
        assert store.stats().newest == at(30)
