"""What could be covered at best: every cue, with the best hours, picked in hindsight."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks._homes import Home
from devices.context import Calendar
from routines.actions import Item
from routines.habit import LEAST_HITS
from routines.history import History
from routines.matching import CUE_HORIZON_S
from routines.validation import BY_ITSELF

Fired = tuple[float, float | None]  # when the cue came, and when the action followed, if it did


@dataclass(frozen=True)
class Bound:
    """Shares of a resident's actions that rules `cue -> action within five minutes, between two hours` cover.

    A rule counts if it has 8.5 wins a loss and four wins on the very days on which it is scored, so this is
    more than anything that learns can reach. `own`: by what the same device did before; `other`: by another.
    """

    own: float
    other: float
    both: float


def bound(home: Home) -> Bound:
    """Return the bound of a home's second half. Complexity: O(cues · actions · firings²) at worst."""
    history = History(home.changes, Calendar(home.zone), include_unknown=True)
    since = home.middle.timestamp()
    actions = {(a.item, a.at) for a in history.actions if a.at > since}
    own: set[tuple[Item, float]] = set()
    other: set[tuple[Item, float]] = set()
    for action in {item for item, _ in actions}:
        for cue in list(history.times):
            if cue != action:
                right = _best_hours(history, list(_firings(history, cue, action, since)))
                covered = own if cue.entity_id == action.entity_id else other
                covered |= {(action, at) for at in right}
    n = max(1, len(actions))
    return Bound(len(own) / n, len(other) / n, len(own | other) / n)


def _firings(history: History, cue: Item, action: Item, since: float) -> Iterator[Fired]:
    """Yield when a routine would have fired, as the matcher does it."""
    done = history.times[action]
    rests = since
    for at in history.times[cue]:
        if at < rests or history.state(action.entity_id, at + 1e-6) in {action.state, None}:
            continue
        n = bisect_right(done, at)
        followed = done[n] if n < len(done) and done[n] <= at + CUE_HORIZON_S else None
        rests = at + CUE_HORIZON_S if followed is None else followed
        yield at, followed


def _best_hours(history: History, fired: Sequence[Fired]) -> list[float]:
    """Return the actions that are covered between the best two times of the day."""
    wins = sum(followed is not None for _, followed in fired)
    if wins < LEAST_HITS:
        return []
    line = sorted(((history.clock(at)[1], followed) for at, followed in fired), key=lambda one: one[0])
    best: tuple[int, int, int] = (0, 0, 0)
    for first in range(len(line)):
        right = 0
        for last in range(first, len(line)):
            right += line[last][1] is not None
            wrong = last + 1 - first - right
            if right >= max(LEAST_HITS, BY_ITSELF * wrong) and right > best[0]:
                best = right, first, last + 1
        if wins - sum(f is not None for _, f in line[: first + 1]) <= best[0]:
            break
    return [followed for _, followed in line[best[1] : best[2]] if followed is not None]
