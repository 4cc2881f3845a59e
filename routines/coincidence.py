"""The guard at work on a home's history: does an item follow something by more than chance?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from routines.actions import Item
from routines.guard import DayShuffle, Tail, hour_tail
from routines.habit import LEAST_HITS
from routines.history import History

FEW_DAYS: Final = 21
MAYBE: Final = 0.1
"""With so few days, shuffling them can't show more than this; then the profile by the hour decides."""


class Coincidence:
    """Tests items of a history against shuffled days, and counts what was looked at (`tests`).

    Memory: the times of the items that were tested.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.tests = 0
        self.common = sorted(
            i for i in {a.item for a in history.actions} if len(history.times[i]) >= LEAST_HITS
        )
        self._shuffles: dict[tuple[Item, int], DayShuffle] = {}

    def test(
        self,
        anchors: Iterable[float],
        item: Item,
        windows: Sequence[tuple[float, float]],
        *,
        weekdays: bool = True,
    ) -> Tail:
        """Test an item after anchors, in the best of some windows; the choice is paid for.

        `weekdays`: whether both may owe something to the day of the week; one device owes it all to itself.
        """
        clocks = [self.history.clock(t) for t in anchors]
        kinds = self.history.kinds_for({day for day, _ in clocks} if weekdays else frozenset())
        if (item, id(kinds)) not in self._shuffles:
            times = [self.history.clock(t) for t in self.history.times[item]]
            self._shuffles[item, id(kinds)] = DayShuffle(times, kinds)
        shuffle = self._shuffles[item, id(kinds)]
        tails = [shuffle.test(clocks, low, high) for low, high in windows]
        if len(self.history.days) < FEW_DAYS:
            times = [self.history.clock(t) for t in self.history.times[item]]
            days = len(self.history.days)
            hours = [hour_tail(clocks, times, window, days) for window in windows]
            tails = [h if t.p < MAYBE else t for h, t in zip(hours, tails, strict=True)]
        best = min(tails, key=lambda t: t.p)
        return replace(best, p=min(1.0, best.p * len(windows)))
