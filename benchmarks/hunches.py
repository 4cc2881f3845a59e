"""Precision and recall of the hunches on real homes, beside simple baselines.

    python benchmarks/hunches.py --data DIR [--json OUT] [--faults 20] [--seed 1] [--verbose]

For each recording in DIR the first half is learned and the second half scored. Nuisances are the hunches on
the untouched second half, a home-day, without and with the home's budget. Faults are injected into it one at
a time: LEFT holds a state that normally ends within the hour for max(1 h, 5 x its 99th percentile); ODD is
an activation, a minute long, at an hour when the entity never fires.
"""

# ruff: noqa: E402 - see sys.path below

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import statistics
import sys
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path[0] = str(Path(__file__).parents[1])  # this folder would shadow the package of the same name

from agent.pipeline import Pipeline
from agent.policy import Policy, PolicyConfig
from agent.suggestions import Suggestion
from devices.context import Calendar
from devices.events import NOT_A_STATE, StateChange, Tick
from devices.recording import parse_line
from hunches.dwell import Dwell
from hunches.priors import kind_of
from hunches.timing import Timing

MINUTE = timedelta(minutes=1)
UNLIMITED = PolicyConfig(per_day=1e6, burst=1e6)
BUDGETS = {
    "dwell + timing": UNLIMITED,
    "with a budget of 1 in 2 days": PolicyConfig(),
    "with that budget, 3 saved up": PolicyConfig(burst=3.0),
}
MIN_STAYS = 10  # in the first half, for an entity to get LEFT faults
MIN_EPISODES = 15  # the same for ODD faults


@dataclass(frozen=True)
class Stay:
    entity_id: str
    state: str
    start: datetime
    end: datetime  # the recording's where the state never ended

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True)
class Fault:
    kind: str  # "left" or "odd"
    entity_id: str
    state: str
    rest: str
    start: datetime
    end: datetime
    abnormal_at: datetime  # from when a careful neighbour would wonder


@dataclass
class Result:
    home: str
    days: float
    method: str
    nuisances: list[str] = field(default_factory=list)
    left: list[bool] = field(default_factory=list)
    odd: list[bool] = field(default_factory=list)
    delays_min: list[float] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def row(self) -> dict[str, object]:
        return {
            "home": self.home,
            "method": self.method,
            "days": round(self.days, 1),
            "nuisances_per_day": round(len(self.nuisances) / self.days, 3),
            "recall_left": share(self.left),
            "recall_odd": share(self.odd),
            "delay_min": round(statistics.median(self.delays_min), 1) if self.delays_min else None,
            "left": len(self.left),
            "odd": len(self.odd),
        }


def share(hits: Sequence[bool]) -> float | None:
    return round(sum(hits) / len(hits), 3) if hits else None


