from __future__ import annotations

import random
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from devices.context import Calendar, Occupancy
from devices.events import Origin, StateChange, Tick, utc
from devices.state import HomeState
from hunches.alive_time import AliveTime
from hunches.batteries import Battery, level_of
from hunches.detector import Clear, Hunch
from hunches.outages import Outages
from hunches.reporting import Moment, Reporting
from hunches.silent import Silent

CALENDAR = Calendar(ZoneInfo("Europe/Berlin"))
START = utc("2024-03-04T00:00:00+01:00")
DAY = timedelta(days=1)
STEP = timedelta(minutes=5)
HALL, BATTERY, FREEZER = "binary_sensor.hall", "sensor.hall_battery", "sensor.freezer"
ROOMS = {HALL: 0.5, "binary_sensor.kitchen": 0.4, "binary_sensor.living": 0.6, "binary_sensor.bath": 0.2}


class House:
    """Motion while people are up and at home, and a freezer's temperature all day, every five minutes."""

    def __init__(self, seed: int = 1) -> None:
        self.detector = Silent()
        self.home = HomeState()
        self.rng = random.Random(seed)
        self.now = START
        self.heard: list[tuple[datetime, Hunch]] = []
        self.cleared: list[Clear] = []

    def live(
        self,
        duration: timedelta,
        *,
        dead: frozenset[str] = frozenset(),
        away: bool = False,
        off: bool = False,
    ) -> list[Hunch]:
        known, end = len(self.heard), self.now + duration
        while self.now < end:
            hour = self.now.astimezone(CALENDAR.zone).hour
            up = 7 <= hour < 23 and not (9 <= hour < 16 and self.now.weekday() < 5) and not away
            for entity_id, share in ROOMS.items():
                if up and self.rng.random() < share and entity_id not in dead and not off:
                    self.change(entity_id, "on")
                    self.change(entity_id, "off", after_s=60.0)
            if FREEZER not in dead and not off:
                self.change(FREEZER, f"{-18 + self.rng.gauss(0, 0.4):.1f}")
            self.now += STEP
            self.step(Tick(self.now))
        return [h for _, h in self.heard[known:]]

    def change(self, entity_id: str, state: str, *, after_s: float = 0.0, kind: str | None = None) -> None:
        at = self.now + timedelta(seconds=after_s)
        attributes = {"device_class": kind} if kind else {}
        self.step(StateChange(entity_id, state, at, at, attributes=attributes, origin=Origin.PHYSICAL))

    def step(self, event: StateChange | Tick) -> None:
        at = event.at if isinstance(event, Tick) else event.received_at
        context = CALENDAR.context(at, Occupancy.HOME)
        if isinstance(event, StateChange):
            event = self.home.apply(event)
            if event.old == event.new:
                return
        if isinstance(event, Tick) or event.trains:
            for found in self.detector.score_one(event, self.home, context):
                if isinstance(found, Hunch):
                    self.heard.append((at, found))
                else:
                    self.cleared.append(found)
        self.detector.learn_one(event, self.home, context)


def lived_in(days: int = 14, seed: int = 1) -> House:
    house = House(seed)
    house.live(days * DAY)
    return house


@pytest.mark.parametrize("seed", range(3))
def test_four_ordinary_weeks(seed: int) -> None:
    assert lived_in(28, seed).heard == []


def test_a_motion_sensor_dies_and_comes_back() -> None:
    house = lived_in()
    (hunch,) = house.live(DAY, dead=frozenset({HALL}))
    assert hunch.entity_id == HALL
    assert hunch.title.startswith("Hall has said nothing for ")
    assert "never silent for longer than" in hunch.title
    assert hunch.short.startswith("nothing heard for ")
    assert (hunch.raised_for, hunch.group, hunch.clears_itself) == ("silent", "silent", True)
    assert hunch.evidence["expected"] > 5
    assert hunch.evidence["such_silences_a_day"] <= hunch.evidence["at_most_a_day"] == 0.0625
    parts = hunch.evidence["contributions"]
    assert set(parts) == {"length of the silence", "time of day", "life in the home"}
    assert sum(parts.values()) == pytest.approx(hunch.score, abs=0.01)
    assert house.live(2 * DAY, dead=frozenset({HALL})) == []  # said once
    assert house.cleared == []
    house.live(DAY)
    assert [(c.entity_id, c.why) for c in house.cleared] == [(HALL, "reports again")]
    assert house.live(3 * DAY) == []


def test_a_freezer_that_always_reports_is_missed_within_hours_even_at_night() -> None:
    house = lived_in()
    house.live(timedelta(hours=20))
    since = house.now
    (hunch,) = house.live(timedelta(hours=10), dead=frozenset({FREEZER}))
    assert hunch.entity_id == FREEZER
    assert house.heard[-1][0] - since < timedelta(hours=6)


def test_nobody_home_is_no_silence() -> None:
    house = lived_in()
    assert house.live(7 * DAY, away=True) == []
    assert house.live(3 * DAY) == []


def test_nobody_home_and_the_freezer_dies_all_the_same() -> None:
    house = lived_in()
    house.change("light.timer", "off")
    for _ in range(6):  # something else still reports
        house.live(timedelta(hours=2), away=True, dead=frozenset({FREEZER}))
    assert [h.entity_id for _, h in house.heard] in ([], [FREEZER])


