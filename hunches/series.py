"""How unusual the next value of a numeric sensor is."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from hunches.series_tail import MagnitudeTail

_HOUR_S: Final = 3600.0
_DAY_S: Final = 86400.0
_ROUNDING: Final = 1e-9  # a deviation smaller than this share of the value is rounding, not news


class SeriesAnomaly:
    """Anomaly score of a numeric series, without a model of its shape, units, or rate.

    Two deviations are followed: the value's from the usual one of its hour of the day (spikes, wrong time),
    and that of the mean of the last `window` values from the long-run mean (a new level, a slow drift). Each
    is compared, upwards and downwards apart, with all such deviations before it (MagnitudeTail), and the
    score is -log10 of the geometric mean of the two tail probabilities p:

        score = ½ · (-log10 p_hour - log10 p_level)

    so both have to agree, and 3.0 is about one in a thousand: e times the geometric mean is a valid p-value
    whatever the dependence of the two (Vovk and Wang). Steps need not be equal; hours are those of UTC.
    Values are learned unlabelled, anomalies as well: what goes on becomes normal. That a sensor is stuck
    shows in the time between its values, not here.

    Memory: 24 hour means, `window` values, four tails of at most 96 bins. Both calls: O(window).

    Parameters
    ----------
    window: how many of the last values make the present level.
    memory: number of values that an hour's mean looks back.
    level_memory: number of values that the long-run mean looks back.
    half_life_days: time in which what is known of deviations loses half its weight.

    >>> series = SeriesAnomaly()
    >>> for i in range(2000):
    ...     series.learn_one(20.0 + i % 7, 600.0 * i)
    >>> series.score_one(23.0, 1_200_000.0) < 1.0 < 3.0 < series.score_one(60.0, 1_200_000.0)
    True

    References
    ----------
    Vovk, V. and Wang, R. (2020). Combining p-values via averaging. Biometrika 107(4).
    """

    __slots__ = (
        "_at", "_day", "_hours", "_mean", "_recent", "_tails",
        "half_life_days", "level_memory", "memory", "n", "window",
    )  # fmt: skip

    def __init__(
        self, *, window: int = 16, memory: int = 60, level_memory: int = 2000, half_life_days: float = 60.0
    ) -> None:
        self.window = window
        self.memory = memory
        self.level_memory = level_memory
        self.half_life_days = half_life_days
        self.n = 0
        self._recent: deque[float] = deque(maxlen=window)
        self._mean = 0.0
        self._hours: dict[int, tuple[int, float]] = {}
        self._tails = {name: MagnitudeTail() for name in ("hour+", "hour-", "level+", "level-")}
        self._at: float | None = None
        self._day: float | None = None

    def score_one(self, value: float, at: float) -> float:
        """Return -log10 of the tail probability of this value at this time (epoch seconds)."""
        return 0.5 * sum(
            self._tails[name + ("+" if deviation > 0.0 else "-")].score_one(abs(deviation))
            for name, deviation in self._deviations(value, at).items()
        )

    def learn_one(self, value: float, at: float) -> None:
        """Take up a value; values come in the order of their times."""
        self._fade(at)
        for name, deviation in self._deviations(value, at).items():
            self._tails[name + "+"].learn_one(deviation)
            self._tails[name + "-"].learn_one(-deviation)
        hour = _hour(at)
        count, mean = self._hours.get(hour, (0, value))
        self._hours[hour] = count + 1, mean + (value - mean) / min(count + 1, self.memory)
        self.n += 1
        self._mean += (value - self._mean) / min(self.n, self.level_memory)
        self._recent.append(value)
        self._at = at

    def expected(self) -> tuple[float, float] | None:
        """Return the usual range at the hour of the last value (all but one in a hundred each side)."""
        if self._at is None:
            return None
        mean = self._hours[_hour(self._at)][1]
        return mean - self._tails["hour-"].quantile(0.01), mean + self._tails["hour+"].quantile(0.01)

    def to_dict(self) -> dict[str, Any]:
        """Return what was learned, for a snapshot."""
        return {
            "n": self.n,
            "recent": list(self._recent),
            "mean": self._mean,
            "hours": {str(hour): list(known) for hour, known in self._hours.items()},
            "tails": {name: tail.to_dict() for name, tail in self._tails.items()},
            "at": self._at,
            "day": self._day,
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Take up a snapshot."""
        self.n = int(data["n"])
        self._recent = deque(data["recent"], maxlen=self.window)
        self._mean = float(data["mean"])
        self._hours = {int(hour): (int(n), float(mean)) for hour, (n, mean) in data["hours"].items()}
        for name, tail in data["tails"].items():
            self._tails[name].load(tail)
        self._at, self._day = data["at"], data["day"]

    def _deviations(self, value: float, at: float) -> dict[str, float]:
        found: dict[str, float] = {}
        count, mean = self._hours.get(_hour(at), (0, value))
        if count > 1:
            found["hour"] = _deviation(value, mean)
        if self.n:
            recent = [*self._recent, value][-self.window :]
            found["level"] = _deviation(sum(recent) / len(recent), self._mean)
        return found

    def _fade(self, at: float) -> None:
        if self._day is None:
            self._day = at
        days = (at - self._day) / _DAY_S
        if days >= 1.0:
            for tail in self._tails.values():
                tail.fade(0.5 ** (days / self.half_life_days))
            self._day = at


def _hour(at: float) -> int:
    return int(at % _DAY_S / _HOUR_S)


def _deviation(value: float, usual: float) -> float:
    deviation = value - usual
    return 0.0 if abs(deviation) <= _ROUNDING * abs(value) else deviation
