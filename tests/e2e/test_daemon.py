"""The whole daemon between a real broker and a real Home Assistant, as a resident sees it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from devices.events import Origin, Source
from hunches.dwell import Dwell
from tests.e2e.client import Events
from tests.e2e.devices import FakeDevice, ZigbeeLamp
from tests.e2e.inkling import DAYS, OPENINGS_A_DAY, PATIENCE, TICK_S, Inkling, write_past
from tests.e2e.lab import HomeAssistant
from tests.e2e.test_provenance import configured, lamp_when, on
from tests.process import wait_for

EVENT = "event.inkling_suggestion"
DUE_S = 1200 * PATIENCE
DOORS = ("accept", "cli", "fine", "hand", "renamed", "crash", "restart")
PAST = [
    *((f"cover.day_{name}", "open", "closed") for name in DOORS),
    *((f"light.day_{name}", "on", "off") for name in ("triple", "act")),
]


@pytest.fixture(scope="module")
def inkling(ha: HomeAssistant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inkling]:
    """Return a running daemon that knows three weeks of the doors and of the light."""
    folder = tmp_path_factory.mktemp(f"inkling-{ha.release}")
    daemon = Inkling(ha, folder)
    lines = write_past(folder / "past.jsonl", PAST)
    assert daemon.cli("import", str(folder / "past.jsonl"))["new"] == lines
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


@contextmanager
def door(ha: HomeAssistant, name: str, **options: Any) -> Iterator[FakeDevice]:
    with ha.device("cover", f"day_{name}", device_class="garage", delay_s=0.1, **options) as device:
        ha.wait_state(device.entity_id, "closed")
        yield device


def told(events: Events, event_type: str, **attributes: str) -> dict[str, Any]:
    """Return the attributes of Home Assistant's `event` entity when it fires as asked."""
    fired = events.wait(lambda e: is_told(e, event_type, **attributes))["data"]["new_state"]
    return {**fired["attributes"], "fired_at": datetime.fromisoformat(fired["last_changed"])}


def is_told(event: dict[str, Any], event_type: str, **attributes: str) -> bool:
    new = event["data"].get("new_state")
    if event["data"].get("entity_id") != EVENT or new is None or new["state"] == "unavailable":
        return False
    wanted = {"event_type": event_type, **attributes}
    return all(new["attributes"].get(key) == value for key, value in wanted.items())


def now() -> datetime:
    return datetime.now(UTC)


# -- what Home Assistant gets -------------------------------------------------------------------------


@pytest.mark.usefixtures("inkling")
def test_home_assistant_discovers_the_device(ha: HomeAssistant) -> None:
    ha.wait_state("sensor.inkling_pending", "0")  # an earlier test's daemon may have left another number
    assert ha.wait_state("select.inkling_mode")["state"] == "home"
    states = ha.states()
    for name in ("learning", "suggesting"):
        assert states[f"switch.inkling_{name}"]["state"] == "on"
    for name in ("accept", "reject", "snooze", "intentional", "undo"):
        assert states[f"button.inkling_{name}"]["state"] != "unavailable"
    assert "raised" in states[EVENT]["attributes"]["event_types"]
    (rows,) = ha.ws({"type": "config/entity_registry/list"})
    ours = [r for r in rows if r["platform"] == "mqtt" and r["unique_id"].startswith("inkling_")]
    assert len({row["device_id"] for row in ours}) == 1


