"""Simulated homes for benchmarks/fdr.py: what the detectors find in them, and what of it is a fault."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import log10
from zoneinfo import ZoneInfo

from agent.assembly import DETECTORS
from agent.pipeline import Pipeline
from agent.policy import Policy
from benchmarks._home_pipeline import covers
from devices.context import Calendar, Context
from devices.events import StateChange, Tick
from devices.simulated_faults import FaultTruth, random_faults
from devices.simulated_people import LocalClock
from devices.simulator import HOMES, Simulation, simulate
from devices.state import HomeState
from hunches.calibration import Calibration
from hunches.detector import Detector, Finding, Hunch

ZONE = ZoneInfo("Europe/Berlin")
START = datetime(2024, 2, 4, 23, tzinfo=UTC)  # a Monday in Berlin
MINUTE = timedelta(minutes=1)
CALM = 7  # days that random_faults leaves alone
LEARN, JUDGE = 14, 60  # days
FAULTS = 20
STEPS = (0.5, 1.0, 1.5, 2.0)  # decades above its bar at which a detector that speaks once is asked again

Find = tuple[datetime, int, Hunch]


class Listener:
    """A detector that is heard and never speaks. The pipeline is driven as ever; nobody answers anyway."""

    def __init__(self, detector: Detector, found: list[Find]) -> None:
        self.name = detector.name
        self._detector, self._found = detector, found
        self.learn_one = detector.learn_one

    def score_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> Iterable[Finding]:
        at = event.at if isinstance(event, Tick) else event.received_at
        for finding in self._detector.score_one(event, home, context):
            if isinstance(finding, Hunch):
                self._found.append((at, context.local.toordinal(), finding))
        return ()


def floors() -> dict[str, float]:
    """Return the score from which each detector speaks as it ships."""
    made = [make() for make in DETECTORS.values()]
    return {d.name: -log10(d.p_max) if hasattr(d, "p_max") else d.threshold for d in made}


def found_in(simulation: Simulation) -> list[Find]:
    """Return what the detectors say, and say again when it is rarer still."""
    found: list[Find] = []
    made = [make() for make in DETECTORS.values()]
    for make in DETECTORS.values():
        if "p_max" in inspect.signature(make).parameters:
            made += [make(p_max=make().p_max / 10**step) for step in STEPS]
    pipe = Pipeline(Calendar(ZONE), [Listener(d, found) for d in made], Policy())
    tick = START
    for e in simulation.events:
        while tick <= e.change.received_at:
            pipe.step(Tick(tick))
            tick += MINUTE
        pipe.step(e.change)
    return sorted(found, key=lambda f: (f[0], f[2].detector, f[2].entity_id, f[2].score))


@dataclass
class Home:
    """A simulated home, and what was found in it."""

    name: str
    truth: list[FaultTruth]
    device_of: dict[str, str]
    found: list[Find]

    @classmethod
    def simulated(cls, name: str, seed: int, faults: int) -> Home:
        plan, first = HOMES[name](), START.astimezone(ZONE).date() + timedelta(days=LEARN - CALM)
        planted = random_faults(
            plan, faults, first=first, days=JUDGE + CALM, seed=seed, clock=LocalClock(ZONE)
        )
        done = simulate(plan, start=START, days=LEARN + JUDGE, seed=seed, zone=ZONE, faults=planted)
        truth = [t for t in done.truth.faults.values() if t.started_at is not None]
        return cls(name, truth, {e.entity_id: e.device or e.entity_id for e in plan.entities}, found_in(done))

    def causes(self, at: datetime, hunch: Hunch) -> set[str]:
        """Return the faults that a hunch may be about."""
        device = self.device_of.get(hunch.entity_id)
        return {
            t.fault.id for t in self.truth if self.device_of[t.fault.entity_id] == device and covers(t, at)
        }


def calibrated(per_day: float) -> Callable[[Home], Iterator[Find]]:
    def admitted(home: Home) -> Iterator[Find]:
        calibration = Calibration(per_day=per_day, floors=floors())
        finds, day = home.found, START.astimezone(ZONE).toordinal()
        for find in finds:
            while day < find[1]:
                day += 1
                calibration.tick(day)
            if calibration.admits(find[2].detector, find[2].score, day).admitted:
                yield find
            calibration.learn_one(find[2].detector, find[2].score, day)

    return admitted


def above(decades: float) -> Callable[[Home], Iterable[Find]]:
    bars = {name: floor + decades for name, floor in floors().items()}
    return lambda home: (f for f in home.found if f[2].score >= bars[f[2].detector])


METHODS: dict[str, Callable[[Home], Iterable[Find]]] = {
    "detectors as they ship": lambda home: home.found,
    "fixed: 10 times as rare": above(1.0),
    "calibration, FDR 10%": calibrated(0.0),
    "calibration, 1 in 2 days": calibrated(0.5),
}


def judged(homes: Sequence[Home], name: str, method: str) -> dict[str, object]:
    said = false = 0
    planted = heard = 0
    shares = []
    begin = START + timedelta(days=LEARN)
    for home in homes:
        once: dict[tuple[str, datetime], set[str]] = {}
        for at, _, hunch in METHODS[method](home):
            if at >= begin:  # one stretch of the abnormal is one hunch, whoever speaks of it
                once.setdefault((hunch.entity_id, hunch.abnormal_since), home.causes(at, hunch))
        mine = sum(not causes for causes in once.values())
        said, false = said + len(once), false + mine
        shares.append(mine / max(1, len(once)))
        planted += len(home.truth)
        heard += len(set().union(*once.values()))
    return {
        "scenario": name,
        "method": method,
        "said": said,
        "false_share": round(false / max(1, said), 3),
        "mean_fdp": round(sum(shares) / len(shares), 3),
        "recall": round(heard / planted, 3) if planted else None,
        "false_per_day": round(false / len(homes) / JUDGE, 4),
    }


def home_rows(n: int, seed: int) -> Iterator[dict[str, object]]:
    """Yield a row for each kind of home, with faults and without, and method."""
    for name in HOMES:
        for faults in (FAULTS, 0):
            homes = [Home.simulated(name, seed + i, faults) for i in range(n)]
            for method in METHODS:
                yield judged(homes, f"{name}, {faults} faults", method)
