"""A habit that is due today, and how to say that it failed to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from hunches.daily import Usual
from hunches.home_days import FIRST, LAST, REST
from hunches.priors import Kind


@dataclass(slots=True)
class Due:
    """Something that is to happen today."""

    day: int
    look: float  # when to look (again), epoch seconds
    when: float  # the due time
    entity_id: str
    which: str  # FIRST or LAST activation, or last return to REST
    days: str  # that it was compared with: "days", "weekdays" or "weekend days"
    usual: Usual
    p: float  # of a day without
    outcome: str = ""  # "came", "missing", "left open"; empty: open

    @property
    def rank(self) -> tuple[float, int, str, str]:
        """The most regular one comes first."""
        return self.p, -self.usual.hits, self.entity_id, self.which

    def title(self, name: str, kind: Kind | None, starts: int) -> str:
        """Return a sentence that says what is missing, for days that start at an hour."""
        usual, verb = self.usual, kind.verb if kind is not None else "was active"
        often, by = f"on {usual.hits} of {usual.days} {self.days}", _clock(usual.due + starts)
        if self.which == REST:
            return f"{name} is usually {_rest_word(kind)} by {by} ({often}); it isn't yet."
        if self.which == LAST:
            return f"{name} {verb} between {_clock(usual.start + starts)} and {by} {often}, but not today."
        return f"{name} {verb} by {by} {often}, but not today."

    def short(self, kind: Kind | None, starts: int) -> str:
        """Return the same in a few words after the entity's name."""
        by = _clock(self.usual.due + starts)
        if self.which == REST:
            return f"not {_rest_word(kind)} by {by}"
        return f"not by {by}" if self.which == FIRST else f"not since {_clock(self.usual.start + starts)}"

    def evidence(self, starts: int) -> dict[str, Any]:
        """Return what it was compared with."""
        usual = self.usual
        return {
            "happens": self.which,
            "days": usual.days,
            "on": usual.hits,
            "compared_with": self.days,
            "usual_time": _clock(usual.time + starts),
            "latest_time": _clock(usual.latest + starts),
            "due": _clock(usual.due + starts),
            "p_without": float(f"{self.p:.3g}"),
        }

    def to_list(self) -> list[Any]:
        """Return a JSON-serialisable snapshot."""
        about = {"entity": self.entity_id}
        usual = list(self.usual)
        return [self.day, self.look, self.when, about, self.which, self.days, usual, self.p, self.outcome]

    @classmethod
    def from_list(cls, data: Sequence[Any]) -> Self:
        """Rebuild from `to_list`."""
        day, look, when, about, which, days, usual, p, outcome = data
        return cls(day, look, when, about["entity"], which, days, Usual(*usual), p, outcome)


def _clock(hour: float) -> str:
    minutes = round(hour * 12) * 5
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


def _rest_word(kind: Kind | None) -> str:
    return "locked" if kind is not None and kind.adjective == "unlocked" else "closed"
