from __future__ import annotations

from typing import Any

import pytest

from devices.commands import service_call, target_state


@pytest.mark.parametrize(
    ("entity_id", "state", "attributes", "service", "data"),
    [
        ("light.hall", "on", {"brightness": 120, "color_mode": "x"}, "turn_on", {"brightness": 120}),
        ("light.hall", "on", {"brightness": None}, "turn_on", {}),
        ("light.hall", "off", {"brightness": 120}, "turn_off", {}),
        ("switch.pump", "on", {}, "turn_on", {}),
        ("input_boolean.guests", "off", {}, "turn_off", {}),
        ("fan.attic", "on", {"percentage": 50}, "turn_on", {"percentage": 50}),
        ("media_player.tv", "off", {}, "turn_off", {}),
        ("media_player.tv", "playing", {}, "media_play", {}),
        ("cover.blind", "open", {}, "open_cover", {}),
        ("cover.blind", "open", {"current_position": 100}, "open_cover", {}),
        ("cover.blind", "open", {"current_position": 40}, "set_cover_position", {"position": 40}),
        ("cover.blind", "closed", {"current_position": 0}, "close_cover", {}),
        ("lock.door", "locked", {}, "lock", {}),
        (
            "climate.bath",
            "heat",
            {"temperature": 21},
            "set_temperature",
            {"temperature": 21, "hvac_mode": "heat"},
        ),
        ("climate.bath", "off", {"temperature": 21}, "set_hvac_mode", {"hvac_mode": "off"}),
        ("input_number.target", "5", {}, "set_value", {"value": 5.0}),
        ("number.limit", "7.5", {}, "set_value", {"value": 7.5}),
        ("select.mode", "eco", {}, "select_option", {"option": "eco"}),
        ("vacuum.robot", "docked", {}, "return_to_base", {}),
        ("alarm_control_panel.home", "armed_away", {}, "alarm_arm_away", {}),
        ("valve.garden", "closed", {}, "close_valve", {}),
    ],
)
def test_service_calls(entity_id: str, state: str, attributes: Any, service: str, data: Any) -> None:
    domain = entity_id.partition(".")[0]
    assert service_call(entity_id, state, attributes) == (domain, service, {"entity_id": entity_id, **data})


@pytest.mark.parametrize(
    ("entity_id", "state"),
    [
        ("sensor.x", "5"),
        ("binary_sensor.x", "on"),
        ("light.x", "unavailable"),
        ("lock.x", "jammed"),
        ("cover.x", "opening"),
        ("number.x", "unknown"),
        ("event.x", "2024"),
    ],
)
def test_what_no_service_can_bring_about(entity_id: str, state: str) -> None:
    assert service_call(entity_id, state, {}) is None


@pytest.mark.parametrize(
    ("entity_id", "state"),
    [
        ("light.x", "on"),
        ("light.x", "off"),
        ("switch.x", "on"),
        ("cover.x", "open"),
        ("cover.x", "closed"),
        ("valve.x", "open"),
        ("lock.x", "locked"),
        ("lock.x", "unlocked"),
        ("climate.x", "heat"),
        ("select.x", "eco"),
        ("media_player.x", "paused"),
        ("vacuum.x", "cleaning"),
        ("alarm_control_panel.x", "armed_home"),
    ],
)
def test_the_inverse_gives_the_state_back(entity_id: str, state: str) -> None:
    call = service_call(entity_id, state, {})
    assert call is not None
    assert target_state(*call) == state


@pytest.mark.parametrize(
    ("domain", "service", "data", "state"),
    [
        ("light", "turn_on", {}, "on"),
        ("light", "turn_on", {"brightness": 0}, "off"),
        ("light", "turn_on", {"brightness_pct": 40}, "on"),
        ("homeassistant", "turn_off", {}, "off"),
        ("light", "toggle", {}, None),
        ("scene", "turn_on", {}, None),
        ("script", "turn_on", {}, None),
        ("climate", "turn_on", {}, None),
        ("climate", "set_temperature", {"temperature": 20}, None),
        ("climate", "set_temperature", {"temperature": 20, "hvac_mode": "heat"}, "heat"),
        ("cover", "set_cover_position", {"position": 30}, "open"),
        ("cover", "set_cover_position", {}, None),
        ("number", "set_value", {"value": 7.5}, "7.5"),
        ("notify", "send", {}, None),
    ],
)
def test_target_states(domain: str, service: str, data: Any, state: str | None) -> None:
    assert target_state(domain, service, data) == state
