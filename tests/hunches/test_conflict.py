from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest

from devices.context import Context, Occupancy
from devices.events import Origin, StateChange, Tick
from devices.state import HomeState
from hunches.avoidance import Meetings, share_of_avoiders
from hunches.conflict import Conflict
from hunches.costates import BINS, DAY_S, HOUR_S, HourShares, together_s
from hunches.detector import Clear, Finding, Hunch
from hunches.roles import linked, matters, prior_of, role_of
from tests.checks import CALENDAR, MINUTE, START, Harness, life

HEATING, WINDOW, LAMP, RADIO = "climate.hall", "binary_sensor.window", "light.desk", "media_player.radio"


class House:
    """A home of which every stay is told, in local days that begin at START (01:00 in Berlin)."""

    def __init__(self) -> None:
        self.detector = Conflict()
        self.home = HomeState()
        self.found: list[tuple[datetime, Finding]] = []
        self.away: list[tuple[datetime, datetime]] = []
        self.now = START

    @property
    def hunches(self) -> list[Hunch]:
        return [f for _, f in self.found if isinstance(f, Hunch)]

    @property
    def clears(self) -> list[Clear]:
        return [f for _, f in self.found if isinstance(f, Clear)]

    def occupancy(self, at: datetime) -> Occupancy:
        return Occupancy.AWAY if any(a <= at < b for a, b in self.away) else Occupancy.HOME

    def context(self, at: datetime) -> Context:
        return CALENDAR.context(at.replace(second=0, microsecond=0), self.occupancy(at))

    def run(self, changes: Iterable[StateChange], until: datetime) -> None:
        events: list[StateChange | Tick] = [*changes]
        while self.now < until:
            events.append(Tick(self.now))
            self.now += MINUTE
        for event in sorted(events, key=lambda e: (when(e), isinstance(e, Tick))):
            at = when(event)
            folded = self.home.apply(event) if isinstance(event, StateChange) else event
            if isinstance(folded, Tick) or folded.trains:
                found = self.detector.score_one(folded, self.home, self.context(at))
                self.found += [(at, f) for f in found]
            self.detector.learn_one(folded, self.home, self.context(at))


def when(event: StateChange | Tick) -> datetime:
    return event.at if isinstance(event, Tick) else event.received_at


def change(entity_id: str, state: str, at: datetime, origin: Origin = Origin.PHYSICAL) -> StateChange:
    attributes = {"device_class": "window"} if "window" in entity_id else {}
    return StateChange(entity_id, state, at, at, attributes=attributes, origin=origin)


def stay(entity_id: str, at: datetime, hours: float, state: str = "on") -> list[StateChange]:
    return [change(entity_id, state, at), change(entity_id, "off", at + timedelta(hours=hours))]


def day(n: int, hour: float = 0.0) -> datetime:
    return START + timedelta(days=n, hours=hour)


def careful(days: int) -> House:
    """Two hours of heating and one of airing, at any hour of the day, never together; out for four hours."""
    house = House()
    changes = [c for e in (HEATING, WINDOW, LAMP) for c in [change(e, "off", START)]]
    for n in range(days):
        first = 5.0 * n % 17.0
        changes += stay(HEATING, day(n, first), 2.0, "heat")
        changes += stay(WINDOW, day(n, first + 2.5), 1.0)
        changes += stay(LAMP, day(n, (first + 9.0) % 20.0), 1.5)
        away = (first + 12.0) % 19.0
        house.away.append((day(n, away), day(n, away + 4.0)))
        house.away = [(a, b) for a, b in house.away if b > a]
    house.run(changes, day(days))
    return house


def test_heating_and_an_open_window() -> None:
    house = careful(40)
    assert house.hunches == []
    house.run([change(HEATING, "heat", day(40, 1)), change(WINDOW, "on", day(40, 1.5))], day(40, 3))
    (hunch,) = house.hunches
    at = next(at for at, f in house.found if f is hunch)
    assert at == day(40, 1.5) + 10 * MINUTE
    assert hunch.entity_id == WINDOW  # the heating isn't to blame
    assert hunch.raised_for == "on"
    assert hunch.remedy is None
    assert hunch.evidence["with"] == HEATING
    assert hunch.evidence["episodes"] == 0
    assert hunch.title.startswith("Window has been open while Hall is on for 10 min; in 40 days that never")
    assert sum(hunch.evidence["contributions"].values()) == pytest.approx(hunch.score, abs=0.01)
    assert Hunch.from_dict(json.loads(json.dumps(hunch.to_dict()))) == hunch


@pytest.mark.parametrize("ends", [HEATING, WINDOW])
def test_it_is_over_when_either_ends(ends: str) -> None:
    house = careful(40)
    begin = [change(HEATING, "heat", day(40, 1)), change(WINDOW, "on", day(40, 1.5))]
    house.run([*begin, change(ends, "off", day(40, 2))], day(40, 2.5))
    assert len(house.hunches) == 1
    assert [c.entity_id for c in house.clears] == [WINDOW]
    assert next(at for at, f in house.found if isinstance(f, Clear)) == day(40, 2)


def test_a_short_overlap_is_a_transition() -> None:
    house = careful(40)
    house.run([*stay(HEATING, day(40, 1), 2.0, "heat"), *stay(WINDOW, day(40, 1.5), 0.1)], day(40, 4))
    assert house.hunches == []


