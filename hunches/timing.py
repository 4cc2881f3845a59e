"""Something that happens at an hour when it never does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import log10
from typing import Any, ClassVar, Final

from devices.context import Context
from devices.events import NOT_A_STATE, Origin, StateChange, Tick
from devices.state import HomeState
from hunches.detector import Hunch
from hunches.hours import HourProfile
from hunches.priors import ACTIVE_STATES, Kind, kind_of
from hunches.records import DailyRecords
from hunches.wording import clip, name_of

_DAY_S: Final = 86400.0
_LASTS: Final = timedelta(hours=3)  # that a hunch stays worth saying
_NOT_PEOPLE: Final = frozenset({Origin.AGENT, Origin.AUTOMATION})


@dataclass(slots=True)
class _Habit:
    """When one entity is activated."""

    hours: HourProfile
    first: float  # epoch seconds of the first activation
    last: float  # of the last one, for bursts
    episodes: int = 0
    alone: float = 0.0  # episodes in which nothing else happened around it


@dataclass(slots=True)
class _Waiting:
    """An activation with nothing around it so far."""

    state: str
    at: float
    hour: float
    day: int
    surprise: float  # of the hour alone
    said: bool = False  # the hour alone was enough


class Timing:
    """Notices an activation at an hour when it never happens, above all in a home that is still.

    An episode is an activation (off to on, closed to open …) more than `burst_gap_min` after the last one of
    the entity. Its surprise has two parts, -log10 of a tail probability each:

    1. the hour, by the entity's `HourProfile`, backed by the home's;
    2. company: people who are up at an odd hour set off more than one sensor. An episode with no change of
       any other entity from `before_min` before it until `after_min` after is alone, and adds -log10 of the
       share of the entity's episodes that are (shrunk to the home's share).

    A hunch is raised when the sum reaches `threshold` and passes the home's `DailyRecords`: the second
    highest of the daily maxima of the last 60 days, and all of its own day. Automations and our own commands
    neither teach nor count as company.

    Memory: 48 counts and five numbers an entity. A change costs O(1), an episode O(48 · kernel), a tick
    O(waiting episodes), of which there is at most one an entity and hardly ever more than one.

    Parameters
    ----------
    threshold: least surprise, -log10 p.
    min_episodes: episodes that an entity needs before it is judged (faded weight).
    min_age_days: time since its first episode that it needs.
    burst_gap_min: activations that follow each other faster count once, minutes.
    before_min, after_min: the time around an episode in which others are company, minutes.
    alone_trust: episodes that the home's share of lonely ones is worth.
    half_life_days: time in which what was learned loses half its weight.

    >>> Timing().name
    'timing'

    References
    ----------
    See `HourProfile` and `DailyRecords`.
    """

    name: ClassVar[str] = "timing"

    def __init__(
        self,
        *,
        threshold: float = 2.7,
        min_episodes: float = 12.0,
        min_age_days: float = 5.0,
        burst_gap_min: float = 30.0,
        before_min: float = 15.0,
        after_min: float = 5.0,
        alone_trust: float = 10.0,
        half_life_days: float = 60.0,
    ) -> None:
        self.threshold = threshold
        self.min_episodes = min_episodes
        self.min_age_s = min_age_days * _DAY_S
        self.burst_gap_s = burst_gap_min * 60.0
        self.before_s = before_min * 60.0
        self.after_s = after_min * 60.0
        self.alone_trust = alone_trust
        self.half_life_days = half_life_days
        self._habits: dict[str, _Habit] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._home = HourProfile(half_life_days=half_life_days, backing=20.0)
        self._records = DailyRecords()
        self._episodes = 0
        self._alone = 0
        self._latest: list[tuple[str, float]] = []  # the last change, and the last one of another entity
        self._relevant: dict[str, bool] = {}
        self._asked: tuple[tuple[str, float, int] | None, float] = (None, 0.0)

    # -- scoring ----------------------------------------------------------------------------------

    def score_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> Iterable[Hunch]:
        """Return activations at odd hours: at once if the hour says it all, else after a lonely wait."""
        if isinstance(event, Tick):
            return self._score_waiting(event.at.timestamp(), home, context) if self._waiting else ()
        if not self._is_relevant(event):
            return ()
        kind = self._activated(event, home)
        at = event.changed_at.timestamp()
        if kind is None or not self._is_episode(event.entity_id, at):
            return ()
        seen = _Waiting(
            event.new, at, context.hour, _day(context), self._surprise(event.entity_id, at, context)
        )
        if not self._is_news(seen.surprise, seen.day):
            return ()
        return (self._hunch(event.entity_id, seen, seen.surprise, home, context),)

    def _score_waiting(self, at: float, home: HomeState, context: Context) -> list[Hunch]:
        lonely = [
            (self._with_loneliness(entity_id, seen), entity_id)
            for entity_id, seen in self._waiting.items()
            if not seen.said and seen.at + self.after_s <= at
        ]
        if not lonely:
            return []
        score, entity_id = max(lonely)
        seen = self._waiting[entity_id]
        return [self._hunch(entity_id, seen, score, home, context)] if self._is_news(score, seen.day) else []

    def _is_news(self, score: float, day: int) -> bool:
        return score > self._bar(day) and score > self._records.best(day)

    def _bar(self, day: int) -> float:
        return max(self.threshold, self._records.bar(day))

    def _surprise(self, entity_id: str, at: float, context: Context) -> float:
        """Return -log10 p of the hour; 0 while too little is known. Asked by the score, then by learning."""
        asked = (entity_id, at, self._episodes)
        if self._asked[0] != asked:
            self._asked = (asked, self._fresh_surprise(entity_id, at, context))
        return self._asked[1]

    def _fresh_surprise(self, entity_id: str, at: float, context: Context) -> float:
        habit = self._habits.get(entity_id)
        if habit is None or habit.hours.n < self.min_episodes or at - habit.first < self.min_age_s:
            return 0.0
        return -log10(max(1e-12, habit.hours.tail(context.hour, self._home.density())))

    def _with_loneliness(self, entity_id: str, seen: _Waiting) -> float:
        habit = self._habits.get(entity_id)
        if habit is None or seen.surprise <= 0.0:
            return 0.0
        home = (self._alone + 1.0) / (self._episodes + 5.0)
        share = (habit.alone + self.alone_trust * home) / (habit.episodes + self.alone_trust)
        return seen.surprise - log10(min(1.0, share))

    def _is_episode(self, entity_id: str, at: float) -> bool:
        habit = self._habits.get(entity_id)
        return habit is None or at - habit.last > self.burst_gap_s

    def _activated(self, change: StateChange, home: HomeState) -> Kind | None:
        """Return the kind of an entity that a person may just have activated."""
        if change.new not in ACTIVE_STATES or not change.trains or change.origin in _NOT_PEOPLE:
            return None
        known = home.get(change.entity_id)
        kind = kind_of(change.domain, known.device_class if known else change.device_class)
        if kind is None or change.new not in kind.active or change.old in kind.active:
            return None
        return kind

    def _is_relevant(self, change: StateChange) -> bool:
        known = self._relevant.get(change.entity_id)
        if known is None:
            known = self._relevant[change.entity_id] = kind_of(change.domain, None) is not None
        return known

    def _hunch(
        self, entity_id: str, seen: _Waiting, score: float, home: HomeState, context: Context
    ) -> Hunch:
        habit, known = self._habits[entity_id], home.get(entity_id)
        kind = kind_of(entity_id.partition(".")[0], known.device_class if known else None)
        still = known is not None and known.state == seen.state
        lonely = score > seen.surprise
        quiet = habit.hours.empty_around(seen.hour)
        return Hunch(
            detector=self.name,
            entity_id=entity_id,
            context_key=f"{seen.state}|{context.daypart.value}",
            score=score,
            threshold=self._bar(seen.day),
            title=clip(_title(name_of(entity_id, home), kind, seen, habit, lonely=lonely)),
            evidence={
                "n": habit.episodes,
                "hour": _clock(seen.hour),
                "never_between": [_clock(h) for h in quiet] if quiet else None,
                "days": int((seen.at - habit.first) / _DAY_S),
                "p_hour": float(f"{10**-seen.surprise:.3g}"),
                "alone": lonely,
                "alone_before": round(habit.alone),
                "bar": round(self._bar(seen.day), 3),
            },
            raised_for=seen.state if still or known is None else known.state,
            abnormal_since=datetime.fromtimestamp(seen.at, UTC),
            lasts=_LASTS,
            remedy=kind.rest if kind is not None and still else None,
        )

    # -- learning ---------------------------------------------------------------------------------

    def learn_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> None:
        """Learn the hour of an episode, and in time whether it had company."""
        if isinstance(event, Tick):
            if self._waiting:
                self._settle_lonely(event.at.timestamp())
            return
        if not self._is_relevant(event) or event.new in NOT_A_STATE or event.origin in _NOT_PEOPLE:
            return
        at = event.changed_at.timestamp()
        if self._waiting:
            self._company_for_waiting(event.entity_id, at)
        if self._activated(event, home) is not None:
            self._learn_activation(event, at, context)
        self._remember(event.entity_id, at)

    def _learn_activation(self, change: StateChange, at: float, context: Context) -> None:
        entity_id, day = change.entity_id, at / _DAY_S
        episode = self._is_episode(entity_id, at)
        habit = self._habits.get(entity_id)
        if habit is None:
            hours = HourProfile(half_life_days=self.half_life_days)
            habit = self._habits[entity_id] = _Habit(hours, at, at)
        elif episode:
            seen = _Waiting(
                change.new, at, context.hour, _day(context), self._surprise(entity_id, at, context)
            )
            seen.said = self._is_news(seen.surprise, seen.day)
            self._records.learn_one(seen.surprise, seen.day)
            if self._alone_before(entity_id, at):
                self._waiting[entity_id] = seen
        habit.last = at
        if episode:
            habit.episodes += 1
            self._episodes += 1
            habit.hours.learn_one(context.hour, day)
            self._home.learn_one(context.hour, day)

    def _alone_before(self, entity_id: str, at: float) -> bool:
        return all(abs(at - when) > self.before_s for other, when in self._latest if other != entity_id)

    def _company_for_waiting(self, entity_id: str, at: float) -> None:
        for other in [e for e, w in self._waiting.items() if e != entity_id and at - w.at <= self.after_s]:
            del self._waiting[other]

    def _settle_lonely(self, at: float) -> None:
        for entity_id in [e for e, w in self._waiting.items() if w.at + self.after_s <= at]:
            seen = self._waiting.pop(entity_id)
            self._records.learn_one(self._with_loneliness(entity_id, seen), seen.day)
            self._alone += 1
            habit = self._habits.get(entity_id)
            if habit is not None:
                habit.alone += 1.0

    def _remember(self, entity_id: str, at: float) -> None:
        if self._latest and self._latest[0][0] == entity_id:
            self._latest[0] = (entity_id, at)
        else:
            self._latest = [(entity_id, at), *self._latest[:1]]

    # -- keeping ----------------------------------------------------------------------------------

    def forget(self, entity_id: str) -> None:
        """Drop all that was learned about an entity; the home's own profile keeps its share."""
        self._habits.pop(entity_id, None)
        self._waiting.pop(entity_id, None)
        self._relevant.pop(entity_id, None)
        self._latest = [x for x in self._latest if x[0] != entity_id]
        self._asked = (None, 0.0)

    def rename(self, old: str, new: str) -> None:
        """Carry what was learned over to an entity's new id."""
        if old == new:
            return
        habit, seen = self._habits.get(old), self._waiting.get(old)
        latest = [(new if e == old else e, at) for e, at in self._latest]
        self.forget(old)
        self._latest = latest
        if habit is not None:
            self._habits[new] = habit
        if seen is not None:
            self._waiting[new] = seen

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "habits": {
                e: [h.hours.to_dict(), h.first, h.last, h.episodes, h.alone] for e, h in self._habits.items()
            },
            "waiting": {
                e: [w.state, w.at, w.hour, w.day, w.surprise, w.said] for e, w in self._waiting.items()
            },
            "home": self._home.to_dict(),
            "records": self._records.to_dict(),
            "episodes": [self._episodes, self._alone],
            "latest": [list(x) for x in self._latest],
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._habits, self._asked = {}, (None, 0.0)
        for entity_id, (hours, *rest) in data["habits"].items():
            profile = HourProfile(half_life_days=self.half_life_days)
            profile.load(hours)
            self._habits[entity_id] = _Habit(profile, *rest)
        self._waiting = {e: _Waiting(*w) for e, w in data["waiting"].items()}
        self._home.load(data["home"])
        self._records.load(data["records"])
        self._episodes, self._alone = data["episodes"]
        self._latest = [(e, at) for e, at in data["latest"]]
        self._relevant = {}


def _day(context: Context) -> int:
    return context.local.toordinal()


def _clock(hour: float) -> str:
    minutes = int(hour * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _title(name: str, kind: Kind | None, seen: _Waiting, habit: _Habit, *, lonely: bool) -> str:
    verb = kind.verb if kind is not None else f"became {seen.state}"
    quiet = habit.hours.empty_around(seen.hour)
    text = f"{name} {verb} at {_clock(seen.hour)}"
    if quiet is not None:
        text += f", which in {habit.episodes} times never happened between {' and '.join(map(_clock, quiet))}"
        return text + (", and nothing else moved." if lonely else ".")
    if lonely:
        return (
            text
            + f" and nothing else moved, which is rare in {habit.episodes} times, above all at that hour."
        )
    return text + f", which in {habit.episodes} times hardly ever happened at that hour."
