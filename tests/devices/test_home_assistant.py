from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.events import Origin, Source, StateChange, utc
from devices.home_assistant import HomeAssistantReader
from tests.devices.samples import NOW, fixture

LATER = utc("2027-01-01T00:00:00+00:00")  # after the recordings
VERSIONS = pytest.mark.parametrize("version", ["2024", "2026"])


def recorded(version: str) -> Any:
    return fixture(f"home_assistant_{version}.json")


def row(values: list[Any]) -> tuple[Any, ...]:
    """A row as sqlite gives it: ids are bytes."""
    return (*values[:5], *(None if v is None else bytes.fromhex(v) for v in values[5:]))


@VERSIONS
def test_events_carry_the_context_and_who_probably_did_it(version: str) -> None:
    reader = HomeAssistantReader()
    changes = [reader.event(event, LATER) for event in recorded(version)["events"]]
    lamp = [c for c in changes if c is not None and c.entity_id == "light.lamp"]
    # at start; switched on in the UI; off at the device; on by the automation that the door triggers
    assert [(c.new, c.origin, c.confidence) for c in lamp] == [
        ("off", Origin.PHYSICAL, 0.6),
        ("on", Origin.PERSON, 0.7),
        ("off", Origin.PHYSICAL, 0.6),
        ("on", Origin.AUTOMATION, 0.8),
    ]
    assert all(c.source is Source.HOME_ASSISTANT and c.context_id for c in lamp)
    assert lamp[1].attributes["brightness"] == 200
    assert reader.bad.total() == 0


@VERSIONS
def test_event_states_row_and_history_agree(version: str) -> None:
    data = recorded(version)
    reader = HomeAssistantReader()
    live = [c for event in data["events"] if (c := reader.event(event, LATER)) is not None]
    stored = [c for values in data["recorder_rows"] if (c := reader.row(row(values))) is not None]
    assert len(stored) == len(data["recorder_rows"])

    def told(changes: list[StateChange]) -> list[Any]:
        return [(c.entity_id, c.new, c.context_id, c.origin) for c in changes]

    assert set(told(live)) <= set(told(stored))
    # to the microsecond, though the database keeps floats: an import and live running give the same times
    doors = [[c.changed_at for c in changes if c.entity_id.endswith("door")] for changes in (live, stored)]
    assert set(doors[0]) <= set(doors[1])
    assert all(c.source is Source.RECORDING for c in stored)
    full = list(HomeAssistantReader().history(data["history"]))
    minimal = list(HomeAssistantReader().history(data["history_minimal"]))
    # minimal rows leave removals out
    assert [(c.entity_id, c.new, c.changed_at) for c in full if c.new != "unavailable"] == [
        (c.entity_id, c.new, c.changed_at) for c in minimal
    ]
    assert {c.entity_id for c in full} == {"light.lamp", "binary_sensor.front_door"}
    assert all(c.origin is Origin.UNKNOWN and c.context_id is None for c in full)  # its contexts are false


@VERSIONS
def test_states_are_a_picture_of_the_home(version: str) -> None:
    changes = HomeAssistantReader().states(recorded(version)["states"], LATER)
    door = next(c for c in changes if c.entity_id == "binary_sensor.front_door")
    assert (door.new, door.device_class, door.retained, door.origin) == ("off", "door", True, Origin.UNKNOWN)
    assert door.changed_at < LATER == door.received_at


def item(**changed: Any) -> dict[str, Any]:
    at = "2024-03-01T11:00:00+00:00"
    return {
        "entity_id": "light.hall",
        "state": "on",
        "attributes": {},
        "last_changed": at,
        "last_updated": at,
    } | changed


def event(**changed: Any) -> dict[str, Any]:
    return {"event": {"data": {"entity_id": "light.hall", "old_state": None, "new_state": item(**changed)}}}


def test_a_change_of_attributes_has_the_time_of_the_update_and_equal_ones_are_one_object() -> None:
    reader = HomeAssistantReader()
    first = reader.event(event(attributes={"brightness": 1}), NOW)
    second = reader.event(event(attributes={"brightness": 2}, last_updated="2024-03-01T11:30:00+00:00"), NOW)
    third = reader.event(event(attributes={"brightness": 2}, last_updated="2024-03-01T11:31:00+00:00"), NOW)
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.changed_at == utc("2024-03-01T11:00:00+00:00")
    assert second.changed_at == utc("2024-03-01T11:30:00+00:00")
    assert second.attributes is third.attributes


def test_a_removed_entity_is_unavailable() -> None:
    reader = HomeAssistantReader()
    reader.event(event(), NOW)
    gone = {"event": {"data": {"entity_id": "light.hall", "old_state": item(), "new_state": None}}}
    change = reader.event(gone, NOW)
    assert change is not None
    assert (change.new, change.changed_at) == ("unavailable", NOW)
    assert reader.event(gone, NOW) is None  # and only once


@pytest.mark.parametrize(
    "clock", ["1969-12-31T00:00:00+00:00", "9999-01-01T00:00:00+00:00", "2024-03-01T11:00:00"]
)
def test_bad_clocks_live_use_the_receipt_and_in_imports_are_dropped(clock: str) -> None:
    reader = HomeAssistantReader()
    change = reader.event(event(last_changed=clock, last_updated=clock), NOW)
    assert change is not None
    assert change.changed_at == NOW
    assert list(reader.history([[item(last_changed=clock, last_updated=clock)]])) == []
    assert reader.bad["history"] == 1


@pytest.mark.parametrize("at", [-86400.0, 253402300799.0, float("nan"), "yesterday"])
def test_bad_clocks_of_rows_are_dropped(at: Any) -> None:
    reader = HomeAssistantReader()
    assert reader.row(("light.hall", "on", at, None, "{}", None, None, None)) is None
    assert reader.bad["recorder"] == 1


def test_a_removed_entity_is_unavailable_in_rows_and_history_too() -> None:
    reader = HomeAssistantReader()
    change = reader.row(("light.hall", None, 1709294400.0, None, None, None, None, None))
    assert change is not None
    assert (change.new, change.changed_at) == ("unavailable", NOW)
    assert [c.new for c in reader.history([[item(state="")]])] == ["unavailable"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text()
    | st.sampled_from(["light.hall", "on", "2024-03-01T11:00:00Z"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(item())) | st.text(), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_garbage_never_raises(garbage: Any) -> None:
    reader = HomeAssistantReader()
    changes = [
        reader.event({"event": {"data": {"entity_id": "light.hall", "new_state": garbage}}}, NOW),
        reader.event({"event": garbage}, NOW),
        *reader.states([garbage], NOW),
        *reader.history([[garbage], garbage if isinstance(garbage, list) else [garbage]]),
        reader.row((garbage,) * 8),
        reader.row(garbage if isinstance(garbage, list) else [garbage]),
    ]
    before = copy.deepcopy(reader.bad)
    for change in changes:
        if change is not None:
            assert change.changed_at.utcoffset() == timedelta(0)
            assert isinstance(change.new, str)
    assert reader.bad == before
    assert reader.bad.total() > 0
