"""Life changes and nothing is wrong: three weeks are learned, then the simulated home lives on differently.

Everything goes through what `inkling backtest` runs, with default settings.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from agent.assembly import build_pipeline
from agent.backtest import backtest
from agent.settings import Settings
from devices.simulated_plan import Cycle, HomePlan, entity
from devices.simulator import Conditions, Fault, FaultKind, apartment, simulate
from tests.devices.simulations import BERLIN, START, local

COMPRESSOR = "switch.fridge_compressor"
NUISANCE = 0.15  # a day: what an ordinary home may have, and one more, is no burst
CHANGES = {  # the days on which things are different, and a week or two to settle
    "an ordinary week": (14, 21),
    "a vacation of eleven days": (21, 39),
    "a guest for a week": (39, 53),
    "work begins 90 minutes later": (53, 72),
}
LIFE = Conditions(vacation=(21, 32), guests=(39, 46), new_hours_from=53)
STUCK = Fault(FaultKind.LEFT_ON, COMPRESSOR, local(72, 18), timedelta(hours=5))


def with_a_compressor() -> HomePlan:
    """Return the flat with a compressor that reports: on for 17 minutes, off for 38, day and night."""
    flat = apartment()
    return replace(
        flat,
        entities=(*flat.entities, entity("switch", "fridge_compressor", "kitchen")),
        sensors={**flat.sensors, COMPRESSOR: Cycle("on", "off", 1000.0, 2300.0)},
        left_alone=flat.left_alone | {COMPRESSOR},
    )


@cache
def life(seed: int = 11) -> list[dict[str, Any]]:
    """Return the hunches of ten weeks and a half; on the last evening but one the fridge gets stuck."""
    simulation = simulate(
        with_a_compressor(), start=START, days=74, seed=seed, zone=BERLIN, faults=[STUCK], conditions=LIFE
    )
    pipeline = build_pipeline(Settings(home={"time_zone": "Europe/Berlin"}))
    result = backtest(pipeline, [e.change for e in simulation.events])
    return [s for s in result.suggestions.values() if s["kind"] == "hunch"]


def raised(suggestion: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(suggestion["raised_at"])


def titles(said: list[dict[str, Any]]) -> str:
    return "\n".join(f"{raised(s):%a %d %b %H:%M} {s['detector']}: {s['title']}" for s in said)


@pytest.mark.parametrize("change", list(CHANGES))
def test_no_change_in_life_brings_a_burst_of_hunches(change: str) -> None:
    first, until = CHANGES[change]
    said = [s for s in life() if local(first, 0) <= raised(s) < local(until, 0)]
    assert len(said) <= 1 + NUISANCE * (until - first), titles(said)
    assert all(raised(b) - raised(a) > timedelta(hours=6) for a, b in pairwise(said)), titles(said)


def test_a_fridge_may_run_at_any_hour() -> None:
    fridge = {COMPRESSOR, "sensor.fridge_power"}
    before = [s for s in life() if raised(s) < STUCK.at]
    assert not [s for s in before if s["entity_id"] in fridge], titles(before)


def test_a_fridge_that_never_stops_is_noticed_once() -> None:
    said = [s for s in life() if s["entity_id"] == COMPRESSOR]
    assert len(said) == 1, titles(life())
    # 1000 s on, with a log-normal spread of 0.12: an hour has a z of ln(3.6) / 0.12 = 11
    assert STUCK.at < raised(said[0]) < STUCK.at + STUCK.duration
