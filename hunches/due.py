"""A habit that is due today, and how to say that it failed to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any, Final, NamedTuple, Self

from hunches.daily import Usual
from hunches.home_days import FIRST, LAST, REST
from hunches.priors import Kind
from hunches.shapley import shapley

_PLAYERS: Final = ("its own days", "habits of the home", "kind of day", "time of day")


class Chance(NamedTuple):
    """That a day goes by without something by its due time: p = r + l · (1 - r), r = (m + a · q) / (n + a).

    m of n faded days of its kind went without; the home's habits, of which a share q fails, are worth a days;
    with a chance l it comes, only later.

    >>> chance = Chance(0.0, 12.0, missed_any=4.0, weight_any=17.0, late=0.001, home=0.02, trust=4.0)
    >>> round(chance.p, 3), round(chance.exposure, 2)
    (0.006, 0.25)
    """

    missed: float
    weight: float
    missed_any: float  # the same for days of any kind
    weight_any: float
    late: float
    home: float
    trust: float

    @property
    def p(self) -> float:
        """The probability."""
        return self._given(frozenset(_PLAYERS))

    @property
    def exposure(self) -> float:
        """How much of a test of the home's habits this one is: a / (n + a)."""
        return self.trust / (self.weight + self.trust)

    @property
    def blame(self) -> float:
        """The share of p that the home's habits have in it."""
        return self.exposure * self.home / self.p

    def contributions(self) -> dict[str, float]:
        """Return what each circumstance adds to the log odds of its coming, in nats (Shapley values).

        Of what nobody knows anything the odds are even, so that they add up to the log odds.
        """

        def value(known: frozenset[str]) -> float:
            p = self._given(known)
            return log((1.0 - p) / p)

        return {k: round(v, 3) for k, v in shapley(_PLAYERS, value).items()}

    def _given(self, known: frozenset[str]) -> float:
        p = self.home if "habits of the home" in known else 0.5
        if "its own days" in known:
            alike = "kind of day" in known
            m, n = (self.missed, self.weight) if alike else (self.missed_any, self.weight_any)
            p = (m + self.trust * p) / (n + self.trust)
        return p + self.late * (1.0 - p) if "time of day" in known else p


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
    chance: Chance  # of a day without
    outcome: str = ""  # "came", "missing", "left open"; empty: open

    @property
    def p(self) -> float:
        """The probability of a day without."""
        return self.chance.p

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
            "contributions": self.chance.contributions(),
        }

    def to_list(self) -> list[Any]:
        """Return a JSON-serialisable snapshot."""
        about = {"entity": self.entity_id, "usual": list(self.usual), "chance": list(self.chance)}
        return [self.day, self.look, self.when, about, self.which, self.days, self.outcome]

    @classmethod
    def from_list(cls, data: Sequence[Any]) -> Self:
        """Rebuild from `to_list`."""
        day, look, when, about, which, days, outcome = data
        usual, chance = Usual(*about["usual"]), Chance(*about["chance"])
        return cls(day, look, when, about["entity"], which, days, usual, chance, outcome)


def _clock(hour: float) -> str:
    minutes = round(hour * 12) * 5
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


def _rest_word(kind: Kind | None) -> str:
    return "locked" if kind is not None and kind.adjective == "unlocked" else "closed"
