"""What the decoders of devices' own topics share: entities, availability, and commands heard before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from devices.decoder import MAX_STATE_CHARS, BadPayloadError, Decoder, slug
from devices.events import NO_ATTRIBUTES, UNAVAILABLE, Origin, Source, StateChange

COMMANDED_WITHIN: Final = timedelta(seconds=5)
"""A report this long after a command may be the command's."""
MAX_DEVICES: Final = 4000
MAX_ENTITIES: Final = 20_000
MAX_ENTITY_ID_CHARS: Final = 255

Cause = tuple[Origin, float]
NOBODY: Final[Cause] = (Origin.UNKNOWN, 0.0)
REPEAT: Final = timedelta(minutes=5)
COMMANDED: Final[Cause] = (Origin.UNKNOWN, 0.5)  # by somebody, through MQTT: an app or an automation
BY_HAND: Final[Cause] = (Origin.PHYSICAL, 0.8)
_UNDER_WAY: Final = frozenset({"opening", "closing", "locking", "unlocking"})
PRESSED: Final[Cause] = (Origin.PHYSICAL, 0.95)  # a remote's or a wall button's own report


class Entity:
    """One entity of a device: its id, its attributes, what it last said, what it was last asked for."""

    __slots__ = (
        "_dynamic", "_latest", "_told", "_told_at", "_wanted", "_wanted_at",
        "attributes", "cause", "device", "entity_id", "state", "static",
    )  # fmt: skip

    def __init__(self, entity_id: str, device: Device, static: Mapping[str, Any], cause: Cause) -> None:
        self.entity_id = entity_id
        self.device = device
        self.static = static
        self.attributes = static  # one object as long as nothing in it changes
        self.cause = cause  # of a change that nobody commanded
        self.state = ""
        self._latest = cause  # of the last change
        self._dynamic: Mapping[str, Any] = NO_ATTRIBUTES
        self._wanted: str | None = None
        self._wanted_at: datetime | None = None
        self._told: Mapping[str, Any] | None = None  # attributes, when a repeat was last passed on
        self._told_at: datetime | None = None

    def is_repeat(self, state: str, at: datetime) -> bool:
        """Whether a live report says nothing new: most of what devices send whole. One in REPEAT passes.

        The one is enough to know that the entity lives, and to put right what another source got wrong.
        """
        told_at = self._told_at
        if (
            state == self.state
            and self.attributes is self._told
            and told_at is not None
            and told_at <= at < told_at + REPEAT
            and self._wanted_at is None
            and self.device.online
        ):
            return True
        self._told, self._told_at = self.attributes, at
        return False

    def describe(self, dynamic: Mapping[str, Any]) -> None:
        """Set the attributes that change with the state."""
        if dynamic != self._dynamic:
            self._dynamic = dynamic
            self.attributes = {**self.static, **dynamic} if dynamic else self.static

    def redefine(self, static: Mapping[str, Any], cause: Cause) -> None:
        """Set what an inventory says of it; the state that it last reported stays."""
        if static != self.static:
            self.static = self.attributes = static
            self._dynamic = NO_ATTRIBUTES
        self.cause = cause

    def expect(self, state: str | None, at: datetime) -> None:
        """Note that a state was asked for; None stands for any (a toggle)."""
        self._wanted, self._wanted_at = state, at

    def cause_of(self, state: str, at: datetime) -> Cause:
        """Return who caused a report: the first change to what was asked is the command's, no later one.

        The end of a movement has the cause of its beginning.
        """
        if state == self.state or self.state not in _UNDER_WAY:
            self._latest = self._fresh_cause(state, at)
        return self._latest

    def _fresh_cause(self, state: str, at: datetime) -> Cause:
        if self._wanted_at is None:
            return self.cause
        if at - self._wanted_at > COMMANDED_WITHIN:
            self._wanted_at = None
            return self.cause
        if self._wanted is not None and self._wanted != state:
            return self.cause
        if state != self.state:
            self._wanted_at = None
        return COMMANDED


class Device:
    """A device: its entities by the key that its payloads use, and whether it is reachable."""

    __slots__ = ("entities", "name", "online")

    def __init__(self, name: str) -> None:
        self.name = name
        self.entities: dict[str, Entity] = {}
        self.online = True


class NativeDecoder(Decoder):
    """Base of the decoders of devices' own topics. Memory: bounded numbers of devices and entities."""

    def __init__(self) -> None:
        super().__init__()
        self._devices: dict[str, Device] = {}
        self._owners: dict[str, tuple[Device, str]] = {}  # entity id -> its device and key there

    def _device(self, name: str) -> Device:
        device = self._devices.get(name)
        if device is None:
            if len(self._devices) >= MAX_DEVICES:
                raise BadPayloadError("too many devices")
            device = self._devices[name] = Device(name)
        return device

    def _add(
        self, device: Device, key: str, domain: str, name: str, /, *,
        attributes: Mapping[str, Any], address: tuple[str, str], cause: Cause = NOBODY,
    ) -> Entity:  # fmt: skip
        """Add an entity; two names that give one id are told apart as Home Assistant does, by a number."""
        wanted = f"{domain}.{slug(name)}"
        if len(wanted) > MAX_ENTITY_ID_CHARS or len(self._owners) >= MAX_ENTITIES:
            raise BadPayloadError(f"no room for entity {wanted[:60]!r}")
        entity_id, n = wanted, 2
        while self._owners.get(entity_id, (device, key)) != (device, key):
            entity_id, n = f"{wanted}_{n}", n + 1
        if (former := device.entities.get(key)) is not None:
            if former.entity_id == entity_id:
                former.redefine(attributes, cause)
                return former
            self._drop(device, key)
        entity = Entity(entity_id, device, attributes, cause)
        device.entities[key] = entity
        self._owners[entity_id] = (device, key)
        self.addresses[address] = entity_id
        return entity

    def _drop(self, device: Device, key: str) -> None:
        """Remove an entity that its device no longer has."""
        entity_id = device.entities.pop(key).entity_id
        self._owners.pop(entity_id, None)
        for address in [a for a, owner in self.addresses.items() if owner == entity_id]:
            del self.addresses[address]

    def _report(  # noqa: PLR0917 - the hot path
        self, entity: Entity, state: str, changed_at: datetime, received_at: datetime,
        retained: bool, cause: Cause | None = None,  # noqa: FBT001
    ) -> StateChange:  # fmt: skip
        """Return the change that a report of a state is.

        What was retained before a device went away isn't so now: it is unavailable until it speaks.
        """
        if len(state) > MAX_STATE_CHARS:
            raise BadPayloadError(f"{len(state)} characters")
        if retained:
            origin, confidence = NOBODY
        else:
            origin, confidence = cause or entity.cause_of(state, received_at)
        entity.state = state
        if not entity.device.online:
            if retained:
                state = UNAVAILABLE
            else:
                entity.device.online = True
        return StateChange(
            entity.entity_id, state, changed_at, received_at, None, entity.attributes,
            origin, confidence, retained, Source.NATIVE,
        )  # fmt: skip

    def _availability(
        self, device: Device, received_at: datetime, *, online: bool, retained: bool
    ) -> list[StateChange]:
        """Return a device's entities as unavailable, or as they were when it comes back."""
        if online == device.online:
            return []
        device.online = online
        return [
            StateChange(
                entity.entity_id, entity.state if online else UNAVAILABLE, received_at, received_at, None,
                entity.attributes, Origin.UNKNOWN, 0.0, retained, Source.NATIVE,
            )
            for entity in device.entities.values()
            if entity.state
        ]  # fmt: skip
