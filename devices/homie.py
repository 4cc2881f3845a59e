"""Homie 5: devices that describe themselves in a retained `$description`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

import orjson

from devices.decoder import BadPayloadError, Publish
from devices.events import Origin, StateChange
from devices.native import NOBODY, PRESSED, Cause, Entity, NativeDecoder
from devices.values import BINARY_CLASSES, ON_OFF, SENSOR_CLASSES, guess_class, number, text

MAX_EARLY: Final = 1000
"""Values that may wait for their device's description."""
MAX_PROPERTIES: Final = 64  # of one device
_AT_DEVICE: Final[Cause] = (Origin.PHYSICAL, 0.6)  # a controller of its own looks the same
_ONLINE: Final[Mapping[str, bool]] = {
    "init": False, "ready": True, "sleeping": True, "disconnected": False, "lost": False,
}  # fmt: skip
_NUMERIC: Final = frozenset({"integer", "float"})


@dataclass(frozen=True, slots=True)
class _Property:
    """What a description says of one property."""

    domain: str
    datatype: str
    settable: bool
    options: tuple[str, ...]
    attributes: Mapping[str, Any]
    cause: Cause


class HomieDecoder(NativeDecoder):
    """Decode Homie 5: `<base>/5/<device>/<node>/<property>`.

    Booleans are switches where settable, else binary sensors; numbers and enumerations alike. A value that
    is neither retained nor settable is an event: each report of it counts. Values heard before their
    device's description wait for it.
    """

    family: ClassVar[str] = "homie"

    def __init__(self, base: str = "homie") -> None:
        super().__init__()
        self._base = f"{base.rstrip('/')}/5"
        self._prefix = self._base + "/"
        self._properties: dict[tuple[str, str], _Property] = {}
        self._early: dict[str, tuple[bytes, datetime, bool]] = {}  # topic -> message

    @property
    def subscriptions(self) -> Sequence[str]:
        """Everything under the base."""
        return (f"{self._base}/#",)

    def handles(self, topic: str) -> bool:
        """Whether a topic lies under the base."""
        return topic.startswith(self._prefix)

    def is_inventory(self, topic: str) -> bool:
        """Descriptions may be large."""
        return topic.startswith(self._prefix) and topic.endswith("/$description")

    def command(self, entity_id: str, state: str, attributes: Mapping[str, Any]) -> Publish | None:  # noqa: ARG002
        """Ask a settable property for a value."""
        owner = self._owners.get(entity_id)
        if owner is None:
            return None
        device, key = owner
        what = self._properties[device.name, key]
        raw = {"on": "true", "off": "false"}.get(state) if what.datatype == "boolean" else state
        if raw is None or not what.settable or (what.options and raw not in what.options):
            return None
        return Publish(f"{self._prefix}{device.name}/{key}/set", raw.encode())

    def _decode(self, topic: str, payload: bytes, received_at: datetime, retained: bool) -> list[StateChange]:  # noqa: FBT001
        name, *rest = topic[len(self._prefix) :].split("/")
        match rest:
            case ["$description"]:
                return self._describe(name, payload)
            case ["$state"]:
                device = self._device(name)
                online = _ONLINE[payload.decode()] if payload else False
                return self._availability(device, received_at, online=online, retained=retained)
            case [node, prop] if not node.startswith("$") and not prop.startswith("$"):
                return self._value(name, f"{node}/{prop}", topic, payload, (received_at, retained))
            case [node, prop, "set"] if not retained:
                self._expect(name, f"{node}/{prop}", payload, received_at)
        return []

    def _describe(self, name: str, payload: bytes) -> list[StateChange]:
        device = self._device(name)
        described = _properties(orjson.loads(payload), name) if payload else {}
        for key in device.entities.keys() - described.keys():
            self._drop(device, key)
            del self._properties[name, key]
        for key, what in described.items():
            self._properties[name, key] = what
            former = device.entities.get(key)
            if former is not None and not former.entity_id.startswith(what.domain + "."):
                self._drop(device, key)
            self._add(
                device, key, what.domain, f"{name}_{key}",
                attributes=what.attributes, address=(f"{self._prefix}{name}/{key}", ""), cause=what.cause,
            )  # fmt: skip
        prefix = f"{self._prefix}{name}/"
        waiting = [topic for topic in self._early if topic.startswith(prefix)]
        changes = []
        for topic in waiting:
            early, received_at, retained = self._early.pop(topic)
            changes += self._value(name, topic[len(prefix) :], "", early, (received_at, retained))
        return changes

    def _value(
        self, name: str, key: str, topic: str, payload: bytes, how: tuple[datetime, bool]
    ) -> list[StateChange]:
        received_at, retained = how
        device = self._devices.get(name)
        entity = None if device is None else device.entities.get(key)
        if entity is None:
            if topic and len(self._early) < MAX_EARLY and (device is None or not device.entities):
                self._early[topic] = (payload, received_at, retained)
            return []
        what = self._properties[name, key]
        value = text(payload)
        if what.domain == "event":
            return self._press(entity, value, received_at) if not retained else []
        if what.datatype == "boolean":
            value = ON_OFF[value]
        elif what.datatype in _NUMERIC:
            value = number(value)
        return [self._report(entity, value, received_at, received_at, retained)]

    def _press(self, entity: Entity, value: str, received_at: datetime) -> list[StateChange]:
        entity.describe({"event_type": value})
        state = received_at.isoformat(timespec="milliseconds")
        return [self._report(entity, state, received_at, received_at, False, PRESSED)]  # noqa: FBT003

    def _expect(self, name: str, key: str, payload: bytes, at: datetime) -> None:
        device = self._devices.get(name)
        if device is not None and (entity := device.entities.get(key)) is not None:
            value = payload.decode()
            boolean = self._properties[name, key].datatype == "boolean"
            entity.expect(ON_OFF.get(value) if boolean else value, at)


