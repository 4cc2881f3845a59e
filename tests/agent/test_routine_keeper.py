"""Routines and Home Assistant's automations are kept in step, whatever goes wrong in between."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agent.automations import AutomationError, NotThereError
from agent.errors import InklingError
from agent.ha_socket import HomeAssistantError
from agent.requests import Adopt, Dismiss, Feedback
from agent.suggestions import Mode, Standing, Verdict
from routines.rendering import automation_of
from tests.agent.keeping import AUTOMATION, LAMP, Kept
from tests.agent.toys import T0


def test_accepted_it_is_made_and_let_go_it_is_deleted(kept: Kept) -> None:
    kept.take(Adopt(T0, LAMP, Mode.ACT))
    assert kept.there.made == {LAMP.id: LAMP}
    assert kept.elsewhere
    kept.take(Dismiss(T0, LAMP.id))
    assert kept.there.made == {}


def test_what_asks_each_time_is_no_automation(kept: Kept) -> None:
    kept.take(Adopt(T0, LAMP, Mode.ACT))
    kept.take(Adopt(T0, LAMP, Mode.ASK))
    assert kept.there.made == {}
    assert not kept.elsewhere


def test_what_is_written_again_is_kept_as_it_was(kept: Kept) -> None:
    kept.take(Adopt(T0, LAMP, Mode.ACT))
    kept.take(Adopt(T0, LAMP, Mode.ACT))
    (setting,) = (s for s in kept.engine.store.settings() if s.key == "replaced")
    assert (setting.entity, setting.value) == (f"inkling_{LAMP.id}", automation_of(LAMP))


def test_one_that_a_resident_deletes_retires_its_routine(kept: Kept) -> None:
    kept.take(Adopt(T0, LAMP, Mode.ACT))
    kept.registry()
    assert kept.standing is Standing.ACCEPTED
    kept.there.made.clear()
    kept.registry()
    assert kept.standing is Standing.RETIRED
    kept.catch_up()
    assert kept.there.made == {}


def deleted_from_the_file(kept: Kept) -> None:
    """As it is after `automations.yaml` was edited and reloaded: the registry still lists the automation."""
    kept.take(Adopt(T0, LAMP, Mode.ACT))
    kept.automation("on")
    rows = kept.there.rows()
    kept.there.made.clear()
    kept.automation("unavailable")
    kept.keeper.on_registry(rows)
    kept.settle()


def test_one_that_is_deleted_from_its_file_retires_its_routine(kept: Kept) -> None:
    deleted_from_the_file(kept)
    assert kept.standing is Standing.RETIRED


def test_one_that_home_assistant_has_not_loaded_yet_is_waited_for(kept: Kept) -> None:
    kept.there.starting = True
    deleted_from_the_file(kept)
    assert kept.standing is Standing.ACCEPTED
    kept.there.starting, kept.there.trouble = False, HomeAssistantError("down")
    kept.catch_up()
    assert kept.standing is Standing.ACCEPTED
    kept.there.trouble = None
    kept.catch_up()
    assert kept.standing is Standing.RETIRED


def test_one_that_is_broken_is_not_deleted(kept: Kept) -> None:
    kept.made()
    kept.automation("unavailable")
    kept.catch_up()
    assert kept.standing is Standing.ACCEPTED


def test_one_that_a_resident_switches_off_stays_off(kept: Kept) -> None:
    kept.made()
    kept.automation("off", 1)
    kept.catch_up()
    (listed,) = kept.engine.store.routines()
    assert (listed.status, listed.body["off"], listed.body["elsewhere"]) == ("accepted", "resident", True)
    kept.days(100)
    kept.catch_up()
    assert kept.there.switched == []
    kept.automation("on", 101)
    assert kept.body["off"] == ""


def test_one_that_a_resident_disables_in_the_registry_is_off_until_it_is_enabled(kept: Kept) -> None:
    kept.made()
    kept.automation("unavailable", 1)
    kept.there.disabled_by = "user"
    kept.registry()
    kept.registry()
    kept.catch_up()
    assert (kept.body["off"], kept.standing) == ("resident", Standing.ACCEPTED)
    kept.there.disabled_by = None
    kept.registry()
    kept.automation("on", 2)
    assert kept.body["off"] == ""


def rested(kept: Kept) -> None:
    """Let two months pass in which the automation doesn't run, after having run for ten days."""
    kept.made()
    for day in range(1, 11):
        ran = (T0 + timedelta(days=day)).isoformat()
        kept.automation("on", day + 0.001, last_triggered=ran)
    kept.days(69.9)
    assert kept.there.switched == []
    kept.days(70.1)
    assert kept.there.switched == [(AUTOMATION, False)]
    kept.automation("off", 70.2)


