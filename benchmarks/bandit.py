"""Who shows unwanted goals how often, and whether off-policy intervals hold what they promise.

    python benchmarks/bandit.py [--runs 20] [--days 150] [--per-day 2] [--delay-h 2] [--evaluations 200]
                                [--seed 1] [--json OUT]

A simulated resident with ten goals: two are wanted, one only in the evening, one until mid-run; six are
not. Each has `per_day` opportunities a day, at random times. A wanted goal is accepted six to nine times in
ten, an unwanted one up to one time in ten. Answers come `delay_h` hours later on average, silence is known
to be none after five times that. Each policy sees the same opportunities and would get the same answers.
Regret is the expected reward given away. A goal is quiet once it was not shown at 20 opportunities in a row.

Off-policy: logs of 200 opportunities, by policies that go on learning; share of runs in which the 95%
interval holds the true value of a cautious and of a bold target policy, and its mean width.
"""

# ruff: noqa: E402 - see sys.path below

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks import _bandit_baselines as baselines
from benchmarks._bandit_evaluation import LOGGERS, TARGETS, coverage
from benchmarks._bandit_home import Step, live, opportunities
from latent_goals.bandit import GoalBandit
from latent_goals.decision import Policy

UNWANTED = tuple(f"unwanted {i}" for i in range(6))
QUIET = 20  # opportunities in a row
Make = Callable[[int], Policy]


def policies() -> dict[str, Make]:
    out: dict[str, Make] = {
        "inkling": lambda _: GoalBandit(),
        "epsilon-greedy (0.1)": lambda _: baselines.EpsilonGreedy(),
        "random": lambda _: baselines.Baseline(),
        "always": lambda _: baselines.Always(),
        "never": lambda _: baselines.Never(),
        "river ThompsonSampling": baselines.RiverThompson,
        "river LinUCBDisjoint": baselines.RiverLinUCB,
    }
    try:
        mab = importlib.import_module("mabwiser.mab")
    except ImportError:
        return out
    return out | {"mabwiser Thompson": lambda seed: baselines.MabWiserThompson(mab, seed)}


def until_quiet(steps: Sequence[Step]) -> int:
    """Return the opportunities before the first `QUIET` in a row without a showing, or all of them."""
    silent = 0
    for i, step in enumerate(steps):
        silent = 0 if step.decision.show else silent + 1
        if silent == QUIET:
            return i + 1 - QUIET
    return len(steps)


def one_run(make: Make, run: int, args: argparse.Namespace) -> dict[str, object]:
    seed = f"{args.seed} {run}"
    moments = opportunities(Random(f"home {seed}"), args.days, args.per_day)
    steps = live(make(args.seed * 1000 + run), moments, Random(f"life {seed}"), args.delay_h)
    unwanted = [[s for s in steps if s.opportunity.goal.name == name] for name in UNWANTED]
    turned = [s for s in steps if s.opportunity.at_h >= s.opportunity.goal.turns_at_h]
    return {
        "shown": [sum(s.decision.show for s in of) for of in unwanted],
        "turned": sum(s.decision.show for s in turned),
        "regret": sum(s.regret for s in steps),
        "quiet": [until_quiet(of) for of in unwanted],
        "turned_quiet": until_quiet(turned),
    }


def summary(runs: list[dict[str, object]]) -> dict[str, float]:
    shown = sorted(n for r in runs for n in r["shown"])
    return {
        "unwanted_mean": statistics.mean(shown),
        "unwanted_p95": shown[min(len(shown) - 1, int(0.95 * len(shown)))],
        "unwanted_max": shown[-1],
        "unwanted_over_8": sum(n > 8 for n in shown) / len(shown),
        "turned_mean": statistics.mean(r["turned"] for r in runs),
        "turned_max": max(r["turned"] for r in runs),
        "turned_over_8": sum(r["turned"] > 8 for r in runs) / len(runs),
        "until_quiet": statistics.median(n for r in runs for n in r["quiet"]),
        "turned_until_quiet": statistics.median(r["turned_quiet"] for r in runs),
        "regret": statistics.mean(r["regret"] for r in runs),
    }


def table(name: str, rows: dict[str, dict[str, float]]) -> None:
    columns = list(next(iter(rows.values())))
    print(f"\n{name:34s}" + "".join(f"{c:>{max(9, len(c) + 2)}s}" for c in columns))
    for row, values in rows.items():
        print(f"{row:34s}" + "".join(f"{values[c]:{max(9, len(c) + 2)}.3g}" for c in columns))


def compare(args: argparse.Namespace) -> dict[str, dict[str, object]]:
    out: dict[str, dict[str, object]] = {}
    for name, make in policies().items():
        runs = [one_run(make, run, args) for run in range(args.runs)]
        out[name] = {**summary(runs), "shown": [r["shown"] for r in runs]}
    for values in out.values():
        values["to_eps_greedy"] = values["regret"] / out["epsilon-greedy (0.1)"]["regret"]
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--days", type=float, default=150.0)
    parser.add_argument("--per-day", type=float, default=2.0, help="opportunities of each goal")
    parser.add_argument("--delay-h", type=float, default=2.0, help="until an answer, on average")
    parser.add_argument("--evaluations", type=int, default=200, help="runs of the off-policy part; 0: none")
    parser.add_argument("--opportunities", type=int, default=200, help="in a log of the off-policy part")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    result: dict[str, object] = {"bandit": compare(args)}
    shown = {k: {c: v for c, v in row.items() if c != "shown"} for k, row in result["bandit"].items()}
    table(f"{args.runs} runs of {args.days:g} days", shown)
    per_goal = [sorted(run, reverse=True) for run in result["bandit"]["inkling"]["shown"]]
    print("inkling, showings of each unwanted goal by run:", *per_goal)
    if "mabwiser Thompson" not in shown:
        print("mabwiser's Thompson: not installed")
    if args.evaluations:
        result["off_policy"] = {
            f"{logger}, {target} target": coverage(
                logger, target, args.evaluations, args.opportunities, args.seed
            )
            for logger in LOGGERS
            for target in TARGETS
        }
        table(f"intervals that held, {args.evaluations} runs", result["off_policy"])
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
