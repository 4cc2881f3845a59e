"""Which action follows which more often than their hours explain, and how soon."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import exp, inf, log
from operator import mul
from typing import Final, NamedTuple

from routines.actions import Action, Item

DAY_S: Final = 86_400.0
_BINS: Final = 48  # of a day, half an hour each: finer than habits that keep to the clock
_OCTAVES: Final = 6
_TAIL: Final = 2.0
_GRACE_S: Final = 60.0
_REGULAR: Final = 16.0

Pair = tuple[Item, Item]


class Link(NamedTuple):
    """That `b` follows `a`, usually within these seconds; `evidence` (nats) that it isn't chance."""

    soonest_s: float
    latest_s: float
    evidence: float

    @property
    def regular(self) -> bool:
        """Whether the wait is about the same each time, so that somebody else could wait in one's place."""
        return self.latest_s + _GRACE_S <= _REGULAR * (self.soonest_s + _GRACE_S)


def links(
    actions: Sequence[Action], pairs: Iterable[Pair], *, max_gap_s: float, least_evidence: float
) -> dict[Pair, Link]:
    """Return the ordered pairs that follow one another more often than their hours explain, and how soon.

    An `a` is followed by `b` after the time to the next `b`, if that comes before the next `a`. With o such
    delays between u and v, and e of them to be expected if `b` came at a rate λ, its own at the hours when
    `a` is done,

        e = n_a · (exp(-λ u) - exp(-λ v))            evidence(u, v) = o · ln(o / e) - o + e    for o > e

    which is Chernoff's bound on the tail of a Poisson count: P(O >= o) <= exp(-evidence). Of all intervals
    between 0, d, 2d, 4d … `max_gap_s` (d: 40 s or so) the one with the most evidence counts, with half and
    twice as much allowed for, as delays have tails. This is a sieve, lenient on purpose: what passes it
    still has to be tested.

    Complexity: O(n · m) for n actions with m others within the gap, and O(1) for each pair.

    >>> coffee, radio = Item("switch.coffee", "on"), Item("media_player.radio", "playing")
    >>> days = [day * DAY_S + 300.0 * (day % 7) for day in range(20)]
    >>> done = [Action(at + wait, item) for at in days for item, wait in ((coffee, 0), (radio, 50))]
    >>> found = links(done, [(coffee, radio), (radio, coffee)], max_gap_s=2560, least_evidence=3)
    >>> [(a.entity_id, link.soonest_s, link.latest_s, round(link.evidence)) for (a, _), link in found.items()]
    [('switch.coffee', 20.0, 160.0, 71)]
    """
    if not actions:
        return {}
    delays = _delays(actions, pairs, max_gap_s)
    clock = _by_clock(actions)
    seconds = max(DAY_S, actions[-1].at - actions[0].at) / _BINS  # of each half-hour of the day
    rates = {item: _rates(counts, seconds) for item, counts in clock.items()}
    found: dict[Pair, Link] = {}
    for pair in sorted(delays):
        a, b = pair
        n = sum(clock[a])
        rate = sum(map(mul, clock[a], rates[b])) / n
        link = _strongest(delays[pair], n, rate, max_gap_s)
        if link.evidence >= least_evidence:
            found[pair] = link
    return found


def _strongest(delays: Iterable[float], n: int, rate: float, max_gap_s: float) -> Link:
    """Return the link for the interval of delays that stands out the most."""
    edges = [0.0, *(max_gap_s / 2**k for k in range(_OCTAVES, -1, -1))]
    seen = [0] * len(edges)  # up to this edge
    for delay in delays:
        seen[bisect_left(edges, delay)] += 1
    seen = list(accumulate(seen))
    chance = [n * (1.0 - exp(-rate * edge)) for edge in edges]
    best = Link(0.0, 0.0, -inf)
    for i in range(len(edges)):
        for j in range(i + 1, len(edges)):
            o = seen[j] - (seen[i] if i else 0)
            e = chance[j] - chance[i]
            if o > e and (evidence := o * log(o / e) - o + e) > best.evidence:
                best = Link(edges[i] / _TAIL, min(max_gap_s, edges[j] * _TAIL), evidence)
    return best


def _delays(actions: Sequence[Action], pairs: Iterable[Pair], max_gap_s: float) -> dict[Pair, list[float]]:
    """Return, by pair (a, b), how long after an `a` the next `b` came, if before the next `a`."""
    found: dict[Pair, list[float]] = {pair: [] for pair in pairs}
    of: defaultdict[Item, dict[Item, list[float]]] = defaultdict(dict)
    for (a, b), delays in found.items():
        of[a][b] = delays
    coming: dict[Item, float] = {}  # when each item comes next, the soonest last
    for action in reversed(actions):
        a, at, latest = action.item, action.at, action.at + max_gap_s
        wanted = of[a]
        for b, then in reversed(coming.items()):
            if then > latest or b == a:
                break
            if b in wanted:
                wanted[b].append(then - at)
        coming.pop(a, None)
        coming[a] = at
    return {pair: delays for pair, delays in found.items() if delays}


def _by_clock(actions: Iterable[Action]) -> dict[Item, list[int]]:
    counts: defaultdict[Item, list[int]] = defaultdict(lambda: [0] * _BINS)
    for action in actions:
        counts[action.item][int(action.at % DAY_S * _BINS / DAY_S)] += 1
    return counts


def _rates(counts: Sequence[int], seconds: float) -> list[float]:
    """Return a rate for each bin, smoothed over its neighbours; one more, at any time, keeps it above 0."""
    return [
        (counts[h - 1] / 4 + counts[h] / 2 + counts[(h + 1) % _BINS] / 4 + 1 / _BINS) / seconds
        for h in range(_BINS)
    ]