def test_what_was_not_needed_for_a_season_is_switched_off_and_asks_once(kept: Kept) -> None:
    rested(kept)
    kept.catch_up()
    assert kept.body["off"] == "rests"
    asked = kept.door_opens(71)
    assert asked.mode is Mode.ASK
    kept.take(Feedback(asked.id, Verdict.ACCEPTED, T0 + timedelta(days=71, minutes=3)))
    assert [c.state for c in kept.engine.store.commands(asked.id)] == ["on"]
    assert kept.there.switched == [(AUTOMATION, False), (AUTOMATION, True)]
    kept.automation("on", 71.01)
    kept.catch_up()
    assert len(kept.there.switched) == 2
    assert (kept.body["elsewhere"], kept.body["rests"], kept.body["off"]) == (True, False, "")


def test_a_no_leaves_it_at_rest(kept: Kept) -> None:
    rested(kept)
    asked = kept.door_opens(71)
    kept.take(Feedback(asked.id, Verdict.REJECTED, T0 + timedelta(days=71, minutes=3)))
    assert kept.there.switched == [(AUTOMATION, False)]
    assert kept.door_opens(72).mode is Mode.ASK


def test_a_resident_who_switches_on_what_rests_has_agreed(kept: Kept) -> None:
    rested(kept)
    kept.automation("on", 71)
    kept.catch_up()
    assert kept.there.switched == [(AUTOMATION, False)]
    assert (kept.body["elsewhere"], kept.body["rests"], kept.body["off"]) == (True, False, "")


def test_a_switch_that_fails_is_tried_again(kept: Kept) -> None:
    kept.made()
    kept.there.trouble = HomeAssistantError("down")
    kept.days(61)
    assert kept.there.switched == []
    kept.there.trouble = None
    kept.catch_up()
    assert kept.there.switched == [(AUTOMATION, False)]


@pytest.mark.parametrize("trouble", [HomeAssistantError("down"), NotThereError("light.hall: never heard of")])
def test_what_fails_for_now_is_tried_again(kept: Kept, trouble: InklingError) -> None:
    kept.there.trouble = trouble
    kept.take(Adopt(T0, LAMP, Mode.ACT))
    kept.catch_up()
    assert not kept.elsewhere
    kept.there.trouble = None
    kept.catch_up()
    assert kept.elsewhere


@pytest.mark.parametrize("verdict", [AutomationError("no such service"), TimeoutError()])
def test_what_is_refused_is_tried_again_only_when_the_home_has_changed(
    kept: Kept, verdict: Exception
) -> None:
    kept.there.trouble = verdict
    kept.take(Adopt(T0, LAMP, Mode.ACT))
    kept.catch_up()
    assert kept.there.asked == 1
    kept.there.trouble = None
    kept.registry()
    assert kept.elsewhere


def test_nothing_is_tried_while_home_assistant_is_away(kept: Kept) -> None:
    kept.there.trouble, kept.there.reachable = HomeAssistantError("down"), False
    kept.take(Adopt(T0, LAMP, Mode.ACT))
    kept.catch_up()
    assert kept.there.asked == 1


def test_a_deletion_is_made_good_when_home_assistant_is_back(kept: Kept) -> None:
    kept.take(Adopt(T0, LAMP, Mode.ACT))
    kept.there.trouble = HomeAssistantError("down")
    kept.take(Dismiss(T0, LAMP.id))
    assert kept.there.made
    kept.there.trouble = None
    kept.catch_up()
    assert kept.there.made == {}


def test_one_that_is_let_go_while_it_is_being_made_is_deleted(kept: Kept) -> None:
    def dismissed() -> None:
        kept.engine.take(Dismiss(T0, LAMP.id))
        kept.engine.commit()

    kept.there.meanwhile = dismissed
    kept.take(Adopt(T0, LAMP, Mode.ACT))
    assert kept.standing is Standing.RETIRED
    assert kept.there.made == {}
