"""What must hold for a trigger to count: weekdays, hours, occupancy and darkness, where they tell."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from devices.context import Context
from routines.guard import hoeffding
from routines.routine import MINUTES_A_DAY, Conditions

WEEKDAYS: Final = tuple(range(5))
WEEKEND: Final = (5, 6)
_ROUNDS: Final = 3
_HOURS_MIN: Final = 360  # what keeps to fewer has hours of its own
_CHANCE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Moment:
    """A time that the trigger came, and whether the steps followed."""

    minute: int  # local, of the day
    weekday: int
    occupancy: str
    dark: bool | None
    followed: bool


def holds(conditions: Conditions, context: Context) -> bool:
    """Whether the conditions hold in a context; what isn't known doesn't hold.

    >>> from zoneinfo import ZoneInfo
    >>> from devices.context import Calendar, Occupancy
    >>> from devices.events import utc
    >>> monday = Calendar(ZoneInfo("UTC")).context(utc("2024-03-04T23:30:00+00:00"), Occupancy.HOME)
    >>> holds(Conditions(weekdays=(0,), after_min=1380, before_min=30), monday)
    True
    """
    if conditions.weekdays and context.weekday not in conditions.weekdays:
        return False
    if conditions.occupancy and context.occupancy.value not in conditions.occupancy:
        return False
    if conditions.dark is not None and (context.daylight is None or context.daylight is conditions.dark):
        return False
    return in_window(conditions, context.local.hour * 60 + context.local.minute)


def in_window(conditions: Conditions, minute: int) -> bool:
    """Whether a local minute of the day lies in the conditions' hours, ends included."""
    after, before = conditions.after_min, conditions.before_min
    if after is None or before is None:
        return True
    return after <= minute <= before if after <= before else minute >= after or minute <= before


def admits(conditions: Conditions, moment: Moment) -> bool:
    """Whether the conditions held at a moment."""
    return (
        (not conditions.weekdays or moment.weekday in conditions.weekdays)
        and (not conditions.occupancy or moment.occupancy in conditions.occupancy)
        and (conditions.dark is None or moment.dark is conditions.dark)
        and in_window(conditions, moment.minute)
    )


def infer(moments: Sequence[Moment], given: Conditions | None = None) -> Conditions:
    """Add the conditions that tell best when the steps follow, one after the other, while they tell enough.

    A condition c splits the moments; its information gain in nats is

        n·H(followed) − n_c·H(followed | c) − n_¬c·H(followed | ¬c),

    and it has to exceed the price of picking it from so many: log(choices) + ½·log(n) a number learned.
    Only conditions under which the steps follow more often are considered. Complexity: O(choices · n).

    References: Quinlan, C4.5 (1993); Rissanen, minimum description length (Automatica 1978).

    >>> days = [Moment(420, n % 7, "home", None, followed=n % 7 < 5) for n in range(28)]
    >>> infer(days).weekdays
    (0, 1, 2, 3, 4)
    >>> infer([Moment(420, n % 7, "home", None, followed=n % 3 == 0) for n in range(28)])
    Conditions(weekdays=(), after_min=None, before_min=None, occupancy=(), dark=None)
    """
    found = given or Conditions()
    for _ in range(_ROUNDS):
        inside = [m for m in moments if admits(found, m)]
        best = _best(inside, found)
        if best is None:
            break
        found = best
    return found


def _best(moments: Sequence[Moment], found: Conditions) -> Conditions | None:
    n = len(moments)
    whole = _entropy(moments)
    if whole == 0.0:
        return None
    choices = list(_choices(moments, found))
    best, most = None, 0.0
    for choice, numbers in choices:
        inside = [m for m in moments if admits(choice, m)]
        if not inside or len(inside) == n:
            continue
        outside = [m for m in moments if not admits(choice, m)]
        if _rate(inside) <= _rate(outside):
            continue
        price = math.log(len(choices)) + 0.5 * numbers * math.log(n)
        gain = whole - _entropy(inside) - _entropy(outside) - price
        if gain > most:
            best, most = choice, gain
    return best


