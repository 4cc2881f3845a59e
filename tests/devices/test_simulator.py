"""The simulated home is real enough to learn from, and its truth is true."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.events import Origin
from devices.simulated_plan import rest_state
from devices.simulator import (
    HOMES,
    Fault,
    FaultKind,
    SimulatedEvent,
    SimulatedHome,
    Simulation,
    simulate,
)
from devices.state import HomeState
from tests.devices.simulations import BERLIN, FRIDGE, NEW_YORK, START, local, of, run

# ------------------------------------------------------------------------------------ what it is


@pytest.mark.parametrize(("home", "entities", "people"), [("apartment", 20, 1), ("family", 120, 4)])
def test_homes_hold_what_they_promise(home: str, entities: int, people: int) -> None:
    plan = HOMES[home]()
    ids = {e.entity_id for e in plan.entities}
    assert len(plan.entities) == len(ids) == entities
    assert len(plan.people) == people
    used = {step.entity_id for habit in plan.habits for step in habit.steps}
    used |= {c.entity_id for c in plan.casual} | set(plan.sensors) | plan.left_alone | {plan.front_door}
    used |= {r.light for r in plan.rooms if r.light} | {r.motion for r in plan.rooms if r.motion}
    assert used <= ids
    rooms = {r.area for r in plan.rooms}
    for person in (*plan.people, plan.guest):
        assert {person.bedroom, person.bathroom, person.hall, *(s.area for s in person.stays)} <= rooms
    assert all(2 <= len(habit.steps) <= 5 for habit in plan.habits)
    assert {h.person for h in plan.habits} <= {p.name for p in plan.people}


@pytest.mark.parametrize(
    ("home", "days", "least", "most"), [("apartment", 28, 300, 800), ("family", 5, 3000, 6000)]
)
def test_volumes_are_those_of_real_homes(home: str, days: int, least: int, most: int) -> None:
    assert least <= len(run(home, days).events) / days <= most


@pytest.mark.parametrize(("home", "days"), [("apartment", 28), ("family", 5)])
def test_nearly_everything_is_in_use(home: str, days: int) -> None:
    changed = {e.change.entity_id for e in run(home, days).events if e.change.old is not None}
    assert len(changed) >= 0.85 * len(HOMES[home]().entities)  # leak and smoke sensors only wait


# ----------------------------------------------------------------------------- what always holds


@pytest.mark.parametrize(
    ("home", "days", "faults", "more"),
    [
        ("apartment", 28, 10, {}),
        ("apartment", 28, 0, {"vacation": (8, 14), "guests": (18, 21), "new_hours_from": 24}),
        ("family", 5, 10, {}),
    ],
)
def test_every_change_is_real_and_in_time_order(
    home: str, days: int, faults: int, more: dict[str, Any]
) -> None:
    simulation = run(home, days, faults=faults, **more)
    fold, before = HomeState(), START
    seen: dict[str, tuple[str, object]] = {}
    for event in simulation.events:
        change = event.change
        assert change.changed_at == change.received_at >= before
        assert change.changed_at.tzinfo is UTC
        before = change.changed_at
        now = (change.new, dict(change.attributes))
        assert seen.get(change.entity_id) != now
        if change.entity_id in seen:
            assert change.old == seen[change.entity_id][0]
            if not change.entity_id.startswith("light."):  # a light may only be dimmed
                assert change.new != change.old
            assert change.origin is not Origin.UNKNOWN
            assert change.confidence == 1.0
        else:
            assert change.old is None
            assert change.changed_at == START
        seen[change.entity_id] = now
        fold.apply(change)
    assert before <= local(days, 0)
    assert len(fold) == len(HOMES[home]().entities)
    assert all(fold.get(entity_id).state == state for entity_id, (state, _) in seen.items())


def test_same_seed_same_home() -> None:
    again = simulate("apartment", start=START, days=28, seed=7, zone=BERLIN)
    assert again.events == run().events
    assert again.truth == run().truth
    assert run(seed=8).events != run().events


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0, 48, allow_nan=False), max_size=8))
def test_running_in_slices_changes_nothing(cuts: list[float]) -> None:
    home = SimulatedHome("apartment", start=START, seed=7, zone=BERLIN)
    events = home.initial()
    for hours in [*sorted(cuts), 48.0]:
        events += home.advance(START + timedelta(hours=hours))
    assert events == simulate("apartment", start=START, days=2, seed=7, zone=BERLIN).events


def test_a_fault_changes_only_what_it_touches() -> None:
    fault = Fault(FaultKind.LEFT_OPEN, FRIDGE, local(22, 19), timedelta(hours=2))
    faulty = simulate("apartment", start=START, days=28, seed=7, zone=BERLIN, faults=[fault])
    others = [e for e in faulty.events if e.change.entity_id != FRIDGE]
    assert others == [e for e in run().events if e.change.entity_id != FRIDGE]
    assert of(faulty, FRIDGE) != of(run(), FRIDGE)


# --------------------------------------------------------------------------------------- the truth


@pytest.mark.parametrize(("home", "days"), [("apartment", 28), ("family", 5)])
def test_labels_match_the_truth(home: str, days: int) -> None:
    simulation = run(home, days, faults=10)
    executions = {x.id: (h, x) for h in simulation.truth.habits.values() for x in h.executions}
    acted = defaultdict(list)
    for event in simulation.events:
        assert (event.habit is None) == (event.execution is None)
        if event.execution is not None:
            habit, execution = executions[event.execution]
            assert habit.habit.name == event.habit
            match = [
                a
                for a in execution.acts
                if (a.step.entity_id, a.step.state) == (event.change.entity_id, event.change.new)
            ]
            assert any(abs(a.at - event.change.changed_at.timestamp()) < 0.002 for a in match)
            assert event.change.origin in {Origin.PERSON, Origin.PHYSICAL}
            acted[event.execution].append(event)
        if event.fault is not None:
            truth = simulation.truth.faults[event.fault]
            assert event.change.changed_at in {truth.started_at, truth.ended_at}
    for name, (habit, execution) in executions.items():
        assert execution.partial == (len(execution.acts) < len(habit.habit.steps))
        assert execution.day in habit.opportunities
        assert execution.day.weekday() in habit.habit.days
        assert len(acted[name]) <= len(execution.acts)
    assert sum(len(a) for a in acted.values()) > 0.6 * sum(len(x.acts) for _, x in executions.values())


def test_habits_are_as_regular_as_they_say() -> None:
    simulation = run(days=140, seed=3)
    for truth in simulation.truth.habits.values():
        n, p = len(truth.opportunities), truth.habit.regularity
        assert n >= 30
        assert len(set(truth.opportunities)) == n
        # binomial: five standard deviations, seen once in two million
        assert abs(len(truth.executions) / n - p) <= 5 * math.sqrt(p * (1 - p) / n)
    coffee = simulation.truth.habits["morning_coffee"]
    partial = sum(x.partial for x in coffee.executions) / len(coffee.executions)
    assert 0 < partial < 0.25  # 0.08 of 93 executions, and one left early cuts the last step off
    hours = [datetime.fromtimestamp(x.at, BERLIN).hour for x in coffee.executions]
    assert set(hours) <= {6, 7}


def test_automations_are_labelled_as_such() -> None:
    simulation = run()
    for entity_id in ("light.hallway_light", "climate.thermostat"):
        changes = [e.change for e in of(simulation, entity_id)][1:]
        assert changes
        assert {c.origin for c in changes} == {Origin.AUTOMATION}
    heat = [e.change.changed_at.astimezone(BERLIN) for e in of(simulation, "climate.thermostat")[1:]]
    assert {(t.hour, t.minute) for t in heat} == {(6, 0), (22, 45)}
    porch = [
        e.change.changed_at.astimezone(BERLIN) for e in of(run("family", 5), "light.garden_porch_light")[1:]
    ]
    # early February at 50° north: 18 h - 2.2 h · cos(2π · 136/365) = 16.47 h, and 0.15 h later
    assert {t.hour for t in porch} == {16, 23}


# -------------------------------------------------------------------------------------- the household


@pytest.mark.parametrize(("home", "days"), [("apartment", 28), ("family", 5)])
def test_a_household_without_faults_sleeps_behind_closed_doors(home: str, days: int) -> None:
    plan, fold, events = HOMES[home](), HomeState(), iter(run(home, days).events)
    event = next(events)
    shut = {*plan.switched_off(), *(e.entity_id for e in plan.entities if e.key == "contact")}
    for day in range(1, days):
        while event.change.changed_at < local(day, 4):
            fold.apply(event.change)
            event = next(events)
        assert {e for e in shut if fold.get(e).state != rest_state(e)} == set()


def test_on_vacation_nobody_is_home() -> None:
    for home, days in (("apartment", 5), ("family", 5)):
        simulation = run(home, days, vacation=(1, 4))
        people = {p.entity_id for p in HOMES[home]().people}
        quiet = [e for e in simulation.events if local(1, 13) < e.change.changed_at < local(4, 16)]
        fold = HomeState()
        for event in simulation.events:
            if event.change.changed_at <= local(1, 13):
                fold.apply(event.change)
        assert {fold.get(p).state for p in people} == {"not_home"}
        by_resident = {e.change.domain for e in quiet if e.change.by_resident}
        assert by_resident == {"sensor"}  # temperatures and the fridge go on
        back = [
            e.change
            for e in simulation.events
            if e.change.entity_id in people and local(4, 16) < e.change.changed_at < local(4, 19)
        ]
        assert [c.new for c in back] == ["home"] * len(people)


def test_guests_are_heard_but_have_no_person() -> None:
    with_guest, without = run(days=14, guests=(8, 11)), run(days=14)

    def moves(simulation: Simulation) -> list[SimulatedEvent]:
        return [
            e
            for e in simulation.events
            if e.change.device_class == "motion" and local(8, 16) < e.change.changed_at < local(11, 11)
        ]

    assert len(moves(with_guest)) > 1.3 * len(moves(without))
    assert {e.change.entity_id for e in with_guest.events if e.change.domain == "person"} == {"person.alex"}
    before = [e for e in without.events if e.change.changed_at < local(8, 4)]
    assert with_guest.events[: len(before)] == before


def test_a_new_schedule_moves_the_morning() -> None:
    coffee = run(days=28, new_hours_from=14).truth.habits["morning_coffee"].executions
    old = run(days=28).truth.habits["morning_coffee"].executions
    assert [x.id for x in coffee] == [x.id for x in old]
    shifts = [round((a.at - b.at) / 3600, 2) for a, b in zip(coffee, old, strict=True)]
    assert shifts == [0.0 if (x.day - START.astimezone(BERLIN).date()).days < 14 else 1.5 for x in coffee]


@pytest.mark.parametrize(
    ("zone", "night", "hours"),
    [
        (BERLIN, date(2024, 3, 31), 23),
        (BERLIN, date(2024, 10, 27), 25),
        (NEW_YORK, date(2024, 3, 10), 23),
        (NEW_YORK, date(2024, 11, 3), 25),
    ],
)
def test_habits_keep_local_time_over_clock_changes(zone: ZoneInfo, night: date, hours: int) -> None:
    start = datetime.combine(night - timedelta(days=3), time(), zone).astimezone(UTC)
    home = SimulatedHome("apartment", start=start, seed=5, zone=zone)
    midnights = [local(n, 0, start, zone) for n in range(8)]
    assert midnights[4].timestamp() - midnights[3].timestamp() == hours * 3600
    events = home.advance(midnights[-1])
    times = [e.change.changed_at for e in events]
    assert times == sorted(times)
    heat = [
        e.change.changed_at.astimezone(zone) for e in events if e.change.entity_id == "climate.thermostat"
    ]
    assert {(t.hour, t.minute) for t in heat} == {(6, 0), (22, 45)}
    assert len(heat) == 14
    mornings = [
        datetime.fromtimestamp(x.at, zone).hour for x in home.truth.habits["morning_coffee"].executions
    ]
    assert mornings
    assert set(mornings) <= {6, 7}
    per_hour = [
        sum(a <= t < a + timedelta(hours=1) for t in times)
        for a in (midnights[3].astimezone(UTC) + timedelta(hours=n) for n in range(hours))
    ]
    assert min(per_hour) > 0  # no hour is lost or empty
