"""What NextAction has to beat: popularity, the last action, and plain counts in several contexts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from math import log2
from typing import Any, Protocol

X = dict[str, Any]


class Model(Protocol):
    """What is measured."""

    def predict_proba_one(self, x: X) -> dict[Hashable, float]:
        """Return the probability of each known action."""

    def learn_one(self, x: X, y: Hashable) -> None:
        """Learn an action."""

    def fit(self, streams: Iterable[Iterable[tuple[X, Hashable]]]) -> object:
        """Learn from other homes."""


class Counting:
    """Linear blend of what followed in each context, and a hard mask: what is on can only go off.

        P(a) ∝ Σ_c share_c n_c(a) / (n_c + 1)

    Other homes' counts are contexts of their own with a tenth of the share.
    """

    def __init__(self, shares: dict[str, float], *, mask: bool, tables: dict[str, Any] | None = None) -> None:
        self.shares, self.mask = shares, mask
        self.tables: dict[str, defaultdict[Hashable, Counter[Hashable]]] = tables or _tables(shares)
        self.others: dict[str, defaultdict[Hashable, Counter[Hashable]]] = {}

    def predict_proba_one(self, x: X) -> dict[Hashable, float]:
        """Return the probability of each action that its contexts know."""
        scores: dict[Hashable, float] = defaultdict(float)
        for tables, part in ((self.tables, 1.0), (self.others, 0.1)):
            for kind, table in tables.items():
                counts = table.get(_context(kind, x))
                if counts:
                    share = part * self.shares[kind] / (counts.total() + 1.0)
                    for action, n in counts.items():
                        scores[action] += share * n
        if self.mask and "open" in x:
            scores = {a: s for a, s in scores.items() if _possible(a, x["open"])} or scores
        total = sum(scores.values())
        return {action: score / total for action, score in scores.items()}

    def learn_one(self, x: X, y: Hashable) -> None:
        """Count an action in each of its contexts."""
        for kind, table in self.tables.items():
            table[_context(kind, x)][y] += 1

    def fit(self, streams: Iterable[Iterable[tuple[X, Hashable]]]) -> object:
        """Count other homes' actions."""
        everyone = Counting(self.shares, mask=False)
        for stream in streams:
            for x, y in stream:
                everyone.learn_one(x, y)
        self.others = everyone.tables
        return self


def _tables(shares: dict[str, float]) -> dict[str, Any]:
    return {kind: defaultdict(Counter) for kind in shares}


def _context(kind: str, x: X) -> Hashable:
    last = x["history"][-1:]
    if kind.startswith("last"):
        return x["history"][-n:] if (n := int(kind[4:])) else ()
    if kind == "pause":
        return (int(log2(1.0 + x["elapsed_s"])), last) if "elapsed_s" in x else None
    return x.get(kind)


def _possible(action: Hashable, on: frozenset[str]) -> bool:
    if not isinstance(action, tuple):
        return True
    entity, state = action
    return (entity in on) == (state != "on")


BLEND = {"last0": 0.1, "last1": 1.0, "last2": 1.0, "last3": 1.0, "pause": 1.0, "hour": 0.5, "motion": 0.5}

BASELINES: dict[str, Callable[[], Model]] = {
    "popularity": lambda: Counting({"last0": 1.0}, mask=False),
    "Markov 1": lambda: Counting({"last0": 0.01, "last1": 1.0}, mask=False),
    "counting blend, mask": lambda: Counting(BLEND, mask=True),
}
