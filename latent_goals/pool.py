"""Votes of several contexts on the next action, each with a share that it has earned."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import log1p
from typing import Any, Final

Ballot = tuple[str, Mapping[Hashable, float], float]  # kind of context, its counts, their sum

IMAGINED: Final = 20.0  # events at the share that every context starts with
START: Final = 0.7  # that share; the distribution regardless of contexts has 1
MEMORY: Final = 2_000.0  # events; older ones are halved
MOST: Final = 31  # events in a context; more make it no better


class Pool:
    """Linear opinion pool of the contexts' relative frequencies and a base distribution.

        P(a) ∝ p₀(a) + L(a)      L(a) = Σ_c s_c n_c(a) / (n_c + 1)

    A context's share s belongs to all contexts of its kind that have been seen about as often (1, 2, 4, 8, 16
    times or more): two evenings say less than thirty. It is the mean of what it would have earned at each
    event by how much of the event it foretold, with 20 imagined events at 0.7:

        s_c ← mean of S s_c n_c(y) / (n_c + 1) / (p₀(y) + L(y)),      S = 1 + Σ s_c

    Memory is two numbers a share. Both operations are O(values counted in the contexts).

    >>> pool, base = Pool(), {"on": 0.5, "off": 0.5}
    >>> ballots = [("right", {"on": 9.0}, 9.0), ("wrong", {"off": 9.0}, 9.0)]
    >>> for _ in range(100):
    ...     pool.learn_one(base, ballots, "on", unit=1.0)
    >>> lifts = pool.lifts(base, ballots, unit=1.0)
    >>> lifts["on"] > 1.0, lifts["off"] < 0.25
    (True, True)

    References
    ----------
    Jelinek, F. and Mercer, R. L. (1980). Interpolated estimation of Markov source parameters from sparse
    data. Pattern Recognition in Practice (shares by how often a context was seen).
    Cesa-Bianchi, N. and Lugosi, G. (2006). Prediction, Learning, and Games. Cambridge University Press.
    """

    __slots__ = ("_shares",)

    def __init__(self) -> None:
        self._shares: dict[str, tuple[float, float]] = {}  # earned, events

    def lifts(
        self, base: Mapping[Hashable, float], ballots: Sequence[Ballot], unit: float
    ) -> dict[Hashable, float]:
        """Return log(1 + L / p₀) of each action that has votes; `unit` is the weight of one event."""
        votes: dict[Hashable, float] = {}
        get = votes.get
        for kind, weights, total in ballots:
            part = self._share(kind, total / unit) / (total + unit)
            for action, weight in weights.items():
                votes[action] = get(action, 0.0) + part * weight
        return {action: log1p(n / p) for action, n in votes.items() if (p := base.get(action))}

    def learn_one(
        self, base: Mapping[Hashable, float], ballots: Sequence[Ballot], y: Hashable, unit: float
    ) -> None:
        """Learn that it was `y`."""
        earned: list[tuple[str, float]] = []
        shares, whole = 1.0, base[y]
        for kind, weights, total in ballots:
            share = self._share(kind, total / unit)
            vote = share * weights.get(y, 0.0) / (total + unit)
            earned.append((_class(kind, total / unit), vote))
            shares, whole = shares + share, whole + vote
        for name, vote in earned:
            gain, events = self._shares.get(name, (START * IMAGINED, IMAGINED))
            if events >= MEMORY:
                gain, events = gain / 2.0, events / 2.0
            self._shares[name] = (gain + vote * shares / whole, events + 1.0)

    def copy(self) -> Pool:
        """Return a pool whose shares start where these are."""
        other = Pool()
        other._shares = dict(self._shares)
        return other

    def _share(self, kind: str, n: float) -> float:
        gain, events = self._shares.get(_class(kind, n), (START, 1.0))
        return gain / events

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {name: list(pair) for name, pair in self._shares.items()}

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self._shares = {name: (pair[0], pair[1]) for name, pair in data.items()}


def _class(kind: str, n: float) -> str:
    return f"{kind} * {int(min(n + 1e-9, MOST)).bit_length()}"  # floats that grew fall short of whole numbers
