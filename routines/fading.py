"""Whether a habit has faded: what was right three times in four, and no longer is."""

from __future__ import annotations

from math import comb
from typing import Final

from routines.validation import ASK_FIRST

SURPRISING: Final = 0.01
"""Probability of so few wins, were the routine still worth asking about, below which it no longer is."""


def still_worth_asking(wins: int, losses: int) -> float:
    """Return the probability of at most so many wins of a routine that is still just worth asking about.

        p = P(X ≤ wins),   X ~ Binomial(wins + losses, r / (r + 1)),   r = `ASK_FIRST` wins for each loss

    A routine that is asked about each night is tested each night, so `SURPRISING` is small: four losses
    without a win, five with one, six with two. Complexity: O(wins).

    >>> round(still_worth_asking(0, 4), 4), round(still_worth_asking(2, 3), 4)
    (0.0039, 0.1035)
    >>> still_worth_asking(0, 3) > SURPRISING > still_worth_asking(1, 5)
    True
    """
    share, n = ASK_FIRST / (ASK_FIRST + 1.0), wins + losses
    return sum(comb(n, k) * share**k * (1.0 - share) ** (n - k) for k in range(wins + 1))
