from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from math import cos, log10, pi
from typing import Any

import pytest

from devices.context import Occupancy
from devices.events import Origin, StateChange, Tick
from devices.state import HomeState
from hunches.detector import Clear, Finding, Hunch
from hunches.extremes import DailyExtremes
from hunches.level import Level
from hunches.measures import digits_of, measure_of, number
from hunches.reach import Reach
from tests.checks import CALENDAR, MINUTE, START, Harness, life

FREEZER = "sensor.freezer"
CELSIUS = {"device_class": "temperature", "unit_of_measurement": "°C", "friendly_name": "Freezer"}


class Cellar:
    """A home with sensors that report every ten minutes."""

    def __init__(self, attributes: dict[str, Any] | None = None, **parameters: Any) -> None:
        self.detector = Level(**parameters)
        self.home = HomeState()
        self.attributes = CELSIUS if attributes is None else attributes
        self.found: list[tuple[datetime, Finding]] = []
        self.now = START

    @property
    def hunches(self) -> list[Hunch]:
        return [f for _, f in self.found if isinstance(f, Hunch)]

    def step(self, event: StateChange | Tick) -> None:
        at = event.at if isinstance(event, Tick) else event.received_at
        context = CALENDAR.context(at.replace(second=0, microsecond=0), Occupancy.HOME)
        if isinstance(event, StateChange):
            event = self.home.apply(event)
        if isinstance(event, Tick) or event.trains:
            self.found += [(at, f) for f in self.detector.score_one(event, self.home, context)]
        self.detector.learn_one(event, self.home, context)

    def report(self, value: object, entity_id: str = FREEZER) -> None:
        at = self.now + timedelta(seconds=5)
        self.step(
            StateChange(entity_id, str(value), at, at, attributes=self.attributes, origin=Origin.PHYSICAL)
        )

    def wait(self, minutes: float) -> None:
        until = self.now + timedelta(minutes=minutes)
        while self.now < until:
            self.now += MINUTE
            self.step(Tick(self.now))

    def run(self, values: list[float], digits: int = 1) -> None:
        for value in values:
            self.report(f"{value:.{digits}f}")
            self.wait(10)


def freezer_days(days: int, seed: int = 1) -> list[float]:
    """Around -18 °C, a degree up and down in the day, and a defrost of 20 minutes to -9 °C every night."""
    rng = random.Random(seed)
    return [
        -9.0 if i % 144 in {18, 19} else -18.0 + 0.5 * cos(i / 144 * 2 * pi) + rng.gauss(0.0, 0.2)
        for i in range(144 * days)
    ]


def learned(days: int = 14) -> Cellar:
    cellar = Cellar()
    cellar.run(freezer_days(days))
    return cellar


def test_a_quiet_month_with_defrosts_says_nothing() -> None:
    assert learned(30).hunches == []


def test_a_freezer_that_warms() -> None:
    cellar = learned()
    start = cellar.now
    cellar.run([-18.0 + 0.5 * i for i in range(20)])
    (hunch,) = cellar.hunches
    at = next(at for at, f in cellar.found if f is hunch)
    assert at - start < timedelta(hours=3)
    assert hunch.entity_id == FREEZER
    assert hunch.raised_for == hunch.context_key == "high"
    assert hunch.clears_itself
    assert Hunch.from_dict(json.loads(json.dumps(hunch.to_dict()))) == hunch
    assert hunch.score >= hunch.threshold
    assert "°C and rising; it is usually between -18." in hunch.title
    parts = hunch.evidence["contributions"]
    assert sum(parts.values()) == pytest.approx(hunch.score, abs=0.01)
    assert set(parts) == {"level", "how long it lasted", "how its days differ"}
    assert hunch.evidence["days"] == 14  # the first one began at 01:00 in Berlin
    assert hunch.evidence["usual"][0] < -18.0 < hunch.evidence["record"] < hunch.evidence["value"]


def test_it_is_over_when_it_is_cold_again() -> None:
    cellar = learned()
    cellar.run([-18.0 + 0.5 * i for i in range(20)])
    assert not [f for _, f in cellar.found if isinstance(f, Clear)]
    cellar.run([-12.0, -16.0, -18.0])
    assert [f.entity_id for _, f in cellar.found if isinstance(f, Clear)] == [FREEZER]


def test_one_odd_reading_is_nothing() -> None:
    cellar = learned()
    cellar.report("85.0")
    cellar.wait(3)
    cellar.run(freezer_days(1))
    assert cellar.hunches == []


def test_a_far_reading_that_stands_is_told_in_minutes() -> None:
    cellar = learned()
    cellar.report("85.0")
    cellar.wait(6)
    (hunch,) = cellar.hunches
    assert "is at 85.0 °C" in hunch.title
    assert "readings it was always between" in hunch.title
    parts = hunch.evidence["contributions"]
    assert sum(parts.values()) == pytest.approx(hunch.score, abs=0.01)
    # 2 log10(1 + e / w): 85 is some 94 beyond the span of about 10.5
    assert parts["distance"] == pytest.approx(2.0 * log10(1.0 + 94.0 / 10.5), abs=0.2)


