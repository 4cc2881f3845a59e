"""How far out a number is in the distribution of the numbers before it, beyond the largest as well."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate
from math import exp, floor, inf, log, log10
from typing import Any, Final, NamedTuple

BINS_PER_OCTAVE: Final = 4
_STEP: Final = log(2.0) / BINS_PER_OCTAVE
_MOST_BINS: Final = 96  # 24 octaves; beyond that the smallest two become one
_NEGLIGIBLE: Final = 0.02  # weight of a bin that is forgotten
_STALE: Final = 25  # values learned before the tail is fitted anew
_LN10: Final = log(10.0)


class _Fit(NamedTuple):
    """The distribution at a moment: P(D > d) = exp(-base - slope · ln(d / start)) for d >= start."""

    start: float
    base: float
    slope: float
    bins: list[int]  # ascending
    above: list[float]  # weight in a bin and above it


class MagnitudeTail:
    """Tail probability of a positive magnitude, learned from a stream, scale-free.

    Magnitudes are counted in logarithmic bins (four an octave), and P(D > d) is the share of the weight in
    d's bin and above, (m + ½) / (n + 1). The largest tenth (one to `tail` of them) continue as a Pareto
    distribution, fitted by Hill's estimator and shrunk to a prior index:

        P(D > d) = (k + ½) / (n + 1) · (d / u)^-α        α = (k + a) / (Σ ln(d_i / u) + a / α₀)

    with the k largest d_i, all above u, a = `prior_weight` and α₀ = `prior_index`; the larger of the two
    probabilities counts. So a spike that comes once a day is as rare as that, however far it is from the
    rest; in a series with large bursts α is small, and one more is no news; elsewhere twice the largest is.

    Memory: at most 96 bins. `learn_one` is O(1); `score_one` O(1), after each 25 values O(bins).

    Parameters
    ----------
    tail: at most how many of the largest magnitudes the tail is fitted to.
    prior_index: tail index that is assumed where nothing is known; smaller is heavier.
    prior_weight: how many magnitudes the prior is worth.

    >>> tail = MagnitudeTail()
    >>> for i in range(1000):
    ...     tail.learn_one(1.0 + i % 10)
    >>> [round(tail.score_one(d), 1) for d in (0.0, 5.0, 20.0, 40.0)]
    [0.0, 0.2, 3.8, 6.5]

    References
    ----------
    Hill, B. M. (1975). A simple general approach to inference about the tail of a distribution. Annals of
    Statistics 3(5). Siffer, A. et al. (2017). Anomaly Detection in Streams with Extreme Value Theory. KDD.
    """

    __slots__ = ("_fit", "_new", "bins", "n", "prior_index", "prior_weight", "tail")

    def __init__(self, *, tail: int = 10, prior_index: float = 4.0, prior_weight: float = 20.0) -> None:
        self.tail = tail
        self.prior_index = prior_index
        self.prior_weight = prior_weight
        self.bins: dict[int, float] = {}
        self.n = 0.0
        self._fit: _Fit | None = None
        self._new = 0

    def score_one(self, magnitude: float) -> float:
        """Return -log10 P(D > magnitude); 0.0 where nothing is known, or it is not positive."""
        if magnitude <= 0.0 or not self.n:
            return 0.0
        if not self.bins:  # only zeros so far
            return log10(self.n + 1.0)
        fit = self._fitted()
        score = inf
        at = bisect_left(fit.bins, _bin(magnitude))
        if at < len(fit.bins):
            score = max(0.0, log10((self.n + 1.0) / (fit.above[at] + 0.5)))
        if magnitude < fit.start:
            return score
        return min(score, (fit.base + fit.slope * log(magnitude / fit.start)) / _LN10)

    def learn_one(self, magnitude: float) -> None:
        """Count a magnitude; one that is not positive counts as smaller than any."""
        self.n += 1.0
        self._new += 1
        if self._fit is not None and (self._new >= _STALE or magnitude > self._fit.start):
            self._fit = None
        if magnitude > 0.0:
            b = _bin(magnitude)
            self.bins[b] = self.bins.get(b, 0.0) + 1.0
            if len(self.bins) > _MOST_BINS:
                weight = self.bins.pop(min(self.bins))
                self.bins[min(self.bins)] += weight

    def quantile(self, probability: float) -> float:
        """Return the magnitude that is exceeded with this probability."""
        if not self.bins:
            return 0.0
        fit = self._fitted()
        if -log(probability) >= fit.base:
            return fit.start * exp((-log(probability) - fit.base) / fit.slope)
        for b, above in zip(reversed(fit.bins), reversed(fit.above), strict=True):
            if (above + 0.5) / (self.n + 1.0) >= probability:
                return exp((b + 1) * _STEP)
        return 0.0

    def fade(self, factor: float) -> None:
        """Let what was learned count less, and drop what no longer counts."""
        self.bins = {b: w * factor for b, w in self.bins.items() if w * factor >= _NEGLIGIBLE}
        self.n *= factor
        self._fit = None

    def to_dict(self) -> dict[str, Any]:
        """Return what was learned, for a snapshot."""
        return {"n": round(self.n, 6), "bins": {str(b): round(w, 6) for b, w in self.bins.items()}}

    def load(self, data: Mapping[str, Any]) -> None:
        """Take up a snapshot."""
        self.n = float(data["n"])
        self.bins = {int(b): float(w) for b, w in data["bins"].items()}
        self._fit, self._new = None, 0

    def _fitted(self) -> _Fit:
        if self._fit is None:
            self._fit, self._new = self._fitted_now(), 0
        return self._fit

    def _fitted_now(self) -> _Fit:
        bins = sorted(self.bins, reverse=True)
        above = list(accumulate(self.bins[b] for b in bins))
        limit = max(1.0, min(self.tail, 0.1 * self.n))
        last = min(bisect_left(above, limit), len(bins) - 1)
        start, k = exp(bins[last] * _STEP), above[last]
        excess = sum(self.bins[b] * ((b + 0.5) * _STEP - log(start)) for b in bins[: last + 1])
        slope = (k + self.prior_weight) / (excess + self.prior_weight / self.prior_index)
        return _Fit(start, log((self.n + 1.0) / (k + 0.5)), slope, bins[::-1], above[::-1])


def _bin(magnitude: float) -> int:
    return floor(log(magnitude) / _STEP)
