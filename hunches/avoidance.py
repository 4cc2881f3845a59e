"""Whether two things avoid each other, or just haven't met."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, log, log10
from typing import Final

HARDLY: Final = 0.02
"""Share of chance's meetings that come about where two things avoid each other."""
_SWEEPS: Final = 8
_OWN_WEIGHT: Final = 2.0  # pairs that the prior share of avoiders is worth


@dataclass(frozen=True, slots=True)
class Meetings:
    """How often two things met, and what that says.

    Chance would make λ meetings (Poisson). Things that are indifferent to each other have that many, things
    that avoid each other ρλ. With N meetings had and a share π of such pairs that do avoid each other,

        odds of avoiding = π / (1 - π) · ρ^N · exp(λ (1 - ρ))
        p = P(indifferent) + P(avoiding) · (N + ρ) / (λ + 1)          score = -log10 p

    is the probability that a meeting which chance makes comes about. log p is their pointwise mutual
    information, shrunk. With little known (λ small) p is about 1 - π.

    Parameters
    ----------
    expected: λ, meetings by chance.
    had: N, meetings had (they may have faded).
    avoiders: π.

    >>> [round(Meetings(expected, had=0.0, avoiders=0.5).p, 3) for expected in (0.0, 2.0, 5.0, 10.0)]
    [0.51, 0.129, 0.011, 0.002]
    >>> round(Meetings(10.0, had=8.0, avoiders=0.9).p, 3)
    1.0

    References
    ----------
    Church, K. W. and Hanks, P. (1990). Word association norms, mutual information, and lexicography.
    Gelman, A. et al. (2013). Bayesian Data Analysis, 22. CRC.
    """

    expected: float
    had: float
    avoiders: float

    @property
    def avoiding(self) -> float:
        """Probability that they avoid each other."""
        prior = log(self.avoiders) - log(1.0 - self.avoiders)
        odds = prior + self.had * log(HARDLY) + self.expected * (1.0 - HARDLY)
        return 1.0 / (1.0 + exp(-odds)) if odds > -500.0 else 0.0

    @property
    def p(self) -> float:
        """Probability that a meeting which chance makes comes about."""
        avoiding = self.avoiding
        rate = min(1.0, (self.had + HARDLY) / (self.expected + 1.0))
        return 1.0 - avoiding + avoiding * rate

    @property
    def score(self) -> float:
        """-log10 p."""
        return max(0.0, -log10(self.p))


def share_of_avoiders(pairs: Iterable[tuple[float, float]], prior: float) -> float:
    """Return the share of pairs (λ, N) that avoid each other, by expectation maximisation from a prior.

    A pair of which little is known counts as what the others make of it. O(pairs).

    >>> careful = [(5.0, 0.0)] * 6
    >>> round(share_of_avoiders(careful, 0.5), 2), round(share_of_avoiders([(5.0, 5.0)] * 6, 0.5), 2)
    (0.87, 0.13)

    References
    ----------
    Dempster, A. P., Laird, N. M. and Rubin, D. B. (1977). Maximum likelihood from incomplete data via EM.
    """
    known, share = list(pairs), prior
    for _ in range(_SWEEPS):
        of_each = [Meetings(expected, had, share).avoiding for expected, had in known]
        share = (sum(of_each) + _OWN_WEIGHT * prior) / (len(known) + _OWN_WEIGHT)
    return share
