"""A simulated home as others would hear it: Zigbee2MQTT, Home Assistant's statestream, a recording."""

from __future__ import annotations

from binascii import crc32
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from devices.decoder import Publish
from devices.events import UNAVAILABLE, Origin, StateChange
from devices.recording import format_line
from devices.simulated_devices import SimulatedEvent
from devices.simulated_plan import Entity, HomePlan

RESIDENT_USER: Final = "5eed0000000000000000000000000001"
_AUTOMATION_PARENT: Final = "5eed0000000000000000000002"


def as_recording_line(event: SimulatedEvent) -> bytes:
    """Return the event as a line of a recording, with the context that Home Assistant would give it."""
    change = event.change
    user_id = RESIDENT_USER if change.origin is Origin.PERSON else None
    parent_id = _AUTOMATION_PARENT if change.origin is Origin.AUTOMATION else None
    return format_line(change, user_id, parent_id)


def as_statestream(event: SimulatedEvent, base: str = "statestream") -> list[Publish]:
    """Return what mqtt_statestream publishes, attributes and timestamps on: QoS 1, retained, state first."""
    change = event.change
    domain, _, object_id = change.entity_id.partition(".")
    topic = f"{base}/{domain}/{object_id}/"
    at = change.changed_at.isoformat()
    values = {"state": change.new.encode(), "last_updated": at.encode(), "last_changed": at.encode()}
    values |= {name: orjson.dumps(value) for name, value in change.attributes.items()}
    return [Publish(topic + name, payload, qos=1, retain=True) for name, payload in values.items()]


class Zigbee2Mqtt:
    """The home's Zigbee side: what Zigbee2MQTT publishes about it, and the commands that it takes.

    A device's whole state goes out each time one of its entities changes, as Zigbee2MQTT does it. Feed it
    every event, the initial ones first.
    """

    def __init__(
        self, plan: HomePlan, base: str = "zigbee2mqtt", *, qos: int = 0, retain: bool = False
    ) -> None:
        self._base = base
        self._qos = qos
        self._retain = retain
        self._devices: dict[str, list[Entity]] = {}
        self._by_id: dict[str, Entity] = {}
        for entity in plan.entities:
            if entity.device is not None:
                self._devices.setdefault(entity.device, []).append(entity)
                self._by_id[entity.entity_id] = entity
        self._state = {name: _first_state(name, entities) for name, entities in self._devices.items()}
        self._offline: set[str] = set()

    def inventory(self) -> list[Publish]:
        """Return the retained messages of a bridge that has just come up: its state, devices and groups."""
        devices = [_COORDINATOR, *(_listed(name, entities) for name, entities in self._devices.items())]
        return [
            self._retained("bridge/state", {"state": "online"}),
            self._retained("bridge/devices", devices),
            self._retained("bridge/groups", []),
            *(self._retained(f"{name}/availability", {"state": "online"}) for name in self._devices),
        ]

    def messages(self, event: SimulatedEvent) -> list[Publish]:
        """Return what is published about an event: nothing for what isn't Zigbee."""
        change = event.change
        entity = self._by_id.get(change.entity_id)
        if entity is None or entity.device is None:
            return []
        name, found = entity.device, []
        if (change.new == UNAVAILABLE) != (name in self._offline):
            self._offline ^= {name}
            online = "offline" if change.new == UNAVAILABLE else "online"
            found.append(self._retained(f"{name}/availability", {"state": online}))
        if change.new != UNAVAILABLE:
            state = self._state[name]
            state.update(_values(entity, change))
            state["linkquality"] = 60 + crc32(f"{name}{change.changed_at}".encode()) % 120
            payload = orjson.dumps(state, option=orjson.OPT_SORT_KEYS)
            found.append(Publish(f"{self._base}/{name}", payload, self._qos, self._retain))
        return found

    def commanded(self, topic: str, payload: bytes) -> tuple[str, str, int | None] | None:
        """Return the entity, state and brightness that a `/set` message asks for, None for any other."""
        name = topic.removeprefix(f"{self._base}/").removesuffix("/set")
        if topic != f"{self._base}/{name}/set" or name not in self._devices:
            return None
        try:
            body = orjson.loads(payload)
        except orjson.JSONDecodeError:
            body = {"state": payload.decode(errors="replace")}
        if not isinstance(body, dict):
            return None
        for entity in self._devices[name]:
            domain = entity.entity_id.partition(".")[0]
            raw = body.get("system_mode" if domain == "climate" else "state")
            state = _SETTABLE.get(domain, {}).get(str(raw))
            level = body.get("brightness")
            if state is not None:
                return entity.entity_id, state, _scale(level, 255 / 254) if isinstance(level, int) else None
        return None

    def _retained(self, topic: str, body: Any) -> Publish:
        return Publish(f"{self._base}/{topic}", orjson.dumps(body), self._qos, retain=True)


def _scale(level: float, factor: float) -> int:
    return round(level * factor)


