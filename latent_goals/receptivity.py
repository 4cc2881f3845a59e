"""Whether this is a good moment to interrupt, learned from how interruptions were taken."""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, exp, log1p, pi, sin, sqrt, tanh
from types import MappingProxyType
from typing import Any, Final

from latent_goals.decision import Outcome, Value

WELCOME: Final[Mapping[Outcome, tuple[float, float]]] = MappingProxyType(
    {
        Outcome.ACCEPTED: (1.0, 1.0),
        Outcome.BY_HAND: (1.0, 0.25),  # awake and there, but not to be asked
        Outcome.IGNORED: (0.0, 1.0),
        Outcome.REJECTED: (0.0, 0.5),  # answered: it was more likely the suggestion than the moment
        Outcome.UNDONE: (0.0, 0.5),
    }
)
"""What an outcome says of its moment: welcome or not, and the weight of that."""

_TERMS: Final = (
    ("hour_sin", 0.0, 0.5),
    ("hour_cos", 0.0, 0.5),
    ("half_day_sin", 0.0, 0.5),
    ("half_day_cos", 0.0, 0.5),
    ("weekend", 0.0, 0.5),
    ("activity", 0.0, 0.5),  # of log(1 + changes by residents in the last quarter of an hour)
    ("prompts_hour", -0.7, 0.5),  # of log(1 + prompts in the last hour)
    ("prompts_day", -0.3, 0.5),  # of log(1 + prompts in the last day)
    ("away", -1.5, 1.0),
    ("asleep", -2.5, 1.0),
    ("level", 0.0, 1.0),
)
"""The weights' prior means and standard deviations, in log-odds."""


