"""Activations of an entity: when they come, what they lack, and how to say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log, prod

from hunches.hours import HourProfile
from hunches.priors import Kind
from hunches.shapley import shapley


@dataclass(slots=True)
class Habit:
    """When one entity is activated."""

    hours: HourProfile
    first: float  # epoch seconds of the first activation
    last: float  # of the last one, for bursts
    episodes: int = 0
    odd: list[list[float]] = field(default_factory=list)  # [hour, at] of the last surprises


@dataclass(slots=True)
class Waiting:
    """An activation whose company isn't complete yet."""

    state: str
    at: float
    hour: float
    day: int
    surprise: float  # of the hour alone
    before: dict[str, float] = field(default_factory=dict)  # who else was heard, seconds before
    after: dict[str, float] = field(default_factory=dict)  # and since, seconds after

    @property
    def heard(self) -> list[str]:
        """Who else was heard around it, so far."""
        return list(self.before | self.after)

    def forget(self, entity_id: str) -> None:
        """Drop an entity from the company."""
        self.before.pop(entity_id, None)
        self.after.pop(entity_id, None)


def clock(hour: float) -> str:
    """Return an hour as on a clock: 07:30."""
    minutes = int(hour * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def apart(one: float, other: float) -> float:
    """Return how many hours of the day lie between two."""
    return min(abs(one - other), 24.0 - abs(one - other))


def contributions(parts: Mapping[str, float]) -> dict[str, float]:
    """Return what hour and company add to the log odds against the event, in nats; at 0 it is even odds."""

    def value(known: frozenset[str]) -> float:
        p = 0.5 * prod(parts[name] for name in known)
        return log((1.0 - p) / max(p, 1e-12))

    return {name: round(x, 3) for name, x in shapley(sorted(parts), value).items()}


def in_words(kind: Kind | None, seen: Waiting, habit: Habit, missing: str) -> str:
    """Return what is odd about an episode, to follow the entity's name; `missing` says what company was."""
    verb = kind.verb if kind is not None else f"became {seen.state}"
    quiet = habit.hours.empty_around(seen.hour)
    company = f", and {missing}" if missing else ""
    if quiet is not None:
        never = f"never happened between {' and '.join(map(clock, quiet))}"
    elif missing:
        company, never = "", f"hardly ever happened at that hour while {missing}"
    else:
        never = "hardly ever happened at that hour"
    return f"{verb} at {clock(seen.hour)}, which in {habit.episodes} times {never}{company}"
