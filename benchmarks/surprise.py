"""Recall of foreign action sequences at fixed false-positive rates, beside simple baselines, in one run.

    python benchmarks/surprise.py --data FILE_OR_DIR [--json OUT] [--verbose] [--seed 1]

FILE is smartguard_an.json.gz, or one of the same form: `train`, `valid`, `test` normal sequences of
[weekday, hour // 3, device, control], and `attacks` of named kinds. Each method learns on train, once, and
scores each sequence on its own, learning nothing. Two protocols:

- threshold from valid (the published one): its 95% quantile; a sequence above it is called foreign. The
  false-positive rate measured with it on test stands beside the recall; F1 counts attacks of a kind against
  all normal test sequences;
- recall at a rate: the threshold is the lowest that leaves at most 1% (0.4%) of the normal TEST sequences
  above it. So test sets and measures this false-positive rate, and a recall says how well two sets of scores
  part, not what a threshold chosen beforehand would give.

Stability: the same learned on either half of train, on train and valid with test cut in two (one half takes
valid's part), and on bootstrap draws of train. --verbose lists the attacks missed at 1% and the normal test
sequences that score highest, with the parts of their score.
"""

# ruff: noqa: E402 - see sys.path below

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])  # benchmarks/hunches.py would shadow the package

from river.anomaly import HalfSpaceTrees

from hunches import ActionSurprise

RATES = (0.01, 0.004)
PUBLISHED = {  # F1 by the first protocol: Xiao et al., KDD 2024
    "SmartGuard": {"SD": 0.997, "MD": 0.983, "DM": 0.994, "DD": 0.995},
    "TransAE": {"SD": 0.991, "MD": 0.756, "DM": 0.745, "DD": 0.682},
    "ARGUS": {"SD": 0.993, "MD": 0.714, "DM": 0.684, "DD": 0.668},
    "isolation forest": {"SD": 0.497, "MD": 0.482, "DM": 0.517, "DD": 0.428},
}

Sequence_ = list[list[int]]  # of [weekday, hour // 3, device, control]
Score = Callable[[Sequence_], float]
Learn = Callable[[list[Sequence_]], Score]


@dataclass(frozen=True)
class Data:
    train: list[Sequence_]
    valid: list[Sequence_]
    test: list[Sequence_]
    attacks: dict[str, list[Sequence_]]


def events(sequence: Sequence_) -> list[tuple[dict[str, Any], Hashable]]:
    """Return a sequence as ActionSurprise takes it."""
    found: list[tuple[dict[str, Any], Hashable]] = []
    history: tuple[Hashable, ...] = ()
    for i, (weekday, slot, device, control) in enumerate(sequence):
        x: dict[str, Any] = {"history": history, "hour": 3 * slot, "weekday": weekday}
        if i:
            x["elapsed_s"] = 10_800 * slots_between(sequence[i - 1], sequence[i])
        found.append((x, (device, control)))
        history = (*history, (device, control))
    return found


def slots_between(a: list[int], b: list[int]) -> int:
    """Return the three-hour slots from a to b, less than a week."""
    return (8 * (b[0] - a[0]) + b[1] - a[1]) % 56


def surprise(train: list[Sequence_]) -> Score:
    model = ActionSurprise()
    for sequence in train:
        for x, y in events(sequence):
            model.learn_one(x, y)
    return lambda sequence: model.score_sequence(events(sequence))


def markov(train: list[Sequence_]) -> Score:
    """Return the mean -log P(control | previous one), add-one smoothed."""
    follows: dict[int, Counter[int]] = defaultdict(Counter)
    for sequence in train:
        for a, b in zip([[0, 0, 0, -1], *sequence], sequence, strict=False):
            follows[a[3]][b[3]] += 1
    kinds = len({b for counts in follows.values() for b in counts}) + 1

    def score(sequence: Sequence_) -> float:
        steps = zip([[0, 0, 0, -1], *sequence], sequence, strict=False)
        costs = [
            -log((follows[a[3]][b[3]] + 1.0) / (follows[a[3]].total() + kinds)) if a[3] in follows
            else log(kinds)
            for a, b in steps
        ]  # fmt: skip
        return sum(costs) / len(costs)

    return score


