"""The real daemon in a thread of its own, with a detector that is checked by hand, beside a real broker."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch
from zoneinfo import ZoneInfo

from paho.mqtt.enums import MQTTProtocolVersion

from agent.daemon import Daemon
from agent.pipeline import Pipeline
from agent.policy import Policy, PolicyConfig
from agent.settings import Settings, load_settings
from agent.store import Store
from devices.context import Calendar
from tests.agent.toys import LongOn
from tests.broker import Broker
from tests.process import wait_for

T = TypeVar("T")
LIMIT = timedelta(seconds=0.3)
"""What has been on for longer is a hunch."""


def settings_for(broker: Broker, folder: Path, mqtt: dict[str, Any] | None = None, **more: Any) -> Settings:
    """Return settings for a daemon that ticks ten times a second."""
    return load_settings(
        None,
        mqtt={"host": broker.host, "port": broker.port, "protocol": spoken(broker), **(mqtt or {})},
        store={"url": f"sqlite:///{folder}/inkling.db"},
        **{"tick_s": 0.1, "warmup_days": 0, **more},
    )


def spoken(broker: Broker) -> str:
    """Return the version of MQTT that a broker knows: finding out takes time."""
    return "5" if broker.protocol is MQTTProtocolVersion.MQTTv5 else "3.1.1"


def toy_pipeline(_settings: Settings | None = None) -> Pipeline:
    """Return a pipeline that raises a hunch about whatever has been on for `LIMIT`."""
    policy = Policy(PolicyConfig(per_day=1000.0, burst=1000.0, quiet_hours=None))
    return Pipeline(Calendar(ZoneInfo("UTC")), [LongOn(LIMIT)], policy)


class Living:
    """A running daemon. Its parts may be looked at from the test; `call` does things in its own thread."""

    def __init__(self, settings: Settings, store: Store) -> None:
        with patch("agent.daemon.build_pipeline", toy_pipeline):
            self.daemon = Daemon(settings, store, rng=random.Random(1))
        self.store = store
        self.failed: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self.daemon.run(self._stop))
        except BaseException as err:  # noqa: BLE001 - raised again in the test's thread
            self.failed = err

    def start(self) -> None:
        self._thread.start()
        wait_for("daemon", lambda: self.daemon.ready.is_set() or not self.alive)

    def stop(self) -> None:
        if self.alive:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()
        if self.failed is not None:
            raise self.failed

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and self.failed is None

    @property
    def pipeline(self) -> Pipeline:
        return self.daemon.engine.pipeline

    @property
    def detector(self) -> LongOn:
        (detector,) = self.pipeline.detectors
        assert isinstance(detector, LongOn)
        return detector

    def state(self, entity_id: str) -> str | None:
        known = self.pipeline.home.get(entity_id)
        return None if known is None else known.state

    def wait_state(self, entity_id: str, state: str) -> None:
        wait_for(f"{entity_id} {state}", lambda: self.state(entity_id) == state)
        self.call(lambda: None)  # the turn that stepped it has committed it

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in the daemon's thread."""

        async def run() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)


@contextmanager
def living(settings: Settings, *, connected: bool = True) -> Iterator[Living]:
    """Run a daemon on the settings' database while the test goes on."""
    with Store.open(settings.store.url) as store:
        home = Living(settings, store)
        home.start()
        try:
            if connected:
                wait_for("connection", home.daemon.bridge.connected.is_set)
            yield home
        finally:
            home.stop()


def body(payload: bytes | bytearray) -> dict[str, Any]:
    """Return a payload's JSON."""
    found: dict[str, Any] = json.loads(payload)
    return found
