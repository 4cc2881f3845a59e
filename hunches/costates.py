"""How often two states are together, and how often chance would bring them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Any, Final

HOUR_S: Final = 3600.0
DAY_S: Final = 86400.0
BINS: Final = 48  # hours of a working day, then hours of a day of the weekend
BURST_S: Final = 1800.0  # what follows sooner belongs to the same stay, for counting
SHARE: Final = (5 / 7, 2 / 7)  # of working days and of days of the weekend


class HourShares:
    """The share of each hour of a working day, and of the weekend, in which a state holds.

    A stay counts for a day at most (a holiday of two weeks is one absence, not fourteen) and fades with a
    half life h; D days after it was first seen a state has been watched for T = h / ln 2 · (1 - 2^(-D/h))
    faded days.

    Memory: 52 numbers. `learn_one` is O(hours of the stay).

    Parameters
    ----------
    first: when it was first seen, epoch seconds.
    half_life_days: time in which what was learned loses half its weight.

    >>> s = HourShares(0.0)
    >>> for day in range(10):
    ...     s.learn_one(day * DAY_S + 7 * HOUR_S, day * DAY_S + 7.5 * HOUR_S)
    >>> round(s.shares(10 * DAY_S)[7], 2), s.shares(10 * DAY_S)[8], round(s.n), round(s.mean_s)
    (0.49, 0.0, 9, 1800)
    """

    __slots__ = ("_known", "day", "first", "half_life_days", "last", "n", "seconds", "total_s")

    def __init__(self, first: float, *, half_life_days: float = 60.0) -> None:
        self.half_life_days = half_life_days
        self.first = first
        self.last = first  # when the latest stay ended
        self.day = first / DAY_S
        self.n = 0.0
        self.seconds = [0.0] * BINS
        self.total_s = 0.0
        self._known: tuple[int, list[float]] | None = None  # the shares of a day, worked out

    def learn_one(self, start: float, end: float) -> None:
        """Count a stay; both times are epoch seconds on the home's clock (UTC plus its offset)."""
        self._fade(end / DAY_S)
        self._known = None
        if self.n == 0.0 or start - self.last > BURST_S:
            self.n += 1.0
        self.last = max(self.last, end)
        at, end = start, min(end, start + DAY_S)
        while at < end:
            until = min(end, (at // HOUR_S + 1.0) * HOUR_S)
            self.seconds[bin_of(at)] += until - at
            self.total_s += until - at
            at = until

    def _fade(self, day: float) -> None:
        if day - self.day >= 1.0:
            factor = 0.5 ** ((day - self.day) / self.half_life_days)
            self.seconds = [s * factor for s in self.seconds]
            self.total_s *= factor
            self.n *= factor
            self.day = day

    @property
    def mean_s(self) -> float:
        """Mean length of a stay, seconds."""
        return self.total_s / self.n if self.n > 0.0 else 0.0

    def watched_days(self, at: float) -> float:
        """Return for how many (faded) days it has been watched."""
        age = max(0.0, at - self.first) / DAY_S
        faded = float(0.5 ** (age / self.half_life_days))
        return self.half_life_days / log(2) * (1.0 - faded)

    def shares(self, at: float) -> list[float]:
        """Return the share of each hour in which the state held, as of the day of a moment."""
        day = int(at // DAY_S)
        if self._known is None or self._known[0] != day:
            hour_s = max(1.0, self.watched_days(day * DAY_S)) * HOUR_S
            shares = [min(1.0, s / (hour_s * SHARE[i // 24])) for i, s in enumerate(self.seconds)]
            self._known = (day, shares)
        return self._known[1]

    def share(self, at: float) -> float:
        """Return the share of all time in which the state held."""
        return sum(all_days(self.shares(at))) / 24.0

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        seconds = {str(i): s for i, s in enumerate(self.seconds) if s}
        return {
            "first": self.first,
            "last": self.last,
            "day": self.day,
            "n": self.n,
            "total": self.total_s,
            "seconds": seconds,
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self.first, self.last, self.day = data["first"], data["last"], data["day"]
        self.n, self.total_s = data["n"], data["total"]
        self._known = None
        self.seconds = [float(data["seconds"].get(str(i), 0.0)) for i in range(BINS)]


def together_s(a: Sequence[float], b: Sequence[float], days: float, *, by_day: bool) -> float:
    """Return the seconds in which independent states with these shares would be together.

    `by_day`: working days and weekends are different worlds, else hours are the same on all days.

    >>> office, tv = [0.5] * 24 + [0.0] * 24, [0.0] * 24 + [0.5] * 24
    >>> [round(together_s(office, tv, days=7.0, by_day=b) / HOUR_S, 1) for b in (True, False)]
    [0.0, 8.6]
    """
    if by_day:
        same = sum(x * y * SHARE[i // 24] for i, (x, y) in enumerate(zip(a, b, strict=True)))
    else:
        same = sum(x * y for x, y in zip(all_days(a), all_days(b), strict=True))
    return days * HOUR_S * same


def all_days(shares: Sequence[float]) -> list[float]:
    """Return the shares of the hours of any day."""
    return [SHARE[0] * x + SHARE[1] * y for x, y in zip(shares[:24], shares[24:], strict=True)]


def bin_of(at: float) -> int:
    """Return the hour of the kind of day of a moment on the home's clock; 1970 began on a Thursday."""
    weekend = (at // DAY_S + 3.0) % 7.0 >= 5.0
    return int(at % DAY_S // HOUR_S) + (24 if weekend else 0)
