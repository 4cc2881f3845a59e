"""What a policy is asked, what it decides, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from types import MappingProxyType
from typing import Any, Final, Protocol

Value = str | float | bool | None
"""A feature: what JSON can hold."""


class Outcome(StrEnum):
    """What became of a showing."""

    ACCEPTED = "accept"
    BY_HAND = "by_hand"  # not answered, but the resident did what was suggested
    IGNORED = "ignored"
    REJECTED = "reject"
    UNDONE = "undo"  # after an acceptance, or after Inkling had acted
    WITHDRAWN = "withdrawn"  # nobody got to see it: teaches nothing


REWARDS: Final[Mapping[Outcome, float]] = MappingProxyType(
    {
        Outcome.ACCEPTED: 1.0,
        Outcome.BY_HAND: -0.25,  # right, and one question too many: one yes in five makes up for it
        Outcome.IGNORED: -1.0,  # an interruption for nothing
        Outcome.REJECTED: -2.0,
        Outcome.UNDONE: -3.0,  # takes back the acceptance, too
    }
)
"""What an outcome is worth beside silence, which is worth 0: an objection weighs twice what a yes does."""


class Reason(StrEnum):
    """Why an arm was shown or not."""

    OPEN = "open"  # shown as often as it is likely to be worth it
    WAITING = "waiting"  # for answers to earlier showings
    COSTLY = "costly"  # better than silence, but not now
    SUPPRESSED = "suppressed"  # worse than silence
    SECOND_CHANCE = "second_chance"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to show an arm in a context, with all that learning and off-policy evaluation need.

    `propensity` is the probability with which this policy did what it did, `p_show` that of a showing.
    """

    arm: str
    x: Mapping[str, Value] = field(hash=False)
    show: bool
    propensity: float
    p_show: float
    reason: Reason = Reason.OPEN
    p_better: float = 0.5  # P(value > 0), silence's value
    cost: float = 0.0  # of an interruption at this moment
    showing: int = 0  # running number of the arm's showings

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form for the log."""
        return {
            "arm": self.arm,
            "x": dict(self.x),
            "show": self.show,
            "propensity": self.propensity,
            "p_show": self.p_show,
            "reason": self.reason.value,
            "p_better": self.p_better,
            "cost": self.cost,
            "showing": self.showing,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Decision:
        """Rebuild from `to_dict`."""
        return cls(**{**data, "reason": Reason(data["reason"])})


class Policy(Protocol):
    """Decides whether an arm may show: `decide`, then `show_one`, and `learn_one` when there is an answer."""

    def decide(self, arm: str, x: Mapping[str, Value], rng: Random, *, cost: float = 0.0) -> Decision:
        """Return whether to show an arm now. Changes nothing but `rng`, which is drawn from once."""
        ...

    def show_one(self, decision: Decision) -> None:
        """Take note that a decision to show was carried out: an answer is to be waited for."""
        ...

    def learn_one(self, decision: Decision, outcome: Outcome) -> None:
        """Learn from what became of a showing, whenever that is."""
        ...
