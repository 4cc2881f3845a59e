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
_LEAST: Final = 5  # questions near an hour before it is said to be a bad one
_NEAR_H: Final = 1.5  # and what is near
_PATIENCE: Final = 6  # occasions in a row that one question is spared the residents
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
        self._taken: deque[tuple[float, bool]] = deque(maxlen=_MOST)  # hour of a question, and if answered
        self._unheard: dict[str, int] = {}  # question that comes again -> times in a row without answer
        self._spared: dict[str, int] = {}  # the same -> occasions in a row on which it wasn't asked
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

    def spares(self, question: str, at: datetime, context: Context) -> bool:
        """Whether a question that comes again and again is left out for once, as nobody answers now.

        Only what answers, or their lack, have taught counts, not what is presumed of everybody, and nothing
        against a question that was answered last time. Every seventh time it is asked all the same: else
        nothing would ever be learned anew.
        """
        near = self._near(context.hour)
        unheard = question in self._unheard and len(near) >= _LEAST and 2 * sum(near) <= len(near)
        spared = self._spared.pop(question, 0)
        if not unheard or self.cost(at, context) < UNWELCOME or spared >= _PATIENCE:
            return False
        _count(self._spared, question, spared + 1)
        return True

    def why(self, features: Mapping[str, Value]) -> str:
        """Return what makes a moment a bad one to ask, in a resident's words."""
        adds = self.model.explain(features)
        hour = float(features.get("hour") or 0.0)
        near = self._near(hour)
        asked = f"at this hour you answered {sum(near)} of {len(near)} questions"
        causes = {
            asked if near else "it is not an hour for questions": sum(
                adds[name] for name in ("hour_sin", "hour_cos", "half_day_sin", "half_day_cos")
            ),
            f"you were told {features.get('prompts_day')} things within a day": (
                adds["prompts_hour"] + adds["prompts_day"]
            ),
            "nobody is at home": adds["away"],
            "you are asleep": adds["asleep"],
            "on such days you answer less": adds["weekend"],
            "with as much going on as now you answer less": adds["activity"],
        }
        return min(causes, key=causes.__getitem__)

    def _near(self, hour: float) -> list[bool]:
        """Return which of the questions at about this hour were answered."""
        return [answered for at, answered in self._taken if abs((at - hour + 12.0) % 24.0 - 12.0) <= _NEAR_H]

    def told(self, suggestion_id: str, at: datetime, context: Context) -> None:
        """Take note that the residents were told something."""
        self._told[suggestion_id] = self.features(at, context)
        self._prompts.append(at)
        while len(self._told) > _MOST:
            del self._told[next(iter(self._told))]

    def heard(self, suggestion_id: str, outcome: Outcome, question: str = "") -> None:
        """Learn how it was taken. `question`: what it is, if it comes again and again."""
        unheard = self._unheard.pop(question, 0)
        if question and outcome is Outcome.IGNORED:
            _count(self._unheard, question, unheard + 1)
        features = self._told.pop(suggestion_id, None)
        if features is not None:
            self.model.learn_one(features, outcome)
            if outcome not in {Outcome.BY_HAND, Outcome.WITHDRAWN}:
                self._taken.append((float(features["hour"] or 0.0), outcome is not Outcome.IGNORED))

    def unasked(self) -> None:
        """Drop all prompts and what was learned of them: nobody saw them."""
        self.model = Receptivity()
        self._taken.clear()
        self._unheard.clear()
        self._spared.clear()
        self._prompts.clear()
        self._told.clear()

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "model": self.model.to_dict(),
            "taken": [list(one) for one in self._taken],
            "unheard": self._unheard,
            "spared": self._spared,
            "activity": [at.isoformat() for at in self._activity],
            "prompts": [at.isoformat() for at in self._prompts],
            "told": self._told,
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self.model.load(data["model"])
        self._taken = deque(((hour, answered) for hour, answered in data.get("taken", ())), maxlen=_MOST)
        self._unheard, self._spared = dict(data.get("unheard", {})), dict(data.get("spared", {}))
        self._activity = deque(map(utc, data["activity"]), maxlen=_MOST)
        self._prompts = deque(map(utc, data["prompts"]), maxlen=_MOST)
        self._told = {i: dict(x) for i, x in data["told"].items()}


def _count(of: dict[str, int], name: str, number: int) -> None:
    of[name] = number
    while len(of) > _MOST:
        del of[next(iter(of))]


def _since(times: deque[datetime], since: datetime) -> int:
    count = 0
    for at in reversed(times):
        if at < since:
            break
        count += 1
    return count
