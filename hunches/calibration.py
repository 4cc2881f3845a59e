"""Which findings are news in this home, with few of them false."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from hunches.conformal import Conformal
from hunches.fdr import MemLord

_DAYS: Final = 180  # that are remembered
_HIGHEST: Final = 50.0  # score


class Verdict(NamedTuple):
    """Whether a finding is let through, and why."""

    admitted: bool
    p: float  # probability that a day brings a score as high from this detector, though nothing is wrong
    level: float  # what p had to be at most


class Calibration:
    """Lets a finding through if its score is out of the ordinary for the home, not just for the detector.

    A detector makes thousands of tests a day. They count as one here: its day's largest score, whose p-value
    against the largest scores of earlier days (`Conformal`) is tested at a level that online control of the
    false discovery rate gives the day (`MemLord`), shared by the detectors that ever found anything. The
    level stands from the day's beginning, so a finding is answered when it comes: if p of its score is at
    most the level, p of the day's maximum is so, too.

    What is let through is mostly not what ordinary days are like. Such a day counts in what is known of
    ordinary ones with the probability that it was one, which is Bayes' rule with the numbers at hand:

        P(ordinary | let through) = min(1, q · (n + 1) / (c + 1))        q = (level + p) / 2

    after c of n earlier days were let through; the lower its p, the less it counts. So a fault doesn't hide
    the next one of its kind, and what happens often is heard less and less. The resident's answer
    (`answer_one`) makes it 1 or 0.

    A home in which hardly anything goes wrong leaves the strict rate next to nothing to spend. With a budget
    of `per_day` interruptions, the rate is that among as many: at most alpha · (per_day + true ones) false a
    day, in the long run.

    Memory: one score a detector and day, of the last 180 days. `admits` is O(days · log days),
    `learn_one` O(1).

    Parameters
    ----------
    alpha: share of what is let through that may be false.
    per_day: interruptions a day that the resident has agreed to, whatever is found; 0 is the strict rate.
    floor: detectors are to report every finding with a score from here on, and again as it rises.
    floors: the same for those, by name, that speak from another score on.
    decay: factor a day by which the past is forgotten in the rate that is controlled: ten days or so.
    spend: share of what may be spent that a day gets.
    half_life_days: time in which the weight of a day's score halves.

    >>> c = Calibration()
    >>> for day in range(20):
    ...     c.tick(day)
    ...     c.learn_one("dwell", 2.0 + day % 4 / 5, day)
    >>> c.tick(20)
    >>> c.admits("dwell", 2.7, 20).admitted, c.admits("dwell", 7.5, 20).admitted
    (False, True)

    References
    ----------
    See `Conformal` and `MemLord`.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.1,
        per_day: float = 0.0,
        floor: float = 2.0,
        floors: Mapping[str, float] | None = None,
        decay: float = 0.9,
        spend: float = 0.5,
        half_life_days: float = 60.0,
    ) -> None:
        self.floor = floor
        self.floors = dict(floors or {})
        self.half_life_days = half_life_days
        self._fdr = MemLord(alpha=alpha, granted=per_day / (1.0 - decay), decay=decay, spend=spend)
        self._days: dict[str, Conformal] = {}  # by detector: the largest scores of past days
        self._day: int | None = None
        self._best: dict[str, float] = {}  # by detector: today's
        self._let_through: dict[str, list[int]] = {}  # by detector: days, but for those answered "mistaken"
        self._observed = 0  # days that are over

    def admits(self, detector: str, score: float, day: int) -> Verdict:
        """Return whether a finding of today is let through. Pure; `tick(day)` comes first."""
        if score < self._floor(detector):
            return Verdict(admitted=False, p=1.0, level=self.level(detector))
        p, level = self._record(detector, day).p(score, day=float(day)), self.level(detector)
        return Verdict(admitted=p <= level, p=p, level=level)

    def level(self, detector: str) -> float:
        """Return what p has to be at most today."""
        sharing = len(self._days) + (detector not in self._days)
        return self._fdr.threshold() / sharing

    def bar(self, detector: str, day: int) -> float:
        """Return the least score of today that is let through, to a hundredth; `_HIGHEST` at most."""
        known, level = self._record(detector, day), self.level(detector)
        low, high = self._floor(detector), _HIGHEST
        while high - low > 0.01:
            middle = (low + high) / 2.0
            if known.p(middle, day=float(day)) > level:
                low = middle
            else:
                high = middle
        return high

    def learn_one(self, detector: str, score: float, day: int) -> None:
        """Take note of a finding, after `admits`."""
        self.tick(day)
        if score >= self._floor(detector):
            self._best[detector] = max(score, self._best.get(detector, 0.0))

    def tick(self, day: int) -> None:
        """Take note of the day (a running number): the last one that was noted is over if it is another."""
        if self._day is not None and day > self._day:
            self._close(self._day)
        if self._day is None or day > self._day:
            self._day = day

    def _close(self, day: int) -> None:
        verdicts = {d: self.admits(d, score, day) for d, score in self._best.items()}
        self._days |= {d: self._record(d, day) for d in self._best}
        for detector, known in self._days.items():
            verdict, weight = verdicts.get(detector), 1.0
            if verdict is not None and verdict.admitted:
                weight = self._doubt(detector, day, (verdict.level + verdict.p) / 2.0)
            known.learn_one(self._best.get(detector, 0.0), day=float(day), weight=weight)
        self._fdr.learn_batch(sum(v.admitted for v in verdicts.values()))
        self._observed = min(_DAYS, self._observed + 1)
        self._best = {}

    def _doubt(self, detector: str, day: int, q: float) -> float:
        """Note that a finding was let through; return the probability that it was nothing."""
        earlier = [d for d in self._let_through.get(detector, []) if d > day - _DAYS]
        self._let_through[detector] = [*earlier, day]
        return min(1.0, q * (self._observed + 1) / (len(earlier) + 1))

    def _record(self, detector: str, day: int) -> Conformal:
        return self._days.get(detector) or self._unheard(detector, day)

    def _unheard(self, detector: str, day: int) -> Conformal:
        """Return the record of a detector that has found nothing on any of the days observed."""
        known = self._empty(detector)
        for i in range(self._observed):
            known.learn_one(0.0, day=float(day - i - 1))
        return known

    def _floor(self, detector: str) -> float:
        return self.floors.get(detector, self.floor)

    def _empty(self, detector: str) -> Conformal:
        return Conformal(floor=self._floor(detector), half_life_days=self.half_life_days, memory=_DAYS)

    def answer_one(self, detector: str, day: int, *, mistaken: bool) -> None:
        """Learn from the resident's answer to a finding of an earlier day."""
        days = self._let_through.get(detector, [])
        if day in days:
            self._days[detector].reweigh(float(day), 1.0 if mistaken else 0.0)
            if mistaken:
                days.remove(day)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "fdr": self._fdr.to_dict(),
            "days": {d: c.to_dict() for d, c in self._days.items()},
            "day": self._day,
            "best": dict(self._best),
            "observed": self._observed,
            "let_through": {d: list(days) for d, days in self._let_through.items()},
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._fdr.load(data["fdr"])
        self._days = {}
        for detector, body in data["days"].items():
            self._days[detector] = self._empty(detector)
            self._days[detector].load(body)
        self._day, self._best, self._observed = data["day"], dict(data["best"]), data["observed"]
        self._let_through = {d: list(days) for d, days in data["let_through"].items()}
