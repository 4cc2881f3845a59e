"""How high a score has to be to be news in this home."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DailyRecords:
    """The largest score of each of the last days, and the bar that a new one has to pass.

    If days are exchangeable, a day's maximum passes the k-th largest of n earlier ones with probability
    k / (n + 1), whatever the scores' distribution: a conformal guarantee for the home as a whole. k grows
    with n so that this stays at `rate`: k = 1 + ⌊rate · n⌋. A single record of long ago sets no bar for ever.

    Memory: one number a day, `days` of them. All is O(days).

    Parameters
    ----------
    days: how many days are remembered.
    rate: share of days that may set a new record.

    >>> r = DailyRecords()
    >>> r.learn_one(2.5, day=1); r.learn_one(3.5, day=2)
    >>> r.bar(day=3), r.bar(day=2), r.best(day=2)
    (3.5, 2.5, 3.5)

    References
    ----------
    Vovk, V., Gammerman, A. and Shafer, G. (2005). Algorithmic Learning in a Random World. Springer.
    """

    __slots__ = ("_best", "days", "rate")

    def __init__(self, *, days: int = 60, rate: float = 0.1) -> None:
        self.days = days
        self.rate = rate
        self._best: dict[int, float] = {}

    def learn_one(self, score: float, day: int) -> None:
        """Take a score on a day (a running number) into account."""
        known = self._best.get(day)
        if known is None:
            self._best = {d: s for d, s in self._best.items() if day - self.days <= d <= day + self.days}
        if known is None or score > known:
            self._best[day] = score

    def bar(self, day: int) -> float:
        """Return the k-th largest score of the other days; 0 where there are fewer."""
        others = sorted((s for d, s in self._best.items() if d != day), reverse=True)
        return others[int(self.rate * len(others))] if others else 0.0

    def best(self, day: int) -> float:
        """Return the largest score of a day so far, or 0."""
        return self._best.get(day, 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {"best": [[d, s] for d, s in self._best.items()]}

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self._best = {int(d): s for d, s in data["best"]}
