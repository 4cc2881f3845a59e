"""A routine of a home and what became of it: its standing, who runs it, and whether it is still needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self

from agent.suggestions import Mode, Output, RoutineNews, Standing
from devices.events import utc
from routines.fading import still_worth_asking
from routines.routine import Routine

LATELY: Final = timedelta(days=28)
"""What residents made of its questions for so long says whether a routine is still wanted."""
SEASON: Final = timedelta(days=60)
"""What wasn't needed for so long asks once before it acts unasked again: it may be another life now."""
GONE: Final = timedelta(days=180)
"""What wasn't needed for so long, half a year, doesn't come back with a season."""
_MOST: Final = 100  # answers


class Off(StrEnum):
    """Why a routine's automation in Home Assistant is switched off, if it is."""

    NO = ""
    RESTS = "rests"  # by us, until it is wanted again
    RESIDENT = "resident"


@dataclass(frozen=True, slots=True)
class Faded:
    """What speaks against a routine: its last weeks' questions, or that it isn't needed any more."""

    wins: int
    losses: int
    p: float  # probability of so few wins, were it still worth asking
    unneeded_since: datetime | None = None


@dataclass(slots=True)
class Entry:
    """A routine and what became of it."""

    routine: Routine
    standing: Standing
    mode: Mode
    elsewhere: bool = False  # Home Assistant runs it
    declined: int = 0  # questions answered "no" and runs put back, less those welcomed
    needed: datetime | None = None  # when it last ran, was wanted, or was agreed to
    answers: list[tuple[datetime, bool]] = field(default_factory=list)  # to its questions: wanted?
    p: float = 1.0  # probability of such answers, were it still worth asking
    rests: bool = False  # it has not been needed for a season
    off: Off = Off.NO

    @property
    def accepted(self) -> bool:
        """Whether it is to be carried out."""
        return self.standing is Standing.ACCEPTED

    @property
    def ours(self) -> bool:
        """Whether Inkling carries it out, or asks: Home Assistant doesn't."""
        return self.accepted and (not self.elsewhere or self.rests)

    @property
    def asks(self) -> bool:
        """Whether it asks before it does anything."""
        return self.mode is Mode.ASK or self.rests

    def judged(self, at: datetime, *, wanted: bool) -> list[Output]:
        """Note whether it was right to ask; if so, one that rests has been agreed to again."""
        self.answers = [(when, of) for when, of in self.answers if at - when <= LATELY][1 - _MOST :]
        self.answers.append((at, wanted))
        self.p = still_worth_asking(*self.lately(at))
        if wanted:
            self.needed = at
        if not wanted or not self.rests:
            return []
        self.rests = False
        return [self.news(at, "needed again")]

    def begin_anew(self, at: datetime) -> None:
        """Forget what speaks against it."""
        self.answers.clear()
        self.p, self.needed = 1.0, at

    def lately(self, at: datetime) -> tuple[int, int]:
        """Return how many of its last weeks' questions were wanted, and how many were not."""
        recent = [wanted for when, wanted in self.answers if at - when <= LATELY]
        return sum(recent), len(recent) - sum(recent)

    def news(self, at: datetime, why: str = "") -> RoutineNews:
        """Return what there is to tell of it."""
        return RoutineNews(
            self.routine, self.standing, self.mode, at, why, self.elsewhere, self.rests, self.off.value
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "routine": self.routine.to_dict(),
            "standing": self.standing.value,
            "mode": self.mode.value,
            "elsewhere": self.elsewhere,
            "declined": self.declined,
            "needed": self.needed and self.needed.isoformat(),
            "answers": [[when.isoformat(), wanted] for when, wanted in self.answers],
            "p": self.p,
            "rests": self.rests,
            "off": self.off.value,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        return cls(
            Routine.from_dict(data["routine"]),
            Standing(data["standing"]),
            Mode(data["mode"]),
            data["elsewhere"],
            data["declined"],
            utc(data["needed"]) if data["needed"] else None,
            [(utc(when), wanted) for when, wanted in data["answers"]],
            data["p"],
            data["rests"],
            Off(data["off"]),
        )
