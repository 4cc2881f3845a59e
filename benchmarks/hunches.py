"""Precision and recall of the hunches on real homes, beside simple baselines.

    python benchmarks/hunches.py --data DIR [--homes kasteren_a,simulated] [--kinds left,odd,…]
                                 [--detectors dwell,timing] [--methods default,unlimited,baselines]
                                 [--faults 20] [--seed 1] [--json OUT] [--verbose]

Homes are the recordings in DIR, and the simulated family (60 days). The first half of each is learned, the
second half scored by what `inkling backtest` runs: all detectors, default settings. Nuisances are the
hunches on the untouched second half, a home-day. Faults are injected into it one at a time: a state that is
left on, an event at an odd hour, a daily event missed, a sensor gone silent, states in conflict, a number
out of character; how, is said in _home_faults.py and _home_fault_states.py. A hunch about the fault's entity
counts, unless the undisturbed home raises it as well. A cell is the recall and the median delay in minutes
after the fault became abnormal.
"""

# ruff: noqa: E402 - see sys.path below

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

sys.path[0] = str(
    Path(__file__).resolve().parents[1]
)  # this folder would shadow the package of the same name

from agent.assembly import DETECTORS
from agent.pipeline import Pipeline
from agent.suggestions import Suggestion
from benchmarks._home_baselines import baselines
from benchmarks._home_fault_states import conflict, level
from benchmarks._home_faults import Fault, left, missed, odd, silent
from benchmarks._home_pipeline import NAMES, SETTINGS, drive, pipeline, subjects
from benchmarks._home_results import KINDS, Result, means, print_table
from benchmarks._homes import DAY, MINUTE, SIMULATED, Home, recording, simulated_family, whole_minute
from devices.events import StateChange

INJECTORS = {
    "left": left, "odd": odd, "missed": missed, "silent": silent, "conflict": conflict, "level": level
}  # fmt: skip
ON_SIMULATED = ("conflict", "level")  # recordings name no persons, and nearly no numbers
STRIDE = DAY / 2  # from snapshot to snapshot


def run_detectors(home: Home, faults: Sequence[Fault], method: str, detectors: Sequence[str]) -> Result:
    """Run through the home as it was, keeping snapshots; then through the end of each fault's stretch."""
    result = Result(home.name, home.days, NAMES[method])
    pipe = pipeline(home.zone, home.middle - home.start, method, detectors)
    stops = [home.start, home.middle]
    while stops[-1] + STRIDE < home.end:
        stops.append(stops[-1] + STRIDE)
    snapshots: dict[datetime, str] = {}
    undisturbed: set[str] = set()
    for since, until in zip(stops, [*stops[1:], home.end + timedelta(microseconds=1)], strict=True):
        if since >= home.middle:
            snapshots[since] = json.dumps(pipe.to_dict())
        last = until - timedelta(microseconds=1)
        for said in drive(pipe, home.part(since, last), whole_minute(since), last):
            undisturbed.add(said.id)
            when = said.raised_at.astimezone(home.zone)
            result.nuisances.append(f"{when:%a %d %H:%M} {said.detector}: {said.title}")
    for fault in faults:
        since = max(stop for stop in stops if stop <= min(fault.since, fault.heard[0]))
        pipe = pipeline(home.zone, home.middle - home.start, method, detectors)
        pipe.load(json.loads(snapshots[since]))
        said = hearing(pipe, home, fault, since, undisturbed)
        late = None if said is None else (said.raised_at - fault.abnormal_at) / MINUTE
        result.judge(fault, home, late, said.detector if said else "")
    return result


def hearing(
    pipe: Pipeline, home: Home, fault: Fault, since: datetime, undisturbed: set[str]
) -> Suggestion | None:
    """Return the first suggestion that is about a fault."""
    first, until = fault.heard
    for said in drive(pipe, fault.inject(home, since), whole_minute(since), until):
        if first <= said.raised_at <= until and said.id not in undisturbed and fault.about & subjects(said):
            return said
    return None


def microseconds_per_change(home: Home, detectors: Sequence[str]) -> float:
    """Return the CPU time that the detectors add to a replay, in µs a change (no ticks)."""
    part = home.changes[:20_000]
    with_all, with_none = (
        min(replay_seconds(home, part, names) for _ in range(2)) for names in (detectors, ())
    )
    return round((with_all - with_none) / len(part) * 1e6, 2)


def replay_seconds(home: Home, part: Sequence[StateChange], detectors: Sequence[str]) -> float:
    pipe = pipeline(home.zone, home.middle - home.start, "default", detectors)
    started = time.process_time()
    for change in part:
        pipe.step(change)
    return time.process_time() - started


def run_home(home: Home, options: argparse.Namespace) -> list[Result]:
    usual = ON_SIMULATED if home.name == SIMULATED else [k for k in KINDS if k != "conflict"]
    faults: list[Fault] = []
    for kind in options.kinds or usual:
        n = options.faults * (2 if kind == "conflict" else 1)  # the simulated home alone has these
        faults += INJECTORS[kind](home, n, random.Random(f"{options.seed} {home.name} {kind}"))
    results = [run_detectors(home, faults, m, options.detectors) for m in options.methods if m in SETTINGS]
    return [*results, *(baselines(home, faults) if "baselines" in options.methods else ())]


def homes(options: argparse.Namespace) -> Iterator[Home]:
    folder = options.data / "recordings"
    for path in sorted((folder if folder.is_dir() else options.data).glob("*.jsonl.gz")):
        if not options.homes or path.name.split(".")[0] in options.homes:
            yield recording(path)
    if not options.homes or SIMULATED in options.homes:
        yield simulated_family(options.seed)


def report_home(home: Home, results: Sequence[Result], *, verbose: bool) -> None:
    print_table([r.row() for r in results])
    print(f"{home.name:12} eligible: {', '.join(f'{k} {v}' for k, v in home.eligible.items())}\n", flush=True)
    for r in results[:1] if verbose else ():
        heard = [f"{k}: {dict(by)}" for k, by in r.by.items() if by]
        lines = ["false:", *r.nuisances, "missed:", *sorted(r.missed), "heard by:", *heard]
        print("\n".join(f"  {line}" for line in lines), "\n", flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = {"type": lambda text: text.split(","), "metavar": "A,B"}
    parser.add_argument("--data", type=Path, required=True, help="folder of recordings (*.jsonl.gz)")
    parser.add_argument("--homes", **names, help=f"only these; the simulated family is called {SIMULATED}")
    parser.add_argument("--kinds", **names, help=f"of faults: {', '.join(KINDS)}")
    parser.add_argument("--detectors", **names, default=list(DETECTORS), help="only these")
    parser.add_argument("--methods", **names, default=[*SETTINGS, "baselines"], help="default: all three")
    parser.add_argument("--faults", type=int, default=20, help="of each kind, a home")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write everything here")
    parser.add_argument("--verbose", action="store_true", help="list nuisances and missed faults")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    results: list[Result] = []
    eligible, speed = {}, {}
    for home in homes(options):
        of_home = run_home(home, options)
        report_home(home, of_home, verbose=options.verbose)
        results += of_home
        eligible[home.name] = home.eligible
        speed[home.name] = microseconds_per_change(home, options.detectors)
    total = means(results)
    print_table([r.row() for r in total])
    print("µs a change that the detectors take:", speed)
    if options.json:
        body = {"rows": [r.row() for r in [*results, *total]], "eligible": eligible, "us_per_change": speed,
                "detail": [vars(r) for r in results]}  # fmt: skip
        options.json.write_text(json.dumps(body, indent=1))


if __name__ == "__main__":
    main()
