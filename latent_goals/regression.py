"""Softmax regression over actions from the features at hand, learned one action at a time."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import exp, sqrt
from typing import Any, Final

from devices.counting import pack, unpack

RATE: Final = 0.15  # nats that a weight first moves by
START: Final = 0.1  # imagined sum of squared gradients
LEAST: Final = 0.02  # probability below which an action that didn't happen teaches nothing
SCORE_CAP: Final = 60.0  # nats; exp stays finite


class Regression:
    """Multinomial logistic regression with sparse binary features and AdaGrad steps.

        p(a) ∝ possible(a) exp z_a      z_a = Σ_f θ_fa
        g_a = p(a) - [a = y]      G_fa += g_a²      θ_fa -= 0.15 g_a / √G_fa

    Counts know what followed a whole context, and nothing of one not seen yet; here each feature adds its
    part. The two err differently, so that both together are better than either. Only actions of at least 2%
    are pushed away, which saves most of the work.

    Memory: `max_features` features of `max_values` actions; the feature learned least recently goes, and of
    its actions the quarter with the weakest weights. Both operations are O(actions known of each feature).

    >>> model, possible = Regression(max_features=8, max_values=8), {"tea": 1.0, "coffee": 1.0}
    >>> for _ in range(50):
    ...     for features, y in ((("morning", "sugar"), "coffee"), (("evening", "sugar"), "tea")):
    ...         model.learn_one(possible, features, model.scores(features), y)
    >>> z = model.scores(("morning", "milk"))
    >>> z["coffee"] > 1.0 > -1.0 > z["tea"]
    True

    References
    ----------
    Duchi, J., Hazan, E. and Singer, Y. (2011). Adaptive subgradient methods for online learning and
    stochastic optimization. Journal of Machine Learning Research 12.
    """

    __slots__ = ("_rows", "max_features", "max_values")

    def __init__(self, *, max_features: int, max_values: int) -> None:
        self.max_features = max_features
        self.max_values = max_values
        # feature -> weight of each action, sum of its squared gradients
        self._rows: dict[Hashable, tuple[dict[Hashable, float], dict[Hashable, float]]] = {}

    def scores(self, features: Sequence[Hashable]) -> dict[Hashable, float]:
        """Return z of each action that a feature knows; of others it is 0."""
        z: dict[Hashable, float] = {}
        get = z.get
        for feature in features:
            if row := self._rows.get(feature):
                for action, weight in row[0].items():
                    z[action] = get(action, 0.0) + weight
        return z

    def learn_one(
        self,
        possible: Mapping[Hashable, float],
        features: Sequence[Hashable],
        scores: Mapping[Hashable, float],
        y: Hashable,
    ) -> None:
        """Learn that it was `y`, where the features gave these scores, to actions so far possible."""
        chance = {a: p * exp(min(scores.get(a, 0.0), SCORE_CAP)) for a, p in possible.items()}
        total = sum(chance.values()) or 1.0
        slopes = [(a, p / total) for a, p in chance.items() if p > LEAST * total and a != y]
        slopes.append((y, chance.get(y, 0.0) / total - 1.0))
        steps = [(a, slope, slope * slope) for a, slope in slopes]
        for feature in features:
            row = self._rows.pop(feature, None) or ({}, {})
            self._rows[feature] = row  # the last to go from now on
            weights, squares = row
            for a, slope, square in steps:
                squares[a] = so_far = squares.get(a, START) + square
                weights[a] = weights.get(a, 0.0) - RATE * slope / sqrt(so_far)
            if len(weights) > self.max_values:  # a quarter goes at once, as finding the weakest takes a while
                for a in sorted(weights, key=lambda a: abs(weights[a]))[: -3 * self.max_values // 4]:
                    del weights[a], squares[a]
        while len(self._rows) > self.max_features:
            del self._rows[next(iter(self._rows))]

    def to_list(self) -> list[Any]:
        """Return a JSON-serialisable snapshot."""
        return [
            [pack(feature), [[pack(a), w, squares[a]] for a, w in weights.items()]]
            for feature, (weights, squares) in self._rows.items()
        ]

    def load(self, data: Sequence[Any]) -> None:
        """Restore from `to_list`."""
        self._rows = {}
        for feature, values in data:
            actions = [(unpack(a), w, s) for a, w, s in values]
            self._rows[unpack(feature)] = ({a: w for a, w, _ in actions}, {a: s for a, _, s in actions})
