"""Where a walk through states ends: absorbing Markov chains, small enough for pure Python."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from math import comb
from typing import TypeVar

S = TypeVar("S", bound=Hashable)


def absorption(paths: Iterable[Sequence[S]], extra: Iterable[S] = ()) -> dict[S, dict[S, float]]:
    """Return for each state the probability that a walk that is there ends in each of the states.

    Each path is a walk whose last state was kept. States are transient; "x is kept" is absorbing, one for
    each state x. With n(x, y) the moves from x to y, k(x) the walks that ended in x, and one more ending
    for each state, so that what was hardly seen is taken for kept (and no state is left for certain):

        N(x) = Σ_y n(x, y) + k(x) + 1,   Q[x, y] = n(x, y) / N(x),   R[x, x] = (k(x) + 1) / N(x),
        B = (I - Q)⁻¹ R,                 B[x, y] = P(the walk ends in y | it is in x).

    The rows of B sum to 1. I - Q is strictly diagonally dominant, so that elimination needs no pivots.

    Parameters: `extra` are states to include that no path has. Complexity: O(s³) for s states.

    References: Kemeny & Snell, Finite Markov Chains (Springer 1976), chapter 3; Ponnusamy et al.,
    "Feedback-based self-learning in large-scale conversational AI agents" (AAAI 2020), where the states are
    a customer's phrasings of one request.

    >>> ends = absorption([["100%", "40%"], ["100%", "40%"], ["100%", "40%"], ["100%"]])
    >>> {state: round(p, 3) for state, p in ends["100%"].items()}
    {'100%': 0.4, '40%': 0.6}
    """
    walks = [list(path) for path in paths]
    states = list(dict.fromkeys([*(state for walk in walks for state in walk), *extra]))
    index = {state: i for i, state in enumerate(states)}
    moves = [[0.0] * len(states) for _ in states]
    kept = [1.0] * len(states)
    for walk in walks:
        for here, there in pairwise(walk):
            moves[index[here]][index[there]] += 1.0
        kept[index[walk[-1]]] += 1.0
    solved = _solve(moves, kept)
    return {state: dict(zip(states, solved[i], strict=True)) for state, i in index.items()}


def _solve(moves: list[list[float]], kept: list[float]) -> list[list[float]]:
    """Solve (I - Q) B = R by Gauss-Jordan elimination on the rows [I - Q | R]."""
    size = range(len(kept))
    rows = []
    for i in size:
        total = sum(moves[i]) + kept[i]
        left = [(1.0 if i == j else 0.0) - moves[i][j] / total for j in size]
        rows.append(left + [kept[i] / total if i == j else 0.0 for j in size])
    for i in size:
        pivot = rows[i][i]
        rows[i] = [value / pivot for value in rows[i]]
        for j in size:
            if j != i and (factor := rows[j][i]):
                rows[j] = [a - factor * b for a, b in zip(rows[j], rows[i], strict=True)]
    return [row[len(kept) :] for row in rows]


def more_often_than_not(times: int, of: int) -> float:
    """Return the posterior probability that a share is above one half, after so many times of so many.

    With a uniform prior the share is Beta(1 + times, 1 + of - times), and

        P(share > ½) = Σ_{i ≤ times} C(of + 1, i) / 2^(of + 1).

    >>> more_often_than_not(3, 3), more_often_than_not(3, 4), more_often_than_not(2, 4)
    (0.9375, 0.8125, 0.5)
    """
    return float(sum(comb(of + 1, i) for i in range(times + 1)) / 2 ** (of + 1))


def endings(ends: Mapping[S, float], but: S) -> S | None:
    """Return the likeliest ending other than one; the first of equals."""
    others = [state for state in ends if state != but]
    return max(others, key=lambda state: ends[state], default=None)
