"""What is known of a kind of device before anything is learned: which states can be left, and words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of device whose active state may be forgotten or come at an odd hour."""

    active: frozenset[str]  # the states that somebody or something starts and ends
    adjective: str  # "Balcony door has been {open} for …"
    noun: str  # "in 212 {openings}"
    verb: str  # "Balcony door {opened} at 03:12"
    rest: str | None = None  # the state that puts it right, where it can be commanded
    patience_s: float = 2700.0  # shorter stays are never worth a word
    alarm: str | None = None  # what it detects that hardly ever is there: judged from the first time on


_ON: Final = Kind(frozenset({"on"}), "on", "times", "turned on", "off")
_SENSOR: Final = replace(_ON, verb="went on", rest=None)
_OPEN: Final = Kind(frozenset({"on", "open"}), "open", "openings", "opened")
_DOOR: Final = replace(_OPEN, patience_s=1200.0)
_MOTION: Final = replace(_SENSOR, adjective="seeing motion", verb="saw motion", patience_s=3600.0)
_SEAT: Final = replace(_SENSOR, adjective="occupied", verb="became occupied", patience_s=3600.0)
_PLAYING: Final = Kind(frozenset({"playing", "on"}), "playing", "times", "started playing", "off", 3600.0)
_COVER: Final = Kind(frozenset({"open", "opening"}), "open", "openings", "opened", "closed")
_GARAGE: Final = replace(_COVER, patience_s=1200.0)
_LOCK: Final = Kind(frozenset({"unlocked", "open"}), "unlocked", "times", "was unlocked", "locked", 1200.0)
_VALVE: Final = replace(_COVER, patience_s=1800.0)

_BY_DOMAIN: Final[Mapping[str, Kind]] = {
    "light": _ON,
    "switch": _ON,
    "fan": _ON,
    "humidifier": _ON,
    "siren": replace(_ON, patience_s=600.0),
    "input_boolean": _ON,
    "media_player": _PLAYING,
    "cover": _COVER,
    "valve": _VALVE,
    "lock": _LOCK,
    "binary_sensor": _SENSOR,
}

_BY_CLASS: Final[Mapping[tuple[str, str], Kind | None]] = {
    ("binary_sensor", "door"): _DOOR,
    ("binary_sensor", "garage_door"): _DOOR,
    ("binary_sensor", "opening"): _DOOR,
    ("binary_sensor", "window"): replace(_OPEN, patience_s=1800.0),
    ("binary_sensor", "lock"): replace(_DOOR, adjective="unlocked", noun="times", verb="was unlocked"),
    ("binary_sensor", "motion"): _MOTION,
    ("binary_sensor", "moving"): _MOTION,
    ("binary_sensor", "occupancy"): _SEAT,
    ("binary_sensor", "presence"): _SEAT,
    ("cover", "door"): _GARAGE,
    ("cover", "garage"): _GARAGE,
    ("cover", "gate"): _GARAGE,
    # states of the world or of the device itself, and alarms (`alarm_of`), which nobody forgets
    **{
        ("binary_sensor", c): None
        for c in (
            "battery", "battery_charging", "carbon_monoxide", "cold", "connectivity", "gas", "heat", "light",
            "moisture", "plug", "power", "problem", "safety", "smoke", "tamper", "update",
        )
    },
}  # fmt: skip


_ALARM: Final = Kind(frozenset({"on"}), "on", "times", "went on", patience_s=60.0)
_ALARMS: Final[Mapping[str, Kind]] = {
    "moisture": replace(_ALARM, alarm="water"),
    "smoke": replace(_ALARM, alarm="smoke"),
    "gas": replace(_ALARM, alarm="gas"),
    "carbon_monoxide": replace(_ALARM, alarm="carbon monoxide"),
    "safety": replace(_ALARM, alarm="danger"),
}

LEAST_PATIENCE_S: Final = min(
    k.patience_s for k in (*_BY_DOMAIN.values(), *_BY_CLASS.values()) if k is not None
)
ACTIVE_STATES: Final = frozenset[str]().union(
    *(k.active for k in (*_BY_DOMAIN.values(), *_BY_CLASS.values()) if k is not None)
)


@lru_cache(maxsize=1024)  # classes come from outside
def kind_of(domain: str, device_class: str | None) -> Kind | None:
    """Return the kind of a device, or None where neither dwell nor hour means anything.

    >>> kind_of("binary_sensor", "garage_door").adjective
    'open'
    >>> kind_of("sensor", "temperature") is None
    True
    """
    if device_class is not None and (domain, device_class) in _BY_CLASS:
        return _BY_CLASS[domain, device_class]
    return _BY_DOMAIN.get(domain)


def alarm_of(domain: str, device_class: str | None) -> Kind | None:
    """Return the kind of an alarm, or None for anything else.

    "problem" and "tamper" are none: vacuum cleaners and printers are in trouble for weeks.

    >>> alarm_of("binary_sensor", "moisture").alarm
    'water'
    """
    return _ALARMS.get(device_class) if device_class is not None and domain == "binary_sensor" else None
