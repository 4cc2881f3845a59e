"""Which circumstance contributes how much to a score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import factorial
from typing import Final

MAX_PLAYERS: Final = 12


def shapley(players: Sequence[str], value: Callable[[frozenset[str]], float]) -> dict[str, float]:
    """Return the exact Shapley values: what each player adds, averaged over all orders of arrival.

        φ_i = Σ_{S ⊆ N∖{i}} |S|! (n - |S| - 1)! / n! · (v(S ∪ {i}) - v(S))

    The only split that is efficient (Σ φ_i = v(N) - v(∅)), symmetric (players who add the same get the same),
    gives nothing to a player who adds nothing, and is additive in v. With v in log-odds the parts add up to
    the score that is explained, on top of v(∅), what nobody would be surprised at.

    2^n calls of `value`, one a coalition, and O(n · 2^n) arithmetic: meant for up to six players.

    Parameters
    ----------
    players: distinct names, at most twelve.
    value: the worth of a coalition; asked once for each.

    >>> odds = {"night": 2.0, "weekend": 0.5}
    >>> both_away = lambda s: sum(odds.get(p, 0.0) for p in s) + (1.0 if {"night", "away"} <= s else 0.0)
    >>> shapley(["night", "weekend", "away"], both_away)
    {'night': 2.5, 'weekend': 0.5, 'away': 0.5}

    References
    ----------
    Shapley, L. S. (1953). A value for n-person games. Contributions to the Theory of Games II.
    Lundberg, S. and Lee, S.-I. (2017). A unified approach to interpreting model predictions. NeurIPS.
    """
    n = len(players)
    if n > MAX_PLAYERS or len(set(players)) != n:
        raise ValueError(f"shapley takes at most {MAX_PLAYERS} distinct players: {list(players)}")
    coalitions = [frozenset(c) for size in range(n + 1) for c in combinations(players, size)]
    worth = {c: value(c) for c in coalitions}
    share = [factorial(size) * factorial(n - size - 1) / factorial(n) for size in range(n)]
    return {
        p: sum(share[len(c)] * (worth[c | {p}] - worth[c]) for c in coalitions if p not in c) for p in players
    }
