"""The Beta distribution: its tail, and how likely it makes some more evidence."""

from __future__ import annotations

from math import exp, lgamma, log, log1p
from typing import Final

_TINY: Final = 1e-300
_PRECISION: Final = 1e-14
_MOST_TERMS: Final = 10_000  # sqrt(max(a, b)) are needed, about


def beta_tail(x: float, a: float, b: float) -> float:
    """Return P(X > x) of X ~ Beta(a, b), to ten decimals.

        P(X <= x) = I_x(a, b) = x^a (1-x)^b / (a B(a, b)) · 1/(1 + d₁/(1 + d₂/(1 + …)))
        d_2m+1 = -(a+m)(a+b+m) x / ((a+2m)(a+2m+1))        d_2m = m (b-m) x / ((a+2m-1)(a+2m))

    by Lentz's method, on the side of the mean where the continued fraction converges fast, which takes
    O(sqrt(max(a, b))) terms. Parameters: 0 <= x <= 1 (beyond it is clipped), a > 0, b > 0.

    >>> round(beta_tail(0.5, 1.0, 3.0), 12) == 0.5**3
    True
    >>> round(beta_tail(0.35, 181.0, 419.0), 6)  # 180 hits and 418 misses beside one of each
    0.005832

    References
    ----------
    Press, W. H., Teukolsky, S. A., Vetterling, W. T. and Flannery, B. P. (2007). Numerical recipes, 3rd
    edition, 6.4.
    """
    if x <= 0.0 or x >= 1.0:
        return 1.0 if x <= 0.0 else 0.0
    front = exp(a * log(x) + b * log1p(-x) - log_beta(a, b))
    if x < (a + 1.0) / (a + b + 2.0):
        return 1.0 - front * _fraction(x, a, b) / a
    return front * _fraction(1.0 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    numerator = 1.0
    denominator = _inverse(1.0 - (a + b) * x / (a + 1.0))
    value = denominator
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for d in (even, odd):
            denominator = _inverse(1.0 + d * denominator)
            numerator = 1.0 + d / (numerator or _TINY)
            value *= denominator * numerator
        if abs(denominator * numerator - 1.0) < _PRECISION:
            break
    return value


def _inverse(value: float) -> float:
    return 1.0 / (value or _TINY)


def log_beta(a: float, b: float) -> float:
    """Return log B(a, b)."""
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def log_evidence(a: float, b: float, gain: float, loss: float) -> float:
    """Return log E[X^gain (1-X)^loss] of X ~ Beta(a, b): how well it foretold so many hits and misses.

    >>> round(exp(log_evidence(1.0, 3.0, 1.0, 0.0)), 12)
    0.25
    """
    return log_beta(a + gain, b + loss) - log_beta(a, b)
