"""Automations made by clicking target devices and areas: what they move has to be known all the same."""

from __future__ import annotations

from typing import Any

import pytest

from routines.coverage import covering
from routines.registry import Registry
from routines.routine import OnState, Routine, Step

ENTITIES: list[dict[str, Any]] = [
    {"id": "e1", "entity_id": "light.desk", "device_id": "lamp", "area_id": None},
    {"id": "e2", "entity_id": "sensor.desk_power", "device_id": "lamp", "area_id": None},
    {"id": "e3", "entity_id": "switch.radio", "device_id": "plug", "area_id": "study"},
    {"id": "e4", "entity_id": "cover.blind", "device_id": None, "area_id": "study"},
]
DEVICES: list[dict[str, Any]] = [{"id": "lamp", "area_id": "study"}, {"id": "plug", "area_id": "attic"}]
REGISTRY = Registry.of(ENTITIES, DEVICES)
DOOR = OnState("binary_sensor.door", "on")
TRIGGER = {"trigger": "state", "entity_id": "binary_sensor.door", "to": "on"}


def turn_on(**target: Any) -> dict[str, Any]:
    return {"action": "light.turn_on", "target": target}


@pytest.mark.parametrize(
    ("action", "moved"),
    [
        (turn_on(device_id="lamp"), {("light.desk", "on")}),
        (turn_on(area_id=["study"]), {("light.desk", "on")}),  # not the plug there, nor the blind
        (turn_on(entity_id="e1"), {("light.desk", "on")}),
        ({"service": "homeassistant.turn_on", "target": {"area_id": "study"}}, {("switch.radio", "on")}),
        (
            {"device_id": "plug", "domain": "switch", "type": "turn_off", "entity_id": "e3"},
            {("switch.radio", "off")},
        ),
        ({"device_id": "x", "domain": "cover", "type": "open", "entity_id": "e4"}, {("cover.blind", "open")}),
        ({"choose": [{"sequence": [turn_on(device_id="lamp")]}]}, {("light.desk", "on")}),
    ],
)
def test_what_is_moved(action: dict[str, Any], moved: set[tuple[str, str]]) -> None:
    config = REGISTRY.resolved({"alias": "Theirs", "triggers": [TRIGGER], "actions": [action]})
    steps = [Step(entity_id, state) for entity_id, state in moved]
    assert all(covering(Routine("", DOOR, (step,)), [config]) == "Theirs" for step in steps)
    others = {row["entity_id"] for row in ENTITIES} - {entity_id for entity_id, _ in moved} - {"cover.blind"}
    if action.get("service") is None:  # homeassistant.turn_on moves all that is there
        assert not any(covering(Routine("", DOOR, (Step(e, "on"),)), [config]) for e in others)


@pytest.mark.parametrize(
    "action",
    [
        turn_on(device_id="gone"),
        turn_on(label_id="cosy"),
        turn_on(device_id=None),
        {"device_id": "lamp", "domain": "light", "type": "brightness_increase", "entity_id": "e1"},
        {"device_id": "lamp", "domain": "mqtt", "type": "press"},
        "scene.evening",
    ],
)
def test_what_cannot_be_told_covers_nothing(action: Any) -> None:
    config = REGISTRY.resolved({"triggers": [TRIGGER], "actions": [action]})
    assert not any(covering(Routine("", DOOR, (Step(row["entity_id"], "on"),)), [config]) for row in ENTITIES)


def test_what_it_does_not_concern_stays_as_it_is() -> None:
    config = {"alias": "Theirs", "triggers": [{"trigger": "time", "at": "07:00:00"}], "mode": "single"}
    assert REGISTRY.resolved(config) == config
