"""How a routine is put to a resident: the question, the reason, and what is done."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from math import log10
from typing import Final

from agent.routine_entry import GONE, LATELY, Faded
from agent.suggestions import Action, Kind, Mode, Suggestion
from devices.state import HomeState
from devices.wording import clip
from routines.actions import share_of_full
from routines.fading import SURPRISING
from routines.matching import CLOCK_HORIZON_S, Firing
from routines.naming import entity_name
from routines.rewriting import Change, Rewrite
from routines.routine import AtTime, OnState, Routine, Step
from routines.validation import ASK_FIRST

PROPOSAL_LASTS: Final = timedelta(days=14)
_DAY: Final = timedelta(days=1)
QUESTION_LASTS: Final = timedelta(minutes=15)


def ratio(wins: int, losses: int) -> float:
    """Return wins for each loss; nothing lost counts as half a loss."""
    return wins / max(losses, 0.5)


def proposal(routine: Routine, mode: Mode, at: datetime, deliver_at: datetime) -> Suggestion:
    """Return the question whether to make a habit a routine, with its track record."""
    e = routine.evidence
    record = f"you did so on {len(e.dates)} days"
    if e.held_out is not None:
        record += f", and lately it would have been right {e.wins} of {e.wins + e.losses} times"
    how = "" if mode is Mode.ACT else ", asking each time"
    title = f"{routine.name}: {record}. Make it a routine{how}?"
    asked = _suggestion(Kind.ROUTINE_PROPOSED, routine, routine.steps, title, at, PROPOSAL_LASTS)
    return delivered(replace(asked, evidence={**asked.evidence, "offered": mode.value}), deliver_at)


def delivered(asked: Suggestion, deliver_at: datetime) -> Suggestion:
    """Return a question as it is put at a better time: it can be answered for as long."""
    return replace(asked, deliver_at=deliver_at, expires_at=deliver_at + (asked.expires_at - asked.raised_at))


def is_time(firing: Firing, mode: Mode, at: datetime) -> Suggestion:
    """Return the question whether to carry a routine out now, or that it is being carried out."""
    title = f"{firing.routine.name}: {'now?' if mode is Mode.ASK else 'done. Undo?'}"
    last = max((s.delay_s for s in firing.steps), default=0.0)
    by_clock = not isinstance(firing.routine.trigger, OnState)  # residents stray: it may be right for longer
    lasts = (timedelta(seconds=CLOCK_HORIZON_S) if by_clock else QUESTION_LASTS) + timedelta(seconds=last)
    return replace(_suggestion(Kind.ROUTINE, firing.routine, firing.steps, title, at, lasts), mode=mode)


def rewording(
    before: Routine, offer: Rewrite, home: HomeState, at: datetime, zone: tzinfo | None
) -> Suggestion:
    """Return the question whether a routine should do what its residents make of it, with their record."""
    known = home.get(offer.step.entity_id)
    names = {offer.step.entity_id: known.name} if known is not None and known.name else {}
    done, question = _correction(offer, entity_name(offer.step.entity_id, names))
    times = f"{offer.times} of the last {offer.of} times" if offer.times < offer.of else f"{offer.of} times"
    title = f"{before.name}: {times} you {done}, and kept it. {question}"
    body = {
        "key": offer.key,
        "change": offer.change.value,
        "entity_id": offer.step.entity_id,
        "times": offer.times,
        "of": offer.of,
        "kept_probability": round(offer.kept, 4),
        "present_probability": round(offer.present, 4),
        "dates": [when.astimezone(zone).date().isoformat() for when in offer.dates],
    }
    asked = _suggestion(Kind.ROUTINE_PROPOSED, offer.routine, offer.routine.steps, title, at, PROPOSAL_LASTS)
    return replace(
        asked,
        evidence={"routine": offer.routine.to_dict(), "replaces": before.id, "rewrite": body},
        score=round(offer.kept, 4),
        threshold=round(offer.present, 4),
        context_key=before.id,
        raised_for=offer.key,
        short=before.name,
        group=f"routine {before.id}",
    )


def another_time(before: Routine, found: Routine, at: datetime) -> Suggestion:
    """Return the question whether a routine should run when its residents do it nowadays."""
    e, trigger = found.evidence, found.trigger
    assert isinstance(trigger, AtTime)
    clock = f"{trigger.minute // 60:02}:{trigger.minute % 60:02}"
    lately = f", right {e.wins} of {e.wins + e.losses} times lately" if e.held_out is not None else ""
    title = f"{before.name}: you do so about {clock} nowadays{lately}. At that time from now on?"
    window = found.conditions
    conditions = replace(before.conditions, after_min=window.after_min, before_min=window.before_min)
    after = replace(before, name=found.name, trigger=trigger, conditions=conditions, evidence=e)
    asked = _suggestion(Kind.ROUTINE_PROPOSED, after, after.steps, title, at, PROPOSAL_LASTS)
    body = {"key": f"time {clock}", "change": "time", "at": clock}
    evidence = {**asked.evidence, "replaces": before.id, "rewrite": body}
    return replace(asked, evidence=evidence, raised_for=body["key"], short=before.name)


def more_steps(before: Routine, found: Routine, at: datetime) -> Suggestion:
    """Return the question whether a routine should do all that its residents do then."""
    e = found.evidence
    lately = f", right {e.wins} of {e.wins + e.losses} times lately" if e.held_out is not None else ""
    title = f"{before.name}: you do more then: {found.name}{lately}. All of it from now on?"
    asked = _suggestion(Kind.ROUTINE_PROPOSED, found, found.steps, title, at, PROPOSAL_LASTS)
    body = {"key": f"steps {found.id}", "change": "steps"}
    evidence = {**asked.evidence, "replaces": before.id, "rewrite": body}
    return replace(
        asked,
        evidence=evidence,
        context_key=before.id,
        raised_for=body["key"],
        short=before.name,
        group=f"routine {before.id}",
    )


def retirement(routine: Routine, faded: Faded, at: datetime, zone: tzinfo | None) -> Suggestion:
    """Return the question whether to let a routine go, with what speaks against it."""
    since, score, threshold = faded.unneeded_since, -log10(faded.p), -log10(SURPRISING)
    if since is None:
        times = f"{faded.wins} of {faded.wins + faded.losses} times"
        record = f"in the last {LATELY.days} days you wanted it {times} that I asked"
    else:
        local, score, threshold = since.astimezone(zone), (at - since) / _DAY, GONE / _DAY
        record = f"it has not been needed since {local.day} {local:%B}"
    asked = _suggestion(
        Kind.ROUTINE_PROPOSED,
        routine,
        routine.steps,
        f"{routine.name}: {record}. Let it go?",
        at,
        PROPOSAL_LASTS,
    )
    body = {
        "wanted": faded.wins,
        "not_wanted": faded.losses,
        "p": round(faded.p, 6),
        "unneeded_since": since and since.isoformat(),
    }
    return replace(
        asked,
        actions=(),  # it is to be a routine no more: nothing moves
        evidence={**asked.evidence, "retire": body},
        score=round(score, 4),
        threshold=round(threshold, 4),
        raised_for="retire",
    )


def _correction(offer: Rewrite, name: str) -> tuple[str, str]:
    """Return what the residents did to a step, and what to ask."""
    before, after = offer.step, offer.after
    if after is None:
        return f"put {name} back", "Leave that out from now on?"
    if offer.change is Change.DELAY:
        minutes = round((after.delay_s - before.delay_s) / 60)
        return f"wanted {name} {before.state} only {minutes} min later", "Wait for as long from now on?"
    if offer.change is Change.STATE:
        return f"set {name} to {after.state}", "Do so from now on?"
    target = after.targets[0]
    share = share_of_full(target.name, target.median)
    level = f"{share:.0%}" if share is not None else f"{target.median:g}°"
    was = next((t.median for t in before.targets if t.name == target.name), None)
    dimmed = target.name == "brightness" and (was is None or target.median < was)
    return f"{'dimmed' if dimmed else 'set'} {name} to {level}", f"Set it to {level} from now on?"


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
        threshold=ASK_FIRST,
        raised_at=at,
        expires_at=at + lasts,
        deliver_at=at,
        context_key=routine.id,
        clears_itself=True,  # no state of an entity settles it
        short=routine.name,
        group=f"routine {routine.id}",  # nothing joins it
    )
