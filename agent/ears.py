"""What Home Assistant tells, brought to the intake and the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import structlog

from agent.engine import Engine
from agent.ha_listener import HomeInfo
from agent.intake import Intake
from agent.requests import Feedback, Forget
from agent.suggestions import Verdict
from devices.events import Source, StateChange
from devices.provenance import HaContext

log = structlog.get_logger()

_ACTION: Final = "INKLING_"  # INKLING_ACCEPT_<id>: a button of a notification in the app


class HomeAssistantEar:
    """Listens to the gateway. `settle` is called after each change: it commits soon, many at a time."""

    def __init__(
        self,
        engine: Engine,
        intake: Intake,
        *,
        now: Callable[[], datetime],
        settle: Callable[[], None],
        on_home: Callable[[HomeInfo], None],
        on_registry: Callable[[Sequence[Mapping[str, Any]]], None],
    ) -> None:
        self.engine = engine
        self.intake = intake
        self.now = now
        self.settle = settle
        self.on_home = on_home
        self.registry_read = on_registry

    def on_connected(self, info: HomeInfo) -> None:
        """Home Assistant's contexts are worth waiting for from now on."""
        self.intake.fusion.source_up(Source.HOME_ASSISTANT)
        self.on_home(info)

    def on_disconnected(self) -> None:
        """Nothing waits for Home Assistant any longer."""
        self._take(self.intake.fusion.source_down(Source.HOME_ASSISTANT, self.now()))

    def on_change(self, change: StateChange, context: HaContext | None) -> None:
        """Take in a change."""
        self._take(self.intake.home_assistant(change, context))

    def on_registry(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Learn which entity ids Home Assistant gives to what we hear natively, and to our own."""
        self.intake.own.registry(rows)
        self.intake.index.registry(rows)
        self.registry_read(rows)

    def on_renamed(self, old: str, new: str) -> None:
        """Carry what was learned over to the new id."""
        if self.intake.own.renamed(old, new):
            return
        log.info("entity renamed", old=old, new=new)
        self.intake.fusion.forget(old)
        self.engine.take(Forget(self.now(), old, renamed_to=new))
        self.settle()

    def on_notification_action(self, data: Mapping[str, Any]) -> None:
        """Take in an answer that a resident tapped on the phone."""
        action = data.get("action")
        if not isinstance(action, str) or not action.startswith(_ACTION):
            return
        word, _, suggestion_id = action.removeprefix(_ACTION).lower().rpartition("_")
        if word in {v.value for v in Verdict if v is not Verdict.IGNORED}:
            self.engine.take(Feedback(suggestion_id, Verdict(word), self.now()))
            self.settle()

    def _take(self, changes: Sequence[StateChange]) -> None:
        for change in changes:
            self.engine.take(change)
        self.settle()
