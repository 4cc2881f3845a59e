"""The one place where a clock is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

SMALL_STEP: Final = timedelta(minutes=5)
"""Backward steps up to this are slewed away (time stands still); larger ones are believed."""
_LEAST: Final = timedelta(microseconds=1)


class Clock:
    """Wall time as aware UTC that doesn't run backward in small steps.

    An NTP correction of seconds must not reorder events, and a clock that was wrong by a year must be
    allowed to become right, so a large backward step is taken over, and counted in `jumps`.
    """

    def __init__(self) -> None:
        self._last = datetime.fromtimestamp(0, UTC)
        self._received = self._last
        self.jumps = 0

    def now(self) -> datetime:
        """Return the time now, never before the last answer unless the clock was set back for good."""
        at = self.read()
        if at < self._last:
            if self._last - at <= SMALL_STEP:
                return self._last
            self.jumps += 1
        self._last = at
        return at

    def read(self) -> datetime:
        """Return what the system says."""
        return datetime.now(UTC)

    def receipt(self) -> datetime:
        """Return the time at which something is received now: no two are the same.

        So an entity that changes twice within the clock's resolution has changed twice.
        """
        at = self.now()
        if at <= self._received <= at + SMALL_STEP:
            at = self._received + _LEAST
        self._received = at
        return at


class EventClock:
    """Time that stands at the newest event: for replays over a broker, where messages carry the time."""

    def __init__(self) -> None:
        self._last = datetime.fromtimestamp(0, UTC)
        self.jumps = 0

    def now(self) -> datetime:
        """Return the time of the newest event."""
        return self._last

    def receipt(self) -> datetime:
        """Return the real time, before which all that is replayed happened."""
        return datetime.now(UTC)

    def step(self) -> datetime:
        """Move on by the least step, for what carries no time: two changes are never at one time."""
        self._last += _LEAST
        return self._last

    def advance(self, at: datetime) -> None:
        """Move on to an event's time; never back."""
        self._last = max(self._last, at)