def counting(train: list[Sequence_]) -> Score:
    """Return -log P(control | previous) - log P(hour | control) - log P(gap | previous), two largest.

    Half a count is added everywhere: of 1, 0.5, 0.1, 0.01 this serves it best.
    """
    tables: list[dict[Hashable, Counter[int]]] = [defaultdict(Counter) for _ in range(3)]
    for sequence in train:
        for table, context, value in _facts(sequence):
            tables[table][context][value] += 1
    kinds = (len({v for c in tables[0].values() for v in c}) + 1, 8, 56)

    def cost(table: int, context: Hashable, value: int) -> float:
        counts = tables[table].get(context, Counter())
        return -log((counts[value] + 0.5) / (counts.total() + 0.5 * kinds[table]))

    def score(sequence: Sequence_) -> float:
        costs = [0.0] * len(sequence)
        for i, fact in enumerate(_facts(sequence)):
            costs[i // 3] += cost(*fact)
        return sum(sorted(costs)[-2:])

    return score


def _facts(sequence: Sequence_) -> list[tuple[int, Hashable, int]]:
    """Return (table, context, value), three an event."""
    facts: list[tuple[int, Hashable, int]] = []
    previous: list[int] | None = None
    for event in sequence:
        before = previous[3] if previous else None
        gap = slots_between(previous, event) if previous else 0
        facts += [(0, before, event[3]), (1, event[3], event[1]), (2, before, gap)]
        previous = event
    return facts


def half_space_trees(train: list[Sequence_]) -> Score:
    """Return the largest score of river's trees, bare, on weekday, hour, device, control, and gap."""
    limits = {"weekday": (0, 7), "hour": (0, 8), "device": (0, 64), "control": (0, 256), "gap": (0, 56)}
    trees = HalfSpaceTrees(n_trees=25, height=10, window_size=250, limits=limits, seed=1)

    def features(sequence: Sequence_) -> list[dict[str, float]]:
        gaps = [0, *(slots_between(a, b) for a, b in pairwise(sequence))]
        return [
            dict(zip(limits, (*event, gap), strict=True)) for event, gap in zip(sequence, gaps, strict=True)
        ]

    for sequence in train:
        for x in features(sequence):
            trees.learn_one(x)
    return lambda sequence: max(trees.score_one(x) for x in features(sequence))


METHODS: dict[str, Learn] = {
    "ActionSurprise": surprise,
    "counting, two largest": counting,
    "Markov, mean": markov,
    "HalfSpaceTrees, bare": half_space_trees,
}


def threshold_at(scores: Sequence[float], rate: float) -> float:
    """Return the lowest threshold with at most that share of the scores above it."""
    return sorted(scores, reverse=True)[int(rate * len(scores))]


def above(scores: Sequence[float], threshold: float) -> float:
    return sum(s > threshold for s in scores) / len(scores)


def evaluate(data: Data, score: Score) -> dict[str, Any]:
    test = [score(s) for s in data.test]
    attacks = {kind: [score(s) for s in found] for kind, found in data.attacks.items()}
    at_valid = threshold_at([score(s) for s in data.valid], 0.05)
    false = sum(s > at_valid for s in test)
    body: dict[str, Any] = {
        "valid_95": {"threshold": at_valid, "false_positive_rate": false / len(test), "recall": {}, "f1": {}},
        "at_rate": {},
    }
    for kind, scores in attacks.items():
        hits = sum(s > at_valid for s in scores)
        body["valid_95"]["recall"][kind] = hits / len(scores)
        body["valid_95"]["f1"][kind] = 2 * hits / (hits + len(scores) + false)
    for rate in RATES:
        limit = threshold_at(test, rate)
        body["at_rate"][str(rate)] = {
            "threshold": limit,
            "false_positives": sum(s > limit for s in test),
            "recall": {kind: above(scores, limit) for kind, scores in attacks.items()},
        }
    return body


def variants(data: Data, seed: int) -> dict[str, Data]:
    """Return other ways to split the same data, to see how far the figures hold."""
    middle, found = len(data.train) // 2, {}
    found["first half of train"] = Data(data.train[:middle], data.valid, data.test, data.attacks)
    found["second half of train"] = Data(data.train[middle:], data.valid, data.test, data.attacks)
    found["learn valid too, first half of test is valid"] = Data(
        data.train + data.valid, data.test[::2], data.test[1::2], data.attacks
    )
    for i in range(2):
        rng = random.Random(seed + i)
        drawn = [rng.choice(data.train) for _ in data.train]
        found[f"bootstrap of train, seed {seed + i}"] = Data(drawn, data.valid, data.test, data.attacks)
    return found


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    widths = [max(len(str(row[i])) for row in (header, *rows)) for i in range(len(header))]
    print(f"\n{title}")
    for row in (header, *rows):
        print("  ".join(str(v).ljust(w) for v, w in zip(row, widths, strict=True)).rstrip())


def print_results(results: dict[str, dict[str, Any]], kinds: Sequence[str]) -> None:
    header = ["method", *kinds, "false on test"]
    rows: list[list[object]] = []
    for name, body in results.items():
        at = body["valid_95"]
        rows.append([name, *(f"{at['f1'][k]:.3f}" for k in kinds), f"{at['false_positive_rate']:.3f}"])
    if set(kinds) == {"SD", "MD", "DM", "DD"}:
        rows += [[f"{n} (published)", *(f"{f[k]:.3f}" for k in kinds), ""] for n, f in PUBLISHED.items()]
    print_table("F1, threshold: 95% quantile of valid", header, rows)
    print_table("recall at that threshold", header, [
        [n, *(f"{at['recall'][k]:.4f}" for k in kinds), f"{at['false_positive_rate']:.3f}"]
        for n, b in results.items() for at in [b["valid_95"]]
    ])  # fmt: skip
    for rate in RATES:
        print_table(f"recall at {rate:.1%} false positives, set and measured on normal test", header, [
            [n, *(f"{at['recall'][k]:.4f}" for k in kinds), at["false_positives"]]
            for n, b in results.items() for at in [b["at_rate"][str(rate)]]
        ])  # fmt: skip


def print_cases(data: Data, body: dict[str, Any], most: int = 10) -> None:
    """Print the missed attacks at the first rate, and the highest normal sequences, with their parts."""
    model = ActionSurprise()
    for sequence in data.train:
        for x, y in events(sequence):
            model.learn_one(x, y)

    def show(title: str, sequence: Sequence_) -> None:
        print(f"\n{title}: {model.score_sequence(events(sequence)):.2f} nats")
        for event, (x, y) in zip(sequence, events(sequence), strict=True):
            parts = ", ".join(f"{k} {v:+.1f}" for k, v in model.explain_one(x, y).items())
            print(f"  {event!s:20} {model.score_one(x, y):5.2f}   {parts}")

    limit = body["at_rate"][str(RATES[0])]["threshold"]
    for kind, found in data.attacks.items():
        missed = [s for s in found if model.score_sequence(events(s)) <= limit]
        print(f"\n{kind}: {len(missed)} of {len(found)} missed at {RATES[0]:.0%}")
        for sequence in missed[:most]:
            show(f"missed {kind}", sequence)
    highest = sorted(data.test, key=lambda s: model.score_sequence(events(s)), reverse=True)
    for sequence in highest[:most]:
        show("normal", sequence)


def read(path: Path) -> Data:
    with gzip.open(path / "smartguard_an.json.gz" if path.is_dir() else path, "rt") as file:
        body = json.load(file)
    return Data(body["train"], body["valid"], body["test"], body["attacks"])


def timed(data: Data) -> dict[str, float]:
    """Return the processor time of learning and of scoring an event, in µs."""
    model, learned = ActionSurprise(), [e for s in data.train for e in events(s)]
    scored = [e for s in data.test for e in events(s)]
    start = time.process_time()
    for x, y in learned:
        model.learn_one(x, y)
    middle = time.process_time()
    for x, y in scored:
        model.score_one(x, y)
    end = time.process_time()
    return {"learn_us": (middle - start) / len(learned) * 1e6, "score_us": (end - middle) / len(scored) * 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="file, or folder of smartguard_an.json.gz")
    parser.add_argument("--json", type=Path, help="write everything here")
    parser.add_argument("--seed", type=int, default=1, help="of the bootstrap draws")
    parser.add_argument("--verbose", action="store_true", help="list missed and false cases")
    options = parser.parse_args()
    data = read(options.data)
    kinds = list(data.attacks)
    results = {name: evaluate(data, learn(data.train)) for name, learn in METHODS.items()}
    print_results(results, kinds)
    stable: dict[str, Any] = {}
    for name, other in variants(data, options.seed).items():
        stable[name] = evaluate(other, surprise(other.train))
    for rate in RATES:
        print_table(f"ActionSurprise, recall at {rate:.1%}, learned otherwise", ["learned on", *kinds], [
            [n, *(f"{b['at_rate'][str(rate)]['recall'][k]:.4f}" for k in kinds)] for n, b in stable.items()
        ])  # fmt: skip
    speed = timed(data)
    print(f"\nan event costs {speed['learn_us']:.0f} µs to learn, {speed['score_us']:.0f} µs to score")
    if options.verbose:
        print_cases(data, results["ActionSurprise"])
    if options.json:
        options.json.write_text(
            json.dumps(
                {"results": results, "stability": stable, "speed": speed, "published": PUBLISHED}, indent=1
            )
        )


if __name__ == "__main__":
    main()
