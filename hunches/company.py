"""Who else is usually heard from around an activation of an entity, and how closely."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from math import log
from typing import Any, Final, TypeVar

T = TypeVar("T")
Lags = Mapping[str, float]  # entity -> seconds between it and an activation
BEFORE_S: Final = (60.0, 1800.0)  # how close is close, before an activation …
AFTER_S: Final = (60.0, 300.0)  # … and after it; a longer lag contains the shorter
_LAGS_S: Final = (60.0, 300.0, 1800.0)  # all of them
_SIGNS: Final = (0, 2, 0, 1)  # the lags, of those, of what a companion can be seen by: before, then after
GRADES: Final = 6  # 0: alone; 5: the best companion was there
_MAX_COMPANIONS: Final = 48  # of an entity
_DAY_S: Final = 86400.0
_NEGLIGIBLE: Final = 0.05  # of a companion's weight
_LEAST_RATE: Final = 0.0005
_MOST_RATE: Final = 0.95
_LEAST_MISSED: Final = 1e-3  # activations without a companion that never missed one


class Around:
    """What was heard around the activations of one entity; weights fade."""

    __slots__ = ("companions", "day", "grades", "n")

    def __init__(self) -> None:
        self.companions: dict[str, list[float]] = {}  # entity -> activations with it, by lag before and after
        self.grades = [0.0] * GRADES
        self.n = 0.0
        self.day = 0.0

    def fade(self, day: float, half_life_days: float) -> None:
        """Let a day's worth of the past go, where a day has passed."""
        if day - self.day < 1.0:
            return
        factor = 0.5 ** ((day - self.day) / half_life_days)
        self.companions = {
            e: [w * factor for w in counts]
            for e, counts in self.companions.items()
            if max(counts) * factor > _NEGLIGIBLE
        }
        self.grades = [w * factor for w in self.grades]
        self.n *= factor
        self.day = day

    def heard(self, signs: Mapping[str, list[int]]) -> None:
        """Count what was heard around an activation; the rarest companions go where there are too many."""
        for other, found in signs.items():
            counts = self.companions.setdefault(other, [0.0] * len(_SIGNS))
            for sign in found:
                counts[sign] += 1.0
        if len(self.companions) > _MAX_COMPANIONS:
            best = sorted(self.companions.items(), key=lambda kv: (-max(kv[1]), kv[0]))
            self.companions = dict(best[: _MAX_COMPANIONS // 2])

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "with": {e: list(counts) for e, counts in self.companions.items()},
            "grades": list(self.grades),
            "n": self.n,
            "day": self.day,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Around:
        """Rebuild from `to_dict`."""
        around = cls()
        around.companions = {e: list(counts) for e, counts in data["with"].items()}
        around.grades = list(data["grades"])
        around.n, around.day = data["n"], data["day"]
        return around


class Heard:
    """When an entity was heard last, and how much of all time lies within each lag of its changes."""

    __slots__ = ("at", "covered")

    def __init__(self, at: float) -> None:
        self.at = at
        self.covered = list(_LAGS_S)  # seconds

    def again(self, at: float) -> None:
        """Take note of another change."""
        gap, covered = abs(at - self.at), self.covered
        for i, lag_s in enumerate(_LAGS_S):
            covered[i] += gap if gap < lag_s else lag_s
        self.at = at


class Company:
    """How much of its usual company an activation had, and how rare so little is.

    A sign s is that a companion j was heard at most 1 or 30 min before an activation of e, or at most 1 or
    5 min after it. It is worth its log odds ratio, compared with any moment:

        w_s = ln(q_s (1 - b_s) / (b_s (1 - q_s)))      q_s = (n_es + m · b_s) / (n_e + m)

    with b_s the share of all time that lies so close to a change of j: a lamp seconds after the door says
    more than one half an hour before it. Company is graded by its best sign, as companions come together:

        u = (max_{s seen} w_s + ω) / (max_s w_s + ω)      grade = 1 + ⌊4u⌋, 0 where nothing was heard

    ω = `indifference` keeps entities that have no usual company from missing it. `share` is the share of the
    entity's activations with that grade or less, backed by the home's as if that were worth `trust`.

    Memory: four numbers for each entity that is heard, and for each that is activated up to 48 companions
    with four numbers each. `heard` is O(1), `grade` and `learn_one` O(companions).

    Parameters
    ----------
    shrinkage: activations that the usual rate of a sign is worth (m).
    indifference: log odds that a lack of company has to exceed to matter (ω).
    trust: activations that the home's grades are worth.
    half_life_days: time in which what was learned loses half its weight.

    >>> company = Company()
    >>> for hour in range(200):
    ...     company.heard("binary_sensor.hall_motion", 3600.0 * hour)
    ...     company.learn_one("binary_sensor.door", {"binary_sensor.hall_motion": 9.0}, {}, 5, 3600.0 * hour)
    >>> at = 3600.0 * 200
    >>> alone, with_motion = {}, {"binary_sensor.hall_motion": 9.0}
    >>> [company.grade("binary_sensor.door", before, {}, at) for before in (alone, with_motion)]
    [0, 5]
    >>> company.share("binary_sensor.door", 0) < 0.02 < 0.9 < company.share("binary_sensor.door", 5)
    True

    References
    ----------
    Good, I. J. (1950). Probability and the Weighing of Evidence. Griffin: the weight of evidence.
    """

    def __init__(
        self,
        *,
        shrinkage: float = 5.0,
        indifference: float = 2.0,
        trust: float = 10.0,
        half_life_days: float = 60.0,
    ) -> None:
        self.shrinkage = shrinkage
        self.indifference = indifference
        self.trust = trust
        self.half_life_days = half_life_days
        self._long_s = 4 * half_life_days * _DAY_S
        self._first: float | None = None
        self._heard: dict[str, Heard] = {}  # the latest last
        self._around: dict[str, Around] = {}
        self._home = Around()

    # -- asking -----------------------------------------------------------------------------------

    def since(self, at: float, seconds: float) -> dict[str, float]:
        """Return who was heard in the last seconds before a time, and how long before; the latest first."""
        found = {}
        for other in reversed(self._heard):
            ago = at - self._heard[other].at
            if ago > seconds:
                break
            if ago >= -seconds:
                found[other] = max(0.0, ago)
        return found

    def grade(self, entity_id: str, before: Lags, after: Lags, at: float) -> int:
        """Return how much of its usual company an activation had, 0 (none at all) to 5."""
        signs = _signs(before, after)
        if not signs:
            return 0
        most = best = 1.0
        for other, odds in self._odds(entity_id, at).items():
            most = max(most, *odds)
            for sign in signs.get(other, ()):
                best = max(best, odds[sign])
        return 1 + int((GRADES - 2) * (log(best) + self.indifference) / (log(most) + self.indifference))

    def share(self, entity_id: str, grade: int) -> float:
        """Return the share of activations with that grade or less."""
        home = min(1.0, (sum(self._home.grades[: grade + 1]) + 1.0) / (self._home.n + 5.0))
        around = self._around.get(entity_id)
        if around is None:
            return home
        below = sum(around.grades[: grade + 1])
        return min(1.0, (below + self.trust * home) / (around.n + self.trust))

    def usual(self, entity_id: str, at: float) -> tuple[str, float] | None:
        """Return the companion that tells the most on average, and the share of activations that have it."""
        around = self._around.get(entity_id)
        if around is None or not around.companions:
            return None
        told = {
            other: max(n * log(ratio) for n, ratio in zip(around.companions[other], odds, strict=True) if n)
            for other, odds in self._odds(entity_id, at).items()
        }
        best = max(told, key=lambda e: (told[e], e))
        return best, min(1.0, max(around.companions[best]) / around.n)

    def alone(self, entity_id: str) -> float:
        """Return the weight of activations around which nothing was heard."""
        around = self._around.get(entity_id)
        return around.grades[0] if around is not None else 0.0

    def _odds(self, entity_id: str, at: float) -> dict[str, list[float]]:
        """Return the odds ratios of the signs of each companion: exp w_s, 0 for one never seen."""
        around = self._around.get(entity_id)
        if around is None or self._first is None:
            return {}
        observed, m = max(_DAY_S, at - self._first), self.shrinkage
        all_n, least, found = around.n + m, _LEAST_RATE * observed, {}
        for other, counts in around.companions.items():
            heard, odds = self._heard.get(other), [0.0] * len(_SIGNS)
            for sign, count in enumerate(counts):
                if count:
                    near = heard.covered[_SIGNS[sign]] if heard is not None else least
                    b = near / observed if near > least else _LEAST_RATE
                    b = b if b < _MOST_RATE else _MOST_RATE
                    seen = count + m * b
                    odds[sign] = seen * (1.0 - b) / (b * max(_LEAST_MISSED, all_n - seen))
            found[other] = odds
        return found

    # -- learning ---------------------------------------------------------------------------------

    def heard(self, entity_id: str, at: float) -> None:
        """Take note of a change of any entity."""
        if self._first is None or at < self._first:
            self._first = at
        elif at - self._first > self._long_s:
            self._first += (at - self._first) / 2  # the older half counts half
            for one in self._heard.values():
                one.covered = [seconds / 2 for seconds in one.covered]
        known = self._heard.pop(entity_id, None)
        if known is None:
            known = Heard(at)
        else:
            known.again(at)
        self._heard[entity_id] = known

    def learn_one(self, entity_id: str, before: Lags, after: Lags, grade: int, at: float) -> None:
        """Learn who was heard how long before and after an activation, and how that was graded."""
        around = self._around.setdefault(entity_id, Around())
        for one in (around, self._home):
            one.fade(at / _DAY_S, self.half_life_days)
            one.grades[grade] += 1.0
            one.n += 1.0
        around.heard(_signs(before, after))

    # -- keeping ----------------------------------------------------------------------------------

    def forget(self, entity_id: str) -> None:
        """Drop an entity, as itself and as a companion."""
        self._heard.pop(entity_id, None)
        self._around.pop(entity_id, None)
        for around in self._around.values():
            around.companions.pop(entity_id, None)

    def rename(self, old: str, new: str) -> None:
        """Carry what was learned over to an entity's new id, as itself and as a companion."""
        self._heard = renamed(self._heard, old, new)
        self._around = renamed(self._around, old, new)
        for around in self._around.values():
            around.companions = renamed(around.companions, old, new)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "first": self._first,
            "heard": [[e, h.at, list(h.covered)] for e, h in self._heard.items()],
            "around": {e: a.to_dict() for e, a in self._around.items()},
            "home": self._home.to_dict(),
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._first = data["first"]
        self._heard = {}
        for entity_id, at, covered in data["heard"]:
            self._heard[entity_id] = heard = Heard(at)
            heard.covered = list(covered)
        self._around = {e: Around.from_dict(a) for e, a in data["around"].items()}
        self._home = Around.from_dict(data["home"])


def renamed(table: dict[str, T], old: str, new: str) -> dict[str, T]:
    """Return a table with the entry of `old` under `new`, in its place."""
    if old not in table:
        return table
    return {(new if e == old else e): x for e, x in table.items() if e != new}


def _signs(before: Lags, after: Lags) -> dict[str, list[int]]:
    """Return which signs each companion gave."""
    found: dict[str, list[int]] = {}
    for start, limits, lags in ((0, BEFORE_S, before), (len(BEFORE_S), AFTER_S, after)):
        for other, seconds in lags.items():
            closest = bisect_left(limits, seconds)
            if closest < len(limits):
                found.setdefault(other, []).extend(range(start + closest, start + len(limits)))
    return found