def test_a_door_left_open_and_the_accept_button(ha: HomeAssistant, inkling: Inkling) -> None:
    """And a hand at the door 2 s after our own command is not taken for ours."""
    with door(ha, "accept") as garage, ha.events() as events:
        start = now()
        garage.report("open")
        raised = told(events, "raised", entity_id=garage.entity_id)
        opened = inkling.wait_row(garage.entity_id, "open", start)
        assert opened.origin is Origin.PHYSICAL
        late = (raised["fired_at"] - opened.changed_at).total_seconds() - DUE_S
        assert 0 <= late < TICK_S + 0.5, f"{late:.2f} s after it was due"
        assert "was never open longer than" in raised["title"]
        assert ha.wait_state("sensor.inkling_pending", "1")["attributes"]["top"]["id"] == raised["id"]

        ha.call("button", "press", "button.inkling_accept")
        garage.wait_command("CLOSE")
        told(events, "accepted", id=raised["id"])
        ha.wait_state("sensor.inkling_pending", "0")
        ours = inkling.wait_row(garage.entity_id, "closed", start)
        assert ours.origin is Origin.AGENT

        time.sleep(2 - min(2.0, (now() - ours.changed_at).total_seconds()))
        again = now()
        garage.report("open")
        hand = inkling.wait_row(garage.entity_id, "open", again)
        assert hand.context_id == ours.context_id, "or Home Assistant tells them apart, and this is idle"
        assert hand.origin is Origin.PHYSICAL
        garage.report("closed")
        inkling.wait_row(garage.entity_id, "closed", again)
        assert inkling.cli("suggestions", "show", raised["id"])["status"] == "undone", "by that hand"


def test_the_command_line_lists_accepts_and_undoes(ha: HomeAssistant, inkling: Inkling) -> None:
    with door(ha, "cli") as garage, ha.events() as events:
        start = now()
        garage.report("open")
        raised = told(events, "raised", entity_id=garage.entity_id)
        (listed,) = inkling.cli("suggestions", "list")
        assert listed["id"] == raised["id"]
        assert listed["evidence"]["n"] == DAYS * OPENINGS_A_DAY - 1

        accepted = inkling.cli("suggestions", "accept", raised["id"][:8])
        assert (accepted["carried_out"], accepted["status"]) == (True, "accepted")
        garage.wait_command("CLOSE")
        assert inkling.wait_row(garage.entity_id, "closed", start).origin is Origin.AGENT

        back = now()
        assert inkling.cli("suggestions", "undo", raised["id"])["status"] == "undone"
        garage.wait_command("OPEN")
        told(events, "undone", id=raised["id"])
        assert inkling.wait_row(garage.entity_id, "open", back).origin is Origin.AGENT
        garage.report("closed")
        ha.wait_state(garage.entity_id, "closed")
        ha.wait_state("sensor.inkling_pending", "0")


def test_what_is_allowed_is_done_unasked_until_it_is_taken_back(ha: HomeAssistant, inkling: Inkling) -> None:
    """By the undo button once, and once by a resident who turns the light on again in Home Assistant."""
    with ha.device("light", "day_act", delay_s=0.1) as lamp:
        ha.wait_state(lamp.entity_id, "off")
        with ha.events() as events:
            raised = acted_on(lamp, inkling, events)
            assert ha.wait_state("sensor.inkling_pending", "1")["attributes"]["top"]["id"] == raised["id"]
            ha.call("button", "press", "button.inkling_undo")
            lamp.wait_command("ON")
            told(events, "undone", id=raised["id"])
            assert permission(inkling, lamp) is False
            asked = told(events, "raised", entity_id=lamp.entity_id, mode="ask")  # it is on, and stays on
            lamp.report("OFF")
            told(events, "resolved", id=asked["id"])
        with ha.events() as events:
            raised = acted_on(lamp, inkling, events)
            ha.call("light", "turn_on", lamp.entity_id)
            assert "put back to on by hand" in told(events, "undone", id=raised["id"])["why"]
            assert permission(inkling, lamp) is False
            lamp.report("OFF")
            ha.wait_state("sensor.inkling_pending", "0")


def acted_on(lamp: FakeDevice, inkling: Inkling, events: Events) -> dict[str, Any]:
    """Leave a light on that Inkling may switch off, until it has."""
    assert inkling.cli("trust", "allow", lamp.entity_id)["carried_out"]
    start = now()
    lamp.commands.clear()
    lamp.report("ON")
    raised = told(events, "raised", entity_id=lamp.entity_id, mode="act")
    lamp.wait_command("OFF")
    assert raised["title"].startswith("I have switched off Day act.")
    assert inkling.wait_row(lamp.entity_id, "off", start).origin is Origin.AGENT
    return raised


def permission(inkling: Inkling, device: FakeDevice) -> bool | None:
    effects = inkling.cli("trust", "list")["entities"].get(device.entity_id, {})
    return effects.get("acts_unasked", {}).get("dwell")


