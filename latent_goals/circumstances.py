"""The circumstances of an action as contexts to count in, each nested in a coarser one or in none."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Set
from math import isfinite, log2
from typing import Any, Final, NamedTuple

X = Mapping[str, Any]
History = tuple[Hashable, ...]
Shares = tuple[tuple[Hashable, float], ...]  # contexts, and how much of an event counts in each

ORDER: Final = 3  # longest suffix of the history that is a context of its own
LOOKBACK: Final = 32  # actions of the history that are looked at
GAPS_S: Final = (8.0, 64.0, 512.0, 4096.0, 20_000.0)  # where one class of pauses ends, the next begins
MAX_FEATURES: Final = 8  # categorical features, the first in the alphabet
AGO: Final = 5  # last actions that are features by how long ago
LATELY: Final = 8  # last actions that are features, whatever their order
SENSORS: Final = 8  # things that are on and never acted upon, such as motion; the first in order
CLOCK: Final = frozenset({"hour", "weekday"})  # on the clock they have views of their own
NOT_CATEGORIES: Final = frozenset({"history", "elapsed_s", "open"})


class View(NamedTuple):
    """One context of an event."""

    kind: str
    shares: Shares
    within: str | None = None  # kind of the coarser view
    spread: Shares = ()  # where an event counts, if not only where it is looked up


def views(x: X) -> Iterator[View]:
    """Yield the contexts of circumstances, coarser ones first."""
    history = history_of(x)
    last = history[-1] if history else None
    yield from _suffixes(history)
    yield from _pauses(x, history)
    yield from _clock(x, last)
    on = open_of(x)
    if on is not None:
        yield View("open", ((("open", on), 1.0),))
    for name, value in _categories(x):
        yield View(f"is {name}", ((("is", name, value), 1.0),))


def features(x: X) -> Iterator[Hashable]:
    """Yield what a regression adds up; the first is always there."""
    last = history_of(x)[::-1][:LATELY]
    yield ()
    yield from enumerate(last[:AGO])
    yield from (("lately", action) for action in dict.fromkeys(last))
    pause = pause_of(x)
    if pause is not None:
        octave = int(log2(1.0 + pause))
        yield "pause", octave
        yield "pause", octave // 2, last[:1]
    if _on_clock(x):
        yield from (("hour", (int(x["hour"]) + n) % 24) for n in (-1, 0, 1))
    yield from (("is", name, value) for name, value in _categories(x))


def history_of(x: X) -> History:
    """Return the last actions, oldest first; lists, as JSON has them, are pairs."""
    last = tuple(x.get("history") or ())[-LOOKBACK:]
    return tuple([tuple(a) if isinstance(a, list) else a for a in last])


def open_of(x: X) -> frozenset[Hashable] | None:
    """Return what is on, None if it isn't known."""
    on = x.get("open")
    return frozenset(on) if isinstance(on, Set | list | tuple) else None


def pause_of(x: X) -> float | None:
    """Return the time since the last action in seconds, None if it isn't known."""
    elapsed = x.get("elapsed_s")
    if not isinstance(elapsed, int | float) or not isfinite(elapsed):
        return None
    return max(float(elapsed), 0.0)


def gap_of(x: X) -> int:
    """Return the class of the pause before this action, -1 if it isn't known."""
    pause = pause_of(x)
    return -1 if pause is None else sum(pause >= end for end in GAPS_S)


def sensors_on(x: X, acted_upon: Mapping[Hashable, Any]) -> list[Hashable]:
    """Return what is on and isn't itself acted upon."""
    here = (e for e in open_of(x) or () if e not in acted_upon)
    return sorted(here, key=repr)[:SENSORS]  # a frozenset's own order differs from run to run


def _suffixes(history: History) -> Iterator[View]:
    yield View("last 1", ((("last", history[-1:]), 1.0),))
    for n in range(2, min(ORDER, len(history)) + 1):
        yield View(f"last {n}", ((("last", history[-n:]), 1.0),), f"last {n - 1}")


def _pauses(x: X, history: History) -> Iterator[View]:
    """Yield the pause, between two octaves, with the last action; its rough length with more of them."""
    pause = pause_of(x)
    if pause is None:
        return
    octave = log2(1.0 + pause)
    low = int(octave)
    shares = [
        (("pause", n, history[-1:]), share) for n, share in ((low, low + 1 - octave), (low + 1, octave - low))
    ]
    yield View("pause 1", tuple((key, share) for key, share in shares if share > 0.0), "last 1")
    gap, within = gap_of(x), "pause 1"
    for n in range(2, min(3, len(history)) + 1):
        yield View(f"pause {n}", ((("gap", gap, history[-n:]), 1.0),), within)
        within = f"pause {n}"


def _clock(x: X, last: Hashable) -> Iterator[View]:
    if not _on_clock(x):
        return
    hour = int(x["hour"]) % 24
    spread = tuple((("hour", (hour + n) % 24), share) for n, share in ((0, 0.5), (-1, 0.25), (1, 0.25)))
    yield View("hour", ((("hour", hour), 1.0),), None, spread)
    weekday = x.get("weekday")
    if _hashable(weekday) and weekday is not None:
        yield View("week", ((("week", weekday, hour), 1.0),), "hour")
        yield View("week 1", ((("week", weekday, hour, last), 1.0),), "last 1")


def _categories(x: X) -> Iterable[tuple[str, Hashable]]:
    """Yield named values; a float is cut to its integer."""
    found = 0
    for name in sorted(map(str, x)):
        value = x.get(name)
        if name in NOT_CATEGORIES or value is None or not _hashable(value):
            continue
        if name in CLOCK and _on_clock(x):
            continue
        if found == MAX_FEATURES:
            return
        found += 1
        yield name, int(value) if isinstance(value, float) and isfinite(value) else value


def _on_clock(x: X) -> bool:
    hour = x.get("hour")
    return isinstance(hour, int | float) and isfinite(hour)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
