"""Whether this is a good moment: what the residents do, how often they were asked, how they took it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from agent.suggestions import Verdict
from devices.context import Context
from devices.events import StateChange, utc
from latent_goals.decision import Outcome, Value
from latent_goals.receptivity import Receptivity

UNWELCOME: Final = 0.5
"""Cost of an interruption, on the scale of the bandit's rewards, from which a proposal waits."""
_RECENT: Final = timedelta(minutes=15)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_MOST: Final = 200
_OUTCOMES: Final = {
    Verdict.ACCEPTED: Outcome.ACCEPTED,
    Verdict.REJECTED: Outcome.REJECTED,
    Verdict.INTENTIONAL: Outcome.REJECTED,
    Verdict.UNDONE: Outcome.UNDONE,
    Verdict.IGNORED: Outcome.IGNORED,
}


def outcome_of(verdict: Verdict) -> Outcome:
    """Return what an answer says; a snooze says nothing yet."""
    return _OUTCOMES.get(verdict, Outcome.WITHDRAWN)


class Moments:
    """One model of receptivity for hunches, routines and goals. Memory: the times of the last 200 of each."""

    def __init__(self) -> None:
        self.model = Receptivity()
        self._activity: deque[datetime] = deque(maxlen=_MOST)
        self._prompts: deque[datetime] = deque(maxlen=_MOST)
        self._told: dict[str, dict[str, Value]] = {}  # suggestion -> the moment at which it was told

    def observe(self, change: StateChange) -> None:
        """Take note of what a resident does."""
        if change.by_resident:
            self._activity.append(change.received_at)

    def features(self, at: datetime, context: Context) -> dict[str, Value]:
        """Return what is known of a moment."""
        return {
            "hour": round(context.hour, 2),
            "daypart": context.daypart.value,
            "weekend": context.weekend,
            "occupancy": context.occupancy.value,
            "activity": _since(self._activity, at - _RECENT),
            "prompts_hour": _since(self._prompts, at - _HOUR),
            "prompts_day": _since(self._prompts, at - _DAY),
        }

    def cost(self, at: datetime, context: Context) -> float:
        """Return what an interruption costs now."""
        return self.model.cost(self.features(at, context))

    def told(self, suggestion_id: str, at: datetime, context: Context) -> None:
        """Take note that the residents were told something."""
        self._told[suggestion_id] = self.features(at, context)
        self._prompts.append(at)
        while len(self._told) > _MOST:
            del self._told[next(iter(self._told))]

    def heard(self, suggestion_id: str, outcome: Outcome) -> None:
        """Learn how it was taken."""
        features = self._told.pop(suggestion_id, None)
        if features is not None:
            self.model.learn_one(features, outcome)

    def unasked(self) -> None:
        """Drop all prompts and what was learned of them: nobody saw them."""
        self.model = Receptivity()
        self._prompts.clear()
        self._told.clear()

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "model": self.model.to_dict(),
            "activity": [at.isoformat() for at in self._activity],
            "prompts": [at.isoformat() for at in self._prompts],
            "told": self._told,
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self.model.load(data["model"])
        self._activity = deque(map(utc, data["activity"]), maxlen=_MOST)
        self._prompts = deque(map(utc, data["prompts"]), maxlen=_MOST)
        self._told = {i: dict(x) for i, x in data["told"].items()}


def _since(times: deque[datetime], since: datetime) -> int:
    count = 0
    for at in reversed(times):
        if at < since:
            break
        count += 1
    return count
