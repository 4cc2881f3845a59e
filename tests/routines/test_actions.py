from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from devices.events import Origin, StateChange, utc
from devices.state import HomeState
from routines.actions import Action, Item, Signal, actions_of, bucket_of, signals_of

T0 = utc("2024-03-01T18:00:00+00:00")


def change(
    entity: str,
    old: str | None,
    new: str,
    s: float = 0,
    /,
    *,
    origin: Origin = Origin.PERSON,
    context: str | None = None,
    retained: bool = False,
    **attributes: Any,
) -> StateChange:
    at = T0 + timedelta(seconds=s)
    return StateChange(entity, new, at, at, old, attributes, origin, retained=retained, context_id=context)


def seen(*changes: StateChange, include_unknown: bool = False) -> list[tuple[float, str, str, str]]:
    actions = actions_of(changes, include_unknown=include_unknown)
    return [(a.at - T0.timestamp(), *a.item) for a in actions]


def test_what_a_resident_does_is_an_action_with_its_target() -> None:
    dimmed = change("light.hall", "off", "on", brightness=64, color_temp_kelvin=2700)
    action = Action(
        T0.timestamp(),
        Item("light.hall", "on", "25%"),
        {"brightness": 64.0, "color_temp_kelvin": 2700.0},
    )
    assert actions_of([dimmed]) == [action]
    assert actions_of([dimmed])[0].targets == action.targets


@pytest.mark.parametrize("origin", [Origin.AUTOMATION, Origin.AGENT])
def test_what_nobody_did_by_hand_is_none(origin: Origin) -> None:
    assert seen(change("light.hall", "off", "on", origin=origin), include_unknown=True) == []


def test_of_unknown_origin_only_where_asked_for() -> None:
    unknown = change("light.hall", "off", "on", origin=Origin.UNKNOWN)
    assert seen(unknown) == []
    assert len(seen(unknown, include_unknown=True)) == 1


@pytest.mark.parametrize(
    "no_action",
    [
        change("light.hall", None, "on"),  # the first that is heard of it
        change("light.hall", "off", "on", retained=True),
        change("light.hall", "on", "on"),  # a repeat
        change("light.hall", "on", "unavailable"),
        change("light.hall", "unavailable", "on"),
        change("sensor.hall_temperature", "20", "21"),
        change("binary_sensor.door", "off", "on"),
        change("lock.door", "locked", "jammed"),
        change("vacuum.robot", "cleaning", "docked"),  # by itself
        change("light.downstairs", "off", "on", entity_id=["light.hall", "light.kitchen"]),
    ],
)
def test_none(no_action: StateChange) -> None:
    assert seen(no_action) == []


def test_a_cover_that_opens_was_opened_once() -> None:
    assert seen(
        change("cover.blind", "closed", "opening", 0, current_position=0),
        change("cover.blind", "opening", "open", 20, origin=Origin.PHYSICAL, current_position=52),
        change("cover.blind", "open", "open", 21, origin=Origin.UNKNOWN, current_position=48),
    ) == [(0, "cover.blind", "open", "50%")]


def test_a_ramp_ends_at_what_was_asked_for() -> None:
    assert seen(
        change("light.hall", "off", "on", 0, brightness=3),
        change("light.hall", "on", "on", 1, origin=Origin.UNKNOWN, brightness=90),
        change("light.hall", "on", "on", 2, origin=Origin.UNKNOWN, brightness=255),
    ) == [(0, "light.hall", "on", "100%")]


def test_dimming_is_an_action_and_an_automations_is_none() -> None:
    on = change("light.hall", "off", "on", 0, brightness=255)
    by_itself = change("light.hall", "on", "on", 1000, origin=Origin.AUTOMATION, brightness=128)
    by_hand = change("light.hall", "on", "on", 2000, brightness=60)
    hardly = change("light.hall", "on", "on", 3000, brightness=62)
    assert [a[3] for a in seen(on, by_itself, by_hand, hardly)] == ["100%", "25%"]


def test_an_automation_within_a_minute_doesnt_change_what_was_asked_for() -> None:
    on = change("light.hall", "off", "on", 0, brightness=255)
    assert seen(on, change("light.hall", "on", "on", 5, origin=Origin.AUTOMATION, brightness=20)) == [
        (0, "light.hall", "on", "100%")
    ]


def test_a_player_takes_no_volume_along_but_the_volume_is_kept() -> None:
    play = change("media_player.tv", "off", "playing", 0, volume_level=0.3)
    louder = change("media_player.tv", "playing", "playing", 900, volume_level=0.5)
    actions = actions_of([play, louder])
    assert [a.item.bucket for a in actions] == ["", "50%"]
    assert [a.targets["volume_level"] for a in actions] == [0.3, 0.5]


def test_a_scene_stands_for_what_it_does() -> None:
    at = T0.isoformat()
    assert seen(
        change("scene.evening", "2024-02-29T18:00:00+00:00", at, 0, context="c1"),
        change("light.hall", "off", "on", 0.1, context="c1"),
        change("light.kitchen", "off", "on", 30, context="c2"),
    ) == [(0, "scene.evening", "on", ""), (30, "light.kitchen", "on", "")]


def test_actions_come_in_time_order() -> None:
    late = change("light.hall", "off", "on", 50)
    assert [a[0] for a in seen(late, change("switch.tv", "off", "on", 20))] == [20, 50]


@pytest.mark.parametrize(
    ("name", "values", "bucket"),
    [
        ("brightness", (1, 13, 25), "0%"),  # 25 / 255 is 10%
        ("brightness", (51, 64, 77, 102 - 10), "25%"),
        ("brightness", (230, 255, 254), "100%"),
        ("current_position", (40, 50, 60), "50%"),
        ("temperature", (20, 21.5), "20°"),
        ("temperature", (68, 71), "68°"),  # Fahrenheit
        ("temperature", (-1.5, -0.5), "-2°"),
    ],
)
def test_near_levels_share_a_bucket(name: str, values: tuple[float, ...], bucket: str) -> None:
    assert {bucket_of(name, value) for value in values} == {bucket}


def test_after_an_outage_a_device_in_its_old_state_did_nothing() -> None:
    home = HomeState()
    states = ["off", "on", "unavailable", "on"]
    changes = [home.apply(change("light.hall", None, new, s)) for s, new in enumerate(states)]
    assert [at for at, *_ in seen(*changes)] == [1]


MOTION: Mapping[str, Any] = {"device_class": "motion"}


def test_signals_are_what_may_be_a_cue() -> None:
    at = T0.timestamp()
    assert signals_of([
        change("binary_sensor.door", "off", "on", 0, origin=Origin.UNKNOWN, device_class="door"),
        change("binary_sensor.door", "on", "off", 1, device_class="door"),
        change("binary_sensor.hall", "off", "on", 2, **MOTION),
        change("binary_sensor.hall", "on", "off", 3, **MOTION),
        change("binary_sensor.phone", "off", "on", 4, device_class="battery"),
        change("person.ada", "work", "home", 5),
        change("person.ada", "home", "gym", 6),
        change("person.ada", "gym", "work", 7),
        change("light.hall", "off", "on", 8),
    ]) == [
        Signal(at, Item("binary_sensor.door", "on")),
        Signal(at + 1, Item("binary_sensor.door", "off")),
        Signal(at + 2, Item("binary_sensor.hall", "on")),
        Signal(at + 5, Item("person.ada", "home")),
        Signal(at + 6, Item("person.ada", "not_home")),
    ]  # fmt: skip
