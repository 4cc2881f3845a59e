"""What a Home Assistant service call asks for, as the state that it brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_TARGETS: Final[Mapping[str, str]] = {
    "turn_on": "on",
    "turn_off": "off",
    "open_cover": "open",
    "close_cover": "closed",
    "open_valve": "open",
    "close_valve": "closed",
    "lock": "locked",
    "unlock": "unlocked",
    "alarm_disarm": "disarmed",
    "alarm_arm_home": "armed_home",
    "alarm_arm_away": "armed_away",
    "alarm_arm_night": "armed_night",
    "alarm_arm_vacation": "armed_vacation",
    "media_play": "playing",
    "media_pause": "paused",
    "return_to_base": "docked",
}
_VALUES: Final[Mapping[str, str]] = {
    "select_option": "option",
    "set_value": "value",
    "set_hvac_mode": "hvac_mode",
    "set_operation_mode": "operation_mode",
}
_MANY_STATES: Final = frozenset({"climate", "media_player", "scene", "script", "vacuum", "water_heater"})


def target_state(domain: str, service: str, data: Mapping[str, Any]) -> str | None:
    """Return the state that a service brings an entity of a domain to; None where that can't be said.

    >>> target_state("cover", "close_cover", {}), target_state("light", "toggle", {})
    ('closed', None)
    """
    if service in {"turn_on", "turn_off"} and domain in _MANY_STATES:
        return "off" if service == "turn_off" and domain in {"climate", "media_player"} else None
    if service in _VALUES:
        value = data.get(_VALUES[service])
        return value if isinstance(value, str) else None
    if service == "set_cover_position":
        position = data.get("position")
        return None if not isinstance(position, int | float) else "closed" if position == 0 else "open"
    return _TARGETS.get(service)
