"""Who else is usually heard from around an activation of an entity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import log
from typing import Any, Final, TypeVar

T = TypeVar("T")
GRADES: Final = 6  # 0: alone; 5: the best companion was there
_MAX_COMPANIONS: Final = 48  # of an entity
_DAY_S: Final = 86400.0
_NEGLIGIBLE: Final = 0.05  # of a companion's weight
_LEAST_RATE: Final = 0.002
_MOST_RATE: Final = 0.95


class Around:
    """What was heard around the activations of one entity; weights fade."""

    __slots__ = ("companions", "day", "grades", "n")

    def __init__(self) -> None:
        self.companions: dict[str, float] = {}  # entity -> activations that it was heard around
        self.grades = [0.0] * GRADES
        self.n = 0.0
        self.day = 0.0

    def fade(self, day: float, half_life_days: float) -> None:
        """Let a day's worth of the past go, where a day has passed."""
        if day - self.day < 1.0:
            return
        factor = 0.5 ** ((day - self.day) / half_life_days)
        self.companions = {e: w * factor for e, w in self.companions.items() if w * factor > _NEGLIGIBLE}
        self.grades = [w * factor for w in self.grades]
        self.n *= factor
        self.day = day

    def heard(self, others: Iterable[str]) -> None:
        """Count what was heard around an activation; the rarest companions go where there are too many."""
        for other in others:
            self.companions[other] = self.companions.get(other, 0.0) + 1.0
        if len(self.companions) > _MAX_COMPANIONS:
            best = sorted(self.companions.items(), key=lambda kv: (-kv[1], kv[0]))
            self.companions = dict(best[: _MAX_COMPANIONS // 2])

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {"with": self.companions, "grades": list(self.grades), "n": self.n, "day": self.day}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Around:
        """Rebuild from `to_dict`."""
        around = cls()
        around.companions, around.grades = dict(data["with"]), list(data["grades"])
        around.n, around.day = data["n"], data["day"]
        return around


class Company:
    """How much of its usual company an activation had, and how rare so little is.

    A companion j of e is worth the log odds ratio of hearing j around an activation of e rather than at any
    moment:

        w_j = ln(q_j (1 - b_j) / (b_j (1 - q_j)))      q_j = (n_ej + m · b_j) / (n_e + m)

    with b_j the share of time that lies within the window around a change of j. Company is graded by its best
    member, as companions come together:

        u = (max_{j heard} w_j + ω) / (max_j w_j + ω)      grade = 1 + ⌊4u⌋, 0 where nothing was heard

    ω = `indifference` keeps entities that have no usual company from missing it. `share` is the share of the
    entity's activations with that grade or less, backed by the home's as if that were worth `trust`.

    Memory: a time and a number for each entity that is heard, and for each that is activated up to 48
    companions. `heard` is O(1), `grade` and `learn_one` O(companions).

    Parameters
    ----------
    window_s: length of the time around an activation in which others are company, seconds.
    shrinkage: activations that the usual rate of a companion is worth (m).
    indifference: log odds that a lack of company has to exceed to matter (ω).
    trust: activations that the home's grades are worth.
    half_life_days: time in which what was learned loses half its weight.

    >>> company = Company(window_s=900.0)
    >>> for hour in range(200):
    ...     company.heard("binary_sensor.hall_motion", 3600.0 * hour)
    ...     _ = company.learn_one("binary_sensor.door", ["binary_sensor.hall_motion"], 3600.0 * hour)
    >>> at = 3600.0 * 200
    >>> [company.grade("binary_sensor.door", heard, at) for heard in ([], ["binary_sensor.hall_motion"])]
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
        window_s: float,
        shrinkage: float = 5.0,
        indifference: float = 2.0,
        trust: float = 10.0,
        half_life_days: float = 60.0,
    ) -> None:
        self.window_s = window_s
        self.shrinkage = shrinkage
        self.indifference = indifference
        self.trust = trust
        self.half_life_days = half_life_days
        self._first: float | None = None
        self._latest: dict[str, float] = {}  # entity -> its last change, the latest last
        self._covered: dict[str, float] = {}  # entity -> seconds within the window around its changes
        self._around: dict[str, Around] = {}
        self._home = Around()

    # -- asking -----------------------------------------------------------------------------------

    def since(self, at: float, seconds: float) -> list[str]:
        """Return who was heard in the last seconds before a time, and not after it; the latest first."""
        found = []
        for other in reversed(self._latest):
            ago = at - self._latest[other]
            if ago > seconds:
                break
            if ago >= -seconds:
                found.append(other)
        return found

    def grade(self, entity_id: str, heard: Iterable[str], at: float) -> int:
        """Return how much of its usual company an activation had, 0 (none at all) to 5."""
        heard = [e for e in heard if e != entity_id]
        if not heard:
            return 0
        worth = self.worth(entity_id, at)
        most = max(worth.values(), default=0.0)
        best = max((worth.get(e, 0.0) for e in heard), default=0.0)
        return 1 + int((GRADES - 2) * (best + self.indifference) / (most + self.indifference))

    def share(self, entity_id: str, grade: int) -> float:
        """Return the share of activations with that grade or less."""
        home = min(1.0, (sum(self._home.grades[: grade + 1]) + 1.0) / (self._home.n + 5.0))
        around = self._around.get(entity_id)
        if around is None:
            return home
        below = sum(around.grades[: grade + 1])
        return min(1.0, (below + self.trust * home) / (around.n + self.trust))

    def worth(self, entity_id: str, at: float) -> dict[str, float]:
        """Return what each companion that speaks for an activation is worth, in log odds."""
        around = self._around.get(entity_id)
        if around is None:
            return {}
        found = {}
        for other, count in around.companions.items():
            b = self._rate(other, at)
            q = min(1.0 - 1e-6, (count + self.shrinkage * b) / (around.n + self.shrinkage))
            if q > b:
                found[other] = log(q * (1.0 - b) / (b * (1.0 - q)))
        return found

    def usual(self, entity_id: str, at: float) -> tuple[str, float] | None:
        """Return the best companion, and the share of activations that it is heard around."""
        worth, around = self.worth(entity_id, at), self._around.get(entity_id)
        if not worth or around is None or not around.n:
            return None
        best = max(worth, key=lambda e: (worth[e], e))
        return best, min(1.0, around.companions[best] / around.n)

    def alone(self, entity_id: str) -> float:
        """Return the weight of activations around which nothing was heard."""
        around = self._around.get(entity_id)
        return around.grades[0] if around is not None else 0.0

    def _rate(self, entity_id: str, at: float) -> float:
        observed = max(_DAY_S, at - self._first) if self._first is not None else _DAY_S
        return min(_MOST_RATE, max(_LEAST_RATE, self._covered.get(entity_id, 0.0) / observed))

    # -- learning ---------------------------------------------------------------------------------

    def heard(self, entity_id: str, at: float) -> None:
        """Take note of a change of any entity."""
        if self._first is None or at < self._first:
            self._first = at
        elif at - self._first > 4 * self.half_life_days * _DAY_S:
            self._first += (at - self._first) / 2  # the older half counts half
            self._covered = {e: seconds / 2 for e, seconds in self._covered.items()}
        last = self._latest.pop(entity_id, None)
        gap = self.window_s if last is None else min(self.window_s, abs(at - last))
        self._covered[entity_id] = self._covered.get(entity_id, 0.0) + gap
        self._latest[entity_id] = at

    def learn_one(self, entity_id: str, heard: Iterable[str], at: float) -> int:
        """Learn who was heard around an activation; return its grade."""
        heard = [e for e in heard if e != entity_id]
        around = self._around.setdefault(entity_id, Around())
        day = at / _DAY_S
        around.fade(day, self.half_life_days)
        self._home.fade(day, self.half_life_days)
        grade = self.grade(entity_id, heard, at)
        for one in (around, self._home):
            one.grades[grade] += 1.0
            one.n += 1.0
        around.heard(heard)
        return grade

    # -- keeping ----------------------------------------------------------------------------------

    def forget(self, entity_id: str) -> None:
        """Drop an entity, as itself and as a companion."""
        for table in (self._latest, self._covered, self._around):
            table.pop(entity_id, None)
        for around in self._around.values():
            around.companions.pop(entity_id, None)

    def rename(self, old: str, new: str) -> None:
        """Carry what was learned over to an entity's new id, as itself and as a companion."""
        self._latest = _renamed(self._latest, old, new)
        self._covered = _renamed(self._covered, old, new)
        self._around = _renamed(self._around, old, new)
        for around in self._around.values():
            around.companions = _renamed(around.companions, old, new)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "first": self._first,
            "latest": [list(x) for x in self._latest.items()],
            "covered": self._covered,
            "around": {e: a.to_dict() for e, a in self._around.items()},
            "home": self._home.to_dict(),
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._first = data["first"]
        self._latest = dict(data["latest"])
        self._covered = dict(data["covered"])
        self._around = {e: Around.from_dict(a) for e, a in data["around"].items()}
        self._home = Around.from_dict(data["home"])


def _renamed(table: dict[str, T], old: str, new: str) -> dict[str, T]:
    if old not in table:
        return table
    return {(new if e == old else e): x for e, x in table.items() if e != new}
