"""How well a mean can be what it is said to be, after the data: an interval without a normal distribution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import inf, log1p, pi, sqrt, tan
from statistics import NormalDist

Scores = Callable[[float], tuple[Sequence[float], float, float]]
"""Of a parameter: each record's score, whose mean is 0 at the truth, and the least and largest possible."""


def log_ratio(scores: Sequence[float], low: float, high: float) -> float:
    """Return the empirical log-likelihood ratio against a mean of zero: 0 if that fits best.

        sup_λ Σ log(1 + λ s_i)        over all λ with 1 + λ s >= 0 for every low <= s <= high

    which is the dual of: the likelihood of the data under the best distribution on [low, high] with mean 0
    beside that of the best distribution at all. With low and high beyond the data, there may be what has not
    been seen: after n zeros, a mean of m < high costs -n log(1 - m / high) only. O(n) a Newton step, of some
    ten.

    >>> round(log_ratio([-0.1] * 30, low=-0.1, high=9.9), 3)  # 30 zeros, of up to 10: is their mean 0.1?
    0.302

    References
    ----------
    Owen, A. B. (2001). Empirical likelihood. Chapman & Hall.
    Karampatziakis, N., Langford, J. and Mineiro, P. (2020). Empirical likelihood for contextual bandits.
    NeurIPS.
    """
    if low >= 0.0 or high <= 0.0:  # zero is on the edge of what is possible, or beyond
        return 0.0 if not any(scores) else inf
    counted = list(Counter(scores).items())
    least, most = -1.0 / high, -1.0 / low
    width = most - least
    least, most = least + 1e-12 * width, most - 1e-12 * width
    lam = 0.0
    for _ in range(100):
        slope = sum(n * s / (1.0 + lam * s) for s, n in counted)
        bend = sum(n * (s / (1.0 + lam * s)) ** 2 for s, n in counted)
        if slope > 0.0:
            least = lam
        else:
            most = lam
        step = lam + slope / bend if bend > 0.0 else lam
        following = step if least < step < most else (least + most) / 2.0
        if abs(following - lam) <= 1e-10 * width:
            break
        lam = following
    return sum(n * log1p(lam * s) for s, n in counted)


def interval(
    scores: Scores, estimate: float, bounds: tuple[float, float], n: int, level: float = 0.95
) -> tuple[float, float]:
    """Return the parameters within `bounds` that the data don't refute at 1 - `level`.

        2 · log_ratio <= t²        t: quantile of Student's distribution with n - 1 degrees of freedom

    instead of the chi-squared quantile, which is too small for few records. O(n) a step, of some thirty.
    """
    limit = t_quantile((1.0 + level) / 2.0, max(1, n - 1)) ** 2 / 2.0
    ends = []
    for end in bounds:
        inside, outside = estimate, end
        if log_ratio(*scores(end)) <= limit:
            inside = end
        while abs(outside - inside) > 1e-6 * (bounds[1] - bounds[0]):
            middle = (inside + outside) / 2.0
            if log_ratio(*scores(middle)) <= limit:
                inside = middle
            else:
                outside = middle
        ends.append(outside)
    return ends[0], ends[1]


def t_quantile(p: float, degrees: int) -> float:
    """Return the quantile of Student's t, by Cornish and Fisher; to 2% from three degrees of freedom on.

    >>> round(t_quantile(0.975, 10), 2), round(t_quantile(0.975, 1000), 2)
    (2.23, 1.96)
    """
    if degrees == 1:  # the expansion is poor there, and it can be had exactly
        return tan(pi * (p - 0.5))
    if degrees == 2:
        return (2.0 * p - 1.0) / sqrt(2.0 * p * (1.0 - p))
    z = NormalDist().inv_cdf(p)
    first = (z**3 + z) / 4.0
    second = (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0
    third = (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 384.0
    return z + first / degrees + second / degrees**2 + third / degrees**3
