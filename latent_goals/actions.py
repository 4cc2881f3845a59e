"""What counts as an action: what a resident does with a thing, in a word, and what it is done to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from devices.events import NOT_A_STATE, StateChange, device_class_of
from devices.values import BINARY_CLASSES, guess_class

DIM: Final = "dim"
"""A light at less than half of its brightness: to dim isn't to switch on."""
_DIM_BELOW: Final = 128  # of Home Assistant's 255

FOLLOW_UPS: Final = frozenset({
    "alarm_control_panel", "climate", "cover", "fan", "humidifier", "input_boolean", "light", "lock",
    "media_player", "switch",
})  # fmt: skip
"""What can be done for the resident, or at least suggested."""
_OPENINGS: Final = frozenset({"door", "garage_door", "opening", "window"})
_MOVEMENTS: Final = frozenset({"motion", "moving", "occupancy", "presence", "vibration", "sound"})

_ON_OFF: Final[Mapping[str, str]] = {"on": "on", "off": "off"}
_VERBS: Final[Mapping[str, Mapping[str, str]]] = {
    "light": _ON_OFF,
    "switch": _ON_OFF,
    "input_boolean": _ON_OFF,
    "fan": _ON_OFF,
    "humidifier": _ON_OFF,
    "cover": {"open": "open", "opening": "open", "closed": "closed", "closing": "closed"},
    "lock": {"locked": "locked", "locking": "locked", "unlocked": "unlocked", "unlocking": "unlocked",
             "open": "unlocked", "opening": "unlocked"},
    "media_player": {"playing": "playing", "paused": "paused", "on": "on", "idle": "idle",
                     "off": "off", "standby": "off"},
    "binary_sensor": _ON_OFF,
}  # fmt: skip


def verb_of(entity_id: str, state: str, attributes: Mapping[str, Any]) -> str | None:
    """Return what a thing was told when it is in a state, or None where that says nothing.

    >>> verb_of("light.hall", "on", {"brightness": 60}), verb_of("cover.blind", "closing", {})
    ('dim', 'closed')
    >>> verb_of("media_player.tv", "buffering", {}), verb_of("person.ann", "work", {})
    (None, 'not_home')
    """
    if state in NOT_A_STATE or len(state) > 32:
        return None
    domain = entity_id.partition(".")[0]
    verbs = _VERBS.get(domain)
    if verbs is not None:
        verb = verbs.get(state)
        dimmed = verb == "on" and domain == "light" and level_of(attributes) < _DIM_BELOW
        return DIM if dimmed else verb
    if domain == "person":
        return "home" if state == "home" else "not_home"
    if domain in {"climate", "alarm_control_panel"}:
        return None if state in {"arming", "pending", "disarming", "triggered"} else state
    return None


def level_of(attributes: Mapping[str, Any]) -> float:
    """Return a light's brightness, 255 where it tells none."""
    value = attributes.get("brightness")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 255.0


def class_of(entity_id: str, attributes: Mapping[str, Any]) -> str:
    """Return a thing's device class, guessed from its name where it tells none; empty if unknown.

    >>> class_of("binary_sensor.front_door_contact", {}), class_of("binary_sensor.v17", {})
    ('door', '')
    """
    told = device_class_of(attributes)
    return _guessed_class(entity_id) if told is None else told


@lru_cache(maxsize=4096)
def _guessed_class(entity_id: str) -> str:
    if not entity_id.startswith("binary_sensor."):
        return ""
    guess = guess_class(entity_id.partition(".")[2])
    return BINARY_CLASSES.get(guess, "") if guess else ""


def is_activity(change: StateChange) -> bool:
    """Whether a change shows that somebody is about."""
    if change.domain == "binary_sensor":
        kind = class_of(change.entity_id, change.attributes)
        return not kind or kind in _OPENINGS or kind in _MOVEMENTS
    return change.domain in FOLLOW_UPS or change.domain == "person"


def can_be_first(entity_id: str, attributes: Mapping[str, Any]) -> bool:
    """Whether something may follow from it: a thing that is used, a door, somebody who comes or goes.

    Movement isn't: it comes before everything, and implies nothing.
    """
    return _can_be_first(entity_id, device_class_of(attributes))


@lru_cache(maxsize=4096)
def _can_be_first(entity_id: str, device_class: str | None) -> bool:
    domain = entity_id.partition(".")[0]
    if domain == "binary_sensor":
        kind = _guessed_class(entity_id) if device_class is None else device_class
        return not kind or kind in _OPENINGS
    return domain in FOLLOW_UPS or domain == "person"  # a person goes by its trackers


def can_follow(entity_id: str) -> bool:
    """Whether something can be done with it for the resident, or suggested."""
    return entity_id.partition(".")[0] in FOLLOW_UPS


def can_be_told(verb: str) -> bool:
    """Whether that can be done, and doesn't come about by itself: a player that has nothing to play."""
    return verb != "idle"
