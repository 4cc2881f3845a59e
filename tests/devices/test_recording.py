from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.events import Origin, Source, StateChange, utc
from devices.recording import RecordingDecoder, format_line, parse_line
from tests.devices.samples import NOW, hear, one

LINE: dict[str, Any] = {
    "entity_id": "binary_sensor.front_door",
    "state": "on",
    "last_changed": "2012-06-03T21:00:00.000+00:00",
    "attributes": {"device_class": "door"},
}


def test_a_line_without_context_has_no_origin() -> None:
    change = parse_line(orjson.dumps(LINE))
    assert change is not None
    assert (change.origin, change.confidence, change.context_id) == (Origin.UNKNOWN, 0.0, None)
    assert (change.changed_at, change.received_at) == (utc(LINE["last_changed"]),) * 2
    assert (change.device_class, change.source) == ("door", Source.RECORDING)


@pytest.mark.parametrize(
    ("context", "origin", "confidence"),
    [
        ({"id": "c", "user_id": "u", "parent_id": None}, Origin.PERSON, 0.7),
        ({"id": "c", "user_id": None, "parent_id": "p"}, Origin.AUTOMATION, 0.8),
        ({"id": "c", "user_id": None, "parent_id": None}, Origin.PHYSICAL, 0.6),
        ({"id": "c"}, Origin.UNKNOWN, 0.0),  # nothing said of users and parents
        (None, Origin.UNKNOWN, 0.0),
    ],
)
def test_a_context_is_read(context: Any, origin: Origin, confidence: float) -> None:
    change = parse_line(orjson.dumps(LINE | {"context": context}))
    assert change is not None
    assert (change.origin, change.confidence) == (origin, confidence)


changes = st.builds(
    StateChange,
    entity_id=st.from_regex(r"[a-z_]{1,9}\.[a-z0-9_]{1,20}", fullmatch=True),
    new=st.text(st.characters(exclude_categories=["Cs"]), max_size=255),
    changed_at=st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    received_at=st.just(NOW),
    attributes=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.none() | st.booleans() | st.integers(0, 255) | st.just("x"),
    ),
    origin=st.sampled_from(Origin),
    confidence=st.floats(0, 1),
    context_id=st.none() | st.just("01M7XQ306FYMBCKCXJHQBN9486"),
)


@given(changes)
def test_round_trip(change: StateChange) -> None:
    line = format_line(change)
    back = parse_line(line)
    assert back is not None
    assert line.count(b"\n") == 1
    assert (back.entity_id, back.new, back.changed_at) == (change.entity_id, change.new, change.changed_at)
    assert (back.origin, back.confidence, back.context_id) == (
        change.origin,
        change.confidence,
        change.context_id,
    )
    assert back.attributes == change.attributes
    assert format_line(back) == line


def test_user_and_parent_are_kept_where_known() -> None:
    change = StateChange("light.hall", "on", NOW, NOW, context_id="c", origin=Origin.PERSON, confidence=0.7)
    assert orjson.loads(format_line(change, user_id="u"))["context"] == {
        "id": "c",
        "user_id": "u",
        "parent_id": None,
    }


@pytest.mark.parametrize(
    "broken",
    [
        {"last_changed": "1969-12-31T23:00:00+00:00"},
        {"last_changed": "9999-12-31T23:00:00+00:00"},
        {"last_changed": "2012-06-03T21:00:00"},
        {"last_changed": None},
        {"state": 5},
        {"state": "x" * 256},
        {"entity_id": "Front Door"},
        {"entity_id": None},
        {"attributes": [1]},
        {"origin": "ghost"},
        {"origin": "person", "confidence": 2},
        {"context": "c"},
    ],
)
def test_bad_lines_are_none_and_bad_messages_counted(broken: dict[str, Any]) -> None:
    line = orjson.dumps(LINE | broken)
    assert parse_line(line) is None
    decoder = RecordingDecoder()
    topic = "inkling/replay/binary_sensor.front_door"
    assert decoder.decode(topic, line, NOW, False) == []
    assert decoder.bad == {topic: 1}


@given(st.binary())
def test_any_bytes_are_a_line_or_none(line: bytes) -> None:
    assert parse_line(line) is None


def test_replay_over_mqtt_keeps_the_recordings_time() -> None:
    decoder = RecordingDecoder()
    change = one(decoder, "inkling/replay/binary_sensor.front_door", LINE)
    assert (change.changed_at, change.received_at) == (utc(LINE["last_changed"]), NOW)
    assert hear(decoder, "inkling/replay/binary_sensor.front_door", LINE, retained=True)[0].retained
    decoder.decode("inkling/replay/light.hall", orjson.dumps(LINE), NOW, False)
    assert decoder.bad == {"inkling/replay/light.hall": 1}
