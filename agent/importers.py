"""Reading a home's past: recordings, Home Assistant's recorder database, its history. And writing recordings.

Readers are generators that never hold a whole file, and a bad line or row never ends an import: it is
counted, its place is logged, and the rest goes on. What isn't the promised kind of file at all raises
ImportSourceError.
"""

from __future__ import annotations

import gzip
import os
import sqlite3
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from io import BufferedReader, BufferedWriter
from itertools import islice
from pathlib import Path
from typing import IO, Final

import structlog

from agent.errors import ImportSourceError
from agent.records import Batch
from agent.redaction import Redactor
from agent.store import Store
from devices.events import StateChange
from devices.home_assistant import HomeAssistantReader
from devices.recording import format_line, parse_line
from devices.state import HomeState

log = structlog.get_logger()

MAX_LINE_BYTES: Final = 1024 * 1024
_MIN_SCHEMA: Final = 38  # Home Assistant 2023.4: entity ids in states_meta, contexts as bytes
_CHUNK: Final = 5000
_LOGGED: Final = 10  # places of bad lines, of each import

_ROWS: Final = """
SELECT m.entity_id, s.state, s.last_updated_ts, s.last_changed_ts, a.shared_attrs,
       s.context_id_bin, s.context_user_id_bin, s.context_parent_id_bin, s.state_id
FROM states s
JOIN states_meta m ON m.metadata_id = s.metadata_id
LEFT JOIN state_attributes a ON a.attributes_id = s.attributes_id
WHERE (s.last_updated_ts, s.state_id) > (?, ?)
ORDER BY s.last_updated_ts, s.state_id LIMIT ?
"""


@dataclass(slots=True)
class Tally:
    """How far a reader is, for a progress bar: `done` of `total` (bytes or rows), and what it skipped."""

    total: int = 0
    done: int = 0
    read: int = 0
    bad: int = 0
    bad_lines: list[int] = field(default_factory=list)  # the first few line numbers

    def skip(self, line: int) -> None:
        """Count a bad line or row."""
        self.bad += 1
        if self.bad <= _LOGGED:
            self.bad_lines.append(line)
            log.warning("skipped what can't be read", line=line)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an import added."""

    new: int
    duplicates: int


def load_into(store: Store, changes: Iterable[StateChange]) -> Loaded:
    """Append changes to the log; those that it has already are dropped, so importing twice adds nothing."""
    home, seq, new, total = HomeState(), store.last_seq, 0, 0
    source = iter(changes)
    while chunk := list(islice(source, _CHUNK)):
        numbered = [(seq + i, c, home.apply(c).old) for i, c in enumerate(chunk, 1)]
        new += store.append(Batch(changes=numbered)).new
        seq, total = seq + len(chunk), total + len(chunk)
    return Loaded(new, total - new)


# -- recordings -----------------------------------------------------------------------------------


def read_recording(path: Path, tally: Tally | None = None) -> Iterator[StateChange]:
    """Yield the changes of a recording (JSON Lines, gzipped or not), in its order."""
    tally = tally or Tally()
    try:
        with path.open("rb") as raw:
            tally.total = os.fstat(raw.fileno()).st_size
            yield from _changes(raw, tally)
            tally.done = tally.total
    except OSError as err:
        raise ImportSourceError(f"can't read {path}: {err.strerror or err}", path=str(path)) from err
    if tally.bad:
        log.warning("the recording has bad lines", path=str(path), bad=tally.bad, good=tally.read)


def _changes(raw: IO[bytes], tally: Tally) -> Iterator[StateChange]:
    zipped = raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    lines = BufferedReader(gzip.GzipFile(fileobj=raw)) if zipped else raw
    number = 0
    try:
        for number, line in enumerate(_lines(lines), 1):
            if (change := parse_line(line)) is not None:
                tally.read += 1
                yield change
            elif line.strip():
                tally.skip(number)
            tally.done = raw.tell()
    except (EOFError, zlib.error, gzip.BadGzipFile) as err:
        log.warning("the recording breaks off", line=number + 1, error=str(err))
        tally.skip(number + 1)


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Split into lines; of one that is too long only the start is given, which can't be parsed."""
    inside = False
    while line := file.readline(MAX_LINE_BYTES):
        if not inside:
            yield line
        inside = not line.endswith(b"\n")


