"""Single actions that answer a cue: a door that opens, somebody who comes."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from routines.actions import Item
from routines.coincidence import Coincidence
from routines.habit import LEAST_HITS, Habit

REACTION_S: Final = 60.0
"""A single action is taken for the answer to a cue that came so shortly before it."""

CUE_RATE: Final = 0.3
"""A cue comes before at least this share of the actions that it is to bring about."""

_AT_ONCE_S: Final = 1.0  # what comes together is one act
_WORTH_A_LOOK: Final = 0.01


def after_cues(guard: Coincidence) -> Iterator[Habit]:
    """Yield single actions that follow a sensor or somebody's coming; `grown` holds both."""
    counts: Counter[tuple[Item, Item]] = Counter()
    signals = guard.history.signals
    common = set(guard.common)
    for action in guard.history.actions:
        if action.item in common:
            last = bisect_left(signals, action.at - _AT_ONCE_S, key=lambda s: s.at)
            first = bisect_left(signals, action.at - REACTION_S, key=lambda s: s.at)
            counts.update((c, action.item) for c in {s.item for s in signals[first:last]})
    for (cue, item), n in sorted(counts.items()):
        if n < LEAST_HITS:
            continue
        guard.tests += 1
        if n < CUE_RATE * len(guard.history.times[item]):
            continue
        windows = [(_AT_ONCE_S, w) for w in (REACTION_S / 4.0, REACTION_S)]
        tail = guard.test(guard.history.times[cue], item, windows)
        if tail.p < _WORTH_A_LOOK:
            yield Habit((item,), tuple(_cued(guard, cue, item)), tail.p, (cue, item))


def _cued(guard: Coincidence, cue: Item, item: Item) -> Iterator[Mapping[Item, float]]:
    for at in guard.history.times[item]:
        if guard.history.between(cue, at - REACTION_S, at - _AT_ONCE_S):
            yield {item: at}
