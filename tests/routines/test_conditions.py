from datetime import datetime
from random import Random

import pytest

from devices.context import Calendar, Context, Occupancy
from devices.events import utc
from routines.conditions import Moment, admits, holds, infer, kept, windows
from routines.routine import Conditions
from tests.routines.homes import ZONE


def context(text: str, *, daylight: bool | None = None) -> Context:
    at = datetime.fromisoformat(text).replace(tzinfo=ZONE)
    return Context(at, at, Occupancy.HOME, daylight)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (Conditions(), True),
        (Conditions(weekdays=(0, 1)), True),
        (Conditions(weekdays=(5, 6)), False),
        (Conditions(after_min=1380, before_min=60), True),  # past midnight
        (Conditions(after_min=60, before_min=1380), False),
        (Conditions(occupancy=("home", "asleep")), True),
        (Conditions(occupancy=("away",)), False),
        (Conditions(dark=True), False),  # nobody knows
    ],
)
def test_conditions_on_a_monday_night(conditions: Conditions, expected: bool) -> None:
    assert holds(conditions, context("2024-03-04T23:30")) is expected


def test_darkness() -> None:
    assert holds(Conditions(dark=True), context("2024-03-04T23:30", daylight=False))
    assert not holds(Conditions(dark=False), context("2024-03-04T23:30", daylight=False))


def moments(weeks: int) -> list[Moment]:
    """Every day at seven and at nineteen o'clock; followed on workday mornings."""
    return [
        Moment(hour * 60, day % 7, "home", hour == 7, day % 7 < 5 and hour == 7)
        for day in range(7 * weeks)
        for hour in (7, 19)
    ]


def test_hours_and_workdays_are_found() -> None:
    found = infer(moments(6))
    assert found.weekdays == (0, 1, 2, 3, 4)
    assert all(admits(found, m) is m.followed for m in moments(1))


def test_given_conditions_stay() -> None:
    assert infer(moments(6), Conditions(occupancy=("home",))).occupancy == ("home",)


def test_noise_is_no_condition() -> None:
    wrong = 0
    for seed in range(30):
        rng = Random(seed)
        some = [
            Moment(
                rng.randrange(360, 1380),
                day % 7,
                rng.choice(("home", "away")),
                rng.random() < 0.5,
                rng.random() < 0.6,
            )
            for day in range(60)
        ]
        wrong += infer(some) != Conditions()
    assert wrong <= 3


def test_what_always_follows_needs_no_condition() -> None:
    assert infer([Moment(420, day % 7, "home", None, followed=True) for day in range(20)]) == Conditions()
    assert infer([]) == Conditions()


def test_windows_hold_what_they_are_made_of() -> None:
    for after, before in windows([1439, 2, 10, 1430, 5] * 4):
        inside = Conditions(after_min=after, before_min=before)
        assert admits(inside, Moment(0, 0, "", None, followed=True))
        assert not admits(inside, Moment(720, 0, "", None, followed=True))
    assert list(windows([])) == []
    assert list(windows(list(range(0, 1440, 10)))) == []  # all day


def test_a_calendar_gives_the_context() -> None:
    noon = Calendar(ZONE, 52.5, 13.4).context(utc("2024-06-03T10:00:00+00:00"), Occupancy.HOME)
    assert holds(Conditions(dark=False, weekdays=(0,), after_min=710, before_min=730), noon)


def begun(*minutes_and_days: tuple[int, int]) -> list[Moment]:
    return [Moment(minute, day, "home", None, followed=True) for minute, day in minutes_and_days]


def test_hours_and_weekdays_of_a_habit_pass_over_a_stray() -> None:
    """Twenty Fridays to Sundays about three, and once a Tuesday at night: hours and days are as ever."""
    found = kept(begun(*((900 + n, 4 + n % 3) for n in range(20)), (1380, 1)))
    assert found.weekdays == (4, 5, 6)
    assert found.after_min is not None
    assert found.before_min is not None
    assert 880 <= found.after_min < 900 < 919 < found.before_min <= 940


def test_what_comes_every_day_at_any_hour_keeps_to_nothing() -> None:
    assert kept(begun(*((n * 71 % 1440, n % 7) for n in range(60)))) == Conditions()
    assert kept([]) == Conditions()


def test_few_days_may_be_chance() -> None:
    assert kept(begun(*((900, n % 5) for n in range(10)))).weekdays == ()  # (5/7)^10 · 2 ways = .07
    assert kept(begun(*((900, n % 5) for n in range(15)))).weekdays == (0, 1, 2, 3, 4)  # .013
    assert kept(begun(*((900, n % 5 + 1) for n in range(15)))).weekdays == ()  # (5/7)^15 · 21 ways = .13
