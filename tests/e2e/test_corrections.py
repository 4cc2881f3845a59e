"""A routine whose residents dim its light each time, with a real Home Assistant: it offers to do so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from devices.events import Origin, StateChange
from tests.e2e.devices import FakeDevice
from tests.e2e.habits import Habit
from tests.e2e.inkling import Inkling
from tests.e2e.lab import HomeAssistant
from tests.e2e.test_daemon import told
from tests.e2e.test_routines import begin, config_of, mined, standing, wait_automation
from tests.process import wait_for

DIM = 102  # 40%


def test_a_correction_repeated_three_times_offers_the_rewrite(ha: HomeAssistant, inkling: Inkling) -> None:
    pantry = Habit("pantry")
    begin(inkling, pantry)
    with (
        ha.device("binary_sensor", "pantry_door", device_class="door") as door,
        ha.device("light", "pantry_lamp", dimmable=True) as lamp,
        ha.device("switch", "pantry_radio") as radio,
        ha.events() as events,
    ):
        for device in (door, lamp, radio):
            ha.wait_state(device.entity_id, "off")
        routine = mined(inkling, pantry)
        standing(inkling, routine, "proposed")
        inkling.cli("routines", "accept", routine["id"], "--run")
        automation = wait_automation(ha, inkling, routine["id"])
        radio.report("ON")  # is on already, so that only the lamp is left to do
        ha.wait_state(radio.entity_id, "on")

        for _ in range(3):
            lamp.dim(255)
            come(ha, inkling, door, lamp)
            wait_idle(ha, automation)
            ha.call("light", "turn_on", lamp.entity_id, brightness=DIM)
            dimmed = wait_level(inkling, lamp.entity_id, DIM)
            assert dimmed.origin is Origin.PERSON
            lamp.report("OFF")  # it has served
            ha.wait_state(lamp.entity_id, "off")

        (offer,) = wait_for("the offer", lambda: inkling.cli("suggestions", "list"), 15)
        told(events, "raised", id=offer["id"], kind="routine_proposed")
        assert offer["evidence"]["rewrite"]["times"] == 3
        assert "3 times you dimmed pantry lamp to 40%, and kept it" in offer["title"]

        ha.call("button", "press", "button.inkling_accept")
        told(events, "accepted", id=offer["id"])
        wait_for("the automation to be written again", lambda: level_of(ha, routine["id"]) == DIM, 20)
        wait_for("the daemon to know", lambda: handovers(inkling, routine["id"]) == 2)
        lamp.dim(255)
        come(ha, inkling, door, lamp)
        wait_for("the lamp to be told 40%", lambda: lamp.brightness == DIM)
        assert wait_level(inkling, lamp.entity_id, DIM).origin is Origin.AUTOMATION


def come(ha: HomeAssistant, inkling: Inkling, door: FakeDevice, lamp: FakeDevice) -> None:
    """Open the door, and wait until the automation has turned the lamp on."""
    door.report("OFF")
    ha.wait_state(door.entity_id, "off")
    start = datetime.now(UTC)
    door.report("ON")
    assert inkling.wait_row(lamp.entity_id, "on", start, timeout_s=20).origin is Origin.AUTOMATION


def wait_idle(ha: HomeAssistant, automation: str) -> None:
    """Wait for the end of a run: another one doesn't begin before."""

    def idle() -> bool:
        state = ha.state(automation)
        return state is not None and state["attributes"]["current"] == 0

    wait_for("the automation to end", idle)


def wait_level(inkling: Inkling, entity_id: str, brightness: int) -> StateChange:
    """Return the last row of a light, once that has a brightness."""

    def last() -> StateChange | None:
        row = inkling.rows(entity_id)[-1]
        return row if row.attributes.get("brightness") == brightness else None

    row = wait_for(f"{entity_id} at {brightness}", last, 10, interval_s=0.05)
    assert row is not None
    return row


def level_of(ha: HomeAssistant, routine_id: str) -> Any:
    """Return the brightness that a routine's automation sets."""
    config = config_of(ha, f"inkling_{routine_id}")
    actions = config.get("actions") or config["action"]  # as newer releases give them back
    return next((a["data"].get("brightness") for a in actions if "data" in a), None)


def handovers(inkling: Inkling, routine_id: str) -> int:
    """Return how often Home Assistant has taken a routine over."""
    return sum(e["elsewhere"] and e["routine"]["id"] == routine_id for e in inkling.journal("adopt"))
