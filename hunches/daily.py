"""At what times of the day something happened on each of the last days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import sqrt
from statistics import median
from typing import Final, NamedTuple, Self

SLOTS: Final = 144  # a day, of ten minutes
SLOT_H: Final = 24.0 / SLOTS
DAYS: Final = 28
_Z: Final = 2.326  # 99%


class Usual(NamedTuple):
    """What usually happens by when; times are hours since the start of the day."""

    days: int  # that were looked at
    hits: int  # on which it happened
    weight: float  # faded days
    missed: float  # faded days on which it didn't happen
    start: float  # from when it counts
    time: float  # the usual one
    due: float  # by when it has happened
    latest: float  # that it ever was


class DailyTimes:
    """The ten-minute slots of each of the last 28 days in which something happened, a bit each.

    Memory: 28 integers of 144 bits. `mark` is O(1), the rest O(days).

    >>> times = DailyTimes()
    >>> for day in range(10):
    ...     _ = times.mark(day, 3.1 + 0.05 * day), times.mark(day, 12.0)
    >>> usual = times.first(range(10), now=10)
    >>> usual.hits, 3.2 < usual.time < 3.5 < usual.latest < 3.7 < usual.due < 6.0
    (10, True)
    """

    __slots__ = ("masks",)

    def __init__(self) -> None:
        self.masks: dict[int, int] = {}

    def mark(self, day: int, hour: float) -> bool:
        """Note that it happened on a day (a running number), hours after its start; return if that is new."""
        if day not in self.masks:
            self.masks = {d: m for d, m in self.masks.items() if day - DAYS <= d <= day + DAYS}
        before = self.masks.get(day, 0)
        self.masks[day] = before | 1 << slot_of(hour)
        return self.masks[day] != before

    def between(self, day: int, start: float, end: float) -> int:
        """Return in how many slots of a stretch of a day it happened."""
        return (self.masks.get(day, 0) & _window(start, end)).bit_count()

    def first(self, days: Iterable[int], now: int) -> Usual | None:
        """Return by when it usually has happened for the first time of the day."""
        return self._usual(days, now, 0.0)

    def last(self, days: Sequence[int], now: int) -> Usual | None:
        """Return by when the last one of the day usually has come, or one that might be the last."""
        ends = [_highest(m) for d in days if (m := self.masks.get(d, 0))]
        if not ends:
            return None
        usual = median(ends)
        spread = median(abs(t - usual) for t in ends)
        return self._usual(days, now, max(0.0, usual - min(3.0, max(1.25, 4.0 * spread))))

    def _usual(self, days: Iterable[int], now: int, start: float) -> Usual | None:
        window = _window(start, 24.0)
        times: list[tuple[float, float]] = []
        n = missed = 0.0
        looked = 0
        for day in days:
            weight = 0.5 ** ((now - day) / 10.0)
            looked, n = looked + 1, n + weight
            found = self.masks.get(day, 0) & window
            if found:
                times.append((_lowest(found), weight))
            else:
                missed += weight
        if len(times) < 2:
            return None
        usual = median(t for t, _ in times)
        latest = max(t for t, _ in times)
        due = max(latest + 0.5, upper_bound(times))
        return Usual(looked, len(times), n, missed, start, usual, due, latest)

    def to_dict(self) -> list[list[int]]:
        """Return a JSON-serialisable snapshot."""
        return [[d, m] for d, m in self.masks.items()]

    @classmethod
    def from_dict(cls, data: Sequence[Sequence[int]]) -> Self:
        """Rebuild from `to_dict`."""
        found = cls()
        found.masks = {int(d): int(m) for d, m in data}
        return found


def upper_bound(times: Sequence[tuple[float, float]], sd: float = 0.75, worth: float = 2.0) -> float:
    """Return what a new time stays below with 99%: Student's prediction bound of weighted times, in hours.

    The variance is shrunk to `sd`² as if that had been seen `worth` times.
    """
    n = sum(w for _, w in times)
    mean = sum(t * w for t, w in times) / n
    variance = (sum(w * (t - mean) ** 2 for t, w in times) + worth * sd * sd) / (n + worth - 1.0)
    nu, z = max(2.0, n + worth - 1.0), _Z
    t99 = z + (z**3 + z) / (4 * nu) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * nu * nu)
    return mean + t99 * sqrt(variance * (1.0 + 1.0 / n))


def slot_of(hour: float) -> int:
    """Return the slot of an hour since the start of the day."""
    return min(SLOTS - 1, max(0, int(hour / SLOT_H)))


def _window(start: float, end: float) -> int:
    a, b = slot_of(start), min(SLOTS, max(0, int(end / SLOT_H)))
    return (1 << b) - (1 << a) if b > a else 0


def _lowest(mask: int) -> float:
    return ((mask & -mask).bit_length() - 0.5) * SLOT_H


def _highest(mask: int) -> float:
    return (mask.bit_length() - 0.5) * SLOT_H
