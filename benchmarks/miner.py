"""The miner's speed and memory: a year of a busy home, 100,000 actions by its residents.

    python benchmarks/miner.py [--seed 1] [--days 365] [--support 0.1] [--json OUT]

1. PrefixSpan beside the `prefixspan` package: the same sessions, the same minimum support, closed patterns,
   no gap. Target: 5 times as fast. Both find the same frequent patterns; the package's closed ones may be a
   few more, as some of them aren't (PrefixSpan-py issue 14).
2. The whole path from actions to candidates, of a year and of a quarter, each in a process of its own.
   Targets: a year takes at most 4.5 times a quarter; 400 MB at most.

The home is generated: 60 devices, 20 habits of 2 to 5 steps, the rest by chance at hours of its own. Times
are CPU seconds without imports. Needs the `prefixspan` package; takes a minute or two, mostly the package's.
"""

# ruff: noqa: E402 - see sys.path below

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from importlib import import_module
from math import ceil, log
from pathlib import Path
from random import Random
from time import process_time
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])  # benchmarks/hunches.py would shadow the package

from prefixspan import PrefixSpan as Package

from routines.actions import Action, Item
from routines.candidates import candidates
from routines.links import DAY_S
from routines.prefixspan import PrefixSpan
from routines.sessions import sessions

A_DAY = 274  # actions: 100,000 a year
START = 1_767_571_200.0  # Monday, 5 January 2026
DEVICES = {"light": 36, "switch": 14, "media_player": 5, "cover": 5}
STATES = {"media_player": ("playing", "off"), "cover": ("open", "closed")}
QUARTER = 91


def item(entity: str, *, on: bool) -> Item:
    return Item(entity, STATES.get(entity.partition(".")[0], ("on", "off"))[0 if on else 1])


def busy_home(days: int, seed: int) -> list[Action]:
    rng = Random(seed)
    devices = [f"{domain}.{domain}_{n}" for domain, count in DEVICES.items() for n in range(count)]
    habits = []
    for _ in range(20):
        steps = [
            (item(entity, on=rng.random() < 0.7), rng.choice((20, 40, 90, 300)))
            for entity in rng.sample(devices, rng.choice((2, 3, 3, 4, 5)))
        ]
        weekdays = range(7) if rng.random() < 0.6 else range(5)
        habits.append((rng.uniform(6, 23) * 3600, steps, rng.uniform(0.7, 0.95), weekdays))
    by_habit = sum(len(steps) * share * len(weekdays) / 7 for _, steps, share, weekdays in habits)
    popularity = [rng.paretovariate(1.0) for _ in devices]
    hours = {entity: (rng.uniform(6, 23), rng.uniform(1, 4)) for entity in devices}
    done = []
    for day in range(days):
        midnight = START + day * DAY_S
        for at, steps, share, weekdays in habits:
            if day % 7 in weekdays and rng.random() < share:
                moment = midnight + rng.gauss(at, 900)
                for step, wait in steps:
                    if rng.random() < 0.97:
                        done.append(Action(moment, step))
                    moment += wait * rng.lognormvariate(0, 0.4)
        uses = (A_DAY - by_habit) / 2
        for _ in range(round(rng.gauss(uses, uses**0.5))):
            entity = rng.choices(devices, popularity)[0]
            moment = midnight + rng.gauss(*hours[entity]) % 24 * 3600
            done.append(Action(moment, item(entity, on=True)))
            done.append(Action(moment + rng.lognormvariate(log(600), 1), item(entity, on=False)))
    return sorted(done, key=lambda a: a.at)


def beside_the_package(days: int, seed: int, share: float) -> dict[str, Any]:
    cut = sessions(busy_home(days, seed))
    numbers: dict[Item, int] = {}
    db = [[numbers.setdefault(a.item, len(numbers)) for a in session] for session in cut]
    timed = [[(0.0, number) for number in sequence] for sequence in db]
    least = ceil(share * len(db))

    began = process_time()
    ours = PrefixSpan(least).closed(timed)
    ours_s = process_time() - began
    began = process_time()
    theirs = {tuple(p): n for n, p in Package(db).frequent(least, closed=True)}
    theirs_s = process_time() - began
    began = process_time()
    everything = {tuple(p): n for n, p in Package(db).frequent(least)}
    everything_s = process_time() - began
    return {
        "sessions": len(db),
        "min_support": least,
        "ours_s": ours_s,
        "package_s": theirs_s,
        "package_all_patterns_s": everything_s,
        "times_faster": theirs_s / ours_s,
        "closed": len(ours),
        "package_closed": len(theirs),
        "frequent_equal": PrefixSpan(least).frequent(timed) == everything,
        "closed_in_package": ours.items() <= theirs.items(),
    }


def whole_path(days: int, seed: int) -> dict[str, Any]:
    """In this process: what the nightly child does, from actions on."""
    for module in ("pandas", "mlxtend.frequent_patterns", "mlxtend.preprocessing"):
        import_module(module)  # not timed
    actions = busy_home(days, seed)
    began = process_time()
    found = candidates(sessions(actions))
    return {
        "days": days,
        "actions": len(actions),
        "sessions": found.sessions,
        "candidates": len(found.found),
        "seconds": process_time() - began,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def in_a_child(days: int, seed: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", "--days", str(days), "--seed", str(seed)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def report(days: int, seed: int, share: float) -> dict[str, Any]:
    quarter, year = in_a_child(QUARTER, seed), in_a_child(days, seed)
    speed = beside_the_package(days, seed, share)
    return {
        "package": speed,
        "quarter": quarter,
        "year": year,
        "year_by_quarter": year["seconds"] / quarter["seconds"],
    }


def show(result: dict[str, Any]) -> None:
    speed, year = result["package"], result["year"]
    print(f"{year['actions']:,} actions, {speed['sessions']:,} sessions, min_support {speed['min_support']}")
    print("PrefixSpan, no gap                 seconds   closed patterns")
    print(f"  ours                          {speed['ours_s']:10.2f} {speed['closed']:12,}")
    print(f"  package, closed=True          {speed['package_s']:10.2f} {speed['package_closed']:12,}")
    print(f"  package, all patterns         {speed['package_all_patterns_s']:10.2f}")
    print(f"  times faster: {speed['times_faster']:.1f} (target 5)")
    print(
        f"  same frequent patterns: {speed['frequent_equal']}; "
        f"closed ones among the package's: {speed['closed_in_package']}"
    )
    print("actions to candidates              seconds   peak MB   candidates")
    for name in ("quarter", "year"):
        run = result[name]
        print(f"  {name:30}{run['seconds']:10.2f}{run['peak_mb']:10.0f}{run['candidates']:12,}")
    print(f"  year / quarter: {result['year_by_quarter']:.2f} (target at most 4.5); memory: at most 400 MB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--support", type=float, default=0.1, help="share of sessions, beside the package")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(whole_path(args.days, args.seed)))
        return
    result = report(args.days, args.seed, args.support)
    show(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
