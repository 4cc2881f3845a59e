"""Shelly gen1: `shellies/<id>/relay/0`, rollers, lights, inputs, meters and sensors, one value a topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

import orjson

from devices.decoder import BadPayloadError, Publish
from devices.events import UNKNOWN, Origin, StateChange
from devices.native import COMMANDED, NOBODY, PRESSED, Cause, Device, Entity, NativeDecoder
from devices.values import ON_OFF, SENSOR_CLASSES, brightness, number, percent, real, text

_AT_DEVICE: Final[Cause] = (
    Origin.PHYSICAL,
    0.6,
)  # app and schedules look the same
_SOURCES: Final[Mapping[str, Cause]] = {
    "input": PRESSED, "init": PRESSED,
    "timer": (Origin.AUTOMATION, 0.9), "schedule": (Origin.AUTOMATION, 0.9),
}  # fmt: skip
_BINARY: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "state": ("opening", {"open": "on", "close": "off"}),
    "motion": ("motion", {"1": "on", "0": "off", "true": "on", "false": "off"}),
    "flood": ("moisture", {"true": "on", "false": "off"}),
    "smoke": ("smoke", {"true": "on", "false": "off"}),
    "gas": ("gas", {"mild": "on", "heavy": "on", "none": "off", "test": "off", UNKNOWN: "off"}),
    "vibration": ("vibration", {"1": "on", "0": "off"}),
}
_MEASURED: Final[Mapping[str, str]] = {
    "temperature": "temperature", "humidity": "humidity", "battery": "battery", "lux": "illuminance",
}  # fmt: skip
_PRESSES: Final[Mapping[Any, str]] = {
    "S": "single", "L": "long", "SS": "double", "SSS": "triple", "SL": "single_long", "LS": "long_single",
}  # fmt: skip
_WATT_MINUTES: Final = 60_000  # of a kWh
_ROLLER_MOVING: Final[Mapping[str, str]] = {"open": "opening", "close": "closing"}
_LIGHTS: Final = frozenset({"light", "color", "white"})


class Shelly1Decoder(NativeDecoder):
    """Decode Shelly gen1. Only a light's status names its source; elsewhere a command heard before counts."""

    family: ClassVar[str] = "shelly_gen1"

    @property
    def subscriptions(self) -> Sequence[str]:
        """Everything of gen1."""
        return ("shellies/#",)

    def handles(self, topic: str) -> bool:
        """Whether a topic lies under gen1's fixed base."""
        return topic.startswith("shellies/")

    def command(self, entity_id: str, state: str, attributes: Mapping[str, Any]) -> Publish | None:
        """Ask a relay, a light or a roller for a state."""
        owner = self._owners.get(entity_id)
        if owner is None:
            return None
        device, key = owner
        topic, kind = f"shellies/{device.name}/{key}", key.partition("/")[0]
        if kind == "roller":
            if state == "open" and "position" in attributes:
                return Publish(f"{topic}/command/pos", str(round(real(attributes["position"]))).encode())
            raw = {"open": b"open", "closed": b"close"}.get(state)
            return None if raw is None else Publish(f"{topic}/command", raw)
        if state not in {"on", "off"} or kind not in {"relay", *_LIGHTS}:
            return None
        if kind in _LIGHTS and state == "on" and "brightness" in attributes:
            data = {"turn": "on", "brightness": percent(attributes["brightness"])}
            return Publish(f"{topic}/set", orjson.dumps(data))
        return Publish(f"{topic}/command", state.encode())

    def _decode(self, topic: str, payload: bytes, received_at: datetime, retained: bool) -> list[StateChange]:  # noqa: FBT001, PLR0911
        _, name, *rest = topic.split("/")
        how = (received_at, received_at, retained)
        match rest:
            case ["online"]:
                online = {b"true": True, b"false": False}[payload]
                device = self._device(name)
                return self._availability(device, received_at, online=online, retained=retained)
            case ["relay", n]:
                return self._relay(self._device(name), f"relay/{n}", payload, how)
            case ["roller", n, *what]:
                return self._roller(self._device(name), f"roller/{n}", what, payload, how)
            case [kind, n, "status"] if kind in _LIGHTS:
                return self._light(self._device(name), f"{kind}/{n}", payload, how)
            case [_, n, ("power" | "energy") as what]:
                return self._meter(self._device(name), "/".join(rest), what, payload, how)
            case ["input", n]:
                state = {b"1": "on", b"0": "off"}[payload]
                entity = self._known(self._device(name), f"input/{n}", "binary_sensor", {}, PRESSED)
                return [self._report(entity, state, *how)]
            case ["input_event", n] if not retained:
                return self._press(self._device(name), f"input_event/{n}", payload, received_at)
            case ["sensor", what]:
                return self._sensor(self._device(name), what, payload, how)
            case [_, _, "command" | "set"] | [_, _, "command", "pos"] if not retained:
                self._expect(name, rest, payload, received_at)
        return []

    def _known(
        self, device: Device, key: str, domain: str, described: Mapping[str, Any], cause: Cause
    ) -> Entity:
        """Return an entity, made when first heard: the first channel bears the device's name alone."""
        entity = device.entities.get(key)
        if entity is None:
            label = "" if key in {"relay/0", "roller/0", "light/0", "color/0", "white/0"} else key
            entity = self._add(
                device, key, domain, f"{device.name}_{label}" if label else device.name,
                attributes={"friendly_name": f"{device.name} {label}".strip(), **described},
                address=(f"shellies/{device.name}/{key}", ""), cause=cause,
            )  # fmt: skip
        return entity

    def _relay(
        self, device: Device, key: str, payload: bytes, how: tuple[datetime, datetime, bool]
    ) -> list[StateChange]:
        state = {b"on": "on", b"off": "off", b"overpower": "off"}[payload]
        entity = self._known(device, key, "switch", {}, _AT_DEVICE)
        return [self._report(entity, state, *how)]

    def _roller(
        self, device: Device, key: str, what: list[str], payload: bytes, how: tuple[datetime, datetime, bool]
    ) -> list[StateChange]:
        """Position and movement come in topics of their own; -1 is a roller that isn't calibrated."""
        if what not in ([], ["pos"], ["power"], ["energy"]):
            if what[0] == "command" and not how[2]:
                self._expect(device.name, [*key.split("/"), *what], payload, how[1])
            return []
        if what in (["power"], ["energy"]):
            return self._meter(device, f"{key}/{what[0]}", what[0], payload, how)
        entity = self._known(device, key, "cover", {}, _AT_DEVICE)
        if what == ["pos"]:
            position = float(payload)
            if position >= 0:
                entity.describe({"current_position": round(position)})
            state = entity.state if entity.state in {"opening", "closing"} else ""
        else:
            state = _ROLLER_MOVING.get(payload.decode(), "")
        if not state:
            at = entity.attributes.get("current_position")
            if at is None:
                return []
            state = "open" if at > 0 else "closed"
        return [self._report(entity, state, *how)]

    def _light(
        self, device: Device, key: str, payload: bytes, how: tuple[datetime, datetime, bool]
    ) -> list[StateChange]:
        body = orjson.loads(payload)
        state = ON_OFF[body["ison"]]
        entity = self._known(device, key, "light", {}, _AT_DEVICE)
        level = body.get("gain" if body.get("mode") == "color" else "brightness") if state == "on" else None
        entity.describe({} if level is None else {"brightness": brightness(level, 100)})
        source = body.get("source")
        cause = _SOURCES.get(source, COMMANDED) if isinstance(source, str) else None
        return [self._report(entity, state, *how, cause)]

    def _meter(
        self, device: Device, key: str, what: str, payload: bytes, how: tuple[datetime, datetime, bool]
    ) -> list[StateChange]:
        value = real(float(payload))
        device_class, unit = SENSOR_CLASSES[what]
        entity = self._known(
            device, key, "sensor", {"device_class": device_class, "unit_of_measurement": unit}, NOBODY
        )
        state = number(value if what == "power" else round(value / _WATT_MINUTES, 4))
        return [self._report(entity, state, *how)]

    def _press(self, device: Device, key: str, payload: bytes, at: datetime) -> list[StateChange]:
        """A button's press is an event, whose state is its time; an empty one is the release."""
        body = orjson.loads(payload)
        kind = body["event"]
        if not kind:
            return []
        if not isinstance(kind, str):
            raise BadPayloadError("not a press")
        entity = self._known(device, key, "event", {"device_class": "button"}, PRESSED)
        entity.describe({"event_type": _PRESSES.get(kind, kind.lower()[:255])})
        return [self._report(entity, at.isoformat(timespec="milliseconds"), at, at, False, PRESSED)]  # noqa: FBT003

    def _sensor(
        self, device: Device, what: str, payload: bytes, how: tuple[datetime, datetime, bool]
    ) -> list[StateChange]:
        key, value = f"sensor/{what}", text(payload)
        if what in _BINARY:
            device_class, states = _BINARY[what]
            state = states[value]
            entity = self._known(device, key, "binary_sensor", {"device_class": device_class}, PRESSED)
        elif what in _MEASURED:
            state = number(value)
            device_class, unit = SENSOR_CLASSES[_MEASURED[what]]
            described = {"device_class": device_class, "unit_of_measurement": unit}
            entity = self._known(device, key, "sensor", described, NOBODY)
        else:
            return []
        return [self._report(entity, state, *how)]

    def _expect(self, name: str, rest: list[str], payload: bytes, at: datetime) -> None:
        device = self._devices.get(name)
        if device is None or (entity := device.entities.get("/".join(rest[:2]))) is None:
            return
        asked = payload.decode()
        if asked.startswith("{"):
            asked = str(orjson.loads(payload).get("turn", ""))
        entity.expect({"on": "on", "off": "off", "open": "opening", "close": "closing"}.get(asked), at)
