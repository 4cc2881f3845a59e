"""The share of false hunches, where it is known which ones are false.

    python benchmarks/fdr.py [--runs 200] [--homes 0] [--seed 1] [--json OUT]

Streams: detectors that make fifty tests a day, honest ones or ones whose p-values are too small, and
anomalies that are planted among them; ten days are learned, sixty judged. Each method sees the same scores.
The oracle knows the true distribution of every detector and all the days at once (Benjamini-Hochberg).
Homes: the simulated family and apartment through the pipeline without its budget, with random faults and
without; with --homes N of each. A hunch is false if no fault of its device is on, or over since an hour.
"""

# ruff: noqa: E402 - see sys.path below

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import expm1, log1p, log10
from pathlib import Path
from random import Random

sys.path[0] = str(Path(__file__).resolve().parents[1])  # benchmarks/hunches.py would shadow the package

from benchmarks._fdr_homes import home_rows
from hunches.calibration import Calibration
from hunches.fdr import LordPlusPlus, Saffron

TESTS = 50  # that a detector makes a day
FLOOR = 2.0
LEARN = 10


@dataclass(frozen=True)
class Scenario:
    """What the detectors are like, and how often something is wrong."""

    name: str
    factors: tuple[float, ...] = (1.0, 1.0, 1.0)  # by which a detector's p-values are too small
    slope: float = 1.0  # the power of p that it claims
    rate: float = 0.1  # anomalies a day
    days: int = 60
    learn: int = LEARN


SCENARIOS = (
    Scenario("honest"),
    Scenario("p 3 times too small", factors=(3.0,) * 3),
    Scenario("p 30 times too small", factors=(30.0,) * 3),
    Scenario("each its own: 1, 5, 30", factors=(1.0, 5.0, 30.0)),
    Scenario("p to the power of 1.5", slope=1.5),
    Scenario("six detectors, 1 to 30", factors=(1.0, 1.0, 3.0, 3.0, 30.0, 30.0)),
    Scenario("an anomaly a month", rate=1 / 30),
    Scenario("a year", rate=1 / 30, days=365),
    Scenario("seven days learned", learn=7, days=30),
    Scenario("no anomalies", rate=0.0),
)


@dataclass(frozen=True, slots=True)
class Found:
    """A detector's largest score of a day."""

    day: int
    detector: int
    claimed: float  # what it says
    p: float  # how often an ordinary day has one like it
    planted: bool


def stream(scenario: Scenario, seed: str) -> list[Found]:
    rng, out = Random(seed), []
    for day in range(scenario.learn + scenario.days):
        wrong = rng.randrange(len(scenario.factors)) if rng.random() < scenario.rate else -1
        anomaly = rng.uniform(4.0, 9.0)
        for detector, factor in enumerate(scenario.factors):
            honest = log10(TESTS) - log10(rng.expovariate(1.0))
            planted = detector == wrong and day >= scenario.learn
            if planted:
                honest = max(honest, anomaly)
            claimed = scenario.slope * honest + log10(factor)
            out.append(Found(day, detector, claimed, -expm1(-TESTS * 10**-honest), planted))
    return out


# -- the methods: each says which of the findings it lets through -------------------------------------


def fixed(threshold: float) -> object:
    return lambda found, _learn: [f.claimed >= threshold for f in found]


def calibrated(per_day: float) -> object:
    def admitted(found: Sequence[Found], _learn: int) -> Iterator[bool]:
        calibration = Calibration(per_day=per_day, floor=FLOOR)
        for f in found:
            calibration.tick(f.day)
            yield calibration.admits(str(f.detector), f.claimed, f.day).admitted
            calibration.learn_one(str(f.detector), f.claimed, f.day)

    return admitted


def on_claims(make: type[LordPlusPlus]) -> object:
    """Online control that takes the detectors at their word."""

    def admitted(found: Sequence[Found], learn: int) -> Iterator[bool]:
        fdr = make(alpha=0.1)
        for f in found:
            yield f.day >= learn and fdr.learn_one(min(1.0, -expm1(TESTS * log1p(-min(0.5, 10**-f.claimed)))))

    return admitted


def oracle(found: Sequence[Found], learn: int) -> list[bool]:
    ps = sorted(f.p for f in found if f.day >= learn)
    bar = max((p for i, p in enumerate(ps, 1) if p <= 0.1 * i / len(ps)), default=-1.0)
    return [f.p <= bar for f in found]


METHODS = {
    "no control: all from 3 on": fixed(3.0),
    "fixed threshold 4": fixed(4.0),
    "fixed threshold 6": fixed(6.0),
    "LORD++ on what is claimed": on_claims(LordPlusPlus),
    "SAFFRON on what is claimed": on_claims(Saffron),
    "calibration, FDR 10%": calibrated(0.0),
    "calibration, 1 in 2 days": calibrated(0.5),
    "oracle (BH, offline)": oracle,
}


def judge(scenario: Scenario, method: str, runs: int, seed: int) -> dict[str, object]:
    false = right = planted = 0
    shares = []
    for run in range(runs):
        found = stream(scenario, f"{seed}/{run}")
        admitted = METHODS[method](found, scenario.learn)
        mine = [f for f, yes in zip(found, admitted, strict=True) if yes and f.day >= scenario.learn]
        wrong = sum(not f.planted for f in mine)
        shares.append(wrong / max(1, len(mine)))
        false, right = false + wrong, right + len(mine) - wrong
        planted += sum(f.planted for f in found)
    return {
        "scenario": scenario.name,
        "method": method,
        "said": false + right,
        "false_share": round(false / max(1, false + right), 3),
        "mean_fdp": round(statistics.mean(shares), 3),
        "recall": round(right / planted, 3) if planted else None,
        "false_per_day": round(false / runs / scenario.days, 4),
    }


def print_row(row: dict[str, object]) -> None:
    recall = "    -" if row["recall"] is None else f"{row['recall']:5.2f}"
    print(
        f"{row['scenario']:26} {row['method']:28} {row['said']:>6} {row['false_share']:>8.3f}"
        f" {row['mean_fdp']:>8.3f} {recall} {row['false_per_day']:>10.4f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=200, help="of each scenario; 0: none")
    parser.add_argument("--homes", type=int, default=0, help="simulated homes of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", help="not needed; `make bench` gives it to all")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(f"{'':26} {'':28} {'said':>6} {'false':>8} {'FDP':>8} recall {'false/day':>9}")
    rows: dict[str, list[dict[str, object]]] = defaultdict(list)
    for scenario in SCENARIOS if options.runs else ():
        for method in METHODS:
            rows["streams"].append(judge(scenario, method, options.runs, options.seed))
            print_row(rows["streams"][-1])
    for row in home_rows(options.homes, options.seed) if options.homes else ():
        rows["homes"].append(row)
        print_row(row)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
