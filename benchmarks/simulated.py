"""Precision and recall of the hunches in the simulated family home, where the truth is known.

    python benchmarks/simulated.py [--seeds 1,2,3] [--days 60] [--learn 30] [--faults 30]
                                   [--methods default,unlimited] [--detectors A,B] [--json OUT] [--verbose]

A month is learned; then random faults of all kinds are planted over the following days, and everything that
is said counts. A hunch is right if it is about the device of a fault, from its start until an hour after
its end. A fault that nobody could hear of (a silent sensor that would have said nothing) is counted apart.
"""

# ruff: noqa: E402 - see sys.path below

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path[0] = str(Path(__file__).resolve().parents[1])  # benchmarks/hunches.py would shadow the package

from agent.assembly import DETECTORS
from agent.suggestions import Suggestion
from benchmarks._home_pipeline import NAMES, SETTINGS, covers, drive, pipeline, subjects
from benchmarks._homes import DAY, HOUR, SIMULATION_START, whole_minute
from devices.simulated_faults import random_faults
from devices.simulated_people import LocalClock
from devices.simulator import Simulation, family, simulate

ZONE = ZoneInfo("Europe/Berlin")
CALM_DAYS = 7  # random_faults leaves the first week alone


@dataclass
class Outcome:
    """What was said in a home, and how it compares with the truth."""

    seed: int
    method: str
    days: int
    right: int = 0
    false: list[str] = field(default_factory=list)
    caught: Counter[str] = field(default_factory=Counter)  # faults by kind
    planted: Counter[str] = field(default_factory=Counter)
    inaudible: int = 0
    missed: list[str] = field(default_factory=list)
    by: Counter[str] = field(default_factory=Counter)

    def row(self) -> dict[str, object]:
        said, planted = self.right + len(self.false), self.planted.total()
        return {
            "seed": self.seed,
            "method": self.method,
            "said": said,
            "precision": round(self.right / said, 3) if said else None,
            "recall": round(self.caught.total() / planted, 3) if planted else None,
            "recall_audible": round(self.caught.total() / max(1, planted - self.inaudible), 3),
            "false_per_day": round(len(self.false) / self.days, 3),
            "by_kind": {k: f"{self.caught[k]}/{n}" for k, n in sorted(self.planted.items())},
        }


def home(seed: int, learn: int, days: int, faults: int) -> Simulation:
    """Return a home with `faults` faults in the last `days` days."""
    first = SIMULATION_START.astimezone(ZONE).date() + timedelta(days=learn - CALM_DAYS)
    planted = random_faults(
        family(), faults, first=first, days=days + CALM_DAYS, seed=seed, clock=LocalClock(ZONE)
    )
    return simulate("family", start=SIMULATION_START, days=learn + days, seed=seed, zone=ZONE, faults=planted)


def run(simulation: Simulation, learn: int, method: str, detectors: Sequence[str]) -> list[Suggestion]:
    changes = [e.change for e in simulation.events]
    pipe = pipeline(ZONE, learn * DAY, method, detectors)
    return list(drive(pipe, changes, whole_minute(changes[0].changed_at), changes[-1].changed_at))


def judge(
    outcome: Outcome, simulation: Simulation, undisturbed: Simulation, said: Sequence[Suggestion]
) -> None:
    """Match hunches with faults, and sort out what was right, false or missed."""
    devices = {e.entity_id: e.device or e.entity_id for e in family().entities}
    faults = [t for t in simulation.truth.faults.values() if t.started_at is not None]
    heard: set[str] = set()
    for s in said:
        about = {devices.get(e, e) for e in subjects(s)}
        matches = [t for t in faults if devices[t.fault.entity_id] in about and covers(t, s.raised_at)]
        heard |= {t.fault.id for t in matches}
        outcome.right += bool(matches)
        outcome.by[s.detector] += bool(matches)
        if not matches:
            outcome.false.append(f"{s.raised_at.astimezone(ZONE):%a %d %b %H:%M} {s.detector}: {s.title}")
    changed = differences(simulation, undisturbed)
    for t in sorted(faults, key=lambda t: t.fault.at):
        kind = t.fault.kind.value
        outcome.planted[kind] += 1
        outcome.caught[kind] += t.fault.id in heard
        if t.fault.id in heard:
            continue
        audible = any(covers(t, at) for at in changed[devices[t.fault.entity_id]])
        outcome.inaudible += not audible
        local, lasted = t.started_at.astimezone(ZONE), (t.ended_at or t.started_at) - t.started_at
        outcome.missed.append(
            f"{kind} {t.fault.entity_id} {local:%a %d %b %H:%M} for {lasted / HOUR:.1f} h"
            + ("" if audible else " (nobody could hear of it)")
        )


