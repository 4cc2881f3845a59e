"""A habit from the hand that does it to the automation that does it, and back, with a real Home Assistant."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import yaml

from agent.records import Document
from devices.events import Origin
from routines.rendering import automation_of, blueprint_of, yaml_of
from routines.routine import AtSun, AtTime, Conditions, OnState, Routine, Step, SunEvent, Target
from tests.e2e.devices import FakeDevice, ZigbeeLamp
from tests.e2e.habits import DAYS, Habit
from tests.e2e.inkling import Inkling
from tests.e2e.lab import HomeAssistant
from tests.e2e.test_daemon import told
from tests.e2e.test_provenance import configured, lamp_when, on
from tests.process import wait_for


@dataclass(frozen=True, slots=True)
class Room:
    """A habit's devices."""

    habit: Habit
    door: FakeDevice
    lamp: FakeDevice
    radio: FakeDevice

    def enter(self) -> datetime:
        """Open the door, which stands closed, with nothing on; return the time before."""
        for device in (self.lamp, self.radio, self.door):
            device.rest("OFF")  # the door opens after that, though each device has a connection of its own
            device.commands.clear()
        time.sleep(1.0)  # Inkling holds a lamp's change for its origin, but not a door's
        start = datetime.now(UTC)
        self.door.report("ON")
        return start


@contextmanager
def room(ha: HomeAssistant, habit: Habit) -> Iterator[Room]:
    with ExitStack() as stack:
        door, lamp, radio = (
            stack.enter_context(ha.device(component, f"{habit.room}_{what}", **options))
            for component, what, options in (
                ("binary_sensor", "door", {"device_class": "door"}),
                ("light", "lamp", {}),
                ("switch", "radio", {}),
            )
        )
        for device in (door, lamp, radio):
            ha.wait_state(device.entity_id, "off")
        yield Room(habit, door, lamp, radio)


def begin(inkling: Inkling, habit: Habit) -> None:
    inkling.remember(habit.past(datetime.now(UTC)))
    inkling.start()


def mined(inkling: Inkling, habit: Habit) -> dict[str, Any]:
    """Search the past now; return what was found of a habit."""
    found = inkling.cli("routines", "mine")
    assert found["carried_out"] is True
    steps = {(habit.lamp, "on"), (habit.radio, "on")}
    (routine,) = (r for r in found["routines"] if {(s["entity_id"], s["state"]) for s in r["steps"]} == steps)
    assert routine["trigger"] == {"kind": "state", "entity_id": habit.door, "state": "on"}
    return {**routine, "report": found["report"]}


def standing(inkling: Inkling, routine: dict[str, Any], wanted: str) -> Document:
    """Wait for what becomes of a routine."""

    def known() -> Document | None:
        document = inkling.routines().get(routine["id"])
        return document if document is not None and document.status == wanted else None

    document = wait_for(f"the routine to be {wanted}", known, 15)
    assert document is not None
    return document


def automations(ha: HomeAssistant) -> dict[str, str]:
    """Return the entity ids of the automations that have an id."""
    (rows,) = ha.ws({"type": "config/entity_registry/list"})
    return {r["unique_id"]: r["entity_id"] for r in rows if r["platform"] == "automation"}


def wait_automation(ha: HomeAssistant, inkling: Inkling, routine_id: str) -> str:
    """Return the entity id of a routine's automation once it is switched on, and Inkling knows."""
    entity_id = wait_for("the automation", lambda: automations(ha).get(f"inkling_{routine_id}"), 20, 0.1)
    assert entity_id is not None
    ha.wait_state(entity_id, "on")
    wait_for("the daemon to know", lambda: routine_id in runs_elsewhere(inkling), interval_s=0.1)
    return entity_id


def runs_elsewhere(inkling: Inkling) -> set[str]:
    return {entry["routine"]["id"] for entry in inkling.journal("adopt") if entry["elsewhere"]}


def wait_gone(ha: HomeAssistant, routine_id: str) -> None:
    """Return when a routine has no automation any more."""
    wait_for("the automation to go", lambda: f"inkling_{routine_id}" not in automations(ha), 15, 0.1)


def config_of(ha: HomeAssistant, config_id: str) -> dict[str, Any]:
    config: dict[str, Any] = ha.rest("GET", f"/api/config/automation/config/{config_id}")
    return config


def carried_out(place: Room, inkling: Inkling, start: datetime) -> set[Origin]:
    """Wait until the lamp and then the radio are on; return who did it."""
    place.lamp.wait_command("ON")
    place.radio.wait_command("ON")
    rows = [inkling.wait_row(entity_id, "on", start) for entity_id in (place.habit.lamp, place.habit.radio)]
    assert rows[0].changed_at < rows[1].changed_at
    return {row.origin for row in rows}