def test_three_far_readings_within_a_minute_are_told_and_over() -> None:
    cellar = learned()
    for value in ("85.0", "86.0"):
        cellar.report(value)
    assert cellar.hunches == []
    cellar.report("87.0")
    (hunch,) = cellar.hunches
    assert hunch.evidence["value"] == 87.0
    assert "is at 87.0 °C" in hunch.title
    assert sum(hunch.evidence["contributions"].values()) == pytest.approx(hunch.score, abs=0.01)
    cellar.report("-18.0")
    cellar.wait(2)
    assert [f.entity_id for _, f in cellar.found if isinstance(f, Clear)] == [FREEZER]
    assert len(cellar.hunches) == 1


def test_a_sensor_that_hangs_at_an_unusual_value() -> None:
    cellar = learned()
    cellar.report("-17.1")
    cellar.wait(20 * 60)
    (hunch,) = cellar.hunches
    assert hunch.raised_for == "high"
    assert hunch.evidence["held_s"] >= 4 * 3600


def test_a_sensor_that_hangs_at_a_usual_value_is_left_to_silence() -> None:
    cellar = learned()
    cellar.report("-18.0")
    cellar.wait(24 * 60)
    assert cellar.hunches == []


def test_said_once_a_day_and_normal_after_three() -> None:
    cellar = learned()
    cellar.run([x + 8.0 for x in freezer_days(20, seed=2)])  # set to -10 °C for good
    assert len(cellar.hunches) == 1
    cellar.run(freezer_days(1, seed=3))
    assert len(cellar.hunches) <= 2


def test_unavailable_is_no_level() -> None:
    cellar = learned()
    cellar.report("unavailable")
    cellar.wait(24 * 60)
    cellar.run(freezer_days(2))
    assert cellar.hunches == []


def test_needs_a_week_and_a_reading_an_hour() -> None:
    young = learned(days=5)
    young.run([0.0] * 12)
    assert young.hunches == []
    rare = Cellar()
    for i in range(14 * 4):
        rare.report(-18.0 + 0.1 * (i % 4))
        rare.wait(6 * 60)
    rare.run([0.0] * 12)
    assert rare.hunches == []


def test_water_that_runs() -> None:
    """A meter that counts: 40 L in the morning and in the evening, never more than 20 L in a quarter."""
    cellar = Cellar({"device_class": "water", "state_class": "total_increasing", "unit_of_measurement": "L"})
    total, rng = 1000.0, random.Random(1)
    for i in range(144 * 14):
        total += rng.uniform(1.0, 10.0) if i % 144 in range(36, 40) or i % 144 in range(108, 114) else 0.1
        cellar.report(round(total, 1))
        cellar.wait(10)
    assert cellar.hunches == []
    for _ in range(9):
        total += 90.0
        cellar.report(round(total, 1))
        cellar.wait(10)
    assert [h.raised_for for h in cellar.hunches] == ["high"]


def test_a_plug_that_is_on_for_longer_is_not_a_level() -> None:
    cellar = Cellar({"device_class": "power", "unit_of_measurement": "W"})
    for day in range(20):
        cellar.run([140.0 + i % 3 if 60 <= i < 66 + day % 3 else 0.0 for i in range(144)])
    cellar.run([140.0 + i % 3 for i in range(40)])
    assert cellar.hunches == []


def test_an_ordinary_life_has_none() -> None:
    assert Harness(Level).run(life(days=21, odd=False)).hunches == []


# -- what it is made of -------------------------------------------------------------------------------


def test_extremes_against_students_t() -> None:
    extremes = DailyExtremes(half_life_days=1e9, prior_days=0.0)
    for x in (1.0, 2.0, 3.0, 4.0, 5.0):
        extremes.learn_one(x)
    # s = sqrt(10 / 4) = 1.581; t = (9 - 3) / (1.581 · sqrt(1 + 1/5)) = 3.464; P(T₄ > 3.464) = 0.0129
    assert 10 ** -extremes.score_one(9.0, 0.0) == pytest.approx(0.0129, rel=0.05)
    assert extremes.record == 5.0


def test_records_fade() -> None:
    extremes = DailyExtremes(half_life_days=5.0)
    extremes.learn_one(100.0)
    for _ in range(50):
        extremes.learn_one(10.0)
    assert 10.0 <= extremes.record < 11.0


def test_glitches_that_keep_coming_are_learned() -> None:
    reach = Reach(far=1.0)
    for i in range(200):
        reach.learn_one(85.0 if i % 20 == 10 else 20.0 + i % 2, 60.0 * i)
    assert reach.high == 85.0


@pytest.mark.parametrize(
    ("entity_id", "attributes"),
    [
        ("sensor.phone", {"device_class": "battery"}),
        ("sensor.plug_linkquality", {}),
        ("sensor.wifi", {"unit_of_measurement": "dBm"}),
        ("sensor.boot", {"device_class": "timestamp"}),
        ("sensor.air", {"device_class": "atmospheric_pressure"}),
        ("light.lamp", {}),
    ],
)
def test_what_has_no_level(entity_id: str, attributes: dict[str, str]) -> None:
    assert measure_of(entity_id, attributes) is None


def test_numbers() -> None:
    assert number("1e400") is None
    assert number("unknown") is None
    assert number("12.5") == 12.5
    assert digits_of("-0.125") == 2
