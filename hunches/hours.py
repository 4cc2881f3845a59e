"""At which hours of the day something happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import Any, Final

BINS: Final = 48  # half hours


class HourProfile:
    """Circular density of the hour of the day, by a Gaussian kernel over half-hour counts that fade.

        f(b) = (Σ_j K(b - j) · w_j + m · f₀(b)) / (n + m)

    with counts w that halve every `half_life_days`, K of width `bandwidth_h` cut at four widths, and f₀ the
    density it is backed by as if that were m = `backing` events: the home's, for an entity; uniform without
    one. `tail` is the probability that a new event falls into a half hour as unlikely as this one or less.

    Memory: 96 numbers. `learn_one` is O(kernel), once a day O(48); `density` and `tail` are O(48).

    Parameters
    ----------
    half_life_days: time in which the weight of an event halves.
    bandwidth_h: standard deviation of the kernel, hours.
    backing: events that the background is worth.

    >>> p = HourProfile()
    >>> for day in range(30):
    ...     p.learn_one(7.5, day)
    >>> p.tail(7.6) > 0.9, p.tail(3.0) < 0.2
    (True, True)

    References
    ----------
    Mardia, K. V. and Jupp, P. E. (2000). Directional Statistics. Wiley.
    """

    __slots__ = ("_day", "_kernel", "_smooth", "backing", "counts", "half_life_days", "n")

    def __init__(
        self, *, half_life_days: float = 60.0, bandwidth_h: float = 0.75, backing: float = 10.0
    ) -> None:
        self.half_life_days = half_life_days
        self.backing = backing
        self.counts = [0.0] * BINS
        self.n = 0.0
        self._day: float | None = None
        self._kernel = _kernel(bandwidth_h)
        self._smooth = [0.0] * BINS  # counts under the kernel

    def learn_one(self, hour: float, day: float) -> None:
        """Count an event at an hour (0 <= hour < 24) of a day (days since any epoch)."""
        if self._day is None:
            self._day = day
        elif day - self._day >= 1.0:
            factor = 0.5 ** ((day - self._day) / self.half_life_days)
            self.counts = [w * factor for w in self.counts]
            self._smooth = [w * factor for w in self._smooth]
            self.n *= factor
            self._day = day
        here = bin_of(hour)
        self.counts[here] += 1.0
        self._spread(here, 1.0)
        self.n += 1.0

    def _spread(self, here: int, weight: float) -> None:
        reach = len(self._kernel) // 2
        for i, k in enumerate(self._kernel):
            self._smooth[(here + i - reach) % BINS] += k * weight

    def density(self, background: Sequence[float] | None = None) -> list[float]:
        """Return the probability of each half hour; they add up to one."""
        backing = self.backing
        total = self.n + backing
        if background is None:
            uniform = backing / BINS
            return [(s + uniform) / total for s in self._smooth]
        return [(s + backing * f) / total for s, f in zip(self._smooth, background, strict=True)]

    def tail(self, hour: float, background: Sequence[float] | None = None) -> float:
        """Return the probability of a half hour as unlikely as the one of `hour`, or less likely."""
        f = self.density(background)
        limit = f[bin_of(hour)] * (1.0 + 1e-9)
        return min(1.0, sum([x for x in f if x <= limit]))  # a list: half the time of a generator

    def empty_around(self, hour: float) -> tuple[float, float] | None:
        """Return the stretch around `hour` without an event (from, to), in hours; None: there is none.

        Half hours that have faded to less than half an event count as empty.
        """
        here = bin_of(hour)
        if self.counts[here] >= 0.5 or all(w < 0.5 for w in self.counts):
            return None
        start = end = here
        while self.counts[(start - 1) % BINS] < 0.5:
            start -= 1
        while self.counts[(end + 1) % BINS] < 0.5:
            end += 1
        return (start % BINS) / 2, ((end + 1) % BINS) / 2

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {"counts": list(self.counts), "smooth": list(self._smooth), "n": self.n, "day": self._day}

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self.counts, self._smooth = list(data["counts"]), list(data["smooth"])
        self.n, self._day = data["n"], data["day"]


def bin_of(hour: float) -> int:
    """Return the half hour of the day, 0 to 47."""
    return int(hour * 2) % BINS


def _kernel(bandwidth_h: float) -> list[float]:
    reach = min(BINS // 2 - 1, int(4 * bandwidth_h * 2) + 1)
    weights = [exp(-0.5 * (i / 2 / bandwidth_h) ** 2) for i in range(-reach, reach + 1)]
    return [w / sum(weights) for w in weights]
