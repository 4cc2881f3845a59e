"""Backtests: what a routine would have done on days it wasn't learned from, and whether that was wanted."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from devices.context import Calendar, OccupancyTracker
from devices.events import StateChange, Tick
from devices.state import HomeState
from routines.actions import Action
from routines.matching import Firing, Matcher, sun_of
from routines.routine import AtSun, AtTime, Routine

BY_ITSELF: Final = 8.5
"""Wins for each loss with which a routine may be offered to run unasked: Alexa's published ratio."""

ASK_FIRST: Final = 3.0
"""Wins for each loss with which it may be offered at all."""

_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A firing, and which of its steps the resident then took himself, in time."""

    firing: Firing
    taken: tuple[float | None, ...]  # epoch seconds

    @property
    def won(self) -> bool:
        """Whether the resident did most of what was left to do: now and then he leaves out a step himself."""
        return 2 * sum(t is not None for t in self.taken) > len(self.taken)


@dataclass(frozen=True, slots=True)
class Score:
    """Wins, losses, and how many steps were wanted and weren't; fractions where evidence counts in part."""

    wins: float = 0
    losses: float = 0
    saved: float = 0
    wasted: float = 0

    def plus(self, other: Score, weight: float) -> Score:
        """Add other evidence, with a weight."""
        return Score(
            self.wins + weight * other.wins,
            self.losses + weight * other.losses,
            self.saved + weight * other.saved,
            self.wasted + weight * other.wasted,
        )

    def worth(self, price: float) -> float:
        """Return steps saved, less `price` for each that wasn't wanted."""
        return self.saved - price * self.wasted

    @property
    def sure(self) -> float:
        """Return the wins for each loss that can be believed after so few: by Laplace's rule of succession.

        >>> Score(2, 0).sure, Score(3, 0).sure, Score(17, 1).sure
        (3.0, 4.0, 9.0)
        """
        return (self.wins + 1.0) / (self.losses + 1.0)


def score(outcomes: Iterable[Outcome]) -> Score:
    """Count the outcomes of one routine."""
    counts: Counter[str] = Counter()
    for o in outcomes:
        counts["wins" if o.won else "losses"] += 1
        counts["saved"] += sum(t is not None for t in o.taken)
        counts["wasted"] += sum(t is None for t in o.taken)
    return Score(counts["wins"], counts["losses"], counts["saved"], counts["wasted"])


def backtest(
    changes: Sequence[StateChange],
    actions: Sequence[Action],
    calendar: Calendar,
    routines: Sequence[Routine],
    since: datetime,
) -> list[Outcome]:
    """Return what routines would have done from a moment on, and whether the resident did it himself.

    The changes are folded (`old` is set) and begin before `since`, so that the home is known by then. The
    firings are those of the `Matcher`, with a tick a minute where a routine needs it; what is still open at
    the end is left out. A firing wins if the resident takes every step that was left within the horizon that
    the firing states. Complexity: O(changes + minutes).
    """
    matcher = Matcher(routines, sun=sun_of(calendar))
    timed = any(isinstance(r.trigger, AtTime | AtSun) for r in routines)
    home, tracker = HomeState(), OccupancyTracker()
    firings: list[Firing] = []
    tick = since.replace(second=0, microsecond=0)
    for change in changes:
        at = change.changed_at
        while timed and tick < at:
            if not matcher.quiet(tick):
                firings += _step(matcher, Tick(tick), tick, home, (tracker, calendar))
            tick += _MINUTE
        home.apply(change)
        tracker.observe(change)
        if at >= since:
            firings += _step(matcher, change, at, home, (tracker, calendar))
    if not changes:
        return []
    end = changes[-1].changed_at
    return list(judge((f for f in firings if f.until <= end), actions))


def _step(
    matcher: Matcher,
    event: StateChange | Tick,
    at: datetime,
    home: HomeState,
    around: tuple[OccupancyTracker, Calendar],
) -> list[Firing]:
    if isinstance(event, StateChange) and not matcher.concerns(event):
        return []
    tracker, calendar = around
    occupancy = tracker.occupancy(at, at.astimezone(calendar.zone))
    return matcher.step(event, home, calendar.context(at, occupancy))


def judge(firings: Iterable[Firing], actions: Sequence[Action]) -> Iterator[Outcome]:
    """Yield what the resident did after each firing."""
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for action in actions:
        times[action.item.entity_id, action.item.state].append(action.at)
    for firing in firings:
        at = firing.at.timestamp()
        taken = []
        for step in firing.steps:
            limit = at + firing.horizon_s(step)
            of = times.get((step.entity_id, step.state), ())
            n = bisect_right(of, at)
            taken.append(of[n] if n < len(of) and of[n] <= limit else None)
        # most firings of what is tried are for nothing: half a million tuples in a busy year
        yield Outcome(firing, _nothing(len(taken)) if taken.count(None) == len(taken) else tuple(taken))


@cache
def _nothing(steps: int) -> tuple[None, ...]:
    return (None,) * steps
