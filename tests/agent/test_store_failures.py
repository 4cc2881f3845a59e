"""The disk is full, read-only or broken, others hold the database, the process is killed."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.database import Access
from agent.errors import (
    BusyError,
    CorruptError,
    DiskFullError,
    MissingStoreError,
    ReadOnlyError,
    StoreError,
    UnreachableError,
)
from agent.records import Batch
from agent.store import Store
from tests.agent.log import T0, at, batch, change, many


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inkling.db"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 400 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("may not mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_batch_that_finds_no_room_can_be_tried_again(path: Path) -> None:
    with Store.open(f"sqlite:///{path}") as store:
        store.append(batch(many(3)))
        with store.database.outside_transaction() as conn:
            pages = conn.exec_driver_sql("PRAGMA page_count").scalar()
            conn.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        big = batch(
            [change(f"light.n{i}", minutes=10 + i, attributes={"text": f"{i}" * 200}) for i in range(500)], 4
        )
        big.inflight = [(7, b"12345678")]
        with pytest.raises(DiskFullError, match="MB are free") as caught:
            store.append(big)
        assert caught.value.hint is not None
        assert "make room" in caught.value.hint
        assert len(list(store.tail())) == 3
        assert store.recent_packets() == []
        with store.database.outside_transaction() as conn:
            conn.exec_driver_sql("PRAGMA max_page_count=100000")
        assert store.append(big).new == 500
        assert list(store.tail(3)) == [c for _, c, _ in big.changes]
        assert store.recent_packets() == [(7, b"12345678")]


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 100_000)
    with Store.open(f"sqlite:///{small_disk}/inkling.db") as store:
        written, full = 0, False
        while not full:
            pending = batch(many(100, written), written + 1)
            try:
                written += store.append(pending).new
            except DiskFullError:
                full = True
        assert len(list(store.tail())) == written
        ballast.unlink()
        assert store.append(pending).new == 100
    with Store.open(f"sqlite:///{small_disk}/inkling.db") as store:
        assert len(list(store.tail())) == written + 100


def test_a_folder_that_cannot_be_written(unprivileged: Path) -> None:
    path = unprivileged / "inkling.db"
    with Store.open(f"sqlite:///{path}") as store:
        store.append(batch(many(3)))
    unprivileged.chmod(0o500)
    with pytest.raises(ReadOnlyError, match="readonly") as caught:
        Store.open(f"sqlite:///{path}")
    assert caught.value.hint is not None
    with pytest.raises(ReadOnlyError, match="can't make the folder"):
        Store.open(f"sqlite:///{unprivileged}/sub/inkling.db")
    with pytest.raises(ReadOnlyError, match="can't write in the folder"):
        Store.open(f"sqlite:///{unprivileged}/new.db")


def test_a_file_that_cannot_be_written(unprivileged: Path) -> None:
    path = unprivileged / "inkling.db"
    with Store.open(f"sqlite:///{path}") as store:
        store.append(batch(many(3)))
    path.chmod(0o400)
    with pytest.raises(ReadOnlyError, match="readonly"):
        Store.open(f"sqlite:///{path}")
    with Store.open(f"sqlite:///{path}", access=Access.READ) as store:
        assert len(list(store.tail())) == 3


def test_reading_access_cannot_write(url: str) -> None:
    Store.open(url).close()
    with Store.open(url, access=Access.READ) as store:
        with pytest.raises(ReadOnlyError, match="for reading only"):
            store.append(batch([change()]))
        with pytest.raises(ReadOnlyError):
            store.inbox_put("mode", {}, T0)


def test_one_writer_at_a_time(url: str) -> None:
    with Store.open(url) as store:
        with pytest.raises(BusyError, match="another process") as caught:
            Store.open(url)
        assert caught.value.hint == "only one daemon or import may run; stop the other one"
        store.append(batch([change()]))
        with Store.open(url, access=Access.READ) as reader:
            assert len(list(reader.tail())) == 1
    Store.open(url).close()


def test_no_database_yet(path: Path) -> None:
    for access in (Access.READ, Access.INBOX):
        with pytest.raises(MissingStoreError, match=r"inkling\.db"):
            Store.open(f"sqlite:///{path}", access=access)
    with pytest.raises(MissingStoreError):
        Store.open(f"sqlite:///{path}", create=False)
    assert not path.exists()
    path.touch()
    with pytest.raises(MissingStoreError, match="is empty"):
        Store.open(f"sqlite:///{path}", access=Access.READ)


def test_a_folder_is_made_for_a_new_database(tmp_path: Path) -> None:
    Store.open(f"sqlite:///{tmp_path}/a/b/inkling.db").close()
    assert (tmp_path / "a/b/inkling.db").exists()


def test_waiting_for_another_process_ends(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.database.BUSY_TIMEOUT_S", 0.05)
    with Store.open(f"sqlite:///{path}") as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError, match="locked"):
            store.append(batch([change()]))
        other.execute("ROLLBACK")
        other.close()
        assert store.append(batch([change()])).new == 1


def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_bytes(b"not a database, by any means" * 100)
    with pytest.raises(CorruptError, match="not a database") as caught:
        Store.open(f"sqlite:///{path}")
    assert caught.value.hint is not None
    assert "move the file" in caught.value.hint


def test_some_other_programs_database(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE states(a)")
    other.close()
    with pytest.raises(StoreError, match="some other program"):
        Store.open(f"sqlite:///{path}")


def test_damage_is_found_after_an_unclean_shutdown(tmp_path: Path, path: Path) -> None:
    with Store.open(f"sqlite:///{path}") as store:
        store.append(batch(many(2000)))
    copy = tmp_path / "crashed.db"
    with Store.open(f"sqlite:///{path}") as store:
        store.append(batch(many(1, 5000), 5001))
        shutil.copy(path, copy)  # as a power cut would leave it: the newest only in the WAL
        shutil.copy(f"{path}-wal", f"{copy}-wal")
    with Store.open(f"sqlite:///{copy}") as store:
        assert store.database.unclean
        assert len(list(store.tail())) == 2001
    shutil.copy(path, copy)
    Path(f"{copy}-wal").write_bytes(b"x")
    content = bytearray(copy.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xff" * 4096
    copy.write_bytes(content)
    with pytest.raises(CorruptError, match="damaged") as caught:
        Store.open(f"sqlite:///{copy}")
    assert caught.value.data["database"] == str(copy)


def test_a_clean_shutdown_needs_no_check(path: Path) -> None:
    with Store.open(f"sqlite:///{path}") as store:
        store.append(batch(many(10)))
    with Store.open(f"sqlite:///{path}") as store:
        assert not store.database.unclean


def test_wrong_urls() -> None:
    for url in ("nonsense", "mysql://x/y", "oracle+nothing://"):
        with pytest.raises(StoreError, match=r"supported|can't be read") as caught:
            Store.open(url)
        assert "sqlite:///" in str(caught.value)


def test_a_server_that_is_not_there() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(UnreachableError) as caught:
        Store.open("postgresql://me:secret@127.0.0.1:1/x")
    assert "secret" not in str(caught.value)


WRITER = """
import sys
from agent.store import Store
from tests.agent.log import batch, many
with Store.open(sys.argv[1]) as store:
    for n in range(100_000):
        store.append(batch(many(100, 100 * n), 100 * n + 1))
        print(n + 1, flush=True)
