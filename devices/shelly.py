"""Shelly gen2 and later: `<prefix>/status/<component>` and `<prefix>/events/rpc`; gen1: `shellies/<id>/…`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

import orjson

from devices.decoder import BadPayloadError, Publish
from devices.events import Origin, StateChange
from devices.native import COMMANDED, NOBODY, PRESSED, Cause, Device, Entity, NativeDecoder
from devices.shelly_gen1 import Shelly1Decoder
from devices.values import SENSOR_CLASSES, brightness, moment, number, percent, real

__all__ = ["Shelly1Decoder", "Shelly2Decoder", "cause_of_source"]

MAX_PREFIXES: Final = 2000
MAX_COMPONENTS: Final = 64  # of one message

_SOURCES: Final[Mapping[str, Cause]] = {
    "button": PRESSED, "switch": PRESSED, "input": PRESSED, "init": PRESSED,
    "timer": (Origin.AUTOMATION, 0.9), "schedule": (Origin.AUTOMATION, 0.9),
    "loopback": (Origin.AUTOMATION, 0.8), "script": (Origin.AUTOMATION, 0.8),
    "limit_switch": NOBODY, "timeout": NOBODY,
}  # fmt: skip

# component -> [(its key, suffix, quantity, factor to the quantity's unit)]
_MEASURED: Final[Mapping[str, Sequence[tuple[str, str, str, float]]]] = {
    "switch": (("apower", "power", "power", 1), ("aenergy.total", "energy", "energy", 0.001)),
    "light": (("apower", "power", "power", 1), ("aenergy.total", "energy", "energy", 0.001)),
    "cover": (("apower", "power", "power", 1), ("aenergy.total", "energy", "energy", 0.001)),
    "pm1": (("apower", "power", "power", 1), ("aenergy.total", "energy", "energy", 0.001)),
    "em": (("total_act_power", "power", "power", 1),),
    "em1": (("act_power", "power", "power", 1),),
    "emdata": (("total_act", "energy", "energy", 0.001),),
    "em1data": (("total_act_energy", "energy", "energy", 0.001),),
    "temperature": (("tC", "temperature", "temperature", 1),),
    "humidity": (("rh", "humidity", "humidity", 1),),
    "illuminance": (("lux", "illuminance", "illuminance", 1),),
    "voltmeter": (("voltage", "voltage", "voltage", 1),),
    "devicepower": (("battery.percent", "battery", "battery", 1),),
}
_BINARY: Final[Mapping[str, tuple[str, str]]] = {
    "input": ("state", ""), "smoke": ("alarm", "smoke"), "flood": ("alarm", "moisture"),
    "presence": ("presence", "occupancy"),
}  # fmt: skip
_LIGHTS: Final = frozenset({"light", "rgb", "rgbw", "cct", "rgbcct"})
_COVER: Final[Mapping[Any, str | None]] = {
    "open": "open", "closed": "closed", "opening": "opening", "closing": "closing", "calibrating": None,
}  # fmt: skip


def cause_of_source(source: Any) -> Cause:
    """Return who a `source` stands for: the device's own evidence; any way in (MQTT, HTTP …) is a command.

    >>> cause_of_source("button")[0].value, cause_of_source("timer")[0].value, cause_of_source("MQTT")
    ('physical', 'automation', (<Origin.UNKNOWN: 'unknown'>, 0.5))
    """
    return _SOURCES.get(source.lower(), COMMANDED) if isinstance(source, str) else NOBODY


class Shelly2Decoder(NativeDecoder):
    """Decode Shelly gen2 and later.

    A prefix is the device's id (`shellyplus1-…`) unless the resident chose another: those are learned from
    the first `events/rpc` or given as `prefixes`.
    """

    family: ClassVar[str] = "shelly"

    def __init__(self, prefixes: Sequence[str] = ()) -> None:
        super().__init__()
        self._given = tuple(prefixes)
        self._prefixes = set(prefixes)

    @property
    def subscriptions(self) -> Sequence[str]:
        """Status, notifications and availability of any prefix of one level, and of those given."""
        tails = ("status/+", "events/rpc", "online")
        return [f"{prefix}/{tail}" for prefix in ("+", *self._given) for tail in tails]

    def handles(self, topic: str) -> bool:
        """Whether a topic is a known device's, or unmistakable."""
        if topic.endswith("/events/rpc"):
            return True
        prefix = _prefix_of(topic)
        return prefix is not None and (prefix.startswith("shelly") or prefix in self._prefixes)

    def command(self, entity_id: str, state: str, attributes: Mapping[str, Any]) -> Publish | None:
        """Ask a switch, a light or a cover for a state by RPC."""
        owner = self._owners.get(entity_id)
        if owner is None:
            return None
        device, key = owner
        component, _, number_ = key.partition(":")
        if not number_.isdigit():
            return None
        params: dict[str, Any] = {"id": int(number_)}
        if component == "cover":
            position = attributes.get("position")
            method = {"open": "Cover.Open", "closed": "Cover.Close"}.get(state)
            if state == "open" and position is not None:
                method, params["pos"] = "Cover.GoToPosition", round(real(position))
        else:
            named = {"switch": "Switch", "light": "Light"}.get(component, component.upper())
            method = f"{named}.Set" if state in {"on", "off"} and component in {"switch", *_LIGHTS} else None
            params["on"] = state == "on"
            if component in _LIGHTS and state == "on" and "brightness" in attributes:
                params["brightness"] = percent(attributes["brightness"])
        if method is None:
            return None
        call = {"id": 1, "src": "inkling", "method": method, "params": params}
        return Publish(f"{device.name}/rpc", orjson.dumps(call))

    def _decode(self, topic: str, payload: bytes, received_at: datetime, retained: bool) -> list[StateChange]:  # noqa: FBT001
        prefix = _prefix_of(topic)
        if prefix is None:
            return []
        if topic.endswith("/online"):
            online = {b"true": True, b"false": False}[payload]
            device = self._device(prefix)
            return self._availability(device, received_at, online=online, retained=retained)
        body = orjson.loads(payload)
        if topic.endswith("/events/rpc"):
            return self._notification(prefix, body, received_at, retained)
        component = topic.rpartition("/")[2]
        device = self._device(prefix)
        return list(self._component(device, component, body, (received_at, received_at, retained)))

    def _notification(
        self,
        prefix: str,
        body: Mapping[str, Any],
        received_at: datetime,
        retained: bool,  # noqa: FBT001
    ) -> list[StateChange]:
        params = body["params"]
        if not isinstance(params, dict) or len(params) > MAX_COMPONENTS:
            raise BadPayloadError("not a notification")
        if len(self._prefixes) < MAX_PREFIXES:
            self._prefixes.add(prefix)
        device = self._device(prefix)
        at = moment(params.get("ts"), received_at)
        if body["method"] == "NotifyEvent":
            events = (e for e in params["events"][:MAX_COMPONENTS] if not retained)
            return [c for e in events for c in self._event(device, e, at, received_at)]
        how = (at, received_at, retained)
        return [c for key, value in params.items() for c in self._component(device, key, value, how)]

    def _component(
        self, device: Device, key: str, status: Any, how: tuple[datetime, datetime, bool]
    ) -> Iterator[StateChange]:
        """Read one component's status or the part of it that changed."""
        component = key.partition(":")[0]
        if not isinstance(status, dict):
            return
        entity = device.entities.get(key)
        state = _state_of(component, status)
        if state is None and entity is not None and ("brightness" in status or "current_pos" in status):
            state = entity.state or None  # a delta of the level alone
        if state is not None:
            entity = entity or self._create(device, component, key)
            if component in _LIGHTS:
                level = status.get("brightness") if state == "on" else None
                entity.describe({} if level is None else {"brightness": brightness(level, 100)})
            elif component == "cover" and (position := status.get("current_pos")) is not None:
                entity.describe({"current_position": round(real(position))})
            cause = PRESSED if component in _BINARY else cause_of_source(status.get("source"))
            yield self._report(entity, state, *how, cause)
        for path, suffix, quantity, factor in _MEASURED.get(component, ()):
            if (measured := _at(status, path)) is not None:
                value = measured if factor == 1 else round(real(measured) * factor, 6)
                yield self._measure(device, f"{key}/{suffix}", quantity, number(value), how)

    def _measure(
        self, device: Device, key: str, quantity: str, value: str, how: tuple[datetime, datetime, bool]
    ) -> StateChange:
        entity = device.entities.get(key)
        if entity is None:
            component, _, suffix = key.partition("/")
            device_class, unit = SENSOR_CLASSES[quantity]
            entity = self._add(
                device, key, "sensor", f"{device.name}_{component}_{suffix}",
                attributes={"friendly_name": f"{device.name} {component} {suffix}",
                            "device_class": device_class, "unit_of_measurement": unit},
                address=(f"{device.name}/status/{component}", suffix),
            )  # fmt: skip
        return self._report(entity, value, *how, NOBODY)

    def _event(
        self, device: Device, event: Mapping[str, Any], at: datetime, received_at: datetime
    ) -> Iterator[StateChange]:
        """A button's press: an event whose state is its time."""
        key, kind = event["component"], str(event["event"])[:255]
        if not key.startswith("input:"):
            return
        entity = device.entities.get(f"{key}!") or self._add(
            device, f"{key}!", "event", f"{device.name}_{key}",
            attributes={"friendly_name": f"{device.name} {key}", "device_class": "button"},
            address=(f"{device.name}/events/rpc", key), cause=PRESSED,
        )  # fmt: skip
        entity.describe({"event_type": kind})
        at = moment(event.get("ts"), at)
        yield self._report(entity, at.isoformat(timespec="milliseconds"), at, received_at, False, PRESSED)  # noqa: FBT003

    def _create(self, device: Device, component: str, key: str) -> Entity:
        domain = "light" if component in _LIGHTS else "binary_sensor" if component in _BINARY else component
        attributes: dict[str, Any] = {"friendly_name": f"{device.name} {key}"}
        if component in _BINARY and (device_class := _BINARY[component][1]):
            attributes["device_class"] = device_class
        field = {"cover": "state"}.get(component, _BINARY.get(component, ("output", ""))[0])
        return self._add(
            device, key, domain, f"{device.name}_{key}",
            attributes=attributes, address=(f"{device.name}/status/{key}", field),
        )  # fmt: skip


def _prefix_of(topic: str) -> str | None:
    """Return the device's prefix of a topic, None for a topic that isn't read."""
    prefix, _, last = topic.rpartition("/")
    if last == "online":
        return prefix
    prefix, _, before = prefix.rpartition("/")
    return prefix if prefix and (before == "status" or (before, last) == ("events", "rpc")) else None


def _state_of(component: str, status: Mapping[str, Any]) -> str | None:
    """Return the state that a status or a part of it says, None for nothing."""
    if component == "cover" and "state" in status:
        return _cover(status["state"], status.get("current_pos"))
    field = "output" if component in {"switch", *_LIGHTS} else _BINARY.get(component, ("", ""))[0]
    value = status.get(field)
    return None if not isinstance(value, bool) else "on" if value else "off"


def _cover(state: Any, position: Any) -> str | None:
    """Stopped halfway is open, as it is in Home Assistant."""
    if state == "stopped":
        return "closed" if position == 0 else "open"
    return _COVER[state]


def _at(value: Mapping[str, Any], path: str) -> Any:
    head, _, rest = path.partition(".")
    found = value.get(head)
    return found.get(rest) if rest and isinstance(found, dict) else None if rest else found
