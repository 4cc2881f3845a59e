"""The vocabulary of a simulated home: what is in it, who lives there and what they are used to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from devices.decoder import slug

WORKDAYS: Final = frozenset(range(5))
WEEKEND: Final = frozenset({5, 6})
EVERY_DAY: Final = WORKDAYS | WEEKEND

_ACTIVE: Final = {"cover": "open", "lock": "unlocked", "media_player": "playing", "climate": "heat"}
_REST: Final = {"cover": "closed", "lock": "locked"}


def active_state(entity_id: str) -> str:
    """Return the state in which an entity is on, open or unlocked.

    >>> active_state("lock.front_door"), active_state("light.kitchen")
    ('unlocked', 'on')
    """
    return _ACTIVE.get(entity_id.partition(".")[0], "on")


def rest_state(entity_id: str) -> str:
    """Return the state in which an entity is off, closed or locked."""
    return _REST.get(entity_id.partition(".")[0], "off")


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity. `device` is its Zigbee device's friendly name, None where it isn't Zigbee."""

    entity_id: str
    area: str
    initial: str
    attributes: Mapping[str, Any]
    device: str | None = None
    key: str = "state"  # of its value in the device's JSON
    battery: bool = False


@dataclass(frozen=True, slots=True)
class Curve:
    """A numeric sensor: base + swing·cos(hour − peak) + AR(1) noise, read every `every_s`."""

    base: float
    swing: float
    peak_hour: float
    noise: float
    every_s: float
    digits: int = 1


@dataclass(frozen=True, slots=True)
class Cycle:
    """A duty cycle: `high` for about `on_s`, `low` for about `off_s`, whatever the residents do."""

    high: str
    low: str
    on_s: float
    off_s: float
    needs: str | None = None  # runs only while this entity is in its active state


@dataclass(frozen=True, slots=True)
class Load:
    """The power of what a switch feeds, in watts."""

    switch: str
    watts: float


@dataclass(frozen=True, slots=True)
class MotionLight:
    """Automation: the light follows the motion sensor in the dark."""

    sensor: str
    light: str
    off_after_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Scheduled:
    """Automation: a state at a local hour, or at an offset in hours from sunset."""

    entity_id: str
    state: str
    hour: float
    from_sunset: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """How a room answers to somebody in it; `keeps_light`: the chance that the light stays on behind them."""

    area: str
    light: str | None = None
    motion: str | None = None
    keeps_light: float = 0.0
    windowless: bool = False


@dataclass(frozen=True, slots=True)
class Casual:
    """Something that is used now and then during a stay in a room, for about `lasts_s`."""

    entity_id: str
    area: str
    chance: float
    lasts_s: float
    hours: tuple[float, float] = (5.0, 26.0)
    days: frozenset[int] = EVERY_DAY


class Anchor(StrEnum):
    """What a habit follows."""

    CLOCK = "clock"
    WAKE = "wake"
    LEAVE = "leave"
    BACK = "back"
    BED = "bed"


@dataclass(frozen=True, slots=True)
class Step:
    """One action of a habit, `delay_s` after the one before it."""

    entity_id: str
    state: str
    delay_s: float = 30.0
    level: int | None = None  # brightness, 1..255


@dataclass(frozen=True, slots=True)
class Habit:
    """A named sequence of actions that one resident repeats.

    `offset_h` counts in hours from the anchor (CLOCK: local midnight) with a standard deviation of
    `jitter_h`; `regularity` is the chance that it happens on a day when it could, `partial` that one of its
    switching-on steps is left out when it does.
    """

    name: str
    person: str
    steps: tuple[Step, ...]
    anchor: Anchor
    offset_h: float
    days: frozenset[int] = EVERY_DAY
    regularity: float = 0.85
    jitter_h: float = 0.05
    partial: float = 0.08