"""


@pytest.mark.parametrize("batches", [1, 7, 30])
def test_killed_between_or_in_batches_it_holds_whole_ones(path: Path, batches: int) -> None:
    root = Path(__file__).parents[2]
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, f"sqlite:///{path}"], stdout=subprocess.PIPE, cwd=root, text=True
    )
    assert writer.stdout is not None
    said = 0
    while said < batches:
        said = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read().split()
    writer.wait()
    writer.stdout.close()
    with Store.open(f"sqlite:///{path}") as store:
        assert store.database.unclean
        count = store.stats().events
        assert count % 100 == 0
        assert count // 100 >= (int(rest[-1]) if rest else said)
        assert store.last_seq == count
        assert list(store.tail())[-1:] == many(1, count - 1)
        assert store.append(Batch(changes=[(count + 1, change(minutes=10**6), None)])).new == 1


def test_errors_say_what_to_do() -> None:
    error = DiskFullError("no room", hint="make some", free=3)
    assert str(error) == "no room (make some)"
    assert error.to_dict() == {"error": "DiskFullError", "message": "no room", "hint": "make some", "free": 3}


def test_times_before_the_epoch_of_the_log_are_found(path: Path) -> None:
    with Store.open(f"sqlite:///{path}") as store:
        store.append(batch([change(minutes=-20_000_000)]))  # 1986
        assert [c.changed_at for c in store.events()] == [at(-20_000_000)]
