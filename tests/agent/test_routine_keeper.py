"""Routines and Home Assistant's automations are kept in step, whatever goes wrong in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.automations import AutomationError, NotThereError
from agent.engine import Engine
from agent.errors import InklingError
from agent.ha_socket import HomeAssistantError
from agent.requests import Adopt, Dismiss, Feedback, Mined
from agent.routine_keeper import MINED, RoutineKeeper
from agent.settings import load_settings
from agent.store import Store
from agent.suggestions import Kind, Mode, RoutineNews, Standing, Suggestion, Verdict
from agent.ticker import Ticker
from devices.events import Origin
from routines.rendering import automation_of
from routines.routine import OnState, Routine, Step
from tests.agent.toys import T0, change, pipeline, tick

DAY = 1440.0

DOOR = "binary_sensor.door"
AUTOMATION = "automation.hall_light_on"
LAMP = Routine("Hall light on", OnState(DOOR, "on"), (Step("light.hall", "on"),))


class FakeAutomations:
    """Home Assistant's automations by routine id; `trouble` is raised by whatever is asked of it."""

    def __init__(self) -> None:
        self.made: dict[str, Routine] = {}
        self.manual: list[Mapping[str, Any]] = []
        self.reachable = True
        self.trouble: Exception | None = None
        self.asked = 0
        self.meanwhile: Callable[[], None] | None = None  # what happens while it is being made
        self.starting = False
        self.switched: list[tuple[str, bool]] = []

    async def all(self) -> list[Mapping[str, Any]]:
        self._trouble()
        return self.manual

    async def create(self, routine: Routine) -> tuple[str, Mapping[str, Any] | None]:
        self.asked += 1
        self._trouble()
        before = self.made.get(routine.id)
        await asyncio.sleep(0)
        self.made[routine.id] = routine
        if self.meanwhile is not None:
            self.meanwhile()
        return AUTOMATION, None if before is None else automation_of(before)

    async def remove(self, routine_id: str) -> None:
        self._trouble()
        self.made.pop(routine_id, None)

    async def is_gone(self, routine_id: str) -> bool:
        self._trouble()
        return not self.starting and routine_id not in self.made

    async def switch(self, entity_id: str, *, on: bool) -> None:
        self._trouble()
        self.switched.append((entity_id, on))

    def _trouble(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"platform": "automation", "unique_id": f"inkling_{i}", "entity_id": AUTOMATION}
            for i in self.made
        ]


class Kept:
    """A keeper with an engine, and Home Assistant's automations."""

    def __init__(self, store: Store) -> None:
        self.engine = Engine(store, pipeline(), Ticker(timedelta(minutes=30), max_gap=None), self._on_outputs)
        self.engine.pipeline.step(tick(-60))  # before the first tick nothing is proposed
        self.work: list[Coroutine[Any, Any, None]] = []
        self.keeper = RoutineKeeper(
            load_settings(None), self.engine, None,
            now=lambda: T0, settle=self.engine.commit, spawn=self.work.append,
        )  # fmt: skip
        self.there = FakeAutomations()
        self.keeper.automations = self.there  # type: ignore[assignment]

    def _on_outputs(self, outputs: Any, _at: object) -> None:
        for output in outputs:
            if isinstance(output, RoutineNews):
                self.keeper.follow(output)

    def take(self, event: Mined | Adopt | Dismiss | Feedback) -> None:
        self.engine.take(event)
        self.engine.commit()
        self.settle()

    def settle(self) -> None:
        async def run() -> None:
            while self.work:
                now, self.work[:] = list(self.work), []
                await asyncio.gather(*now)

        asyncio.run(run())

    def catch_up(self) -> None:
        self.keeper.catch_up()
        self.settle()

    def automation(self, state: str, day: float = 0.0, **attributes: object) -> None:
        """Let Home Assistant tell of the automation."""
        about = {"id": f"inkling_{LAMP.id}", **attributes} if state != "unavailable" else {"restored": True}
        self.engine.take(change(AUTOMATION, state, day * DAY, origin=Origin.UNKNOWN, attributes=about))
        self.engine.commit()
        self.settle()

    def made(self) -> None:
        """Let the automation be made, and be heard of."""
        self.take(Adopt(T0, LAMP, Mode.ACT))
        self.registry()
        self.automation("on")

    def days(self, days: float) -> None:
        """Let time pass."""
        self.engine.advance(T0 + timedelta(days=days))
        self.engine.commit()
        self.settle()

    def door_opens(self, day: float) -> Suggestion:
        """Set the routine off; return its question."""
        for n, (entity_id, state) in enumerate((("light.hall", "off"), (DOOR, "off"), (DOOR, "on"))):
            self.engine.take(change(entity_id, state, day * DAY + n))
        self.engine.commit()
        asked = [s.suggestion for s in self.engine.store.suggestions() if s.suggestion.kind is Kind.ROUTINE]
        return max(asked, key=lambda s: s.raised_at)

    @property
    def body(self) -> Mapping[str, Any]:
        (document,) = self.engine.store.routines()
        return document.body

    def registry(self) -> None:
        self.keeper.on_registry(self.there.rows())
        self.settle()

    @property
    def elsewhere(self) -> bool:
        return self.keeper.entries[LAMP.id].elsewhere

    @property
    def standing(self) -> Standing:
        return self.keeper.entries[LAMP.id].standing


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    with Store.open(f"sqlite:///{tmp_path}/inkling.db") as store:
        yield Kept(store)


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


def test_what_an_automation_does_already_is_not_proposed(kept: Kept) -> None:
    kept.there.manual = [{**automation_of(LAMP), "alias": "Welcome"}]
    asyncio.run(kept.keeper.offer(Mined(T0, (LAMP,), {"text": "1 proposed"})))
    assert kept.keeper.entries == {}
    (found,) = kept.engine.store.journal("mined")
    assert found["covered"] == {LAMP.id: "Welcome"}
    (said,) = (s.value for s in kept.engine.store.settings() if s.key == MINED)
    assert said["text"] == "1 proposed"


def test_nothing_is_proposed_while_the_automations_are_not_known(kept: Kept) -> None:
    kept.there.trouble = HomeAssistantError("down")
    asyncio.run(kept.keeper.offer(Mined(T0, (LAMP,))))
    assert kept.keeper.entries == {}
    kept.there.trouble = None
    asyncio.run(kept.keeper.offer(Mined(T0, (LAMP,))))
    assert kept.standing is Standing.PROPOSED
