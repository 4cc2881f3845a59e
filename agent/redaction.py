"""Taking out of a recording what says who and where: what stays is enough to learn habits from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from devices.events import NOT_A_STATE, StateChange

_NUMBER: Final = re.compile(r"[-+]?\d{1,9}(\.\d{1,9})?([eE][-+]?\d{1,3})?")  # no telephone numbers
_WORD: Final = re.compile(r"[a-z][a-z_]{0,31}")

# Domains whose states are Home Assistant's own words, never a resident's.
_CLOSED: Final = frozenset(
    {
        *("alarm_control_panel", "automation", "binary_sensor", "climate", "cover", "fan", "humidifier"),
        *("input_boolean", "lawn_mower", "light", "lock", "media_player", "remote", "schedule", "script"),
        *("siren", "switch", "timer", "update", "vacuum", "valve", "water_heater"),
    }
)
_TEXTS: Final = frozenset({"input_text", "text"})  # a number in one may be the alarm's code
_WHEREABOUTS: Final = frozenset({"person", "device_tracker"})
_HOME: Final = frozenset({"home", "not_home"})
# Sunrise and weather, with the time, tell where on Earth a home is.
_DROPPED: Final = re.compile(r"(sun|weather|zone|geo_location)\..*|sensor\.(sun|moon)_.*")

# Only attributes named here are shown: a key can be a name too ("annas_steps").
_KEPT_WORDS: Final = frozenset(
    {
        *("action", "color_mode", "device_class", "event_type", "fan_mode", "hvac_action", "hvac_mode"),
        *("hvac_modes", "media_content_type", "state_class", "supported_color_modes"),
    }
)
_KEPT_NUMBERS: Final = frozenset(
    {
        *("battery", "battery_level", "brightness", "color_temp", "color_temp_kelvin", "current_humidity"),
        *(
            "current_position",
            "current_temperature",
            "current_tilt_position",
            "duration",
            "energy",
            "hs_color",
        ),
        *("humidity", "illuminance", "is_volume_muted", "linkquality", "max", "max_temp", "media_duration"),
        *("min", "min_temp", "percentage", "percentage_step", "power", "rgb_color", "step"),
        *("supported_features", "target_temp_high", "target_temp_low", "temperature", "voltage"),
        *("volume_level", "xy_color"),
    }
)
_UNIT: Final = "unit_of_measurement"
_UNIT_SHAPE: Final = re.compile(r"[\w%°/³²µ·⁻¹ ]{1,8}")
_NAMED: Final = {"friendly_name": "Name", "area": "area", "area_id": "area", "person": "person"}


class Redactor:
    """Replaces names by numbers in order of appearance, which tell nothing, the same all through one file.

    Kept: domain, device class, units, usual numbers, Home Assistant's own words, times. Replaced: object ids,
    names, areas, contexts, texts that are states. Dropped: coordinates and what they could be worked out
    from (sun, weather, zones), every other attribute.

    >>> from devices.events import utc
    >>> at = utc("2024-03-01T18:00:00+00:00")
    >>> door = StateChange("lock.annas_room", "locked", at, at, attributes={"friendly_name": "Anna's room"})
    >>> redacted = Redactor().redact(door)
    >>> redacted.entity_id, redacted.new, redacted.attributes
    ('lock.object_1', 'locked', {'friendly_name': 'Name 1'})
    """

    def __init__(self) -> None:
        self._numbers: dict[str, dict[str, int]] = {}

    def redact(self, change: StateChange) -> StateChange | None:
        """Return what may be shown of a change, or None where nothing may."""
        if _DROPPED.fullmatch(change.entity_id):
            return None
        domain = change.domain
        return replace(
            change,
            entity_id=self._entity(change.entity_id),
            new=self._state(domain, change.new),
            old=None if change.old is None else self._state(domain, change.old),
            attributes=self._attributes(change.attributes),
            context_id=change.context_id and self._name("context", change.context_id),
        )

    def _entity(self, entity_id: str) -> str:
        domain, _, object_id = entity_id.partition(".")
        return f"{domain}.{self._name('object', object_id)}"

    def _state(self, domain: str, state: str) -> str:
        if state in NOT_A_STATE:
            return state
        if domain in _WHEREABOUTS:
            return state if state in _HOME else self._name("place", state)
        if domain not in _TEXTS and (_NUMBER.fullmatch(state) or state in ("on", "off")):
            return state
        return state if domain in _CLOSED and _WORD.fullmatch(state) else self._name("text", state)

    def _attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        shown = ((key, self._attribute(key, value)) for key, value in attributes.items())
        return {key: value for key, value in shown if value is not None}

    def _attribute(self, key: str, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return self._list(key, value)
        if isinstance(value, int | float):
            return value if key in _KEPT_NUMBERS else None
        if not isinstance(value, str):
            return None
        if key in _NAMED:
            return self._name(_NAMED[key], value, " " if key == "friendly_name" else "_")
        if key == _UNIT:
            return value if _UNIT_SHAPE.fullmatch(value) else None
        return value if key in _KEPT_WORDS and _WORD.fullmatch(value) else None

    def _list(self, key: str, values: list[Any] | tuple[Any, ...]) -> list[Any] | None:
        if key == "entity_id":
            return [self._entity(v) for v in values if isinstance(v, str)]
        shown = [self._attribute(key, v) for v in values if not isinstance(v, list | tuple)]
        return shown if shown and None not in shown and len(shown) == len(values) else None

    def _name(self, kind: str, text: str, between: str = "_") -> str:
        numbers = self._numbers.setdefault(kind, {})
        return f"{kind}{between}{numbers.setdefault(text, len(numbers) + 1)}"