def test_a_habit_becomes_an_automation_until_a_resident_deletes_it(
    ha: HomeAssistant, inkling: Inkling
) -> None:
    den = Habit("den")
    begin(inkling, den)
    of_theirs = configured(ha, "automation", "den_theirs", lamp_when(den.door, [on("light.desk")]))
    with room(ha, den) as place, of_theirs, ha.events() as events:
        start = place.enter()  # once more, with hands that Home Assistant and the devices see
        ha.call("light", "turn_on", den.lamp)
        assert inkling.wait_row(den.lamp, "on", start).origin is Origin.PERSON
        place.radio.report("ON")
        assert inkling.wait_row(den.radio, "on", start).origin is Origin.PHYSICAL

        routine = mined(inkling, den)
        assert routine["report"]["actions"] == 2 * DAYS + 2
        raised = told(events, "raised", kind="routine_proposed")
        assert ha.wait_state("sensor.inkling_pending", "1")["attributes"]["top"]["id"] == raised["id"]
        before = config_of(ha, "den_theirs")
        ha.call("button", "press", "button.inkling_accept")
        told(events, "accepted", id=raised["id"])
        automation = wait_automation(ha, inkling, routine["id"])
        assert config_of(ha, "den_theirs") == before
        text = config_of(ha, f"inkling_{routine['id']}")["description"]
        assert f"You did so on {len(routine['evidence']['dates'])} days" in text

        start = place.enter()
        assert carried_out(place, inkling, start) == {Origin.AUTOMATION}
        state = ha.state(automation)
        assert state is not None
        assert datetime.fromisoformat(state["attributes"]["last_triggered"]) > start

        ha.rest("DELETE", f"/api/config/automation/config/inkling_{routine['id']}")
        assert standing(inkling, routine, "retired").body["why"] == "deleted in Home Assistant"
        mined(inkling, den)
        (listed,) = inkling.cli("routines", "list", "--all")["routines"]
        assert (listed["id"], listed["status"]) == (routine["id"], "retired")
        assert f"inkling_{routine['id']}" not in automations(ha)
        ha.wait_state("sensor.inkling_pending", "0")


def test_what_an_automation_does_already_is_not_proposed(ha: HomeAssistant, inkling: Inkling) -> None:
    """One made by clicking: it names the lamp's device rather than the lamp."""
    study = Habit("study")
    begin(inkling, study)
    with ha.device("light", "study_lamp", own_device=True) as lamp:
        ha.wait_state(lamp.entity_id, "off")
        (rows,) = ha.ws({"type": "config/entity_registry/list"})
        (device_id,) = (r["device_id"] for r in rows if r["entity_id"] == lamp.entity_id)
        light = {"service": "light.turn_on", "target": {"device_id": device_id}}
        radio = {"service": "homeassistant.turn_on", "entity_id": study.radio}
        welcome = lamp_when(study.door, [light, {"delay": {"seconds": 2}}, radio])
        with configured(ha, "automation", "study_welcome", {**welcome, "alias": "Welcome"}):
            routine = mined(inkling, study)
            (search,) = wait_for("the search", lambda: inkling.journal("mined"))
            assert search["covered"] == {routine["id"]: "Welcome"}
            assert inkling.routines() == {}
        mined(inkling, study)  # now that nothing does it
        standing(inkling, routine, "proposed")


def test_what_home_assistant_cannot_run_inkling_runs(ha: HomeAssistant, inkling: Inkling) -> None:
    """The lamp speaks Zigbee2MQTT with Inkling alone."""
    attic = Habit("attic")
    with room_with_a_lamp_of_its_own(ha, attic) as (door, lamp, radio):
        begin(inkling, attic)
        routine = mined(inkling, attic)
        standing(inkling, routine, "proposed")
        assert inkling.cli("routines", "accept", routine["id"], "--run")["routine"]["status"] == "accepted"
        inkling.wait_until("the refusal", lambda: "no automation for this" in inkling.log.read_text(), 15)
        assert f"inkling_{routine['id']}" not in automations(ha)
        start = datetime.now(UTC)
        door.report("ON")
        wait_for("the lamp's command", lambda: lamp.commands)
        radio.wait_command("ON")
        for entity_id in (attic.lamp, attic.radio):
            assert inkling.wait_row(entity_id, "on", start).origin is Origin.AGENT


@contextmanager
def room_with_a_lamp_of_its_own(
    ha: HomeAssistant, habit: Habit
) -> Iterator[tuple[FakeDevice, ZigbeeLamp, FakeDevice]]:
    name = f"{habit.room}_lamp"
    with (
        ha.device("binary_sensor", f"{habit.room}_door", device_class="door") as door,
        ZigbeeLamp(ha.broker, name, name, announced=False) as lamp,
        ha.device("switch", f"{habit.room}_radio") as radio,
    ):
        for device in (door, radio):
            ha.wait_state(device.entity_id, "off")
        yield door, lamp, radio


