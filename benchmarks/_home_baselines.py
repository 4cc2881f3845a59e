"""What is simpler than a detector: timers, past maxima, z-scores, half-space trees, hours never seen."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from river.anomaly import HalfSpaceTrees

from benchmarks._home_faults import MIN_EPISODES, Fault
from benchmarks._home_results import Result
from benchmarks._homes import MINUTE, Home, Stay, episodes, quantile
from devices.events import StateChange


@dataclass
class Past:
    """Running numbers of an entity's stays."""

    n: int = 0
    longest: float = 0.0
    logs: float = 0.0
    squares: float = 0.0

    def add(self, seconds: float) -> None:
        log = math.log(max(1.0, seconds))
        self.n, self.longest = self.n + 1, max(self.longest, seconds)
        self.logs, self.squares = self.logs + log, self.squares + log * log


Rule = Callable[[str, Past], float | None]  # -> limit in seconds


def fixed_timer(entity_id: str, _past: Past) -> float:
    return 7200.0 if entity_id.startswith(("light.", "switch.", "media_player.")) else 600.0


def past_maximum(factor: float) -> Rule:
    return lambda _entity_id, past: factor * past.longest if past.n else None


def z_score(z: float) -> Rule:
    def limit(_entity_id: str, past: Past) -> float | None:
        if past.n < 3:
            return None
        mean = past.logs / past.n
        deviation = math.sqrt(max(0.01, (past.squares - past.n * mean * mean) / (past.n - 1)))
        return math.exp(min(50.0, mean + z * deviation))

    return limit


RULES: dict[str, Rule] = {
    "timers 10 min / 2 h": fixed_timer,
    "past maximum x 2": past_maximum(2.0),
    "past maximum x 3": past_maximum(3.0),
    "z-score of log dwell, 6": z_score(6.0),
}


def baselines(home: Home, faults: Sequence[Fault]) -> Iterable[Result]:
    """Yield one result a baseline. Kinds of faults that a baseline doesn't concern are left out."""
    for method, rule in RULES.items():
        yield dwell_rule(home, faults, rule, method)
    yield never_at_this_hour(home, faults)
    yield half_space_trees(home, faults)


def dwell_rule(home: Home, faults: Sequence[Fault], rule: Rule, method: str) -> Result:
    result = Result(home.name, home.days, method)
    for entity_id, stays in home.of.items():
        limits = limits_at([s.start for s in stays], stays, entity_id, rule)
        for stay, limit in zip(stays, limits, strict=True):
            passed = limit is not None and stay.start + timedelta(seconds=min(limit, 1e8))
            if passed and home.middle <= passed < stay.end:
                result.nuisances.append(f"{stay.start:%a %d %H:%M} {entity_id} {stay.seconds / 60:.0f} min")
    for fault in faults:
        if fault.kind in {"left", "conflict"}:
            limit = limits_at([fault.since], home.of[fault.entity_id], fault.entity_id, rule)[0]
            due = fault.since + timedelta(seconds=min(1e8 if limit is None else limit, 1e8))
            late = (due - fault.abnormal_at) / MINUTE
            result.judge(fault, home, late if due <= fault.heard[1] else None)
    return result


def limits_at(
    times: Sequence[datetime], stays: Sequence[Stay], entity_id: str, rule: Rule
) -> list[float | None]:
    """Return a rule's limit for stays that begin at these (ascending) times, from what had ended by then."""
    out, past, i = [], Past(), 0
    by_end = sorted(stays, key=lambda s: s.end)
    for at in times:
        while i < len(by_end) and by_end[i].end <= at:
            past.add(by_end[i].seconds)
            i += 1
        out.append(rule(entity_id, past))
    return out


def never_at_this_hour(home: Home, faults: Sequence[Fault]) -> Result:
    result = Result(home.name, home.days, "hour never seen before")
    for entity_id, stays in home.of.items():
        begun = episodes([s.start for s in stays])
        seen: set[int] = set()
        for i, at in enumerate(begun):
            hour = at.astimezone(home.zone).hour
            if at >= home.middle and i >= MIN_EPISODES and hour not in seen:
                result.nuisances.append(f"{at:%a %d %H:%M} {entity_id}")
            seen.add(hour)
    for fault in faults:
        if fault.kind == "odd":
            begun = [s.start for s in home.of[fault.entity_id] if s.start < fault.since]
            hours = {t.astimezone(home.zone).hour for t in episodes(begun)}
            new = fault.since.astimezone(home.zone).hour not in hours
            result.judge(fault, home, 0.0 if new else None)
    return result


class Scorer:
    """River's half-space trees as they come, over every event: its hour, its entity, and the last dwell."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.codes = {e: i / len(home.by_entity) for i, e in enumerate(sorted(home.by_entity))}
        self.trees = HalfSpaceTrees(seed=1)  # limits 0 to 1, 10 trees, height 8, window 250
        self.at: dict[str, datetime] = {}

    def features(self, change: StateChange, *, dwell_s: float | None = None) -> dict[str, float]:
        if dwell_s is None:
            last = self.at.get(change.entity_id, change.changed_at)
            dwell_s = (change.changed_at - last).total_seconds()
        local = change.changed_at.astimezone(self.home.zone)
        return {
            "hour": (local.hour + local.minute / 60) / 24,
            "entity": self.codes[change.entity_id],
            "dwell": min(1.0, math.log1p(max(0.0, dwell_s)) / math.log(7 * 86400)),
        }

    def learn(self, change: StateChange) -> float:
        """Score, then learn."""
        x = self.features(change)
        score = self.trees.score_one(x)
        self.trees.learn_one(x)
        self.at[change.entity_id] = change.changed_at
        return float(score)


def half_space_trees(home: Home, faults: Sequence[Fault]) -> Result:
    """Threshold: the 99.9% quantile of the learning half. One alarm an entity and hour counts.

    A forgotten state is judged when it ends, as an event is all that the trees see.
    """
    result = Result(home.name, home.days, "half-space trees")
    scorer, changes = (
        Scorer(home),
        sorted((c for of in home.by_entity.values() for c in of), key=lambda c: c.changed_at),
    )
    past = [scorer.learn(c) for c in changes if c.changed_at < home.middle]
    limit = quantile(past, 0.999)
    waiting = sorted((f for f in faults if f.kind in {"left", "odd"}), key=lambda f: f.since)
    alarmed: dict[str, datetime] = defaultdict(lambda: home.start)
    for c in changes[len(past) :]:
        while waiting and waiting[0].since < c.changed_at:
            judge_by_trees(scorer, waiting.pop(0), limit, result)
        if scorer.learn(c) > limit and c.changed_at - alarmed[c.entity_id] > timedelta(hours=1):
            alarmed[c.entity_id] = c.changed_at
            result.nuisances.append(f"{c.changed_at:%a %d %H:%M} {c.entity_id}")
    return result


def judge_by_trees(scorer: Scorer, fault: Fault, limit: float, result: Result) -> None:
    like = scorer.home.by_entity[fault.entity_id][0]
    at, state = fault.said[0]
    change = StateChange(fault.entity_id, state, at, at, attributes=like.attributes)
    held = (at - fault.since).total_seconds() if fault.kind == "left" else None
    score = scorer.trees.score_one(scorer.features(change, dwell_s=held))
    late = (at - fault.abnormal_at) / MINUTE
    result.judge(fault, scorer.home, late if score > limit else None)
