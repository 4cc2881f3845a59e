"""What was learned of the stays of one entity in its active state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from math import log
from typing import Any, Final, Self

from devices.wording import duration
from hunches.adwin import Adwin
from hunches.shapley import shapley
from hunches.survival import PRIOR_INDEX, Survival, bin_of

DAY_S: Final = 86400.0
_KEPT: Final = 3  # longest stays that are remembered exactly
_KEPT_S: Final = 400 * DAY_S  # and for how long
_PARTS: Final = ("daypart", "day", "occupancy")  # of a context
_SHORT_S: Final = 30.0
_AFTER_CHANGE: Final = 0.1  # of its weight is left to the past when a habit has changed
_RECENT_S: Final = 14 * DAY_S


class Stays:
    """Survival of an entity's stays, in contexts from coarse to fine.

    A context is a path such as "evening|weekday|home". All stays count at its root "", at its first part
    and at the whole path. The root has a tail beyond what was seen (`Survival`); a finer context with n
    stays, k of them longer than d, is backed by the coarser one as if that were worth m = `backing` stays:

        p(d) = (k + m · p_parent(d)) / (n + m)

    A stray is a stay that ought not to have been so long: a forgotten door, a sensor that sticks. One or two
    aren't the measure of what comes later, or a door that was open for one night could be left open for every
    night after. From the third on they count: what happens three times is a habit.

    A habit may change: a light no longer stays on all evening. `Adwin` watches the logarithm of each day's
    longest stay, from half a minute to a day as 0 to 1 (of a day, as within one short and long stays take
    turns); when its mean has changed, what was learned before keeps a tenth of its weight, and longest stays
    of more than two weeks ago are dropped. A habit of longer stays is known by its first ones.

    Memory: one `Survival` a context that occurred, six stays, a window of daily maxima. `learn_one` is
    O(1), `p` O(bins).

    Parameters
    ----------
    backing: stays that the coarser context is worth in the finer one (m).
    half_life_days: time in which the weight of a stay halves.

    >>> stays = Stays(first=0.0)
    >>> for i in range(40):
    ...     stays.learn_one(300.0, "night|weekday|home", at=i * 3600.0)
    ...     stays.learn_one(9000.0, "evening|weekday|home", at=i * 3600.0)
    >>> stays.p("night|weekday|home", 7200.0) < 0.2 < 0.8 < stays.p("evening|weekday|home", 7200.0)
    True
    """

    __slots__ = (
        "_contexts", "_today", "_trend", "backing", "count", "first", "half_life_days", "longest",
        "strays", "surprises",
    )  # fmt: skip

    def __init__(self, *, first: float, backing: float = 20.0, half_life_days: float = 60.0) -> None:
        self.backing = backing
        self.half_life_days = half_life_days
        self.first = first  # epoch seconds
        self.count = 0
        self.surprises = 0.0  # stays that were longer than ought to be; faded by the detector
        self.longest: list[list[float]] = []  # [seconds, ended at], longest first, without strays
        self.strays: list[list[float]] = []  # the same of strays
        self._contexts: dict[str, Survival] = {"": Survival(half_life_days=half_life_days)}
        self._trend = _trend()
        self._today = [0.0, 0.0]  # day (days since the epoch), its longest stay so far

    def learn_one(self, seconds: float, where: str, at: float, *, stray: bool = False) -> None:
        """Count a stay that ended at a time (epoch seconds)."""
        self._follow_trend(seconds, at)
        b, day, contexts = bin_of(seconds), at / DAY_S, self._contexts
        for key in ("", where.partition("|")[0], where):
            known = contexts.get(key)
            if known is None:
                known = contexts[key] = Survival(half_life_days=self.half_life_days)
            known.learn_bin(b, day)
        self.count += 1
        kept = self.strays if stray else self.longest
        if len(kept) < _KEPT or seconds > kept[-1][0]:
            recent = [x for x in kept if at - x[1] < _KEPT_S]
            kept[:] = sorted([*recent, [seconds, at]], reverse=True)[:_KEPT]

    def _follow_trend(self, seconds: float, at: float) -> None:
        day, longest = self._today
        if at // DAY_S == day:
            self._today[1] = max(longest, seconds)
            return
        if longest:
            scaled = log(max(_SHORT_S, min(DAY_S, longest)) / _SHORT_S) / log(DAY_S / _SHORT_S)
            if self._trend.learn_one(scaled):
                self._forget_most(at)
        self._today = [at // DAY_S, seconds]

    def _forget_most(self, at: float) -> None:
        for known in self._contexts.values():
            known.fade(_AFTER_CHANGE)
        self.longest = [x for x in self.longest if at - x[1] < _RECENT_S]
        self.strays = [x for x in self.strays if at - x[1] < _RECENT_S]

    def tail_evidence(self) -> tuple[float, float]:
        """Return how many stays make up the tail, and the sum of their log excess; without strays."""
        k, excess, start = self._contexts[""].tail_evidence()
        beyond = [log(seconds / start) for seconds, _ in self.strays if seconds > start]
        return max(0.0, k - len(beyond)), max(0.0, excess - sum(beyond))

    def assume(self, index: float) -> None:
        """Set the tail index that is usual for such devices."""
        self._contexts[""].assume(index)

    @property
    def usual_s(self) -> float:
        """The longest stay that is no accident, in seconds."""
        longest = self.longest[0][0] if self.longest else 0.0
        return max(longest, self.strays[-1][0]) if len(self.strays) == _KEPT else longest

    def never_longer(self, adjective: str) -> str:
        """Return "never open longer than 5 min", or how often it was."""
        limit = f"{adjective} longer than {duration(self.usual_s)}"
        beyond = [seconds for seconds, _ in self.strays if seconds > self.usual_s]
        if not beyond:
            return f"never {limit}"
        return f"{limit} only {('once', 'twice')[len(beyond) - 1]} ({duration(max(beyond))})"

    @property
    def weight(self) -> float:
        """How many stays are remembered, faded ones in part."""
        return self._contexts[""].n

    def p(self, where: str, seconds: float) -> float:
        """Return the probability that a stay in a context lasts longer."""
        p = self._contexts[""].sf(seconds)
        for key in (where.partition("|")[0], where):
            known = self._contexts.get(key)
            if known is not None:
                p = (known.above(seconds) + self.backing * p) / (known.n + self.backing)
        return p

    def contributions(self, where: str, seconds: float) -> dict[str, float]:
        """Return what daypart, kind of day and occupancy add to the log odds against so long a stay, in nats.

        Shapley values; what isn't known of a coalition's circumstances is summed over, as often as it came.
        """

        def value(known: frozenset[str]) -> float:
            p = min(1.0 - 1e-9, self._p_given(known, where, seconds))
            return log((1.0 - p) / p)

        return {name: round(x, 3) for name, x in shapley(_PARTS, value).items()}

    def _p_given(self, known: frozenset[str], where: str, seconds: float) -> float:
        if len(known) == len(_PARTS):
            return self.p(where, seconds)
        here = where.split("|")
        p = self._contexts[""].sf(seconds)
        if not known:
            return p
        n = above = 0.0
        for key, survival in self._contexts.items():
            there = key.split("|")
            if len(there) == len(_PARTS) and all(
                there[i] == here[i] for i, name in enumerate(_PARTS) if name in known
            ):
                n += survival.n
                above += survival.above(seconds)
        return (above + self.backing * p) / (n + self.backing)

    def evidence(self, where: str, zone: tzinfo | None) -> dict[str, Any]:
        """Return what a resident can check."""
        everything, here = self._contexts[""], self._contexts.get(where)
        return {
            "n": self.count,
            "median_s": round(everything.quantile(0.5)),
            "p90_s": round(everything.quantile(0.9)),
            "p99_s": round(everything.quantile(0.99)),
            "longest": [
                {"seconds": round(s), "ended": datetime.fromtimestamp(t, zone).isoformat(timespec="minutes")}
                for s, t in sorted([*self.longest, *self.strays], reverse=True)[:_KEPT]
            ],
            "learning_since": datetime.fromtimestamp(self.first, zone).date().isoformat(),
            "circumstances": where.replace("|", ", "),
            "n_in_these_circumstances": round(here.n) if here is not None else 0,
            "earlier_surprises": round(self.surprises, 1),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "contexts": {key: s.to_dict() for key, s in self._contexts.items()},
            "count": self.count,
            "surprises": self.surprises,
            "first": self.first,
            "longest": [list(x) for x in self.longest],
            "strays": [list(x) for x in self.strays],
            "index": self._contexts[""].index,
            "trend": self._trend.to_dict(),
            "today": list(self._today),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, backing: float, half_life_days: float) -> Self:
        """Rebuild from `to_dict` of the same configuration."""
        stays = cls(first=data["first"], backing=backing, half_life_days=half_life_days)
        for key, body in data["contexts"].items():
            stays._contexts[key] = Survival(half_life_days=half_life_days)
            stays._contexts[key].load(body)
        stays.count, stays.surprises = data["count"], data["surprises"]
        stays.longest = [list(x) for x in data["longest"]]
        stays.strays = [list(x) for x in data["strays"]]
        stays.assume(data["index"])
        stays._trend.load(data["trend"])
        stays._today = list(data["today"])
        return stays


def share_tails(
    pasts: Mapping[str, Stays], device_class: Callable[[str], str | None], weight: float = 3.0
) -> None:
    """Let each entity expect the tail that others of its domain and device class have in this home.

    How heavy the tails are differs from home to home (an index of 5 where sensors time out, of 1.4 where
    things are forgotten) and from class to class (lights 4, switches with a timer 16), and ten stays don't
    tell it. With the k longest stays d_i of each of the others, beyond its u, and b = `weight` stays of the
    average home:

        α₀ = (Σ k + b) / (Σ ln(d_i / u) + b / 1.3)

    O(entities).

    References
    ----------
    Hosking, J. R. M. and Wallis, J. R. (1997). Regional Frequency Analysis. Cambridge University Press.
    """
    classes: dict[tuple[str, str | None], dict[str, tuple[float, float]]] = {}
    for e, past in pasts.items():
        classes.setdefault((e.partition(".")[0], device_class(e)), {})[e] = past.tail_evidence()
    for like in classes.values():
        total_k, total_excess = (sum(x) for x in zip(*like.values(), strict=True))
        for e, (k, excess) in like.items():
            others = max(0.0, total_excess - excess)
            pasts[e].assume((total_k - k + weight) / (others + weight / PRIOR_INDEX))


def _trend() -> Adwin:
    return Adwin(delta=0.1, clock=1, least=3, grace=8)
