"""The guard against coincidence: what happens at the same hour every day isn't linked by that alone."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from routines.rooks import rook_tail

DAY_S: Final = 86_400.0

_EDGE_S: Final = 4 * 3600.0  # what lies so near to the end of a day is near to the next one, too
_HALF_HOUR_S: Final = 1800.0
_TINY: Final = 1e-300


@dataclass(frozen=True, slots=True)
class Tail:
    """How often one thing met another, how often it would by chance, and how rare that is."""

    hits: int
    expected: float
    p: float


class DayShuffle:
    """Tests whether something keeps meeting an item at a lag, against days shuffled among their like.

    Under the null hypothesis, the item keeps what it does on each day, minute by minute, but the days are
    permuted among days of one kind (weekday); so its hour-of-week profile stays, and whatever both owe to it.
    With M[d, e] the number of anchors of day d that would meet what the item did on day e, the statistic is
    T = Σ M[d, π(d)], and over all permutations π of the days of a kind with n days

        E T = Σ M / n,    Var T = Σ (M − row mean − column mean + mean)² / (n − 1),

    exactly. The tail is that of a beta distribution on [0, Tmax] with this mean and variance, with a
    correction for continuity: permutations would have to be drawn by the million to resolve what survives
    the correction for so many candidates. Where few hits are expected it is far too heavy; a bound of days
    that hit (`rook_tail`) is sharper there. Counted are all hits, and the days with any, as hits come in
    clumps; the better of the two is paid for twice.

    Parameters: `times` of the item as (day, seconds of the day); `kinds`: the kind of every recorded day.
    Complexity: O(anchors · (log n + hits)). Memory: O(n).

    References: Hoeffding, A combinatorial central limit theorem (1951); Mielke & Berry, Permutation Methods
    (2007), for moment-fitted tails.

    >>> days = {n: 0 for n in range(20)}
    >>> lamp = DayShuffle([(n, 72_000.0 + 97 * (n * 7 % 20)) for n in range(20)], days)
    >>> film = [(n, 71_990.0 + 97 * (n * 7 % 20)) for n in range(20)]
    >>> lamp.test(film, 0.0, 30.0).p < 1e-6, lamp.test([(n, 72_900.0) for n in range(20)], 0.0, 30.0).p > 0.1
    (True, True)
    """

    def __init__(self, times: Sequence[tuple[int, float]], kinds: Mapping[int, int]) -> None:
        self._kinds = kinds
        self._sizes = Counter(kinds.values())
        self._line: dict[int, tuple[list[float], list[int]]] = {}
        lines: dict[int, list[tuple[float, int]]] = defaultdict(list)
        for day, clock in times:
            for shifted, near in ((day, clock), (day - 1, clock + DAY_S), (day + 1, clock - DAY_S)):
                if -_EDGE_S <= near <= DAY_S + _EDGE_S and shifted in kinds:
                    lines[kinds[shifted]].append((near, shifted))
        for kind, line in lines.items():
            line.sort()
            self._line[kind] = ([c for c, _ in line], [d for _, d in line])

    def test(self, anchors: Sequence[tuple[int, float]], low_s: float, high_s: float) -> Tail:
        """Return how often an anchor meets the item between two lags after it, and how rare that is."""
        rows: dict[int, Counter[tuple[int, int]]] = defaultdict(Counter)  # kind -> (day, other day) -> hits
        most: Counter[int] = Counter()
        for day, clock in anchors:
            if (kind := self._kinds.get(day)) is None:
                continue
            most[day] += 1
            clocks, days = self._line.get(kind, ((), ()))
            first = bisect_left(clocks, clock + low_s)
            for other in set(days[first : bisect_right(clocks, clock + high_s)]):
                rows[kind][day, other] += 1
        every = self._tail(rows, most.total())
        once = self._tail({kind: Counter(dict.fromkeys(met, 1)) for kind, met in rows.items()}, len(most))
        rare = min(every.p, once.p)
        if once.hits > once.expected:
            rare = min(rare, rook_tail(((met, self._sizes[kind]) for kind, met in rows.items()), once.hits))
        return Tail(every.hits, every.expected, min(1.0, 2.0 * rare))

    def _tail(self, rows: Mapping[int, Mapping[tuple[int, int], int]], most: int) -> Tail:
        hits, mean, variance = 0, 0.0, 0.0
        for kind, met in rows.items():
            hits += sum(count for (day, other), count in met.items() if day == other)
            total, spread = _moments(met, self._sizes[kind])
            mean += total
            variance += spread
        return Tail(hits, mean, upper_tail(hits, mean, variance, most))


def hour_tail(
    anchors: Sequence[tuple[int, float]],
    times: Sequence[tuple[int, float]],
    window: tuple[float, float],
    days: int,
) -> Tail:
    """Return how often anchors meet an item, against one that comes at random within its hours.

    An anchor meets it by chance with 1 - exp(-λ·width), where λ is the item's rate on all days within half
    an hour of that time of day. It takes little to resolve small probabilities so, but minutes don't count:
    this is for when there are too few days to shuffle. An item that came once is met once.

    >>> lamp = [(day, 72_000.0 + 60.0 * day) for day in range(6)]
    >>> hour_tail([(day, at - 20.0) for day, at in lamp], lamp, (0.0, 30.0), 6).p < 1e-8
    True
    """
    low, high = window
    clocks = sorted(clock for _, clock in times)
    own: dict[int, list[float]] = defaultdict(list)
    for day, clock in sorted(times):
        own[day].append(clock)
    met: set[tuple[int, float]] = set()
    mean = 0.0
    for day, clock in sorted(anchors):
        middle = clock + (low + high) / 2.0
        near = bisect_right(clocks, middle + _HALF_HOUR_S) - bisect_left(clocks, middle - _HALF_HOUR_S)
        mean -= math.expm1(-near / (days * 2.0 * _HALF_HOUR_S) * (high - low))
        n = bisect_left(own[day], clock + low)
        if n < len(own[day]) and own[day][n] <= clock + high:
            met.add((day, own[day][n]))
    return Tail(len(met), mean, hoeffding(len(met), mean, len(anchors)))


def hoeffding(hits: int, mean: float, n: int) -> float:
    """Return a bound of P(T >= hits) for a sum of n independent indicators: exp(-n·KL(hits/n, mean/n)).

    >>> round(hoeffding(8, 5.0, 10), 3)  # binomial(10, 1/2): 0.055
    0.146
    """
    if hits <= mean or n == 0:
        return 1.0
    m, x = max(mean / n, _TINY), hits / n
    kl = x * math.log(x / m) + ((1.0 - x) * math.log((1.0 - x) / (1.0 - m)) if x < 1.0 else 0.0)
    return max(_TINY, math.exp(-n * kl))


def _moments(met: Mapping[tuple[int, int], int], n: int) -> tuple[float, float]:
    """Return mean and variance of Σ M[d, π(d)] over the permutations of n days."""
    rows: Counter[int] = Counter()
    columns: Counter[int] = Counter()
    squares = 0
    for (day, other), count in met.items():
        rows[day] += count
        columns[other] += count
        squares += count * count
    total = rows.total()
    if n < 2:
        return float(total), 0.0
    # Σ(M − r/n − c/n + t/n²)², multiplied out
    spread = squares - (_square(rows) + _square(columns)) / n + total * total / (n * n)
    return total / n, max(0.0, spread) / (n - 1)


def _square(counts: Counter[int]) -> int:
    return sum(c * c for c in counts.values())


def upper_tail(hits: int, mean: float, variance: float, most: int) -> float:
    """Return P(T >= hits) for a beta distribution on [0, most] of a mean and variance.

    >>> round(upper_tail(8, 5.0, 2.5, 10), 3)  # binomial(10, 1/2): 0.055
    0.059
    """
    if hits <= mean:
        return 1.0
    if variance <= 0.0 or most <= 0 or mean >= most:
        return 1.0
    m, v = mean / most, variance / most**2
    weight = m * (1.0 - m) / v - 1.0
    if weight <= 0.0:
        return 1.0
    x = (hits - 0.5) / most
    return max(_TINY, incomplete_beta((1.0 - m) * weight, m * weight, 1.0 - x))


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), by Lentz's continued fraction.

    >>> round(incomplete_beta(2.0, 3.0, 0.5), 4)  # 11/16
    0.6875
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - incomplete_beta(b, a, 1.0 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    c, d = 1.0, 1.0 / _not_zero(1.0 - (a + b) * x / (a + 1.0))
    fraction = d
    for m in range(1, 300):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            d = 1.0 / _not_zero(1.0 + term * d)
            c = _not_zero(1.0 + term / c)
            fraction *= c * d
        if abs(c * d - 1.0) < 1e-12:
            break
    return front * fraction / a


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def fisher(p_values: Sequence[float]) -> float:
    """Return Fisher's combination of independent p-values: P(chi² with 2k degrees > -2 Σ log p).

    >>> round(fisher([0.1, 0.1]), 3)  # 0.01 · (1 - log 0.01)
    0.056
    """
    x = -sum(math.log(max(p, _TINY)) for p in p_values)
    term = total = 1.0
    for k in range(1, len(p_values)):
        term *= x / k
        total += term
    return min(1.0, math.exp(-x) * total)


def benjamini_hochberg(p_values: Sequence[float], tests: int | None = None) -> list[float]:
    """Return q-values: the smallest false discovery rate at which each would be a discovery.

    `tests`: how many were looked at, where only the promising ones have a p-value here.

    References: Benjamini & Hochberg, Controlling the false discovery rate (1995).

    >>> benjamini_hochberg([0.01, 0.5, 0.02])
    [0.03, 0.5, 0.03]
    """
    m = max(tests or 0, len(p_values))
    q_values = [1.0] * len(p_values)
    least = 1.0
    for rank, index in sorted(enumerate(sorted(range(m)[: len(p_values)], key=p_values.__getitem__), 1))[
        ::-1
    ]:
        least = min(least, p_values[index] * m / rank)
        q_values[index] = least
    return q_values
