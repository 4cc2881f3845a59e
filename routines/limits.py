"""Limits: what residents switch on and nearly always soon off again may be switched off for them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from routines.actions import Action
from routines.habit import Habit, quantile
from routines.history import History
from routines.matching import CUE_HORIZON_S
from routines.routine import OnState, Routine, Step
from routines.validation import ASK_FIRST, Score

Run = tuple[Action, Action]

_OFF: Final = "off"  # what is closed or locked again is asked about each time, and asking is no help here
_UNEVEN: Final = 3.0
_RESOLUTION_S: Final = 2.0  # of recorded lengths: a second at either end
_TICK_S: Final = 60.0


def limits(history: History) -> Iterator[tuple[Habit, Routine]]:
    """Yield what residents switch on and soon off again, with a routine that switches it off after a limit.

    That an end follows a beginning is no coincidence that would have to be ruled out; what counts is how many
    runs are over by the limit, and who ends them. The limit lies above all runs but the strays, which are
    longer than any cue is believed for, in whole minutes. Complexity: O(actions · log).
    """
    for runs in _runs(history.actions).values():
        lengths = sorted(end.at - start.at for start, end in runs)
        short = [length for length in lengths if length <= CUE_HORIZON_S]
        if not short or not by_hand(lengths) or _on_days(history, runs).sure <= ASK_FIRST:
            continue
        on, off = runs[-1][0].item, runs[-1][1].item
        step = Step(off.entity_id, off.state, _TICK_S * math.ceil(short[-1] / _TICK_S))
        habit = Habit((on, off), tuple({on: start.at, off: end.at} for start, end in runs), grown=(on, off))
        yield habit, Routine("", OnState(on.entity_id, on.state), (step,))


def _on_days(history: History, runs: Sequence[Run]) -> Score:
    """Return on how many days all runs were short, and on how many not: those of a day are much alike."""
    long = {history.clock(start.at)[0] for start, end in runs if end.at - start.at > CUE_HORIZON_S}
    days = {history.clock(start.at)[0] for start, _ in runs}
    return Score(len(days - long), len(long))


def by_hand(lengths: Sequence[float]) -> bool:
    """Whether somebody ends runs of these lengths (seconds, in order), and not a machine.

    Nothing else tells who does it: a timer's, a program's and an impulse's are about the same each time, and
    a hand's are not. With the 10th and the 90th percentile, they are a hand's if

        (q90 + 2) / (q10 + 2) > 3

    where one second at either end is what clocks resolve. How long people do something is about log-normal,
    with a spread of a half and more in logarithms, and so a ratio of 3.6 and more.

    >>> by_hand([5, 9, 14, 20, 31, 44, 60, 85]), by_hand([1, 1, 1, 1, 2, 2, 2]), by_hand([175, 180, 180, 181])
    (True, False, False)
    """
    low, high = quantile(lengths, 0.1), quantile(lengths, 0.9)
    return high + _RESOLUTION_S > _UNEVEN * (low + _RESOLUTION_S)


def _runs(actions: Sequence[Action]) -> dict[tuple[str, str, str], list[Run]]:
    """Return the beginning and the end of each run, by entity and states."""
    found: dict[tuple[str, str, str], list[Run]] = defaultdict(list)
    begun: dict[str, Action] = {}
    for action in actions:
        entity_id = action.item.entity_id
        if action.item.state != _OFF:
            if entity_id not in begun or begun[entity_id].item.state != action.item.state:
                begun[entity_id] = action  # dimming it later begins nothing
        elif (start := begun.pop(entity_id, None)) is not None:
            found[entity_id, start.item.state, action.item.state].append((start, action))
    return found
