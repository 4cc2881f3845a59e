"""Rooms, kinds and values: what is carried over, and what is better not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from devices.events import StateChange, utc
from devices.state import HomeState
from latent_goals.association import Counts, Tally
from latent_goals.occasions import ANY
from latent_goals.slots import Pooled, areas, binding, general, kind_of, lower_tail

AT = utc("2024-01-01T00:00:00+00:00")


def home(*entities: str, **told: Mapping[str, Any]) -> HomeState:
    found = HomeState()
    for entity_id in entities:
        attributes = told.get(entity_id.replace(".", "__"), {})
        found.apply(StateChange(entity_id, "off", AT, AT, attributes=attributes))
    return found


def test_things_of_two_domains_that_begin_alike_are_in_one_room() -> None:
    found = areas(home("light.living_room_lamp", "media_player.living_room_tv", "light.kitchen_light"))
    assert found == {"light.living_room_lamp": "living_room", "media_player.living_room_tv": "living_room"}


@pytest.mark.parametrize(
    "pair",
    [
        ("light.hue_lamp_one", "switch.hue_lamp_two"),  # the maker
        ("lock.front_door_lock", "binary_sensor.front_door_contact"),  # "front" is no room
        ("light.kitchen_one", "light.kitchen_two"),  # one domain only: a name like any other
        ("media_player.tv", "switch.tv_plug"),  # nothing is left to name the first
    ],
)
def test_what_might_not_be_a_room_is_none(pair: tuple[str, str]) -> None:
    assert areas(home(*pair)) == {}


def test_a_room_that_is_told_comes_first() -> None:
    lamp, radio = {"area_id": "Dining Room"}, {"area": "dining_room"}
    things = home("light.kitchen_lamp", "media_player.kitchen_radio", light__kitchen_lamp=lamp,
                  media_player__kitchen_radio=radio)  # fmt: skip
    assert set(areas(things).values()) == {"dining_room"}


def test_kinds_are_domain_and_class() -> None:
    things = home("cover.garage", "light.a", cover__garage={"device_class": "garage"})
    assert kind_of("cover.garage", things) == "cover.garage"
    assert general(("light.a", "on"), things).key == "light@room=on"


def test_a_level_that_follows_the_first_is_carried_over() -> None:
    values = [(30.0, 31.0), (200.0, 200.0), (90.0, 85.0), (120.0, 118.0)]
    assert binding("light.a", "light.b", values) == ((85.0 + 118.0) / 2, True)
    assert binding("climate.a", "light.b", values)[1] is False  # a temperature is no brightness


def test_a_level_that_is_always_the_same_is_a_value_of_its_own() -> None:
    assert binding("light.a", "light.b", [(60.0, 60.0)] * 8) == (60.0, False)
    assert binding("light.a", "light.b", [(10.0, 60.0), (200.0, 62.0), (90.0, 58.0)]) == (60.0, False)


def test_media_are_carried_over() -> None:
    values = [("movie", "movie"), ("music", "music"), ("music", "music")]
    assert binding("media_player.a", "media_player.b", values) == ("music", True)


def test_nothing_is_bound_to_what_has_no_value() -> None:
    assert binding("switch.a", "switch.b", [(None, None)] * 5) == (None, False)


def room(k: int, n: int) -> Tally:
    return Tally({ANY: Counts(n=n, k=k, quarters=n)}, [60] * k, list(range(k)), [(None, None)] * k)


def test_evidence_is_pooled_over_rooms() -> None:
    pooled = Pooled({"a": room(4, 5), "b": room(3, 3)})
    assert (pooled.tally.all.k, pooled.tally.all.n) == (7, 8)
    assert pooled.generalises(0.75)
    assert len(pooled.tally.delays) == 7


def test_a_contradicting_room_is_left_out_of_it() -> None:
    pooled = Pooled({"a": room(9, 10), "b": room(8, 9), "c": room(0, 4)})
    assert pooled.contradicting == ["c"]
    assert (pooled.tally.all.k, pooled.tally.all.n) == (17, 19)


def test_one_room_speaks_for_no_other() -> None:
    assert not Pooled({"a": room(30, 30), "b": room(1, 1)}).generalises(0.75)


def test_pooling_leaves_the_rooms_as_they_are() -> None:
    first = room(4, 5)
    Pooled({"a": first, "b": room(3, 3)})
    assert (first.all.k, len(first.delays)) == (4, 4)


def test_lower_tail() -> None:
    assert lower_tail(1, 3, 0.5) == pytest.approx(0.5)  # (1 + 3) / 8
