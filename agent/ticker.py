"""Ticks as a pure function of the times of events, so that a replay ticks exactly as the daemon did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeVar

from devices.events import Tick

EPOCH: Final = datetime.fromtimestamp(0, UTC)


class Timed(Protocol):
    """Anything that happened at a time at which it was received."""

    @property
    def received_at(self) -> datetime: ...  # noqa: D102


T = TypeVar("T", bound=Timed)


class Ticker:
    """Gives a tick for every multiple of `every` (since the epoch) that time passes.

    `max_gap`: a longer silence is an outage, a suspended machine or a corrected clock: nothing was observed
    in it, so nothing ticks for it, and the first tick comes after the sources have said what is true now.
    None: every silence is filled (replays of a complete recording).
    """

    def __init__(self, every: timedelta = timedelta(minutes=1), max_gap: timedelta | None = None) -> None:
        self.every = every
        self.max_gap = max_gap
        self.last: datetime | None = None

    def until(self, at: datetime) -> Iterator[Tick]:
        """Yield the ticks that are due at `at`, oldest first; consume all of them."""
        if self.stands(at):
            return
        if self.breaks(at):
            self.last = self._floor(at)
            return
        while self.last is not None and self.last + self.every <= at:
            self.last += self.every
            yield Tick(self.last)

    def stands(self, at: datetime) -> bool:
        """Whether nothing is due: the common case, made cheap."""
        return self.last is not None and self.last <= at < self.last + self.every

    def breaks(self, at: datetime) -> bool:
        """Whether time does not simply go on to `at`: it begins, after an outage too, or was set back."""
        if self.last is None or self.last - at > self.every:
            return True
        return self.max_gap is not None and self._floor(at) - self.last > self.max_gap

    def _floor(self, at: datetime) -> datetime:
        return at - (at - EPOCH) % self.every


def with_ticks(events: Iterable[T], ticker: Ticker) -> Iterator[T | Tick]:
    """Interleave events, in order of `received_at`, with the ticks that fall between them."""
    for event in events:
        yield from ticker.until(event.received_at)
        yield event
