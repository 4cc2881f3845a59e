"""What is remembered of one numeric sensor: how far it goes on a day, and how far now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, log10
from typing import Any, Final

from hunches.extremes import DailyExtremes
from hunches.shapley import shapley

QUARTER_S: Final = 900.0
SPANS: Final = (1, 4, 16, 32, 48)
"""For how many quarters of an hour a level must last, from 15 minutes to 12 hours."""
_TESTS: Final = 2 * len(SPANS)
_PRIOR_SPREAD: Final = 0.2  # of daily extremes, in daily ranges
_RESTS: Final = 0.02  # a spread that small, in daily ranges: the sensor has a floor that it rests on
_HOUR: Final = 4  # quarters
_LEVEL: Final = "level"
_LASTED: Final = "how long it lasted"
_SPREAD: Final = "how its days differ"
_FEW_QUARTERS: Final = 72  # a day of which less was seen says nothing about its extremes


@dataclass(frozen=True, slots=True)
class Excess:
    """A level out of character."""

    score: float  # -log10 p
    high: bool
    lasted_s: float
    level: float  # which it has been beyond for that long
    record: float  # the furthest that it was before, for as long


class Gauge:
    """The levels that a sensor holds for 15 minutes, 1, 4, 8 and 12 hours.

    The level held for a span is the smallest value in it (upwards; the largest, downwards): one odd reading
    is none. Its largest value on a day is compared with other days' (`DailyExtremes`), each way:

        score = -log10 p - log10(number of comparisons)

    It has to break the record of its span by `margin` daily ranges as well. A sensor that rests on a floor
    (a power plug) shows nothing by how long it is off the floor, so there only the shortest span counts.
    A day on which something was out of character isn't learned, unless it is the third in a row.

    Memory: about 160 numbers. A reading costs O(1), a quarter of an hour O(longest span).
    """

    __slots__ = (
        "_highs", "_lows", "_quarters", "_today", "_up_down", "days", "high", "low", "margin",
        "odd_days", "odd_today", "readings", "value",
    )  # fmt: skip

    def __init__(self, *, half_life_days: float, margin: float) -> None:
        self.margin = margin
        self.value: float | None = None
        self.low = self.high = 0.0  # of this quarter of an hour
        self.days = 0
        self.readings = 0
        self.odd_today = False
        self.odd_days = 0
        self._lows: list[float] = []
        self._highs: list[float] = []
        self._today: list[float | None] = [None] * _TESTS
        self._quarters = 0
        self._up_down = [DailyExtremes(half_life_days=half_life_days) for _ in range(_TESTS)]

    # -- readings -----------------------------------------------------------------------------------

    def read(self, value: float) -> None:
        """Take a reading."""
        self.readings += 1
        if self.value is None:
            self.low = self.high = value
        else:
            self.low, self.high = min(self.low, value), max(self.high, value)
        self.value = value

    def add(self, amount: float) -> None:
        """Take what a counter has added: its level is the sum over a quarter of an hour."""
        self.readings += 1
        self.value = (self.value or 0.0) + amount
        self.low = self.high = self.value

    def lose(self) -> None:
        """Nobody knows the level any more."""
        self.value = None
        self._lows, self._highs = [], []

    def break_off(self) -> None:
        """Nobody knows the level of the time just past."""
        self._lows, self._highs = [], []
        if self.value is not None:
            self.low = self.high = self.value

    def close_quarter(self, *, counts: bool = False) -> None:
        """Take note that a quarter of an hour is over; what counts begins anew."""
        if self.value is None:
            return
        self._quarters += 1
        for i, span in enumerate(SPANS):
            for test, up in ((2 * i, True), (2 * i + 1, False)):
                best = self._today[test]
                level = self._held(span, up=up, least=-inf if best is None else best)
                if level is not None:
                    self._today[test] = level
        keep = SPANS[-1] - 1
        self._lows = [*self._lows, self.low][-keep:]
        self._highs = [*self._highs, self.high][-keep:]
        self.value = 0.0 if counts else self.value
        self.low = self.high = self.value

    def _held(self, span: int, *, up: bool, least: float) -> float | None:
        """Return the level held for a span until now (negated, downwards), if it is more than `least`."""
        now = self.low if up else -self.high
        if now <= least or len(self._lows) < span - 1:
            return None
        if span > 1:
            now = min(now, min(self._lows[1 - span :]) if up else -max(self._highs[1 - span :]))
        return now if now > least else None

    def close_day(self) -> None:
        """Learn the day's extremes."""
        self.odd_days = self.odd_days + 1 if self.odd_today else 0
        if self._quarters >= _FEW_QUARTERS and (not self.odd_today or self.odd_days >= 3):
            self.days += 1
            for extremes, level in zip(self._up_down, self._today, strict=True):
                if level is not None:
                    extremes.learn_one(level)
        self.odd_today = False
        self._today, self._quarters = [None] * _TESTS, 0

    # -- judging ------------------------------------------------------------------------------------

    @property
    def usual(self) -> tuple[float, float]:
        """The lowest and the highest level of a usual day."""
        return -self._up_down[1].mean, self._up_down[0].mean

    def trend(self) -> int:
        """Return whether it went up (1) or down (-1) over the last hour, by a tenth of its daily range."""
        if self.value is None or len(self._lows) < _HOUR:
            return 0
        low, high = self.usual
        least = 0.1 * (high - low)
        return (self.value > self._highs[-_HOUR] + least) - (self.value < self._lows[-_HOUR] - least)

    @property
    def _width(self) -> float:
        low, high = self.usual
        return high - low

    def excess(self) -> Excess | None:
        """Return the most surprising level that it holds now, if any breaks its record."""
        width = self._width
        if self.value is None or not self.days or width <= 0.0:
            return None
        best: Excess | None = None
        for i, past in enumerate(self._up_down):
            span, up = SPANS[i // 2], i % 2 == 0
            level = self._held(span, up=up, least=past.record + self.margin * width)
            if level is None or (span > 1 and past.spread < _RESTS * width):
                continue
            score = past.score_one(level, _PRIOR_SPREAD * width) - log10(_TESTS)
            if best is None or score > best.score:
                sign = 1.0 if up else -1.0
                best = Excess(score, up, span * QUARTER_S, sign * level, sign * past.record)
        return best

    def contributions(self, found: Excess) -> dict[str, float]:
        """Return what adds how much to the score of an excess (Shapley values).

        Without how long it lasted, its level counts as one of 15 minutes; without how its days differ, they
        are taken to differ as those of any sensor.
        """
        spans, sign = dict(zip(SPANS, range(0, _TESTS, 2), strict=True)), 1.0 if found.high else -1.0
        way = 0 if found.high else 1

        def value(known: frozenset[str]) -> float:
            if _LEVEL not in known:
                return 0.0
            span = round(found.lasted_s / QUARTER_S) if _LASTED in known else SPANS[0]
            past = self._up_down[spans[span] + way]
            prior = _PRIOR_SPREAD * self._width
            score = past.score_one(sign * found.level, prior, spread_known=_SPREAD in known)
            return score - log10(_TESTS)

        return {k: round(v, 3) for k, v in shapley((_LEVEL, _LASTED, _SPREAD), value).items()}

    # -- keeping ------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "now": [self.value, self.low, self.high],
            "held": [self._lows, self._highs],
            "today": [self._today, self._quarters],
            "past": [e.to_list() for e in self._up_down],
            "days": [self.days, self.readings, self.odd_today, self.odd_days],
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self.value, self.low, self.high = data["now"]
        self._lows, self._highs = map(list, data["held"])
        self._today, self._quarters = list(data["today"][0]), data["today"][1]
        for extremes, numbers in zip(self._up_down, data["past"], strict=True):
            extremes.load(numbers)
        self.days, self.readings, self.odd_today, self.odd_days = data["days"]
