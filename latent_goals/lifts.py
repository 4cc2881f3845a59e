"""How much likelier each context makes an action than the coarser context around it does."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from math import log1p


class Ladder:
    """Distributions in nested contexts, each backed off to the one around it, as lifts over that one.

        p_k(a) = (n_k(a) + m p_{k-1}(a)) / (n_k + m)        p_{-1}: the base
        lift_k(a) = log(1 + n_k(a) / (m p_{k-1}(a)))

    The lift is log p_k(a) / p_{k-1}(a) but for a constant, the same for all actions, which a log-linear
    model doesn't notice; so only actions that were seen in the context have one. Weights of 1 all the way up
    give p_k; others trust a context more or less than its counts do.

    A lift is O(values counted in the context · contexts around it).

    Parameters
    ----------
    base: the distribution over all actions; what isn't in it is left out.
    concentration: m, in the unit of the counts.

    >>> ladder = Ladder({"on": 0.5, "off": 0.5}, concentration=2.0)
    >>> lifts = ladder.lift("last 1", {"on": 3.0}, 3.0)        # p = (3 + 2 · ½) / 5 = 0.8
    >>> round(lifts["on"], 3), round(ladder.p("last 1", "on"), 3), round(ladder.p("last 1", "off"), 3)
    (1.386, 0.8, 0.2)

    References
    ----------
    MacKay, D. J. C. and Peto, L. C. B. (1995). A hierarchical Dirichlet language model. Natural Language
    Engineering 1(3).
    """

    __slots__ = ("_base", "_concentration", "_rungs")

    def __init__(self, base: Mapping[Hashable, float], *, concentration: float) -> None:
        self._base = base
        self._concentration = concentration
        # kind of context -> its counts, their sum, the kind around it
        self._rungs: dict[str, tuple[Mapping[Hashable, float], float, str | None]] = {}

    def lift(
        self, kind: str, weights: Mapping[Hashable, float], total: float, within: str | None = None
    ) -> dict[Hashable, float]:
        """Add a rung from counts, and return its lifts."""
        base, m = self._base, self._concentration
        self._rungs[kind] = (weights, total, within)
        below = base if within is None else self._all(within, weights)
        return {a: log1p(n / (m * p)) for a, n in weights.items() if (p := below.get(a))}

    def _all(self, kind: str, actions: Collection[Hashable]) -> dict[Hashable, float]:
        """Return `p` of several actions at once, for speed."""
        base, m = self._base, self._concentration
        weights, total, within = self._rungs.get(kind, ({}, 0.0, None))
        below = base if within is None else self._all(within, actions)
        return {a: (weights.get(a, 0.0) + m * p) / (total + m) for a in actions if (p := below.get(a))}

    def p(self, kind: str | None, action: Hashable) -> float:
        """Return the probability of an action in a context; without counts, in the one around it."""
        if kind not in self._rungs:
            return self._base[action]
        weights, total, within = self._rungs[kind]
        m = self._concentration
        return (weights.get(action, 0.0) + m * self.p(within, action)) / (total + m)
