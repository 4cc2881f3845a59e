"""What is known of an arm's value, by circumstances, and that it may have changed at any time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import exp, log
from typing import Any, Final, NamedTuple

from latent_goals.beta import beta_tail, log_evidence

_MOST_CELLS: Final = 24  # circumstances of one arm that are told apart
_REST: Final = "…"  # all others


class Rewards(NamedTuple):
    """How many rewards there were, their sum, and the sum of their squares."""

    n: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def plus(self, other: Rewards, scale: float = 1.0) -> Rewards:
        """Return both together, the other one scaled."""
        return Rewards(*(a + scale * b for a, b in zip(self, other, strict=True)))

    def beta(self) -> tuple[float, float]:
        """Return a and b of a Beta distribution of (1 + value) / 2; needs different rewards in it."""
        mean = self.total / self.n
        variance = (self.squares / self.n - mean * mean) / (self.n + 1.0)
        strength = (1.0 - mean * mean) / variance - 1.0
        return strength * (1.0 + mean) / 2.0, strength * (1.0 - mean) / 2.0


_NONE: Final = Rewards()


@dataclass(slots=True)
class _Segment:
    """The rewards, by cell, if the arm last changed when this segment began."""

    weight: float
    cells: dict[str, Rewards] = field(default_factory=dict)
    all: Rewards = _NONE

    def add(self, cell: str, rewards: Rewards) -> None:
        self.cells[cell] = self.cells.get(cell, _NONE).plus(rewards)
        self.all = self.all.plus(rewards)


class Arm:
    """A value in [-1, 1] that can change without notice: Bayesian change-point detection over Betas.

    The value v is the expected reward of showing the arm. If it never changes and rewards come from a fixed
    set, the posterior of their probabilities is a Dirichlet distribution, under which, after n rewards
    (those of the prior among them) with mean m and mean square q,

        E[v] = m        Var[v] = (q - m²) / (n + 1)

    (1 + v) / 2 is taken to have the Beta distribution with these two moments. Where all rewards are +1 or -1
    that is exact: Beta(a₀ + acceptances, b₀ + rejections). Where they lie in between, a hundred times nothing
    is known to be nothing, other than if it were a hundred coins. A reward beyond ±1 counts as |r| rewards,
    but as one when it comes to whether something has changed.

    Before each reward the value changes with probability h, and then what was known is void. So the posterior
    is a mixture over when it changed last. Older segments s, and the new one, get

        w_s ∝ (1-h) w_s · E_s[p^z (1-p)^(1-z)]        w_new ∝ h · E₀[p^z (1-p)^(1-z)]        z = (1+r)/2

    so that an arm that was good a thousand times needs a handful of bad rewards, not a thousand, while one
    that always had a few takes them as before. Within a segment each cell (circumstances) has its own value;
    its prior holds what the other cells saw, scaled down to `pool` rewards at most.

    With h = 0 and one cell it is the Beta posterior of Thompson sampling.
    Memory: `segments` · 25 cells. Everything is O(segments).

    Parameters
    ----------
    prior: a₀ and b₀, rewards of +1 and of -1 that were there from the beginning.
    hazard: h, probability of a change before a reward.
    pool: rewards that the other cells count for at most.
    segments: that are kept, the likeliest ones.

    >>> arm = Arm()
    >>> for _ in range(1000):
    ...     arm.learn_one("evening", 1.0)
    >>> for _ in range(4):
    ...     arm.learn_one("evening", -1.0)
    >>> round(arm.tail("evening"), 3), round(arm.tail("morning"), 3)
    (0.066, 0.102)

    References
    ----------
    Adams, R. P. and MacKay, D. J. C. (2007). Bayesian online changepoint detection. arXiv:0710.3742.
    Mellor, J. and Shapiro, J. (2013). Thompson sampling in switching environments with Bayesian online
    change detection. AISTATS.
    """

    __slots__ = ("_prior", "_segments", "hazard", "pool", "segments")

    def __init__(
        self,
        *,
        prior: tuple[float, float] = (1.0, 1.0),
        hazard: float = 0.03,
        pool: float = 3.0,
        segments: int = 16,
    ) -> None:
        if not (min(prior) > 0.0 and 0.0 <= hazard < 1.0 and pool >= 0.0 and segments >= 2):
            raise ValueError(f"out of range: {prior=} {hazard=} {pool=} {segments=}")
        self._prior = Rewards(sum(prior), prior[0] - prior[1], sum(prior))
        self.hazard = hazard
        self.pool = pool
        self.segments = segments
        self._segments = [_Segment(1.0)]

    @property
    def cells(self) -> tuple[str, ...]:
        """The circumstances in which there were rewards."""
        return tuple(sorted({cell for s in self._segments for cell in s.cells}))

    def tail(self, cell: str, value: float = 0.0, *, and_also: Rewards = _NONE) -> float:
        """Return P(v > value) in a cell, had there been some more rewards than are known."""
        threshold = (1.0 + value) / 2.0
        return sum(w * beta_tail(threshold, *known.plus(and_also).beta()) for w, known in self._mixture(cell))

    def mean(self, cell: str) -> float:
        """Return E[v] in a cell."""
        return sum(w * known.total / known.n for w, known in self._mixture(cell))

    def posterior(self, cell: str) -> list[tuple[float, float, float]]:
        """Return the posterior of (1 + v) / 2 as a mixture of Betas: their weights, a and b."""
        return [(w, *known.beta()) for w, known in self._mixture(cell)]

    def learn_one(self, cell: str, reward: float) -> None:
        """Take note of what showing the arm in a cell brought."""
        times = max(1.0, abs(reward))
        z = (1.0 + reward / times) / 2.0
        if cell not in self.cells and len(self.cells) >= _MOST_CELLS:
            cell = _REST
        stay = 1.0 - self.hazard
        scores = [log(w * stay) + log_evidence(*k.beta(), z, 1.0 - z) for w, k in self._mixture(cell)]
        if self.hazard > 0.0:
            scores.append(log(self.hazard) + log_evidence(*self._prior.beta(), z, 1.0 - z))
            self._segments.append(_Segment(1.0))
        highest = max(scores)
        for segment, score in zip(self._segments, scores, strict=True):
            segment.weight = exp(score - highest)
            segment.add(cell, Rewards(times, reward, reward * reward / times))
        self._prune()

    def _prune(self) -> None:
        if len(self._segments) > self.segments:
            self._segments.remove(min(self._segments, key=lambda s: s.weight))
        self._segments = [s for s in self._segments if s.weight > 1e-12]
        total = sum(s.weight for s in self._segments)
        for segment in self._segments:
            segment.weight /= total

    def _mixture(self, cell: str) -> Iterator[tuple[float, Rewards]]:
        for segment in self._segments:
            own = segment.cells.get(cell, _NONE)
            others = segment.all.plus(own, -1.0)
            scale = min(1.0, self.pool / others.n) if others.n > 0.5 else 0.0
            yield segment.weight, self._prior.plus(own).plus(others, scale)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "segments": [
                {"weight": s.weight, "cells": {c: list(r) for c, r in s.cells.items()}, "all": list(s.all)}
                for s in self._segments
            ]
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._segments = [
            _Segment(s["weight"], {c: Rewards(*r) for c, r in s["cells"].items()}, Rewards(*s["all"]))
            for s in data["segments"]
        ]
