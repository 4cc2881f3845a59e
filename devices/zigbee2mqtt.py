"""Zigbee2MQTT: JSON states, availability, the retained inventory, remotes, and commands heard before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

import orjson

from devices.decoder import BadPayloadError, Publish
from devices.events import UNKNOWN, StateChange
from devices.native import BY_HAND, NOBODY, PRESSED, Device, Entity, NativeDecoder
from devices.values import moment
from devices.zigbee2mqtt_exposes import features_of, guess
from devices.zigbee2mqtt_features import Action, Feature

MAX_ROUTES: Final = 20_000
MAX_KEYS: Final = 256  # of one device, guessed

Route = Callable[[bytes, datetime, bool], list[StateChange]]


class _Plan:
    """How a device's payloads are read."""

    __slots__ = ("available", "device", "entities", "features", "keys", "listed", "members")

    def __init__(self, device: Device) -> None:
        self.device = device
        self.features: dict[str, Feature] = {}
        self.entities: list[tuple[Feature, Entity]] = []
        self.keys: dict[str, Any] = {}  # seen so far, while guessing
        self.listed = False  # in the inventory: nothing is guessed
        self.members: tuple[str, ...] = ()  # of a group
        self.available = True  # by its own availability topic


class Zigbee2MqttDecoder(NativeDecoder):
    """Decode Zigbee2MQTT.

    The inventory (`bridge/devices`, `bridge/groups`) says what each device is; until it is heard, keys are
    guessed. With an inventory, names that aren't in it are ignored: they are leftovers. A group repeats its
    members, so its changes have no origin.
    """

    family: ClassVar[str] = "zigbee2mqtt"

    def __init__(self, base: str = "zigbee2mqtt") -> None:
        super().__init__()
        self._base = base.rstrip("/")
        self._prefix = self._base + "/"
        self._plans: dict[str, _Plan] = {}
        self._routes: dict[str, Route] = {}
        self._names: dict[str, str] = {}  # IEEE address -> name
        self._inventory = False

    @property
    def subscriptions(self) -> Sequence[str]:
        """Everything under the base."""
        return (f"{self._base}/#",)

    def handles(self, topic: str) -> bool:
        """Whether a topic lies under the base."""
        return topic.startswith(self._prefix)

    def is_inventory(self, topic: str) -> bool:
        """The list of devices may be large."""
        return topic.startswith(self._prefix) and topic[len(self._prefix) :] in {
            "bridge/devices", "bridge/groups",
        }  # fmt: skip

    def command(self, entity_id: str, state: str, attributes: Mapping[str, Any]) -> Publish | None:
        """Ask a device for a state on its `/set` topic."""
        owner = self._owners.get(entity_id)
        if owner is None:
            return None
        device, key = owner
        data = self._plans[device.name].features[key].write(state, attributes)
        return None if data is None else Publish(f"{self._prefix}{device.name}/set", orjson.dumps(data))

    def _decode(self, topic: str, payload: bytes, received_at: datetime, retained: bool) -> list[StateChange]:  # noqa: FBT001
        route = self._routes.get(topic)
        if route is None:
            if len(self._routes) >= MAX_ROUTES:
                self._routes.clear()
            route = self._routes[topic] = self._route(topic[len(self._prefix) :])
        return route(payload, received_at, retained)

    # Routes: what a topic means, found once.

    def _route(self, rest: str) -> Route:
        if rest.startswith("bridge/"):
            bridge: dict[str, Route] = {
                "bridge/state": self._on_bridge_state,
                "bridge/devices": self._on_devices,
                "bridge/groups": self._on_groups,
            }
            return bridge.get(rest, _ignore)
        if (plan := self._plans.get(rest)) is not None and (plan.listed or plan.members):
            return self._state_route(rest)
        name, _, last = rest.rpartition("/")
        if name and last == "availability":
            return self._availability_route(name)
        if name and last == "set":
            return self._set_route(name, "")
        if "/set/" in rest:
            name, _, key = rest.partition("/set/")
            return self._set_route(name, key)
        if last == "get" or self._inventory or not rest:
            return _ignore
        return self._state_route(rest)

    def _plan(self, name: str) -> _Plan:
        plan = self._plans.get(name)
        if plan is None:
            plan = self._plans[name] = _Plan(self._device(name))
        return plan

    def _state_route(self, name: str) -> Route:
        plan = self._plan(name)
        return lambda payload, received_at, retained: self._on_state(plan, payload, received_at, retained)

    def _availability_route(self, name: str) -> Route:
        if self._inventory and name not in self._plans:
            return _ignore

        def route(payload: bytes, received_at: datetime, retained: bool) -> list[StateChange]:  # noqa: FBT001
            plan = self._plan(name)
            plan.available = _is_online(payload)
            return self._availability(plan.device, received_at, online=plan.available, retained=retained)

        return route

    def _set_route(self, name: str, key: str) -> Route:
        def route(payload: bytes, received_at: datetime, retained: bool) -> list[StateChange]:  # noqa: FBT001
            if not retained and name in self._plans:
                self._expect(self._plans[name], _set_body(payload, key), received_at)
            return []

        return route

    # What is heard on each.

    def _on_state(
        self,
        plan: _Plan,
        payload: bytes,
        received_at: datetime,
        retained: bool,  # noqa: FBT001
    ) -> list[StateChange]:
        if not payload:
            return []
        body = orjson.loads(payload)
        if not isinstance(body, dict):
            raise BadPayloadError("not an object")
        if not plan.listed and not plan.keys.keys() >= body.keys():
            self._guess(plan, body)
        changed_at = moment(body["last_seen"], received_at) if "last_seen" in body else received_at
        changes = []
        for feature, entity in plan.entities:
            value = body.get(feature.key)
            if value is None:
                continue
            if type(feature) is Action:
                if value and not retained:
                    changes.append(self._press(entity, feature, str(value), changed_at, received_at))
            elif (state := feature.read(value, body, entity)) is not None and (
                retained or not entity.is_repeat(state, received_at)
            ):
                changes.append(self._report(entity, state, changed_at, received_at, retained))
        return changes

    def _press(
        self, entity: Entity, feature: Feature, action: str, changed_at: datetime, received_at: datetime
    ) -> StateChange:
        entity.attributes = {**feature.attributes, "event_type": action[:255]}
        state = changed_at.isoformat(timespec="milliseconds")
        return self._report(entity, state, changed_at, received_at, False, PRESSED)  # noqa: FBT003

    def _on_bridge_state(self, payload: bytes, received_at: datetime, retained: bool) -> list[StateChange]:  # noqa: FBT001
        online = _is_online(payload)
        return [
            change
            for plan in self._plans.values()
            for change in self._availability(
                plan.device, received_at, online=online and plan.available, retained=retained
            )
        ]

    def _on_devices(self, payload: bytes, received_at: datetime, retained: bool) -> list[StateChange]:  # noqa: ARG002, FBT001
        devices = [
            device
            for device in orjson.loads(payload)
            if device.get("type") != "Coordinator" and not device.get("disabled")
        ]
        listed = {device["friendly_name"]: _features(device) for device in devices}
        self._names = {device["ieee_address"]: device["friendly_name"] for device in devices}
        self._forget_unlisted(lambda plan: not plan.members and plan.device.name not in listed)
        for name, features in listed.items():
            plan = self._plan(name)
            plan.listed, plan.members = True, ()
            self._set_features(plan, features)
        self._inventory = True
        self._routes.clear()
        return []

    def _on_groups(self, payload: bytes, received_at: datetime, retained: bool) -> list[StateChange]:  # noqa: ARG002, FBT001
        groups = orjson.loads(payload)
        names = {g["friendly_name"] for g in groups}
        self._forget_unlisted(lambda plan: bool(plan.members) and plan.device.name not in names)
        for group in groups:
            plan = self._plan(group["friendly_name"])
            members = (self._names.get(m["ieee_address"], "") for m in group.get("members") or ())
            plan.members = tuple(members) or ("",)
            plan.listed, plan.keys = False, {}  # what it can do shows in its payloads
        self._routes.clear()
        return []

    def _forget_unlisted(self, gone: Callable[[_Plan], bool]) -> None:
        for name in [name for name, plan in self._plans.items() if gone(plan)]:
            device = self._plans.pop(name).device
            for key in list(device.entities):
                self._drop(device, key)
            del self._devices[name]

    def _guess(self, plan: _Plan, body: Mapping[str, Any]) -> None:
        plan.keys = {**plan.keys, **body}
        if len(plan.keys) > MAX_KEYS:
            plan.keys = {}
            raise BadPayloadError("too many keys")
        self._set_features(plan, guess(plan.keys, plan.device.name))

    def _set_features(self, plan: _Plan, features: list[Feature]) -> None:
        name = plan.device.name
        plan.features = {feature.key: feature for feature in features}
        for key in plan.device.entities.keys() - plan.features.keys():
            self._drop(plan.device, key)
        plan.entities = []
        for feature in features:
            full = f"{name}_{feature.suffix}" if feature.suffix else name
            address = (self._prefix + name, feature.key)
            cause = BY_HAND if feature.by_hand and not plan.members else NOBODY
            entity = self._add(
                plan.device, feature.key, feature.domain, full,
                attributes=feature.attributes, address=address, cause=cause,
            )  # fmt: skip
            plan.entities.append((feature, entity))

    def _expect(self, plan: _Plan, body: Mapping[str, Any], at: datetime) -> None:
        for feature, entity in plan.entities:
            if (wanted := feature.wanted(body)) is not None:
                entity.expect(wanted or None, at)
        for name in plan.members:  # what a group is asked for, its members are asked for
            if (member := self._plans.get(name)) is not None and not member.members:
                self._expect(member, body, at)


def _ignore(payload: bytes, received_at: datetime, retained: bool) -> list[StateChange]:  # noqa: ARG001, FBT001
    return []


def _features(device: Mapping[str, Any]) -> list[Feature]:
    """Return a listed device's features; one that can't be read has none, the others keep theirs."""
    try:
        return features_of((device.get("definition") or {}).get("exposes") or [], device["friendly_name"])
    except (AttributeError, TypeError, ValueError):
        return []


def _is_online(payload: bytes) -> bool:
    value = orjson.loads(payload)["state"] if payload.startswith(b"{") else payload.decode()
    if value not in {"online", "offline"}:
        raise BadPayloadError(f"neither online nor offline: {str(value)[:40]!r}")
    return bool(value == "online")


def _set_body(payload: bytes, key: str) -> Mapping[str, Any]:
    """Return what is asked for: JSON, or a bare value for `key` (the state)."""
    if key or not payload.startswith(b"{"):
        try:
            value = orjson.loads(payload)
        except orjson.JSONDecodeError:
            value = payload.decode()
        return {key or "state": value}
    body = orjson.loads(payload)
    return body if isinstance(body, dict) else {"state": UNKNOWN}
