"""What goes wrong in a simulated home, and the truth about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Final

from devices.events import Origin
from devices.simulated_people import Execution, LocalClock
from devices.simulated_plan import Habit, HomePlan


class FaultKind(StrEnum):
    """How it goes wrong."""

    LEFT_OPEN = "left_open"  # a door, window, cover or lock is forgotten
    LEFT_ON = "left_on"  # a light or appliance is forgotten
    ODD_HOUR = "odd_hour"  # opened or switched on for a moment when nobody ever does
    SILENT = "silent"  # the device says nothing any more; its last state stands
    DROPOUT = "dropout"  # the device is reported unavailable


FORGOTTEN: Final = frozenset({FaultKind.LEFT_OPEN, FaultKind.LEFT_ON})
_TALKATIVE: Final = frozenset({"occupancy", "temperature", "humidity"})


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault to plant. What is forgotten starts and ends only while somebody is at home and up.

    So `at` is the earliest start (any aware time) and `duration` the least duration of something forgotten.
    """

    kind: FaultKind
    entity_id: str
    at: datetime
    duration: timedelta

    def __post_init__(self) -> None:
        if self.at.tzinfo is None or self.duration <= timedelta():
            raise ValueError(f"a fault needs an aware start and a positive duration: {self}")

    @property
    def id(self) -> str:
        """Its label in events."""
        return f"{self.kind}/{self.entity_id}/{self.at.astimezone(UTC):%Y-%m-%dT%H:%M}"


@dataclass(slots=True)
class FaultTruth:
    """What became of a planted fault. Times are None until they come."""

    fault: Fault
    started_at: datetime | None = None  # when the entity entered the state in which it was forgotten
    ended_at: datetime | None = None
    ended_by: Origin | None = None  # PHYSICAL: a resident noticed, or the device came back


@dataclass(slots=True)
class HabitTruth:
    """When a habit was followed. `opportunities`: the days on which it could have been."""

    habit: Habit
    opportunities: list[date] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)


@dataclass(slots=True)
class Truth:
    """What a detector or a miner ought to find. Executions are listed from the day they are planned."""

    habits: dict[str, HabitTruth]
    faults: dict[str, FaultTruth]


def random_faults(
    home: HomePlan, count: int, *, first: date, days: int, seed: int, clock: LocalClock
) -> list[Fault]:
    """Return `count` faults of all kinds, none in the first week; a larger count only adds."""
    kinds, found = tuple(FaultKind), []
    for n in range(count):
        rng = Random(f"{seed}/fault/{n}")
        kind = kinds[n % len(kinds)]
        day = first + timedelta(days=rng.randrange(min(7, days - 1), days))
        hour, hours = _when(kind, rng)
        at = datetime.fromtimestamp(round(clock.at(day, hour)), UTC)
        found.append(Fault(kind, rng.choice(_candidates(home, kind)), at, timedelta(hours=hours)))
    return found


def _when(kind: FaultKind, rng: Random) -> tuple[float, float]:
    """Return a local hour and a duration in hours."""
    if kind in FORGOTTEN:
        return rng.uniform(17.5, 21.0), rng.uniform(2.0, 6.0)
    if kind is FaultKind.ODD_HOUR:
        return rng.uniform(26.0, 28.0), rng.uniform(0.02, 0.2)
    if kind is FaultKind.SILENT:
        return rng.uniform(0.0, 24.0), rng.uniform(12.0, 48.0)
    return rng.uniform(0.0, 24.0), rng.uniform(0.3, 6.0)


def _candidates(home: HomePlan, kind: FaultKind) -> list[str]:
    if kind is FaultKind.LEFT_ON:
        return [e for e in home.switched_off() if e.startswith(("light.", "switch."))]
    if kind in {FaultKind.LEFT_OPEN, FaultKind.ODD_HOUR}:
        return [e.entity_id for e in home.entities if e.key == "contact"]
    if kind is FaultKind.SILENT:  # of what says nothing for days anyway, nobody can tell
        return [e.entity_id for e in home.entities if e.battery and e.key in _TALKATIVE]
    return [e.entity_id for e in home.entities if e.battery]
