"""Where the store's tables live: connections, one writer, the schema's version, and errors in plain words."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import StaticPool

from agent import schema
from agent.errors import (
    BusyError,
    CorruptError,
    DiskFullError,
    MigrationError,
    MissingStoreError,
    NewerSchemaError,
    OlderSchemaError,
    ReadOnlyError,
    StoreError,
    UnreachableError,
)
from agent.locks import NOT_WRITABLE, FileLock, ServerLock

log = structlog.get_logger()

MIGRATIONS: Final = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_S: Final = 5.0
_WAL_PAGES: Final = 4000  # checkpoint every 16 MB: a third faster than every 4, for a WAL that is still small
_BEGIN: Final = "inkling_begin"


class Access(StrEnum):
    """What a process may do. There is one WRITE at a time: the daemon, or an import while it is stopped."""

    READ = "read"
    INBOX = "inbox"  # reads everything and leaves notes for the daemon
    WRITE = "write"


class Database:
    """An engine with its settings, its lock and its error messages."""

    def __init__(self, url: str, access: Access, *, synchronous: str = "normal") -> None:
        self.access = access
        self.url = _parse(url)
        self.name = self.url.render_as_string(hide_password=True)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.path = _path(self.url) if self.sqlite else None
        if self.path is not None:
            self.name = str(self.path)
        self.unclean = False
        self._lock: FileLock | ServerLock | None = None
        self.engine = self._engine(synchronous)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection with one consistent view."""
        with self._reporting(), self.engine.begin() as conn:
            yield conn

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection whose changes are committed together, or not at all."""
        if self.access is Access.READ:
            raise ReadOnlyError(f"{self.name} was opened for reading only", database=self.name)
        with self._reporting(), self.engine.connect() as conn:
            # IMMEDIATE: wait for the lock now; an upgrade half-way through can't wait and fails at once
            conn.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
            with conn.begin():
                yield conn

    @contextmanager
    def outside_transaction(self) -> Iterator[Connection]:
        """Give a connection for what can't be done inside one."""
        with self._reporting(), self.engine.connect() as conn:
            conn.execution_options(**{_BEGIN: ""})
            yield conn

    def corrupt(self, found: str) -> CorruptError:
        """Return the error for damage that a check found."""
        return CorruptError(f"{self.name} is damaged: {found}", hint=_HINTS[CorruptError], database=self.name)

    def open(self, *, create: bool) -> Self:
        """Lock, create or upgrade as the access allows; raise if the database can't be used."""
        try:
            self._find(create=create)
            if self.access is Access.WRITE:
                self._take_lock()
            self._check_version(create=create)
            if self.access is Access.WRITE:
                with self.write() as conn:  # nothing, but if it can't be done that should be known now
                    conn.execute(schema.inbox.delete().where(schema.inbox.c.id < 0))
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Close every connection, and let the next writer in."""
        self.engine.dispose()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def has_writer(self) -> bool:
        """Whether a daemon, or an import, is at work on the database."""
        lock = FileLock(self.path) if self.path is not None else ServerLock(self.engine)
        lock.release()
        return not lock.held

    # -- opening ----------------------------------------------------------------------------------

    def _engine(self, synchronous: str) -> Engine:
        if not self.sqlite:
            try:
                return sa.create_engine(self.url, connect_args={"connect_timeout": 10}, pool_pre_ping=True)
            except ModuleNotFoundError as err:
                hint = "pip install 'inkling-home[postgresql]'"
                raise UnreachableError(f"{err.name} is missing", hint=hint, database=self.name) from err
        url, more = self.url, {}
        if self.path is None:
            more = {"poolclass": StaticPool}  # one connection is the whole database
        elif self.access is Access.READ:
            url = URL.create("sqlite", database=f"file:{quote(str(self.path))}", query=_READ_ONLY)
        engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S}, **more)
        pragmas = [f"synchronous={synchronous}", "foreign_keys=on", "temp_store=memory"]
        if self.access is Access.WRITE:
            pragmas += ["journal_mode=wal", f"wal_autocheckpoint={_WAL_PAGES}"]

        @event.listens_for(engine, "connect")
        def _set_up(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # or sqlite3 commits behind our back before DDL
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}")

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            if statement := connection.get_execution_options().get(_BEGIN, "BEGIN"):
                connection.exec_driver_sql(statement)

        return engine

    def _find(self, *, create: bool) -> None:
        if self.path is None or self.path.exists():
            return
        if self.access is not Access.WRITE or not create:
            hint = "start the daemon once, or point the settings at its database"
            raise MissingStoreError(f"there is no database {self.name}", hint=hint, database=self.name)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise ReadOnlyError(f"can't make the folder {self.path.parent}: {err.strerror}") from err

    def _take_lock(self) -> None:
        if self.sqlite and self.path is None:
            return
        with self._reporting():
            self._lock = ServerLock(self.engine) if self.path is None else FileLock(self.path)
        if not self._lock.held:
            hint = "only one daemon or import may run; stop the other one"
            raise BusyError(f"{self.name} is being written by another process", hint=hint, database=self.name)
        if self.path is not None:
            with suppress(OSError):
                self.unclean = Path(f"{self.path}-wal").stat().st_size > 0

    def _check_version(self, *, create: bool) -> None:
        with self.read() as conn:
            tables = set(sa.inspect(conn).get_table_names())
            found = (
                conn.scalar(sa.select(schema.version.c.version_num)) if "alembic_version" in tables else None
            )
        if found == schema.SCHEMA_VERSION:
            return
        facts = {"database": self.name, "found": found, "known": schema.SCHEMA_VERSION}
        if found is None:
            if tables:
                raise StoreError(f"{self.name} is some other program's database", **facts)
            if self.access is not Access.WRITE or not create:
                hint = "start the daemon once"
                raise MissingStoreError(f"{self.name} is empty", hint=hint, **facts)
            with self.write() as conn:
                schema.metadata.create_all(conn)
                conn.execute(schema.version.insert().values(version_num=schema.SCHEMA_VERSION))
        elif found not in schema.KNOWN_VERSIONS:
            raise NewerSchemaError(
                f"{self.name} has schema {found}, this Inkling knows up to {schema.SCHEMA_VERSION}",
                hint="install the Inkling that wrote it, or a newer one",
                **facts,
            )
        elif self.access is not Access.WRITE:
            hint = "start the daemon: it upgrades the database"
            raise OlderSchemaError(
                f"{self.name} has schema {found}, not {schema.SCHEMA_VERSION}", hint=hint, **facts
            )
        else:
            migrate(self)

    # -- errors -----------------------------------------------------------------------------------

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except DataError:
            raise  # about the data, not the database
        except DBAPIError as err:
            raise self._in_plain_words(err) from err

    def _in_plain_words(self, err: DBAPIError) -> StoreError:
        code = getattr(err.orig, "sqlite_errorcode", None)
        kind = _SQLITE.get(code & 0xFF, StoreError) if code is not None else _postgresql(err)
        if code is not None and kind is StoreError and not self._writable():
            kind = ReadOnlyError
        message, hint = f"{self.name}: {err.orig}", _HINTS.get(kind)
        if kind is DiskFullError and self.path is not None:
            free = shutil.disk_usage(self.path.parent).free
            message = f"no room for {self.name}: {free // 1_000_000} MB are free on its disk"
        return kind(message, hint=hint, database=self.name)

    def _writable(self) -> bool:
        if self.path is None or self.access is Access.READ:
            return True
        used = [self.path.parent, self.path] if self.path.exists() else [self.path.parent]
        return all(os.access(p, os.W_OK, effective_ids=True) for p in used)


def migrate(database: Database, target: str = "head") -> None:
    """Upgrade in one transaction: a failure leaves the database as it was. Only here is Alembic loaded."""
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    log.info("upgrading the database", database=database.name)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with database.outside_transaction() as conn:
        try:
            if database.sqlite:
                # rebuilding a table drops it, which must not cascade; inside a transaction this is ignored
                conn.exec_driver_sql("PRAGMA foreign_keys=off")
                conn.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = conn
            command.upgrade(config, target)
            if database.sqlite and conn.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise MigrationError("rows would have lost what they refer to")
            conn.commit()
        except Exception as err:
            conn.rollback()
            message = f"the upgrade of {database.name} failed and was undone: {err}"
            hint = "the database is as it was: run the Inkling that wrote it, and please report this"
            raise MigrationError(message, hint=hint, database=database.name) from err
        finally:
            conn.invalidate()  # with its foreign_keys=off


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgres", "postgresql"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise StoreError(f"{parsed.drivername} is not supported", hint=_URL_HINT)
    except (ArgumentError, NoSuchModuleError) as err:
        raise StoreError("the database's URL can't be read", hint=_URL_HINT) from err
    return parsed


def _path(url: URL) -> Path | None:
    if not url.database or url.database == ":memory:":
        return None
    return Path(url.database).absolute()


def _postgresql(err: DBAPIError) -> type[StoreError]:
    state = getattr(err.orig, "sqlstate", None)
    if state is None or state[:2] in ("08", "28", "3D", "57"):
        return UnreachableError if isinstance(err, sa.exc.OperationalError) else StoreError
    return _SQLSTATE.get(state, StoreError)


_URL_HINT: Final = "use sqlite:////path/to/inkling.db or postgresql://user:password@host/database"
_READ_ONLY: Final = {"mode": "ro", "uri": "true"}
_SQLITE: Final[dict[int, type[StoreError]]] = {
    5: BusyError,
    6: BusyError,
    8: ReadOnlyError,
    11: CorruptError,
    13: DiskFullError,
    26: CorruptError,
}
_SQLSTATE: Final[dict[str, type[StoreError]]] = {
    "25006": ReadOnlyError,
    "42501": ReadOnlyError,
    "53100": DiskFullError,
    "55P03": BusyError,
    "XX001": CorruptError,
    "XX002": CorruptError,
}
_HINTS: Final[dict[type[StoreError], str]] = {
    BusyError: "another process holds it for long; try again",
    CorruptError: (
        "stop Inkling, move the file and its -wal aside and start again: it learns anew from Home "
        "Assistant's history; `sqlite3 OLD .recover` may save more"
    ),
    DiskFullError: "make room: nothing was lost, and Inkling goes on by itself",
    ReadOnlyError: NOT_WRITABLE,
    UnreachableError: "check the database's URL, and that the server runs",
}