class Home:
    """A recording, its stays, and the faults to inject into it."""

    def __init__(self, path: Path, zone: ZoneInfo) -> None:
        self.name, self.zone = path.name.split(".")[0], zone
        with gzip.open(path, "rb") as lines:
            self.changes = [c for line in lines if (c := parse_line(line)) is not None]
        self.changes.sort(key=lambda c: c.changed_at)
        self.times = [c.changed_at for c in self.changes]
        self.start, self.end = self.times[0], self.times[-1]
        self.middle = self.start + (self.end - self.start) / 2
        self.stays = sorted(self._stays(), key=lambda s: s.start)
        self.of: dict[str, list[Stay]] = defaultdict(list)
        for stay in self.stays:
            self.of[stay.entity_id].append(stay)

    @property
    def days(self) -> float:
        return (self.end - self.middle) / timedelta(days=1)

    def _stays(self) -> Iterable[Stay]:
        now: dict[str, StateChange] = {}
        for c in self.changes:
            before = now.get(c.entity_id)
            if c.new in NOT_A_STATE or (before is not None and before.new == c.new):
                continue
            if before is not None and is_active(before):
                yield Stay(c.entity_id, before.new, before.changed_at, c.changed_at)
            now[c.entity_id] = c
        for c in now.values():
            if is_active(c):
                yield Stay(c.entity_id, c.new, c.changed_at, self.end)

    def rest_of(self, entity_id: str, state: str) -> str:
        states = [c.new for c in self.changes if c.entity_id == entity_id and c.new not in NOT_A_STATE]
        return next(s for s in states if s != state)

    def left_faults(self, n: int, rng: random.Random) -> list[Fault]:
        eligible = []
        for entity_id, stays in sorted(self.of.items()):
            past = [s.seconds for s in stays if s.end < self.middle]
            if len(past) >= MIN_STAYS and quantile(past, 0.99) <= 3600:
                eligible.append((entity_id, quantile(past, 0.99)))
        faults: list[Fault] = []
        for _ in range(50 * n):
            if not eligible or len(faults) == n:
                break
            entity_id, p99 = rng.choice(eligible)
            held = timedelta(seconds=max(3600.0, 5 * p99))
            begun = [
                s for s in self.of[entity_id] if s.end > s.start >= self.middle and s.start + held < self.end
            ]
            if begun:
                stay = rng.choice(begun)
                faults.append(
                    Fault(
                        "left", entity_id, stay.state, self.rest_of(entity_id, stay.state),
                        stay.start, stay.start + held, stay.start + timedelta(seconds=p99),
                    )
                )  # fmt: skip
        return faults

    def odd_faults(self, n: int, rng: random.Random) -> list[Fault]:
        never: list[tuple[str, list[int]]] = []
        for entity_id, stays in sorted(self.of.items()):
            begun = episodes([s.start for s in stays if s.start < self.middle])
            hours = {t.astimezone(self.zone).hour for t in begun}
            if len(begun) >= MIN_EPISODES and len(hours) < 24:
                never.append((entity_id, sorted(set(range(24)) - hours)))
        faults: list[Fault] = []
        for _ in range(50 * n):
            if not never or len(faults) == n:
                break
            entity_id, hours = rng.choice(never)
            day = self.middle + timedelta(days=rng.randrange(max(1, int(self.days))))
            local = day.astimezone(self.zone).replace(
                hour=rng.choice(hours), minute=0, second=0, microsecond=0
            )
            at = (local + timedelta(seconds=rng.randrange(3540))).astimezone(self.middle.tzinfo)
            if not self.middle < at < self.end - timedelta(hours=1) or self._active(entity_id, at):
                continue
            state = self.of[entity_id][0].state
            faults.append(Fault("odd", entity_id, state, self.rest_of(entity_id, state), at, at + MINUTE, at))
        return faults

    def _active(self, entity_id: str, at: datetime) -> bool:
        return any(s.start - 2 * MINUTE <= at <= s.end + MINUTE for s in self.of[entity_id])

    def with_fault(self, fault: Fault, since: datetime, until: datetime) -> list[StateChange]:
        """Return the changes of a stretch with a fault in it."""
        part = self.changes[bisect_left(self.times, since) : bisect_right(self.times, until)]
        if fault.kind == "left":
            part = [
                c for c in part
                if c.entity_id != fault.entity_id or not fault.start < c.changed_at <= fault.end
            ]  # fmt: skip
        like = next(c for c in self.changes if c.entity_id == fault.entity_id)
        extra = [(fault.end, fault.rest)]
        if fault.kind == "odd":
            extra.append((fault.start, fault.state))
        part += [replace(like, new=state, changed_at=at, received_at=at) for at, state in extra]
        return sorted(part, key=lambda c: c.changed_at)


def is_active(change: StateChange) -> bool:
    kind = kind_of(change.domain, change.device_class)
    return kind is not None and change.new in kind.active


def quantile(values: Sequence[float], q: float) -> float:
    return sorted(values)[min(len(values) - 1, math.ceil(q * len(values)) - 1)]


def episodes(starts: Sequence[datetime]) -> list[datetime]:
    """Return activations without those that follow the last one within half an hour."""
    return [
        t for last, t in zip([None, *starts], starts, strict=False) if last is None or t - last > 30 * MINUTE
    ]


# -- the detectors, through the main path -------------------------------------------------------------


def pipeline(home: Home, config: PolicyConfig) -> Pipeline:
    return Pipeline(Calendar(home.zone), [Dwell(), Timing()], Policy(config))


