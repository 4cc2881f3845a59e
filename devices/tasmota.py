"""Tasmota: relays, lights, shutters, switches, buttons and sensors on `stat/`, `tele/` and `cmnd/`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

import orjson

from devices.decoder import BadPayloadError, Publish
from devices.events import Origin, StateChange
from devices.native import NOBODY, PRESSED, Cause, Device, NativeDecoder
from devices.values import ON_OFF, SENSOR_CLASSES, brightness, guess_class, number, percent, real

MAX_KEYS: Final = 128  # of one message
_RELAY: Final = re.compile(r"POWER(\d{0,2})")
_SHUTTER: Final = re.compile(r"Shutter(\d{1,2})", re.IGNORECASE)
_INPUT: Final = re.compile(r"(Switch|Button)(\d{1,2})")
_LIGHT_KEYS: Final = ("Dimmer", "Color", "CT", "HSBColor", "White")
_AT_DEVICE: Final[Cause] = (Origin.PHYSICAL, 0.7)  # its own web page and rules look the same
_NOT_SENSORS: Final = frozenset(
    {"Id", "TotalStartTime", "Period", "Factor", "ApparentPower", "ReactivePower"}
)


class TasmotaDecoder(NativeDecoder):
    """Decode Tasmota with its default topics `%prefix%/%topic%/`.

    A relay is a switch until a dimmer or a colour is heard of it, then a light. `tele/…/STATE` repeats
    states on a timer, so a change first heard there has no origin. `Time` has no zone and isn't used.
    """

    family: ClassVar[str] = "tasmota"

    @property
    def subscriptions(self) -> Sequence[str]:
        """State, telemetry, and commands (to know what was commanded)."""
        return ("stat/+/+", "tele/+/+", "cmnd/+/+")

    def handles(self, topic: str) -> bool:
        """Whether a topic has one of Tasmota's prefixes and three levels."""
        return topic.startswith(("stat/", "tele/", "cmnd/")) and topic.count("/") == 2

    def command(self, entity_id: str, state: str, attributes: Mapping[str, Any]) -> Publish | None:
        """Ask a relay, a light or a shutter for a state."""
        owner = self._owners.get(entity_id)
        if owner is None:
            return None
        device, key = owner
        if (shutter := _SHUTTER.fullmatch(key)) is not None:
            position = attributes.get("position", {"open": 100, "closed": 0}.get(state))
            if position is None:
                return None
            return self._cmnd(device, f"ShutterPosition{shutter[1]}", str(round(real(position))))
        if _RELAY.fullmatch(key) is None or state not in {"on", "off"}:
            return None
        if state == "on" and entity_id.startswith("light.") and "brightness" in attributes:
            level = percent(attributes["brightness"])
            return self._cmnd(device, f"Dimmer{key[len('POWER') :]}", str(level))
        return self._cmnd(device, key, state.upper())

    def _cmnd(self, device: Device, command: str, payload: str) -> Publish:
        return Publish(f"cmnd/{device.name}/{command}", payload.encode())

    def _decode(self, topic: str, payload: bytes, received_at: datetime, retained: bool) -> list[StateChange]:  # noqa: FBT001
        prefix, name, last = topic.split("/")
        device = self._device(name)
        if prefix == "cmnd":
            self._expect(device, last, payload, received_at)
            return []
        if last == "LWT":
            online = {b"Online": True, b"Offline": False}[payload]
            return self._availability(device, received_at, online=online, retained=retained)
        if _RELAY.fullmatch(last):
            return [self._relay(device, last, payload.decode(), {}, (received_at, retained, None))]
        if last in {"RESULT", "STATE", "SENSOR"}:
            body = orjson.loads(payload)
            if not isinstance(body, dict) or len(body) > MAX_KEYS:
                raise BadPayloadError("not a report")
            # A timer's report says when it was sent, not who changed what.
            how = (received_at, retained, None if last == "RESULT" else NOBODY)
            return list(self._body(device, f"{prefix}/{name}/{last}", body, how))
        return []

    def _body(
        self, device: Device, topic: str, body: Mapping[str, Any], how: tuple[datetime, bool, Cause | None]
    ) -> Iterator[StateChange]:
        for key, value in body.items():
            if _RELAY.fullmatch(key):
                yield self._relay(device, key, value, body, how)
            elif (shutter := _SHUTTER.fullmatch(key)) and isinstance(value, dict):
                yield self._shutter(device, f"Shutter{shutter[1]}", value, how)
            elif _INPUT.fullmatch(key):
                yield from self._input(device, topic, key, value, how)
            elif isinstance(value, dict) and topic.endswith("SENSOR"):
                yield from self._sensor(device, topic, key, value, how)

    def _relay(
        self, device: Device, key: str, value: Any, body: Mapping[str, Any],
        how: tuple[datetime, bool, Cause | None],
    ) -> StateChange:  # fmt: skip
        state = ON_OFF[value]
        key = "POWER" if key == "POWER1" and "POWER" in device.entities else key
        entity = device.entities.get(key)
        is_light = any(k in body for k in _LIGHT_KEYS) and key in {"POWER", "POWER1"}
        if entity is None or (is_light and entity.entity_id.startswith("switch.")):
            n = key[len("POWER") :]
            name = f"{device.name}_{n}" if n not in {"", "1"} else device.name
            entity = self._add(
                device, key, "light" if is_light else "switch", name,
                attributes={"friendly_name": device.name if n in {"", "1"} else f"{device.name} {n}"},
                address=(f"stat/{device.name}/RESULT", key), cause=_AT_DEVICE,
            )  # fmt: skip
            self.addresses[f"stat/{device.name}/{key}", ""] = entity.entity_id
            self.addresses[f"tele/{device.name}/STATE", key] = entity.entity_id
        if is_light:
            on = state == "on" and "Dimmer" in body
            entity.describe({"brightness": brightness(body["Dimmer"], 100)} if on else {})
        elif state == "off":
            entity.describe({})
        at, retained, cause = how
        return self._report(entity, state, at, at, retained, cause)

    def _shutter(
        self, device: Device, key: str, value: Mapping[str, Any], how: tuple[datetime, bool, Cause | None]
    ) -> StateChange:
        entity = device.entities.get(key) or self._add(
            device, key, "cover", f"{device.name}_{key}",
            attributes={"friendly_name": f"{device.name} {key}"},
            address=(f"stat/{device.name}/RESULT", key), cause=_AT_DEVICE,
        )  # fmt: skip
        position = round(real(value["Position"]))
        entity.describe({"current_position": position})
        moving = {1: "opening", -1: "closing"}.get(value.get("Direction", 0))
        at, retained, cause = how
        return self._report(entity, moving or ("open" if position else "closed"), at, at, retained, cause)

    def _input(
        self, device: Device, topic: str, key: str, value: Any, how: tuple[datetime, bool, Cause | None]
    ) -> Iterator[StateChange]:
        """A switch has a state; a button's press is an event, whose state is its time."""
        action = value.get("Action") if isinstance(value, dict) else value
        at, retained, cause = how
        name, attributes = f"{device.name}_{key}", {"friendly_name": f"{device.name} {key}"}
        if action in {"ON", "OFF"}:
            entity = device.entities.get(key) or self._add(
                device, key, "binary_sensor", name,
                attributes=attributes, address=(topic, key), cause=PRESSED,
            )  # fmt: skip
            yield self._report(entity, ON_OFF[action], at, at, retained, cause)
        elif isinstance(action, str) and not retained:
            entity = device.entities.get(f"{key}!") or self._add(
                device, f"{key}!", "event", name,
                attributes=attributes, address=(topic, key), cause=PRESSED,
            )  # fmt: skip
            entity.describe({"event_type": action.lower()[:255]})
            yield self._report(entity, at.isoformat(timespec="milliseconds"), at, at, retained, PRESSED)

    def _sensor(
        self, device: Device, topic: str, sensor: str, values: Mapping[str, Any],
        how: tuple[datetime, bool, Cause | None],
    ) -> Iterator[StateChange]:  # fmt: skip
        at, retained, _ = how
        for key, value in list(values.items())[:MAX_KEYS]:
            if key in _NOT_SENSORS or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            path = f"{sensor}.{key}"
            entity = device.entities.get(path) or self._add(
                device, path, "sensor", f"{device.name}_{sensor}_{key}",
                attributes=_described(f"{device.name} {sensor} {key}", sensor, key), address=(topic, path),
            )  # fmt: skip
            yield self._report(entity, number(value), at, at, retained, NOBODY)

    def _expect(self, device: Device, command: str, payload: bytes, at: datetime) -> None:
        """Note what is asked for; "" and "?" only ask for the state."""
        if payload in {b"", b"?"}:
            return
        value = payload.decode().strip().upper()
        upper = command.upper()
        states = {"ON": "on", "1": "on", "OFF": "off", "0": "off"}
        for key, entity in device.entities.items():
            if key.startswith("POWER"):
                if upper in {key, "BACKLOG"} or (upper == "POWER1" and key == "POWER"):
                    entity.expect(states.get(value) if upper != "BACKLOG" else None, at)
                elif upper.startswith(("DIMMER", "COLOR", "CT", "HSBCOLOR")):
                    entity.expect("off" if value == "0" else "on", at)
            elif key.startswith("Shutter") and upper.startswith("SHUTTER"):
                entity.expect(None, at)


def _described(name: str, sensor: str, key: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {"friendly_name": name}
    quantity = "energy" if sensor == "ENERGY" and key in {"Total", "Today", "Yesterday"} else key.lower()
    if (known := SENSOR_CLASSES.get(guess_class(quantity) or "")) is not None:
        attributes["device_class"], attributes["unit_of_measurement"] = known
    return attributes
