from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from devices.events import Origin, StateChange, Tick
from hunches.detector import Hunch
from hunches.dwell import Dwell
from tests.checks import MINUTE, START, Harness, change, life, stay

DAYS = 21
NOW = START + timedelta(days=DAYS, hours=9)


def after_life(**kwargs: object) -> Harness:
    harness = Harness(Dwell)
    harness.detector = Dwell(**kwargs)  # type: ignore[arg-type]
    return harness.run(life(days=DAYS, odd=False))


def ticks(harness: Harness, minutes: int, since: datetime = NOW) -> list[Hunch]:
    known = len(harness.hunches)
    for i in range(1, minutes + 1):
        harness.step(Tick(since + i * MINUTE))
    return harness.hunches[known:]


def test_a_regular_life_is_no_news() -> None:
    assert after_life().hunches == []


def test_a_door_left_open() -> None:
    harness = after_life()
    harness.step(change("binary_sensor.back_door", "on", NOW))
    (hunch,) = ticks(harness, 180)
    assert hunch.raised_for == "on"
    assert hunch.remedy is None  # a sensor can't be told to close
    assert hunch.title.startswith("Back door has been open for ")
    assert "in 105 openings it was never open longer than" in hunch.title  # 21 days of five
    assert 20 * 60 <= hunch.evidence["lasted_s"] <= 60 * 60
    assert hunch.evidence["n"] == 105
    assert hunch.evidence["longest"][0]["seconds"] < hunch.evidence["lasted_s"]
    assert hunch.score >= hunch.threshold == pytest.approx(2.301, abs=0.001)  # -log10 0.005


@pytest.mark.parametrize(
    ("entity_id", "remedy"),
    [
        ("light.kitchen", "off"),
        ("lock.front", "locked"),
        ("cover.garage", "closed"),
        ("media_player.tv", "off"),
    ],
)
def test_the_remedy_is_the_resting_state(entity_id: str, remedy: str) -> None:
    harness = after_life()
    harness.step(stay(entity_id, NOW, 1.0)[0])
    (hunch,) = ticks(harness, 240)
    assert hunch.remedy == remedy


def test_a_stay_that_ends_in_time_is_no_news() -> None:
    harness = after_life()
    for c in stay("light.kitchen", NOW, 600.0):
        harness.step(c)
    assert ticks(harness, 300) == []


def test_rest_and_numbers_are_never_judged() -> None:
    harness = after_life()
    for entity_id, state in (
        ("binary_sensor.back_door", "off"),
        ("sensor.temperature", "21"),
        ("lock.front", "locked"),
    ):
        harness.step(change(entity_id, state, NOW))
    assert ticks(harness, 3000) == []


def test_few_stays_are_not_enough() -> None:
    harness = Harness(Dwell)
    for day in range(5):
        for c in stay("switch.iron", START + timedelta(days=day), 120.0):
            harness.step(c)
    harness.step(change("switch.iron", "on", NOW))
    assert ticks(harness, 24 * 60) == []


def test_said_once() -> None:
    harness = after_life()
    harness.step(change("light.kitchen", "on", NOW))
    assert len(ticks(harness, 3 * 24 * 60)) == 1


def test_a_stay_that_was_once_that_long_is_no_news() -> None:
    harness = after_life()
    for c in stay("light.kitchen", NOW - timedelta(hours=20), 4 * 3600.0):
        harness.step(c)
    harness.step(change("light.kitchen", "on", NOW))
    assert ticks(harness, 4 * 60) == []


def test_habit_of_the_evening_is_no_alarm_in_the_evening_but_is_at_night() -> None:
    harness = Harness(Dwell)
    for day in range(120):
        morning = START + timedelta(days=day, hours=7)
        for i in range(4):
            for c in stay("light.kitchen", morning + timedelta(minutes=20 * i), 200.0):
                harness.step(c)
        for c in stay("light.kitchen", START + timedelta(days=day, hours=18), 3600.0 * 3 + 60 * (day % 17)):
            harness.step(c)
    past = harness.detector._past["light.kitchen"]
    assert past.p("evening|weekday|home", 7200.0) > 0.5
    assert past.p("morning|weekday|home", 7200.0) < 0.02


def test_a_home_whose_sensors_stick_is_trusted_less() -> None:
    trusted, sticky = after_life(), after_life()
    for i in range(12):  # another sensor that is forgotten again and again
        at = NOW - timedelta(days=2) + timedelta(hours=3 * i)
        for k in range(10):
            for c in stay("switch.iron", at + timedelta(minutes=k), 5.0):
                sticky.step(c)
        for c in stay("switch.iron", at + timedelta(minutes=20), 7200.0):
            sticky.step(c)
    doubt = [h.detector._doubt(h.detector._past["light.kitchen"]) for h in (trusted, sticky)]
    assert doubt[0] < doubt[1]


