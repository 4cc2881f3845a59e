"""When a first action happened, and with which other times that is compared."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from latent_goals.timelines import DAY_S, Activity, Happened, Timeline, weekday, weekend

ANY: Final = "any"
"""The circumstances of all occasions."""
QUARTER_S: Final = 21600
APART: Final = 4  # horizons between a first action and a time that is clear of it
_DAYPARTS: Final = ("night", "morning", "afternoon", "evening")
_CONTROLS: Final = 12  # other days that an occasion is compared with
_REACH_DAYS: Final = 21  # how far they lie from it at most
_CLEAR_DAYS: Final = 10  # and those clear of it: dusk shifts by up to four minutes a day, less than an hour
_MOST: Final = 80  # occasions that count, the last ones


class Occasion(NamedTuple):
    """A time that a first action happened."""

    at: int
    value: Any  # what it was set to
    contexts: tuple[str, ...]


def contexts_of(at: int, *, dark: bool | None) -> tuple[str, ...]:
    """Return the circumstances of a moment on the home's clock.

    >>> contexts_of(20 * 3600, dark=True)
    ('any', 'workday', 'evening', 'dark')
    """
    light = () if dark is None else ("dark",) if dark else ("daylight",)
    return (ANY, "weekend" if weekend(at) else "workday", _DAYPARTS[at % DAY_S // QUARTER_S], *light)


class Occasions:
    """The times of a first action that are over; repeats within the horizon are one.

    Each is compared with the same time on the nearest other days of its kind, when somebody was about and the
    first action didn't happen around it. Of its kind is a workday for one on a workday, and one of a weekday
    on which the first action is usual: what is done on Mondays is compared with Mondays.
    """

    def __init__(self, first: Timeline, verb: str, activity: Activity, now: int, horizon_s: int) -> None:
        self.horizon_s = horizon_s
        self._times = [h.at for h in first.log if h.verb == verb]
        self._usual = _usual_weekdays(self._times)
        self._activity = activity
        self._now = now
        self._controls: dict[tuple[int, int], tuple[int, ...]] = {}
        begun: list[Happened] = []
        for h in first.log:
            over = h.verb == verb and h.by_resident and h.at + horizon_s <= now
            if over and (not begun or h.at - begun[-1].at > horizon_s):
                begun.append(h)
        self.cases = [Occasion(h.at, h.value, contexts_of(h.at, dark=h.dark)) for h in begun[-_MOST:]]

    def controls(self, at: int, apart: int = 1) -> tuple[int, ...]:
        """Return the times to compare an occasion with, so many horizons apart from the first action."""
        key = (at, apart)
        if key not in self._controls:
            reach = _REACH_DAYS if apart == 1 else _CLEAR_DAYS
            self._controls[key] = tuple(islice(self._like(at, apart * self.horizon_s, reach), _CONTROLS))
        return self._controls[key]

    def _like(self, at: int, apart_s: int, reach: int) -> Iterator[int]:
        kind = weekend(at)
        for days in range(1, reach + 1):
            for other in (at - days * DAY_S, at + days * DAY_S):
                if other + apart_s > self._now or weekend(other) != kind:
                    continue
                if weekday(other) not in self._usual:
                    continue
                index = bisect_right(self._times, other - apart_s)
                happened = index < len(self._times) and self._times[index] <= other + apart_s
                if not happened and self._activity.around(other):
                    yield other


def _usual_weekdays(times: Sequence[int]) -> set[int]:
    """Return the weekdays on which something happens at least a third as often as on the best one."""
    count = Counter(weekday(at) for at in {at // DAY_S * DAY_S for at in times})
    return {day for day, n in count.items() if 3 * n >= max(count.values())}
