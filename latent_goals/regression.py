"""Softmax regression over actions from the features at hand, learned one action at a time."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import repeat
from math import exp, sqrt
from operator import mul
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

    Memory: two floats for each of `max_features` features and `max_actions` actions (at least 64: one event
    teaches of up to 51); of both the one learned least recently goes. Scoring is O(features · actions known),
    in C; learning is O(actions) and a step for each feature and likely action.

    >>> model = Regression(max_features=8, max_actions=64)
    >>> possible = {"tea": 1.0, "coffee": 1.0}
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

    __slots__ = ("_places", "_rows", "max_actions", "max_features")

    def __init__(self, *, max_features: int, max_actions: int) -> None:
        self.max_features = max_features
        self.max_actions = max(max_actions, 64)
        self._places: dict[Hashable, int] = {}  # action -> its place in each row
        # feature -> weights, sums of squared gradients: dense, as adding rows up is most of the work; weights
        # in lists, which are read faster than arrays, and whose weights of 0 share one float
        self._rows: dict[Hashable, tuple[list[float], array[float]]] = {}

    def scores(self, features: Sequence[Hashable]) -> dict[Hashable, float]:
        """Return z of each action that a feature knows; of others it is 0."""
        rows = [row[0] for feature in features if (row := self._rows.get(feature))]
        z: list[float] = list(map(sum, zip(*rows, strict=True))) or [0.0] * len(self._places)
        return {action: z[place] for action, place in self._places.items() if z[place]}

    def learn_one(
        self,
        possible: Mapping[Hashable, float],
        features: Sequence[Hashable],
        scores: Mapping[Hashable, float],
        y: Hashable,
    ) -> None:
        """Learn that it was `y`, where the features gave these scores, to actions so far possible."""
        z: Iterable[float] = map(scores.get, possible, repeat(0.0))
        if max(scores.values(), default=0.0) > SCORE_CAP:
            z = map(min, z, repeat(SCORE_CAP))
        chance = list(map(mul, possible.values(), map(exp, z)))
        total = sum(chance) or 1.0
        least = LEAST * total
        likely = {a: p / total for a, p in zip(possible, chance, strict=True) if p > least or a == y}
        here = likely.pop(y, 0.0)
        slopes = [*likely.items(), (y, here - 1.0)]
        steps = [(self._place(a), RATE * slope, slope * slope) for a, slope in slopes]
        for feature in features:
            row = self._rows.pop(feature, None) or self._row()
            self._rows[feature] = row  # the last to go from now on
            weights, squares = row
            for place, step, square in steps:
                squares[place] = so_far = squares[place] + square
                weights[place] -= step / sqrt(so_far)
        while len(self._rows) > self.max_features:
            del self._rows[next(iter(self._rows))]

    def _place(self, action: Hashable) -> int:
        """Return the place of an action to be learned, perhaps that of the one learned least recently."""
        places = self._places
        place = places.pop(action, None)
        if place is None and len(places) < self.max_actions:
            place = len(places)
            for weights, squares in self._rows.values():
                weights.append(0.0)
                squares.append(START)
        elif place is None:
            place = places.pop(next(iter(places)))
            for weights, squares in self._rows.values():
                weights[place], squares[place] = 0.0, START
        places[action] = place  # the last to go from now on
        return place

    def _row(self) -> tuple[list[float], array[float]]:
        size = len(self._places)
        return [0.0] * size, array("d", [START]) * size

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "actions": [[pack(action), place] for action, place in self._places.items()],
            "rows": [
                [pack(feature), [[i, w, squares[i]] for i, w in enumerate(weights) if w]]
                for feature, (weights, squares) in self._rows.items()
            ],
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self._places = {unpack(action): place for action, place in data["actions"]}
        self._rows = {}
        for feature, values in data["rows"]:
            self._rows[unpack(feature)] = weights, squares = self._row()
            for place, weight, square in values:
                weights[place], squares[place] = weight, square