def _choices(moments: Sequence[Moment], found: Conditions) -> Iterator[tuple[Conditions, int]]:
    """Yield each condition that could be added, and how many numbers had to be learned for it."""
    if not found.weekdays:
        yield replace(found, weekdays=WEEKDAYS), 1
        yield replace(found, weekdays=WEEKEND), 1
        if (own := _own_days(moments)) is not None:
            yield replace(found, weekdays=own), 3
    if not found.occupancy:
        for occupancy in sorted({m.occupancy for m in moments}):
            yield replace(found, occupancy=(occupancy,)), 1
    if found.dark is None and any(m.dark is not None for m in moments):
        yield replace(found, dark=True), 1
        yield replace(found, dark=False), 1
    if found.after_min is None:
        for after, before in windows([m.minute for m in moments if m.followed]):
            yield replace(found, after_min=after, before_min=before), 2


def _own_days(moments: Sequence[Moment]) -> tuple[int, ...] | None:
    """Return the weekdays on which the steps follow more often than on average."""
    mean = _rate(moments)
    of = {d: [m for m in moments if m.weekday == d] for d in range(7)}
    days = tuple(d for d, own in of.items() if own and _rate(own) > mean)
    return days if 0 < len(days) < 7 else None


def kept(moments: Sequence[Moment]) -> Conditions:
    """Return the hours and the weekdays that (nearly) all of some moments keep to, where chance doesn't.

    That m of n lie on k weekdays has by Hoeffding's bound at most the probability exp(-n·KL(m/n, k/7)), times
    the number of ways to choose k of seven; or two, for workdays and weekends. Left out are weekdays with
    less than half of the mean share.

    >>> kept([Moment(420 + n, n % 7 and 5, "home", None, followed=True) for n in range(28)])
    Conditions(weekdays=(0, 5), after_min=407, before_min=460, occupancy=(), dark=None)
    """
    if not moments:
        return Conditions()
    n = len(moments)
    narrow = (w for w in windows([m.minute for m in moments]) if (w[1] - w[0]) % MINUTES_A_DAY <= _HOURS_MIN)
    after, before = next(narrow, (None, None))
    counts = Counter(m.weekday for m in moments)
    days = tuple(sorted(day for day, count in counts.items() if 14 * count >= n))
    on = sum(counts[day] for day in days)
    choices = 2 if days in {WEEKDAYS, WEEKEND} else math.comb(7, len(days))
    chance = choices * hoeffding(on, n * len(days) / 7, n)
    return Conditions(days if chance <= _CHANCE else (), after, before)


def windows(minutes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield stretches of the day that hold all, or nearly all, of some minutes, with a margin.

    The circle is cut at its widest gap, so that a stretch may pass midnight.

    >>> list(windows([1430, 1435, 3, 8]))[0]
    (1418, 20)
    """
    if not minutes:
        return
    line = unrolled(minutes)
    for q in (0.0, 0.05, 0.1):
        low, high = line[int(q * (len(line) - 1))], line[math.ceil((1 - q) * (len(line) - 1))]
        margin = 10 + round(0.1 * (high - low))
        if high - low + 2 * margin < MINUTES_A_DAY * 0.75:
            yield (low - margin) % MINUTES_A_DAY, (high + margin) % MINUTES_A_DAY


def unrolled(minutes: Sequence[int]) -> list[int]:
    """Return minutes of the day in order, cut at the widest gap of the circle; later ones go past 1440.

    >>> unrolled([5, 1430, 1435])
    [1430, 1435, 1445]
    """
    line = sorted(minutes)
    gaps = [b - a for a, b in zip(line, [*line[1:], line[0] + MINUTES_A_DAY], strict=True)]
    cut = (gaps.index(max(gaps)) + 1) % len(line)
    return line[cut:] + [m + MINUTES_A_DAY for m in line[:cut]] if cut else line


def _rate(moments: Sequence[Moment]) -> float:
    return sum(m.followed for m in moments) / len(moments)


def _entropy(moments: Sequence[Moment]) -> float:
    """Return n·H in nats."""
    n, k = len(moments), sum(m.followed for m in moments)
    return -sum(c * math.log(c / n) for c in (k, n - k) if c)
