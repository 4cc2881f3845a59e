"""ESPHome over MQTT: `<node>/<component>/<id>/state`, the further topics of covers, climates and fans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

import orjson

from devices.decoder import BadPayloadError, Publish, slug
from devices.events import UNKNOWN, StateChange
from devices.native import BY_HAND, NOBODY, PRESSED, Cause, Device, Entity, NativeDecoder
from devices.values import BINARY_CLASSES, ON_OFF, SENSOR_CLASSES, brightness, guess_class, number, real, text

_DOMAINS: Final[Mapping[str, str]] = {
    "alarm_control_panel": "alarm_control_panel",
    "binary_sensor": "binary_sensor",
    "climate": "climate",
    "cover": "cover",
    "event": "event",
    "fan": "fan",
    "light": "light",
    "lock": "lock",
    "number": "number",
    "select": "select",
    "sensor": "sensor",
    "switch": "switch",
    "text_sensor": "sensor",
    "valve": "valve",
}
_LISTED_STATES: Final = frozenset({"alarm_control_panel", "climate", "cover", "lock", "valve"})
# What arrives beside the state: topic part -> Home Assistant's attribute.
_BESIDE: Final[Mapping[str, str]] = {
    "position": "current_position",
    "tilt": "current_tilt_position",
    "current_temperature": "current_temperature",
    "target_temperature": "temperature",
}
_ASKED: Final[Mapping[str, str]] = {
    "ON": "on", "OFF": "off", "LOCK": "locked", "UNLOCK": "unlocked", "OPEN": "opening", "CLOSE": "closing",
}  # fmt: skip
_COMMANDS: Final[Mapping[str, Mapping[str, str]]] = {
    "switch": {"on": "ON", "off": "OFF"},
    "fan": {"on": "ON", "off": "OFF"},
    "cover": {"open": "OPEN", "closed": "CLOSE"},
    "valve": {"open": "OPEN", "closed": "CLOSE"},
    "lock": {"locked": "LOCK", "unlocked": "UNLOCK"},
}


class EsphomeDecoder(NativeDecoder):
    """Decode ESPHome nodes.

    Any first level may be a node, so list this decoder last, or name the nodes. Device classes aren't in
    these topics: they are guessed from the ids (`bath_temperature`) until discovery says more.
    """

    family: ClassVar[str] = "esphome"

    def __init__(self, nodes: Sequence[str] = ()) -> None:
        super().__init__()
        self._nodes = frozenset(nodes)

    @property
    def subscriptions(self) -> Sequence[str]:
        """The nodes' topics; any node's where none is named."""
        tails = ("status", "+/+/state", "+/+/command", "+/+/+/state", "+/+/+/command")
        return [f"{node}/{tail}" for node in sorted(self._nodes) or ("+",) for tail in tails]

    def handles(self, topic: str) -> bool:
        """Whether a topic has ESPHome's levels."""
        node, _, rest = topic.partition("/")
        if self._nodes and node not in self._nodes:
            return False
        if rest == "status":
            return bool(self._nodes) or node in self._devices
        return rest.partition("/")[0] in _DOMAINS and rest.endswith(("/state", "/command"))

    def command(self, entity_id: str, state: str, attributes: Mapping[str, Any]) -> Publish | None:
        """Ask an entity for a state on its command topic."""
        owner = self._owners.get(entity_id)
        if owner is None:
            return None
        device, key = owner
        domain, topic = key.partition("/")[0], f"{device.name}/{key}"
        if domain == "light" and state in {"on", "off"}:
            data: dict[str, Any] = {"state": state.upper()}
            if state == "on" and "brightness" in attributes:
                data["brightness"] = round(real(attributes["brightness"]))
            return Publish(f"{topic}/command", orjson.dumps(data))
        if domain == "climate":
            if (setpoint := attributes.get("temperature")) is not None:
                return Publish(f"{topic}/target_temperature/command", str(real(setpoint)).encode())
            return Publish(f"{topic}/mode/command", state.encode())
        if domain == "cover" and state == "open" and "position" in attributes:
            return Publish(f"{topic}/position/command", str(round(real(attributes["position"]))).encode())
        raw = state if domain in {"number", "select"} else _COMMANDS.get(domain, {}).get(state)
        return None if raw is None else Publish(f"{topic}/command", raw.encode())

    def _decode(self, topic: str, payload: bytes, received_at: datetime, retained: bool) -> list[StateChange]:  # noqa: FBT001
        node, *rest = topic.split("/")
        if rest == ["status"]:
            online = {b"online": True, b"offline": False}[payload]
            device = self._device(node)
            return self._availability(device, received_at, online=online, retained=retained)
        component, object_id, *beside, last = rest
        if not object_id or len(beside) > 1:
            raise BadPayloadError("not an entity's topic")
        key = f"{component}/{object_id}"
        if last == "command":
            known = self._devices.get(node)
            if known is not None and (asked := known.entities.get(key)) is not None:
                asked.expect(_ASKED.get(_command_text(payload)), received_at)
            return []
        device = self._device(node)
        entity = device.entities.get(key) or self._create(device, component, object_id)
        if component == "event":
            return self._event(entity, payload, received_at, retained)
        if beside and not (component == "climate" and beside[0] == "mode"):
            return _beside(self, entity, beside[0], payload, (received_at, retained))
        state = _state(component, payload, entity)
        return [self._report(entity, state, received_at, received_at, retained)]

    def _event(
        self,
        entity: Entity,
        payload: bytes,
        received_at: datetime,
        retained: bool,  # noqa: FBT001
    ) -> list[StateChange]:
        if retained:
            return []
        entity.describe({"event_type": str(orjson.loads(payload)["event_type"])[:255]})
        state = received_at.isoformat(timespec="milliseconds")
        return [self._report(entity, state, received_at, received_at, retained, PRESSED)]

    def _create(self, device: Device, component: str, object_id: str) -> Entity:
        domain = _DOMAINS[component]
        attributes: dict[str, Any] = {"friendly_name": object_id.replace("_", " ").capitalize()}
        guessed = guess_class(object_id) or ""
        if component == "sensor" and guessed in SENSOR_CLASSES:
            attributes["device_class"], attributes["unit_of_measurement"] = SENSOR_CLASSES[guessed]
        elif component == "binary_sensor" and guessed in BINARY_CLASSES:
            attributes["device_class"] = BINARY_CLASSES[guessed]
        key = f"{component}/{object_id}"
        cause: Cause = NOBODY if domain in {"sensor", "climate"} else BY_HAND
        tail = "mode/state" if component == "climate" else "state"
        address = (f"{device.name}/{key}/{tail}", "")
        own = object_id.startswith(f"{slug(device.name)}_")  # some ids repeat the node's name
        name = object_id if own else f"{device.name}_{object_id}"
        return self._add(device, key, domain, name, attributes=attributes, address=address, cause=cause)


