"""Keeps routines going: searches for them at night, and keeps Home Assistant's automations in step."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import structlog

from agent.engine import Engine
from agent.errors import InklingError
from agent.mining import Job, mine_in_child, without_covered
from agent.records import Setting
from agent.requests import Adopt, Dismiss, Mined
from agent.routine_entry import Entry, Off
from agent.settings import Settings
from agent.suggestions import Mode, RoutineNews, Standing
from devices.events import NOT_A_STATE, StateChange
from routines.rendering import PREFIX, automation_id
from routines.routine import Routine

if TYPE_CHECKING:
    from agent.automations import Automations
    from agent.ha import HomeAssistant

log = structlog.get_logger()

MINED: Final = "mined"
"""Setting of the home that shows other processes what the last search looked at, and left out."""
REPLACED: Final = "replaced"
"""Setting that keeps what an automation of ours was before we wrote it again."""


class RoutineKeeper:
    """What routines need of the outside world. `spawn` starts a task, `settle` commits soon."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        gateway: HomeAssistant | None,
        *,
        now: Callable[[], datetime],
        settle: Callable[[], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self.settings = settings
        self.engine = engine
        self.automations: Automations | None = None
        if gateway is not None:
            from agent.automations import Automations  # noqa: PLC0415 - as with the gateway: 30 MB

            self.automations = Automations(gateway)
        self.now = now
        self.settle = settle
        self.spawn = spawn
        self._refused: set[str] = set()  # routines that Home Assistant doesn't take as it is now
        self._complaints: dict[str, str] = {}  # routine -> what was said about it last
        self._left_over: set[str] = set()  # routines whose automations could not be deleted
        self._entity_ids: dict[str, str] = {}  # routine -> entity id of its automation
        self._one = asyncio.Lock()

    @property
    def entries(self) -> Mapping[str, Entry]:
        """The routines by id."""
        return self.engine.pipeline.routines.entries

    # -- searching --------------------------------------------------------------------------------

    async def mine(self) -> None:
        """Search the past for routines, and propose the best."""
        place = self.engine.pipeline.calendar
        options = self.settings.routines
        job = Job(
            url=self.settings.store.url,
            until=self.now().isoformat(),
            days=options.days,
            time_zone=place.zone.key,
            latitude=place.latitude,
            longitude=place.longitude,
            include_unknown=options.include_unknown(known=self.settings.home_assistant.configured),
        )
        try:
            mined = await mine_in_child(job)
        except (InklingError, TimeoutError) as err:
            log.warning("could not search for routines", why=str(err) or "it took too long")
            return
        log.info("searched for routines", found=len(mined.routines), account=mined.report.get("text"))
        await self.offer(mined)

    async def offer(self, mined: Mined) -> None:
        """Propose what was mined, but for what an automation does already."""
        if self.automations is not None and mined.routines:
            try:
                mined = without_covered(mined, await self.automations.all())
            except InklingError as err:
                log.warning("can't read the automations: nothing is proposed", why=str(err))
                return
        self.engine.keep(Setting("*", MINED, {"at": mined.at.isoformat(), **mined.report}))
        self._take(mined)

    # -- Home Assistant's automations -------------------------------------------------------------

    def follow(self, news: RoutineNews) -> None:
        """Make or delete a routine's automation after its standing has changed."""
        if self.automations is None:
            return
        if news.elsewhere:
            self._switch_all(self.automations)
            return
        if news.standing is Standing.ACCEPTED and news.mode is Mode.ACT:
            self._refused.discard(news.routine.id)
            self.spawn(self._install(self.automations, news.routine.id))
        elif news.standing is not Standing.PROPOSED:
            self.spawn(self._remove(self.automations, news.routine.id))

    def catch_up(self) -> None:
        """Do what could not be done when it was asked for: Home Assistant was down, or still starting."""
        if self.automations is None or not self.automations.reachable:
            return
        for routine_id, entry in self.entries.items():
            if _wants_automation(entry) and not entry.elsewhere and routine_id not in self._refused:
                self.spawn(self._install(self.automations, routine_id))
        for routine_id in self._left_over:
            self.spawn(self._remove(self.automations, routine_id))
        self._switch_all(self.automations)
        for routine_id, entry in self.entries.items():
            if entry.elsewhere and not self._is_loaded(routine_id):
                self.spawn(self._look_after(self.automations, routine_id))

    def _is_loaded(self, routine_id: str) -> bool:
        """Whether a routine's automation has a state: one that was deleted from a file keeps its entry."""
        entity_id = self._entity_ids.get(routine_id)
        if entity_id is None:
            return True  # the registry hasn't told yet
        known = self.engine.pipeline.home.get(entity_id)
        return known is not None and known.state not in NOT_A_STATE

    def _switch_all(self, automations: Automations) -> None:
        """Switch off the automations of routines that rest, and on again those that we switched off."""
        for routine_id, entry in self.entries.items():
            entity_id = self._entity_ids.get(routine_id)
            rests = entry.rests and entry.off is Off.NO
            if entry.elsewhere and entity_id is not None and (rests or _is_woken(entry)):
                self.spawn(self._switch(automations, entity_id, on=not rests))

    def on_registry(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Respect that a resident has deleted an automation of ours; make those that are missing."""
        automations = {str(r.get("unique_id")): r for r in rows if r.get("platform") == "automation"}
        there = {i.removeprefix(PREFIX): r for i, r in automations.items() if i.startswith(PREFIX)}
        self._entity_ids = {routine_id: str(r.get("entity_id")) for routine_id, r in there.items()}
        for routine_id, entry in list(self.entries.items()):
            row = there.get(routine_id)
            if entry.elsewhere and row is None:
                self._deleted(routine_id)
            elif entry.elsewhere and row is not None and row.get("disabled_by") and entry.off is Off.NO:
                self._disabled(routine_id)
        self._refused.clear()  # the home has changed, or this is another Home Assistant
        self.catch_up()

    def _disabled(self, routine_id: str) -> None:
        """Tell the pipeline that an automation is off which has no state, as only the registry says so."""
        entity_id, about, now = self._entity_ids[routine_id], {"id": automation_id(routine_id)}, self.now()
        self._take(StateChange(entity_id, "off", now, now, attributes=about))

    def _deleted(self, routine_id: str) -> None:
        log.info("an automation of ours was deleted: the routine is retired", routine=routine_id)
        self._take(Dismiss(self.now(), routine_id, "deleted in Home Assistant"))

    async def _look_after(self, automations: Automations, routine_id: str) -> None:
        """Retire a routine whose automation was deleted by editing the file it was in."""
        with contextlib.suppress(InklingError):  # asked again in a minute
            gone = await automations.is_gone(routine_id)
            entry = self.entries.get(routine_id)
            if gone and entry is not None and entry.elsewhere and not self._is_loaded(routine_id):
                self._deleted(routine_id)

    async def _switch(self, automations: Automations, entity_id: str, *, on: bool) -> None:
        try:
            await automations.switch(entity_id, on=on)
        except InklingError as err:
            log.warning("could not switch an automation", entity=entity_id, on=on, why=str(err))

    async def _install(self, automations: Automations, routine_id: str) -> None:
        async with self._one:
            entry = self.entries.get(routine_id)
            if entry is None or not _wants_automation(entry) or entry.elsewhere:
                return
            try:
                entity_id, before = await automations.create(entry.routine)
            except (InklingError, TimeoutError) as err:
                self._could_not(entry.routine, err)
                return
            self._complaints.pop(routine_id, None)
            if before is not None:
                self.engine.keep(Setting(automation_id(routine_id), REPLACED, before))
            self._entity_ids[routine_id] = entity_id
            log.info("automation made", routine=routine_id, name=entry.routine.name, entity=entity_id)
            if self.entries.get(routine_id) is entry and entry.standing is Standing.ACCEPTED:
                self._take(Adopt(self.now(), entry.routine, entry.mode, elsewhere=True))

    def _could_not(self, routine: Routine, err: Exception) -> None:
        from agent.automations import AutomationError, NotThereError  # noqa: PLC0415 - as above

        why = str(err) or "Home Assistant took it, and it didn't appear"
        if self._complaints.get(routine.id) != why:
            log.warning(
                "no automation for this routine: Inkling runs it",
                routine=routine.id,
                name=routine.name,
                why=why,
            )
        self._complaints[routine.id] = why
        if isinstance(err, AutomationError | TimeoutError) and not isinstance(err, NotThereError):
            self._refused.add(routine.id)

    async def _remove(self, automations: Automations, routine_id: str) -> None:
        async with self._one:
            entry = self.entries.get(routine_id)
            self._left_over.discard(routine_id)
            if entry is not None and _wants_automation(entry):
                return  # accepted again
            try:
                await automations.remove(routine_id)
            except InklingError as err:
                self._left_over.add(routine_id)
                log.warning("could not delete the automation of a routine", routine=routine_id, why=str(err))

    def _take(self, event: Mined | Adopt | Dismiss | StateChange) -> None:
        self.engine.take(event)
        self.settle()


def _wants_automation(entry: Entry) -> bool:
    return entry.accepted and entry.mode is Mode.ACT


def _is_woken(entry: Entry) -> bool:
    return not entry.rests and entry.off is Off.RESTS
