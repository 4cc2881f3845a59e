from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from routines.actions import actions_of
from routines.history import History
from routines.limits import by_hand, limits
from routines.matching import CUE_HORIZON_S
from routines.mining import mine
from routines.naming import name_of
from routines.rendering import automation_of
from routines.routine import OnState, Routine, Step
from routines.validation import Score, backtest, score
from tests.routines.homes import CALENDAR, ZONE, Event, at, changes, noise

CLOSET = "light.closet"


def closet(rng: Random, days: int, *, times: int = 2, strays: frozenset[int] = frozenset()) -> list[Event]:
    """Return a light that somebody needs for ten seconds to two minutes; on stray days for an hour."""
    events: list[Event] = []
    for day in range(days):
        for n in range(times):
            on = at(day, 8.0 + 5.0 * n + rng.random())
            length = 3600.0 if day in strays and n == 0 else rng.uniform(10.0, 110.0)
            events += [(on, CLOSET, "on"), (on + timedelta(seconds=length), CLOSET, "off")]
    return events


def found(events: list[Event]) -> list[Routine]:
    return [routine for _, routine in limits(History(changes(events), CALENDAR))]


def test_a_limit_lies_above_every_run_in_whole_minutes() -> None:
    (routine,) = found(closet(Random(1), 10))
    assert routine.trigger == OnState(CLOSET, "on")
    assert routine.steps == (Step(CLOSET, "off", 120.0),)


def test_what_is_longer_than_any_cue_is_believed_for_is_no_part_of_it() -> None:
    (routine,) = found(closet(Random(1), 20, strays=frozenset({3, 9})))  # (18 + 1) / (2 + 1) > 3
    assert routine.steps[0].delay_s == 120.0
    assert routine.steps[0].delay_s <= CUE_HORIZON_S


def test_the_runs_of_a_day_are_one_piece_of_evidence() -> None:
    assert found(closet(Random(1), 8, times=3))
    assert found(closet(Random(1), 8, times=3, strays=frozenset({1, 2}))) == []  # (6 + 1) / (2 + 1) < 3
    assert found(closet(Random(1), 2, times=3)) == []


def test_dimming_begins_no_run() -> None:
    events: list[Event] = []
    for day in range(10):
        on = at(day, 9.0)
        events += [(on, CLOSET, "on"), (on + timedelta(seconds=80.0 + 20.0 * day), CLOSET, "off")]
        events += [
            (on + timedelta(hours=1), CLOSET, "on"),
            (on + timedelta(hours=1, seconds=20), CLOSET, "off"),
        ]
    home = []
    for c in changes(events):
        bright = replace(c, attributes={"brightness": 250}) if c.new == "on" else c
        home.append(bright)
        if c.new == "on" and c.changed_at.astimezone(ZONE).hour == 9:
            later = c.changed_at + timedelta(seconds=70)
            dimmed = {
                "changed_at": later,
                "received_at": later,
                "old": "on",
                "attributes": {"brightness": 60},
            }
            home.append(replace(c, **dimmed))
    assert len(actions_of(home)) == 10 * (3 + 2)
    ((habit, _),) = limits(History(home, CALENDAR))
    assert len(habit.occurrences) == 20


def test_what_is_unlocked_is_no_use_that_ends() -> None:
    named = {CLOSET: "lock.front"}
    states = {"on": "unlocked", "off": "locked"}
    home = [
        replace(c, entity_id=named[c.entity_id], new=states[c.new], old=c.old and states[c.old])
        for c in changes(closet(Random(1), 10))
    ]
    assert list(limits(History(home, CALENDAR))) == []


@pytest.mark.parametrize(
    ("lengths", "hand"),
    [
        ([2, 2, 5, 11, 24], True),
        ([1, 1, 1, 2, 4], False),  # an impulse, to the second
        ([120, 150, 180, 180, 240], False),  # a program, a kettle
        ([1790, 1800, 1800, 1810], False),  # a timer
    ],
)
def test_a_hand_is_uneven(lengths: list[float], hand: bool) -> None:
    assert by_hand(lengths) is hand


def test_what_would_have_been_cut_short_is_lost() -> None:
    routine = Routine("", OnState(CLOSET, "on"), (Step(CLOSET, "off", 120.0),))
    assert routine.is_limit
    events: list[Event] = []
    for day, length in enumerate((30.0, 119.0, 121.0, 20.0)):
        on = at(day, 9.0)
        events += [(on, CLOSET, "on"), (on + timedelta(seconds=length), CLOSET, "off")]
    home = changes([*events, (at(5, 9.0), "light.hall", "on")])
    assert score(backtest(home, actions_of(home), CALENDAR, [routine], at(0, 0))) == Score(3, 1, 3, 1)


@pytest.mark.parametrize("days", [12, 40])
def test_it_is_proposed_with_and_without_days_to_hold_out(days: int) -> None:
    rng = Random(5)
    events = [*noise(rng, days, ["light.attic", "switch.radio"]), *closet(rng, days)]
    (routine,) = mine(changes(events), CALENDAR).routines
    assert routine.name == "Closet off 2 min after it goes on"
    assert routine.evidence.losses == 0
    assert len(routine.evidence.dates) == days


def test_strays_keep_it_from_being_proposed() -> None:
    strays = frozenset(range(0, 40, 5))  # 72 to 8, and asking would be no help
    assert mine(changes(closet(Random(5), 40, strays=strays)), CALENDAR).routines == ()


def test_home_assistant_counts_from_the_last_time_it_went_on() -> None:
    config = automation_of(Routine("", OnState(CLOSET, "on"), (Step(CLOSET, "off", 120.0),)))
    assert config["trigger"][0]["for"] == {"seconds": 120}
    assert config["action"] == [{"service": "light.turn_off", "target": {"entity_id": CLOSET}}]


def test_a_step_of_another_device_makes_it_no_limit() -> None:
    both = (Step(CLOSET, "off", 120.0), Step("fan.closet", "off", 120.0))
    assert not Routine("", OnState(CLOSET, "on"), both).is_limit
    assert name_of(Routine("", OnState(CLOSET, "on"), both)).endswith("when closet goes on")
