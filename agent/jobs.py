"""What is done again and again: at intervals, and at an hour of the night."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, time, tzinfo

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from agent.errors import StoreError

log = structlog.get_logger()


class Jobs:
    """Runs jobs in the event loop, never one twice at a time; what was missed is made up for once."""

    def __init__(self, zone: tzinfo) -> None:
        self._scheduler = AsyncIOScheduler(timezone=zone)
        self._failing: set[str] = set()  # jobs that can't write now

    def every(self, seconds: float, job: Callable[[], None], since: datetime | None = None) -> None:
        """Run a job at multiples of an interval, counted from `since` where it is given."""
        self._scheduler.add_job(
            self._guarded(job),
            "interval",
            seconds=seconds,
            start_date=since,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )

    def nightly(self, at: time, zone: tzinfo, job: Callable[[], Awaitable[None]]) -> None:
        """Run a job once a day; a busy moment must not cost a night."""
        self._scheduler.add_job(
            job, "cron", hour=at.hour, minute=at.minute, timezone=zone, misfire_grace_time=3600
        )

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    async def stop(self) -> None:
        """End; a job that has just begun ends, rather than being cancelled."""
        self._scheduler.pause()
        await asyncio.sleep(0.01)
        self._scheduler.shutdown(wait=False)

    def _guarded(self, job: Callable[[], None]) -> Callable[[], Awaitable[None]]:
        """A database that can't be written now must not end a job for good."""

        def run() -> None:
            try:
                job()
            except StoreError as err:
                if job.__name__ not in self._failing:  # once an outage
                    self._failing.add(job.__name__)
                    log.warning("can't write", job=job.__name__.strip("_"), why=err.message, hint=err.hint)
            else:
                self._failing.discard(job.__name__)

        # APScheduler runs plain functions in a thread pool; a coroutine function stays in the loop
        async def in_loop() -> None:
            run()

        return in_loop
