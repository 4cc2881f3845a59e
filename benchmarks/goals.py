"""Latent goals: planted ones in the simulated family home, and those of recorded homes.

    python benchmarks/goals.py [--seeds 20] [--days 60] [--data DIR] [--homes A,B] [--json OUT] [--verbose]

Into the family's life are woven implications, and coincidences: habits at the same hours that know nothing
of each other (`devices/simulated_goals.py`). What `Goals` proposes over the days, one event after the other,
is compared with what was planted; beside it, on the same homes, association rules by confidence and by lift.
A proposal is right if each of its steps follows from its first action by what was planted or by the family's
own habits (`devices/simulated_family.py`), directly or through others of them.
`life` counts apart what is neither planted nor a habit: an order in which the simulated people go about. It
is false in the strict precision; how often they did go on so when it was said is counted, too.

Recordings (`--data`) have no truth: there, and in the simulation, each time that something was said in the
second half, the actions that the resident then did within the horizon are won, the others lost. Recordings
don't say who did what, so unknown origins count as the resident's.
"""

# ruff: noqa: E402 - see sys.path below

from __future__ import annotations

import argparse
import json
import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from time import process_time
from zoneinfo import ZoneInfo

sys.path[0] = str(Path(__file__).resolve().parents[1])  # benchmarks/goals.py would shadow others

from benchmarks._goal_truth import Judge, Pair, rules
from benchmarks._homes import MINUTE, SIMULATION_START, recording, whole_minute
from devices.context import Calendar, OccupancyTracker
from devices.events import StateChange, Tick
from devices.simulated_goals import GoalTruth, Key, plant_goals
from devices.simulator import family, simulate
from devices.state import HomeState
from latent_goals.actions import can_be_first, verb_of
from latent_goals.goal import Goal, Implied, Proposed
from latent_goals.goals import Goals

BERLIN = ZoneInfo("Europe/Berlin")
RECORDINGS = ["placelab_1", "mavpad_1", "kasteren_a"]


@dataclass
class Played:
    """What was said in a home."""

    proposed: list[tuple[datetime, Goal, list[Pair]]] = field(default_factory=list)
    said: list[tuple[datetime, Implied]] = field(default_factory=list)  # each occasion once
    goals: Goals = field(default_factory=Goals)
    seconds: float = 0.0
    worst_s: float = 0.0
    events: int = 0


