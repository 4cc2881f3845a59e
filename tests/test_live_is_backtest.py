"""What the daemon says of a home is what a backtest of its recording says, whatever happens in between.

`INKLING_DATA=folder pytest tests/test_live_is_backtest.py` plays the recordings of a folder, too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from agent.assembly import build_pipeline
from agent.backtest import backtest as replay
from agent.engine import Engine
from agent.importers import read_recording
from agent.ticker import Ticker
from devices.decoder import Publish
from devices.events import StateChange
from devices.recording import format_line
from devices.simulator import SimulatedEvent, as_recording_line, simulate
from devices.state import HomeState
from tests.broker import Mosquitto
from tests.conftest import MakeBroker
from tests.daemon import (
    TALKATIVE,
    DaemonProcess,
    MakeDaemon,
    Publisher,
    backtest,
    told_by_backtest,
    without_sightings,
)

RECORDINGS = sorted(Path(os.environ["INKLING_DATA"]).glob("*.jsonl*")) if "INKLING_DATA" in os.environ else []


@pytest.fixture(params=["apartment", *RECORDINGS], ids=str)
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a recording: a fortnight in the simulated flat, or a real one."""
    if request.param != "apartment":
        path: Path = request.param
        return path
    start, zone = datetime(2024, 3, 4, tzinfo=UTC), ZoneInfo("Europe/Berlin")
    lived = simulate("apartment", start=start, days=14, seed=3, zone=zone, faults=40).events
    path = tmp_path / "apartment.jsonl"
    path.write_bytes(b"".join(map(as_recorded, lived)))
    return path


def as_recorded(event: SimulatedEvent) -> bytes:
    """Return a line; sensors' don't say who moved them, as most recordings don't."""
    line = as_recording_line(event)
    if not event.change.entity_id.startswith("binary_sensor."):
        return line
    kept = ("entity_id", "state", "last_changed", "attributes")
    return orjson.dumps({key: value for key, value in orjson.loads(line).items() if key in kept}) + b"\n"


@pytest.mark.timeout(900)
def test_live_is_backtest(recording: Path, make_broker: MakeBroker, make_daemon: MakeDaemon) -> None:
    changes = sorted(read_recording(recording), key=lambda change: change.changed_at)
    calm = make_daemon("calm", make_broker(kind=Mosquitto), clock="events", **TALKATIVE)
    expected = backtest(calm.config, recording)
    assert backtest(calm.config, recording) == expected, "a second run gives other bytes"

    play(changes, calm)
    calm.stop()
    assert calm.hunches() == told_by_backtest(expected)

    broker = make_broker(kind=Mosquitto)
    restarted = make_daemon("restarted", broker, clock="events", **TALKATIVE)
    play(changes, restarted, stop_at=0.3, kill_at=0.7)
    restarted.stop()
    assert restarted.suggestions() == calm.suggestions()

    learned = replayed(changes, calm)
    assert without_sightings(calm.snapshot()) == learned
    assert without_sightings(restarted.snapshot()) == learned
    assert from_the_log_alone(restarted) == learned


def play(
    changes: Sequence[StateChange], daemon: DaemonProcess, stop_at: float = 2, kill_at: float = 2
) -> None:
    """Publish changes; on the way stop the daemon, which leaves a snapshot, and kill it, which doesn't."""
    stored = worth_storing(changes)
    publisher = Publisher(
        daemon.broker, [Publish(f"inkling/replay/{c.entity_id}", format_line(c)) for c in changes]
    )
    publisher.start()
    if stop_at < 1:
        daemon.wait_events(int(stop_at * stored), 600)
        daemon.restart()
    if kill_at < 1:
        daemon.wait_events(int(kill_at * stored), 600)
        daemon.kill()
        daemon.start()
    publisher.join(600)
    daemon.wait_events(stored, 600)
    daemon.wait_ready()
    assert daemon.events == stored


def worth_storing(changes: Sequence[StateChange]) -> int:
    """Return how many changes are news: neither repeats nor duplicates."""
    home, news = HomeState(), set()
    for change in changes:
        known = home.get(change.entity_id)
        attributes = change.attributes
        if known is None or known.state != change.new or (attributes and attributes != known.attributes):
            news.add((change.entity_id, change.changed_at, change.new, orjson.dumps(dict(attributes))))
        home.apply(change)
    return len(news)


def replayed(changes: Sequence[StateChange], daemon: DaemonProcess) -> dict[str, Any]:
    """Return what a pipeline is after a backtest."""
    pipeline = build_pipeline(daemon.settings)
    replay(pipeline, changes, tick=timedelta(seconds=daemon.settings.tick_s))
    return without_sightings(pipeline.to_dict())


def from_the_log_alone(daemon: DaemonProcess) -> dict[str, Any]:
    """Return what a pipeline is after a start without a snapshot."""
    with daemon.store() as store:
        engine = Engine(store, build_pipeline(daemon.settings), Ticker(timedelta(minutes=1)))
        engine.replay(store.tail())
    return without_sightings(engine.pipeline.to_dict())
