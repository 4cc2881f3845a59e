"""From Zigbee2MQTT's `exposes` (or, without an inventory, from a payload's keys) to features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from devices.values import BINARY_CLASSES, ON_OFF, SENSOR_CLASSES, guess_class
from devices.zigbee2mqtt_features import (
    Action,
    Choice,
    Climate,
    Cover,
    Feature,
    Light,
    Mapped,
    Numeric,
    switch,
)

NOT_ENTITIES: Final = frozenset({
    "battery_voltage", "calibration", "color", "color_mode", "color_options", "color_temp_startup",
    "device", "device_temperature", "effect", "elapsed", "identify", "last_seen", "level_config",
    "linkquality", "power_on_behavior", "power_outage_count", "power_outage_memory", "transition",
    "trigger_count", "update", "update_available",
})  # fmt: skip
"""Keys about the device itself, not about the home."""

_LOCK: Final[Mapping[Any, str]] = {
    "LOCK": "locked", "UNLOCK": "unlocked", "locked": "locked", "unlocked": "unlocked",
    "not_fully_locked": "unlocked",
}  # fmt: skip
_SETPOINTS: Final = ("occupied_heating_setpoint", "current_heating_setpoint", "occupied_cooling_setpoint")
_WORTH_KNOWING: Final = frozenset({"battery", "battery_low"})  # diagnostic, but somebody has to change it
_SETTABLE: Final = 2  # bit of `access`
_MAX_EXPOSES: Final = 64


def features_of(exposes: list[Mapping[str, Any]], device: str) -> list[Feature]:
    """Return a device's entities as its inventory entry describes them."""
    found = [feature for expose in exposes[:_MAX_EXPOSES] for feature in _features(expose, device)]
    if any(f.key == "battery" for f in found):  # the voltage is the battery's
        found = [f for f in found if f.key != "voltage"]
    unique: dict[str, Feature] = {}
    for feature in found:
        unique.setdefault(feature.key, feature)
    return list(unique.values())


def _features(expose: Mapping[str, Any], device: str) -> Iterator[Feature]:
    if expose.get("category") in {"config", "diagnostic"} and expose.get("name") not in _WORTH_KNOWING:
        return
    kind, inner = expose.get("type"), expose.get("features")
    if isinstance(inner, list) and kind in {"light", "switch", "lock", "cover", "climate", "fan"}:
        properties = {f.get("name"): f.get("property") for f in inner if f.get("property")}
        feature = _specific(str(kind), properties, str(expose.get("endpoint") or ""), device)
        if feature is not None:
            yield feature
        return
    key = expose.get("property")
    if isinstance(key, str) and key not in NOT_ENTITIES and (generic := _generic(expose, key, device)):
        yield generic


def _specific(kind: str, properties: Mapping[Any, str], endpoint: str, device: str) -> Feature | None:
    named = _named(device, endpoint)
    if kind == "climate":
        setpoint = next((properties[p] for p in _SETPOINTS if p in properties), None)
        mode = properties.get("system_mode")
        if setpoint is None:
            return None
        return Climate(key=mode or setpoint, domain="climate", suffix=endpoint, attributes=named,
                       mode_key=mode, setpoint_key=setpoint)  # fmt: skip
    if kind == "cover":
        position, state = properties.get("position"), properties.get("state", "state")
        return Cover(key=position or state, domain="cover", suffix=endpoint, attributes=named,
                     state_key=state, position_key=position or "position")  # fmt: skip
    key = properties.get("state")
    if key is None:
        return None
    on_off = {"on": "ON", "off": "OFF"}
    if kind == "light":
        return Light(key=key, domain="light", suffix=endpoint, attributes=named, states=ON_OFF,
                     commands=on_off, level_key=properties.get("brightness", "brightness"),
                     mireds_key=properties.get("color_temp", "color_temp"))  # fmt: skip
    if kind == "lock":
        return Mapped(key=key, domain="lock", suffix=endpoint, attributes=named, states=_LOCK,
                      commands={"locked": "LOCK", "unlocked": "UNLOCK"})  # fmt: skip
    return Mapped(key=key, domain=kind, suffix=endpoint, attributes=named, states=ON_OFF, commands=on_off)


