from __future__ import annotations

import gzip
import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from agent import importers
from agent.errors import ImportSourceError
from agent.importers import (
    Loaded,
    Tally,
    load_into,
    read_recorder_db,
    read_recording,
    write_recording,
)
from agent.redaction import Redactor
from agent.store import Store
from devices.events import Origin, StateChange
from tests.agent.log import T0, at, change, many
from tests.agent.recorder_fixture import StateRow, make_recorder_db

TS = T0.timestamp()
CONTEXT, USER, PARENT = (bytes([n]) * 16 for n in (1, 2, 3))
ROWS: list[StateRow] = [
    ("light.hall", "off", TS, None, {"friendly_name": "Hall"}, CONTEXT, None, None),
    ("light.hall", "on", TS + 60.000001, None, {"friendly_name": "Hall"}, CONTEXT, USER, None),
    ("light.hall", "on", TS + 70, TS + 60.000001, {"friendly_name": "H", "brightness": 9}, None, None, None),
    ("lock.door", "locked", TS + 30, None, {}, CONTEXT, None, PARENT),
    ("lock.door", None, TS + 90, None, {}, None, None, None),  # removed
    ("lock.door", "x" * 300, TS + 91, None, {}, None, None, None),  # longer than a state can be
    ("lock.door", "unlocked", TS + 92, None, {}, None, None, None),
]  # fmt: skip


def lines(count: int) -> list[bytes]:
    return [
        orjson.dumps(
            {"entity_id": c.entity_id, "state": c.new, "last_changed": c.changed_at, "attributes": {}}
        )
        + b"\n"
        for c in many(count)
    ]


@pytest.mark.parametrize("name", ["home.jsonl", "home.jsonl.gz"])
def test_a_recording_is_read_plain_or_gzipped(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    content = b"".join(lines(50))
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    tally = Tally()
    changes = list(read_recording(path, tally))
    assert [(c.entity_id, c.new, c.changed_at) for c in changes] == [
        (c.entity_id, c.new, c.changed_at) for c in many(50)
    ]
    assert (tally.read, tally.bad, tally.done) == (50, 0, path.stat().st_size)


def test_bad_lines_are_counted_and_skipped(tmp_path: Path) -> None:
    good = lines(4)
    path = tmp_path / "home.jsonl"
    path.write_bytes(
        good[0] + b"{nonsense\n" + b"\n" + good[1] + b'{"entity_id": "light.x"}\n' + b"\xff\xfe\n" + good[2]
        + b'{"entity_id": "light.x", "state": "' + b"x" * 3_000_000 + b'"}\n' + good[3].rstrip()
    )  # fmt: skip
    tally = Tally()
    assert len(list(read_recording(path, tally))) == 4
    assert (tally.bad, tally.bad_lines) == (4, [2, 5, 6, 8])


def test_a_recording_that_breaks_off_gives_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "home.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(lines(5000)))[:-2000])
    tally = Tally()
    count = len(list(read_recording(path, tally)))
    assert 0 < count < 5000
    assert tally.bad >= 1
    path.write_bytes(b"\x1f\x8b garbage")
    assert list(read_recording(path)) == []


def test_a_recording_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ImportSourceError, match="No such file"):
        list(read_recording(tmp_path / "none.jsonl"))
    with pytest.raises(ImportSourceError, match="directory"):
        list(read_recording(tmp_path))


@pytest.mark.parametrize("name", ["home.jsonl", "home.jsonl.gz"])
def test_what_is_written_can_be_read(tmp_path: Path, name: str) -> None:
    path, again = tmp_path / name, tmp_path / f"again-{name}"
    changes = [*many(20), change("lock.door", "locked", 30, context_id="01X")]
    assert write_recording(path, changes) == 21
    found = list(read_recording(path))
    assert [(c.entity_id, c.new, c.changed_at, c.origin, c.confidence, c.attributes) for c in found] == [
        (c.entity_id, c.new, c.changed_at, c.origin, c.confidence, c.attributes) for c in changes
    ]
    assert found[-1].context_id == "01X"
    write_recording(again, changes)
    assert path.read_bytes() == again.read_bytes()


