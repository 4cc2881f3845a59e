"""How high a score has to be to be news in this home."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from statistics import median
from typing import Any, Final

_HONEST: Final = 1.0 / log(10.0)  # mean excess of -log10 p where p is a probability


class DailyRecords:
    """The largest score of each of the last days, and the bar that a new one has to pass.

    A day's largest score is taken to have an exponential tail above the median M of the other days':

        bar = M + s · ln(½ / rate)      s = (Σ (x - M)⁺ + w / ln 10) / (#{x > M} + w)

    so that a share `rate` of days passes it. -log10 of honest probabilities has a tail of mean 1 / ln 10,
    which counts like w = `trust` days. The k-th largest day would do without a tail, but rests on few days:
    two lonely nights would silence a home for weeks.

    Memory: one number a day, `days` of them. All is O(days).

    Parameters
    ----------
    days: how many days are remembered.
    rate: share of days that may pass the bar, below one half.
    trust: days that the tail of honest scores is worth.

    >>> r = DailyRecords()
    >>> for day in range(20):
    ...     r.learn_one(1.0 + day % 2, day)
    >>> 2.2 < r.bar(day=20) < 2.3, r.best(day=19)
    (True, 2.0)

    References
    ----------
    Davison, A. C. and Smith, R. L. (1990). Models for exceedances over high thresholds. J. R. Statist. Soc.
    B 52.
    """

    __slots__ = ("_best", "days", "rate", "trust")

    def __init__(self, *, days: int = 60, rate: float = 0.1, trust: float = 5.0) -> None:
        self.days = days
        self.rate = rate
        self.trust = trust
        self._best: dict[int, float] = {}

    def learn_one(self, score: float, day: int) -> None:
        """Take a score on a day (a running number) into account."""
        known = self._best.get(day)
        if known is None:
            self._best = {d: s for d, s in self._best.items() if day - self.days <= d <= day + self.days}
        if known is None or score > known:
            self._best[day] = score

    def bar(self, day: int) -> float:
        """Return what a score on a day has to pass; 0 where no other day is known."""
        others = [s for d, s in self._best.items() if d != day]
        if not others:
            return 0.0
        middle = median(others)
        above = [s - middle for s in others if s > middle]
        excess = (sum(above) + self.trust * _HONEST) / (len(above) + self.trust)
        return middle + excess * log(0.5 / self.rate)

    def best(self, day: int) -> float:
        """Return the largest score of a day so far, or 0."""
        return self._best.get(day, 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {"best": [[d, s] for d, s in self._best.items()]}

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self._best = {int(d): s for d, s in data["best"]}
