"""How full batteries are, and when they will be empty."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any, Final, Self

from hunches.measures import number

_KEPT: Final = 24  # levels
_APART_DAYS: Final = 0.5
_CLEAR: Final = 3.0  # standard errors that a slope must be away from none
_LEAST: Final = 5  # levels, for a slope


class Battery:
    """The level of a battery over time.

    The forecast is the least-squares slope of the last levels, half a day or more apart, since it was last
    charged; given only where the slope is negative by three standard errors.

    Memory: 48 numbers. All is O(1) or O(24).

    >>> b = Battery()
    >>> for day in range(11):
    ...     b.learn_one(30.0 - day, day=float(day))
    >>> b.level, round(b.days_left())
    (20.0, 20)
    """

    __slots__ = ("level", "past")

    def __init__(self) -> None:
        self.level: float | None = None
        self.past: list[tuple[float, float]] = []  # day, level

    def learn_one(self, level: float, day: float) -> None:
        """Take a level in percent on a day (since any epoch) into account."""
        charged = self.level is not None and level > self.level + 10.0
        self.level = level
        if charged or (self.past and day < self.past[-1][0]):
            self.past = []
        if not self.past or day - self.past[-1][0] >= _APART_DAYS:
            self.past = [*self.past, (day, level)][-_KEPT:]

    def days_left(self) -> float | None:
        """Return in how many days it will be empty; None: that isn't clear."""
        n = len(self.past)
        if n < _LEAST or self.level is None:
            return None
        mx, my = (sum(v) / n for v in zip(*self.past, strict=True))
        sxx = sum((x - mx) ** 2 for x, _ in self.past)
        slope = sum((x - mx) * (y - my) for x, y in self.past) / sxx
        rest = sum((y - my - slope * (x - mx)) ** 2 for x, y in self.past)
        error = sqrt((rest + 1.0) / (n - 2) / sxx)  # levels are whole percents: never exact
        return self.level / -slope if slope < -_CLEAR * error else None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {"level": self.level, "past": [list(p) for p in self.past]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        found = cls()
        found.level, found.past = data["level"], [(x, y) for x, y in data["past"]]
        return found


def level_of(state: str, domain: str) -> float | None:
    """Return a battery's level in percent: of a binary sensor "on" is 0, low; None: not a level.

    >>> level_of("14.5", "sensor"), level_of("on", "binary_sensor"), level_of("nan", "sensor")
    (14.5, 0.0, None)
    """
    if domain == "binary_sensor":
        return {"on": 0.0, "off": 100.0}.get(state)
    value = number(state)
    return value if value is not None and 0.0 <= value <= 100.0 else None