def _state(component: str, payload: bytes, entity: Entity) -> str:
    if component == "light":
        body = orjson.loads(payload)
        state = ON_OFF[body["state"]]
        level = body.get("brightness") if state == "on" else None
        entity.describe({} if level is None else {"brightness": brightness(level, 255)})
        return state
    value = text(payload)
    if component in {"sensor", "number"}:
        return number(value)
    if component in {"binary_sensor", "switch", "fan"}:
        return value if value == UNKNOWN else ON_OFF[value]
    return value.lower() if component in _LISTED_STATES else value


def _beside(
    decoder: EsphomeDecoder, entity: Entity, what: str, payload: bytes, how: tuple[datetime, bool]
) -> list[StateChange]:
    """A level or temperature, in a topic of its own: attributes change, the state doesn't."""
    attribute = _BESIDE.get(what)
    if attribute is None:
        return []
    value = float(number(text(payload)))
    static = entity.static.keys()
    dynamic = {k: v for k, v in entity.attributes.items() if k not in static}
    entity.describe({**dynamic, attribute: real(value)})
    if not entity.state:
        return []
    received_at, retained = how
    return [decoder._report(entity, entity.state, received_at, received_at, retained)]


def _command_text(payload: bytes) -> str:
    """Return what is asked for: ON of a light's JSON, else the text itself."""
    if payload.startswith(b"{"):
        return str(orjson.loads(payload).get("state", "ON")).upper()
    return payload.decode().strip().upper()
