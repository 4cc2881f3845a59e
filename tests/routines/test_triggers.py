from dataclasses import replace
from datetime import timedelta
from random import Random

from routines.actions import Item
from routines.habit import Habit
from routines.history import History
from routines.routine import AtSun, AtTime, OnState, SunEvent
from routines.triggers import proposals
from tests.routines.homes import CALENDAR, Event, at, changes

LAMP, RADIO, DOOR = Item("light.hall", "on"), Item("switch.radio", "on"), "binary_sensor.door"


def habit_of(events: list[Event]) -> tuple[History, Habit]:
    history = History(changes(events), CALENDAR)
    pairs = zip(history.times[LAMP], history.times[RADIO], strict=True)
    return history, Habit((LAMP, RADIO), tuple({LAMP: a, RADIO: b} for a, b in pairs), grown=(LAMP, RADIO))


def evening(day: int, hour: float, *, door: bool = False) -> list[Event]:
    cue: list[Event] = [(at(day, hour, -30), DOOR, "on"), (at(day, hour, -20), DOOR, "off")] if door else []
    lamp, radio = LAMP.entity_id, RADIO.entity_id
    return [
        *cue,
        (at(day, hour), lamp, "on"),
        (at(day, hour, 45), radio, "on"),
        (at(day, hour + 1), lamp, "off"),
        (at(day, hour + 1), radio, "off"),
    ]


def test_a_time_before_most_days_and_its_first_action() -> None:
    rng = Random(1)
    found = list(proposals(*habit_of([e for d in range(20) for e in evening(d, rng.gauss(19.0, 0.2))])))
    times = [r.trigger for r in found if isinstance(r.trigger, AtTime) and not r.conditions.weekdays]
    early, middle = times
    assert 18.6 * 60 < early.minute < middle.minute < 19.2 * 60
    assert early.early_min > 0
    assert early.late_min > 10
    assert early.minute + early.late_min == middle.minute + middle.late_min  # when the last day began
    first = next(r for r in found if isinstance(r.trigger, OnState))
    assert first.trigger == OnState("light.hall", "on")
    assert [(s.entity_id, s.delay_s) for s in first.steps] == [("light.hall", 0.0), ("switch.radio", 45.0)]


def test_a_cue_is_answered_at_once() -> None:
    events = [e for d in range(20) for e in evening(d, 8.0 + d % 12, door=True)]
    found = [r for r in proposals(*habit_of(events)) if r.trigger == OnState(DOOR, "on")]
    (routine,) = found
    assert [s.delay_s for s in routine.steps] == [0.0, 45.0]


def test_any_hour_is_no_time_of_day() -> None:
    events = [e for d in range(20) for e in evening(d, 8.0 + d % 12)]
    assert not [r for r in proposals(*habit_of(events)) if isinstance(r.trigger, AtTime)]


def test_the_sun_where_it_is_kept_to() -> None:
    events = []
    for day in range(0, 120, 3):
        noon = at(day, 12)
        times = CALENDAR.sun_times(noon.date())
        assert isinstance(times, tuple)
        start = times[1] + timedelta(minutes=20)
        lamp, radio = LAMP.entity_id, RADIO.entity_id
        off = start + timedelta(hours=1)
        events += [
            (start, lamp, "on"),
            (start + timedelta(seconds=45), radio, "on"),
            (off, lamp, "off"),
            (off, radio, "off"),
        ]
    suns = [r.trigger for r in proposals(*habit_of(events)) if isinstance(r.trigger, AtSun)]
    assert suns == [AtSun(SunEvent.SUNSET, 20)]


def test_a_single_action_needs_its_cue() -> None:
    history = History(changes([e for d in range(20) for e in evening(d, 19.0, door=True)]), CALENDAR)
    door = Item(DOOR, "on")
    single = Habit((LAMP,), tuple({LAMP: t} for t in history.times[LAMP]), grown=(door, LAMP))
    assert [r.trigger for r in proposals(history, single)] == [OnState(DOOR, "on")]


def test_levels_are_learned_where_they_differ() -> None:
    home = changes([e for d in range(20) for e in evening(d, 19.0)])
    level = {"on": 0}
    dimmed = []
    for n, c in enumerate(home):
        if c.entity_id == "light.hall" and c.new == "on":
            level["on"] += 1
            dimmed.append(replace(c, attributes={"brightness": 60 + n % 5 if level["on"] % 4 else 250}))
        else:
            dimmed.append(c)
    history = History(dimmed, CALENDAR)
    dim = next(i for i in history.times if i.bucket == "25%")
    pairs = [(a, min(t for t in history.times[RADIO] if t > a)) for a in history.times[dim]]
    habit = Habit((dim, RADIO), tuple({dim: a, RADIO: b} for a, b in pairs), grown=(dim, RADIO))
    step = next(proposals(history, habit)).steps[0]
    (target,) = step.targets
    assert target.name == "brightness"
    assert 60 <= target.low <= target.median <= target.high <= 64
    assert target.n == len(pairs)
