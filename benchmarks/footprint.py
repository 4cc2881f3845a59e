"""Memory and start of the daemon: 1,000 entities, 90 days learned, a million events in the log.

    python benchmarks/footprint.py [--days 90] [--copies 9] [--events 1000000] [--json OUT]

Nine simulated family homes in one make 1,080 entities. Their days are learned, the snapshot and the newest
million events are written to a database, and the daemon is started on it. Targets: resident memory at most
150 MB, start (process to "ready", its imports included) at most 3 s. Needs mosquitto; takes some minutes.
"""

# ruff: noqa: E402 - see sys.path below

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path[0] = str(Path(__file__).resolve().parents[1])  # benchmarks/hunches.py would shadow the package

import psutil

from agent.assembly import build_pipeline
from agent.records import Batch
from agent.settings import Settings
from agent.store import Store
from agent.ticker import Ticker
from devices.events import StateChange
from devices.simulator import SimulatedHome
from tests.broker import BrokerOptions, Mosquitto

START = datetime(2026, 1, 5, tzinfo=UTC)
BATCH = 5000


def changes(days: int, copies: int) -> Iterator[StateChange]:
    """Yield one family's life, `copies` times over under different ids."""
    home = SimulatedHome("family", start=START, seed=1, zone=ZoneInfo("Europe/Berlin"))
    for day in range(days + 1):
        events = home.initial() if day == 0 else home.advance(START + timedelta(days=day))
        for event in events:
            for copy in range(copies):
                yield replace(event.change, entity_id=f"{event.change.entity_id}_{copy}")


def prepare(url: str, days: int, copies: int, keep: int) -> tuple[int, int]:
    """Learn everything, store the newest `keep` events; return (learned, entities)."""
    pipeline, ticker = build_pipeline(Settings()), Ticker()
    newest: deque[StateChange] = deque(maxlen=keep)
    learned = 0
    for change in changes(days, copies):
        for tick in ticker.until(change.received_at):
            pipeline.step(tick)
        pipeline.step(change)
        newest.append(change)
        learned += 1
    assert ticker.last is not None
    with Store.open(url) as store:
        seq, batch = 0, Batch()
        for change in newest:
            seq += 1
            batch.changes.append((seq, change, None))
            if len(batch.changes) == BATCH:
                store.append(batch)
                batch = Batch()
        store.append(batch)
        body = {"pipeline": pipeline.to_dict(), "ticked": ticker.last.isoformat()}
        store.save_snapshot(seq, body, ticker.last)
    return learned, len(pipeline.home)


def start(url: str, port: int) -> tuple[float, float, float]:
    """Start the daemon; return seconds to ready, and MB resident after some seconds (now, peak)."""
    inkling = Path(sys.executable).with_name("inkling")
    env = {"INKLING_STORE__URL": url, "INKLING_MQTT__HOST": "127.0.0.1", "INKLING_MQTT__PORT": str(port)}
    began = time.perf_counter()
    daemon = subprocess.Popen(
        [inkling, "run"], env=env, stderr=subprocess.PIPE, text=True, cwd=tempfile.gettempdir()
    )
    assert daemon.stderr is not None
    for line in daemon.stderr:
        if "connected to the broker" in line:
            break
    took = time.perf_counter() - began
    time.sleep(5)
    memory = psutil.Process(daemon.pid).memory_info().rss / 1e6
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1000
    daemon.terminate()
    daemon.communicate(timeout=60)
    return took, memory, peak


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--copies", type=int, default=9)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, help="not needed here")
    args = parser.parse_args()
    if Mosquitto.executable() is None:
        sys.exit("mosquitto isn't installed: apt-get install mosquitto")
    with tempfile.TemporaryDirectory() as tmp:
        url = f"sqlite:///{tmp}/inkling.db"
        learned, entities = prepare(url, args.days, args.copies, args.events)
        broker = Mosquitto(Path(tmp) / "broker", BrokerOptions())
        broker.start()
        try:
            runs = [start(url, broker.port) for _ in range(3)]
        finally:
            broker.close()
    took, memory, peak = (sorted(column)[1] for column in zip(*runs, strict=True))
    print(f"{learned:,} events of {entities:,} entities learned, {min(learned, args.events):,} in the log")
    print(f"start to connected {took:.2f} s (target 3); {memory:.0f} MB resident (150), peak {peak:.0f} MB")
    if args.json:
        args.json.write_text(
            json.dumps({"start_s": took, "rss_mb": memory, "peak_mb": peak, "entities": entities})
        )


if __name__ == "__main__":
    main()