def test_what_often_goes_together_is_no_conflict() -> None:
    house = House()
    changes = [c for e in (HEATING, WINDOW) for c in [change(e, "off", START)]]
    for n in range(30):
        changes += stay(HEATING, day(n, 5.0), 6.0, "heat")
        changes += stay(WINDOW, day(n, 6.0), 0.5)
    house.run(changes, day(30))
    assert house.hunches == []


def test_a_lamp_that_is_left_on_when_nobody_is_home() -> None:
    house = careful(40)
    house.away.append((day(40, 2), day(40, 6)))
    house.run([change(LAMP, "on", day(40, 1.5))], day(40, 7))
    (hunch,) = house.hunches
    assert hunch.entity_id == LAMP
    assert hunch.remedy == "off"
    assert hunch.group == "away"
    assert hunch.short == "on while nobody is home"
    assert hunch.context_key == "on|away"
    (clear,) = house.clears
    assert clear.entity_id == LAMP  # somebody came home
    assert next(at for at, f in house.found if f is clear) == day(40, 6)


def test_different_hours_are_no_conflict() -> None:
    """A night light and a day radio never meet, and chance wouldn't make them."""
    house = House()
    changes = [c for e in (LAMP, RADIO) for c in [change(e, "off", START)]]
    for n in range(40):
        changes += stay(LAMP, day(n, 0.0), 5.0)
        changes += stay(RADIO, day(n, 8.0), 8.0, "playing")
    house.run(changes, day(40))
    house.run([change(LAMP, "on", day(40, 9)), change(RADIO, "playing", day(40, 9))], day(40, 12))
    assert house.hunches == []


def test_forgotten_and_renamed_while_it_lasts() -> None:
    house = careful(40)
    house.run([change(HEATING, "heat", day(40, 1)), change(WINDOW, "on", day(40, 1.5))], day(40, 2))
    house.detector.rename(HEATING, "climate.other")
    assert HEATING not in str(house.detector.to_dict())
    assert "climate.other" in str(house.detector.to_dict())
    house.detector.forget(WINDOW)
    assert WINDOW not in str(house.detector.to_dict())


def test_a_guest_who_is_not_tracked_makes_no_flood() -> None:
    house = careful(30)
    changes = []
    for n in range(30, 37):  # out as ever, but now somebody has the lamp on all day
        house.away.append((day(n, 8), day(n, 16)))
        changes += stay(LAMP, day(n, 7), 10.0)
    house.run(changes, day(37))
    assert len(house.hunches) <= 2


def test_partners_are_bounded() -> None:
    """What has met so many that no more are noted isn't said to have met nobody else."""
    harness = Harness(Conflict)
    harness.detector = Conflict(partners=4)
    windows = [f"binary_sensor.window_{i}" for i in range(20)]
    for n in range(40):
        harness.step(change(HEATING, "heat", day(n)))
        for state, minutes in (("on", 0), ("off", 60)):
            for e in windows:
                harness.step(change(e, state, day(n) + minutes * MINUTE))
            harness.step(Tick(day(n) + (minutes + 30) * MINUTE))
        harness.step(change(HEATING, "off", day(n) + 120 * MINUTE))
    met = harness.detector.to_dict()["pairs"]["met"]
    assert 0 < len(met) <= 21 * 6 / 2
    assert harness.hunches == []


def test_an_ordinary_life_has_none() -> None:
    assert Harness(Conflict).run(life(days=21, odd=False)).hunches == []


# -- what it is made of -------------------------------------------------------------------------------


def test_meetings_expected_by_chance() -> None:
    a, b = [0.5] * BINS, [0.25] * BINS
    assert together_s(a, b, 8.0, by_day=True) == pytest.approx(8 * 24 * HOUR_S / 8)  # 1/2 · 1/4 of 8 days
    assert together_s(a, b, 8.0, by_day=False) == pytest.approx(8 * 24 * HOUR_S / 8)


def test_a_long_stay_counts_for_a_day() -> None:
    shares = HourShares(0.0)
    shares.learn_one(0.0, 30 * DAY_S)
    assert shares.total_s == DAY_S
    assert shares.n == 1.0


def test_bursts_are_one_stay() -> None:
    shares = HourShares(0.0)
    for i in range(5):
        shares.learn_one(600.0 * i, 600.0 * i + 300.0)
    assert shares.n == 1.0
    assert shares.total_s == 1500.0


def test_probability_of_a_meeting() -> None:
    assert Meetings(0.0, 0.0, avoiders=0.5).p == pytest.approx(0.5 + 0.5 * 0.02)  # nothing known: 1 - π + π ρ
    assert Meetings(20.0, 0.0, avoiders=0.01).p < 0.01 < Meetings(3.0, 0.0, avoiders=0.01).p
    assert Meetings(1e6, 0.0, avoiders=0.5).score > 5.0
    assert Meetings(5.0, 1e4, avoiders=0.9).p == 1.0
    assert share_of_avoiders([], 0.3) == pytest.approx(0.3)


def test_roles() -> None:
    light, window, heating = (
        role_of("light", None),
        role_of("binary_sensor", "window"),
        role_of("climate", None),
    )
    motion = role_of("binary_sensor", "motion")
    assert light
    assert window
    assert heating
    assert motion
    assert linked(heating, window)
    assert linked(window, heating)
    assert not linked(light, window)
    assert matters(light, window)
    assert not matters(light, motion)
    assert prior_of(light, window) < 0.05 < prior_of(window, heating)
    assert role_of("sensor", "temperature") is None
