"""How a finding becomes a suggestion, and several of them one message."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from agent.suggestions import Action, Kind, Member, Mode, Severity, Suggestion
from devices.state import HomeState
from devices.wording import clip, name_of
from hunches.detector import Hunch

_PLURALS: Final = {
    "light": "lights", "switch": "switches", "door": "doors", "window": "windows", "motion": "motion sensors",
    "cover": "covers", "lock": "locks", "media_player": "players", "silent": "devices",
}  # fmt: skip
_DONE: Final = {"off": "switched off", "closed": "closed", "locked": "locked"}


def group_of(hunch: Hunch, home: HomeState) -> str:
    """Return what a finding can share a message with: one kind of device, unless the detector says else."""
    if hunch.group:
        return hunch.group
    return home.device_class(hunch.entity_id) or hunch.entity_id.partition(".")[0]


def suggestion_of(
    hunch: Hunch,
    home: HomeState,
    *,
    at: datetime,
    deliver_at: datetime,
    severity: Severity,
    act: bool,
    why: str,
) -> Suggestion:
    """Return the suggestion that tells of a finding; `act`: that Inkling deals with it now."""
    actions = (Action(hunch.entity_id, hunch.remedy),) if hunch.remedy is not None else ()
    asks = Mode.ASK if actions else Mode.NOTIFY
    return Suggestion(
        kind=Kind.HUNCH,
        detector=hunch.detector,
        entity_id=hunch.entity_id,
        title=_acted(hunch, home) if act else hunch.title,
        evidence={**hunch.evidence, "shown_because": why},
        actions=actions,
        mode=Mode.ACT if act else asks,
        score=round(hunch.score, 4),
        threshold=round(hunch.threshold, 4),
        raised_at=at,
        expires_at=deliver_at + hunch.lasts,
        deliver_at=deliver_at,
        context_key=hunch.context_key,
        raised_for=hunch.raised_for,
        clears_itself=hunch.clears_itself,
        severity=severity,
        short=hunch.short,
        group=group_of(hunch, home),
    )


def _acted(hunch: Hunch, home: HomeState) -> str:
    did = _DONE.get(hunch.remedy or "", f"set to {hunch.remedy}")
    return clip(f"I have {did} {name_of(hunch.entity_id, home)}. {hunch.title} Undo?")


def joined(suggestion: Suggestion, hunch: Hunch, home: HomeState) -> Suggestion:
    """Return a suggestion that tells of one more entity. Its id stays."""
    member = Member(hunch.entity_id, hunch.context_key, hunch.raised_for, hunch.short)
    one = {"entity_id": hunch.entity_id, "title": hunch.title, "score": round(hunch.score, 4)}
    group = [*suggestion.evidence.get("group", ()), {**one, "evidence": dict(hunch.evidence)}]
    actions = suggestion.actions
    if hunch.remedy is not None:
        actions = (*actions, Action(hunch.entity_id, hunch.remedy))
    grown = replace(
        suggestion,
        evidence={**suggestion.evidence, "group": group},
        actions=actions,
        mode=Mode.ASK if actions else Mode.NOTIFY,
        also=(*suggestion.also, member),
    )
    return replace(grown, title=_together(grown, home))


def _together(suggestion: Suggestion, home: HomeState) -> str:
    members = suggestion.members
    things = _PLURALS.get(suggestion.group, "things")
    listed = "; ".join(f"{name_of(m.entity_id, home)} {m.short}".strip() for m in members)
    return clip(f"{len(members)} {things} at once: {listed}.")
