"""How long something usually lasts, and how surprising a longer time is."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log
from typing import Any, Final, NamedTuple

BINS_PER_OCTAVE: Final = 4
PRIOR_INDEX: Final = 1.3
_STEP: Final = log(2.0) / BINS_PER_OCTAVE
_LAST_BIN: Final = 22 * BINS_PER_OCTAVE  # 2**22 s: 48 days
_NEGLIGIBLE: Final = 0.02  # weight of a bin that is forgotten


class Tail(NamedTuple):
    """A Pareto tail: P(D > d) = share · (d / start_s) ** -exponent for d >= start_s."""

    share: float
    start_s: float
    exponent: float


class Survival:
    """Survival function of a duration, learned from a stream, with a tail beyond the longest one seen.

    Durations are counted in logarithmic bins (four an octave) whose weight halves every `half_life_days`.
    Below the tail the survival is the share of the weight above; the tail is a Pareto distribution fitted
    to the largest tenth (one to fifteen of them) by Hill's estimator, shrunk to a prior index:

        P(D > d) = (k + ½) / (n + 1) · (d / u)^-α        α = (k + a) / (Σ ln(d_i / u) + a / α₀)

    with the k longest d_i, the next one u, a = `prior_weight` and α₀ = `prior_index`, or what `assume` was
    told of the like. So 1.2 times the longest of 500 is no news, and of 5 still less.

    Memory: at most 89 bins. `learn_one` is O(1), once a day O(bins); `sf` O(bins), then O(1) until the next
    `learn_one`.

    Parameters
    ----------
    half_life_days: time in which the weight of a duration halves.
    prior_index: tail index that is assumed where nothing is known; smaller is heavier.
    prior_weight: how many durations the prior is worth.

    >>> s = Survival()
    >>> for minutes in [1, 2, 1, 3, 2, 1, 4, 2, 1, 2] * 10:
    ...     s.learn_one(60.0 * minutes, day=0.0)
    >>> s.n
    100.0
    >>> s.sf(90.0) > 0.5 > s.sf(200.0) > 0.05 > s.sf(600.0) > 0.0001 > s.sf(7200.0)
    True

    References
    ----------
    Hill, B. M. (1975). A simple general approach to inference about the tail of a distribution. Annals of
    Statistics 3(5). Coles, S. (2001). An Introduction to Statistical Modeling of Extreme Values. Springer.
    """

    __slots__ = ("_day", "_evidence", "_tail", "bins", "half_life_days", "index", "n", "prior_weight")

    def __init__(
        self, *, half_life_days: float = 60.0, prior_index: float = PRIOR_INDEX, prior_weight: float = 3.0
    ) -> None:
        self.half_life_days = half_life_days
        self.index = prior_index
        self.prior_weight = prior_weight
        self.bins: dict[int, float] = {}
        self.n = 0.0
        self._day: float | None = None
        self._evidence: tuple[float, float, float] | None = None  # of the tail
        self._tail: Tail | None = None

    def learn_one(self, seconds: float, day: float) -> None:
        """Count a duration that ended on a day (days since any epoch)."""
        self.learn_bin(bin_of(seconds), day)

    def learn_bin(self, b: int, day: float) -> None:
        """Count a duration whose bin is known."""
        if self._day is None:
            self._day = day
        elif day - self._day >= 1.0:
            self.fade(0.5 ** ((day - self._day) / self.half_life_days))
            self._day = day
        bins = self.bins
        bins[b] = bins.get(b, 0.0) + 1.0
        self.n += 1.0
        self._evidence = self._tail = None

    def fade(self, factor: float) -> None:
        """Let everything learned so far weigh less."""
        self.bins = {b: w * factor for b, w in self.bins.items() if w * factor > _NEGLIGIBLE}
        self.n = sum(self.bins.values())
        self._evidence = self._tail = None

    def sf(self, seconds: float) -> float:
        """Return P(D > seconds) for a new duration. With nothing learned it is 1/2 and a tail from 1 s."""
        tail = self.tail()
        if seconds >= tail.start_s:
            return tail.share * exp(-tail.exponent * log(seconds / tail.start_s))
        return max(tail.share, (self.above(seconds) + 0.5) / (self.n + 1.0))

    def above(self, seconds: float) -> float:
        """Return the weight of longer durations; half of the bin that `seconds` is in."""
        b = bin_of(seconds)
        return sum(w for k, w in self.bins.items() if k > b) + 0.5 * self.bins.get(b, 0.0)

    def tail(self) -> Tail:
        """Return the fitted tail."""
        if self._tail is None:
            self._tail = self._fit()
        return self._tail

    def assume(self, index: float) -> None:
        """Set the tail index that is assumed as far as nothing is known."""
        self.index, self._tail = index, None

    def tail_evidence(self) -> tuple[float, float, float]:
        """Return k, Σ ln(d_i / u) over the k longest durations, and u in seconds."""
        if self._evidence is None:
            self._evidence = self._longest()
        return self._evidence

    def _longest(self) -> tuple[float, float, float]:
        k = min(15.0, max(1.0, int(self.n * 0.1)))
        order = sorted(self.bins, reverse=True)
        above, i = 0.0, 0
        while i < len(order) and above + self.bins[order[i]] <= k + 1e-6:
            above += self.bins[order[i]]
            i += 1
        if i == len(order):  # hardly anything is known
            k, start = self.n, exp(order[-1] * _STEP) if order else 1.0
        else:  # the (k + 1)-th longest is in this bin
            start = _middle(order[i])
        return k, sum(self.bins[b] * (log(_middle(b)) - log(start)) for b in order[:i]), start

    def _fit(self) -> Tail:
        k, excess, start = self.tail_evidence()
        index = (k + self.prior_weight) / (excess + self.prior_weight / self.index)
        return Tail((k + 0.5) / (self.n + 1.0), start, index)

    def quantile(self, q: float) -> float:
        """Return the duration in seconds that a share `q` of the past didn't exceed, to a bin's width."""
        below = 0.0
        for b in sorted(self.bins):
            below += self.bins[b]
            if below >= q * self.n:
                return _middle(b)
        return 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {"bins": [[b, w] for b, w in self.bins.items()], "n": self.n, "day": self._day}

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self.bins = {int(b): float(w) for b, w in data["bins"]}
        self.n, self._day = data["n"], data["day"]
        self._evidence = self._tail = None


def bin_of(seconds: float) -> int:
    """Return the bin that a duration is counted in."""
    return min(_LAST_BIN, int(log(seconds) / _STEP)) if seconds > 1.0 else 0


def _middle(b: int) -> float:
    return exp((b + 0.5) * _STEP)
