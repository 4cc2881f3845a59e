"""How a latent goal is put to a resident."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from agent.suggestions import Action, Kind, Mode, Suggestion
from devices.wording import clip
from latent_goals.goal import Goal, Implied

_NOTICE_LASTS: Final = timedelta(days=14)


def implied(finding: Implied, at: datetime) -> Suggestion:
    """Return the question whether to do what a first action implies."""
    goal = finding.goal
    return Suggestion(
        kind=Kind.GOAL,
        detector="goal",
        entity_id=finding.actions[0].entity_id,
        title=clip(f"{goal.title}. Do it now?"),
        evidence=plain({**finding.evidence, "goal": goal.to_dict(), "probability": finding.probability}),
        actions=tuple(
            Action(a.entity_id, a.state, targets=tuple(a.attributes.items())) for a in finding.actions
        ),
        mode=Mode.ASK,
        score=finding.probability,
        threshold=finding.threshold,
        raised_at=at,
        expires_at=at + finding.lasts,
        deliver_at=at,
        context_key=goal.id,
        raised_for=finding.occasion,
        clears_itself=True,  # the tracker says when it is over
        group=f"goal {finding.occasion}",
    )


def plain(value: Any) -> Any:
    """Return it as JSON would give it back: a suggestion that holds it equals itself after a restart."""
    if isinstance(value, Mapping):
        return {key: plain(of) for key, of in value.items()}
    return [plain(of) for of in value] if isinstance(value, list | tuple) else value


def goal_proposed(goal: Goal, at: datetime) -> Suggestion:
    """Return the note that a goal is believed from now on."""
    lead = goal.steps[0].evidence
    return Suggestion(
        kind=Kind.GOAL_PROPOSED,
        detector="goal",
        entity_id=goal.first.target,
        title=clip(f"{goal.title}."),
        evidence=plain({"goal": goal.to_dict()}),
        actions=tuple(Action(s.pattern.target, s.pattern.verb) for s in goal.steps),
        mode=Mode.ASK,
        score=lead.probability if lead else 0.0,
        threshold=lead.without if lead else 0.0,
        raised_at=at,
        expires_at=at + _NOTICE_LASTS,
        deliver_at=at,
        context_key=goal.id,
        raised_for=goal.id,
        clears_itself=True,
    )
