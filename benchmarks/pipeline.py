"""How fast the pipeline steps, beside river's half-space trees, in one run.

    python benchmarks/pipeline.py [--data DIR] [--rounds 3] [--json OUT]

For each recording in DIR (the simulated family home where none is given): the time of `Pipeline.step` for a
state change, for a tick, and for the whole recording with its ticks; beside it the time of
`HalfSpaceTrees(n_trees=10, height=8)` to score and learn one six-feature dict an event, which is what a
general streaming detector would cost. Target: the ratio (half-space trees / step of a change) at least 1.0.
"""

# ruff: noqa: E402 - see sys.path below

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zlib import crc32
from zoneinfo import ZoneInfo

sys.path[0] = str(Path(__file__).resolve().parents[1])  # benchmarks/hunches.py would shadow the package

from river.anomaly import HalfSpaceTrees

from agent.assembly import DETECTORS, build_pipeline
from agent.importers import read_recording
from agent.settings import Settings
from agent.ticker import Ticker
from devices.events import StateChange
from devices.simulator import simulate

MAX_EVENTS = 20_000
CHUNK = 200  # both take turns this often, so that a machine that slows down slows both


def recordings(folder: Path | None) -> dict[str, list[StateChange]]:
    if folder is None:
        start = datetime(2026, 3, 2, tzinfo=UTC)
        events = simulate("family", start=start, days=14, seed=1, zone=ZoneInfo("Europe/Berlin")).events
        return {"simulated family": [event.change for event in events]}
    paths = sorted((folder / "recordings" if (folder / "recordings").is_dir() else folder).glob("*.jsonl*"))
    return {
        path.name.split(".")[0]: sorted(read_recording(path), key=lambda c: c.changed_at) for path in paths
    }


def features(changes: Sequence[StateChange]) -> list[dict[str, float]]:
    """Return six features a change: hour, weekday, state, gap, entity, how often it was seen."""
    counts: dict[str, int] = {}
    found, last = [], changes[0].changed_at
    for change in changes:
        counts[change.entity_id] = counts.get(change.entity_id, 0) + 1
        at = change.changed_at
        found.append(
            {
                "hour": (at.hour + at.minute / 60) / 24,
                "weekday": at.weekday() / 7,
                "on": float(change.new == "on"),
                "gap": min(1.0, (at - last).total_seconds() / 3600),
                "entity": (crc32(change.entity_id.encode()) % 97) / 97,
                "count": 1 / counts[change.entity_id],
            }
        )
        last = at
    return found


def times(changes: Sequence[StateChange], detectors: Sequence[str]) -> tuple[float, float, float, float]:
    """Return CPU µs: of a change, of a tick, of an event with its ticks, of an event of the trees."""
    pipeline, ticker = build_pipeline(Settings()), Ticker(timedelta(minutes=1))
    pipeline.detectors = [d for d in pipeline.detectors if d.name in detectors]
    trees = HalfSpaceTrees(n_trees=10, height=8, window_size=250, seed=1)
    clock, ticks = time.process_time, 0
    spent = {"change": 0.0, "tick": 0.0, "trees": 0.0}
    rows = features(changes)
    for start in range(0, len(changes), CHUNK):
        for change in changes[start : start + CHUNK]:
            due = list(ticker.until(change.received_at))
            t0 = clock()
            for tick in due:
                pipeline.step(tick)
            t1 = clock()
            pipeline.step(change)
            t2 = clock()
            ticks += len(due)
            spent["tick"] += t1 - t0
            spent["change"] += t2 - t1
        for x in rows[start : start + CHUNK]:
            t0 = clock()
            trees.score_one(x)
            trees.learn_one(x)
            spent["trees"] += clock() - t0
    n = len(changes)
    whole = (spent["change"] + spent["tick"]) / n
    return (
        spent["change"] / n * 1e6,
        spent["tick"] / max(1, ticks) * 1e6,
        whole * 1e6,
        spent["trees"] / n * 1e6,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--detectors", default=",".join(DETECTORS), metavar="A,B")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    table = {}
    print("| home | events | change µs | tick µs | event with its ticks µs | half-space trees µs | ratio |")
    print("|---|---|---|---|---|---|---|")
    for name, changes in recordings(args.data).items():
        changes = changes[:MAX_EVENTS]
        rounds = [times(changes, args.detectors.split(",")) for _ in range(args.rounds)]
        change, tick, whole, trees = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(r[3] / r[0] for r in rounds)
        table[name] = {
            "change_us": change,
            "tick_us": tick,
            "event_us": whole,
            "trees_us": trees,
            "ratio": ratio,
        }
        print(
            f"| {name} | {len(changes)} | {change:.1f} | {tick:.1f} "
            f"| {whole:.1f} | {trees:.0f} | {ratio:.1f} |",
            flush=True,
        )
    if args.json:
        args.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
