"""Held-out weeks: what routines would have done in the second half of a recording, and what that covers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from benchmarks._homes import Home
from devices.context import Calendar
from routines.actions import Action
from routines.history import History
from routines.mining import mine
from routines.routine import Routine
from routines.validation import Outcome, backtest


@dataclass
class Replay:
    """A home's second half."""

    actions: list[Action]
    outcomes: list[tuple[float, list[Outcome]]]  # by routine, with its rank (more is better)

    def pooled(self, ratio: float | None = None) -> tuple[int, int, float]:
        """Return wins, losses and the share of actions covered, by all or by the best that reach a ratio."""
        best = (0, 0, 0.0)
        wins = losses = 0
        covered: set[tuple[str, str, float]] = set()
        for _, outcomes in sorted(self.outcomes, key=lambda o: -o[0]):
            for o in outcomes:
                wins += o.won
                losses += not o.won
                if o.won:
                    covered |= {
                        (s.entity_id, s.state, t)
                        for s, t in zip(o.firing.steps, o.taken, strict=True)
                        if t is not None
                    }
            share = len(covered) / max(1, len(self.actions))
            if ratio is None or (wins >= ratio * losses and share > best[2]):
                best = (wins, losses, share)
        return best


def mined(home: Home) -> list[tuple[float, Routine]]:
    """Return what is mined from the first half, with a rank."""
    result = mine(home.part(home.start, home.middle), Calendar(home.zone), include_unknown=True)
    return [(-float(n), r) for n, r in enumerate(result.routines)]


def replay(home: Home, routines: Sequence[tuple[float, Routine]]) -> Replay:
    """Return what routines do in the second half."""
    history = History(home.changes, Calendar(home.zone), include_unknown=True)
    since = home.middle + timedelta(microseconds=1)
    actions = [a for a in history.actions if a.at > home.middle.timestamp()]
    outcomes = backtest(history.changes, history.actions, history.calendar, [r for _, r in routines], since)
    by: dict[int, list[Outcome]] = {}
    for o in outcomes:
        by.setdefault(id(o.firing.routine), []).append(o)
    return Replay(actions, [(rank, by.get(id(r), [])) for rank, r in routines])
