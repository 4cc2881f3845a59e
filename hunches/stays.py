"""What was learned of the stays of one entity in its active state."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any, Final, Self

from hunches.survival import Survival

DAY_S: Final = 86400.0
_KEPT: Final = 3  # longest stays that are remembered exactly
_KEPT_S: Final = 400 * DAY_S  # and for how long


class Stays:
    """Survival of an entity's stays, in contexts from coarse to fine.

    A context is a path such as "evening|weekday|home". All stays count at its root "", at its first part
    and at the whole path. The root has a tail beyond what was seen (`Survival`); a finer context with n
    stays, k of them longer than d, is backed by the coarser one as if that were worth m = `backing` stays:

        p(d) = (k + m · p_parent(d)) / (n + m)

    Memory: one `Survival` a context that occurred, three stays. `learn_one` is O(1), `p` O(bins).

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

    __slots__ = ("_contexts", "backing", "count", "first", "half_life_days", "longest", "surprises")

    def __init__(self, *, first: float, backing: float = 20.0, half_life_days: float = 60.0) -> None:
        self.backing = backing
        self.half_life_days = half_life_days
        self.first = first  # epoch seconds
        self.count = 0
        self.surprises = 0.0  # stays that were longer than ought to be; faded by the detector
        self.longest: list[list[float]] = []  # [seconds, ended at], longest first
        self._contexts: dict[str, Survival] = {"": Survival(half_life_days=half_life_days)}

    def learn_one(self, seconds: float, where: str, at: float) -> None:
        """Count a stay that ended at a time (epoch seconds)."""
        for key in ("", where.partition("|")[0], where):
            known = self._contexts.get(key)
            if known is None:
                known = self._contexts[key] = Survival(half_life_days=self.half_life_days)
            known.learn_one(seconds, at / DAY_S)
        self.count += 1
        if len(self.longest) < _KEPT or seconds > self.longest[-1][0]:
            recent = [x for x in self.longest if at - x[1] < _KEPT_S]
            self.longest = sorted([*recent, [seconds, at]], reverse=True)[:_KEPT]

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
                for s, t in self.longest
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
        return stays
