"""At what times of the day something happened on each of the last days."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import median
from typing import Any, Final, NamedTuple, Self

from hunches.extremes import log_tail

SLOTS: Final = 144  # a day, of ten minutes
SLOT_H: Final = 24.0 / SLOTS
DAYS: Final = 28
HALF_LIFE_DAYS: Final = 10.0
_FULL: Final = (1 << SLOTS) - 1
_Z: Final = 2.878  # 99.8%
_LEAST_H: Final = 0.5  # beyond the earliest and the latest
_SD_H: Final = 0.75  # of the times of a habit (σ), before there are days to tell
_WORTH: Final = 2.0  # days that this is worth (k)
_REACH_H: Final = 3.0  # before the usual last time, in which one that came counts


class Usual(NamedTuple):
    """What usually happens by when; times are hours since the start of the day."""

    days: int  # that were looked at
    hits: int  # on which it happened in time
    weight: float  # faded days
    missed: float  # faded days on which it didn't
    start: float  # from when it counts
    time: float  # the usual one
    latest: float  # that it ever was
    due: float  # by when it ought to have happened
    scale: float  # of a new time around the usual one, hours: Student's t with
    freedom: float
    early: float  # chance that it comes before it counts

    def late(self, wait_h: float) -> float:
        """Return the chance that it comes at the wrong time, if it is waited for after the due time.

        >>> Usual(20, 20, 15.0, 0.0, 0.0, 7.0, 7.5, 8.0, 0.5, 16.0, 0.0).late(0.0) < 0.05
        True
        """
        return min(1.0, self.early + _tail(self.due + wait_h - self.time, self.scale, self.freedom))


class DailyTimes:
    """The ten-minute slots of the last 28 calendar days in which something happened, a bit each.

    Memory: 29 integers of 144 bits. `mark` and `of` are O(1).

    >>> times = DailyTimes()
    >>> times.mark(3, 8.0), times.mark(3, 8.1), times.mark(4, 0.5)
    (True, False, True)
    >>> bin(times.of(3, starts=4)).count("1")  # the day from 04:00 on
    2
    """

    __slots__ = ("masks",)

    def __init__(self) -> None:
        self.masks: dict[int, int] = {}

    def mark(self, day: int, hour: float) -> bool:
        """Note that it happened at an hour of a calendar day (a running number); return if that is new."""
        slot, before = 1 << slot_of(hour), self.masks.get(day, 0)
        if before & slot:
            return False
        if not before:
            self.masks = {d: m for d, m in self.masks.items() if day - DAYS <= d <= day + DAYS}
        self.masks[day] = before | slot
        return True

    def of(self, day: int, starts: int) -> int:
        """Return the slots of a day that starts at an hour."""
        shift = slot_of(starts)
        return (self.masks.get(day, 0) >> shift | self.masks.get(day + 1, 0) << (SLOTS - shift)) & _FULL

    def between(self, day: int, starts: int, start: float, end: float) -> int:
        """Return in how many slots of a stretch of a day it happened."""
        return (self.of(day, starts) & window(start, end)).bit_count()

    def to_dict(self) -> list[list[Any]]:
        """Return a JSON-serialisable snapshot."""
        return [[d, f"{m:x}"] for d, m in self.masks.items()]  # JSON's integers have 64 bits

    @classmethod
    def from_dict(cls, data: Sequence[Sequence[Any]]) -> Self:
        """Rebuild from `to_dict`."""
        found = cls()
        found.masks = {int(d): int(m, 16) for d, m in data}
        return found


def first_of(days: Sequence[tuple[int, int]]) -> Usual | None:
    """Return by when the first one of the day usually has come, of (age in days, slots of the day).

    >>> usual = first_of([(age, 0b111 << (18 + age % 3)) for age in range(1, 12)])
    >>> usual.hits, 3.0 < usual.time < usual.latest < 3.5 < usual.due < 6.5
    (11, True)
    """
    return _usual(days, 0.0)


def last_of(days: Sequence[tuple[int, int]], late: Sequence[bool]) -> Usual | None:
    """Return by when usually one has come that may be the last one of the day.

    `late`: whether one came in the first hours of the day after, which is as good as at the end of the day.
    """
    days = [(age, m | (1 << (SLOTS - 1) if so else 0)) for (age, m), so in zip(days, late, strict=True)]
    ends = [((m.bit_length() - 0.5) * SLOT_H, _weight(age)) for age, m in days if m]
    if len(ends) < 2:
        return None
    usual, earliest = median(t for t, _ in ends), min(t for t, _ in ends)
    mirrored = [(2.0 * usual - t, w) for t, w in ends]
    start = max(0.0, min(earliest - _LEAST_H, 2.0 * usual - upper_bound(mirrored)), usual - _REACH_H)
    found = _usual(days, start)
    return found and found._replace(early=_tail(usual - start, *_spread(mirrored)))


def _usual(days: Sequence[tuple[int, int]], start: float) -> Usual | None:
    inside = window(start, 24.0)
    found = [(((m & -m).bit_length() - 0.5) * SLOT_H, _weight(age)) for age, d in days if (m := d & inside)]
    if len(found) < 2:
        return None
    weight = sum(_weight(age) for age, _ in days)
    missed = weight - sum(w for _, w in found)
    usual, latest = median(t for t, _ in found), max(t for t, _ in found)
    due = max(latest + max(_LEAST_H, (latest - usual) / 2), upper_bound(found))
    scale, freedom = _spread(found)
    missed = max(0.0, missed)
    return Usual(len(days), len(found), weight, missed, start, usual, latest, due, scale, freedom, 0.0)


def upper_bound(times: Sequence[tuple[float, float]]) -> float:
    """Return what a new time stays below with 99.8%: Student's prediction bound of (hour, weight)."""
    scale, freedom = _spread(times)
    return median(t for t, _ in times) + _t998(freedom) * scale


def _spread(times: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return scale and degrees of freedom of Student's t for a new time around the median of (hour, weight).

        s · √(1 + 1/n)        s² = (2 Σ w max(0, x - c)² + k σ²) / (n + k - 1)

    Only the later half counts, mirrored, since an early one says nothing about late ones. The variance is
    shrunk to σ as if that had been seen k times.
    """
    n, center = sum(w for _, w in times), median(t for t, _ in times)
    freedom = max(1.0, n + _WORTH - 1.0)
    later = sum(w * max(0.0, t - center) ** 2 for t, w in times)
    return sqrt((2.0 * later + _WORTH * _SD_H**2) / freedom * (1.0 + 1.0 / n)), freedom


def _tail(hours: float, scale: float, freedom: float) -> float:
    """Return the chance that a new time is that much later than the usual one."""
    return 10.0 ** -log_tail(hours / scale, freedom) if hours > 0.0 else 0.5


def _t998(nu: float) -> float:
    """Return Student's 99.8% quantile (Abramowitz and Stegun 26.7.5)."""
    z = _Z
    return z + (z**3 + z) / (4 * nu) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * nu * nu)


def slot_of(hour: float) -> int:
    """Return the slot of an hour of the day."""
    return min(SLOTS - 1, max(0, int(hour / SLOT_H + 1e-9)))


def window(start: float, end: float) -> int:
    """Return the slots of a stretch of the day, as bits."""
    a, b = slot_of(start), min(SLOTS, max(0, int(end / SLOT_H + 1e-9)))
    return (1 << b) - (1 << a) if b > a else 0


def _weight(age: int) -> float:
    return float(0.5 ** (age / HALF_LIFE_DAYS))
