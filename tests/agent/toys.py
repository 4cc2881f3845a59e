"""A detector simple enough to check by hand: a state that has lasted longer than `limit` is a hunch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from agent.pipeline import Pipeline
from agent.policy import Policy, PolicyConfig
from devices.context import Calendar, Context
from devices.events import Origin, StateChange, Tick, utc
from devices.state import HomeState
from hunches.detector import Hunch

T0 = datetime(2024, 5, 6, 10, 0, tzinfo=UTC)  # a Monday


class LongOn:
    """Raises a hunch when an entity has been on for `limit`; counts what it learned."""

    name = "long_on"

    def __init__(self, limit: timedelta = timedelta(minutes=10)) -> None:
        self.limit = limit
        self.since: dict[str, datetime] = {}
        self.learned = 0

    def score_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> Iterable[Hunch]:
        if isinstance(event, StateChange):
            return
        for entity_id, since in self.since.items():
            if event.at - since >= self.limit:
                yield hunch(entity_id, since)

    def learn_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> None:
        if isinstance(event, StateChange):
            self.learned += event.trains
            self.since.pop(event.entity_id, None)
            if event.new == "on":
                self.since[event.entity_id] = event.changed_at

    def forget(self, entity_id: str) -> None:
        self.since.pop(entity_id, None)

    def rename(self, old: str, new: str) -> None:
        if (since := self.since.pop(old, None)) is not None:
            self.since[new] = since

    def to_dict(self) -> dict[str, Any]:
        return {"since": {k: v.isoformat() for k, v in self.since.items()}, "learned": self.learned}

    def load(self, data: Mapping[str, Any]) -> None:
        self.since = {k: utc(v) for k, v in data["since"].items()}
        self.learned = data["learned"]


def hunch(entity_id: str, since: datetime, score: float = 4.0) -> Hunch:
    return Hunch(
        detector="long_on",
        entity_id=entity_id,
        context_key="any",
        score=score,
        threshold=3.0,
        title=f"{entity_id} is still on",
        evidence={"n": 1},
        raised_for="on",
        abnormal_since=since,
        lasts=timedelta(hours=6),
        remedy="off",
        group=entity_id,  # each its own message
    )


def pipeline(**config: Any) -> Pipeline:
    settings = {"per_day": 1000.0, "burst": 1000.0, "quiet_hours": None, **config}
    return Pipeline(Calendar(ZoneInfo("UTC")), [LongOn()], Policy(PolicyConfig(**settings)))


def change(entity_id: str, new: str, minutes: float, **more: Any) -> StateChange:
    at = T0 + timedelta(minutes=minutes)
    return StateChange(entity_id, new, at, at, **{"origin": Origin.PHYSICAL, **more})


def tick(minutes: float) -> Tick:
    return Tick(T0 + timedelta(minutes=minutes))
