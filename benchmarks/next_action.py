"""How well the next action is predicted, beside popularity, the last action, and a plain counting blend.

    python benchmarks/next_action.py --data DIR [--json OUT] [--only homes,streams,contexts]

- homes (DIR/recordings): predict, then learn, from the first action on; with the pause before the action
  known or not. An action is (entity, state). kasteren_a without "toilet flush off"; mavpad_1's lights, with
  the last motion as context; aras_a and casas are their first 4,000 changes. "2nd half" is of the targets;
- streams (smartthings_streams.json.gz): each user predicted from the first event on; cold, or after fit on
  the other four fifths of the users. Polls are learned but aren't targets; "among actions" leaves them out of
  the ranking, too;
- contexts (smartgen_fr_train.json.gz): learned on one context's trn, scored on the tenth event of the
  sequences of each context's vld, without learning them. Windows overlap between trn and vld and between
  contexts, and some end in an event that they hold already.

@k: share of targets among the k likeliest (of equals none is counted as ahead). ece: mean distance between
confidence and accuracy in 15 bins of confidence; "by chance" is what it would be on so many targets if each
confidence were right. Most of the streams' events are polls, so the likeliest is rightly a poll, and its
confidence says little of targets: "of all" has the polls as targets, too; "among actions" is of the
likeliest that isn't a poll, by its share of all that aren't. sure: largest share of targets such that the
most confident ones are right 8.5 times for each time they are wrong. ms: processor time to predict and
learn an event.
"""

# ruff: noqa: E402 - see sys.path below

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from math import pi, sqrt
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parent)  # benchmarks/hunches.py would shadow the package
sys.path.insert(1, str(HERE))

from _next_action_baselines import BASELINES, Model
from _next_action_data import HOMES, Event, contexts, is_poll, streams

from latent_goals import NextAction

NEVER = 10**6  # rank of what isn't predicted at all
BINS = 15
WINS = 8.5 / 9.5
FOLDS = 5
Sure = tuple[float, bool]  # confidence in the likeliest, whether it was the one
METHODS: dict[str, Callable[[], Model]] = {**BASELINES, "NextAction": NextAction}


@dataclass
class Tally:
    """Ranks of the targets, and how sure the model was."""

    ranks: list[int] = field(default_factory=list)
    among_actions: list[int] = field(default_factory=list)
    sure: list[Sure] = field(default_factory=list)
    sure_of_all: list[Sure] = field(default_factory=list)
    sure_of_actions: list[Sure] = field(default_factory=list)
    seconds: float = 0.0
    events: int = 0

    def add(self, p: dict[Hashable, float], y: Hashable, *, polls: bool = True) -> None:
        self._weigh(p, y)
        if is_poll(y) and not polls:
            return
        chance = p.get(y)
        ahead = [a for a, q in p.items() if chance is not None and q > chance]
        self.ranks.append(len(ahead) if chance is not None else NEVER)
        self.among_actions.append(sum(not is_poll(a) for a in ahead) if chance is not None else NEVER)
        self.sure.append(self.sure_of_all[-1])

    def _weigh(self, p: dict[Hashable, float], y: Hashable) -> None:
        self.sure_of_all.append((max(p.values(), default=0.0), y in p and p[y] == max(p.values())))
        actions = {a: q for a, q in p.items() if not is_poll(a)}
        if not is_poll(y):
            best = max(actions.values(), default=0.0)
            self.sure_of_actions.append((best / (sum(actions.values()) or 1.0), actions.get(y) == best))

    def at(self, k: int, part: slice = slice(None)) -> float:
        return _at(self.ranks[part], k)

    def figures(self) -> dict[str, float]:
        half = len(self.ranks) // 2
        found = {f"@{k}": self.at(k) for k in (1, 3, 5)}
        found |= {"@1 of halves": self.at(1, slice(half)), "@1 of 2nd half": self.at(1, slice(half, None))}
        found |= {
            "@1 among actions": _at(self.among_actions, 1),
            "@3 among actions": _at(self.among_actions, 3),
        }
        found |= {"ece": _error(self.sure), "ece by chance": _error_by_chance(self.sure)}
        found |= {"ece of all": _error(self.sure_of_all), "ece among actions": _error(self.sure_of_actions)}
        return found | {"sure": self.coverage(), "ms": self.milliseconds()}

    def coverage(self) -> float:
        """Return the share of targets that can be predicted at 8.5 wins a loss."""
        wins = most = 0
        for n, (_, right) in enumerate(sorted(self.sure, key=lambda s: -s[0]), 1):
            wins += right
            most = n if wins >= WINS * n else most
        return most / len(self.sure)

    def milliseconds(self) -> float:
        return 1000.0 * self.seconds / max(self.events, 1)


def follow(model: Model, events: Sequence[Event], tally: Tally, *, polls: bool = True) -> None:
    """Predict each event, then learn it."""
    start = time.process_time()
    predicted = []
    for x, y in events:
        predicted.append(model.predict_proba_one(x))
        model.learn_one(x, y)
    tally.seconds += time.process_time() - start
    tally.events += len(events)
    for p, (_, y) in zip(predicted, events, strict=True):
        tally.add(p, y, polls=polls)


