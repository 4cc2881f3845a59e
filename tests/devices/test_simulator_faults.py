"""What goes wrong in the simulated home, and how it is put right."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from devices.events import UNAVAILABLE, Origin
from devices.simulator import (
    Conditions,
    Fault,
    FaultKind,
    SimulatedHome,
    simulate,
)
from tests.devices.simulations import BERLIN, FRIDGE, START, local, of, run, spells

# ------------------------------------------------------------------------------------------- faults


def test_forgotten_states_last_minutes_until_one_is_planted() -> None:
    simulation = run()
    for entity_id, state, longest in [
        (FRIDGE, "on", timedelta(minutes=5)),
        ("binary_sensor.balcony_door_contact", "on", timedelta(minutes=30)),
        ("light.bathroom_light", "on", timedelta(minutes=45)),
        ("switch.iron", "on", timedelta(minutes=45)),
    ]:
        usual = spells(simulation, entity_id, state)
        assert len(usual) >= 6
        assert max(usual) <= longest


@pytest.mark.parametrize(
    ("kind", "entity_id"),
    [
        (FaultKind.LEFT_OPEN, FRIDGE),
        (FaultKind.LEFT_OPEN, "binary_sensor.balcony_door_contact"),
        (FaultKind.LEFT_ON, "light.bathroom_light"),
        (FaultKind.LEFT_ON, "switch.iron"),
    ],
)
def test_something_is_forgotten_on_the_evening_it_is_planted(kind: FaultKind, entity_id: str) -> None:
    fault = Fault(kind, entity_id, local(28, 19.5), timedelta(hours=2))
    simulation = simulate("apartment", start=START, days=29, seed=7, zone=BERLIN, faults=[fault])
    truth = simulation.truth.faults[fault.id]
    assert timedelta() <= fault.at - truth.started_at < timedelta(hours=1) or truth.started_at >= fault.at
    assert truth.started_at < fault.at + timedelta(minutes=30)
    assert truth.ended_by is Origin.PHYSICAL
    assert max(spells(simulation, entity_id, "on")) == truth.ended_at - truth.started_at >= fault.duration
    ends = [e.change for e in simulation.events if e.fault == fault.id and e.change.new == "off"]
    assert [c.changed_at for c in ends] == [truth.ended_at]


def test_nobody_forgets_or_notices_while_they_sleep() -> None:
    asleep = Fault(FaultKind.LEFT_ON, "light.kitchen_light", local(3, 2.5), timedelta(minutes=10))
    late = Fault(FaultKind.LEFT_OPEN, FRIDGE, local(8, 22.0), timedelta(hours=2))
    truth = simulate("apartment", start=START, days=10, seed=7, zone=BERLIN, faults=[asleep, late]).truth
    assert truth.faults[asleep.id].started_at.astimezone(BERLIN).hour in {6, 7}
    assert truth.faults[late.id].ended_at > local(9, 5)


def test_an_odd_hour_is_odd() -> None:
    door = "binary_sensor.front_door_contact"
    fault = Fault(FaultKind.ODD_HOUR, door, local(10, 3.2), timedelta(minutes=3))
    simulation = simulate("apartment", start=START, days=12, seed=7, zone=BERLIN, faults=[fault])
    labelled = [e.change for e in simulation.events if e.fault == fault.id]
    assert [(c.new, c.changed_at) for c in labelled] == [("on", fault.at), ("off", fault.at + fault.duration)]


def test_a_dropout_takes_the_whole_device_and_brings_it_back() -> None:
    pair = {"sensor.living_room_climate_temperature", "sensor.living_room_climate_humidity"}
    fault = Fault(FaultKind.DROPOUT, min(pair), local(2, 12), timedelta(hours=3))
    simulation = simulate("apartment", start=START, days=4, seed=7, zone=BERLIN, faults=[fault])
    labelled = [e.change for e in simulation.events if e.fault == fault.id]
    gone, back = labelled[:2], labelled[2:]
    assert {c.entity_id for c in gone} == {c.entity_id for c in back} == pair
    assert {c.new for c in gone} == {UNAVAILABLE}
    assert all(c.old == UNAVAILABLE and float(c.new) for c in back)
    between = [e for e in simulation.events if fault.at < e.change.changed_at < fault.at + fault.duration]
    assert between
    assert not [e for e in between if e.change.entity_id in pair]


def test_a_silent_device_says_nothing_at_all() -> None:
    sensor = "binary_sensor.living_room_motion_occupancy"
    fault = Fault(FaultKind.SILENT, sensor, local(2, 12), timedelta(hours=24))
    simulation = simulate("apartment", start=START, days=5, seed=7, zone=BERLIN, faults=[fault])
    times = [e.change.changed_at for e in of(simulation, sensor)]
    assert not [t for t in times if fault.at < t <= fault.at + fault.duration]
    assert [t for t in times if t > fault.at + fault.duration]
    assert not [e for e in simulation.events if e.fault]
    assert simulation.truth.faults[fault.id].ended_at == fault.at + fault.duration


def test_random_faults_are_of_all_kinds_and_more_only_add() -> None:
    few, many = run(faults=5).truth.faults, run(faults=10).truth.faults
    assert {t.fault.kind for t in few.values()} == set(FaultKind)
    assert len(many) == 10
    assert few.keys() <= many.keys()
    assert all(t.fault.at >= local(7, 0) for t in many.values())


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        Fault(FaultKind.SILENT, FRIDGE, START.replace(tzinfo=None), timedelta(hours=1))
    with pytest.raises(ValueError, match="positive"):
        Fault(FaultKind.SILENT, FRIDGE, START, timedelta())
    with pytest.raises(ValueError, match="vacation"):
        Conditions(vacation=(5, 5))
    fault = Fault(FaultKind.SILENT, "light.moon", START, timedelta(hours=1))
    with pytest.raises(ValueError, match="doesn't have"):
        SimulatedHome("apartment", start=START, seed=1, zone=BERLIN, faults=[fault])


# --------------------------------------------------------------------------------------------- commands


def evening(fault: Fault | None = None) -> SimulatedHome:
    return SimulatedHome("apartment", start=START, seed=7, zone=BERLIN, faults=[fault] if fault else [])


def test_an_accepted_hunch_really_switches_it_off() -> None:
    fault = Fault(FaultKind.LEFT_ON, "switch.iron", local(1, 19.0), timedelta(hours=9))
    home = evening(fault)
    home.advance(local(1, 20.5))
    assert home.state("switch.iron") == "on"
    at = local(1, 20.5) + timedelta(seconds=3)
    answer = home.command("switch.iron", "off", at)[-1]
    assert (answer.change.new, answer.change.origin, answer.fault) == ("off", Origin.AGENT, fault.id)
    assert answer.change.changed_at == at
    truth = home.truth.faults[fault.id]
    assert (truth.ended_at, truth.ended_by) == (at, Origin.AGENT)
    later = [e for e in home.advance(local(3, 4)) if e.change.entity_id == "switch.iron"]
    assert all(a.change.new != b.change.new for a, b in pairwise([answer, *later]))
    assert not any(e.fault for e in later)


def test_a_habit_skips_what_is_done_already() -> None:
    undisturbed = evening()
    bed = next(
        e.change
        for e in undisturbed.advance(local(2, 4))
        if e.habit == "bedtime" and e.change.entity_id == "light.living_room_light"
    )
    home = evening()
    early = bed.changed_at - timedelta(seconds=5)
    assert home.command(bed.entity_id, "off", early)[-1].change.origin is Origin.AGENT
    again = [
        e for e in home.advance(bed.changed_at + timedelta(seconds=20)) if e.change.entity_id == bed.entity_id
    ]
    assert again == []


def test_commands_bring_out_what_came_before_and_repeat_nothing() -> None:
    home, twin = evening(), evening()
    first = home.command("light.bedroom_light", "on", local(0, 13), level=100)
    assert first[:-1] == twin.advance(local(0, 13))
    assert first[-1].change.attributes["brightness"] == 100
    assert home.command("light.bedroom_light", "on", local(0, 13)) == []
    dimmed = home.command("light.bedroom_light", "on", local(0, 13), level=40)
    assert [(e.change.old, e.change.new) for e in dimmed] == [("on", "on")]
    with pytest.raises(ValueError, match="has passed"):
        home.command("light.bedroom_light", "off", local(0, 12))


def test_only_a_resident_can_close_a_door() -> None:
    home = evening(Fault(FaultKind.LEFT_OPEN, FRIDGE, local(1, 18.5), timedelta(hours=9)))
    with pytest.raises(ValueError, match="can't be commanded"):
        home.command(FRIDGE, "off", local(1, 20))
    with pytest.raises(ValueError, match="can't be commanded"):
        home.command("light.moon", "off", local(1, 20))
    closed = home.command(FRIDGE, "off", local(1, 20), origin=Origin.PHYSICAL)[-1]
    assert closed.change.new == "off"
    assert [t.ended_by for t in home.truth.faults.values()] == [Origin.PHYSICAL]


def test_a_device_that_is_away_ignores_commands() -> None:
    home = evening(Fault(FaultKind.DROPOUT, "light.bedroom_light", local(0, 12), timedelta(hours=5)))
    home.advance(local(0, 13))
    assert home.command("light.bedroom_light", "on", local(0, 13)) == []
    assert home.state("light.bedroom_light") == UNAVAILABLE
    home.advance(local(0, 17.1))
    assert home.state("light.bedroom_light") == "off"