def differences(simulation: Simulation, undisturbed: Simulation) -> dict[str, list[datetime]]:
    """Return when each device said something else than it would have without faults."""
    devices = {e.entity_id: e.device or e.entity_id for e in family().entities}
    one, other = (
        {(e.change.entity_id, e.change.changed_at, e.change.new) for e in s.events}
        for s in (simulation, undisturbed)
    )
    found: dict[str, list[datetime]] = defaultdict(list)
    for entity_id, at, _ in one ^ other:
        found[devices[entity_id]].append(at)
    return found


def print_row(row: dict[str, object]) -> None:
    kinds = ", ".join(f"{k} {v}" for k, v in row["by_kind"].items())
    print(
        f"{row['seed']!s:>4} {row['method']:18} {row['said']:>4} {row['precision'] or 0:>9.2f}"
        f" {row['recall'] or 0:>7.2f} {row['recall_audible']:>8.2f} {row['false_per_day']:>9.2f}  {kinds}",
        flush=True,
    )


def total(outcomes: Sequence[Outcome], method: str) -> Outcome:
    of = [o for o in outcomes if o.method == method]
    pooled = Outcome(0, method, sum(o.days for o in of))
    for o in of:
        pooled.right += o.right
        pooled.false += o.false
        pooled.caught += o.caught
        pooled.planted += o.planted
        pooled.inaudible += o.inaudible
    return pooled


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = {"type": lambda text: text.split(","), "metavar": "A,B"}
    parser.add_argument("--seeds", type=lambda text: [int(s) for s in text.split(",")], default=[1, 2, 3])
    parser.add_argument("--data", help="not needed here")
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--learn", type=int, default=30, help="days without faults before them")
    parser.add_argument("--faults", type=int, default=30)
    parser.add_argument("--methods", **names, default=list(SETTINGS))
    parser.add_argument("--detectors", **names, default=list(DETECTORS), help="only these")
    parser.add_argument("--json", type=Path, help="write everything here")
    parser.add_argument("--verbose", action="store_true", help="list false hunches and missed faults")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    outcomes: list[Outcome] = []
    print("seed method             said precision  recall (audible) false/day  caught by kind")
    for seed in options.seeds:
        simulation = home(seed, options.learn, options.days, options.faults)
        undisturbed = home(seed, options.learn, options.days, 0)
        for method in options.methods:
            outcome = Outcome(seed, NAMES[method], options.days)
            said = run(simulation, options.learn, method, options.detectors)
            judge(outcome, simulation, undisturbed, said)
            outcomes.append(outcome)
            print_row(outcome.row())
            if options.verbose:
                lines = ["false:", *outcome.false, "missed:", *outcome.missed, f"right: {dict(outcome.by)}"]
                print("\n".join(f"  {line}" for line in lines), "\n", flush=True)
    totals = [total(outcomes, NAMES[m]).row() | {"seed": "all"} for m in options.methods]
    for row in totals:
        print_row(row)
    if options.json:
        body = {"rows": [*(o.row() for o in outcomes), *totals], "detail": [vars(o) for o in outcomes]}
        options.json.write_text(json.dumps(body, indent=1))


if __name__ == "__main__":
    main()
