"""How far beyond the extremes of other days today's is."""

from __future__ import annotations

from math import erfc, log, log1p, log10, sqrt
from typing import Final

_LN10: Final = log(10.0)


class DailyExtremes:
    """Predictive tail of the largest value of a day, from those of earlier days, which fade.

    With weights that halve every h days, n = Σ w, mean m and sum of squares S = Σ w (x - m)²,

        s² = (ν₀ s₀² + S) / ν        ν = ν₀ + n - 1        t = (x - m) / (s √(1 + 1/n))
        score = -log10 P(T_ν > t)

    where s₀, the spread that is expected before there are days to tell, is worth ν₀ days. Student's tail is
    taken by Wallace's normal approximation. Extremes have a longer tail on the far side than a normal
    distribution, so a record has to be broken as well: `record` is the largest of the days, drawn in to
    the mean as they fade.

    Memory: four numbers. All is O(1).

    Parameters
    ----------
    half_life_days: time in which a day loses half its weight.
    prior_days: ν₀.

    >>> e = DailyExtremes()
    >>> for x in (21.0, 21.4, 20.8, 21.2, 21.1, 20.9, 21.3):
    ...     e.learn_one(x)
    >>> round(e.score_one(21.5, 0.3), 1), round(e.score_one(24.0, 0.3), 1), round(e.record, 1)
    (1.0, 6.0, 21.4)

    References
    ----------
    Gelman, A. et al. (2013). Bayesian Data Analysis, 3.3. CRC.
    Wallace, D. L. (1959). Bounds on normal approximations to Student's and the chi-square distributions.
    """

    __slots__ = ("_keep", "mean", "n", "prior_days", "record", "squares")

    def __init__(self, *, half_life_days: float = 20.0, prior_days: float = 4.0) -> None:
        self._keep = float(0.5 ** (1.0 / half_life_days))
        self.prior_days = prior_days
        self.n = self.mean = self.squares = self.record = 0.0

    def learn_one(self, x: float) -> None:
        """Take a day's extreme in."""
        self.n *= self._keep
        self.squares *= self._keep
        drawn_in = self.mean + (self.record - self.mean) * self._keep
        self.record = max(x, drawn_in) if self.n else x
        self.n += 1.0
        off = x - self.mean
        self.mean += off / self.n
        self.squares += off * (x - self.mean)

    @property
    def spread(self) -> float:
        """Standard deviation over the days."""
        return sqrt(self.squares / self.n) if self.n else 0.0

    def score_one(self, x: float, prior_spread: float, *, spread_known: bool = True) -> float:
        """Return -log10 of the probability that a day's extreme is x or more.

        Without `spread_known` that is by the spread that is expected.
        """
        if self.n < 1.0:
            return 0.0
        freedom = self.prior_days + self.n - 1.0
        squares = self.squares if spread_known else (self.n - 1.0) * prior_spread**2
        s = sqrt((self.prior_days * prior_spread**2 + squares) / freedom)
        if s <= 0.0:
            return 0.0
        t = (x - self.mean) / (s * sqrt(1.0 + 1.0 / self.n))
        return log_tail(t, freedom) if t > 0.0 else 0.0

    def to_list(self) -> list[float]:
        """Return a JSON-serialisable snapshot."""
        return [self.n, self.mean, self.squares, self.record]

    def load(self, data: list[float]) -> None:
        """Restore from `to_list` of the same configuration."""
        self.n, self.mean, self.squares, self.record = data


def log_tail(t: float, freedom: float) -> float:
    """Return -log10 P(T > t) for t > 0 and Student's T of so many degrees of freedom (Wallace)."""
    z = (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0) * sqrt(freedom * log1p(t * t / freedom))
    if z < 30.0:
        return -log10(0.5 * erfc(z / sqrt(2.0)))
    return (0.5 * z * z + log(z * 2.5066)) / _LN10  # erfc would underflow