def test_an_outage_of_everything_is_no_news() -> None:
    house = lived_in()
    assert house.live(2 * DAY, off=True) == []
    assert house.live(3 * DAY) == []


def test_an_outage_of_most_is_not_the_devices() -> None:
    house = lived_in()
    assert house.live(DAY, dead=frozenset(ROOMS) - {"binary_sensor.living"}) == []


def test_a_repeated_state_is_a_sign_of_life() -> None:
    house = lived_in()
    for _ in range(48):
        house.live(timedelta(minutes=30), dead=frozenset({HALL}))
        house.change(HALL, "off")  # a repeat
    assert house.heard == []


def test_unavailable_for_longer_than_ever() -> None:
    house = lived_in(4)
    house.change(HALL, "unavailable")
    (hunch,) = house.live(timedelta(hours=2), dead=frozenset({HALL}))
    assert hunch.title == "Hall has been unavailable for 1 h."
    assert hunch.evidence["contributions"]["outages before"] == 0.0  # there was none
    house.change(HALL, "off")
    house.live(timedelta(hours=1), dead=frozenset({HALL}))
    assert [c.why for c in house.cleared] == ["is available again"]
    house.change(HALL, "unavailable")  # it was for two hours: three are worth a word
    assert house.live(timedelta(hours=2, minutes=50), dead=frozenset({HALL})) == []
    (hunch,) = house.live(timedelta(hours=1), dead=frozenset({HALL}))
    assert "it never was for longer than 2 h" in hunch.title
    parts = hunch.evidence["contributions"]
    assert sum(parts.values()) == pytest.approx(hunch.score, abs=0.01)
    assert parts["outages before"] < 0.0 < parts["length of the outage"]


def test_never_available_is_no_outage() -> None:
    house = lived_in(4)
    house.change("light.attic", "unavailable")
    assert house.live(DAY) == []


def test_a_battery_goes_and_is_changed() -> None:
    house = House()
    for day in range(12):
        house.change(BATTERY, str(26 - day), kind="battery")
        house.now += DAY
    ((at, hunch),) = house.heard
    assert (at - START).days == 11  # 26 - 11 = 15
    # eleven levels known before, a percent a day: 16 of them are left
    assert hunch.title == "Hall battery: battery at 15%; at this rate it is empty in about 16 days."
    assert hunch.evidence["level"] == 15.0
    assert hunch.evidence["contributions"] == {"low battery": round(hunch.score, 3)}
    house.change(BATTERY, "22", kind="battery")
    assert house.cleared == []
    house.change(BATTERY, "100", kind="battery")
    assert [(c.entity_id, c.why) for c in house.cleared] == [(BATTERY, "is charged")]


def test_a_binary_battery_sensor() -> None:
    house = House()
    house.change("binary_sensor.remote", "off", kind="battery")
    house.change("binary_sensor.remote", "on", after_s=10.0, kind="battery")
    ((_, hunch),) = house.heard
    assert hunch.title == "Remote: battery low."
    assert hunch.evidence["days_left"] is None


def test_forecasts_only_where_the_slope_is_clear() -> None:
    rng = random.Random(1)
    noisy, charged = Battery(), Battery()
    for day in range(20):
        noisy.learn_one(40.0 + rng.uniform(-8, 8), float(day))
        charged.learn_one(90.0 if day == 19 else 30.0 - day, float(day))
    assert noisy.days_left() is None
    assert charged.days_left() is None
    assert len(charged.past) == 1
    assert level_of("101", "sensor") is None
    assert level_of("unknown", "binary_sensor") is None


def test_outages() -> None:
    outages = Outages()
    outages.end("a", 5.0)
    outages.begin("a", 10.0)
    outages.begin("a", 20.0)
    assert outages.lasted("a", 40.0) == 30.0
    outages.end("a", 40.0)
    outages.begin("a", 50.0)
    outages.end("a", 55.0)
    assert outages.longest("a") == 30.0
    assert len(outages) == 0


def test_reporting_counts_only_slots_of_others() -> None:
    quiet = Reporting(Moment(0.0, 0.0, (0,)))
    for n in range(1, 101):  # in one of four of the slots in which others report
        quiet.learn_one(Moment(1200.0 * n, 1200.0 * n, (4 * n,)), 0, solo=False)
    # 100 of 400 slots, backed by 6 at the mean (100.5 / 401): 0.25 each; 40 slots without are 10 reports
    assert quiet.expected((440,)) == pytest.approx(10.0, abs=0.05)
    assert quiet.expected((400,)) == 0.0
    alone = Reporting(Moment(0.0, 0.0, (0,)))
    for n in range(1, 101):
        alone.learn_one(Moment(300.0 * n, 300.0 * n, (n,)), 0, solo=True)
    assert alone.expected((140,)) < 40.0  # who reports alone isn't expected with others


def test_a_long_rest_of_the_whole_home_counts_half_a_day() -> None:
    time = AliveTime()
    time.report("a", 0.0, people=True)
    assert time.heard_s(3600.0) == 3600.0
    assert time.heard_s(50 * 3600.0) == 12 * 3600.0
    time.advance(50 * 3600.0, hour=2)
    time.report("a", 50 * 3600.0, people=True)
    assert time.heard_s(51 * 3600.0) == 13 * 3600.0
