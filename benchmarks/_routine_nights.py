"""What searches night after night come to: what is proposed on the way, and what is there in the end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from unittest.mock import patch

from agent.assembly import build_pipeline
from agent.requests import Mined
from agent.settings import Settings
from agent.suggestions import Kind, Suggestion
from benchmarks._routine_homes import RoutineHome
from devices.events import Tick
from routines.mining import mine
from routines.routine import Routine

FIRST_DAY = 21
EVERY_DAYS = 3

Night = tuple[datetime, tuple[Routine, ...]]


def nights(home: RoutineHome, days: int) -> list[Night]:
    """Search a home every third night, each time all its past."""
    begun = home.changes[0].changed_at
    ends = [begun + timedelta(days=day) for day in range(FIRST_DAY, days + 1, EVERY_DAYS)]
    return [(end, mine(home.changes, home.calendar, until=end).routines) for end in ends]


def come_to(found: Sequence[Night], *, grows: bool) -> tuple[list[Routine], list[Routine]]:
    """Return all that was proposed, and what is accepted in the end, if nothing is refused.

    `grows`: a habit of which more is seen later takes the place of its parts, as in the daemon.
    """
    pipe = build_pipeline(Settings(warmup_days=0), trial=True)
    proposed: list[Routine] = []
    with patch.object(Routine, "outgrows", Routine.outgrows if grows else lambda *_: False):
        for at, routines in found:
            pipe.step(Tick(at))
            out = pipe.step(Mined(at, routines, {}))
            asked = [o for o in out if isinstance(o, Suggestion) and o.kind is Kind.ROUTINE_PROPOSED]
            proposed += [Routine.from_dict(o.evidence["routine"]) for o in asked]
    return proposed, [e.routine for e in pipe.routines.entries.values() if e.accepted]
