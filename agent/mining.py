"""Mining the past for routines: in a process of its own, so that pandas never stays in the daemon's memory.

python -m agent.mining < job.json > mined.json
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from agent.database import Access
from agent.errors import InklingError
from agent.requests import Mined, request_from_dict, request_to_dict
from agent.store import Store
from devices.context import Calendar
from devices.events import StateChange, utc
from routines.coverage import covering

TIMEOUT_S: Final = 3600.0
_NICE: Final = 10
_SAID: Final = 2000  # characters of a failed run's last words

Progress = Callable[[str, float], None]


class MiningError(InklingError):
    """A mining run came to nothing."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to mine: a database, the home's place, and how far back."""

    url: str
    until: str  # ISO 8601
    days: int = 180
    time_zone: str = "UTC"
    latitude: float | None = None
    longitude: float | None = None
    include_unknown: bool = False

    @property
    def calendar(self) -> Calendar:
        """The home's clock and sun."""
        return Calendar(ZoneInfo(self.time_zone), self.latitude, self.longitude)


def mine_changes(
    changes: Iterable[StateChange],
    calendar: Calendar,
    at: datetime,
    *,
    include_unknown: bool,
    progress: Progress | None = None,
) -> Mined:
    """Mine changes in this process."""
    from routines.mining import mine  # noqa: PLC0415 - loads what the daemon must not

    found = mine(changes, calendar, include_unknown=include_unknown, progress=progress)
    report = {**asdict(found.accounting), "text": found.accounting.explain()}
    return Mined(at, found.routines, report)


def mine_store(job: Job, progress: Progress | None = None) -> Mined:
    """Mine a database in this process. It is only read."""
    until = utc(job.until)
    with Store.open(job.url, access=Access.READ, create=False) as store:
        newest = (
            store.stats().newest
        )  # a past that was imported, or a daemon that stood still: days with events
        end = until if newest is None else min(until, newest + timedelta(seconds=1))
        changes = store.events(end - timedelta(days=job.days), end)
        return mine_changes(
            changes, job.calendar, until, include_unknown=job.include_unknown, progress=progress
        )


async def mine_in_child(job: Job) -> Mined:
    """Mine a database in a process that ends afterwards. Raises MiningError."""
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "agent.mining",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as err:
        raise MiningError(f"no process to search in: {err}") from err
    try:
        async with asyncio.timeout(TIMEOUT_S):
            said, complaint = await child.communicate(orjson.dumps(asdict(job)))
    except BaseException:
        if child.returncode is None:
            child.kill()
        await child.wait()
        raise
    if child.returncode != 0:
        raise MiningError(
            f"mining ended with {child.returncode}: {complaint.decode(errors='replace')[-_SAID:].strip()}"
        )
    return _mined(said)


def _mined(said: bytes) -> Mined:
    try:
        event = request_from_dict(orjson.loads(said))
    except (KeyError, TypeError, ValueError) as err:
        raise MiningError(f"what mining found can't be read: {err}") from err
    assert isinstance(event, Mined)
    return event


def without_covered(mined: Mined, automations: Iterable[Any]) -> Mined:
    """Note which routines an automation of the home does already."""
    known = list(automations)
    names = {r.id: name for r in mined.routines if (name := covering(r, known)) is not None}
    return replace(mined, covered=names)


class NightlyMiner:
    """Mines a replay each night, as the daemon does: only what lies behind is known.

    Memory: all changes so far. Complexity: that of mining, a night.
    """

    def __init__(self, calendar: Calendar, at: time, *, include_unknown: bool, days: int = 180) -> None:
        self.calendar = calendar
        self.at = at
        self.include_unknown = include_unknown
        self.span = timedelta(days=days)
        self._changes: list[StateChange] = []
        self._done: datetime | None = None  # the night that was mined last

    def heard(self, change: StateChange) -> None:
        """Remember a change."""
        self._changes.append(change)

    def due(self, at: datetime) -> Mined | None:
        """Mine if the time of the night has come."""
        local = at.astimezone(self.calendar.zone)
        night = datetime.combine(local.date(), self.at, local.tzinfo)
        if local < night or self._done == night:
            return None
        first, self._done = self._done is None, night
        if first or not self._changes:
            return None  # a replay that begins by day has no night behind it
        since = at - self.span
        if self._changes[0].changed_at < since:
            self._changes = [c for c in self._changes if c.changed_at >= since]
        return mine_changes(self._changes, self.calendar, at, include_unknown=self.include_unknown)


def main() -> None:
    """Read a job, mine, and write what was found."""
    os.nice(_NICE)
    job = Job(**orjson.loads(sys.stdin.buffer.read()))
    sys.stdout.buffer.write(orjson.dumps(request_to_dict(mine_store(job))))


if __name__ == "__main__":
    main()