def test_a_resident_edits_renames_has_it_ask_and_rejects(ha: HomeAssistant, inkling: Inkling) -> None:
    loft = Habit("loft")
    begin(inkling, loft)
    with room(ha, loft) as place:
        first = mined(inkling, loft)["id"]
        inkling.cli("routines", "accept", first)
        wait_automation(ha, inkling, first)

        second = inkling.cli("routines", "edit", first, "--skip", loft.radio)["routine"]["id"]
        wait_automation(ha, inkling, second)
        wait_gone(ha, first)

        rename = {"entity_id": loft.lamp, "new_entity_id": "light.loft_lantern"}
        ha.ws({"type": "config/entity_registry/update", **rename})
        wait_gone(ha, second)
        (third,) = (r.id for r in inkling.routines().values() if r.status == "accepted")
        wait_automation(ha, inkling, third)
        place.enter()
        place.lamp.wait_command("ON")

        inkling.cli("routines", "accept", third, "--ask")
        wait_gone(ha, third)
        with ha.events() as events:
            place.enter()
            asked = told(events, "raised", kind="routine", mode="ask")
            assert place.lamp.commands == []
            ha.call("button", "press", "button.inkling_accept")
            told(events, "accepted", id=asked["id"])
            place.lamp.wait_command("ON")

        inkling.cli("routines", "accept", third, "--run")
        wait_automation(ha, inkling, third)
        inkling.cli("routines", "reject", third)
        wait_gone(ha, third)


def test_accepted_while_home_assistant_is_down(ha: HomeAssistant, inkling: Inkling) -> None:
    cellar = Habit("cellar")
    begin(inkling, cellar)
    with room(ha, cellar) as place:
        routine = mined(inkling, cellar)
        standing(inkling, routine, "proposed")
        ha.stop()
        assert inkling.cli("routines", "accept", routine["id"])["routine"]["status"] == "accepted"
        before = inkling.connections
        ha.start()
        wait_for("the daemon's return", lambda: inkling.connections > before, 60, 0.1)
        wait_automation(ha, inkling, routine["id"])
        ha.wait_state(cellar.lamp, "off")
        start = place.enter()
        assert carried_out(place, inkling, start) == {Origin.AUTOMATION}
        standing(inkling, routine, "accepted")  # that it was there late is no deletion


# -- what Home Assistant understands -------------------------------------------------------------------

LAMP = Step("light.form_lamp", "on", 0.0, (Target("brightness", 64.0, 60.0, 70.0, 9),))
FORMS = [
    Routine("At seven", AtTime(420), (LAMP,), Conditions(weekdays=(0, 4), occupancy=("home",))),
    Routine("Before sunset", AtSun(SunEvent.SUNSET, -20), (LAMP,), Conditions(occupancy=("away",))),
    Routine("After sunrise", AtSun(SunEvent.SUNRISE, 75), (Step("cover.form_blind", "open"),)),
    Routine("Gone", OnState("person.form", "not_home"), (Step("light.form_lamp", "off", 90.0),)),
    Routine("Here", OnState("person.form", "home"), (LAMP,), Conditions(dark=True, occupancy=("home",))),
    Routine(
        'Evening: 2nd "scene"',
        OnState("media_player.form_tv", "playing"),
        (LAMP, Step("climate.form", "heat", 3700.0, (Target("temperature", 21.0, 20.5, 21.5, 9),))),
        Conditions(after_min=1380, before_min=60, dark=False),  # across midnight
    ),
]


def test_home_assistant_takes_every_form_of_a_routine(ha: HomeAssistant) -> None:
    """Each as an automation and as an imported blueprint, and both are running."""
    for number, routine in enumerate(FORMS):
        plain, path = automation_of(routine), f"inkling/form_{number}.yaml"
        save = {"domain": "automation", "path": path, "yaml": blueprint_of(routine)}
        ha.ws({"type": "blueprint/save", **save})
        from_blueprint = {"alias": "From a blueprint", "use_blueprint": {"path": path, "input": {}}}
        with (
            configured(ha, "automation", plain["id"], plain) as one,
            configured(ha, "automation", f"form_{number}", from_blueprint) as other,
        ):
            assert [ha.wait_state(entity_id)["state"] for entity_id in (one, other)] == ["on", "on"]
            shown = yaml.safe_load(yaml_of(routine))
            assert shown == plain
            assert config_of(ha, plain["id"])["alias"] == routine.name
