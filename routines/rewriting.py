"""How a routine should change, going by what residents kept of what it did."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from statistics import median
from typing import Final

from routines.absorption import absorption, endings, more_often_than_not
from routines.actions import main_target
from routines.chains import LATER, Ended, Node, is_mode
from routines.correction import Corrections, key_of
from routines.naming import name_of
from routines.routine import OnState, Routine, Step, Target

LEAST: Final = 3
"""How often residents must have corrected a step to the same before it is worth a question."""
SURE: Final = 0.8
"""Posterior probability that they do so more often than not from which it is offered: 3 of 4, 5 of 7."""
MARGIN: Final = 0.1
"""By how much the probability of being kept must rise."""


class Change(StrEnum):
    """What a rewrite changes."""

    LEVEL = "level"
    STATE = "state"
    DELAY = "delay"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A routine as it would be kept, and what speaks for it.

    `times` of the last `of` runs the residents made of the step what the rewrite does, and kept it.
    """

    routine: Routine
    change: Change
    step: Step  # as it is
    after: Step | None  # as it would be; None: left out
    times: int
    of: int
    kept: float  # probability that it ends so
    present: float  # probability that the step is kept as it is
    dates: tuple[datetime, ...]
    level: str = ""

    @property
    def key(self) -> str:
        """What is refused with it: the same change of the same step, whatever the exact numbers."""
        return f"{key_of(self.step)} {self.change.value} {self.level}".rstrip()


def rewrite(routine: Routine, corrections: Corrections, refused: Collection[str] = ()) -> Rewrite | None:
    """Return the change of a step that is likeliest to be kept, where it is offered; None as a rule.

    Each step's chains are an absorbing Markov chain (`absorption`); with the present state s and the
    likeliest other ending y it is offered where

        B[s, y] ≥ B[s, s] + `MARGIN`,   times ≥ `LEAST`,   P(share of y > ½ | times, of) ≥ `SURE`.

    An ending in y means: the number y (median of those kept), the mode y, the same later (median of the
    waits, all within a factor of two), or, where it was put back, to leave the step out.
    """
    offers = [o for step in routine.steps for o in _offers(routine, step, corrections)]
    welcome = [o for o in offers if o.key not in refused]
    return max(welcome, key=lambda o: o.kept - o.present, default=None)


def _offers(routine: Routine, step: Step, corrections: Corrections) -> Iterator[Rewrite]:
    ended, start = corrections.ended(routine, step), Node(step.state)
    ends = absorption([e.path for e in ended], [start])[start]
    there = endings(ends, start)
    if there is None:
        return
    so = [e for e in ended if e.path[-1] == there]
    sure = more_often_than_not(len(so), len(ended)) >= SURE
    if len(so) < LEAST or not sure or ends[there] < ends[start] + MARGIN:
        return
    found = _changed(step, there, so)
    if found is None:
        return
    change, after = found
    steps = [after if s is step else s for s in routine.steps]
    left = tuple(sorted((s for s in steps if s is not None), key=lambda s: s.delay_s))
    if not any((s.entity_id, s.state) != _cue(routine) for s in left):
        return  # nothing would be left to do
    changed = replace(routine, steps=left)
    if change in {Change.DROP, Change.STATE}:
        changed = replace(changed, name=name_of(changed))
    dates = tuple(e.at for e in so)
    yield Rewrite(changed, change, step, after, len(so), len(ended), ends[there], ends[start], dates,
                  there.level or there.state)  # fmt: skip


def _cue(routine: Routine) -> tuple[str, str] | None:
    trigger = routine.trigger
    return (trigger.entity_id, trigger.state) if isinstance(trigger, OnState) else None


def _changed(step: Step, there: Node, so: Sequence[Ended]) -> tuple[Change, Step | None] | None:
    """Return what becomes of a step that ends there."""
    values = sorted(e.value for e in so if e.value is not None)
    if there.level == LATER:
        wait = median(values)
        alike = all(wait / 2 <= value <= wait * 2 for value in values)
        return (Change.DELAY, replace(step, delay_s=step.delay_s + round(wait))) if alike else None
    if there.state == step.state:
        name = main_target(step.entity_id)
        target = Target(name, median(values), values[0], values[-1], len(values))
        others = tuple(t for t in step.targets if t.name != name)
        return Change.LEVEL, replace(step, targets=(target, *others))
    if is_mode(step.entity_id) and any(there.state != e.before for e in so):
        return Change.STATE, replace(step, state=there.state, targets=())
    return Change.DROP, None