def test_a_state_that_the_agent_ended_teaches_nothing() -> None:
    harness = after_life()
    before = harness.detector._past["light.kitchen"].count
    harness.step(change("light.kitchen", "on", NOW))
    end = NOW + timedelta(hours=5)
    harness.step(StateChange("light.kitchen", "off", end, end, origin=Origin.AGENT))
    assert harness.detector._past["light.kitchen"].count == before


def test_no_hunch_while_unavailable_and_the_clock_starts_again_after() -> None:
    harness = after_life()
    harness.step(change("light.kitchen", "on", NOW))
    harness.step(change("light.kitchen", "unavailable", NOW + 10 * MINUTE))
    assert ticks(harness, 12 * 60) == []
    back = NOW + timedelta(hours=12)
    harness.step(change("light.kitchen", "on", back))
    assert ticks(harness, 15, since=back) == []
    assert len(ticks(harness, 24 * 60, since=back)) == 1


def test_retained_states_teach_nothing() -> None:
    harness = after_life()
    count = harness.detector._past["light.kitchen"].count
    for c in stay("light.kitchen", NOW, 60.0):
        harness.step(StateChange(c.entity_id, c.new, c.changed_at, c.received_at, retained=True))
    assert harness.detector._past["light.kitchen"].count == count


def test_friendly_name_is_used_and_a_long_one_is_cut() -> None:
    harness = after_life()
    harness.step(
        StateChange(
            "light.kitchen",
            "on",
            NOW,
            NOW,
            attributes={"friendly_name": "Kitchen " * 60},
            origin=Origin.PHYSICAL,
        )
    )
    (hunch,) = ticks(harness, 240)
    assert hunch.title.startswith("Kitchen Kitchen")
    assert len(hunch.title) <= 255
    assert "has been on for" in hunch.title


def test_settled_stays_leave_nothing_in_the_queue() -> None:
    harness = after_life()
    ticks(harness, 24 * 60)
    assert harness.detector._heap == []
    assert harness.detector._queued == set()


def test_parameters_are_heard() -> None:
    strict = after_life(p_max=1e-9)
    strict.step(change("light.kitchen", "on", NOW))
    assert ticks(strict, 120) == []
    quick, slow = after_life(patience=0.5), after_life(patience=4.0)
    for harness in (quick, slow):
        harness.step(change("light.kitchen", "on", NOW))
    assert len(ticks(quick, 30)) == 1  # half of 45 minutes
    assert ticks(slow, 150) == []
    assert len(ticks(slow, 180)) == 1  # four times 45


LEAK = "binary_sensor.washing_machine_leak_sensor"


def leak(state: str, at: datetime) -> StateChange:
    return StateChange(LEAK, state, at, at, attributes={"device_class": "moisture"}, origin=Origin.PHYSICAL)


def test_water_is_said_the_first_time_and_after_a_minute_of_it() -> None:
    harness = Harness(Dwell)
    harness.step(leak("off", START))
    harness.step(leak("on", NOW))
    (hunch,) = ticks(harness, 30)
    assert hunch.title == "Washing machine leak sensor has detected water for 1 min."
    assert hunch.short == "water for 1 min"
    assert hunch.evidence["lasted_s"] == 60
    assert hunch.score == pytest.approx(3.0)


def test_a_splash_is_no_water() -> None:
    harness = Harness(Dwell)
    for state, seconds in (("off", 0), ("on", 60), ("off", 100)):
        harness.step(leak(state, NOW + timedelta(seconds=seconds)))
    assert ticks(harness, 30) == []


def test_a_sensor_that_is_wet_every_day_becomes_quiet_but_not_deaf() -> None:
    harness, heard = Harness(Dwell), []
    harness.step(leak("off", START))
    for day in range(40):
        wet = START + timedelta(days=day, hours=7)
        harness.step(leak("on", wet))
        heard.append(len(ticks(harness, 14, since=wet)))
        harness.step(leak("off", wet + timedelta(minutes=15)))
    assert sum(heard) <= 5
    assert sum(heard[10:]) == 0
    flood = START + timedelta(days=40, hours=7)
    harness.step(leak("on", flood))
    (hunch,) = ticks(harness, 12 * 60, since=flood)
    assert "in 40 times it was never on longer than 15 min" in hunch.title


