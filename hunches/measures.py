"""Which numeric sensors a level means something for, and what kind of number it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

_COUNTING: Final = frozenset({"total", "total_increasing"})
_NOT_A_LEVEL: Final = frozenset({
    "battery", "data_rate", "data_size", "date", "distance", "duration", "enum", "monetary",
    "signal_strength", "speed", "timestamp",
    # the weather's, and the lamps'
    "atmospheric_pressure", "illuminance", "irradiance", "precipitation", "precipitation_intensity",
    "wind_direction", "wind_speed",
})  # fmt: skip
_NOT_A_UNIT: Final = frozenset({"dB", "dBm", "lqi", "lx", "s", "min", "h", "d", "ms", "B", "kB", "MB", "GB"})
_WEATHER_UNITS: Final = frozenset({"hPa", "mbar", "inHg", "mmHg"})
_DIAGNOSTIC: Final = (
    "battery",
    "linkquality",
    "link_quality",
    "lqi",
    "rssi",
    "signal",
    "uptime",
    "last_seen",
)
_PLAUSIBLE: Final = 1e12


@dataclass(frozen=True, slots=True)
class Measure:
    """What the numbers of a sensor are."""

    unit: str
    counts: bool  # only goes up: what it adds is the level


def measure_of(entity_id: str, attributes: Mapping[str, Any]) -> Measure | None:
    """Return what a sensor measures, or None where its level says nothing about the home.

    >>> measure_of("sensor.freezer", {"device_class": "temperature", "unit_of_measurement": "°C"})
    Measure(unit='°C', counts=False)
    >>> measure_of("sensor.water", {"state_class": "total_increasing", "unit_of_measurement": "L"}).counts
    True
    >>> measure_of("sensor.door_linkquality", {"unit_of_measurement": "lqi"}) is None
    True
    """
    if not entity_id.startswith("sensor.") or any(word in entity_id for word in _DIAGNOSTIC):
        return None
    kind, unit = attributes.get("device_class"), attributes.get("unit_of_measurement")
    unit = unit if isinstance(unit, str) else ""
    if kind in _NOT_A_LEVEL or unit in _NOT_A_UNIT or unit in _WEATHER_UNITS:
        return None
    return Measure(unit, counts=attributes.get("state_class") in _COUNTING)


def number(state: str) -> float | None:
    """Return a state as a believable number, or None.

    >>> number("-19.5"), number("on"), number("-1e309"), number("nan")
    (-19.5, None, None, None)
    """
    try:
        value = float(state)
    except ValueError:
        return None
    return value if isfinite(value) and abs(value) < _PLAUSIBLE else None


def digits_of(state: str) -> int:
    """Return how many decimals are worth showing, two at most.

    >>> [digits_of(s) for s in ("21", "21.5", "0.12345")]
    [0, 1, 2]
    """
    return min(2, len(state.partition(".")[2])) if "e" not in state.lower() else 2
