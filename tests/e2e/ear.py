"""Inkling's own gateway at a real Home Assistant, for tests that are no coroutines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from agent.ha import HomeAssistant
from agent.ha_listener import HomeInfo
from devices.events import Origin, StateChange
from devices.provenance import HaContext, Provenance
from tests.process import wait_for

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Heard:
    """A change as the gateway told it, with the origin that Provenance gives."""

    change: StateChange
    origin: Origin
    confidence: float
    context: HaContext | None
    delay_s: float  # from Home Assistant's own time of the change


class Ear:
    """Listens in a thread with an event loop of its own while its `with` block runs."""

    def __init__(self, url: str, token: Callable[[], str]) -> None:
        self.provenance = Provenance()
        self.heard: list[Heard] = []
        self.connections = 0
        self.gateway = HomeAssistant(
            url, token, listener=self, provenance=self.provenance, now=lambda: datetime.now(UTC)
        )
        self.gateway.back_off_s = (0.2, 1.0)
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._listen)

    def wait(self, entity_id: str, state: str, *, after: int = 0, timeout_s: float = 15) -> Heard:
        """Return the first live change of an entity to a state; `after` is a former `len(heard)`."""

        def found() -> Heard | None:
            return next(
                (
                    h
                    for h in self.heard[after:]
                    if h.change.entity_id == entity_id and h.change.new == state and not h.change.retained
                ),
                None,
            )

        heard = wait_for(f"{entity_id} {state}", found, timeout_s, interval_s=0.01)
        assert heard is not None
        return heard

    def do(self, action: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of the gateway in its loop."""
        return asyncio.run_coroutine_threadsafe(action, self._loop).result(30)

    def _listen(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self.gateway.run())
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.close()

    def __enter__(self) -> Self:
        self._thread.start()
        wait_for("the gateway", lambda: self.gateway.connected, 30)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(20)

    # -- the listener of the gateway --------------------------------------------------------------

    def on_connected(self, info: HomeInfo) -> None:
        self.connections += 1

    def on_disconnected(self) -> None:
        return

    def on_change(self, change: StateChange, context: HaContext | None) -> None:
        origin, confidence = self.provenance.classify(change, context=context, now=change.received_at)
        delay = (change.received_at - change.changed_at).total_seconds()
        self.heard.append(Heard(change, origin, confidence, context, delay))

    def on_registry(self, rows: Sequence[Mapping[str, Any]]) -> None:
        return

    def on_renamed(self, old: str, new: str) -> None:
        return

    def on_notification_action(self, data: Mapping[str, Any]) -> None:
        return
