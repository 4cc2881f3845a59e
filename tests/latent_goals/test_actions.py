"""What a resident is said to have done."""

from __future__ import annotations

from typing import Any

import pytest

from devices.events import StateChange, utc
from latent_goals.actions import can_be_first, can_follow, class_of, is_activity, verb_of

AT = utc("2024-01-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("entity_id", "state", "attributes", "verb"),
    [
        ("light.a", "on", {"brightness": 127}, "dim"),
        ("light.a", "on", {"brightness": 128}, "on"),
        ("light.a", "on", {"brightness": None}, "on"),
        ("lock.a", "jammed", {}, None),
        ("lock.a", "locking", {}, "locked"),
        ("media_player.a", "standby", {}, "off"),
        ("climate.a", "heat", {}, "heat"),
        ("alarm_control_panel.a", "arming", {}, None),
        ("alarm_control_panel.a", "armed_home", {}, "armed_home"),
        ("person.a", "home", {}, "home"),
        ("light.a", "unavailable", {}, None),
        ("sensor.a", "21.5", {}, None),
        ("climate.a", "x" * 40, {}, None),
    ],
)
def test_verbs(entity_id: str, state: str, attributes: dict[str, Any], verb: str | None) -> None:
    assert verb_of(entity_id, state, attributes) == verb


@pytest.mark.parametrize(
    ("entity_id", "attributes", "first", "follow"),
    [
        ("binary_sensor.a", {"device_class": "door"}, True, False),
        ("binary_sensor.hall_motion", {}, False, False),
        ("binary_sensor.a", {"device_class": "smoke"}, False, False),
        ("binary_sensor.v17", {}, True, False),
        ("person.a", {}, True, False),
        ("light.a", {}, True, True),
        ("lock.a", {}, True, True),
        ("sensor.a", {}, False, False),
    ],
)
def test_roles(entity_id: str, attributes: dict[str, Any], first: bool, follow: bool) -> None:
    assert (can_be_first(entity_id, attributes), can_follow(entity_id)) == (first, follow)


def test_movement_shows_that_somebody_is_about() -> None:
    def seen(entity_id: str, **attributes: Any) -> bool:
        return is_activity(StateChange(entity_id, "on", AT, AT, attributes=attributes))

    assert seen("binary_sensor.hall_motion")
    assert seen("light.a")
    assert not seen("binary_sensor.a", device_class="smoke")
    assert not seen("sensor.power")


def test_a_class_that_is_told_is_not_guessed() -> None:
    assert class_of("binary_sensor.front_door", {"device_class": "vibration"}) == "vibration"
