"""A keeper of routines with an engine, and Home Assistant's automations as they might be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any

from agent.engine import Engine
from agent.requests import Adopt, Dismiss, Feedback, Forget, Mined
from agent.routine_keeper import RoutineKeeper
from agent.settings import load_settings
from agent.store import Store
from agent.suggestions import Kind, Mode, RoutineNews, Standing, Suggestion
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
        self.disabled_by: str | None = None

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
        known = {"platform": "automation", "entity_id": AUTOMATION, "disabled_by": self.disabled_by}
        return [known | {"unique_id": f"inkling_{i}"} for i in self.made]


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

    def take(self, event: Mined | Adopt | Dismiss | Feedback | Forget) -> None:
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