def drive(
    pipe: Pipeline, changes: Iterable[StateChange], tick: datetime, until: datetime
) -> list[Suggestion]:
    """Step through changes with a tick a minute (`tick` is the first); return the suggestions."""
    out: list[Suggestion] = []
    for c in changes:
        while tick <= c.changed_at:
            out += [o for o in pipe.step(Tick(tick)) if isinstance(o, Suggestion)]
            tick += MINUTE
        out += [o for o in pipe.step(c) if isinstance(o, Suggestion)]
    while tick <= until:
        out += [o for o in pipe.step(Tick(tick)) if isinstance(o, Suggestion)]
        tick += MINUTE
    return out


def run_detectors(home: Home, faults: Sequence[Fault], config: PolicyConfig, method: str) -> Result:
    result = Result(home.name, home.days, method)
    pipe = pipeline(home, config)
    stops = [home.start, home.middle]
    while stops[-1] + timedelta(hours=12) < home.end:
        stops.append(stops[-1] + timedelta(hours=12))
    for since, until in zip(stops, [*stops[1:], home.end], strict=True):
        first_tick = whole_minute(since)
        if since >= home.middle:
            last = until if until == home.end else until - timedelta(microseconds=1)
            snapshot = json.dumps(pipe.to_dict())
            for fault in faults:
                if since <= fault.start < until or (until == home.end and fault.start == until):
                    judge_fault(home, fault, config, snapshot, since, result)
        else:
            last = until - timedelta(microseconds=1)
        part = home.changes[bisect_left(home.times, since) : bisect_right(home.times, last)]
        said = drive(pipe, part, first_tick, last)
        if since >= home.middle:
            result.nuisances += [f"{s.raised_at:%a %d %H:%M} {s.detector}: {s.title}" for s in said]
    return result


def judge_fault(
    home: Home, fault: Fault, config: PolicyConfig, snapshot: str, since: datetime, result: Result
) -> None:
    pipe = pipeline(home, config)
    pipe.load(json.loads(snapshot))
    until = fault.end if fault.kind == "left" else fault.end + 15 * MINUTE
    said = drive(pipe, home.with_fault(fault, since, until), whole_minute(since), until)
    heard = [s for s in said if s.entity_id == fault.entity_id and fault.start <= s.raised_at <= until]
    (result.left if fault.kind == "left" else result.odd).append(bool(heard))
    if not heard:
        result.missed.append(
            f"{fault.kind} {fault.entity_id} {fault.start.astimezone(home.zone):%a %d %H:%M}"
        )
    elif fault.kind == "left":
        result.delays_min.append(max(0.0, (heard[0].raised_at - fault.abnormal_at).total_seconds() / 60))


def whole_minute(at: datetime) -> datetime:
    floor = at.replace(second=0, microsecond=0)
    return floor if floor == at else floor + MINUTE


# -- baselines ----------------------------------------------------------------------------------------


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


BASELINES: dict[str, Rule] = {
    "timers 10 min / 2 h": fixed_timer,
    "past maximum x 2": past_maximum(2.0),
    "past maximum x 3": past_maximum(3.0),
    "z-score of log dwell, 6": z_score(6.0),
}


def run_baseline(home: Home, faults: Sequence[Fault], rule: Rule, method: str) -> Result:
    """A rule for stays; as nothing simpler exists for hours, ODD is "never before at this hour"."""
    result = Result(home.name, home.days, method)
    for entity_id, stays in home.of.items():
        limits = limits_at([s.start for s in stays], stays, entity_id, rule)
        for stay, limit in zip(stays, limits, strict=True):
            passed = limit is not None and stay.start + timedelta(seconds=min(limit, 1e8))
            if passed and home.middle <= passed < stay.end:
                result.nuisances.append(f"{stay.start:%a %d %H:%M} {entity_id} {stay.seconds / 60:.0f} min")
    for fault in faults:
        if fault.kind == "left":
            limit = limits_at([fault.start], home.of[fault.entity_id], fault.entity_id, rule)[0]
            seen = limit is not None and fault.start + timedelta(seconds=min(limit, 1e8)) <= fault.end
            result.left.append(seen)
            if seen and limit is not None:
                late = fault.start + timedelta(seconds=limit) - fault.abnormal_at
                result.delays_min.append(max(0.0, late.total_seconds() / 60))
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


def run_never_at_this_hour(home: Home, faults: Sequence[Fault]) -> Result:
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
            begun = [s.start for s in home.of[fault.entity_id] if s.start < fault.start]
            hours = {t.astimezone(home.zone).hour for t in episodes(begun)}
            result.odd.append(fault.start.astimezone(home.zone).hour not in hours)
    return result


