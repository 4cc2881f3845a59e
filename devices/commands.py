"""Home Assistant's services and the states that they ask for, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

ServiceCall = tuple[str, str, dict[str, Any]]
Attributes = Mapping[str, Any]

# Attributes of a state that its service takes along: state attribute -> field of the service.
_LIGHT: Final = {"brightness": "brightness", "color_temp_kelvin": "color_temp_kelvin"}
_LEVELS: Final = ("brightness", "brightness_pct")
_TOGGLED: Final = frozenset({
    "automation", "fan", "group", "humidifier", "input_boolean", "light", "media_player", "remote", "siren",
    "switch",
})  # fmt: skip
_COVER_SERVICES: Final = {"open": "open_cover", "closed": "close_cover"}
_VALVE_SERVICES: Final = {"open": "open_valve", "closed": "close_valve"}
_LOCK_SERVICES: Final = {"locked": "lock", "unlocked": "unlock"}
_VACUUM_SERVICES: Final = {"cleaning": "start", "docked": "return_to_base", "returning": "return_to_base"}
_MEDIA_SERVICES: Final = {
    "on": "turn_on", "off": "turn_off", "standby": "turn_off", "playing": "media_play",
    "paused": "media_pause", "idle": "media_stop",
}  # fmt: skip
_ALARM_SERVICES: Final = {
    "disarmed": "alarm_disarm", "armed_home": "alarm_arm_home", "armed_away": "alarm_arm_away",
    "armed_night": "alarm_arm_night", "armed_vacation": "alarm_arm_vacation",
}  # fmt: skip
_TARGETS: Final[Mapping[str, str]] = {
    "turn_on": "on",
    "turn_off": "off",
    "open_cover": "open",
    "close_cover": "closed",
    "open_valve": "open",
    "close_valve": "closed",
    "lock": "locked",
    "unlock": "unlocked",
    "start": "cleaning",
    "return_to_base": "returning",
    "media_play": "playing",
    "media_pause": "paused",
    "media_stop": "idle",
    **{service: state for state, service in _ALARM_SERVICES.items()},
}
_VALUES: Final[Mapping[str, str]] = {
    "set_hvac_mode": "hvac_mode", "set_value": "value", "select_option": "option",
}  # fmt: skip


def service_call(entity_id: str, state: str, attributes: Attributes) -> ServiceCall | None:
    """Return (domain, service, data) that asks for a state, None where no service does.

    Numeric targets among `attributes` go along: brightness, position, temperature.

    >>> service_call("light.hall", "on", {"brightness": 120})
    ('light', 'turn_on', {'entity_id': 'light.hall', 'brightness': 120})
    >>> service_call("sensor.hall_temperature", "21", {}) is None
    True
    """
    domain = entity_id.partition(".")[0]
    make = _MAKERS.get(domain)
    made = make(state, attributes) if make is not None else _on_off(domain, state)
    if made is None:
        return None
    service, data = made
    return domain, service, {"entity_id": entity_id, **data}


def target_state(domain: str, service: str, data: Mapping[str, Any]) -> str | None:
    """Return the state that a service call asks for, None where it can't be told (toggle, scenes).

    >>> target_state("light", "turn_on", {}), target_state("light", "toggle", {})
    ('on', None)
    >>> target_state("cover", "set_cover_position", {"position": 0})
    'closed'
    """
    if domain in {"scene", "script"}:
        return None
    if service in {"set_cover_position", "set_valve_position"}:
        position = data.get("position")
        return None if position is None else "open" if position else "closed"
    if (field := _VALUES.get(service)) is not None:
        value = data.get(field)
        return None if value is None else str(value)
    if service == "set_temperature":
        mode = data.get("hvac_mode")
        return None if mode is None else str(mode)
    if (
        domain == "light"
        and service == "turn_on"
        and 0 in {data.get("brightness"), data.get("brightness_pct")}
    ):
        return "off"
    if domain == "climate" and service == "turn_on":
        return None  # whichever mode it was in
    return _TARGETS.get(service)


Made = tuple[str, dict[str, Any]] | None


def _on_off(domain: str, state: str) -> Made:
    if domain not in _TOGGLED or state not in {"on", "off"}:
        return None
    return f"turn_{state}", {}


def _light(state: str, attributes: Attributes) -> Made:
    made = _on_off("light", state)
    if made is not None and state == "on":
        made[1].update({f: attributes[a] for a, f in _LIGHT.items() if attributes.get(a) is not None})
    return made


def _fan(state: str, attributes: Attributes) -> Made:
    made = _on_off("fan", state)
    if made is not None and state == "on" and attributes.get("percentage"):
        made[1]["percentage"] = attributes["percentage"]
    return made


def _positioned(services: Mapping[str, str], set_position: str) -> Callable[[str, Attributes], Made]:
    def make(state: str, attributes: Attributes) -> Made:
        position = attributes.get("position", attributes.get("current_position"))
        if state == "open" and position is not None and 0 < position < 100:
            return set_position, {"position": position}
        return (services[state], {}) if state in services else None

    return make


def _named(services: Mapping[str, str]) -> Callable[[str, Attributes], Made]:
    return lambda state, _: (services[state], {}) if state in services else None


def _climate(state: str, attributes: Attributes) -> Made:
    setpoint = attributes.get("temperature")
    if setpoint is not None and state != "off":
        return "set_temperature", {"temperature": setpoint, "hvac_mode": state}
    return "set_hvac_mode", {"hvac_mode": state}


def _number(state: str, attributes: Attributes) -> Made:  # noqa: ARG001
    try:
        return "set_value", {"value": float(state)}
    except ValueError:
        return None


def _value(service: str, field: str) -> Callable[[str, Attributes], Made]:
    return lambda state, _: (service, {field: state})


_MAKERS: Final[Mapping[str, Callable[[str, Attributes], Made]]] = {
    "alarm_control_panel": _named(_ALARM_SERVICES),
    "climate": _climate,
    "cover": _positioned(_COVER_SERVICES, "set_cover_position"),
    "fan": _fan,
    "input_number": _number,
    "input_select": _value("select_option", "option"),
    "input_text": _value("set_value", "value"),
    "light": _light,
    "lock": _named(_LOCK_SERVICES),
    "media_player": _named(_MEDIA_SERVICES),
    "number": _number,
    "select": _value("select_option", "option"),
    "vacuum": _named(_VACUUM_SERVICES),
    "valve": _positioned(_VALVE_SERVICES, "set_valve_position"),
}
