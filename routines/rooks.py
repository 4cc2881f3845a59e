"""How rare it is that so many days keep their place when the days are shuffled: a bound by rook numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

_MOST: Final = 24
"""Days at once at most: more tell no more where little is expected, and elsewhere moments do better."""

Board = Mapping[tuple[int, int], int]


def rook_tail(boards: Iterable[tuple[Board, int]], hits: int) -> float:
    """Return a bound of P(T >= hits) for T = Σ 1[(d, π(d)) on the board], over all permutations π.

    Each board holds the pairs (day, other day) that meet, among n days of one kind that are permuted on
    their own. With r_j the number of ways to put j rooks on it that don't attack one another,

        E C(T, j) = r_j · (n − j)! / n!,    P(T >= h) <= E C(T, j) / C(h, j)    for each j <= h,

    of which the least counts. For r_j the j-th elementary symmetric polynomial of the row sums or of the
    column sums stands in, whichever is less: both count some ways too many. The numbers of several boards are
    convolved. Where few hits are expected this is nearly exact, and so far below what moments tell.

    Complexity: O(days · min(hits, 24)).

    References: Riordan, An Introduction to Combinatorial Analysis (1958), chapter 7.

    >>> diagonal = {(day, day): 1 for day in range(4)}
    >>> rook_tail([(diagonal, 6)], 4)  # of 6 · 5 · 4 · 3 ways to place the four, one
    0.002777777777777778
    """
    most = min(hits, _MOST)
    means = [1.0] + [0.0] * most
    for board, n in boards:
        rows, columns = Counter(d for d, _ in board), Counter(e for _, e in board)
        own = [
            min(r, c) / math.perm(n, j) if j <= n else 0.0
            for j, (r, c) in enumerate(
                zip(_symmetric(rows.values(), most), _symmetric(columns.values(), most), strict=True)
            )
        ]
        means = [sum(means[i] * own[j - i] for i in range(j + 1)) for j in range(most + 1)]
    return min(1.0, *(means[j] / math.comb(hits, j) for j in range(1, most + 1)))


def _symmetric(values: Iterable[int], most: int) -> Sequence[float]:
    """Return the elementary symmetric polynomials of some values, up to a degree."""
    found = [1.0] + [0.0] * most
    for value in values:
        for j in range(most, 0, -1):
            found[j] += value * found[j - 1]
    return found
