"""How a routine is put to a resident: the question, the reason, and what is done."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from agent.suggestions import Action, Kind, Mode, Suggestion
from devices.state import HomeState
from hunches.wording import clip, name_of
from routines.matching import Firing
from routines.routine import AtSun, AtTime, Conditions, OnState, Routine, Step

WORTH_ASKING: Final = 3.0
"""Wins for each loss on held-out days below which a routine isn't offered at all."""
PROPOSAL_LASTS: Final = timedelta(days=14)
QUESTION_LASTS: Final = timedelta(minutes=15)

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DONE: Final = {
    "on": "{} on", "off": "{} off", "open": "open {}", "closed": "close {}", "locked": "lock {}",
    "unlocked": "unlock {}", "playing": "play {}", "paused": "pause {}",
}  # fmt: skip
_HAPPENED: Final = {"on": "comes on", "off": "goes off", "home": "comes home", "not_home": "leaves"}
_OPENINGS: Final = frozenset({"door", "garage_door", "window", "opening"})


def ratio(wins: int, losses: int) -> float:
    """Return wins for each loss; nothing lost counts as half a loss."""
    return wins / max(losses, 0.5)


def steps_in_words(steps: tuple[Step, ...], home: HomeState) -> str:
    """Return "Kitchen light on, Coffee maker on"."""
    return ", ".join(_DONE.get(s.state, "{} to " + s.state).format(name_of(s.entity_id, home)) for s in steps)


def when_in_words(routine: Routine, home: HomeState) -> str:
    """Return "about 06:50 on weekdays", "when Hall door opens in the evening"."""
    match routine.trigger:
        case AtTime(minute=minute):
            when = f"about {minute // 60 % 24:02}:{minute % 60:02}"
        case AtSun(event=event, offset_min=offset):
            side = "after" if offset > 0 else "before"
            when = f"{abs(offset)} min {side} {event.value}" if offset else f"at {event.value}"
        case OnState(entity_id=entity_id, state=state):
            when = f"when {name_of(entity_id, home)} {_happens(entity_id, state, home)}"
    return " ".join([when, *_conditions_in_words(routine.conditions)])


def _happens(entity_id: str, state: str, home: HomeState) -> str:
    if home.device_class(entity_id) in _OPENINGS:
        return "opens" if state == "on" else "closes"
    return _HAPPENED.get(state, f"becomes {state}")


def _conditions_in_words(conditions: Conditions) -> list[str]:
    words = []
    if conditions.weekdays:
        words.append(f"on {_days_in_words(conditions.weekdays)}")
    if conditions.after_min is not None and conditions.before_min is not None:
        after, before = (
            f"{m // 60 % 24:02}:{m % 60:02}" for m in (conditions.after_min, conditions.before_min)
        )
        words.append(f"between {after} and {before}")
    if conditions.dark is not None:
        words.append("in the dark" if conditions.dark else "by day")
    if conditions.occupancy:
        words.append("while " + " or ".join(conditions.occupancy))
    return words


def _days_in_words(days: tuple[int, ...]) -> str:
    if set(days) == set(range(5)):
        return "weekdays"
    if set(days) == {5, 6}:
        return "weekends"
    return ", ".join(f"{_DAYS[d]}s" for d in sorted(days))


def proposal(routine: Routine, home: HomeState, mode: Mode, at: datetime, deliver_at: datetime) -> Suggestion:
    """Return the question whether to make a habit a routine, with its track record."""
    e = routine.evidence
    record = f"You did so on {len(e.dates)} days"
    if e.held_out is not None:
        record += f"; lately it would have been right {e.wins} of {e.wins + e.losses} times"
    how = "" if mode is Mode.ACT else ", asking each time"
    habit = f"{steps_in_words(routine.steps, home)} {when_in_words(routine, home)}"
    title = f"{habit[0].upper()}{habit[1:]}: {record}. Make it a routine{how}?"
    asked = _suggestion(Kind.ROUTINE_PROPOSED, routine, routine.steps, title, at, PROPOSAL_LASTS)
    return replace(
        asked,
        evidence={**asked.evidence, "offered": mode.value},
        deliver_at=deliver_at,
        expires_at=deliver_at + PROPOSAL_LASTS,
    )


def is_time(firing: Firing, home: HomeState, mode: Mode, at: datetime) -> Suggestion:
    """Return the question whether to carry a routine out now, or that it is being carried out."""
    words = steps_in_words(firing.steps, home)
    title = f"{routine_name(firing.routine)}: {words}{'?' if mode is Mode.ASK else '. Undo?'}"
    last = max((s.delay_s for s in firing.steps), default=0.0)
    lasts = QUESTION_LASTS + timedelta(seconds=last)
    return replace(_suggestion(Kind.ROUTINE, firing.routine, firing.steps, title, at, lasts), mode=mode)


def routine_name(routine: Routine) -> str:
    """Return what a routine is called."""
    return routine.name or f"Routine {routine.id}"


def _suggestion(  # noqa: PLR0917 - one caller each
    kind: Kind, routine: Routine, steps: tuple[Step, ...], title: str, at: datetime, lasts: timedelta
) -> Suggestion:
    e = routine.evidence
    return Suggestion(
        kind=kind,
        detector="routine",
        entity_id=steps[0].entity_id,
        title=clip(title),
        evidence={"routine": routine.to_dict(), "wins_to_losses": round(ratio(e.wins, e.losses), 2)},
        actions=tuple(
            Action(s.entity_id, s.state, s.delay_s, tuple((t.name, t.median) for t in s.targets))
            for s in steps
        ),
        mode=Mode.ASK,
        score=round(ratio(e.wins, e.losses), 4),
        threshold=WORTH_ASKING,
        raised_at=at,
        expires_at=at + lasts,
        deliver_at=at,
        context_key=routine.id,
        clears_itself=True,  # no state of an entity settles it
        short=routine_name(routine),
        group=f"routine {routine.id}",  # nothing joins it
    )