def test_a_recording_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "home.jsonl"
    write_recording(path, many(3))
    before = path.read_bytes()

    def broken() -> Iterator[StateChange]:
        yield from many(2)
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        write_recording(path, broken())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ImportSourceError, match="can't write"):
        write_recording(tmp_path / "none" / "home.jsonl", many(1))


def test_importing_twice_adds_nothing(url: str) -> None:
    with Store.open(url) as store:
        assert load_into(store, many(30)) == Loaded(30, 0)
        assert load_into(store, many(31)) == Loaded(1, 30)
        assert [c.new for c in store.events(entities=["light.l3"])] == ["on", "off", "on"]
        assert [c.old for c in store.events(entities=["light.l3"])] == [None, "on", "off"]
        assert len(list(store.tail())) == 31


def test_imports_are_appended_in_chunks(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importers, "_CHUNK", 7)
    with Store.open(url) as store:
        assert load_into(store, iter(many(50))).new == 50
        assert [c.changed_at for c in store.tail() if isinstance(c, StateChange)] == [
            at(i) for i in range(50)
        ]


@pytest.mark.parametrize("schema", [42, 53])
@pytest.mark.parametrize("chunk", [1, 2, 5000])
def test_the_recorder_database_is_read_by_time(
    tmp_path: Path, schema: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importers, "_CHUNK", chunk)
    path = make_recorder_db(tmp_path / "home-assistant_v2.db", ROWS, schema)
    before, tally = path.read_bytes(), Tally()
    found = list(read_recorder_db(path, tally=tally))
    assert [(c.entity_id, c.new, (c.changed_at - T0).total_seconds(), c.origin) for c in found] == [
        ("light.hall", "off", 0.0, Origin.PHYSICAL),
        ("lock.door", "locked", 30.0, Origin.AUTOMATION),
        ("light.hall", "on", 60.000001, Origin.PERSON),
        ("light.hall", "on", 70.0, Origin.PHYSICAL),  # attributes only, at their own time
        ("lock.door", "unavailable", 90.0, Origin.PHYSICAL),
        ("lock.door", "unlocked", 92.0, Origin.PHYSICAL),
    ]
    assert found[3].attributes == {"friendly_name": "H", "brightness": 9}
    assert found[0].context_id is not None
    assert len(found[0].context_id) == 26
    assert (tally.total, tally.done, tally.read, tally.bad, tally.bad_lines) == (7, 7, 6, 1, [6])
    assert path.read_bytes() == before
    since = datetime.fromtimestamp(TS + 60.000001, UTC)
    assert [c.new for c in read_recorder_db(path, since=since)] == [
        "on", "on", "unavailable", "unlocked",
    ]  # fmt: skip


def test_the_recorder_database_may_be_in_use(tmp_path: Path) -> None:
    path = make_recorder_db(tmp_path / "home-assistant_v2.db", ROWS)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA journal_mode=wal")
        conn.execute("UPDATE states SET state = 'opening' WHERE state = 'unlocked'")
        conn.commit()
        conn.execute("UPDATE states SET state = 'never committed'")
        assert [c.new for c in read_recorder_db(path)][-1] == "opening"


def test_the_recorder_database_in_a_folder_that_we_may_not_write(unprivileged: Path) -> None:
    path = make_recorder_db(unprivileged / "home-assistant_v2.db", ROWS)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute(
            "PRAGMA journal_mode=wal"
        )  # without its helper files it can't be opened in the usual way
    unprivileged.chmod(0o500)
    assert [c.new for c in read_recorder_db(path)][-1] == "unlocked"
    assert [p.name for p in unprivileged.iterdir()] == ["home-assistant_v2.db"]


def test_importing_the_recorder_database_twice_adds_nothing(url: str, tmp_path: Path) -> None:
    path = make_recorder_db(tmp_path / "home-assistant_v2.db", ROWS)
    with Store.open(url) as store:
        assert load_into(store, read_recorder_db(path)) == Loaded(6, 0)
        assert load_into(store, read_recorder_db(path)) == Loaded(0, 6)


