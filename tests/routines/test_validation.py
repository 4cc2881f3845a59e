import pytest

from routines.actions import actions_of
from routines.routine import AtTime, OnState, Routine, Step
from routines.validation import Score, backtest, score
from tests.routines.homes import CALENDAR, Event, at, changes

LAMP = Step("light.hall", "on")
DOOR = Routine("door", OnState("binary_sensor.door", "on"), (LAMP,))


def evening(day: int, lamp_after_s: float | None) -> list[Event]:
    events: list[Event] = [
        (at(day, 20), "binary_sensor.door", "on"),
        (at(day, 20, 15), "binary_sensor.door", "off"),
    ]
    if lamp_after_s is not None:
        events += [(at(day, 20, lamp_after_s), "light.hall", "on"), (at(day, 22), "light.hall", "off")]
    return events


def run(events: list[Event], *routines: Routine, since: int = 0) -> Score:
    home = changes(events)
    return score(backtest(home, actions_of(home), CALENDAR, routines, at(since, 0)))


def test_right_and_not_needed() -> None:
    events = [*evening(0, 20.0), *evening(1, 200.0), *evening(2, 400.0), *evening(3, None), *evening(4, 9.0)]
    # wins on days 0, 1, 4; on day 2 the lamp is late, on day 3 it stays off
    assert run(events, DOOR) == Score(wins=3, losses=2, saved=3, wasted=2)


def test_what_it_was_learned_from_is_left_out() -> None:
    events = [e for day in range(6) for e in evening(day, 20.0)]
    assert run(events, DOOR, since=4).wins == 2


def test_what_is_still_open_at_the_end_is_left_out() -> None:
    events = [*evening(0, 20.0), (at(1, 20), "binary_sensor.door", "on")]
    assert run(events, DOOR) == Score(wins=1, saved=1)


def test_most_of_the_steps_win() -> None:
    three = Routine("door", DOOR.trigger, (LAMP, Step("switch.fan", "on"), Step("switch.heater", "on")))
    both = [*evening(0, 20.0), (at(0, 20, 30), "switch.fan", "on"), (at(1, 0), "switch.heater", "on")]
    assert run([*both, *evening(1, None)], three) == Score(wins=1, saved=2, wasted=1)
    assert run([*evening(0, 20.0), *evening(1, None)], three).losses == 1


@pytest.mark.parametrize(("minute", "wins", "losses"), [(1195, 3, 0), (1150, 0, 4), (1201, 0, 0)])
def test_a_time_has_half_an_hour(minute: int, wins: int, losses: int) -> None:
    """The lamp goes on at 20:00:20: five minutes after 19:55, fifty after 19:10, and before 20:01."""
    events = [e for day in range(4) for e in evening(day, 20.0)][: 3 * 4 + 2]
    found = run(events, Routine("time", AtTime(minute), (LAMP,)))
    assert (found.wins, found.losses) == (wins, losses)


def test_so_few_are_not_believed() -> None:
    assert Score(2, 0).sure == 3.0
    assert Score(3, 0).sure > 3.0
    assert Score(8, 1).sure == 4.5
    assert Score().sure == 1.0


def test_evidence_adds_up() -> None:
    assert Score(4, 1, 8, 2).plus(Score(2, 0, 4, 0), 0.5) == Score(5, 1, 10, 2)
    assert Score(4, 1, 8, 2).worth(3.0) == 2.0
