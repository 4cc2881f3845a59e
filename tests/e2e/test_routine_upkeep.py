"""Our automations in the residents' hands: switched off, deleted in the file, asked about after a season."""

from __future__ import annotations

import time
from typing import Any

import yaml

from devices.events import Origin
from tests.e2e.habits import Habit
from tests.e2e.inkling import Inkling
from tests.e2e.lab import HomeAssistant
from tests.e2e.test_routines import (
    automations,
    begin,
    carried_out,
    mined,
    room,
    standing,
    wait_automation,
    wait_gone,
)
from tests.process import wait_for

LOOKS_S = 60.0  # how often the daemon looks whether an automation is still there


def accepted(ha: HomeAssistant, inkling: Inkling, habit: Habit) -> tuple[dict[str, Any], str]:
    """Have a habit found and accepted; return the routine and the entity id of its automation."""
    begin(inkling, habit)
    routine = mined(inkling, habit)
    inkling.cli("routines", "accept", routine["id"], "--run")
    return routine, wait_automation(ha, inkling, routine["id"])


def listed(inkling: Inkling) -> dict[str, Any]:
    (routine,) = inkling.cli("routines", "list")["routines"]
    return dict(routine)


def disable(ha: HomeAssistant, entity_id: str, *, by: str | None) -> None:
    ha.ws({"type": "config/entity_registry/update", "entity_id": entity_id, "disabled_by": by})


def test_an_automation_that_is_switched_off_stays_off_and_is_shown_so(
    ha: HomeAssistant, inkling: Inkling
) -> None:
    porch = Habit("porch")
    with room(ha, porch) as place:
        routine, automation = accepted(ha, inkling, porch)
        shown = listed(inkling)
        assert (shown["runs_in"], shown["automation"]) == ("home_assistant", f"inkling_{routine['id']}")
        ha.call("automation", "turn_off", automation)
        wait_for("the list to show it", lambda: listed(inkling)["switched_off"], 15, 0.3)
        place.enter()
        time.sleep(3.0)
        assert place.lamp.commands == []
        inkling.stop()
        inkling.start()
        assert listed(inkling)["switched_off"]
        assert ha.wait_state(automation)["state"] == "off"

        ha.call("automation", "turn_on", automation)
        wait_for("the list to show it", lambda: not listed(inkling)["switched_off"], 15, 0.3)
        disable(ha, automation, by="user")
        wait_for("the list to show it", lambda: listed(inkling)["switched_off"], 15, 0.3)
        disable(ha, automation, by=None)
        ha.ws({"type": "call_service", "domain": "automation", "service": "reload"})
        wait_for("the list to show it", lambda: not listed(inkling)["switched_off"], 15, 0.3)
        start = place.enter()
        assert carried_out(place, inkling, start) == {Origin.AUTOMATION}
        inkling.cli("routines", "reject", routine["id"])
        wait_gone(ha, routine["id"])


def test_an_automation_that_is_deleted_in_its_file_retires_its_routine(
    ha: HomeAssistant, inkling: Inkling
) -> None:
    shed = Habit("shed")
    with room(ha, shed):
        routine, automation = accepted(ha, inkling, shed)
        file = ha.config_dir / "automations.yaml"
        ours = f"inkling_{routine['id']}"
        left = [a for a in yaml.safe_load(file.read_text()) if a["id"] != ours]
        file.write_text(yaml.safe_dump(left))
        ha.ws({"type": "call_service", "domain": "automation", "service": "reload"})
        ha.wait_state(automation, "unavailable")
        assert ours in automations(ha)  # the registry keeps it
        wait_for("retirement", lambda: routine["id"] not in current(inkling), LOOKS_S + 20, 1.0)
        assert standing(inkling, routine, "retired").body["why"] == "deleted in Home Assistant"
        assert yaml.safe_load(file.read_text()) == left


def current(inkling: Inkling) -> set[str]:
    return {r["id"] for r in inkling.cli("routines", "list")["routines"]}


def test_an_automation_survives_a_restart_of_home_assistant(ha: HomeAssistant, inkling: Inkling) -> None:
    """While it starts, Home Assistant calls it unavailable: that is no deletion."""
    barn = Habit("barn")
    with room(ha, barn):
        routine, _automation = accepted(ha, inkling, barn)
        before = inkling.connections
        ha.stop()
        ha.start()
        wait_for("the daemon's return", lambda: inkling.connections > before, 60, 0.1)
        time.sleep(LOOKS_S + 5)
        assert listed(inkling)["status"] == "accepted"
        assert f"inkling_{routine['id']}" in automations(ha)
        inkling.cli("routines", "reject", routine["id"])
        wait_gone(ha, routine["id"])
