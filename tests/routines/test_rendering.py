from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from routines.coverage import covering
from routines.rendering import UnrenderableError, automation_of, blueprint_of, yaml_of
from routines.routine import (
    AtSun,
    AtTime,
    Conditions,
    Evidence,
    OnState,
    Routine,
    Step,
    SunEvent,
    Target,
    Trigger,
)

LIGHT = Step("light.kitchen", "on", 0.0, (Target("brightness", 128.0, 100.0, 150.0, 12),))
COFFEE = Step("switch.coffee", "on", 90.0)
RADIO = Step("media_player.radio", "playing", 100.0)
PAST = Evidence(("2024-03-05", "2024-03-04"), 3, 0.001, 0.01, 9, 1, 2, ("2024-03-10", "2024-03-17"))
MORNING = Routine("Breakfast", AtTime(410), (LIGHT, COFFEE, RADIO), evidence=PAST)


def test_steps_become_services_with_the_waits_between_them() -> None:
    assert automation_of(MORNING)["action"] == [
        {"service": "light.turn_on", "target": {"entity_id": "light.kitchen"}, "data": {"brightness": 128.0}},
        {"delay": {"seconds": 90}},
        {"service": "switch.turn_on", "target": {"entity_id": "switch.coffee"}},
        {"delay": {"seconds": 10}},
        {"service": "media_player.media_play", "target": {"entity_id": "media_player.radio"}},
    ]


def test_the_description_has_the_evidence_and_the_id_is_ours() -> None:
    config = automation_of(MORNING)
    assert config["id"] == f"inkling_{MORNING.id}"
    assert config["description"] == (
        "Made by Inkling. You did so on 2 days, from 2024-03-04 to 2024-03-05. From 2024-03-10 to "
        f"2024-03-17 it would have been right 9 of 10 times. Why: inkling explain {MORNING.id}"
    )


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (AtTime(410), {"platform": "time", "at": "06:50:00"}),
        (AtSun(SunEvent.SUNSET, -20), {"platform": "sun", "event": "sunset", "offset": "-00:20:00"}),
        (AtSun(SunEvent.SUNRISE, 75), {"platform": "sun", "event": "sunrise", "offset": "01:15:00"}),
        (
            OnState("binary_sensor.door", "on"),
            {
                "platform": "state", "entity_id": "binary_sensor.door", "to": "on",
                "not_from": ["unavailable", "unknown"],
            },
        ),
        (OnState("person.ada", "not_home"), {"platform": "state", "entity_id": "person.ada", "from": "home"}),
    ],
)  # fmt: skip
def test_triggers(trigger: Trigger, expected: dict[str, Any]) -> None:
    assert automation_of(replace(MORNING, trigger=trigger))["trigger"] == [expected]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (Conditions(), []),
        (
            Conditions(weekdays=(0, 6), after_min=1320, before_min=90),
            [{"condition": "time", "weekday": ["mon", "sun"], "after": "22:00:00", "before": "01:30:00"}],
        ),
        (
            Conditions(dark=True, occupancy=("home",)),
            [
                {"condition": "state", "entity_id": "sun.sun", "state": "below_horizon"},
                {"condition": "numeric_state", "entity_id": "zone.home", "above": 0},
            ],
        ),
        (
            Conditions(occupancy=("away",)),
            [{"condition": "numeric_state", "entity_id": "zone.home", "below": 1}],
        ),
    ],
)
def test_conditions(conditions: Conditions, expected: list[dict[str, Any]]) -> None:
    assert automation_of(replace(MORNING, conditions=conditions))["condition"] == expected


@pytest.mark.parametrize(
    "routine",
    [
        replace(MORNING, conditions=Conditions(occupancy=("asleep",))),
        replace(MORNING, steps=(Step("binary_sensor.door", "on"),)),
    ],
)
def test_what_home_assistant_has_no_words_for_is_said_so(routine: Routine) -> None:
    with pytest.raises(UnrenderableError):
        automation_of(routine)


def test_yaml_comes_back_as_the_config() -> None:
    assert yaml.safe_load(yaml_of(MORNING)) == automation_of(MORNING)


def test_a_blueprint_has_an_input_for_each_entity_and_the_time() -> None:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!input", lambda loader, node: ("input", loader.construct_scalar(node)))
    body = yaml.load(blueprint_of(MORNING), Loader)
    inputs = body["blueprint"]["input"]
    assert {spec["default"]: key for key, spec in inputs.items()} == {
        "light.kitchen": "entity_1", "switch.coffee": "entity_2", "media_player.radio": "entity_3",
        "06:50:00": "time",
    }  # fmt: skip
    assert body["trigger"] == [{"platform": "time", "at": ("input", "time")}]
    assert body["action"][0]["target"] == {"entity_id": ("input", "entity_1")}


# -- covered already ------------------------------------------------------------------------------------


def automation(trigger: object, *actions: object) -> dict[str, Any]:
    return {"alias": "Mine", "triggers": trigger, "actions": list(actions)}


TURN_ON = [
    {"action": "light.turn_on", "target": {"entity_id": ["light.kitchen", "light.hall"]}},
    {"choose": [{"sequence": [{"service": "homeassistant.turn_on", "entity_id": "switch.coffee"}]}]},
    {"if": [], "then": {"service": "media_player.media_play", "data": {"entity_id": "media_player.radio"}}},
]
SEVEN = {"trigger": "time", "at": "07:00:00"}


def test_an_automation_that_does_as_much_at_about_the_time_covers_it() -> None:
    assert covering(MORNING, [automation([SEVEN], *TURN_ON)]) == "Mine"
    assert covering(MORNING, [automation(SEVEN, *TURN_ON[:2])]) is None  # no radio
    assert covering(MORNING, [automation({"platform": "time", "at": "09:00:00"}, *TURN_ON)]) is None
    assert covering(MORNING, [automation({"platform": "time", "at": 25200}, *TURN_ON)]) == "Mine"  # 7 * 3600
    assert covering(replace(MORNING, trigger=AtTime(23 * 60 + 40)), [
        automation({"trigger": "time", "at": "00:20:00"}, *TURN_ON)
    ]) == "Mine"  # fmt: skip


@pytest.mark.parametrize(
    ("trigger", "covers"),
    [
        ({"platform": "state", "entity_id": "binary_sensor.door", "to": "on"}, True),
        ({"platform": "state", "entity_id": ["binary_sensor.x", "binary_sensor.door"]}, True),
        ({"platform": "state", "entity_id": "binary_sensor.door", "to": "off"}, False),
        ({"platform": "state", "entity_id": "binary_sensor.x"}, False),
        ({"platform": "sun", "event": "sunset"}, False),
        ({"platform": "device", "device_id": "4711"}, True),  # can't be compared
        ({"platform": "event", "event_type": "x"}, True),
    ],
)
def test_what_starts_it_counts(trigger: dict[str, Any], covers: bool) -> None:
    routine = replace(MORNING, trigger=OnState("binary_sensor.door", "on"))
    assert (covering(routine, [automation(trigger, *TURN_ON)]) is not None) is covers


@pytest.mark.parametrize(
    "config", [{}, {"actions": None}, {"triggers": "x", "actions": ["y", 3]}, automation(None)]
)
def test_odd_configs_cover_nothing(config: dict[str, Any]) -> None:
    assert covering(MORNING, [config]) is None
