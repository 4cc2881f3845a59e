"""What is known of Home Assistant's domains that helps to tell who caused a change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

BY_HAND: Final = frozenset(
    {"light", "switch", "fan", "cover", "lock", "valve", "siren", "humidifier", "climate", "water_heater"}
)
"""Things with a switch or knob of their own, where a hand may interfere with a command."""
READ_ONLY: Final = frozenset(
    {"sensor", "binary_sensor", "device_tracker", "person", "event", "weather", "sun"}
)
"""They report the world; nobody can command them."""
HELPERS: Final = frozenset(
    {
        "automation", "script", "scene", "group", "timer", "counter", "schedule", "input_boolean",
        "input_number", "input_select", "input_text", "input_datetime", "input_button", "todo",
    }
)  # fmt: skip
"""They exist only in Home Assistant's memory."""
POLLED: Final = frozenset(
    {"media_player", "climate", "vacuum", "lawn_mower", "humidifier", "water_heater", "camera", "remote"}
)
"""Mostly asked every so often, often through a vendor's cloud: what moved them is less sure."""

OPPOSITE: Final[Mapping[str, str]] = {
    "on": "off", "off": "on", "open": "closed", "closed": "open", "opening": "closed", "closing": "open",
    "locked": "unlocked", "unlocked": "locked",
}  # fmt: skip
"""What a toggle brings."""
IN_BETWEEN: Final[Mapping[str, frozenset[str]]] = {
    "open": frozenset({"opening"}),
    "closed": frozenset({"closing"}),
    "locked": frozenset({"locking"}),
    "unlocked": frozenset({"unlocking"}),
    "armed_home": frozenset({"arming"}),
    "armed_away": frozenset({"arming"}),
    "armed_night": frozenset({"arming"}),
    "armed_vacation": frozenset({"arming"}),
}
"""States on the way to a target, which are the command's too."""

_WINDOWS: Final[Mapping[str, timedelta]] = {
    "cover": timedelta(minutes=3),
    "valve": timedelta(minutes=3),
    "lock": timedelta(seconds=30),
    "alarm_control_panel": timedelta(minutes=3),
    "climate": timedelta(seconds=60),
    "water_heater": timedelta(seconds=60),
    "media_player": timedelta(seconds=30),
}
_WINDOW: Final = timedelta(seconds=10)


def window(domain: str) -> timedelta:
    """Return how long after a command its result may come: travel time, sleepy radios, polling.

    >>> window("cover").total_seconds()
    180.0
    """
    return _WINDOWS.get(domain, _WINDOW)


def entities_of(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the entity ids that a service call names, sorted; areas and labels name none.

    >>> entities_of({"entity_id": "light.b, light.a"})
    ('light.a', 'light.b')
    """
    named = data.get("entity_id")
    if isinstance(named, str):
        named = named.split(",")
    if not isinstance(named, list | tuple):
        return ()
    ids = {e.strip().lower() for e in named if isinstance(e, str)}
    return tuple(sorted(e for e in ids if "." in e))