def test_what_is_no_recorder_database(tmp_path: Path) -> None:
    old = make_recorder_db(tmp_path / "old.db", ROWS, schema=30)
    with pytest.raises(ImportSourceError, match="schema 30; 38 or later") as caught:
        list(read_recorder_db(old))
    assert "2023.4" in str(caught.value)
    with pytest.raises(ImportSourceError, match="there is no file"):
        list(read_recorder_db(tmp_path / "none.db"))
    (tmp_path / "text.db").write_text("hello" * 1000)
    with pytest.raises(ImportSourceError, match="not a database"):
        list(read_recorder_db(tmp_path / "text.db"))
    Store.open(f"sqlite:///{tmp_path}/ours.db").close()
    with pytest.raises(ImportSourceError, match="schema_changes"):
        list(read_recorder_db(tmp_path / "ours.db"))


def test_redaction_leaves_nothing_of_who_and_where(tmp_path: Path) -> None:
    secrets = ["anna", "Anna", "52.5", "13.4", "Berlin", "work", "+49", "1234", "01SECRET", "Jazz", "http"]
    changes = [
        change("person.anna", "Work (Berlin)", 0, attributes={
            "friendly_name": "Anna", "latitude": 52.52, "longitude": 13.405, "user_id": "anna1",
            "gps_accuracy": 12,
        }),
        change("light.annas_lamp", "on", 1, context_id="01SECRET", attributes={
            "friendly_name": "Anna's lamp", "brightness": 80, "color_mode": "xy",
            "supported_color_modes": ["xy"], "xy_color": [0.3, 0.4], "effect_list": ["Anna's party"],
            "area_id": "annas_room", "anna": 7,
        }),
        change("sensor.annas_lamp", "21.5", 2, attributes={
            "unit_of_measurement": "°C", "device_class": "temperature", "entity_picture": "http://x/anna",
        }),
        change("media_player.tv", "playing", 3, attributes={"media_title": "Jazz", "volume_level": 0.4}),
        change("input_text.alarm_code", "1234", 4),
        change("sensor.last_call", "+491701234567", 5),
        change("group.all", "on", 6, attributes={"entity_id": ["light.annas_lamp", "light.b"]}),
        change("sun.sun", "above_horizon", 7, attributes={"elevation": 52.5}),
        change("zone.berlin", "1", 8),
        change("sensor.sun_next_dawn", "2024-03-02T05:00:00+00:00", 9),
        change("person.anna", "home", 10),
        change("device_tracker.annas_phone", "unavailable", 11),
    ]  # fmt: skip
    path = tmp_path / "home.jsonl"
    assert write_recording(path, changes, redact=True) == 9
    content = path.read_text()
    assert [s for s in secrets if s in content] == []
    found = list(read_recording(path))
    assert [(c.entity_id, c.new) for c in found] == [
        ("person.object_1", "place_1"),
        ("light.object_2", "on"),
        ("sensor.object_2", "21.5"),  # of the same device
        ("media_player.object_3", "playing"),
        ("input_text.object_4", "text_1"),
        ("sensor.object_5", "text_2"),
        ("group.object_6", "on"),
        ("person.object_1", "home"),
        ("device_tracker.object_8", "unavailable"),
    ]
    assert found[1].attributes == {
        "friendly_name": "Name 2", "brightness": 80, "color_mode": "xy", "supported_color_modes": ["xy"],
        "xy_color": [0.3, 0.4], "area_id": "area_1",
    }  # fmt: skip
    assert found[1].context_id == "context_1"
    assert found[2].attributes == {"unit_of_measurement": "°C", "device_class": "temperature"}
    assert found[6].attributes == {"entity_id": ["light.object_2", "light.object_7"]}
    assert [c.changed_at for c in found] == [at(i) for i in itertools.chain(range(7), (10, 11))]


def test_redaction_keeps_the_origin() -> None:
    redacted = Redactor().redact(change())
    assert redacted is not None
    assert (redacted.origin, redacted.confidence) == (Origin.PERSON, 0.7)