_RAW: Final[Mapping[str, Mapping[str, str]]] = {
    "light": {"on": "ON", "off": "OFF"},
    "switch": {"on": "ON", "off": "OFF"},
    "cover": {"open": "OPEN", "closed": "CLOSE"},
    "lock": {"locked": "LOCK", "unlocked": "UNLOCK"},
    "climate": {"heat": "heat", "off": "off"},
}
_SETTABLE: Final = {domain: {raw: state for state, raw in pairs.items()} for domain, pairs in _RAW.items()}


def _values(entity: Entity, change: StateChange) -> dict[str, Any]:
    """Return what an entity's state puts into its device's JSON."""
    domain, new = change.domain, change.new
    if domain == "binary_sensor":
        return {entity.key: (new == "on") != (entity.key == "contact")}  # contact is made when it is closed
    if domain == "sensor":
        return {entity.key: float(new) if "." in new else int(new)}
    raw = _RAW[domain][new]
    if domain == "cover":
        return {"state": raw, "position": change.attributes.get("current_position", 0)}
    if domain == "lock":
        return {"state": raw, "lock_state": new}
    if domain == "climate":
        setpoint = change.attributes["temperature"]
        running = "heat" if new == "heat" else "idle"
        return {"system_mode": raw, "occupied_heating_setpoint": setpoint, "running_state": running}
    level = change.attributes.get("brightness")
    return {"state": raw} if level is None else {"state": raw, "brightness": _scale(level, 254 / 255)}


def _first_state(name: str, entities: Iterable[Entity]) -> dict[str, Any]:
    """Return what Zigbee2MQTT would have cached: the battery, and a light's last brightness."""
    state: dict[str, Any] = {}
    for entity in entities:
        if entity.battery:
            state |= {"battery": 60 + crc32(name.encode()) % 41, "voltage": 2985}
        if entity.entity_id.startswith("light."):
            state["brightness"] = 254
    return state


# ------------------------------------------------------------------------------------ the inventory

_COORDINATOR: Final = {
    "ieee_address": "0x00124b0000000000",
    "type": "Coordinator",
    "network_address": 0,
    "supported": True,
    "disabled": False,
    "friendly_name": "Coordinator",
    "definition": None,
    "interview_completed": True,
    "interviewing": False,
    "endpoints": {},
}
_UNITS: Final = {"temperature": "°C", "humidity": "%", "power": "W"}


def _listed(name: str, entities: Iterable[Entity]) -> dict[str, Any]:
    battery = any(entity.battery for entity in entities)
    exposes = [_exposed(entity) for entity in entities]
    if battery:
        exposes.append(_numeric("battery", "%") | {"category": "diagnostic"})
    exposes.append(_numeric("linkquality", "lqi") | {"category": "diagnostic"})
    number = crc32(name.encode())
    return {
        "ieee_address": f"0x00158d00{number:08x}",
        "type": "EndDevice" if battery else "Router",
        "network_address": number % 0xFFF7 + 1,
        "supported": True,
        "disabled": False,
        "friendly_name": name,
        "definition": {
            "model": "simulated",
            "vendor": "Inkling",
            "description": name.replace("_", " "),
            "exposes": exposes,
            "options": [],
            "supports_ota": False,
        },
        "power_source": "Battery" if battery else "Mains (single phase)",
        "interview_completed": True,
        "interviewing": False,
        "endpoints": {},
    }


def _exposed(entity: Entity) -> dict[str, Any]:
    domain, key = entity.entity_id.partition(".")[0], entity.key
    if domain == "binary_sensor":
        on = key != "contact"
        return _feature("binary", key, 1, value_on=on, value_off=not on)
    if domain == "sensor":
        return _numeric(key, _UNITS[key])
    return {"type": domain, "features": _features(domain)}


def _features(domain: str) -> list[dict[str, Any]]:
    if domain == "climate":
        return [
            _feature(
                "numeric",
                "occupied_heating_setpoint",
                7,
                unit="°C",
                value_min=5,
                value_max=30,
                value_step=0.5,
            ),
            _feature("enum", "system_mode", 7, values=["off", "heat"]),
            _feature("enum", "running_state", 5, values=["idle", "heat"]),
        ]
    if domain == "cover":
        return [
            _feature("enum", "state", 3, values=["OPEN", "CLOSE", "STOP"]),
            _feature("numeric", "position", 7, unit="%", value_min=0, value_max=100),
        ]
    active, rest = ("LOCK", "UNLOCK") if domain == "lock" else ("ON", "OFF")
    found = [_feature("binary", "state", 7, value_on=active, value_off=rest)]
    if domain == "light":
        found.append(_feature("numeric", "brightness", 7, value_min=0, value_max=254))
    if domain == "lock":
        found.append(_feature("enum", "lock_state", 1, values=["locked", "unlocked"]))
    return found


def _numeric(key: str, unit: str) -> dict[str, Any]:
    return _feature("numeric", key, 1, unit=unit)


def _feature(kind: str, key: str, access: int, **more: Any) -> dict[str, Any]:
    label = key.replace("_", " ").capitalize()
    return {"type": kind, "name": key, "property": key, "label": label, "access": access, **more}