def _generic(expose: Mapping[str, Any], key: str, device: str) -> Feature | None:
    kind, name = expose.get("type"), str(expose.get("name"))
    settable = bool(int(expose.get("access") or 0) & _SETTABLE)
    named = _named(device, str(expose.get("label") or key.replace("_", " ").capitalize()))
    if key == "action" or key.startswith("action_"):
        return _action(key, named) if kind == "enum" and name == "action" else None
    if kind == "binary":
        on, off = expose.get("value_on", True), expose.get("value_off", False)
        if settable:
            plug = switch(key, key, on, off)
            return Mapped(key=key, domain="switch", suffix=key, attributes=named, states=plug.states,
                          commands=plug.commands)  # fmt: skip
        return _binary(key, name, named, {on: "on", off: "off"})
    if kind == "numeric":
        return _numeric(key, name, named, expose.get("unit"), settable=settable)
    if kind == "enum":
        options = tuple(v for v in expose.get("values", ()) if isinstance(v, str))
        domain = "select" if settable else "sensor"
        return Choice(key=key, domain=domain, suffix=key, attributes={**named, "options": list(options)},
                      options=options, settable=settable, by_hand=False)  # fmt: skip
    return None


def guess(body: Mapping[str, Any], device: str) -> list[Feature]:
    """Return the entities that a payload's keys suggest, for a home without an inventory."""
    found: list[Feature] = []
    for key, value in body.items():
        if key == "state" or key.startswith("state_"):
            found.append(_guess_state(key, value, body, device))
        elif key == "fan_state":
            found.append(_guessed("fan", {"state": key}, "", device))
        elif key == "lock_state" and "state" not in body:
            found.append(_guessed("lock", {"state": key}, "", device))
        elif key == "position" and "state" not in body:
            found.append(_guessed("cover", {"position": key}, "", device))
        elif key == "action":
            found.append(_action(key, _named(device, "Action")))
        elif key in BINARY_CLASSES and isinstance(value, bool):
            states: Mapping[Any, str] = {True: "on", False: "off"}
            if key == "contact":  # Zigbee's contact is made when the door is closed
                states = {False: "on", True: "off"}
            found.append(_binary(key, key, _named(device, key.replace("_", " ").capitalize()), states))
        elif key in SENSOR_CLASSES and not (key == "voltage" and "battery" in body):
            named = _named(device, key.capitalize())
            found.append(_numeric(key, key, named, None, settable=False))
    setpoints = [k for k in _SETPOINTS if k in body]
    if setpoints:
        properties = {k: k for k in (*setpoints[:1], "system_mode") if k in body}
        found.append(_guessed("climate", properties, "", device))
    return found


def _guess_state(key: str, value: Any, body: Mapping[str, Any], device: str) -> Feature:
    endpoint = key[len("state_") :]
    tail = f"_{endpoint}" if endpoint else ""
    level, position = f"brightness{tail}", f"position{tail}"
    if position in body or value in {"OPEN", "CLOSE", "STOP"}:
        properties = {"state": key, **({"position": position} if position in body else {})}
        return _guessed("cover", properties, endpoint, device)
    if value in {"LOCK", "UNLOCK"}:
        return _guessed("lock", {"state": key}, endpoint, device)
    if level in body:
        properties = {"state": key, "brightness": level, "color_temp": f"color_temp{tail}"}
        return _guessed("light", properties, endpoint, device)
    return _guessed("switch", {"state": key}, endpoint, device)


def _guessed(kind: str, properties: Mapping[Any, str], endpoint: str, device: str) -> Feature:
    feature = _specific(kind, properties, endpoint, device)
    assert feature is not None, "the caller gives what the kind needs"
    return feature


def _named(device: str, label: str = "") -> dict[str, Any]:
    return {"friendly_name": f"{device} {label}" if label else device}


def _action(key: str, named: Mapping[str, Any]) -> Feature:
    return Action(key=key, domain="event", suffix=key, attributes={**named, "device_class": "button"})


def _binary(key: str, name: str, named: Mapping[str, Any], states: Mapping[Any, str]) -> Feature:
    device_class = BINARY_CLASSES.get(guess_class(name) or "")
    attributes = {**named, "device_class": device_class} if device_class else named
    return Mapped(key=key, domain="binary_sensor", suffix=key, attributes=attributes, states=states,
                  by_hand=device_class != "battery")  # fmt: skip


def _numeric(key: str, name: str, named: Mapping[str, Any], unit: Any, *, settable: bool) -> Feature:
    device_class, usual_unit = SENSOR_CLASSES.get(name, (None, None))
    attributes: dict[str, Any] = {**named}
    if device_class is not None:
        attributes["device_class"] = device_class
    if (unit := unit or usual_unit) is not None:
        attributes["unit_of_measurement"] = str(unit)
    domain = "number" if settable else "sensor"
    return Numeric(
        key=key, domain=domain, suffix=key, attributes=attributes, settable=settable, by_hand=settable
    )