@dataclass(frozen=True, slots=True)
class Hours:
    """A kind of day, in local hours (over 24: after midnight). Out between `leave` and `back` with `goes`."""

    wake: float
    leave: float
    back: float
    bed: float
    goes: float = 1.0
    jitter_h: float = 0.2


@dataclass(frozen=True, slots=True)
class Stay:
    """How a resident uses a room: relative weights in the morning, by day, in the evening; minutes a stay."""

    area: str
    weights: tuple[float, float, float]
    minutes: float


@dataclass(frozen=True, slots=True)
class Person:
    """A resident. `entity_id` is None for a guest, whom the home doesn't know."""

    name: str
    bedroom: str
    bathroom: str
    hall: str
    workday: Hours
    weekend: Hours
    stays: tuple[Stay, ...]
    entity_id: str | None
    uses_app: float = 0.2  # share of what they switch that goes through an app
    evening_out: float = 0.0  # chance on a Friday or Saturday


@dataclass(frozen=True, slots=True)
class HomePlan:
    """A home and its household."""

    name: str
    entities: tuple[Entity, ...]
    rooms: tuple[Room, ...]
    people: tuple[Person, ...]
    guest: Person
    front_door: str
    habits: tuple[Habit, ...]
    casual: tuple[Casual, ...]
    automations: tuple[MotionLight | Scheduled, ...]
    sensors: Mapping[str, Curve | Cycle | Load]
    left_alone: frozenset[str] = frozenset()  # runs on by itself when everybody leaves or sleeps

    def switched_off(self) -> tuple[str, ...]:
        """Return what the last one to leave or to go to bed switches off, or locks."""
        automatic = {a.light if isinstance(a, MotionLight) else a.entity_id for a in self.automations}
        return tuple(
            e.entity_id
            for e in self.entities
            if e.entity_id.startswith(("light.", "switch.", "media_player.", "lock."))
            and e.entity_id not in automatic | self.left_alone
        )


def entity(kind: str, device: str, area: str, *, name: str = "", **attributes: Any) -> Entity:
    """Build the entity that Zigbee2MQTT makes of a device's `kind` ("light", "contact", "temperature", …).

    >>> entity("contact", "fridge_door", "kitchen").entity_id
    'binary_sensor.fridge_door_contact'
    """
    domain, unit, device_class, initial = _KINDS[kind]
    given: dict[str, Any] = {
        "friendly_name": name or device.rpartition("/")[2].replace("_", " ").capitalize()
    }
    if unit:
        given |= {"unit_of_measurement": unit, "state_class": "measurement"}
    if device_class:
        given["device_class"] = device_class
    main = domain not in {"sensor", "binary_sensor"}
    object_id = slug(device) if main else f"{slug(device)}_{kind}"
    return Entity(
        f"{domain}.{object_id}",
        area,
        initial,
        MappingProxyType(given | attributes),
        device,
        "state" if main else kind,
        battery=domain == "binary_sensor" or kind in {"temperature", "humidity"},
    )


def plain(entity_id: str, area: str, initial: str, **attributes: Any) -> Entity:
    """Build an entity that isn't Zigbee: a person, a media player, the heating."""
    name = entity_id.partition(".")[2].replace("_", " ").capitalize()
    return Entity(entity_id, area, initial, MappingProxyType({"friendly_name": name, **attributes}))


_KINDS: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "light": ("light", "", "", "off"),
    "switch": ("switch", "", "", "off"),
    "cover": ("cover", "", "shade", "closed"),
    "lock": ("lock", "", "", "locked"),
    "climate": ("climate", "", "", "heat"),
    "contact": ("binary_sensor", "", "door", "off"),
    "occupancy": ("binary_sensor", "", "motion", "off"),
    "water_leak": ("binary_sensor", "", "moisture", "off"),
    "smoke": ("binary_sensor", "", "smoke", "off"),
    "temperature": ("sensor", "°C", "temperature", "20.5"),
    "humidity": ("sensor", "%", "humidity", "48"),
    "power": ("sensor", "W", "power", "0"),
}