class Receptivity:
    """Online Bayesian logistic regression of "welcome", and what an unwelcome moment costs.

        P(welcome | x) = σ(wᵀφ(x) + offset)        w ~ N(m, S)

    After each answer, with u = Sφ, v = φᵀu and p = σ(mᵀφ + offset), one step of the extended Kalman filter:

        S ← S - k p(1-p) / (1 + k p(1-p) v) · u uᵀ        m ← m + k (y - p) / (1 + k p(1-p) v) · u

    for y, welcome or not, of weight k. Before it S moves a share `drift` of the way back to the prior, so
    that old answers fade. With nothing learned yet it says what everybody would: don't wake people, and don't
    ask too often. Predictions allow for the uncertainty of w: σ(mᵀφ / sqrt(1 + π v / 8)).

    The cost of a moment is on the scale of the bandit's rewards. The arms' values come from the moments at
    which they were shown, with the mean features φ̄. If the odds of a gain are lower than then by the factor
    e^-δ, an arm whose value was tanh(δ/2) is worth as much as silence now:

        δ = mᵀ(φ̄ - φ) / sqrt(1 + π/8 · (φ̄ - φ)ᵀS(φ̄ - φ))        cost = max(0, tanh(δ/2)), in [0, 1)

    It is the moment's, whatever is to be said: hunches, routines and goals share one model. Memory: 11 · 12
    numbers. All is O(11²).

    Features of x, each of which may be absent: `hour` (local, 0 to 24), `weekend`, `activity` (changes by
    residents in the last 15 minutes), `prompts_hour`, `prompts_day` (in the last hour, day), `occupancy`
    ("home", "away", "asleep").

    Parameters
    ----------
    drift: share of the way from what is known back to the prior, for each answer.
    baseline: answers that the moment taken for average at first (an evening at home) counts for.

    >>> model = Receptivity()
    >>> model.cost({"hour": 20.0}), model.cost({"hour": 3.0, "occupancy": "asleep"}) > 0.7
    (0.0, True)
    >>> for day in range(30):
    ...     model.learn_one({"hour": 7.0}, Outcome.IGNORED)
    ...     model.learn_one({"hour": 20.0}, Outcome.ACCEPTED)
    >>> model.cost({"hour": 7.0}) > 0.5, model.cost({"hour": 20.0})
    (True, 0.0)

    References
    ----------
    MacKay, D. J. C. (1992). The evidence framework applied to classification networks. Neural Computation 4.
    Mehrotra, A. and Musolesi, M. (2017). Intelligent notification systems: a survey of the state of the art
    and research challenges. arXiv:1711.10171.
    """

    __slots__ = ("_average", "_covariance", "_mean", "_n", "baseline", "drift")

    def __init__(self, *, drift: float = 0.002, baseline: float = 10.0) -> None:
        if not (0.0 <= drift < 1.0 and baseline > 0.0):
            raise ValueError(f"out of range: {drift=} {baseline=}")
        self.drift = drift
        self.baseline = baseline
        self._mean = [mean for _, mean, _ in _TERMS]
        self._covariance = [
            [sd * sd if i == j else 0.0 for j in range(len(_TERMS))] for i, (_, _, sd) in enumerate(_TERMS)
        ]
        self._average = features({"hour": 20.0, "occupancy": "home"})  # φ̄
        self._n = baseline

    def predict_proba_one(self, x: Mapping[str, Value]) -> float:
        """Return the probability that an interruption is welcome."""
        return _sigmoid(self._moderated(features(x)))

    def cost(self, x: Mapping[str, Value]) -> float:
        """Return what interrupting costs at this moment, on the scale of the bandit's rewards."""
        difference = [a - b for a, b in zip(self._average, features(x), strict=True)]
        return max(0.0, tanh(self._moderated(difference) / 2.0))

    def explain(self, x: Mapping[str, Value]) -> dict[str, float]:
        """Return what each feature adds to the log-odds, beside an average moment."""
        terms = zip(_TERMS, self._mean, features(x), self._average, strict=True)
        return {name: weight * (value - average) for (name, _, _), weight, value, average in terms}

    def learn_one(self, x: Mapping[str, Value], outcome: Outcome, *, offset: float = 0.0) -> None:
        """Learn how an interruption was taken.

        `offset`: log-odds by which what was said is more welcome than others, so that a bad suggestion
        doesn't make its hour a bad hour.
        """
        if outcome not in WELCOME:
            return
        y, weight = WELCOME[outcome]
        phi = features(x)
        self._fade()
        u = [_dot(row, phi) for row in self._covariance]
        p = _sigmoid(_dot(self._mean, phi) + offset)
        curvature = weight * p * (1.0 - p)
        shrink = 1.0 + curvature * _dot(u, phi)
        for i, ui in enumerate(u):
            self._mean[i] += weight * (y - p) / shrink * ui
            for j, uj in enumerate(u):
                self._covariance[i][j] -= curvature / shrink * ui * uj
        self._n = min(self._n + 1.0, 1.0 / self.drift if self.drift > 0.0 else self._n + 1.0)
        self._average = [a + (value - a) / self._n for a, value in zip(self._average, phi, strict=True)]

    def _fade(self) -> None:
        for i, (_, _, sd) in enumerate(_TERMS):
            row = self._covariance[i]
            for j, known in enumerate(row):
                row[j] = (1.0 - self.drift) * known + (self.drift * sd * sd if i == j else 0.0)

    def _moderated(self, phi: list[float]) -> float:
        variance = _dot([_dot(row, phi) for row in self._covariance], phi)
        return _dot(self._mean, phi) / sqrt(1.0 + pi / 8.0 * max(0.0, variance))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "mean": list(self._mean),
            "covariance": [list(row) for row in self._covariance],
            "average": list(self._average),
            "n": self._n,
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._mean = list(data["mean"])
        self._covariance = [list(row) for row in data["covariance"]]
        self._average, self._n = list(data["average"]), data["n"]


def features(x: Mapping[str, Value]) -> list[float]:
    """Return φ(x); what is absent adds nothing."""
    hour, occupancy = x.get("hour"), x.get("occupancy")
    circle = [0.0] * 4
    if hour is not None:
        angle = 2.0 * pi * float(hour) / 24.0
        circle = [sin(angle), cos(angle), sin(2.0 * angle), cos(2.0 * angle)]
    counts = [log1p(max(0.0, float(x.get(k) or 0.0))) for k in ("activity", "prompts_hour", "prompts_day")]
    return [
        *circle,
        float(bool(x.get("weekend"))),
        *counts,
        float(occupancy == "away"),
        float(occupancy == "asleep"),
        1.0,
    ]


def _sigmoid(z: float) -> float:
    return 1.0 / (1.0 + exp(-z)) if z >= 0.0 else 1.0 - 1.0 / (1.0 + exp(z))


def _dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))
