"""Readings far beyond all that a sensor ever gave."""

from __future__ import annotations

from math import log10
from typing import Any, Final

_TAIL: Final = 2.0  # of the Pareto distribution that readings beyond the furthest one are taken to have
_STRAYS: Final = 2  # far readings that nothing confirmed, after which the next one is learned
CONFIRMED: Final = 3  # readings in a row
CONFIRMED_S: Final = 300.0


class Reach:
    """The span of all readings so far, and those in a row that are far outside it.

    One odd reading is nothing. It is something when two more confirm it, or when it stands for five minutes.
    With n readings over a span w and one that is e beyond it, for a Pareto tail of index 2,

        score = -log10 p        p = 1 / (n + 1) · (1 + e / w)^-2

    Far is e > `far` · w. Far readings that nothing confirms are glitches and don't widen the span, unless
    they keep coming.

    Memory: seven numbers. All is O(1).

    >>> r = Reach(far=1.0)
    >>> for i in range(999):
    ...     r.learn_one(20.0 + i % 3, 60.0 * i)
    >>> r.learn_one(60.0, 60_000.0); r.score_one(60_060.0), round(r.score_one(60_300.0), 2)
    (0.0, 5.6)

    References
    ----------
    Coles, S. (2001). An Introduction to Statistical Modeling of Extreme Values. Springer.
    """

    __slots__ = ("_count", "_since", "_strays", "far", "high", "low", "n", "value")

    def __init__(self, *, far: float) -> None:
        self.far = far
        self.n = 0
        self.low = self.high = self.value = 0.0
        self._since: float | None = None  # when the readings in a row that are far began
        self._count = 0
        self._strays = 0

    def beyond(self, value: float) -> float:
        """Return how many spans a value lies outside; 0: it is inside or all readings were the same."""
        width = self.high - self.low
        return max(0.0, value - self.high, self.low - value) / width if width > 0.0 else 0.0

    def is_far(self) -> bool:
        """Whether the last reading is far outside."""
        return self._since is not None

    def score_one(self, at: float) -> float:
        """Return -log10 p of the last reading, if it is far outside and confirmed by now."""
        if self._since is None or not (self._count >= CONFIRMED or at - self._since >= CONFIRMED_S):
            return 0.0
        return self.surprise(self.value)

    def surprise(self, value: float) -> float:
        """Return -log10 p of a reading, confirmed or not."""
        return sum(self._parts(value))

    def confirms(self, value: float) -> bool:
        """Whether a reading would be the one that confirms the far ones before it."""
        return self._since is not None and self._count + 1 == CONFIRMED and self.beyond(value) > self.far

    def contributions(self, value: float) -> dict[str, float]:
        """Return what adds how much to the surprise (Shapley values: the two are independent)."""
        readings, distance = self._parts(value)
        return {"readings so far": round(readings, 3), "distance": round(distance, 3)}

    def _parts(self, value: float) -> tuple[float, float]:
        return log10(self.n + 1.0), _TAIL * log10(1.0 + self.beyond(value))

    def learn_one(self, value: float, at: float) -> None:
        """Take a reading."""
        self.value = value
        if self.beyond(value) > self.far and self._strays < _STRAYS:
            self._since, self._count = (at, 1) if self._since is None else (self._since, self._count + 1)
            return
        if self._since is not None:
            self._since, self._count = None, 0
            self._strays += 1
        elif self.beyond(value) > self.far:
            self._strays = 0
        self.low, self.high = (min(self.low, value), max(self.high, value)) if self.n else (value, value)
        self.n += 1

    def lose(self) -> None:
        """Break off: nobody knows the value any more."""
        self._since, self._count = None, 0

    def to_list(self) -> list[Any]:
        """Return a JSON-serialisable snapshot."""
        return [self.n, self.low, self.high, self.value, self._since, self._count, self._strays]

    def load(self, data: list[Any]) -> None:
        """Restore from `to_list` of the same configuration."""
        self.n, self.low, self.high, self.value, self._since, self._count, self._strays = data
