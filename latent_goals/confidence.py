"""How sure to be of the likeliest action: what was announced, against what came true."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from typing import Final

IMAGINED: Final = 20.0  # information on each parameter that speaks for no correction
MEMORY: Final = 1_000.0  # events; what is older fades
FINEST: Final = 1e-3  # nearer to 0 or 1 every confidence is corrected alike
APART: Final = 1e-9  # by which the likeliest stays ahead


class Confidence:
    """Online Platt scaling of the largest probability of a distribution.

        logit p' = logit p + a + b ℓ      ℓ = logit p, p cut at 0.001 and 0.999

    The map starts at a = b = 0. Each event moves it by a Newton step of the logistic regression of "it was
    the likeliest" on f = (1, ℓ), with information H that fades over 1,000 events towards 20 imagined:

        H ← (1 - 1/1000) H + 20/1000 I + p' (1 - p') f fᵀ      (a, b) ← (a, b) + H⁻¹ f (hit - p')

    Memory is five numbers. Both operations are O(1).

    >>> confidence = Confidence()
    >>> for i in range(400):
    ...     confidence.learn_one(0.9, hit=i % 3 > 0)
    >>> round(confidence.apply(0.9, 0.1), 1), Confidence().apply(0.9, 0.1)
    (0.7, 0.9)

    References
    ----------
    Platt, J. (1999). Probabilistic outputs for support vector machines and comparisons to regularized
    likelihood methods. Advances in Large Margin Classifiers.
    Gupta, C. and Ramdas, A. (2023). Online Platt scaling with calibeating. ICML.
    """

    __slots__ = ("_information", "_map")

    def __init__(self) -> None:
        self._map = (0.0, 0.0)
        self._information = (IMAGINED, 0.0, IMAGINED)

    def apply(self, sure: float, second: float) -> float:
        """Return the largest probability corrected; the second, scaled to what is left, stays below it."""
        if sure >= 1.0 or second >= sure:
            return sure
        shift = self._shift(_logit(sure))
        if not shift:
            return sure
        corrected = 1.0 / (1.0 + exp(-shift) * (1.0 - sure) / sure)
        least = second / (1.0 - sure + second)
        return min(max(corrected, least + APART), 1.0)

    def learn_one(self, sure: float, *, hit: bool) -> None:
        """Learn whether the likeliest action, of that probability before correction, was the one."""
        logit = _logit(sure)
        p = 1.0 / (1.0 + exp(-logit - self._shift(logit)))
        here, keep, fresh = p * (1.0 - p), 1.0 - 1.0 / MEMORY, IMAGINED / MEMORY
        h_aa, h_ab, h_bb = self._information
        h_aa = keep * h_aa + fresh + here
        h_ab = keep * h_ab + here * logit
        h_bb = keep * h_bb + fresh + here * logit * logit
        self._information = h_aa, h_ab, h_bb
        step = (hit - p) / (h_aa * h_bb - h_ab * h_ab)
        a, b = self._map
        self._map = a + step * (h_bb - h_ab * logit), b + step * (h_aa * logit - h_ab)

    def _shift(self, logit: float) -> float:
        a, b = self._map
        return a + b * logit

    def copy(self) -> Confidence:
        """Return a map that starts where this one is."""
        other = Confidence()
        other._map, other._information = self._map, self._information
        return other

    def to_list(self) -> list[float]:
        """Return a JSON-serialisable snapshot."""
        return [*self._map, *self._information]

    def load(self, data: Sequence[float]) -> None:
        """Restore from `to_list`."""
        a, b, h_aa, h_ab, h_bb = data
        self._map, self._information = (a, b), (h_aa, h_ab, h_bb)


def _logit(p: float) -> float:
    p = min(max(p, FINEST), 1.0 - FINEST)
    return log(p / (1.0 - p))