def write_recording(path: Path, changes: Iterable[StateChange], *, redact: bool = False) -> int:
    """Write a recording, gzipped if its name ends in .gz; return how many changes it has.

    It appears whole or not at all. The same changes give the same bytes.
    """
    redactor = Redactor() if redact else None
    count = 0
    with _replacing(path) as raw, _maybe_gzip(raw, zipped=path.suffix == ".gz") as out:
        for change in changes:
            shown = change if redactor is None else redactor.redact(change)
            if shown is not None:
                out.write(format_line(shown))
                count += 1
    return count


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    try:
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as err:
        raise ImportSourceError(f"can't write {path}: {err.strerror}", path=str(path)) from err
    temporary = Path(name)
    try:
        with os.fdopen(number, "wb") as raw:
            yield raw
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def _maybe_gzip(raw: IO[bytes], *, zipped: bool) -> Iterator[IO[bytes]]:
    if not zipped:
        yield raw
        return
    # no name and no time: the same bytes again
    with BufferedWriter(gzip.GzipFile("", "wb", 6, raw, mtime=0)) as out:
        yield out


# -- Home Assistant's recorder ---------------------------------------------------------------------


def read_recorder_db(
    path: Path, since: datetime | None = None, tally: Tally | None = None
) -> Iterator[StateChange]:
    """Yield the changes that `home-assistant_v2.db` holds, by time. It may be in use; it is only read.

    It is read in chunks: one long transaction would keep Home Assistant from tidying up its own log.
    """
    tally, reader = tally or Tally(), HomeAssistantReader()
    start = since.timestamp() if since is not None else 0.0
    with _recorder(path) as conn:
        query = "SELECT count(*) FROM states WHERE last_updated_ts >= ?"
        tally.total = conn.execute(query, (start,)).fetchone()[0]
        after: tuple[float, int] = (start, -1)
        while rows := conn.execute(_ROWS, (*after, _CHUNK)).fetchall():
            for *row, state_id in rows:
                bad = reader.bad.total()
                if (change := reader.row(row)) is not None:
                    tally.read += 1
                    yield change
                elif reader.bad.total() > bad:
                    tally.skip(state_id)
            tally.done += len(rows)
            after = (rows[-1][2], rows[-1][8])


@contextmanager
def _recorder(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise ImportSourceError(f"there is no file {path}", hint="give the path of home-assistant_v2.db")
    try:
        with closing(_connect(path)) as conn:
            _check_schema(conn, path)
            yield conn
    except sqlite3.Error as err:
        hint = "give the path of home-assistant_v2.db, or import its history over the API"
        raise ImportSourceError(f"can't read {path}: {err}", hint=hint, path=str(path)) from err


def _connect(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    conn = sqlite3.connect(uri, uri=True, timeout=10)
    try:
        conn.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        conn.close()
        if Path(f"{path}-wal").exists():
            raise  # what is in there can't be seen without writing beside it
        # A folder that we can't write, and nobody uses the file: read it as it lies.
        conn = sqlite3.connect(f"{uri}&immutable=1", uri=True)
    return conn


def _check_schema(conn: sqlite3.Connection, path: Path) -> None:
    found = conn.execute("SELECT max(schema_version) FROM schema_changes").fetchone()[0]
    if found is None or found < _MIN_SCHEMA:
        raise ImportSourceError(
            f"{path} has recorder schema {found}; {_MIN_SCHEMA} or later is needed",
            hint="start it once with Home Assistant 2023.4 or later, or import its history over the API",
            found=found,
        )
