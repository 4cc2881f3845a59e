"""What a Zigbee2MQTT device can do, one class a kind: how its JSON is read and how it is commanded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from devices.events import NO_ATTRIBUTES
from devices.native import Entity
from devices.values import ON_OFF, brightness, number, real, state_text

ANY: Final = ""
"""Asked for, whatever the state will be (a toggle)."""
_FULL_BRIGHTNESS: Final = 254  # Zigbee's; Home Assistant's is 255

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One entity of a device: `key` holds its state in the device's JSON."""

    key: str
    domain: str
    suffix: str = ""  # of the entity's name; empty for what the device is mainly for
    attributes: Mapping[str, Any] = field(default_factory=lambda: NO_ATTRIBUTES)
    by_hand: bool = True  # a change nobody commanded is a hand's or the world's

    def read(self, value: Any, body: Body, entity: Entity) -> str | None:  # noqa: ARG002
        """Return the state that a payload says, None for nothing; set what varies of the attributes."""
        return state_text(value)

    def wanted(self, body: Body) -> str | None:
        """Return the state that a `/set` payload asks for, `ANY` if it can't be told, None if it doesn't."""
        return ANY if self.key in body else None

    def write(self, state: str, attributes: Mapping[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Return the `/set` payload that asks for a state, None where that is impossible."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped(Feature):
    """A closed set of raw values: switches, contacts, locks, fans."""

    states: Mapping[Any, str]
    commands: Mapping[str, Any] = field(default_factory=lambda: NO_ATTRIBUTES)  # state -> raw

    def read(self, value: Any, body: Body, entity: Entity) -> str | None:  # noqa: ARG002
        """Look the value up; an unknown one is a bad payload."""
        return self.states[value]

    def wanted(self, body: Body) -> str | None:
        """Look the value up; anything else (TOGGLE) may become any state."""
        if self.key not in body:
            return None
        value = body[self.key]
        return self.states.get(value.upper() if isinstance(value, str) else value, ANY)

    def write(self, state: str, attributes: Mapping[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Ask for a state by its raw value."""
        return {self.key: self.commands[state]} if state in self.commands else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Numeric(Feature):
    """A measured value or a number to set."""

    settable: bool = False

    def read(self, value: Any, body: Body, entity: Entity) -> str | None:  # noqa: ARG002
        """Return the number as text."""
        return number(value)

    def write(self, state: str, attributes: Mapping[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Ask for a number."""
        return {self.key: float(state)} if self.settable else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Feature):
    """One of some texts."""

    options: tuple[str, ...] = ()
    settable: bool = False

    def write(self, state: str, attributes: Mapping[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Ask for an option."""
        return {self.key: state} if self.settable and state in self.options else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Light(Mapped):
    """A light with a level, maybe a colour temperature."""

    level_key: str = "brightness"
    mireds_key: str = "color_temp"

    def read(self, value: Any, body: Body, entity: Entity) -> str | None:
        """Return on or off; the level only means something while on."""
        state = self.states[value]
        dynamic: dict[str, Any] = {}
        if state == "on":
            if (level := body.get(self.level_key)) is not None:
                dynamic["brightness"] = brightness(level, _FULL_BRIGHTNESS)
            if (mireds := body.get(self.mireds_key)) is not None:
                dynamic["color_temp"] = mireds
        entity.describe(dynamic)
        return state

    def wanted(self, body: Body) -> str | None:
        """Also read a bare level: above zero it switches on."""
        if self.key not in body and self.level_key in body:
            level = body[self.level_key]
            return "off" if level == 0 else "on"
        return Mapped.wanted(self, body)

    def write(self, state: str, attributes: Mapping[str, Any]) -> dict[str, Any] | None:
        """Ask for on or off, with the level and colour temperature that `attributes` hold."""
        data = Mapped.write(self, state, attributes)
        if data is not None and state == "on":
            if (level := attributes.get("brightness")) is not None:
                data[self.level_key] = round(real(level) * _FULL_BRIGHTNESS / 255)
            if (mireds := attributes.get("color_temp")) is not None:
                data[self.mireds_key] = mireds
        return data


_MOVING: Final[Mapping[Any, str]] = {
    "UP": "opening",
    "DOWN": "closing",
    "OPEN": "opening",
    "CLOSE": "closing",
}
_COVER: Final[Mapping[Any, str]] = {"OPEN": "open", "CLOSE": "closed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover(Feature):
    """A blind or a gate; 100 is fully open."""

    state_key: str = "state"
    position_key: str = "position"

    def read(self, value: Any, body: Body, entity: Entity) -> str | None:  # noqa: ARG002
        """Return what it does while it moves, else open or closed by position."""
        moving = _MOVING.get(body.get("moving") or body.get("motor_state"))
        position = body.get(self.position_key)
        if position is None:
            return moving or _COVER.get(body.get(self.state_key))
        entity.describe({"current_position": round(real(position))})
        return moving or ("open" if position > 0 else "closed")

    def wanted(self, body: Body) -> str | None:
        """Any movement is the command's: on the way it is opening or closing."""
        return ANY if self.state_key in body or self.position_key in body else None

    def write(self, state: str, attributes: Mapping[str, Any]) -> dict[str, Any] | None:
        """Ask for a position where one is given, else for open or closed."""
        position = attributes.get("position", attributes.get("current_position"))
        if position is not None and state == "open":
            return {self.position_key: round(real(position))}
        raw = {"open": "OPEN", "closed": "CLOSE"}.get(state)
        return None if raw is None else {self.state_key: raw}


_HVAC_ACTIONS: Final[Mapping[Any, str]] = {
    "idle": "idle", "heat": "heating", "cool": "cooling", "fan_only": "fan", "off": "off",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate(Feature):
    """A thermostat; one without a mode heats."""

    mode_key: str | None
    setpoint_key: str

    def read(self, value: Any, body: Body, entity: Entity) -> str | None:  # noqa: ARG002
        """Return the mode; the temperatures are attributes."""
        dynamic: dict[str, Any] = {}
        if (setpoint := body.get(self.setpoint_key)) is not None:
            dynamic["temperature"] = real(setpoint)
        if (now := body.get("local_temperature")) is not None:
            dynamic["current_temperature"] = real(now)
        if (action := _HVAC_ACTIONS.get(body.get("running_state"))) is not None:
            dynamic["hvac_action"] = action
        entity.describe(dynamic)
        return "heat" if self.mode_key is None else state_text(body[self.mode_key])

    def wanted(self, body: Body) -> str | None:
        """A mode, or a set point in any mode."""
        if self.mode_key is not None and self.mode_key in body:
            return str(body[self.mode_key])
        return ANY if self.setpoint_key in body else None

    def write(self, state: str, attributes: Mapping[str, Any]) -> dict[str, Any] | None:
        """Ask for a mode and, where given, a temperature."""
        data: dict[str, Any] = {} if self.mode_key is None else {self.mode_key: state}
        if (setpoint := attributes.get("temperature")) is not None:
            data[self.setpoint_key] = real(setpoint)
        return data or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Feature):
    """A press of a remote: an event, whose state is its time so that each press is a change."""

    def read(self, value: Any, body: Body, entity: Entity) -> str | None:  # noqa: ARG002
        """Return the action; the decoder turns it into an event."""
        return state_text(value) if value else None


def switch(key: str, suffix: str, on: Any = "ON", off: Any = "OFF") -> Mapped:
    """Return a switch."""
    states = {on: "on", off: "off", **({} if isinstance(on, bool) else ON_OFF)}
    return Mapped(key=key, domain="switch", suffix=suffix, states=states, commands={"on": on, "off": off})
