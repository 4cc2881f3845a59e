"""When each entity of a home was active on the last days, and on which of these it was lived in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import inf
from statistics import median
from typing import Any, Final, NamedTuple

from hunches.daily import DAYS, SLOTS, DailyTimes, Usual, first_of, last_of, slot_of

_STARTS_H: Final = 4  # local hour at which a day starts, until the home's quietest hour is known
_NIGHT: Final = range(10)  # hours that may be the quietest
_BEFORE_H: Final = 3.0  # the usual time, for the life in the home
_AFTER_H: Final = 2.0
_SO_SO: Final = 0.5  # of the usual activity in the hours around a habit, for a day to be compared
_LIVED: Final = 1 / 3  # of the usual activity, for a day to count
_ONE_IN: Final = 10  # days has less than the least life that is usual
_MOST_LATE_H: Final = 3.0  # that a home that woke up late makes its habits
LEAST_LIFE: Final = 3  # active entities, to know that the home is alive
LATE_H: Final = 2.5  # after the end of a day, in which what comes may be its last
FIRST, LAST, REST = "first", "last", "rest"


class HomeDays:
    """The last 28 days of a home: when each entity was active or came to rest, how many were in each slot.

    Days are running numbers, hours are counted from the start of the day: the quietest hour of the night.

    Memory: 56 integers of 144 bits an entity, 144 numbers a day. `mark` and `others` are O(1), the
    rest is O(days).

    >>> days = HomeDays()
    >>> for entity_id in ("light.hall", "light.kitchen", "light.bath"):
    ...     days.mark(entity_id, datetime(2024, 3, 4, 7, 30))
    >>> monday, hour = day_of(datetime(2024, 3, 4, 7, 30), days.starts)
    >>> hour, days.wakes(monday), days.others("light.bath", monday, 0.0, 24.0)
    (3.5, 3.5, 2)
    """

    __slots__ = ("_active", "_first", "off", "on", "starts")

    def __init__(self) -> None:
        self.on: dict[str, DailyTimes] = {}
        self.off: dict[str, DailyTimes] = {}  # returns to rest
        self.starts = _STARTS_H  # local hour at which a day starts
        self._active: dict[int, list[int]] = {}  # calendar day -> active entities by slot
        self._first: int | None = None  # day; it is no whole one

    # -- learning ---------------------------------------------------------------------------------

    def mark(self, entity_id: str, local: datetime) -> None:
        """Note that an entity was activated."""
        day, hour = local.toordinal(), _hour(local)
        if self._first is None or day < self._first:
            self._first = day
        if day not in self._active:
            self._active = {d: s for d, s in self._active.items() if day - DAYS <= d <= day + DAYS}
            self._active[day] = [0] * SLOTS
        times = self.on.get(entity_id)
        if times is None:
            times = self.on[entity_id] = DailyTimes()
        if times.mark(day, hour):
            self._active[day][slot_of(hour)] += 1

    def mark_rest(self, entity_id: str, local: datetime) -> None:
        """Note that an entity came to rest."""
        self.off.setdefault(entity_id, DailyTimes()).mark(local.toordinal(), _hour(local))

    def choose_start(self) -> bool:
        """Let the days start at the quietest hour of the night; return whether that is another one now."""
        before, self.starts = self.starts, self._quietest_hour()
        return self.starts != before

    def _quietest_hour(self) -> int:
        """Return the hour of the night at which the least happens, by the three hours around it."""
        by_hour = [sum(sum(s[h * 6 : h * 6 + 6]) for s in self._active.values()) for h in range(24)]
        around = [by_hour[h - 1] + by_hour[h] + by_hour[h + 1] for h in _NIGHT]
        quietest = min(_NIGHT, key=lambda h: (around[h], abs(h - self.starts)))
        return quietest if around[self.starts] > 2 * around[quietest] else self.starts

    # -- days -------------------------------------------------------------------------------------

    def lived(self, day: int) -> list[int]:
        """Return the whole days before a day on which the home was lived in."""
        life = {d: self.active(d, 0.0, 24.0) for d in self._active if d < day and d != self._first}
        least = _LIVED * median(life.values()) if life else 0.0
        return sorted(d for d, n in life.items() if n > least)

    def active(self, day: int, start: float, end: float) -> int:
        """Return how many entities were active in the slots of a stretch of a day, in all."""
        shift = slot_of(self.starts)
        a, b = shift + slot_of(start), shift + min(SLOTS, int(end * SLOTS / 24.0))
        today, next_day = self._active.get(day, ()), self._active.get(day + 1, ())
        return sum(today[a:b]) + (sum(next_day[max(0, a - SLOTS) : b - SLOTS]) if b > SLOTS else 0)

    def others(self, entity_id: str, day: int, start: float, end: float) -> int:
        """Return the same without one entity."""
        times = self.on.get(entity_id)
        own = times.between(day, self.starts, start, end) if times else 0
        return self.active(day, start, end) - own

    def wakes(self, day: int) -> float | None:
        """Return the hours from the start of a day until a few entities have been active."""
        active = 0
        shift = slot_of(self.starts)
        slots = (*self._active.get(day, ())[shift:], *self._active.get(day + 1, ())[:shift])
        for i, n in enumerate(slots):
            active += n
            if active >= LEAST_LIFE:
                return i * 24.0 / SLOTS
        return None

    def lateness_h(self, day: int) -> float:
        """Return how much later than usual the home woke up, at most three hours."""
        today = self.wakes(day)
        usual = [w for d in self.lived(day) if (w := self.wakes(d)) is not None]
        if today is None or not usual:
            return 0.0
        return min(_MOST_LATE_H, max(0.0, today - median(usual)))

    # -- habits -----------------------------------------------------------------------------------

    def usual(self, entity_id: str, which: str, days: Sequence[int], day: int) -> Usual | None:
        """Return by when the first or last activation or the last return to rest usually came, as of a day.

        Days on which little happened in the hours around don't count.
        """
        rough = self._usual_of(entity_id, which, days, day)
        if rough is None:
            return None
        start, end = _around(rough.time)
        life = {d: self.others(entity_id, d, start, end) for d in days}
        least = _SO_SO * median(life.values())
        return self._usual_of(entity_id, which, [d for d in days if life[d] >= least], day)

    def _usual_of(self, entity_id: str, which: str, days: Sequence[int], day: int) -> Usual | None:
        times = (self.off if which == REST else self.on)[entity_id]
        slots = [(day - d, times.of(d, self.starts)) for d in days]
        if which == FIRST:
            return first_of(slots)
        return last_of(slots, [times.between(d + 1, self.starts, 0.0, LATE_H) > 0 for d in days])

    def is_comparable(self, entity_id: str, day: int, usual_time: float) -> bool:
        """Whether a day passes what the days that it is compared with had to pass in `usual`."""
        life = self._life(entity_id, day, *_around(usual_time))
        return life.today >= _SO_SO * life.usual

    def life(self, entity_id: str, day: int, usual_time: float, until: float) -> Life:
        """Return how active the others were from some hours before a habit on."""
        return self._life(entity_id, day, _around(usual_time)[0], min(24.0, until))

    def _life(self, entity_id: str, day: int, start: float, end: float) -> Life:
        today = self.others(entity_id, day, start, end)
        past = sorted(self.others(entity_id, d, start, end) for d in self.lived(day))
        return Life(today, median(past), past[len(past) // _ONE_IN]) if past else Life(today, inf, inf)

    # -- keeping ----------------------------------------------------------------------------------

    def forget(self, entity_id: str) -> None:
        """Drop an entity; the life of the home keeps its share."""
        self.on.pop(entity_id, None)
        self.off.pop(entity_id, None)

    def rename(self, old: str, new: str) -> None:
        """Carry an entity's times over to its new id."""
        for found in (self.on, self.off):
            if old in found:
                found[new] = found.pop(old)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "on": {e: t.to_dict() for e, t in self.on.items()},
            "off": {e: t.to_dict() for e, t in self.off.items()},
            "active": [[d, s] for d, s in self._active.items()],
            "starts": self.starts,
            "first": self._first,
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self.on = {e: DailyTimes.from_dict(t) for e, t in data["on"].items()}
        self.off = {e: DailyTimes.from_dict(t) for e, t in data["off"].items()}
        self._active = {d: list(s) for d, s in data["active"]}
        self.starts, self._first = data["starts"], data["first"]


class Life(NamedTuple):
    """How many ten-minute slots others were active in, in all."""

    today: int
    usual: float  # on half of the other days it was less
    least: float  # on one day in ten it was less


def day_of(local: datetime, starts: int) -> tuple[int, float]:
    """Return the day that a local time belongs to, as a running number, and the hours since its start."""
    hour = _hour(local) - starts
    day = local.toordinal()
    return (day, hour) if hour >= 0 else (day - 1, hour + 24.0)


def hours_since(day: int, now: tuple[int, float]) -> float:
    """Return the hours since the start of a day."""
    return 24.0 * (now[0] - day) + now[1]


def _hour(local: datetime) -> float:
    return local.hour + local.minute / 60


def _around(usual_time: float) -> tuple[float, float]:
    """Return the hours around a habit, in which the home is to live as usual."""
    return max(0.0, usual_time - _BEFORE_H), usual_time + _AFTER_H
