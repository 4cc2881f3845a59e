"""What the homes are run through: the pipeline of `inkling backtest`, with a tick a minute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from agent.assembly import build_pipeline
from agent.pipeline import Pipeline
from agent.settings import Settings
from agent.suggestions import Kind, Output, Suggestion
from benchmarks._homes import DAY, HOUR, MINUTE
from devices.events import StateChange, Tick
from devices.simulated_faults import FaultTruth

SETTINGS = {"default": {}, "unlimited": {"per_day": 1e6, "burst": 1e6}}
NAMES = {"default": "default settings", "unlimited": "without a budget"}


def pipeline(zone: ZoneInfo, warmup: timedelta, method: str, detectors: Sequence[str]) -> Pipeline:
    """Return what `inkling backtest` runs, but for the detectors that are left out."""
    settings = Settings(home={"time_zone": zone.key}, warmup_days=warmup / DAY, hunches=SETTINGS[method])
    pipe = build_pipeline(settings)
    pipe.detectors = [d for d in pipe.detectors if d.name in detectors]
    return pipe


def drive(
    pipe: Pipeline, changes: Iterable[StateChange], tick: datetime, until: datetime
) -> Iterator[Suggestion]:
    """Step through changes with a tick a minute (`tick` is the first); yield the hunches."""
    for c in changes:
        while tick <= c.changed_at:
            yield from hunches(pipe.step(Tick(tick)))
            tick += MINUTE
        yield from hunches(pipe.step(c))
    while tick <= until:
        yield from hunches(pipe.step(Tick(tick)))
        tick += MINUTE


def hunches(outputs: Iterable[Output]) -> Iterator[Suggestion]:
    """Yield the hunches: what goals offer is no alarm, and measured elsewhere."""
    return (o for o in outputs if isinstance(o, Suggestion) and o.kind is Kind.HUNCH)


def covers(truth: FaultTruth, at: datetime) -> bool:
    """Whether a planted fault is on, or over since an hour at most."""
    started, ended = truth.started_at, truth.ended_at
    return started is not None and started <= at and (ended is None or at <= ended + HOUR)


def subjects(suggestion: Suggestion) -> set[str]:
    """Return the entities that a suggestion is about: one, or a group."""
    group = suggestion.evidence.get("group", ())
    members = {m if isinstance(m, str) else str(m.get("entity_id")) for m in group}
    return {suggestion.entity_id, *(a.entity_id for a in suggestion.actions)} | members
