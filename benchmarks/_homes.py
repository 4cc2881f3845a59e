"""Homes to measure hunches on: recordings and the simulated family, cut into stays and local days."""

from __future__ import annotations

import gzip
import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from devices.events import NOT_A_STATE, StateChange
from devices.recording import parse_line
from devices.simulator import simulate
from hunches.priors import kind_of

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DAY_STARTS = 4  # local hour: what somebody does after midnight belongs to the evening
SIMULATED = "simulated"
SIMULATION_START = datetime(2024, 2, 4, 23, tzinfo=UTC)  # a Monday in Berlin

ZONES = {"casas": "America/Los_Angeles", "placelab": "America/New_York", "mavpad": "America/Chicago",
         "kasteren": "Europe/Amsterdam", "ordonez": "Europe/Madrid", "aras": "Europe/Istanbul"}  # fmt: skip


@dataclass(frozen=True)
class Stay:
    """An entity in an active state."""

    entity_id: str
    state: str
    start: datetime
    end: datetime  # the recording's where the state never ended

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


class Home:
    """A recording. Its first half is learned, its second half scored."""

    def __init__(self, name: str, zone: ZoneInfo, changes: Iterable[StateChange]) -> None:
        self.name, self.zone = name, zone
        self.changes = sorted(changes, key=lambda c: c.changed_at)
        self.times = [c.changed_at for c in self.changes]
        self.start, self.end = self.times[0], self.times[-1]
        self.middle = self.start + (self.end - self.start) / 2
        self.stays = sorted(self._stays(), key=lambda s: s.start)
        self.of: dict[str, list[Stay]] = defaultdict(list)
        for stay in self.stays:
            self.of[stay.entity_id].append(stay)
        self.eligible: dict[str, str] = {}  # how many entities can have a fault, by kind

    @property
    def days(self) -> float:
        return (self.end - self.middle) / DAY

    @cached_property
    def by_entity(self) -> dict[str, list[StateChange]]:
        """Return each entity's changes of state, without repeats and outages."""
        found: dict[str, list[StateChange]] = defaultdict(list)
        for c in self.changes:
            of = found[c.entity_id]
            if c.new not in NOT_A_STATE and (not of or of[-1].new != c.new):
                of.append(c)
        return found

    def part(self, since: datetime, until: datetime) -> list[StateChange]:
        """Return the changes of a stretch, `until` included."""
        return self.changes[bisect_left(self.times, since) : bisect_right(self.times, until)]

    def rest_of(self, entity_id: str, state: str) -> str:
        states = (c.new for c in self.by_entity[entity_id])
        return next(s for s in states if s != state)

    def is_in(self, entity_id: str, at: datetime) -> Stay | None:
        """Return the stay that goes on at a moment."""
        return next((s for s in self.of[entity_id] if s.start <= at < s.end), None)

    def local_days(self, since: datetime, until: datetime) -> list[datetime]:
        """Return the starts (04:00 local, as UTC) of the whole days in a stretch that were recorded."""
        first = since.astimezone(self.zone).replace(hour=DAY_STARTS, minute=0, second=0, microsecond=0)
        days = [
            (first.replace(tzinfo=None) + n * DAY).replace(tzinfo=self.zone).astimezone(UTC)
            for n in range((until - since).days + 2)
        ]
        return [d for d in days if since <= d and d + DAY <= until and self.part(d, d + DAY)]

    def _stays(self) -> Iterable[Stay]:
        for of in self.by_entity.values():
            ends = [*(c.changed_at for c in of[1:]), self.end]
            for c, end in zip(of, ends, strict=True):
                if is_active(c):
                    yield Stay(c.entity_id, c.new, c.changed_at, end)


def recording(path: Path) -> Home:
    """Read a gzipped recording."""
    with gzip.open(path, "rb") as lines:
        changes = [c for line in lines if (c := parse_line(line)) is not None]
    zone = next((z for k, z in ZONES.items() if path.name.startswith(k)), "UTC")
    return Home(path.name.split(".")[0], ZoneInfo(zone), changes)


def simulated_family(seed: int, days: int = 60) -> Home:
    """Return the simulated house of four, in which nothing goes wrong."""
    zone = ZoneInfo("Europe/Berlin")
    simulation = simulate("family", start=SIMULATION_START, days=days, seed=seed, zone=zone)
    return Home(SIMULATED, zone, [e.change for e in simulation.events])


def is_active(change: StateChange) -> bool:
    kind = kind_of(change.domain, change.device_class)
    return kind is not None and change.new in kind.active


def quantile(values: Sequence[float], q: float) -> float:
    return sorted(values)[min(len(values) - 1, max(0, math.ceil(q * len(values)) - 1))]


def episodes(starts: Sequence[datetime]) -> list[datetime]:
    """Return activations without those that follow the last one within half an hour."""
    return [
        t for last, t in zip([None, *starts], starts, strict=False) if last is None or t - last > 30 * MINUTE
    ]


def whole_minute(at: datetime) -> datetime:
    """Return the first whole minute that isn't earlier."""
    floor = at.replace(second=0, microsecond=0)
    return floor if floor == at else floor + MINUTE
