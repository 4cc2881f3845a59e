from __future__ import annotations

from datetime import timedelta

import pytest

from devices.context import Occupancy, OccupancyTracker
from devices.events import StateChange, utc

NOON = utc("2024-03-04T12:00:00+00:00")


def occupancy(*states: tuple[str, str]) -> Occupancy:
    tracker = OccupancyTracker()
    for entity_id, state in states:
        tracker.observe(StateChange(entity_id, state, NOON, NOON))
    at = NOON + timedelta(minutes=1)
    return tracker.occupancy(at, at)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([("person.a", "not_home"), ("person.b", "home")], Occupancy.HOME),
        ([("person.a", "not_home"), ("person.b", "work")], Occupancy.AWAY),
        ([("person.owner", "unknown")], Occupancy.HOME),  # as Home Assistant makes one for its first user
        ([("person.owner", "unknown"), ("person.b", "not_home")], Occupancy.AWAY),
        ([("person.owner", "unknown"), ("device_tracker.phone", "not_home")], Occupancy.AWAY),
        ([("device_tracker.phone", "unavailable")], Occupancy.HOME),
        ([("alarm_control_panel.house", "armed_away"), ("person.a", "home")], Occupancy.AWAY),
    ],
)
def test_who_is_home(states: list[tuple[str, str]], expected: Occupancy) -> None:
    assert occupancy(*states) is expected
