"""Nights on which the clocks change, in two zones: no minute is missed, none counted twice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agent.pipeline import Pipeline
from agent.policy import Policy, PolicyConfig
from agent.suggestions import Suggestion
from agent.ticker import Ticker, with_ticks
from devices.context import Calendar, Context
from devices.events import Origin, StateChange, Tick
from devices.state import HomeState
from hunches.detector import Hunch
from tests.agent.toys import LongOn

MINUTE = timedelta(minutes=1)
# zone, the evening before the change, the hours of the day of the change, the hour that is lost or doubled
NIGHTS = [
    ("Europe/Berlin", "2024-03-30", 23, 2),
    ("Europe/Berlin", "2024-10-26", 25, 2),
    ("America/New_York", "2024-03-09", 23, 2),
    ("America/New_York", "2024-11-02", 25, 1),
]


class Watch(LongOn):
    """Notes the time of each tick and the context that came with it."""

    def __init__(self, limit: timedelta) -> None:
        super().__init__(limit)
        self.seen: list[tuple[datetime, datetime]] = []

    def score_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> Iterable[Hunch]:
        if isinstance(event, Tick):
            self.seen.append((event.at, context.local))
        return super().score_one(event, home, context)


def night(zone: ZoneInfo, evening: str, *, on_at: time, **config: Any) -> tuple[Watch, list[Suggestion]]:
    """Live from noon to the noon after next; a lamp is switched on in the night for good."""
    noon = datetime.combine(datetime.fromisoformat(evening).date(), time(12), zone)
    at = datetime.combine(noon.date() + timedelta(days=1), on_at, zone)
    when = (noon, at, noon + timedelta(days=2))
    log = [
        StateChange("light.lamp", state, w.astimezone(ZoneInfo("UTC")), w.astimezone(ZoneInfo("UTC")),
                    origin=Origin.PERSON)
        for state, w in zip(("off", "on", "on"), when, strict=True)
    ]  # fmt: skip
    watch = Watch(timedelta(minutes=10))
    pipeline = Pipeline(Calendar(zone), [watch], Policy(PolicyConfig(per_day=10, **config)))
    outputs = [o for event in with_ticks(log, Ticker(MINUTE)) for o in pipeline.step(event)]
    return watch, [o for o in outputs if isinstance(o, Suggestion)]


@pytest.mark.parametrize(("name", "evening", "hours", "hour"), NIGHTS)
def test_every_minute_ticks_once_and_has_its_local_time(
    name: str, evening: str, hours: int, hour: int
) -> None:
    zone = ZoneInfo(name)
    watch, _ = night(zone, evening, on_at=time(0, 30))
    ticks = [at for at, _ in watch.seen]
    assert {b - a for a, b in pairwise(ticks)} == {MINUTE}
    changed = datetime.fromisoformat(evening).date() + timedelta(days=1)
    day = [local for _, local in watch.seen if local.date() == changed]
    assert len(day) == hours * 60
    # on a day of 23 hours the hour isn't there, on one of 25 it is there twice
    assert sum(local.hour == hour for local in day) == (hours - 23) * 60
    assert all(local.timestamp() == at.timestamp() for at, local in watch.seen)


@pytest.mark.parametrize(("name", "evening", "hours"), [n[:3] for n in NIGHTS])
def test_a_night_hunch_waits_for_seven_in_the_morning_by_the_new_time(
    name: str, evening: str, hours: int
) -> None:
    zone = ZoneInfo(name)
    _, (raised,) = night(zone, evening, on_at=time(0, 30), quiet_hours=(time(22, 30), time(7)))
    local = raised.deliver_at.astimezone(zone)
    assert (local.hour, local.minute, local.utcoffset()) == (7, 0, local.replace(hour=12).utcoffset())
    # on at 00:30, so raised at 00:40: 6:20 before seven on a common night
    assert raised.deliver_at - raised.raised_at == timedelta(hours=6 + hours - 24, minutes=20)


@pytest.mark.parametrize(("name", "evening", "hours", "hour"), NIGHTS)
def test_a_lamp_switched_on_before_the_change_is_on_for_ten_real_minutes(
    name: str, evening: str, hours: int, hour: int
) -> None:
    zone = ZoneInfo(name)
    before = time(hour - 1, 55) if hours == 23 else time(hour, 55)  # the first of two 55 past
    _, (raised,) = night(zone, evening, on_at=before, quiet_hours=None)
    on_at = datetime.combine(datetime.fromisoformat(evening).date() + timedelta(days=1), before, zone)
    assert raised.raised_at - on_at.astimezone(ZoneInfo("UTC")) == timedelta(minutes=10)
    assert raised.deliver_at == raised.raised_at


@pytest.mark.parametrize(("name", "evening", "hour"), [(n[0], n[1], n[3]) for n in NIGHTS])
def test_quiet_hours_that_end_in_the_hour_of_the_change(name: str, evening: str, hour: int) -> None:
    zone = ZoneInfo(name)
    _, (raised,) = night(zone, evening, on_at=time(0, 30), quiet_hours=(time(23), time(hour, 30)))
    assert raised.deliver_at > raised.raised_at
    # raised at 00:40, told at the first half past, or at what stands for it
    assert raised.deliver_at - raised.raised_at == timedelta(hours=hour, minutes=-10)
