from __future__ import annotations

from datetime import timedelta

import pytest

from devices.events import Origin, StateChange, Tick
from hunches.detector import Hunch
from hunches.hours import HourProfile
from hunches.records import DailyRecords
from hunches.timing import Timing
from tests.checks import ENTITIES, MINUTE, START, Harness, change, life, stay

DAYS = 21
NIGHT = START + timedelta(days=DAYS, hours=1, minutes=12)  # 02:12 in Berlin
DAY = START + timedelta(days=DAYS, hours=12, minutes=20)
DOOR = "binary_sensor.back_door"


def after_life() -> Harness:
    return Harness(Timing).run(life(days=DAYS, odd=False))


def at(harness: Harness, *changes: StateChange, minutes: int = 30) -> list[Hunch]:
    known, start = len(harness.hunches), changes[0].received_at
    events = [*changes, *(Tick(start + i * MINUTE) for i in range(1, minutes))]
    for event in sorted(events, key=lambda e: e.at if isinstance(e, Tick) else e.received_at):
        harness.step(event)
    return harness.hunches[known:]


def test_a_door_in_the_night() -> None:
    harness = after_life()
    (hunch,) = at(harness, change(DOOR, "on", NIGHT))
    assert hunch.entity_id == DOOR
    assert hunch.raised_for == "on"
    assert hunch.title.startswith("Back door opened at 02:12, which in 104 times never happened between ")
    assert hunch.evidence["days"] == 20
    assert hunch.evidence["p_hour"] < 0.01
    assert hunch.score > hunch.threshold >= 2.7


def test_the_hour_of_every_day_is_no_news() -> None:
    assert at(after_life(), change(DOOR, "on", DAY)) == []


def test_a_life_without_surprises_raises_next_to_nothing() -> None:
    assert len(after_life().hunches) <= 1


def test_company_makes_it_a_late_night() -> None:
    alone, together = after_life(), after_life()
    evening = START + timedelta(days=DAYS, hours=22, minutes=30)  # 23:30, well after the last of every day
    assert len(at(alone, change(DOOR, "on", evening))) == 1
    others = [c for e in ENTITIES if e != DOOR for c in stay(e, evening + timedelta(seconds=20), 30.0)]
    assert at(together, change(DOOR, "on", evening), *others) == []


def test_a_closed_door_is_not_offered_to_be_closed() -> None:
    harness = after_life()
    (hunch,) = at(harness, *stay("cover.garage", NIGHT, 60.0))
    assert hunch.raised_for in {"open", "closed"}
    if hunch.raised_for == "closed":
        assert hunch.remedy is None


def test_bursts_count_once() -> None:
    harness = Harness(Timing)
    for i in range(60):
        for c in stay("binary_sensor.hall_motion", START + i * MINUTE, 10.0):
            harness.step(c)
    harness.step(Tick(START + 61 * MINUTE))
    assert harness.detector._habits["binary_sensor.hall_motion"].episodes == 1


@pytest.mark.parametrize("origin", [Origin.AUTOMATION, Origin.AGENT])
def test_automations_neither_teach_nor_surprise(origin: Origin) -> None:
    harness = after_life()
    before = harness.snapshot()
    c = change(DOOR, "on", NIGHT)
    assert (
        at(harness, StateChange(c.entity_id, c.new, NIGHT, NIGHT, attributes=c.attributes, origin=origin))
        == []
    )
    assert harness.snapshot() == before


def test_no_rhythm_no_hunch() -> None:
    harness = Harness(Timing)
    for i in range(24 * 30):  # every hour of the day alike
        for c in stay("switch.iron", START + timedelta(minutes=47 * i), 60.0):
            harness.step(c)
    assert harness.hunches == []


def test_silent_in_the_first_days() -> None:
    harness = Harness(Timing).run(life(days=3, odd=False))
    assert at(harness, change(DOOR, "on", START + timedelta(days=3, hours=1))) == []


def test_weeks_of_night_shifts_are_learned() -> None:
    harness = after_life()
    heard = 0
    for day in range(14):
        heard += len(at(harness, *stay(DOOR, NIGHT + timedelta(days=day), 30.0)))
    assert heard <= 2