def _properties(description: Mapping[str, Any], name: str) -> dict[str, _Property]:
    """Return a description's properties by `node/property`."""
    found: dict[str, _Property] = {}
    device_name = str(description.get("name") or name)
    for node_id, node in (description.get("nodes") or {}).items():
        for prop_id, prop in (node.get("properties") or {}).items():
            if len(found) >= MAX_PROPERTIES:
                raise BadPayloadError("too many properties")
            label = f"{device_name} {prop.get('name') or prop_id}"
            found[f"{node_id}/{prop_id}"] = _property(prop, prop_id.replace("-", "_"), label)
    return found


def _property(prop: Mapping[str, Any], prop_id: str, label: str) -> _Property:
    datatype, settable = str(prop.get("datatype", "string")), prop.get("settable") is True
    attributes: dict[str, Any] = {"friendly_name": label}
    guessed, cause = guess_class(prop_id) or "", _AT_DEVICE
    options: tuple[str, ...] = ()
    if prop.get("retained") is False and not settable:
        domain = "event"
    elif datatype == "boolean":
        domain = "switch" if settable else "binary_sensor"
        if not settable and guessed in BINARY_CLASSES:
            attributes["device_class"] = BINARY_CLASSES[guessed]
    elif datatype in _NUMERIC:
        domain, cause = ("number", _AT_DEVICE) if settable else ("sensor", NOBODY)
        if not settable and guessed in SENSOR_CLASSES:
            attributes["device_class"] = SENSOR_CLASSES[guessed][0]
        if prop.get("unit"):
            attributes["unit_of_measurement"] = str(prop["unit"])
    else:
        domain, cause = ("select", _AT_DEVICE) if settable and datatype == "enum" else ("sensor", NOBODY)
        if datatype == "enum":
            options = tuple(str(prop.get("format", "")).split(","))
            attributes["options"] = list(options)
    return _Property(domain, datatype, settable, options, attributes, cause)