# -- speed --------------------------------------------------------------------------------------------


def microseconds_per_event(home: Home) -> dict[str, float]:
    """Return the CPU time that the two detectors add to a replay, in µs a change (no ticks)."""
    spent = [min(replay_seconds(home, detectors) for _ in range(3)) for detectors in ((), (Dwell, Timing))]
    return {"us_per_change": round((spent[1] - spent[0]) / len(home.changes) * 1e6, 2)}


def replay_seconds(home: Home, detectors: Sequence[type[Dwell | Timing]]) -> float:
    pipe = Pipeline(Calendar(home.zone), [make() for make in detectors], Policy(UNLIMITED))
    part = home.changes[:20_000]
    started = time.process_time()
    for change in part:
        pipe.step(change)
    return (time.process_time() - started) * len(home.changes) / len(part)


# -- report -------------------------------------------------------------------------------------------

ZONES = {"casas": "America/Los_Angeles", "placelab": "America/New_York", "mavpad": "America/Chicago",
         "kasteren": "Europe/Amsterdam", "ordonez": "Europe/Madrid", "aras": "Europe/Istanbul"}  # fmt: skip


def zone_of(path: Path) -> ZoneInfo:
    return ZoneInfo(next((z for k, z in ZONES.items() if path.name.startswith(k)), "UTC"))


def run_home(path: Path, n_faults: int, seed: int) -> tuple[list[Result], dict[str, float]]:
    home = Home(path, zone_of(path))
    rng = random.Random(f"{seed} {home.name}")
    faults = home.left_faults(n_faults, rng) + home.odd_faults(n_faults, rng)
    results = [
        *(
            run_detectors(home, faults, replace(config, warmup=home.middle - home.start), name)
            for name, config in BUDGETS.items()
        ),
        *(run_baseline(home, faults, rule, name) for name, rule in BASELINES.items()),
        run_never_at_this_hour(home, faults),
    ]
    return results, microseconds_per_event(home)


def means(results: Sequence[Result]) -> list[Result]:
    """Return one result a method over all homes: nuisances are averaged over homes, faults pooled."""
    out = []
    for method in dict.fromkeys(r.method for r in results):
        of = [r for r in results if r.method == method]
        rate = statistics.fmean(len(r.nuisances) / r.days for r in of)
        all_of = Result("MEAN", 1000.0, method, [""] * round(rate * 1000))
        for r in of:
            all_of.left += r.left
            all_of.odd += r.odd
            all_of.delays_min += r.delays_min
        out.append(all_of)
    return out


def print_table(rows: Sequence[dict[str, object]]) -> None:
    print(f"{'home':12} {'method':36} {'false/day':>9} {'LEFT':>6} {'ODD':>6} {'delay min':>10}")
    for row in rows:
        cells = [
            "-" if row[k] is None else f"{row[k]:.2f}"
            for k in ("nuisances_per_day", "recall_left", "recall_odd", "delay_min")
        ]
        print(f"{row['home']:12} {row['method']:36} {cells[0]:>9} {cells[1]:>6} {cells[2]:>6} {cells[3]:>10}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of recordings (*.jsonl.gz)")
    parser.add_argument("--json", type=Path, help="write everything here")
    parser.add_argument("--faults", type=int, default=20, help="of each kind, a home")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="list nuisances and missed faults")
    options = parser.parse_args()
    results: list[Result] = []
    speed: dict[str, dict[str, float]] = {}
    for path in sorted(options.data.glob("*.jsonl.gz")):
        of_home, us = run_home(path, options.faults, options.seed)
        results += of_home
        speed[of_home[0].home] = us
        print_table([r.row() for r in of_home])
        print(f"{of_home[0].home:12} {us}\n", flush=True)
        if options.verbose:
            print("\n".join(["  false:", *of_home[0].nuisances, "  missed:", *sorted(of_home[0].missed), ""]))
    total = means(results)
    print_table([r.row() for r in total])
    if options.json:
        body = {"rows": [r.row() for r in [*results, *total]], "speed": speed,
                "detail": [asdict(r) for r in results[:: len(total)]]}  # fmt: skip
        options.json.write_text(json.dumps(body, indent=1))


if __name__ == "__main__":
    main()
