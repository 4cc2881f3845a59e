"""One writer at a time: two would give out the same sequence numbers."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Engine

from agent.errors import ReadOnlyError

NOT_WRITABLE: Final = "give Inkling's user the right to write there"
_ADVISORY_LOCK: Final = 0x696E6B6C  # "inkl"


class FileLock:
    """Beside an SQLite file. The operating system drops it when the process dies, however it dies."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = Path(f"{path}.lock").open("a")  # noqa: SIM115 - held as long as the store is open
        except OSError as err:
            message = f"can't write in the folder {path.parent}: {err.strerror}"
            raise ReadOnlyError(message, hint=NOT_WRITABLE, database=str(path)) from err
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.held = True
        except BlockingIOError:
            self._file.close()
            self.held = False

    def release(self) -> None:
        """Let the next writer in."""
        self._file.close()


class ServerLock:
    """In PostgreSQL, which drops it with the connection."""

    def __init__(self, engine: Engine) -> None:
        self._conn = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self.held = bool(self._conn.scalar(sa.select(sa.func.pg_try_advisory_lock(_ADVISORY_LOCK))))

    def release(self) -> None:
        """Let the next writer in."""
        self._conn.invalidate()  # closed, not given back: the lock belongs to the session
        self._conn.close()
