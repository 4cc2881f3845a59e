from __future__ import annotations

from collections.abc import Hashable

import pytest

from latent_goals.feasible import Feasible
from latent_goals.habits import firsts, habits, kin_of

LAMP_ON, LAMP_OFF, TV_ON, TV_OFF = ("lamp", "on"), ("lamp", "off"), ("tv", "on"), ("tv", "off")


def known() -> Feasible:
    feasible = Feasible()
    for action in (LAMP_ON, LAMP_OFF, TV_ON, TV_OFF):
        feasible.add(action)
    return feasible


def test_actions_are_grouped_by_how_long_ago_they_were() -> None:
    groups = dict(habits({"history": (LAMP_ON, "tea", TV_ON, LAMP_ON)}, known()))
    assert {name: list(groups[name]) for name in ("0 ago", "1 ago", "2 ago", "3 ago")} == {
        "0 ago": [LAMP_ON],
        "1 ago": [TV_ON],
        "2 ago": ["tea"],
        "3 ago": [],  # the lamp's latest time counts
    }


def test_actions_are_grouped_by_what_they_are_done_to() -> None:
    groups = dict(habits({"history": (LAMP_ON, TV_ON), "elapsed_s": 10.0, "open": {"lamp", "door"}}, known()))
    assert list(groups["same after 1"]) == [TV_ON, TV_OFF]
    assert list(groups["entity 1 after 1"]) == [LAMP_ON, LAMP_OFF]
    assert list(groups["on after 1"]) == [LAMP_ON, LAMP_OFF]


def test_what_was_never_done_here_may_be_kin_to_what_was() -> None:
    done = ("Television:on",)
    groups = dict(firsts((*done, "Television:volumeUp", "Dryer:on"), done))
    assert groups == {"new": ["Television:volumeUp", "Dryer:on"], "new kin": ["Television:volumeUp"]}
    assert not dict(firsts(done, done))


@pytest.mark.parametrize(
    ("action", "kin"),
    [
        (("light.desk", "on"), "light"),
        ("cover.blind:open", "cover"),
        ("Dishwasher:refresh refresh", "Dishwasher"),
        ("coffee", "coffee"),
        ((), ()),
        ((7, "on"), 7),
        (None, None),
    ],
)
def test_kin_is_the_first_word_of_what_is_acted_upon(action: Hashable, kin: Hashable) -> None:
    assert kin_of(action) == kin


def test_what_is_on_comes_in_the_order_in_which_it_was_learned() -> None:
    """The order of a set differs from process to process, and with it the last digits of a sum."""
    actions = [(f"lamp {n}", "on") for n in range(12)]
    feasible = Feasible()
    for action in actions:
        feasible.add(action)
    on = {entity for entity, _ in reversed(actions)}
    groups = dict(habits({"history": actions[:1], "elapsed_s": 10.0, "open": on}, feasible))
    assert list(groups["on after 1"]) == actions