@pytest.mark.parametrize("device_class", ["problem", "battery", "update", "connectivity", "tamper"])
def test_what_is_no_alarm_is_not_judged(device_class: str) -> None:
    harness = Harness(Dwell)
    for state, at in (("off", START), ("on", NOW)):
        harness.step(StateChange(LEAK, state, at, at, attributes={"device_class": device_class}))
    assert ticks(harness, 24 * 60) == []


def evenings(minutes: list[int]) -> tuple[Harness, list[int]]:
    """Live through days with a lamp that is on four times in the morning, and once in the evening."""
    harness, heard = Harness(Dwell), []
    for day, length in enumerate(minutes):
        midnight, known = START + timedelta(days=day), len(harness.hunches)
        times = [(midnight + timedelta(hours=6 + i), 5) for i in range(4)]
        for at, lasts in [*times, (midnight + timedelta(hours=17, seconds=37 * day), length)]:
            harness.step(change("light.kitchen", "on", at))
            ticks(harness, lasts, since=at)
            harness.step(change("light.kitchen", "off", at + timedelta(minutes=lasts, seconds=13)))
        heard.append(len(harness.hunches) - known)
    return harness, heard


def test_a_light_that_now_stays_on_all_evening_is_soon_no_news() -> None:
    _, heard = evenings([10] * 40 + [200 + 7 * (i % 5) for i in range(20)])
    assert sum(heard[:40]) == 0
    assert 1 <= sum(heard[40:]) <= 3
    assert sum(heard[45:]) == 0


def test_a_light_that_no_longer_stays_on_all_evening_may_be_forgotten_again() -> None:
    kept, _ = evenings([240 + 7 * (i % 5) for i in range(40)])
    changed, _ = evenings([240 + 7 * (i % 5) for i in range(40)] + [10] * 35)
    longest = [h.detector._past["light.kitchen"].longest[0][0] for h in (kept, changed)]
    assert longest[0] > 4 * 3600.0
    assert longest[1] < 3600.0
    past = changed.detector._past["light.kitchen"]
    assert past.p("evening|weekday|home", 7200.0) < 0.1


def test_a_compressor_is_known_by_its_duty_cycle() -> None:
    harness = Harness(Dwell)
    for cycle in range(14 * 24):  # on for 18 to 22 min, off for the rest of the hour
        at = START + timedelta(hours=cycle)
        harness.step(change("switch.iron", "on", at))
        end = at + timedelta(minutes=18 + cycle % 5)
        ticks(harness, 18 + cycle % 5, since=at)
        harness.step(change("switch.iron", "off", end))
    assert harness.hunches == []
    harness.step(change("switch.iron", "on", NOW))
    (hunch,) = ticks(harness, 300)
    assert hunch.evidence["lasted_s"] <= 3600


def test_contributions_say_which_circumstance_makes_it_strange() -> None:
    harness = Harness(Dwell)
    for day in range(60):
        for hour, seconds in ((8, 300.0), (9, 300.0), (18, 7200.0)):
            for c in stay("light.kitchen", START + timedelta(days=day, hours=hour), seconds):
                harness.step(c)
    past = harness.detector._past["light.kitchen"]
    morning = past.contributions("morning|weekday|home", 5400.0)
    assert set(morning) == {"daypart", "day", "occupancy"}
    assert morning["daypart"] > 2.0  # e² to one: in the morning it is hardly ever on that long
    assert past.contributions("evening|weekday|home", 5400.0)["daypart"] < -1.0
    assert abs(morning["occupancy"]) < 1.0


def test_the_short_form_follows_the_name() -> None:
    harness = after_life()
    harness.step(change("light.kitchen", "on", NOW))
    (hunch,) = ticks(harness, 240)
    assert hunch.title.startswith(f"Kitchen has been {hunch.short};")


def test_one_night_left_open_is_no_licence_for_every_night_after() -> None:
    harness = after_life()
    door = "binary_sensor.back_door"
    for week in range(6):  # 105 openings, then 210 more; one of the night in between
        for i in range(35):
            at = NOW + timedelta(days=7 * week + i // 5, hours=i % 5)
            for c in stay(door, at, 60.0):
                harness.step(c)
        if week == 0:
            for c in stay(door, NOW + timedelta(days=6, hours=8), 8 * 3600.0):
                harness.step(c)
    later = NOW + timedelta(days=50)
    harness.step(change(door, "on", later))
    (hunch,) = ticks(harness, 180, since=later)
    assert "only once (8 h)" in hunch.title
    assert hunch.evidence["longest"][0]["seconds"] == 8 * 3600
