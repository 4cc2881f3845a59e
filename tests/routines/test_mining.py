from collections.abc import Callable
from datetime import timedelta
from random import Random

import pytest

from devices.events import Origin
from routines.actions import Item
from routines.coincidence import Coincidence
from routines.habit import Habit, earned, is_walk, left_out, overlap, recollect
from routines.habits import Habits
from routines.history import History
from routines.mining import mine
from routines.routine import OnState
from routines.runs import Runs
from tests.routines.homes import CALENDAR, at, changes, mornings, noise

OTHERS = ("light.bath", "light.bed", "switch.fan", "switch.heater", "light.hall")
MORNING = {("light.kitchen", "on"), ("switch.coffee", "on"), ("media_player.radio", "on")}


def home(days: int, seed: int = 1) -> list:
    rng = Random(seed)
    return [*mornings(rng, days), *noise(rng, days, OTHERS)]


@pytest.mark.parametrize("days", [21, 45])
def test_a_habit_becomes_one_routine_with_its_steps(days: int) -> None:
    result = mine(changes(home(days)), CALENDAR)
    (routine,) = result.routines
    assert routine.items == MORNING
    assert [s.entity_id for s in routine.steps] == ["light.kitchen", "switch.coffee", "media_player.radio"]
    evidence = routine.evidence
    assert evidence.wins >= 3 * evidence.losses > -1
    assert evidence.p <= evidence.q <= 0.01
    assert evidence.held_out is not None
    assert max(evidence.dates) > evidence.held_out[0] > min(evidence.dates)
    assert "coffee" in routine.name.lower()


def test_the_evidence_names_every_day_and_counts_what_came_of_the_trigger() -> None:
    events = home(45)
    done = {when.date().isoformat() for when, entity_id, state in mornings(Random(1), 45) if state == "on"}
    (routine,) = mine(changes(events), CALENDAR).routines
    evidence = routine.evidence
    assert evidence.held_out is not None
    assert done <= set(evidence.dates)
    learned = [d for d in done if d < evidence.held_out[0]]
    assert len(learned) <= evidence.opportunities <= 1.5 * len(learned)
    assert evidence.wins + evidence.missed >= len(done) - len(learned)


