"""What the tests of the simulated home share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from devices.simulator import (
    Conditions,
    SimulatedEvent,
    Simulation,
    simulate,
)

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
START = datetime(2024, 2, 4, 23, tzinfo=UTC)  # Monday 2024-02-05, 00:00 in Berlin
FRIDGE = "binary_sensor.fridge_door_contact"


def local(day: int, hour: float, start: datetime = START, zone: ZoneInfo = BERLIN) -> datetime:
    naive = start.astimezone(zone).replace(tzinfo=None, hour=0, minute=0) + timedelta(days=day, hours=hour)
    return naive.replace(tzinfo=zone)


@cache
def run(home: str = "apartment", days: int = 28, seed: int = 7, faults: int = 0, **more: Any) -> Simulation:
    conditions = Conditions(**more)
    return simulate(
        home, start=START, days=days, seed=seed, zone=BERLIN, faults=faults, conditions=conditions
    )


def of(simulation: Simulation, entity_id: str) -> list[SimulatedEvent]:
    return [e for e in simulation.events if e.change.entity_id == entity_id]


def spells(simulation: Simulation, entity_id: str, state: str) -> list[timedelta]:
    changes = [e.change for e in of(simulation, entity_id)]
    return [b.changed_at - a.changed_at for a, b in pairwise(changes) if a.new == state]