def test_not_a_problem_is_heard_once_and_for_all(ha: HomeAssistant, inkling: Inkling) -> None:
    with door(ha, "fine") as garage, ha.events() as events:
        start = now()
        garage.report("open")
        raised = told(events, "raised", entity_id=garage.entity_id)
        ha.call("button", "press", "button.inkling_intentional")
        told(events, "intentional", id=raised["id"])
        garage.report("closed")
        closed = inkling.wait_row(garage.entity_id, "closed", start)
        assert garage.commands == []
        lasted = (
            closed.changed_at - inkling.wait_row(garage.entity_id, "open", start).changed_at
        ).total_seconds()
        again = now()
        garage.report("open")
        inkling.wait_row(garage.entity_id, "open", again)
        time.sleep(lasted * Dwell().margin + 2 * TICK_S)  # a stay as long as the last one would be due
        garage.report("closed")
        inkling.wait_row(garage.entity_id, "closed", again)
        every = inkling.cli("suggestions", "list", "--all")
        assert [s["id"] for s in every if s["entity_id"] == garage.entity_id] == [raised["id"]]


def test_a_door_that_somebody_closes_settles_it(ha: HomeAssistant, inkling: Inkling) -> None:
    with door(ha, "hand") as garage, ha.events() as events:
        garage.report("open")
        raised = told(events, "raised", entity_id=garage.entity_id)
        garage.report("closed")
        resolved = told(events, "resolved", id=raised["id"])
        assert resolved["why"] == f"{garage.entity_id} became closed (physical)"
        assert garage.commands == []
        ha.wait_state("sensor.inkling_pending", "0")
        assert inkling.cli("suggestions", "list") == []


# -- who did it, and how often it counts --------------------------------------------------------------


def test_who_did_it(ha: HomeAssistant, inkling: Inkling) -> None:
    with ha.device("light", "day_lamp") as lamp, ha.device("binary_sensor", "day_motion") as motion:
        ha.wait_state(lamp.entity_id, "off")
        ha.wait_state(motion.entity_id, "off")
        start = now()
        ha.call("light", "turn_on", lamp.entity_id)
        assert inkling.wait_row(lamp.entity_id, "on", start).origin is Origin.PERSON
        lamp.report("OFF")
        assert inkling.wait_row(lamp.entity_id, "off", start).origin is Origin.PHYSICAL
        with configured(ha, "automation", "day_rule", lamp_when(motion.entity_id, [on(lamp.entity_id)])):
            start = now()
            motion.report("ON")
            assert inkling.wait_row(motion.entity_id, "on", start).origin is Origin.PHYSICAL
            assert inkling.wait_row(lamp.entity_id, "on", start).origin is Origin.AUTOMATION


def test_one_light_heard_three_times_counts_once(ha: HomeAssistant, inkling: Inkling) -> None:
    """By Zigbee2MQTT under its own name, by statestream, and by the WebSocket with the context."""
    with ZigbeeLamp(ha.broker, "Ceiling spot", "day_triple") as lamp, ha.events() as events:
        ha.wait_state(lamp.entity_id, "off")
        time.sleep(1.5)  # the registry is read a second after a new entity
        start = now()
        wanted = []

        def moved(state: str, origin: Origin) -> None:
            wanted.append((state, origin))
            wait_for(f"{len(wanted)} rows", lambda: len(inkling.rows(lamp.entity_id, start)) >= len(wanted))

        for _ in range(2):
            ha.call("light", "turn_on", lamp.entity_id)
            moved("on", Origin.PERSON)
            lamp.report("OFF")
            moved("off", Origin.PHYSICAL)
        lamp.report("ON")
        moved("on", Origin.PHYSICAL)
        raised = told(events, "raised", entity_id=lamp.entity_id)
        ha.call("button", "press", "button.inkling_accept")
        told(events, "accepted", id=raised["id"])
        moved("off", Origin.AGENT)
        time.sleep(1)  # what else there is to hear of it has been heard
        rows = inkling.rows(lamp.entity_id, start)
        assert [(row.new, row.origin) for row in rows] == wanted
        assert {row.source for row in rows} == {Source.HOME_ASSISTANT}
        assert inkling.rows("light.ceiling_spot") == []


