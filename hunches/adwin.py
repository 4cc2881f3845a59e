"""Whether the mean of a stream has changed, and since when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import log, sqrt
from typing import Any


@dataclass(slots=True)
class _Row:
    """Buckets of 2^i values each, oldest first: their totals, and squared deviations from their means."""

    totals: list[float] = field(default_factory=list)
    deviations: list[float] = field(default_factory=list)


class Adwin:
    """ADWIN: a window over a stream that shrinks when its older part has another mean than the newer.

    The window is cut in two wherever two buckets meet; n₀ and n₁ values with the means μ₀ and μ₁ are not of
    one kind if

        |μ₀ - μ₁| > sqrt(2/m · σ² · ln(2 ln(n) / δ)) + 2/(3m) · ln(2 ln(n) / δ)      1/m = 1/n₀' + 1/n₁'

    where σ² is the variance of the window and n' = n - `least` + 1. The oldest buckets are dropped until none
    of the cuts says so. False alarms have probability δ at most for values in [0, 1]; others should be
    brought there first.

    Memory: buckets of 1, 2, 4, … values, at most `buckets` + 1 of each size: O(buckets · log n). `learn_one`
    is O(1), and each `clock`-th time O(buckets · log n).

    Parameters
    ----------
    delta: δ, probability of a false alarm.
    clock: values between two looks.
    buckets: of a size, before two of them become one of twice the size.
    least: values in either part.
    grace: values before the first look.

    >>> a = Adwin()
    >>> [day for day in range(200) if a.learn_one(0.2 if day < 100 else 0.8)]
    [127, 159]
    >>> round(a.mean, 2), a.n
    (0.7, 120)

    References
    ----------
    Bifet, A. and Gavaldà, R. (2007). Learning from time-changing data with adaptive windowing. SIAM
    International Conference on Data Mining.
    """

    __slots__ = (
        "_deviation",
        "_rows",
        "_since",
        "_total",
        "buckets",
        "clock",
        "delta",
        "grace",
        "least",
        "n",
    )

    def __init__(
        self, *, delta: float = 0.002, clock: int = 32, buckets: int = 5, least: int = 5, grace: int = 10
    ) -> None:
        self.delta = delta
        self.clock = clock
        self.buckets = buckets
        self.least = least
        self.grace = grace
        self.n = 0  # values in the window
        self._total = 0.0
        self._deviation = 0.0  # sum of the squared deviations from the mean
        self._since = 0  # values since the last look
        self._rows = [_Row()]

    @property
    def mean(self) -> float:
        """The mean of the window; 0 where it is empty."""
        return self._total / self.n if self.n else 0.0

    def learn_one(self, x: float) -> bool:
        """Add a value; return whether the window has been cut, that is, the mean has changed."""
        if self.n:
            self._deviation += self.n * (x - self.mean) ** 2 / (self.n + 1)
        self.n += 1
        self._total += x
        self._rows[0].totals.append(x)
        self._rows[0].deviations.append(0.0)
        self._compress()
        self._since = (self._since + 1) % self.clock
        if self._since or self.n <= self.grace:
            return False
        changed = False
        while self._has_cut():
            self._drop_oldest()
            changed = True
        return changed

    def _compress(self) -> None:
        """Make one bucket of the two oldest of a size, where there is one too many."""
        for i, row in enumerate(self._rows):
            if len(row.totals) <= self.buckets:
                return
            if i + 1 == len(self._rows):
                self._rows.append(_Row())
            one, two = row.totals[:2]
            apart = (one - two) ** 2 / 2.0 ** (i + 1)
            self._rows[i + 1].totals.append(one + two)
            self._rows[i + 1].deviations.append(sum(row.deviations[:2]) + apart)
            del row.totals[:2], row.deviations[:2]

    def _drop_oldest(self) -> None:
        row, size = self._rows[-1], 2 ** (len(self._rows) - 1)
        total, deviation = row.totals.pop(0), row.deviations.pop(0)
        if not row.totals:
            self._rows.pop()
        self.n -= size
        self._total -= total
        apart = size * self.n * (total / size - self.mean) ** 2 / (size + self.n)
        self._deviation = max(0.0, self._deviation - deviation - apart)

    def _has_cut(self) -> bool:
        term = log(2.0 * log(self.n) / self.delta)
        spread = 2.0 * self._deviation / self.n * term
        n0, total = 0, 0.0
        for size, bucket in self._oldest_first():
            n0 += size
            total += bucket
            n1 = self.n - n0
            if n1 < self.least:
                return False
            if n0 >= self.least:
                inverse = 1.0 / (n0 - self.least + 1) + 1.0 / (n1 - self.least + 1)
                allowed = sqrt(inverse * spread) + 2.0 / 3.0 * inverse * term
                if abs(total / n0 - (self._total - total) / n1) > allowed:
                    return True
        return False

    def _oldest_first(self) -> Iterator[tuple[int, float]]:
        for i in range(len(self._rows) - 1, -1, -1):
            for total in self._rows[i].totals:
                yield 2**i, total

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "rows": [[list(row.totals), list(row.deviations)] for row in self._rows],
            "sums": [self.n, self._total, self._deviation, self._since],
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._rows = [_Row(list(totals), list(deviations)) for totals, deviations in data["rows"]]
        self.n, self._total, self._deviation, self._since = data["sums"]
