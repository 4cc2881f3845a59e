"""What is known of an arm's value, by circumstances, and that it may have changed at any time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from latent_goals.beta import beta_tail

_MOST_CELLS: Final = 24  # circumstances of one arm that are told apart
_REST: Final = "…"  # all others
_FAIR: Final = -0.5  # rewards from here to zero are neither good nor bad
_SLIPS: Final = 0.1  # share of answers that are as likely good, fair or bad whatever is known
_SURELY: Final = 1e-12  # weight below which a segment is forgotten


class Rewards(NamedTuple):
    """Sums over rewards, one beyond ±1 as several; and how many showings were good, fair and bad."""

    n: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    good: float = 0.0
    fair: float = 0.0
    bad: float = 0.0

    @classmethod
    def of(cls, reward: float) -> Rewards:
        """Return those of one showing."""
        times = max(1.0, abs(reward))
        good, bad = float(reward > 0.0), float(reward <= _FAIR)
        return cls(times, reward, reward * reward / times, good, 1.0 - good - bad, bad)

    def plus(self, other: Rewards, scale: float = 1.0) -> Rewards:
        """Return both together, the other one scaled."""
        return Rewards(*(a + scale * b for a, b in zip(self, other, strict=True)))

    def beta(self) -> tuple[float, float]:
        """Return a and b of a Beta distribution of (1 + value) / 2; needs different rewards in it."""
        mean = self.total / self.n
        variance = (self.squares / self.n - mean * mean) / (self.n + 1.0)
        strength = (1.0 - mean * mean) / variance - 1.0
        return strength * (1.0 + mean) / 2.0, strength * (1.0 - mean) / 2.0

    def foretold(self, one: Rewards) -> float:
        """Return how likely these made a showing as good, fair or bad as `one`."""
        likely = self.good * one.good + self.fair * one.fair + self.bad * one.bad
        return (1.0 - _SLIPS) * likely / (self.good + self.fair + self.bad) + _SLIPS / 3.0


_NONE: Final = Rewards()


@dataclass(slots=True)
class _Segment:
    """The rewards, by cell, if the arm last changed when this segment began."""

    alike: float  # probability that it did, and that its cells have one value
    apart: float  # and that each cell has its own
    cells: dict[str, Rewards] = field(default_factory=dict)
    all: Rewards = _NONE

    @property
    def weight(self) -> float:
        return self.alike + self.apart

    def add(self, cell: str, rewards: Rewards) -> None:
        self.cells[cell] = self.cells.get(cell, _NONE).plus(rewards)
        self.all = self.all.plus(rewards)


class Arm:
    """A value in [-1, 1] that circumstances may change, and time without notice.

    The value v is the expected reward of showing the arm. If it never changes and rewards come from a fixed
    set, the posterior of their probabilities is a Dirichlet distribution, under which, after n rewards
    (those of the prior among them) with mean m and mean square q,

        E[v] = m        Var[v] = (q - m²) / (n + 1)

    (1 + v) / 2 is taken to have the Beta distribution with these two moments. Where all rewards are +1 or -1
    that is exact: Beta(a₀ + acceptances, b₀ + rejections). Where they lie in between, a hundred times nothing
    is known to be nothing, other than if it were a hundred coins. A reward beyond ±1 counts as |r| rewards.

    Two things aren't known, so the posterior is a mixture over them: when the value changed last (it does so
    with probability h before a reward, and then what was known is void), and whether each cell
    (circumstances) has its own value since then or all have the same. Each pair is weighed by how well it
    foretold whether the next showing was good (r > 0), fair or bad (r <= -1/2), slips allowed for:

        w ∝ (1-h) w · L_k(n)      L_k(n) = 0.9 (α_k + n_k) / (α + n) + 0.1 / 3      α = 1/2, 1/4, 1/2
        w_new ∝ h · L_k(0)        k: good, fair or bad; a new segment's is shared out by `alike`

    So an arm that was good a thousand times needs a handful of bad showings, not a thousand, while one that
    always had some takes them as before; and one that is refused in the morning is tried in the evening, and
    after a few acceptances there it is known that the two differ. Where cells differ, what the others saw
    still counts, scaled down to `pool` rewards at most.

    With h = 0 and one cell it is the Beta posterior of Thompson sampling.
    Memory: `segments` · 25 cells. Everything is O(segments).

    Parameters
    ----------
    prior: a₀ and b₀, rewards of +1 and of -1 that were there from the beginning.
    hazard: h, probability of a change before a reward.
    alike: prior probability that circumstances make no difference.
    pool: rewards that the other cells count for at most, where they do.
    segments: that are kept, the likeliest ones.

    >>> arm = Arm()
    >>> for _ in range(1000):
    ...     arm.learn_one("evening", 1.0)
    >>> for _ in range(4):
    ...     arm.learn_one("evening", -1.0)
    >>> round(arm.tail("evening"), 3), round(arm.tail("morning"), 3)
    (0.057, 0.141)

    References
    ----------
    Adams, R. P. and MacKay, D. J. C. (2007). Bayesian online changepoint detection. arXiv:0710.3742.
    Mellor, J. and Shapiro, J. (2013). Thompson sampling in switching environments with Bayesian online
    change detection. AISTATS.
    """

    __slots__ = ("_prior", "_segments", "alike", "hazard", "pool", "segments")

    def __init__(
        self,
        *,
        prior: tuple[float, float] = (1.0, 1.0),
        hazard: float = 0.02,
        alike: float = 0.6,
        pool: float = 1.0,
        segments: int = 16,
    ) -> None:
        if not (min(prior) > 0.0 and 0.0 <= hazard < 1.0 and pool >= 0.0 and segments >= 2):
            raise ValueError(f"out of range: {prior=} {hazard=} {pool=} {segments=}")
        if not 0.0 <= alike <= 1.0:
            raise ValueError(f"out of range: {alike=}")
        self._prior = Rewards(sum(prior), prior[0] - prior[1], sum(prior), 0.5, 0.25, 0.5)
        self.hazard = hazard
        self.alike = alike
        self.pool = pool
        self.segments = segments
        self._segments = [_Segment(alike, 1.0 - alike)]

    @property
    def cells(self) -> tuple[str, ...]:
        """The circumstances in which there were rewards."""
        return tuple(sorted({cell for s in self._segments for cell in s.cells}))

    def tail(self, cell: str, value: float = 0.0) -> float:
        """Return P(v > value) in a cell."""
        threshold = (1.0 + value) / 2.0
        return sum(w * beta_tail(threshold, *known.beta()) for w, known in self._mixture(cell))

    def mean(self, cell: str) -> float:
        """Return E[v] in a cell."""
        return sum(w * known.total / known.n for w, known in self._mixture(cell))

    def in_vain(self, cell: str, enough: float) -> float:
        """Return the bad showings to be expected since the last change, unless `enough` were good."""
        since = ((w, known.plus(self._prior, -1.0)) for w, known in self._mixture(cell))
        return sum(w * seen.bad for w, seen in since if seen.good < enough)

    def posterior(self, cell: str) -> list[tuple[float, float, float]]:
        """Return the posterior of (1 + v) / 2 as a mixture of Betas: their weights, a and b."""
        return [(w, *known.beta()) for w, known in self._mixture(cell)]

    def supposing(self, cell: str, reward: float, times: int) -> Arm:
        """Return what would be known after as many such rewards."""
        other = Arm(hazard=self.hazard, alike=self.alike, pool=self.pool, segments=self.segments)
        other._prior = self._prior
        other._segments = [_Segment(s.alike, s.apart, dict(s.cells), s.all) for s in self._segments]
        for _ in range(times):
            other.learn_one(cell, reward)
        return other

    def learn_one(self, cell: str, reward: float) -> None:
        """Take note of what showing the arm in a cell brought."""
        seen = Rewards.of(reward)
        if cell not in self.cells and len(self.cells) >= _MOST_CELLS:
            cell = _REST
        stay = 1.0 - self.hazard
        for segment in self._segments:
            alike, apart = self._known(segment, cell)
            segment.alike *= stay * alike.foretold(seen)
            segment.apart *= stay * apart.foretold(seen)
        new = self.hazard * self._prior.foretold(seen)
        self._segments.append(_Segment(new * self.alike, new * (1.0 - self.alike)))
        for segment in self._segments:
            segment.add(cell, seen)
        self._prune()

    def _prune(self) -> None:
        total = sum(s.weight for s in self._segments)
        for segment in self._segments:
            segment.alike /= total
            segment.apart /= total
        self._segments = [s for s in self._segments if s.weight > _SURELY]
        if len(self._segments) > self.segments:
            self._segments.remove(min(self._segments, key=lambda s: s.weight))

    def _mixture(self, cell: str) -> Iterator[tuple[float, Rewards]]:
        total = sum(s.weight for s in self._segments)
        for segment in self._segments:
            alike, apart = self._known(segment, cell)
            if alike == apart:  # nothing was seen elsewhere
                yield segment.weight / total, alike
            else:
                yield segment.alike / total, alike
                yield segment.apart / total, apart

    def _known(self, segment: _Segment, cell: str) -> tuple[Rewards, Rewards]:
        """Return what tells of a cell in a segment: where cells are alike, and where they differ."""
        alike = self._prior.plus(segment.all)
        own = segment.cells.get(cell, _NONE)
        others = segment.all.plus(own, -1.0)
        if others.n <= max(self.pool, 0.5):
            return alike, alike
        return alike, self._prior.plus(own).plus(others, self.pool / others.n)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "segments": [
                {
                    "weights": [s.alike, s.apart],
                    "cells": {c: list(r) for c, r in s.cells.items()},
                    "all": list(s.all),
                }
                for s in self._segments
            ]
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._segments = [
            _Segment(
                s["weights"][0],
                s["weights"][1],
                {c: Rewards(*r) for c, r in s["cells"].items()},
                Rewards(*s["all"]),
            )
            for s in data["segments"]
        ]
