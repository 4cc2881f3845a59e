"""How often an entity reports while its home is alive, and how long it is used to say nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10, sqrt
from typing import Any, Final, NamedTuple, Self

from hunches.alive_time import SLOT_S
from hunches.shapley import shapley
from hunches.survival import Survival

_UNIT: Final = 0.01  # of an expected report: what `Survival` calls a second
_DAY_S: Final = 86400.0
_TINY: Final = 1e-12
_SILENCE: Final = "length of the silence"
_HOUR: Final = "time of day"
_LIFE: Final = "life in the home"


class Moment(NamedTuple):
    """A point in the home's time."""

    at: float  # epoch seconds
    heard_s: float  # `AliveTime.heard_s`
    counts: tuple[int, ...]  # `AliveTime.people` or `.all`


class Reporting:
    """The reports that were expected since the last one, and how rarely as many fail to come.

    In cell c (an hour of the day, with people about or not) the entity reports in a share r_c of the slots
    in which something else does:

        r_c = (hits_c + m · r) / (trials_c + m)        r = (Σ hits + ½) / (Σ trials + 1)

    A silence through n_c such slots is x = Σ r_c · n_c expected reports long. Reports come in bursts, so the
    chance of that is not exp(-x): it is the survival function of the entity's own silences in that unit,
    and another one of their length in time t, both with a Pareto tail beyond the longest (`Survival`). With
    λ silences a day, one as long as this in either way comes

        E = λ · √(P(X > x) · max(P(X > x), P(T > t)))

    times a day: the geometric mean stands between silences that are long in both ways at once always (the
    minimum) and by chance only (the product). Time alone proves nothing: a home may have been left.

    Memory: at most 148 numbers and 178 bins. A report costs O(1), the first one of a slot O(cells).

    Parameters
    ----------
    now: the moment when the entity was first heard.
    half_life_days: time in which what was learned loses half its weight.
    backing: slots that the entity's mean rate is worth in a cell (m).

    >>> r = Reporting(Moment(0.0, 0.0, (0,)))
    >>> for n in range(1, 300):  # a report every other slot
    ...     r.learn_one(Moment(600.0 * n, 600.0 * n, (2 * n,)), 0, solo=False)
    >>> later = Moment(600.0 * 299 + 10_000, 600.0 * 299 + 10_000, (598 + 34,))
    >>> round(r.expected(later.counts)), r.per_day(later) < 0.5
    (17, True)
    """

    __slots__ = (
        "_day", "backing", "first", "half_life_days", "hits", "last", "longest_s", "silences", "spells",
        "trials",
    )  # fmt: skip

    def __init__(self, now: Moment, *, half_life_days: float = 30.0, backing: float = 6.0) -> None:
        self.last = now
        self.first = now.at
        self.half_life_days = half_life_days
        self.backing = backing
        self.hits = [0.0] * len(now.counts)
        self.trials = [0.0] * len(now.counts)
        self.silences = Survival(half_life_days=half_life_days)  # in expected reports
        self.spells = Survival(half_life_days=half_life_days)  # in seconds
        self.longest_s = 0.0
        self._day: float | None = None

    def learn_one(self, now: Moment, cell: int, *, solo: bool) -> None:
        """Learn from a slot with a report that just ended; `solo`: nothing else reported in it."""
        day = now.at / _DAY_S
        self._fade(day)
        x, seconds = self.expected(now.counts), max(0.0, now.heard_s - self.last.heard_s)
        for i, (a, b) in enumerate(zip(now.counts, self.last.counts, strict=True)):
            if a != b:
                self.trials[i] += a - b
        if solo:
            self.trials[cell] -= 1.0
        else:
            self.hits[cell] += 1.0
        self.silences.learn_one(x / _UNIT, day)
        self.spells.learn_one(seconds, day)
        self.longest_s = max(self.longest_s, seconds)
        self.last = now

    def _fade(self, day: float) -> None:
        if self._day is None:
            self._day = day
        elif day - self._day >= 1.0:
            factor = 0.5 ** ((day - self._day) / self.half_life_days)
            self.hits = [h * factor for h in self.hits]
            self.trials = [t * factor for t in self.trials]
            self._day = day

    @property
    def weight(self) -> float:
        """How many slots with a report are remembered, faded ones in part."""
        return self.silences.n

    def expected(self, now: Sequence[int]) -> float:
        """Return how many slots with a report were to be expected since the last one."""
        mean = self._mean()
        return sum(
            (a - b) * (h + self.backing * mean) / (t + self.backing)
            for a, b, h, t in zip(now, self.last.counts, self.hits, self.trials, strict=True)
            if a != b
        )

    def _mean(self) -> float:
        return (sum(self.hits) + 0.5) / (max(0.0, sum(self.trials)) + 1.0)

    def per_day(self, now: Moment) -> float:
        """Return how often a day a silence like the present one is to be expected."""
        return self._per_day(self.expected(now.counts), now)

    def _per_day(self, x: float, now: Moment) -> float:
        p = self.silences.sf(x / _UNIT)
        p_time = self.spells.sf(now.heard_s - self.last.heard_s)
        return max(_TINY, self.rate(now.at) * sqrt(p * max(p, p_time)))

    def rate(self, at: float) -> float:
        """Return how many silences there are a day, at least one."""
        memory = self.half_life_days / 0.693  # days that an exponential memory is worth
        days = (at - self.first) / _DAY_S
        return max(1.0, self.weight / max(1.0, min(days, memory)))

    def contributions(self, now: Moment) -> dict[str, float]:
        """Return what adds how much to -log10 of `per_day` (Shapley values).

        As long as nobody knows how long the entity has been silent, nothing is odd. Without the hour it is
        taken to report at its mean rate, without the home's life to live in a home that is always the same.
        """
        alive = max(1.0, float(sum(now.counts) - sum(self.last.counts)))
        elapsed = max(1.0, (now.heard_s - self.last.heard_s) / SLOT_S)
        usual = elapsed * min(1.0, sum(self.trials) * SLOT_S / max(SLOT_S, self.last.at - self.first))
        expected, mean = self.expected(now.counts), self._mean()

        def value(known: frozenset[str]) -> float:
            if _SILENCE not in known:
                return 0.0
            slots = alive if _LIFE in known else usual
            share = expected / alive if _HOUR in known else mean
            return -log10(self._per_day(slots * share, now))

        return {k: round(v, 3) for k, v in shapley((_SILENCE, _HOUR, _LIFE), value).items()}

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "last": [self.last.at, self.last.heard_s, list(self.last.counts)],
            "times": [self.first, self._day, self.longest_s],
            "hits": self.hits,
            "trials": self.trials,
            "silences": self.silences.to_dict(),
            "spells": self.spells.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, half_life_days: float) -> Self:
        """Rebuild from `to_dict` of the same configuration."""
        at, heard_s, counts = data["last"]
        found = cls(Moment(at, heard_s, tuple(counts)), half_life_days=half_life_days)
        found.first, found._day, found.longest_s = data["times"]
        found.hits, found.trials = list(data["hits"]), list(data["trials"])
        found.silences.load(data["silences"])
        found.spells.load(data["spells"])
        return found
