"""What each thing was told, and when: the evidence that associations are counted in."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from devices.context import Context

DAY_S: Final = 86400
SLOT_S: Final = 900
_SLOTS: Final = DAY_S // SLOT_S
_FADES_S: Final = 10
_LEVELS: Final = (frozenset({"on", "dim"}), frozenset({"lower", "raise"}))


class Happened(NamedTuple):
    """An action in a thing's past."""

    at: int
    verb: str
    by_resident: bool
    dark: bool | None
    value: Any  # what it was set to: a brightness, a temperature, what plays


class Timeline:
    """One thing's actions in time order, the last `size` of them. Times are seconds on the home's clock.

    A lamp that fades passes levels that nobody asked for: where it comes to rest counts.

    >>> fading = Timeline(size=9)
    >>> for at, verb in ((0, "off"), (60, "dim"), (62, "on"), (900, "off")):
    ...     fading.add(Happened(at, verb, True, None, None))
    >>> [(h.at, h.verb) for h in fading.log]
    [(0, 'off'), (60, 'on'), (900, 'off')]
    """

    __slots__ = ("log", "size", "times")

    def __init__(self, size: int) -> None:
        self.size = size
        self.times: list[int] = []
        self.log: list[Happened] = []

    def add(self, happened: Happened) -> None:
        """Append; a time before the last one (a clock set back) counts as the last one."""
        if self.times and happened.at < self.times[-1]:
            happened = happened._replace(at=self.times[-1])
        if self.log and _goes_on(self.log[-1], happened):
            self.log[-1] = happened._replace(at=self.times[-1], by_resident=self.log[-1].by_resident)
            return
        self.times.append(happened.at)
        self.log.append(happened)
        if len(self.times) > self.size + self.size // 4:
            del self.times[: -self.size], self.log[: -self.size]

    def verb_at(self, at: float) -> str | None:
        """Return what it was told last, just before a moment; None: before all that is remembered."""
        index = bisect_left(self.times, at)
        return self.log[index - 1].verb if index else None

    def first(self, verb: str, since: float, until: float) -> Happened | None:
        """Return when it was told so first in (since, until]."""
        return next((h for h in self.between(since, until) if h.verb == verb), None)

    def between(self, since: float, until: float) -> list[Happened]:
        """Return what it was told in (since, until]."""
        start = bisect_right(self.times, since)
        if start == len(self.times) or self.times[start] > until:
            return []
        return self.log[start : bisect_right(self.times, until)]

    def drop_before(self, at: float) -> None:
        """Forget what is older, but for the state that it was left in."""
        index = bisect_left(self.times, at)
        if index > 1:
            del self.times[: index - 1], self.log[: index - 1]


def _goes_on(last: Happened, now: Happened) -> bool:
    """Whether a level is still on its way, whoever it was that set it."""
    return now.at - last.at <= _FADES_S and any({last.verb, now.verb} <= verbs for verbs in _LEVELS)


class Activity:
    """In which quarter hours of which days somebody was about: 96 bits a day."""

    def __init__(self) -> None:
        self.days: dict[int, int] = {}

    def add(self, at: int) -> None:
        """Note that somebody is about."""
        day, within = divmod(at, DAY_S)
        self.days[day] = self.days.get(day, 0) | 1 << within // SLOT_S

    def around(self, at: int) -> bool:
        """Whether somebody was about in this quarter hour or the one before it."""
        return self._in(at) or self._in(at - SLOT_S)

    def _in(self, at: int) -> bool:
        day, within = divmod(at, DAY_S)
        return bool(self.days.get(day, 0) >> within // SLOT_S & 1)

    def windows(self) -> int:
        """Return how many quarter hours there were somebody about in."""
        return sum(bits.bit_count() for bits in self.days.values())

    def drop_before(self, day: int) -> None:
        """Forget older days."""
        for old in [d for d in self.days if d < day]:
            del self.days[old]

    def to_dict(self) -> dict[str, str]:
        """Return a JSON-serialisable snapshot; 96 bits are more than a JSON number holds."""
        return {str(day): f"{bits:x}" for day, bits in sorted(self.days.items())}

    def load(self, data: Mapping[str, str]) -> None:
        """Restore from `to_dict`."""
        self.days = {int(day): int(bits, 16) for day, bits in data.items()}


def weekday(at: int) -> int:
    """Return the day of the week of a moment on the home's clock, Monday being 0; day 0 was a Thursday."""
    return (at // DAY_S + 3) % 7


def weekend(at: int) -> bool:
    """Whether that is a Saturday or Sunday."""
    return weekday(at) >= 5


def on_the_clock(at: datetime, context: Context) -> int:
    """Return a moment as seconds on the home's clock, in which a day has 86,400 of them."""
    offset = context.local.utcoffset()
    return int(at.timestamp()) + (int(offset.total_seconds()) if offset else 0)
