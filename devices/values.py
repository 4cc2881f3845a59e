"""How raw values become Home Assistant states: numbers as text, booleans as on/off, believable times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from math import isfinite
from typing import Any, Final

from devices.decoder import MAX_STATE_CHARS, BadPayloadError
from devices.events import UNKNOWN, utc

ENTITY_ID: Final = re.compile(r"[a-z_]+\.[a-z0-9_]+")
ON_OFF: Final[Mapping[Any, str]] = {
    True: "on", False: "off", "ON": "on", "OFF": "off", "on": "on", "off": "off",
    "true": "on", "false": "off",
}  # fmt: skip

_FIRST_BELIEVABLE_YEAR: Final = 2000  # a device without a network clock starts in 1970
_MILLISECONDS_FROM: Final = 100_000_000_000  # seconds would be the year 5138
_NO_VALUE: Final = frozenset({"", "nan", "null", "none", "unknown"})

# What a value's name says about it: device class and unit, as Home Assistant names them.
SENSOR_CLASSES: Final[Mapping[str, tuple[str, str]]] = {
    "temperature": ("temperature", "°C"),
    "humidity": ("humidity", "%"),
    "illuminance": ("illuminance", "lx"),
    "lux": ("illuminance", "lx"),
    "pressure": ("pressure", "hPa"),
    "power": ("power", "W"),
    "energy": ("energy", "kWh"),
    "current": ("current", "A"),
    "voltage": ("voltage", "V"),
    "battery": ("battery", "%"),
    "co2": ("carbon_dioxide", "ppm"),
    "pm25": ("pm25", "µg/m³"),
    "pm10": ("pm10", "µg/m³"),
    "voc": ("volatile_organic_compounds", "µg/m³"),
}
BINARY_CLASSES: Final[Mapping[str, str]] = {
    "contact": "door",
    "door": "door",
    "window": "window",
    "opening": "opening",
    "motion": "motion",
    "occupancy": "motion",
    "pir": "motion",
    "presence": "occupancy",
    "water_leak": "moisture",
    "leak": "moisture",
    "flood": "moisture",
    "smoke": "smoke",
    "gas": "gas",
    "carbon_monoxide": "carbon_monoxide",
    "vibration": "vibration",
    "tamper": "tamper",
    "battery_low": "battery",
}


def text(payload: bytes) -> str:
    """Decode a raw-text state; "unknown" where the device says that it has no value."""
    value = payload.decode().strip()
    if len(value) > MAX_STATE_CHARS:
        raise BadPayloadError(f"{len(value)} characters")
    return UNKNOWN if value.lower() in _NO_VALUE else value


def number(value: Any) -> str:
    """Return a number as the text that Home Assistant would show.

    >>> number(21.50), number("7"), number("nan")
    ('21.5', '7', 'unknown')
    """
    kind = type(value)
    if kind is float or kind is int:
        if kind is float and not isfinite(value):
            return UNKNOWN
        return str(value)
    if kind is str:
        value = value.strip()
        if value.lower() in _NO_VALUE:
            return UNKNOWN
        if len(value) <= MAX_STATE_CHARS and isfinite(float(value)):
            return str(value)
    raise BadPayloadError(f"not a number: {str(value)[:40]!r}")


def real(value: Any) -> float:
    """Return a finite number; booleans and texts aren't numbers here."""
    if type(value) not in {float, int} or not isfinite(value):
        raise BadPayloadError(f"not a number: {str(value)[:40]!r}")
    return float(value)


def state_text(value: Any) -> str:
    """Return any scalar of a payload as a state."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str) and len(value) <= MAX_STATE_CHARS:
        return value if value else UNKNOWN
    return number(value)


def brightness(value: Any, full: float) -> int:
    """Rescale a level 0..`full` to Home Assistant's 0..255.

    >>> brightness(254, 254), brightness(50, 100)
    (255, 128)
    """
    return max(0, min(255, round(real(value) * 255 / full)))


def percent(level: Any, full: float = 255) -> int:
    """Rescale Home Assistant's 0..255 to 0..100 (at least 1: 0 would switch off)."""
    return max(1, min(100, round(real(level) * 100 / full)))


def moment(value: Any, received_at: datetime) -> datetime:
    """Return a device's time where it can be believed, else the time of receipt.

    Numbers are seconds or milliseconds since 1970. Not believed: no zone, not a time, before 2000 (a clock
    that was never set), later than the receipt.
    The state that came with a bad clock is still good, so it isn't dropped.

    >>> now = utc("2024-03-01T12:00:00+00:00")
    >>> moment("2024-03-01T11:00:00Z", now).hour, moment("1970-01-01T00:00:09Z", now) is now
    (11, True)
    """
    try:
        if type(value) is int and value > _MILLISECONDS_FROM:
            value /= 1000
        at = utc(value)
    except (ValueError, TypeError, OverflowError):
        return received_at
    return at if at.year >= _FIRST_BELIEVABLE_YEAR and at <= received_at else received_at


@lru_cache(maxsize=4096)
def guess_class(name: str) -> str | None:
    """Return the first known quantity or contact that a name ends in or holds as a word.

    >>> guess_class("kitchen_temperature"), guess_class("counter")
    ('temperature', None)
    """
    words = name.split("_")
    for word in (name, *reversed(words)):
        if word in SENSOR_CLASSES or word in BINARY_CLASSES:
            return word
    return None