def test_its_own_entities_are_no_part_of_the_home(ha: HomeAssistant, inkling: Inkling) -> None:
    ha.call("switch", "turn_off", "switch.inkling_suggesting")
    ha.wait_state("switch.inkling_suggesting", "off")
    ha.call("switch", "turn_on", "switch.inkling_suggesting")
    ha.wait_state("switch.inkling_suggesting", "on")
    time.sleep(0.5)
    assert [inkling.rows(f"{domain}.inkling_*") for domain in ("switch", "sensor", "event", "button")] == [
        []
    ] * 4


# -- what residents say -------------------------------------------------------------------------------


def test_switches_and_mode_follow_each_other(ha: HomeAssistant, inkling: Inkling) -> None:
    ha.call("switch", "turn_off", "switch.inkling_learning")
    ha.wait_state("switch.inkling_learning", "off")  # it has a state topic, so this is the daemon's answer
    assert inkling.journal("control")[-1]["learning"] is False
    ha.call("switch", "turn_on", "switch.inkling_learning")
    ha.wait_state("switch.inkling_learning", "on")
    inkling.cli("mode", "guest", "--for", "1h")
    ha.wait_state("select.inkling_mode", "guest")
    ha.call("select", "select_option", "select.inkling_mode", option="home")
    ha.wait_state("select.inkling_mode", "home")
    assert inkling.journal("control")[-1]["mode"] == "home"


def test_a_renamed_entity_keeps_what_was_learned(ha: HomeAssistant, inkling: Inkling) -> None:
    with door(ha, "renamed") as garage, ha.events() as events:
        new = "cover.day_barn"
        ha.ws(
            {
                "type": "config/entity_registry/update",
                "entity_id": garage.entity_id,
                "new_entity_id": new,
            }
        )
        ha.wait_state(new, "closed")
        (rename,) = wait_for("the daemon to know", lambda: inkling.journal("forget"))
        assert (rename["entity_id"], rename["renamed_to"]) == (garage.entity_id, new)
        garage.report("open")
        raised = told(events, "raised", entity_id=new)
        assert raised["evidence"]["n"] == DAYS * OPENINGS_A_DAY - 1
        ha.call("button", "press", "button.inkling_accept")
        garage.wait_command("CLOSE")
        told(events, "accepted", id=raised["id"])


# -- outages ------------------------------------------------------------------------------------------


def test_the_daemon_crashes_and_goes_on(ha: HomeAssistant, inkling: Inkling) -> None:
    with door(ha, "crash") as garage, ha.events() as events:
        garage.report("open")
        raised = told(events, "raised", entity_id=garage.entity_id)
        ha.wait_state("sensor.inkling_pending", "1")
        inkling.kill()
        ha.wait_state("sensor.inkling_pending", "unavailable")
        inkling.start()
        ha.wait_state("sensor.inkling_pending", "1")
        ha.call("button", "press", "button.inkling_accept")
        garage.wait_command("CLOSE")
        told(events, "accepted", id=raised["id"])
        raises = [e for e in events.received if is_told(e, "raised", entity_id=garage.entity_id)]
        assert len({e["data"]["new_state"]["state"] for e in raises}) == 1, "it was said once"


def test_home_assistant_restarts(ha: HomeAssistant, inkling: Inkling) -> None:
    with door(ha, "restart") as garage:
        before = inkling.connections
        ha.stop()
        # Gone from the broker too, so that it can only come back by being announced again.
        ha.broker.publish("homeassistant/event/inkling/suggestion/config", "", retain=True)
        ha.start()
        wait_for("the daemon's return", lambda: inkling.connections > before, 60)
        ha.wait_state(EVENT, timeout_s=30)
        ha.wait_state("sensor.inkling_pending", "0")
        ha.wait_state(garage.entity_id, "closed")
        with ha.events() as events:
            garage.report("open")
            raised = told(events, "raised", entity_id=garage.entity_id)
            ha.call("button", "press", "button.inkling_accept")
            garage.wait_command("CLOSE")
            told(events, "accepted", id=raised["id"])
