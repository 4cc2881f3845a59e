"""What a thing is to the household: which states of which things mean something together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from devices.context import Occupancy
from hunches.priors import Kind, kind_of


@dataclass(frozen=True, slots=True)
class Role:
    """What a thing does while it is active."""

    name: str
    active: frozenset[str]
    words: str  # "Iron is {on}"
    rest: str | None = None  # the state that puts it right, where it can be commanded


_BY_CLASS: Final[Mapping[str, str]] = {
    "door": "opening", "garage_door": "opening", "opening": "opening", "window": "opening", "lock": "lock",
    "motion": "motion", "moving": "motion", "occupancy": "motion", "presence": "motion",
}  # fmt: skip
_BY_DOMAIN: Final[Mapping[str, str]] = {
    d: d for d in ("light", "switch", "fan", "humidifier", "media_player", "cover", "valve", "lock")
} | {"input_boolean": "switch"}
_CONDITIONING: Final = Role(
    "climate",
    frozenset({"heat", "cool", "heat_cool", "auto", "dry", "eco", "electric", "gas", "heat_pump", "on"}
              | {"high_demand", "performance"}),
    "on",
    "off",
)  # fmt: skip
HOUSEHOLD: Final[Mapping[str, Role]] = {
    o.value: Role(o.value, frozenset({o.value}), words)
    for o, words in ((Occupancy.AWAY, "nobody is home"), (Occupancy.ASLEEP, "everybody is asleep"))
}
_PRIORS: Final[Mapping[str, Mapping[str, float]]] = {
    "away": {
        "light": 0.9, "media_player": 0.9, "switch": 0.5, "fan": 0.5, "humidifier": 0.4, "climate": 0.3,
        "cover": 0.3, "valve": 0.9, "lock": 0.9, "opening": 0.8, "motion": 0.95,
    },
    "asleep": {
        "light": 0.7, "media_player": 0.7, "switch": 0.4, "lock": 0.8, "opening": 0.6, "valve": 0.9,
    },
    "climate": {"opening": 0.5},
}  # fmt: skip
"""Share of the pairs that avoid each other, for those that mean something together."""
_UNLINKED: Final = 0.01
"""The same for pairs that don't."""


@lru_cache(maxsize=1024)  # classes come from outside
def role_of(domain: str, device_class: str | None) -> Role | None:
    """Return the role of a kind of device, or None where its state says nothing about others.

    >>> role_of("binary_sensor", "window").name, role_of("binary_sensor", None)
    ('opening', None)
    """
    if domain in {"climate", "water_heater"}:
        return _CONDITIONING
    name = _BY_CLASS.get(device_class or "") if domain == "binary_sensor" else _BY_DOMAIN.get(domain)
    kind: Kind | None = kind_of(domain, device_class)
    return Role(name, kind.active, kind.adjective, kind.rest) if name and kind else None


def linked(one: Role, other: Role) -> bool:
    """Whether it means something by itself that two things go on together.

    >>> linked(role_of("climate", None), role_of("binary_sensor", "window"))
    True
    """
    return other.name in _PRIORS.get(one.name, ()) or one.name in _PRIORS.get(other.name, ())


def prior_of(one: Role, other: Role) -> float:
    """Return how likely such a pair is one whose two avoid each other, before anything is known of it."""
    known = _PRIORS.get(one.name, {}).get(other.name)
    return known or _PRIORS.get(other.name, {}).get(one.name) or _UNLINKED


def matters(one: Role, other: Role) -> bool:
    """Whether it can be a mistake that two things go on together: they are linked, or somebody sets both."""
    return linked(one, other) or not {one.name, other.name} & {"motion", *HOUSEHOLD}
