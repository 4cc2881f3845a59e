"""Something that happens at an hour when it never does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from math import log10
from typing import Any, ClassVar, Final

from devices.context import Context
from devices.events import NOT_A_STATE, Origin, StateChange, Tick
from devices.state import HomeState
from devices.wording import clip, name_of
from hunches.company import AFTER_S, BEFORE_S, Company, renamed
from hunches.detector import Hunch
from hunches.episodes import Habit, Waiting, apart, clock, contributions, in_words
from hunches.hours import HourProfile
from hunches.priors import ACTIVE_STATES, Kind, kind_of
from hunches.records import DailyRecords

_DAY_S: Final = 86400.0
_FORTNIGHT_S: Final = 14 * _DAY_S
_SAME_HOUR: Final = 1.5  # hours apart at most
_ODD_KEPT: Final = 6  # surprises that an entity's new habits are seen by
_USUAL: Final = 0.5  # share of episodes with as little company from which on it explains the hour
_OFTEN: Final = 0.25  # share of episodes from which on a companion is worth naming
_LITTLE: Final = 1.0  # -log10 of the share of episodes with as little company, to say that it was little
_MOST_HEARD: Final = 64  # of an episode's company, before and after
_LASTS: Final = timedelta(hours=3)  # that a hunch stays worth saying
_NOT_PEOPLE: Final = frozenset({Origin.AGENT, Origin.AUTOMATION})


class Timing:
    """Notices an activation at an hour when it never happens, without the company that it usually has.

    An episode is an activation (off to on, closed to open …) more than `burst_gap_min` after the last one of
    the entity. Its surprise has two parts, -log10 of a tail probability each:

    1. the hour, by the entity's `HourProfile`, backed by the home's;
    2. company: the share of the entity's episodes with as little of its usual company, heard from half an
       hour before until five minutes after it (`Company`): a door that opens without the hall's motion is
       another event than one with it, also in a home where others are up. With company as good as in half of
       its episodes it is a late night, and no surprise at all.

    A hunch is raised when the sum passes `threshold`, the home's bar (`DailyRecords`), and all of its own
    day. What comes at the same hour for a third time within a fortnight is a new habit, and no news.
    Automations and our own commands neither teach nor count as company.

    `ActionSurprise` isn't used here. Added to this, learned forwards and backwards in time, it cost recall at
    the same number of false hunches: what a home does varies in order more than in company.

    Memory: 48 counts, 48 companions and a few numbers an entity. A change costs O(waiting episodes), of which
    there is at most one an entity and hardly ever more than one; an episode O(48 · kernel + companions).

    Parameters
    ----------
    threshold: surprise that has to be passed, -log10 p.
    min_episodes: episodes that an entity needs before it is judged (faded weight).
    min_age_days: time since its first episode that it needs.
    burst_gap_min: activations that follow each other faster count once, minutes.
    habit_after: surprises at one hour within a fortnight after which another is a habit.
    half_life_days: time in which what was learned loses half its weight.

    >>> Timing().name
    'timing'

    References
    ----------
    See `HourProfile`, `Company` and `DailyRecords`.
    """

    name: ClassVar[str] = "timing"

    def __init__(
        self,
        *,
        threshold: float = 3.0,
        min_episodes: float = 12.0,
        min_age_days: float = 5.0,
        burst_gap_min: float = 30.0,
        habit_after: int = 2,
        half_life_days: float = 60.0,
    ) -> None:
        self.threshold = threshold
        self.min_episodes = min_episodes
        self.min_age_s = min_age_days * _DAY_S
        self.burst_gap_s = burst_gap_min * 60.0
        self.habit_after = habit_after
        self.half_life_days = half_life_days
        self._habits: dict[str, Habit] = {}
        self._waiting: dict[str, Waiting] = {}
        self._home = HourProfile(half_life_days=half_life_days, backing=20.0)
        self._records = DailyRecords()
        self._company = Company(half_life_days=half_life_days)
        self._relevant: dict[str, bool] = {}

    # -- scoring ----------------------------------------------------------------------------------

    def score_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> Iterable[Hunch]:
        """Return activations at odd hours, once their company is known. Only a tick can tell."""
        if isinstance(event, StateChange) or not self._waiting:
            return ()
        return self._score_waiting(event.at.timestamp(), home, context)

    def _score_waiting(self, at: float, home: HomeState, context: Context) -> list[Hunch]:
        ripe = [
            (self._with_company(entity_id, seen), entity_id)
            for entity_id, seen in self._waiting.items()
            if seen.at + AFTER_S[-1] <= at
        ]
        if not ripe:
            return []
        score, entity_id = max(ripe)
        seen = self._waiting[entity_id]
        if not self._is_news(entity_id, seen, score):
            return []
        return [self._hunch(entity_id, seen, score, home, context)]

    def _is_news(self, entity_id: str, seen: Waiting, score: float) -> bool:
        if score <= self._bar(seen.day) or score <= self._records.best(seen.day):
            return False
        odd = self._habits[entity_id].odd
        alike = [
            at for hour, at in odd if apart(hour, seen.hour) <= _SAME_HOUR and seen.at - at < _FORTNIGHT_S
        ]
        return len(alike) < self.habit_after

    def _bar(self, day: int) -> float:
        return max(self.threshold, self._records.bar(day))

    def _surprise(self, entity_id: str, at: float, context: Context) -> float:
        """Return -log10 p of the hour; 0 while too little is known."""
        habit = self._habits.get(entity_id)
        if habit is None or habit.hours.n < self.min_episodes or at - habit.first < self.min_age_s:
            return 0.0
        return -log10(max(1e-12, habit.hours.tail(context.hour, self._home.density())))

    def _with_company(self, entity_id: str, seen: Waiting) -> float:
        if self._surprising(entity_id, seen, 0) <= self.threshold:
            return 0.0  # no news, even if it had been alone
        return self._surprising(entity_id, seen, self._grade(entity_id, seen))

    def _grade(self, entity_id: str, seen: Waiting) -> int:
        return self._company.grade(entity_id, seen.before, seen.after, seen.at)

    def _surprising(self, entity_id: str, seen: Waiting, grade: int) -> float:
        """Return the surprise at an episode with company of that grade."""
        share = self._company.share(entity_id, grade)
        return seen.surprise - log10(share) if seen.surprise > 0.0 and share <= _USUAL else 0.0

    def _activated(self, change: StateChange, home: HomeState) -> Kind | None:
        """Return the kind of an entity that has just been activated."""
        if change.new not in ACTIVE_STATES or not change.trains:
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

    def _hunch(self, entity_id: str, seen: Waiting, score: float, home: HomeState, context: Context) -> Hunch:
        habit, known = self._habits[entity_id], home.get(entity_id)
        kind = kind_of(entity_id.partition(".")[0], home.device_class(entity_id))
        still = known is not None and known.state == seen.state
        missing = self._missing(entity_id, seen, home, lack=score - seen.surprise)
        words = in_words(kind, seen, habit, missing)
        return Hunch(
            detector=self.name,
            entity_id=entity_id,
            context_key=f"{seen.state}|{context.daypart.value}",
            score=score,
            threshold=self._bar(seen.day),
            title=clip(f"{name_of(entity_id, home)} {words}."),
            evidence=self._evidence(entity_id, seen, score),
            raised_for=seen.state if still or known is None else known.state,
            abnormal_since=datetime.fromtimestamp(seen.at, UTC),
            lasts=_LASTS,
            remedy=kind.rest if kind is not None and still else None,
            short=words.partition(",")[0],
        )

    def _missing(self, entity_id: str, seen: Waiting, home: HomeState, lack: float) -> str:
        """Return in words what company was missing; nothing where most of it was there."""
        if not seen.heard:
            return "nothing else moved"
        usual = self._company.usual(entity_id, seen.at)
        if usual is not None and usual[0] not in seen.heard and usual[1] >= _OFTEN:
            return f"nothing came from {name_of(usual[0], home)}, as it does {10 * usual[1]:.0f} times in 10"
        return "little came of what usually goes with it" if lack > _LITTLE else ""

    def _evidence(self, entity_id: str, seen: Waiting, score: float) -> dict[str, Any]:
        habit, usual = self._habits[entity_id], self._company.usual(entity_id, seen.at)
        quiet, waited = habit.hours.empty_around(seen.hour), score > seen.surprise
        parts = {"hour": 10**-seen.surprise, "company": 10 ** (seen.surprise - score)}
        return {
            "n": habit.episodes,
            "hour": clock(seen.hour),
            "never_between": [clock(h) for h in quiet] if quiet else None,
            "days": int((seen.at - habit.first) / _DAY_S),
            "p_hour": float(f"{parts['hour']:.3g}"),
            "alone": waited and not seen.heard,
            "alone_before": round(self._company.alone(entity_id)),
            "p_company": float(f"{parts['company']:.3g}") if waited else None,
            "heard_around": sorted(seen.heard)[:8],
            "usually_with": [usual[0], round(usual[1], 2)] if usual else None,
            "bar": round(self._bar(seen.day), 3),
            "contributions": contributions(parts),
        }

    # -- learning ---------------------------------------------------------------------------------

    def learn_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> None:
        """Learn the hour of an episode, and in time what company it had."""
        if isinstance(event, Tick):
            if self._waiting:
                at = event.at.timestamp()
                for entity_id in [e for e, w in self._waiting.items() if w.at + AFTER_S[-1] <= at]:
                    self._settle(entity_id)
            return
        if not self._is_relevant(event) or event.new in NOT_A_STATE or event.origin in _NOT_PEOPLE:
            return
        at = event.changed_at.timestamp()
        if self._waiting:
            self._join_waiting(event.entity_id, at)
        if self._activated(event, home) is not None:
            self._learn_activation(event, at, context)
        self._company.heard(event.entity_id, at)

    def _learn_activation(self, change: StateChange, at: float, context: Context) -> None:
        entity_id, habit = change.entity_id, self._habits.get(change.entity_id)
        if habit is None or at - habit.last > self.burst_gap_s:
            if entity_id in self._waiting:  # no tick for half an hour
                self._settle(entity_id)
            seen = Waiting(
                change.new, at, context.hour, _day(context), self._surprise(entity_id, at, context)
            )
            before = self._company.since(at, BEFORE_S[-1]).items()
            seen.before = dict([(e, ago) for e, ago in before if e != entity_id][:_MOST_HEARD])
            self._waiting[entity_id] = seen
        if habit is None:
            habit = self._habits[entity_id] = Habit(HourProfile(half_life_days=self.half_life_days), at, at)
        habit.last = at

    def _join_waiting(self, entity_id: str, at: float) -> None:
        for other, seen in self._waiting.items():
            if (
                other != entity_id
                and at - seen.at <= AFTER_S[-1]
                and entity_id not in seen.after
                and len(seen.after) < _MOST_HEARD
            ):
                seen.after[entity_id] = max(0.0, at - seen.at)

    def _settle(self, entity_id: str) -> None:
        """Learn an episode whose company is known."""
        seen, habit = self._waiting.pop(entity_id), self._habits[entity_id]
        grade = self._grade(entity_id, seen)
        score = self._surprising(entity_id, seen, grade)
        self._records.learn_one(score, seen.day)
        self._company.learn_one(entity_id, seen.before, seen.after, grade, seen.at)
        habit.episodes += 1
        habit.hours.learn_one(seen.hour, seen.at / _DAY_S)
        self._home.learn_one(seen.hour, seen.at / _DAY_S)
        if score >= self.threshold:
            habit.odd = [*habit.odd, [seen.hour, seen.at]][-_ODD_KEPT:]

    # -- keeping ----------------------------------------------------------------------------------

    def forget(self, entity_id: str) -> None:
        """Drop all that was learned about an entity; the home's own profile keeps its share."""
        self._habits.pop(entity_id, None)
        self._waiting.pop(entity_id, None)
        self._relevant.pop(entity_id, None)
        self._company.forget(entity_id)
        for seen in self._waiting.values():
            seen.forget(entity_id)

    def rename(self, old: str, new: str) -> None:
        """Carry what was learned over to an entity's new id."""
        if old == new:
            return
        habit, waiting = self._habits.get(old), self._waiting.get(old)
        self._company.rename(old, new)
        for seen in self._waiting.values():
            seen.before, seen.after = renamed(seen.before, old, new), renamed(seen.after, old, new)
        self.forget(old)
        if habit is not None:
            self._habits[new] = habit
        if waiting is not None:
            self._waiting[new] = waiting

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "habits": {
                e: [h.hours.to_dict(), h.first, h.last, h.episodes, h.odd] for e, h in self._habits.items()
            },
            "waiting": {
                e: [w.state, w.at, w.hour, w.day, w.surprise, dict(w.before), dict(w.after)]
                for e, w in self._waiting.items()
            },
            "home": self._home.to_dict(),
            "records": self._records.to_dict(),
            "company": self._company.to_dict(),
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._habits = {}
        for entity_id, (hours, *rest) in data["habits"].items():
            profile = HourProfile(half_life_days=self.half_life_days)
            profile.load(hours)
            self._habits[entity_id] = Habit(profile, *rest)
        self._waiting = {
            e: Waiting(state, at, hour, day, surprise, dict(before), dict(after))
            for e, (state, at, hour, day, surprise, before, after) in data["waiting"].items()
        }
        self._home.load(data["home"])
        self._records.load(data["records"])
        self._company.load(data["company"])
        self._relevant = {}


def _day(context: Context) -> int:
    return context.local.toordinal()
