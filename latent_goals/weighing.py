"""Weights of a log-linear model over actions, learned as it predicts."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import repeat
from math import copysign, exp
from operator import mul, truediv
from typing import Any, Final, Self

Column = tuple[str, Mapping[Hashable, float]]  # name of the weight, value of each action that isn't at 0

CAP: Final = 60.0  # nats of evidence; exp stays finite


class Weights:
    """Conditional logit: p(a) ∝ p₀(a) exp Σᵢ wᵢ fᵢ(a), with one weight a column of features.

    A weight starts at its prior mean w⁰ᵢ with precision λᵢ. Each event then moves it by a diagonal Newton
    step on the log-likelihood, so that it follows the average of all events rather than the latest:

        hᵢ += Var_p fᵢ       wᵢ += (fᵢ(y) - E_p fᵢ) / (λᵢ + hᵢ)

    Memory is one pair of numbers a name. Both operations are O(values in the columns).

    Parameters
    ----------
    priors: mean and precision of the weights whose name starts so; the longest start counts.

    >>> weights = Weights({"": (0.0, 1.0)})
    >>> for _ in range(50):
    ...     columns = [("right", {"tea": 1.0}), ("wrong", {"coffee": 1.0})]
    ...     p = weights.apply({"tea": 0.5, "coffee": 0.5}, columns)
    ...     weights.learn_one(p, columns, "tea")
    >>> weights.apply({"tea": 0.5, "coffee": 0.5}, columns)["tea"] > 0.9
    True

    References
    ----------
    McFadden, D. (1974). Conditional logit analysis of qualitative choice behavior. Frontiers in Econometrics.
    Mattern, C. (2012). Mixing strategies in data compression. Data Compression Conference (geometric mixing).
    Opper, M. (1998). A Bayesian approach to on-line learning. On-line Learning in Neural Networks.
    """

    __slots__ = ("_learned", "_priors", "_start")

    def __init__(self, priors: Mapping[str, tuple[float, float]]) -> None:
        self._priors = dict(sorted(priors.items(), key=lambda item: -len(item[0])))
        self._start: dict[str, tuple[float, float]] = {}  # what a name begins with, looked up once
        self._learned: dict[str, tuple[float, float]] = {}

    def apply(self, base: Mapping[Hashable, float], columns: Sequence[Column]) -> dict[Hashable, float]:
        """Return the distribution over the actions of `base`."""
        evidence = dict.fromkeys(base, 0.0)
        for name, values in columns:
            weight = self._of(name)[0]
            if weight:
                for action, value in values.items():
                    evidence[action] += weight * value
        nats: Iterable[float] = evidence.values()
        if max(map(abs, nats), default=0.0) > CAP:
            nats = [n if -CAP < n < CAP else copysign(CAP, n) for n in nats]
        p = list(map(mul, base.values(), map(exp, nats)))
        return dict(zip(base, map(truediv, p, repeat(sum(p))), strict=False))

    def learn_one(self, p: Mapping[Hashable, float], columns: Sequence[Column], y: Hashable) -> None:
        """Learn that it was `y`, where `p` was predicted."""
        for name, values in columns:
            parts = list(map(mul, map(p.__getitem__, values), values.values()))
            mean, square = sum(parts), sum(map(mul, parts, values.values()))
            weight, precision = self._of(name)
            precision += max(square - mean * mean, 0.0)
            self._learned[name] = (weight + (values.get(y, 0.0) - mean) / precision, precision)

    def copy(self) -> Self:
        """Return weights that start where these are."""
        other = type(self)(self._priors)
        other._learned = dict(self._learned)
        return other

    def _of(self, name: str) -> tuple[float, float]:
        found = self._learned.get(name) or self._start.get(name)
        if found is None:
            found = next(prior for start, prior in self._priors.items() if name.startswith(start))
            self._start[name] = found
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {name: list(pair) for name, pair in self._learned.items()}

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self._learned = {name: (pair[0], pair[1]) for name, pair in data.items()}