def homes(folder: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for spec in HOMES:
        for pauses in (False, True):
            events = spec.events(folder, pauses=pauses)
            title = f"{spec.name}, pause {'known' if pauses else 'unknown'}, {len(events)} actions"
            found[title] = {}
            for name, make in METHODS.items():
                tally = Tally()
                follow(make(), events, tally)
                found[title][name] = tally.figures()
            columns = ["@1", "@5", "@1 of halves", "@1 of 2nd half", "ece", "ece by chance", "sure", "ms"]
            show(title, found[title], columns)
    return found


def users(folder: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    everyone = streams(folder)
    for title, prior in (("SmartThings users, cold", False), ("SmartThings users, with prior", True)):
        found[title] = {}
        for name, make in METHODS.items():
            tally = Tally()
            for fold in range(FOLDS):
                others = [s for i, s in enumerate(everyone) if i % FOLDS != fold]
                fitted = make()
                if prior:
                    fitted.fit(others)
                for events in everyone[fold::FOLDS]:
                    follow(newcomer(make, fitted), events, tally, polls=False)
            found[title][name] = tally.figures()
        show(title, found[title], ["@1", "@3", "@1 among actions", "@3 among actions", "ece", "sure", "ms"])
        show("confidence", found[title], ["ece", "ece of all", "ece among actions", "ece by chance"])
    return found


def newcomer(make: Callable[[], Model], fitted: Any) -> Model:
    """Return a home that knows others only."""
    if isinstance(fitted, NextAction):
        return fitted.newcomer()
    model: Any = make()
    model.others = fitted.others
    return model


def shifts(folder: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    cells = contexts(folder)
    methods: dict[str, Callable[[], Any]] = METHODS
    everywhere: dict[str, Tally] = {}
    for name in ("frequency in the sequence", *methods):
        rows: dict[str, Any] = {}
        everywhere[name] = Tally()
        for learned, parts in cells.items():
            model = methods[name]() if name in methods else None
            for events in parts["trn"] if model else ():
                for x, y in events:
                    model.learn_one(x, y)
            for scored, other in cells.items():
                tally = Tally()
                for *_, (x, y) in other["vld"]:
                    p = model.predict_proba_one(x) if model else frequency(x["history"])
                    tally.add(p, y)
                    everywhere[name].add(p, y)
                rows[f"{learned} > {scored}"] = tally.figures()
        for cell, figures in rows.items():
            found.setdefault(cell, {})[name] = figures
    mean = {name: _mean([rows[name] for rows in found.values()]) for name in next(iter(found.values()))}
    for cell, figures in found.items():
        show(f"SmartGen, {cell}", figures, ["@1", "@5"])
    show("SmartGen, mean of the nine", mean, ["@1", "@5", "ece", "ece by chance"])
    pooled = {name: tally.figures() for name, tally in everywhere.items()}
    show("SmartGen, all sequences of the nine", pooled, ["@1", "@5", "ece", "ece by chance"])
    return {**found, "mean": mean, "all": pooled}


def frequency(history: Sequence[Hashable]) -> dict[Hashable, float]:
    """Return the share of each action in a sequence, of equals a little more for the latest."""
    counts = {
        a: history.count(a) + 1e-3 * max(i for i, b in enumerate(history) if b == a) for a in set(history)
    }
    total = sum(counts.values())
    return {action: count / total for action, count in counts.items()}


def _at(ranks: Sequence[int], k: int) -> float:
    return sum(rank < k for rank in ranks) / max(len(ranks), 1)


def _error(sure: Sequence[Sure]) -> float:
    """Return the expected calibration error."""
    off = [0.0] * BINS
    for confidence, right in sure:
        off[min(BINS - 1, int(confidence * BINS))] += confidence - right
    return sum(map(abs, off)) / max(len(sure), 1)


def _error_by_chance(sure: Sequence[Sure]) -> float:
    """Return what the error would be by chance if each confidence were right: mean of |N(0, Σ c (1 - c))|."""
    variances = [0.0] * BINS
    for confidence, _ in sure:
        variances[min(BINS - 1, int(confidence * BINS))] += confidence * (1.0 - confidence)
    return sum(sqrt(2.0 / pi * v) for v in variances) / max(len(sure), 1)


def _mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}


def show(title: str, rows: dict[str, dict[str, float]], columns: Iterable[str]) -> None:
    columns = list(columns)
    print(f"\n{title}\n{'':28}" + "".join(f"{c:>18}" for c in columns))
    for name, figures in rows.items():
        print(f"{name:28}" + "".join(f"{figures[c]:18.3f}" for c in columns), flush=True)


PARTS = {"homes": homes, "streams": users, "contexts": shifts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data")
    parser.add_argument("--json", type=Path, help="write everything here")
    parser.add_argument("--only", default=",".join(PARTS), help="parts to run")
    options = parser.parse_args()
    found = {part: PARTS[part](options.data) for part in options.only.split(",")}
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