def test_actions_that_are_often_done_alone_at_other_hours_are_a_pair_at_one() -> None:
    rng = Random(5)
    desk, fan = Item("light.desk", "on"), Item("switch.fan", "on")
    events = [event for _ in range(6) for event in noise(rng, 60, (desk.entity_id, fan.entity_id))]
    for day in range(0, 60, 2):
        start = at(day, rng.gauss(23.3, 0.1))
        for n, item in enumerate((desk, fan)):
            events.append((start + timedelta(seconds=30 * n), item.entity_id, "on"))
            events.append((start + timedelta(minutes=rng.uniform(20, 120)), item.entity_id, "off"))
    guard = Coincidence(History(changes(events), CALENDAR))
    (pair,) = Habits(guard, Runs(guard)).pairs([(desk, fan)])
    assert len(guard.history.times[desk]) > 5 * len(pair.occurrences) > 50
    assert {guard.history.clock(start)[1] // 3600 + 4 for start in pair.starts} <= {22, 23}


def test_nothing_repeated_is_nothing_proposed_and_says_why() -> None:
    rng = Random(3)
    result = mine(changes(noise(rng, 40, (*OTHERS, "light.kitchen", "switch.coffee"))), CALENDAR)
    assert result.routines == ()
    text = result.accounting.explain()
    assert "40 days" in text or "41 days" in text
    assert "0 proposed" in text
    assert result.accounting.candidates >= result.accounting.coincidences > 0


def test_what_automations_do_is_no_habit() -> None:
    assert mine(changes(home(30), Origin.AUTOMATION), CALENDAR).accounting.actions == 0


def test_unknown_origins_are_mined_if_that_is_asked_for() -> None:
    unknown = changes(home(30), Origin.UNKNOWN)
    assert mine(unknown, CALENDAR).routines == ()
    assert len(mine(unknown, CALENDAR, include_unknown=True).routines) == 1


def test_nothing_is_learned_from_what_comes_later() -> None:
    events, until = home(45), at(30, 0)
    early = mine(changes(e for e in events if e[0] < until), CALENDAR)
    assert mine(changes(events), CALENDAR, until=until).routines == early.routines


def test_it_is_the_same_each_time_and_tells_how_far_it_is() -> None:
    told: list[tuple[str, float]] = []
    first = mine(changes(home(30)), CALENDAR, progress=lambda stage, share: told.append((stage, share)))
    assert [r.to_dict() for r in first.routines] == [
        r.to_dict() for r in mine(changes(home(30)), CALENDAR).routines
    ]
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert len(told) >= 3


def test_too_little_to_say() -> None:
    assert mine([], CALENDAR).routines == ()
    assert mine(changes(home(3)), CALENDAR).accounting.days <= 4


def test_a_lamp_that_answers_a_door() -> None:
    rng = Random(5)
    events = noise(rng, 40, OTHERS)
    for day in range(40):
        for hour in (9, 15, 19):
            start = at(day, hour + rng.random())
            events += [
                (start, "binary_sensor.door", "on"),
                (start + timedelta(seconds=9), "binary_sensor.door", "off"),
            ]
            if rng.random() < 0.95:
                lamp = start + timedelta(seconds=rng.uniform(3, 12))
                events += [
                    (lamp, "light.porch", "on"),
                    (lamp + timedelta(minutes=rng.uniform(3, 50)), "light.porch", "off"),
                ]
    porch = [r for r in mine(changes(events), CALENDAR).routines if ("light.porch", "on") in r.items]
    assert [r.trigger for r in porch] == [OnState("binary_sensor.door", "on")]
    assert [len(r.steps) for r in porch] == [1]


def iron(rng: Random, minutes: tuple[float, float]) -> History:
    events = []
    for day in range(0, 60, 2):
        start = at(day, rng.gauss(19, 0.4))
        events += [
            (start, "switch.iron", "on"),
            (start + timedelta(minutes=rng.uniform(*minutes)), "switch.iron", "off"),
        ]
    return History(changes(events), CALENDAR)


def test_a_run_is_steady() -> None:
    (run,) = Runs(Coincidence(iron(Random(1), (15, 25)))).found
    assert [i.state for i in run.items] == ["on", "off"]
    assert len(run.occurrences) == 30
    assert Runs(Coincidence(iron(Random(1), (10, 170)))).found == []


A, B = Item("light.a", "on"), Item("light.b", "off")


def follow(*items: Item, pause_s: float = 10.0) -> Habit:
    return Habit(
        items, tuple({i: day * 86_400 + n * pause_s for n, i in enumerate(items)} for day in range(3))
    )


def test_a_walk_from_room_to_room_is_no_habit() -> None:
    assert is_walk(follow(A, B))
    assert not is_walk(follow(A, B, pause_s=60.0))  # so long nobody is on the way
    assert not is_walk(follow(A, Item("light.b", "on")))
    assert not is_walk(follow(A, B, Item("switch.tv", "off")))
    assert not is_walk(follow(A, Item("light.a", "off")))  # a run


def lamp_and_coffee(rng: Random, lamp_on: Callable[[int], bool], days: int = 40) -> list:
    """Radio and coffee every morning at seven, and on some days a lamp."""
    events = []
    for day in range(days):
        start = at(day, rng.gauss(7, 0.2))
        events += [(start, "media_player.radio", "playing")]
        events += [(start + timedelta(seconds=20), "switch.coffee", "on")]
        events += [(start + timedelta(seconds=40), "light.lamp", "on")] if lamp_on(day) else []
        for entity_id in ("media_player.radio", "switch.coffee", "light.lamp"):
            events.append((start + timedelta(hours=2), entity_id, "off"))
    return events


def morning_habit(lamp_on: Callable[[int], bool]) -> tuple[Habit, History]:
    history = History(changes(lamp_and_coffee(Random(1), lamp_on)), CALENDAR)
    items = (Item("media_player.radio", "playing"), Item("switch.coffee", "on"), Item("light.lamp", "on"))
    occurrences = []
    for start in history.times[items[0]]:
        found = {i: t for i in items for t in history.between(i, start - 1, start + 60)}
        occurrences.append(found)
    return Habit(items, tuple(occurrences), grown=items), history


def test_a_step_that_is_dropped_on_the_held_out_days_goes() -> None:
    habit, history = morning_habit(lambda day: day < 25)
    since = at(25, 0).timestamp()
    assert [i.entity_id for i in earned(habit, history, since, 3.0).items] == [
        "media_player.radio",
        "switch.coffee",
    ]


def test_a_step_that_is_left_out_now_and_then_stays() -> None:
    habit, history = morning_habit(lambda day: day % 6 > 0)
    assert earned(habit, history, at(25, 0).timestamp(), 3.0) == habit


def test_a_step_that_was_done_already_is_not_left_out() -> None:
    habit, history = morning_habit(lambda day: day >= 0)
    radio, coffee, lamp = habit.items
    first = habit.occurrences[0][radio]
    assert left_out(habit, {radio: first, coffee: first + 20}, history) == [lamp]
    assert left_out(habit, {radio: first + 3600, coffee: first + 3620}, history) == []  # it is on


COFFEE = [Item("media_player.radio", "playing"), Item("switch.coffee", "on")]


def finder(events: list, until: int = 100) -> Habits:
    guard = Coincidence(History((c for c in changes(events) if c.changed_at < at(until, 0)), CALENDAR))
    return Habits(guard, Runs(guard))


def test_what_has_another_step_on_weekends_is_another_habit_there() -> None:
    events = lamp_and_coffee(Random(1), lambda day: day % 7 < 5, days=60)
    for when, entity_id, state in list(events):
        if entity_id == "switch.coffee" and when.weekday() >= 5:
            at_once = timedelta(seconds=25 if state == "on" else 0)
            events.append((when + at_once, "switch.heater", state))
    habits = finder(events)
    (seed,) = habits.pairs([COFFEE])
    workdays, weekend = habits.grown(seed)
    assert {i.entity_id for i in workdays.items} - {i.entity_id for i in weekend.items} == {"light.lamp"}
    assert {i.entity_id for i in weekend.items} - {i.entity_id for i in workdays.items} == {"switch.heater"}
    assert len(workdays.occurrences) + len(weekend.occurrences) == 60


def test_a_habit_of_the_weekend_is_looked_for_on_weekends() -> None:
    whole = History(changes(lamp_and_coffee(Random(1), lambda day: day >= 0)), CALENDAR)
    radio, coffee = COFFEE
    every = list(zip(whole.times[radio], whole.times[coffee], strict=True))
    weekend = [{radio: r, coffee: c} for r, c in every if whole.on_weekend(r)]
    few = Habit((radio, coffee), tuple(weekend[:4]), grown=(radio, coffee))
    assert recollect(few, whole).occurrences == tuple(weekend)


def test_a_step_that_is_mostly_done_already_is_seen_in_all_of_the_past() -> None:
    """Every eighth morning the lamp is off: four times in forty days are too few to believe, seven aren't."""
    events = [
        e
        for e in lamp_and_coffee(Random(1), lambda day: day % 8 == 0, days=60)
        if e[1] != "light.lamp" or e[2] == "on"
    ]
    events += [(at(day, 20), "light.lamp", "off") for day in range(7, 60, 8)]
    fit, whole = finder(events, until=24), finder(events)
    (seed,) = fit.pairs([COFFEE])
    (habit,) = fit.grown(seed)
    assert set(habit.items) == set(COFFEE)
    assert {i.entity_id for i in whole.regrown(habit).items} - {i.entity_id for i in habit.items} == {
        "light.lamp"
    }


def test_a_pair_one_of_which_is_mostly_done_already_is_a_pair() -> None:
    events = [e for e in lamp_and_coffee(Random(1), lambda day: day % 8 == 0, days=60) if "radio" not in e[1]]
    events = [e for e in events if e[1] != "light.lamp" or e[2] == "on"]
    events += [(at(day, 20), "light.lamp", "off") for day in range(7, 60, 8)]
    coffee, lamp = COFFEE[1], Item("light.lamp", "on")
    (pair,) = finder(events).pairs([(coffee, lamp)])
    assert len(pair.occurrences) == 8


def test_a_habit_of_some_weekdays_is_left_alone_on_others() -> None:
    """Fridays to Sundays the blind and the TV; in the last weeks the blind alone, too, on other days."""
    rng = Random(2)
    events = noise(rng, 60, OTHERS)
    for day in range(60):
        start = at(day, rng.gauss(15.0, 0.8))
        if day % 7 >= 4:
            events += [(start, "cover.den", "open"), (start + timedelta(seconds=45), "media_player.tv", "on")]
        elif day > 45:
            events.append((start, "cover.den", "open"))
        events += [(at(day, 20), "cover.den", "off"), (at(day, 20), "media_player.tv", "off")]
    (routine,) = (r for r in mine(changes(events), CALENDAR).routines if ("cover.den", "open") in r.items)
    assert routine.trigger == OnState("cover.den", "open")
    assert routine.conditions.weekdays == (4, 5, 6)
    assert routine.evidence.losses == 0


def test_overlap_counts_occurrences_that_share_an_action() -> None:
    one = Habit((A, B), ({A: 1.0, B: 2.0}, {A: 5.0, B: 6.0}))
    assert overlap(one, Habit((A,), ({A: 1.0},))) == 0.5
    assert overlap(Habit((A,), ({A: 1.0},)), one) == 1.0


def test_later_times_are_found_again() -> None:
    whole = History(changes(mornings(Random(1), 40)), CALENDAR)
    items = (Item("light.kitchen", "on"), Item("switch.coffee", "on"))
    pairs = list(zip(whole.times[items[0]], whole.times[items[1]], strict=True))
    half = Habit(items, tuple({items[0]: a, items[1]: b} for a, b in pairs[:10]), grown=items)
    assert [sorted(o.values()) for o in recollect(half, whole).occurrences] == [list(p) for p in pairs]


def test_an_appliance_that_ends_by_itself_is_no_habit() -> None:
    """Three minutes after it goes on, several times a day at any hour: nobody wants that automated."""
    rng = Random(4)
    events = noise(rng, 40, ["light.attic", "light.hall"])
    for day in range(40):
        for _ in range(3):
            on = at(day, rng.uniform(8.0, 21.0))
            events += [(on, "switch.microwave", "on"), (on + timedelta(minutes=3), "switch.microwave", "off")]
    found = mine(changes(events), CALENDAR)
    assert [r.name for r in found.routines] == []
    assert found.accounting.candidates > 0
