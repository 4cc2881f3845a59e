"""What came of a habit with a trigger while it was learned and after, and whether that is proof enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from routines.habit import Habit
from routines.routine import Routine
from routines.validation import ASK_FIRST, BY_ITSELF, Outcome, Score, score

EARLY: Final = 4.0
"""Wins for each loss that can be believed, without which nothing is offered before days can be held out.

The answer to a sensor, of which there are many to choose from, is never offered before.
"""


@dataclass(frozen=True, slots=True)
class Tried:
    """A habit with a trigger, and what came of it while it was learned and after."""

    habit: Habit
    routine: Routine
    learned: Score
    proof: Score
    saved: frozenset[tuple[str, float]]  # what the resident did himself, and when
    early: bool = False

    @classmethod
    def of(
        cls, habit: Habit, routine: Routine, outcomes: Sequence[Outcome], split: datetime, *, early: bool
    ) -> Self:
        """Return what came of a routine, before and after the split."""
        before = [o for o in outcomes if o.firing.at < split]
        after = [o for o in outcomes if o.firing.at >= split]
        saved = {
            (step.entity_id, at)
            for o in outcomes
            for step, at in zip(o.firing.steps, o.taken, strict=True)
            if o.won and at is not None
        }
        return cls(habit, routine, score(before), score(after), frozenset(saved), early)

    @property
    def pooled(self) -> Score:
        """Return all evidence; what it was learned from counts half."""
        return self.proof.plus(self.learned, 0.5)

    @property
    def proven(self) -> bool:
        """Whether it may be offered."""
        won, lost = self.proof.wins, self.proof.losses
        if self.routine.is_limit and self.pooled.sure <= BY_ITSELF:
            return False  # to ask would be no help: it has to be right by itself
        if self.early:
            return self.learned.sure > EARLY
        return won >= 2 and won >= ASK_FIRST * lost and self.pooled.sure > ASK_FIRST

    def rank(self) -> tuple[bool, bool, float]:
        """Return what is best first: what may run by itself, what may be offered, and what saves most."""
        by_itself = self.proven and self.pooled.sure > BY_ITSELF
        return self.proven, by_itself, self.pooled.worth(BY_ITSELF if by_itself else ASK_FIRST)