def test_another_schedule_is_a_habit_after_a_few_days() -> None:
    harness, heard = after_life(), []
    for day in range(21):  # everything now happens at night
        known = len(harness.hunches)
        for i, entity_id in enumerate(ENTITIES):
            at(harness, *stay(entity_id, NIGHT + timedelta(days=day, minutes=3 * i), 30.0), minutes=10)
        heard.append(len(harness.hunches) - known)
    assert 1 <= sum(heard) <= 4
    assert sum(heard[7:]) == 0


def test_an_activation_without_its_usual_company_is_stranger() -> None:
    def home_with(sound: list[str]) -> float:
        harness = Harness(Timing)
        for day in range(30):
            for hour in (6, 12, 17):
                start = START + timedelta(days=day, hours=hour, minutes=day % 20)
                for c in stay("binary_sensor.hall_motion", start, 30.0):
                    harness.step(c)
                for c in stay(DOOR, start + MINUTE, 20.0):
                    harness.step(c)
                for i in range(20):
                    harness.step(Tick(start + i * MINUTE))
                late = start + timedelta(hours=2)
                for c in stay("switch.iron", late, 60.0):
                    harness.step(c)
        odd = START + timedelta(days=31, hours=21)
        for entity_id in sound:
            harness.step(change(entity_id, "on", odd - MINUTE))
        harness.step(change(DOOR, "on", odd))
        waiting = harness.detector._waiting[DOOR]
        return harness.detector._with_company(DOOR, waiting) - waiting.surprise

    alone, wrong, right = home_with([]), home_with(["switch.iron"]), home_with(["binary_sensor.hall_motion"])
    assert alone >= wrong > right + 0.5
    assert right < 0.1


def test_contributions_and_words() -> None:
    harness = after_life()
    (hunch,) = at(harness, change(DOOR, "on", NIGHT))
    assert set(hunch.evidence["contributions"]) == {"hour", "company"}
    assert hunch.evidence["contributions"]["hour"] > 2.0
    assert hunch.short == "opened at 02:12"


def test_hour_profile_is_circular_and_adds_up() -> None:
    p = HourProfile()
    for day in range(40):
        p.learn_one(23.9, day)
    f = p.density()
    assert sum(f) == pytest.approx(1.0)
    assert f[0] == pytest.approx(f[46], rel=0.01)  # one bin to either side of 23:30
    assert p.tail(0.1) > 0.5
    assert p.tail(12.0) < p.tail(22.0)
    assert p.empty_around(12.0) == (0.0, 23.5)
    assert p.empty_around(23.6) is None


def test_hour_profile_backing() -> None:
    p = HourProfile(backing=10.0)
    for day in range(10):
        p.learn_one(8.0, day)
    # half the weight is the background: uniform 1/48 each, so a bin far away has 0.5 / 48
    assert p.density()[0] == pytest.approx(0.5 / 48, rel=0.05)
    background = [1.0 if b == 0 else 0.0 for b in range(48)]
    assert p.density(background)[0] == pytest.approx(0.5, rel=0.05)


def test_records_keep_sixty_days() -> None:
    r = DailyRecords(days=60)
    for day in range(100):
        r.learn_one(100.0 - day, day)
    # days 39 to 99 are kept, with 61 to 1: the median is 31, and 30 days are above it by 15.5 on average
    # bar = 31 + (30 * 15.5 + 5 / ln 10) / (30 + 5) * ln 5
    assert r.bar(100) == pytest.approx(31 + (465 + 5 / 2.302585) / 35 * 1.609438, rel=1e-6)
    assert len(r.to_dict()["best"]) <= 62


def test_a_few_odd_days_do_not_silence_a_home() -> None:
    calm, odd = DailyRecords(), DailyRecords()
    for day in range(30):
        calm.learn_one(2.0 + day % 3 / 2, day)
        odd.learn_one(6.0 if day in {3, 9, 16} else 2.0 + day % 3 / 2, day)
    assert 2.5 < calm.bar(30) < odd.bar(30) < 5.0


def test_no_bar_before_the_second_day() -> None:
    r = DailyRecords()
    assert r.bar(0) == 0.0
    r.learn_one(3.0, 0)
    assert r.bar(0) == 0.0
    # bar = 3 + 1 / ln 10 * ln 5: what honest scores pass on one day in ten
    assert r.bar(1) == pytest.approx(3.0 + 0.69897, abs=1e-4)
