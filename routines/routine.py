"""What a routine is: when it runs, under what conditions, which steps it takes, and why it is believed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Self

from routines.actions import COMMANDABLE

MINUTES_A_DAY: Final = 1440


class SunEvent(StrEnum):
    """What the sun does."""

    SUNRISE = "sunrise"
    SUNSET = "sunset"


@dataclass(frozen=True, slots=True)
class AtTime:
    """Runs at a local time of day. `early_min` and `late_min` say how far the resident strays from it."""

    minute: int  # since local midnight
    early_min: int = 0
    late_min: int = 0

    @property
    def key(self) -> str:
        """What makes it another trigger than the next: a time may drift, so it isn't part of it."""
        return "time"

    def apart(self, minute: int) -> int:
        """Return how many minutes lie between it and another time of day, around the clock."""
        apart = (self.minute - minute) % MINUTES_A_DAY
        return min(apart, MINUTES_A_DAY - apart)


@dataclass(frozen=True, slots=True)
class AtSun:
    """Runs so many minutes after (or before, if negative) sunrise or sunset."""

    event: SunEvent
    offset_min: int = 0

    @property
    def key(self) -> str:
        """Which event; the offset may drift."""
        return self.event.value


@dataclass(frozen=True, slots=True)
class OnState:
    """Runs when an entity takes a state: a first action, a sensor, somebody who comes or goes."""

    entity_id: str
    state: str

    @property
    def key(self) -> str:
        """The entity and its state."""
        return f"{self.entity_id}={self.state}"


Trigger = AtTime | AtSun | OnState
_TRIGGERS: Final[Mapping[str, type[Trigger]]] = {"time": AtTime, "sun": AtSun, "state": OnState}


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold when the trigger comes. Empty or None: no condition."""

    weekdays: tuple[int, ...] = ()  # Monday is 0
    after_min: int | None = None  # local minutes of the day, a window on the circle
    before_min: int | None = None
    occupancy: tuple[str, ...] = ()  # devices.context.Occupancy
    dark: bool | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A number that the resident sets with a step (brightness, temperature, volume …), as it was learned."""

    name: str
    median: float
    low: float  # 10th percentile
    high: float  # 90th
    n: int


@dataclass(frozen=True, slots=True)
class Step:
    """A state that an entity takes, so long after the trigger."""

    entity_id: str
    state: str
    delay_s: float = 0.0
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a routine is believed: counts and dates that a resident can check."""

    dates: tuple[str, ...] = ()  # local days on which the resident did it, all of them
    opportunities: int = 0  # times that the trigger came while learning
    p: float = 1.0  # probability of so many by coincidence
    q: float = 1.0  # share of such discoveries that are false (Benjamini-Hochberg)
    wins: int = 0  # on held-out days: would have run, and the resident did it
    losses: int = 0  # would have run, and the resident didn't
    missed: int = 0  # the resident did it, and it would not have run
    held_out: tuple[str, str] | None = None  # first and last held-out day


@dataclass(frozen=True, slots=True)
class Routine:
    """Something that the resident keeps doing, as an automation that could do it.

    `id` is a hash of what it does and of what starts it, without times and numbers, which drift: a
    rejection stays a rejection.
    """

    name: str
    trigger: Trigger
    steps: tuple[Step, ...]
    conditions: Conditions = field(default_factory=Conditions)
    evidence: Evidence = field(default_factory=Evidence, compare=False)

    @property
    def id(self) -> str:
        """Twelve hex digits."""
        parts = [self.trigger.key, *sorted(f"{s.entity_id}={s.state}" for s in self.steps)]
        return hashlib.blake2s("\0".join(parts).encode(), digest_size=6).hexdigest()

    @property
    def items(self) -> frozenset[tuple[str, str]]:
        """The states that it brings about."""
        return frozenset((s.entity_id, s.state) for s in self.steps)

    @property
    def acts(self) -> frozenset[tuple[str, str]]:
        """What a resident does in it himself: the steps, and what starts it unless that is a sensor."""
        trigger = self.trigger
        if isinstance(trigger, OnState) and trigger.entity_id.partition(".")[0] in COMMANDABLE:
            return self.items | {(trigger.entity_id, trigger.state)}
        return self.items

    def outgrows(self, other: Routine) -> bool:
        """Whether it is all that another one is, and more."""
        return self.acts > other.acts

    def concerns(self, entity_id: str) -> bool:
        """Whether an entity starts it, or is moved by it."""
        cue = self.trigger.entity_id if isinstance(self.trigger, OnState) else None
        return entity_id == cue or any(s.entity_id == entity_id for s in self.steps)

    def covers(self, first: str, items: Collection[tuple[str, str]]) -> bool:
        """Whether it brings these states about when a thing is used that starts it or is part of it."""
        return self.concerns(first) and self.items.issuperset(items)

    @property
    def is_limit(self) -> bool:
        """Whether it only ends what sets it off, after a while."""
        trigger = self.trigger
        return isinstance(trigger, OnState) and all(
            s.entity_id == trigger.entity_id and s.state != trigger.state for s in self.steps
        )

    def similarity(self, other: Routine) -> float:
        """Return the Jaccard index of what is done: 1 for the same, 0 for nothing in common."""
        return len(self.acts & other.acts) / len(self.acts | other.acts)

    def renamed(self, old: str, new: str) -> Routine:
        """Return the routine with an entity under its new id."""
        steps = tuple(replace(s, entity_id=new) if s.entity_id == old else s for s in self.steps)
        trigger = self.trigger
        if isinstance(trigger, OnState) and trigger.entity_id == old:
            trigger = replace(trigger, entity_id=new)
        return replace(self, steps=steps, trigger=trigger)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable form."""
        kind = next(name for name, of in _TRIGGERS.items() if isinstance(self.trigger, of))
        return {
            "id": self.id,
            "name": self.name,
            "trigger": {"kind": kind, **asdict(self.trigger)},
            "steps": [{**asdict(s), "targets": [asdict(t) for t in s.targets]} for s in self.steps],
            "conditions": _listed(asdict(self.conditions)),
            "evidence": _listed(asdict(self.evidence)),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`; raises KeyError, TypeError or ValueError for anything else."""
        conditions, evidence = dict(data["conditions"]), dict(data["evidence"])
        for name in ("weekdays", "occupancy"):
            conditions[name] = tuple(conditions[name])
        evidence["dates"] = tuple(evidence["dates"])
        if (held_out := evidence["held_out"]) is not None:
            evidence["held_out"] = (held_out[0], held_out[1])
        return cls(
            name=data["name"],
            trigger=_trigger(data["trigger"]),
            steps=tuple(_step(s) for s in data["steps"]),
            conditions=Conditions(**conditions),
            evidence=Evidence(**evidence),
        )


def _listed(body: dict[str, Any]) -> dict[str, Any]:
    """Return it as JSON would give it back: a suggestion that holds it equals itself after a restart."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in body.items()}


def _trigger(data: Mapping[str, Any]) -> Trigger:
    body = {k: v for k, v in data.items() if k != "kind"}
    if data["kind"] == "sun":
        body["event"] = SunEvent(body["event"])
    return _TRIGGERS[data["kind"]](**body)


def _step(data: Mapping[str, Any]) -> Step:
    targets = tuple(Target(**t) for t in data["targets"])
    return Step(data["entity_id"], data["state"], data["delay_s"], targets)