@dataclass
class Score:
    """Proposals against the truth, and what was said against what was then done."""

    name: str
    right: int = 0
    false: list[str] = field(default_factory=list)
    life: list[str] = field(default_factory=list)
    found: int = 0
    planted: int = 0
    missed: list[str] = field(default_factory=list)
    won: int = 0
    lost: int = 0
    life_won: int = 0
    life_lost: int = 0
    life_ids: set[str] = field(default_factory=set)
    bins: dict[int, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0, 0.0]))

    def row(self) -> dict[str, object]:
        proposals = self.right + len(self.false)
        n = sum(b[0] for b in self.bins.values())
        error = sum(abs(b[1] - b[2]) for b in self.bins.values()) / n if n else None
        return {
            "name": self.name,
            "proposals": proposals + len(self.life),
            "precision": round(self.right / proposals, 3) if proposals else None,
            "precision_strict": round(self.right / (proposals + len(self.life)), 3) if proposals else None,
            "recall": round(self.found / self.planted, 3) if self.planted else None,
            "won": self.won,
            "lost": self.lost,
            "life_won": self.life_won,
            "life_lost": self.life_lost,
            "calibration_error": None if error is None else round(error, 3),
        }

    def add(self, other: Score) -> None:
        for name in ("right", "found", "planted", "won", "lost", "life_won", "life_lost"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("false", "life", "missed"):
            getattr(self, name).extend(getattr(other, name))
        for b, numbers in other.bins.items():
            self.bins[b] = [x + y for x, y in zip(self.bins[b], numbers, strict=True)]


# -- a home, played ----------------------------------------------------------------------------------------


def play(changes: Sequence[StateChange], calendar: Calendar, goals: Goals) -> Played:
    """Step through changes with a tick a minute, as the pipeline does."""
    played, home, occupancy = Played(goals=goals), HomeState(), OccupancyTracker()
    tick = whole_minute(changes[0].changed_at)

    def step(event: StateChange | Tick, at: datetime) -> None:
        context = calendar.context(at, occupancy.occupancy(at, at.astimezone(calendar.zone)))
        begun = process_time()
        found = list(goals.score_one(event, home, context)) if isinstance(event, Tick) or event.trains else []
        goals.learn_one(event, home, context)
        took = process_time() - begun
        played.seconds += took
        played.worst_s = max(played.worst_s, took)
        played.events += isinstance(event, StateChange)
        for one in found:
            if isinstance(one, Proposed):
                played.proposed.append((at, one.goal, goals.serves(one.goal, home)))
            elif isinstance(one, Implied) and one.occasion not in known:
                known.add(one.occasion)
                played.said.append((at, one))

    known: set[str] = set()
    for change in changes:
        while tick <= change.changed_at:
            step(Tick(tick), tick)
            tick += MINUTE
        folded = home.apply(change)
        if folded.old != folded.new:
            occupancy.observe(folded)
            step(folded, folded.received_at)
    for _, goal, pairs in played.proposed:  # a goal may get further beginnings
        now = goals.established.get(goal.id)
        pairs += [pair for pair in (goals.serves(now, home) if now else ()) if pair not in pairs]
    return played


def actions_of(changes: Iterable[StateChange]) -> dict[Key, list[float]]:
    """Return when each action happened, by whomever a resident could be."""
    found: dict[Key, list[float]] = defaultdict(list)
    home, last = HomeState(), dict[str, str]()
    for change in changes:
        folded = home.apply(change)
        verb = verb_of(folded.entity_id, folded.new, folded.attributes)
        if (
            verb is None
            or folded.old is None
            or folded.old == folded.new
            or last.get(folded.entity_id) == verb
        ):
            last[folded.entity_id] = verb or ""
            continue
        last[folded.entity_id] = verb
        if can_be_first(folded.entity_id, folded.attributes) and folded.origin.value not in {
            "automation",
            "agent",
        }:
            found[folded.entity_id, verb].append(folded.received_at.timestamp())
    return found


def settle(score: Score, played: Played, done: dict[Key, list[float]], since: datetime) -> None:
    """Count which of the actions that were spoken of the resident then did."""
    for at, said in played.said:
        if at < since:
            continue
        start = at.timestamp()
        for action in said.actions:
            verb = verb_of(action.entity_id, action.state, action.attributes) or action.state
            times = done.get((action.entity_id, verb), [])
            index = bisect_right(times, start)
            won = index < len(times) and times[index] <= start + said.goal.horizon_s
            score.won += won
            score.lost += not won
            if said.goal.id in score.life_ids:
                score.life_won += won
                score.life_lost += not won
        stated = [s["probability"] for s in said.evidence["steps"]]
        for p, action in zip(stated, said.actions, strict=True):
            verb = verb_of(action.entity_id, action.state, action.attributes) or action.state
            times = done.get((action.entity_id, verb), [])
            index = bisect_right(times, start)
            b = score.bins[min(14, int(p * 15))]
            b[0] += 1.0
            b[1] += p
            b[2] += index < len(times) and times[index] <= start + said.goal.horizon_s


# -- the truth ---------------------------------------------------------------------------------------------


def judge(score: Score, played: Played, truth: GoalTruth) -> None:
    """Compare proposals with the truth."""
    knows, proposed = Judge(truth), set()
    for at, goal, pairs in played.proposed:
        proposed |= set(pairs)
        wrong = [p for p in pairs if not knows.right(p)]
        text = f"{at:%d %b} {goal.title} {[f'{s.pattern.key}' for s in goal.steps]}"
        if not wrong:
            score.right += 1
        elif all(knows.is_life(p) for p in wrong):
            score.life.append(text)
            score.life_ids.add(goal.id)
        else:
            score.false.append(f"{text} wrong: {wrong}")
    found, missed = knows.found(proposed)
    score.found, score.planted = len(found), len(found) + len(missed)
    score.missed += missed


# -- baselines ---------------------------------------------------------------------------------------------


def baseline(score: Score, pairs: set[Pair], truth: GoalTruth) -> None:
    knows = Judge(truth)
    for pair in sorted(pairs):
        if knows.right(pair):
            score.right += 1
        else:
            (score.life if knows.is_life(pair) else score.false).append(str(pair))
    found, missed = knows.found(pairs)
    score.found, score.planted = len(found), len(found) + len(missed)


# -- running -----------------------------------------------------------------------------------------------


def simulated(seed: int, days: int) -> tuple[dict[str, Score], Played]:
    plan = replace(family(), sensors={})  # what they measure is no action, and most of the traffic
    life = simulate(plan, start=SIMULATION_START, days=days, seed=seed, zone=BERLIN).events
    changes, truth = plant_goals([e.change for e in life], seed=seed, zone=BERLIN)
    played = play(changes, Calendar(BERLIN, 52.5, 13.4), Goals())
    done = actions_of(changes)
    scores = {name: Score(name) for name in ("goals", "confidence", "lift")}
    judge(scores["goals"], played, truth)
    settle(scores["goals"], played, done, SIMULATION_START + timedelta(days=days / 2))
    for measure in ("confidence", "lift"):
        baseline(scores[measure], rules(done, days, measure), truth)
    return scores, played


def recorded(path: Path) -> tuple[Score, Played]:
    home = recording(path)
    changes = [c for c in home.changes if not c.entity_id.startswith("sensor.")]
    played = play(changes, Calendar(home.zone), Goals(include_unknown=True))
    score = Score(home.name)
    score.right = len(played.proposed)
    settle(score, played, actions_of(changes), home.middle)
    return score, played


def show(row: dict[str, object], played: Played | None = None) -> None:
    cost = ""
    if played is not None:
        cost = f" {1e6 * played.seconds / played.events:>7.0f} {1e3 * played.worst_s:>7.0f}"
    cells = (f"{'-' if row[k] is None else row[k]!s:>9}" for k in list(row)[1:])
    print(f"{row['name']!s:16}{' '.join(cells)}{cost}", flush=True)


def details(score: Score) -> None:
    for name in ("false", "life", "missed"):
        for line in getattr(score, name):
            print(f"    {name}: {line}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20, help="simulated homes; 0: none")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--data", type=Path, help="folder with recordings (*.jsonl.gz)")
    parser.add_argument("--homes", type=lambda text: text.split(","), default=RECORDINGS, metavar="A,B")
    parser.add_argument("--json", type=Path, help="write everything here")
    parser.add_argument("--verbose", action="store_true", help="list what was false, and what was missed")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    rows: list[dict[str, object]] = []
    totals = {name: Score(name) for name in ("goals", "confidence", "lift")}
    names = ("proposals", "precision", "strict", "recall", "won", "lost", "life won", "lost", "error")
    print(" " * 16 + " ".join(f"{name:>9}" for name in names) + " µs/event  max ms")
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        scores, played = simulated(seed, options.days)
        for name, score in scores.items():
            totals[name].add(score)
        row = scores["goals"].row() | {"name": f"seed {seed}"}
        rows.append(row)
        show(row, played)
        if options.verbose:
            details(scores["goals"])
    for name, total in totals.items() if options.seeds else ():
        rows.append(total.row() | {"name": f"all: {name}"})
        show(rows[-1])
    folder = options.data and (
        options.data / "recordings" if (options.data / "recordings").is_dir() else options.data
    )
    for name in options.homes if folder else ():
        score, played = recorded(folder / f"{name}.jsonl.gz")
        rows.append(score.row() | {"precision": None, "precision_strict": None})
        show(rows[-1], played)
        for at, goal, _ in played.proposed if options.verbose else ():
            print(f"    {at:%d %b} {goal.title}")
    if options.json:
        states = {name: Counter(len(getattr(t, k)) for k in ("false", "life")) for name, t in totals.items()}
        body = {"rows": rows, "counts": {n: dict(c) for n, c in states.items()}}
        options.json.write_text(json.dumps(body, indent=1))


if __name__ == "__main__":
    main()
