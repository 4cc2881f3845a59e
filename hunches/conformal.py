"""How often a score as high as this is to be expected, by a home's own past."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any, Final

CLAIMED: Final = 1.0 / log(10.0)
"""Mean excess of a score that is what it claims to be: -log10 of a p-value has an exponential tail."""
_MOST: Final = 15.0  # scores that the tail is fitted to


@dataclass(slots=True)
class _Seen:
    day: float
    score: float
    weight: float


class Conformal:
    """p-value of a score against earlier ones: a conformal rank, and a tail beyond the ranks.

    With n = Σ w_i the faded weight of the earlier scores and k that of those at least as high, the new one's
    rank gives the bounds

        k / (n + 1) <= p <= (k + 1) / (n + 1)

    The upper one is valid for any exchangeable scores, and of no use for what should happen once in a hundred
    days when thirty are known. Between the bounds, p is what the tail says. It begins at u, the score that
    half of the earlier ones (at most 15) reach, not below `floor`, and falls as an exponential whose mean is
    unknown, with a Gamma prior worth `trust` excesses of mean `scale`: a generalised Pareto tail, the heavier
    the less is known,

        p(s) = (k_u + 1) / (n + 1) · (1 + (s - u) / b)^-(a + m)    b = a · scale + Σ w_i (s_i - u)⁺, a = trust

    where m is the weight of the scores above u. So p is super-uniform for any exchangeable scores down to
    1/(n + 1), and below that as long as their tail is no heavier than an exponential one of any slope.

    Memory: the last `memory` scores. `learn_one` is O(1), `p` O(memory · log memory).

    Parameters
    ----------
    floor: scores below count as "nothing that day"; none between 0 and the floor is to be learned.
    scale: mean excess that is expected before anything is known; 1 / ln 10 for honest -log10 p.
    trust: earlier scores that this is worth.
    half_life_days: time in which the weight of a score halves.
    memory: scores that are remembered.

    >>> c = Conformal()
    >>> for day, score in enumerate([1.2, 2.1, 1.6, 1.4, 2.5, 1.1, 1.9, 1.5]):
    ...     c.learn_one(score, day=day)
    >>> [round(c.p(score, day=8), 4) for score in (1.0, 2.0, 3.0, 6.0)]
    [1.0, 0.2575, 0.0527, 0.0019]

    References
    ----------
    Vovk, V., Gammerman, A. and Shafer, G. (2005). Algorithmic Learning in a Random World. Springer.
    Barber, R., Candès, E., Ramdas, A. and Tibshirani, R. (2023). Conformal prediction beyond
    exchangeability. Annals of Statistics 51(2). Coles, S. (2001). An Introduction to Statistical Modeling of
    Extreme Values. Springer.
    """

    __slots__ = ("_seen", "floor", "half_life_days", "scale", "trust")

    def __init__(
        self,
        *,
        floor: float = 0.0,
        scale: float = CLAIMED,
        trust: float = 3.0,
        half_life_days: float = 60.0,
        memory: int = 180,
    ) -> None:
        self.floor = floor
        self.scale = scale
        self.trust = trust
        self.half_life_days = half_life_days
        self._seen: deque[_Seen] = deque(maxlen=memory)

    def learn_one(self, score: float, *, day: float, weight: float = 1.0) -> None:
        """Remember a score; `weight` is how sure it is that nothing was wrong."""
        self._seen.append(_Seen(day, score, weight))

    def reweigh(self, day: float, weight: float) -> None:
        """Change how sure it is that nothing was wrong on a day."""
        for seen in self._seen:
            if seen.day == day:
                seen.weight = weight

    def n(self, day: float) -> float:
        """Return the faded weight of what is known."""
        return sum(w for _, w in self._faded(day))

    def p(self, score: float, *, day: float) -> float:
        """Return the probability of a score at least as high, where all is as it was."""
        known = sorted(self._faded(day), reverse=True)
        n = sum(w for _, w in known)
        k = sum(w for s, w in known if s >= score)
        least, most = k / (n + 1.0), (k + 1.0) / (n + 1.0)
        start = max(self.floor, _reached_by(min(_MOST, n / 2.0), known))
        if score <= start:
            return most
        k_start = sum(w for s, w in known if s >= start)
        above = [(s - start, w) for s, w in known if s > start]
        excess = self.trust * self.scale + sum(x * w for x, w in above)
        shape = self.trust + sum(w for _, w in above)
        tail = (k_start + 1.0) / (n + 1.0) * (1.0 + (score - start) / excess) ** -shape
        return float(min(most, max(least, tail)))

    def _faded(self, day: float) -> list[tuple[float, float]]:
        per_day = 0.5 ** (1.0 / self.half_life_days)
        return [(x.score, x.weight * per_day ** max(0.0, day - x.day)) for x in self._seen]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {"seen": [[x.day, x.score, x.weight] for x in self._seen]}

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._seen = deque((_Seen(*x) for x in data["seen"]), maxlen=self._seen.maxlen)


def _reached_by(weight: float, known: list[tuple[float, float]]) -> float:
    """Return the highest score that this much weight (sorted by falling score) reaches; 0 if nothing does."""
    total = 0.0
    for score, w in known:
        total += w
        if total >= weight:
            return score
    return 0.0
