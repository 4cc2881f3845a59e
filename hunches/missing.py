"""What happens every day by this time, and didn't."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from math import inf, log10
from typing import Any, ClassVar, Final

from devices.context import Context, Occupancy
from devices.events import NOT_A_STATE, Origin, StateChange, Tick
from devices.state import HomeState
from devices.wording import clip, name_of
from hunches.daily import Usual
from hunches.detector import Hunch
from hunches.due import Chance, Due
from hunches.home_days import FIRST, LAST, LATE_H, LEAST_LIFE, REST, HomeDays, Life, day_of, hours_since
from hunches.priors import Kind, kind_of

_LASTS: Final = timedelta(hours=6)  # that a hunch stays worth saying
_WAIT_S: Final = 5 * 3600.0  # for the home to come into its usual life after the due time
_AGAIN_S: Final = 1200.0
_APART_S: Final = 6 * 3600.0  # between two hunches
_REST_H: Final = 2 / 3  # without activity, for an evening to be over
_NOT_PEOPLE: Final = frozenset({Origin.AGENT, Origin.AUTOMATION})
_DOORS: Final = frozenset({"door", "garage_door", "garage", "gate", "lock"})


class Missing:
    """Notices that something that happens every day hasn't happened today, in a home that lives as usual.

    For each entity it is known to ten minutes when it was activated in each of the last 28 days, and when
    doors and locks were closed (`DailyTimes`). Habits are the first and the last activation of the day, and
    the last return to rest: of all days, or of weekdays or weekend days where only these are alike. Their due
    time must lie within `max_spread_h` after the usual time: what comes at any time is no habit. Of n days,
    faded with a half-life of ten, m went without, and by Student's t for its times (`Usual.late`) it comes
    at another time with probability l. So a new one goes by without with probability

        p = r + l · (1 - r)        r = (m + a · q) / (n + a)        q = (F + 1) / (T + T₀)

    where F is the share that the home has in the habits that failed to come, each a · q / (n + a) / p, and T
    counts all that were due, each as a / (n + a) of a test. So Σ p is about the number that will fail. A
    hunch is raised at the due time, or in the five hours after it, if p <= `p_max`, and

    - the home is in its usual life: the other entities were active in at least `life` of the usual number
      of ten-minute slots, from three hours before the usual time on, or in as many as on the least lively
      tenth of the days. So a day that began late shifts all
      habits, and a day away has none; nor is anything missing while it is known that nobody is at home. By
      how much later than usual the home woke up, by that much habits may be late;
    - the entity can be heard;
    - it is among the most regular ones, whose p add up to one in `once_in_days`: a home with fifty habits
      has one that fails on most days;
    - it is not one of several: a day on which more than a quarter of the habits that were due so far are
      missing is another kind of day. Of those that are missing at once the most regular is
      said, and nothing else within six hours.

    Memory: 56 integers of 144 bits an entity, 144 numbers a day, three habits an entity. A change costs O(1),
    a tick O(1), O(habits) when one is due, and O(entities · days) once a day.

    Parameters
    ----------
    p_max: largest probability of a day without that is worth a hunch.
    once_in_days: days in which one of all may fail for nothing.
    min_days: days that must have been looked at.
    max_spread_h: due time minus usual time, at most, hours.
    life: share of the usual activity of the others.
    patience_h: hours after the due time in which what is only late may come; a door isn't waited for.
    trust: days that the home's other habits are worth in one (a).
    home_trust: habits that a home needs to be trusted beyond the average home (T₀).

    >>> Missing().name
    'missing'

    References
    ----------
    Geisser, S. (1993). Predictive Inference. Chapman and Hall. See `DailyTimes`.
    """

    name: ClassVar[str] = "missing"

    def __init__(
        self,
        *,
        p_max: float = 0.02,
        once_in_days: float = 20.0,
        min_days: int = 7,
        max_spread_h: float = 4.0,
        life: float = 0.75,
        patience_h: float = 1.0,
        trust: float = 4.0,
        home_trust: float = 100.0,
    ) -> None:
        self.p_max = p_max
        self.once_in_days = once_in_days
        self.min_days = min_days
        self.max_spread_h = max_spread_h
        self.life = life
        self.patience_s = 3600.0 * patience_h
        self.trust = trust
        self.home_trust = home_trust
        self._days = HomeDays()
        self._day: int | None = None  # that is planned
        self._due: list[Due] = []  # of that day
        self._next = 0.0  # when to look
        self._said_at = 0.0
        self._tested = 0.0
        self._failed = 0.0

    # -- scoring ----------------------------------------------------------------------------------

    def score_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> Iterable[Hunch]:
        """Return the habit whose time has passed. Only a tick can tell."""
        if not isinstance(event, Tick) or not self._due or event.at.timestamp() < self._next:
            return ()
        missing = self._missing(event.at.timestamp(), home, context)
        return () if missing is None else (self._hunch(missing, home, context),)

    def _missing(self, at: float, home: HomeState, context: Context) -> Due | None:
        """Return what is to be said now."""
        if context.occupancy is Occupancy.AWAY or at - self._said_at < _APART_S:
            return None
        now = day_of(context.local, self._days.starts)
        ready = [d for d in self._due if d.look <= at and not d.outcome]
        failed = [d for d in ready if self._failed_to_come(d, at, now, home)]
        if not failed or self._is_another_kind_of_day(at, now, home):
            return None
        return min(failed, key=lambda d: d.rank)

    def _failed_to_come(self, due: Due, at: float, now: tuple[int, float], home: HomeState) -> bool:
        known = home.get(due.entity_id)
        if known is None or known.state in NOT_A_STATE or self._came(due, now, home):
            return False
        life = self._life(due, now)
        alive = life.today >= max(LEAST_LIFE, min(self.life * life.usual, life.least))
        if not alive or not self._days.is_comparable(due.entity_id, due.day, due.usual.time):
            return False
        if due.which != REST and at < due.when + self.patience_s + 3600.0 * self._days.lateness_h(due.day):
            return False
        late = hours_since(due.day, now) - due.usual.due > LATE_H
        return due.which != LAST or late or self._is_at_rest(due.entity_id, now)

    def _is_at_rest(self, entity_id: str, now: tuple[int, float]) -> bool:
        """Whether the others have come to rest: an evening that goes on may still bring its last things."""
        day, hour = now
        return hour >= _REST_H and self._days.others(entity_id, day, hour - _REST_H, hour + 0.2) == 0

    def _came(self, due: Due, now: tuple[int, float], home: HomeState) -> bool:
        known, kind = home.get(due.entity_id), _kind(due.entity_id, home)
        active = known is not None and kind is not None and known.state in kind.active
        if due.which == REST:
            return not active
        times, starts = self._days.on.get(due.entity_id), self._days.starts
        if active or times is None:
            return True
        hour = hours_since(due.day, now)
        late = times.between(due.day + 1, starts, 0.0, hour - 24.0) if hour > 24.0 else 0
        return times.between(due.day, starts, due.usual.start, 24.0) + late > 0

    def _life(self, due: Due, now: tuple[int, float]) -> Life:
        """Return how active the other entities were from some hours before until now."""
        return self._days.life(due.entity_id, due.day, due.usual.time, hours_since(due.day, now))

    def _is_another_kind_of_day(self, at: float, now: tuple[int, float], home: HomeState) -> bool:
        due = {d.entity_id for d in self._due if d.when <= at}
        missing = {d.entity_id for d in self._due if d.when <= at and not self._came(d, now, home)}
        return len(missing) > max(1, len(due) // 4)

    def _hunch(self, due: Due, home: HomeState, context: Context) -> Hunch:
        known, kind = home.get(due.entity_id), _kind(due.entity_id, home)
        starts = self._days.starts
        life = self._life(due, day_of(context.local, starts))
        return Hunch(
            detector=self.name,
            entity_id=due.entity_id,
            context_key=f"{due.which}|{due.days}",
            score=-log10(due.p),
            threshold=-log10(self.p_max),
            title=clip(due.title(name_of(due.entity_id, home), kind, starts)),
            evidence={
                **due.evidence(starts),
                "p_max": self.p_max,
                "others_active": life.today,
                "others_usually_active": round(life.usual),
            },
            raised_for=known.state if known else "",
            abnormal_since=datetime.fromtimestamp(due.when, UTC),
            lasts=_LASTS,
            remedy=kind.rest if kind is not None and due.which == REST else None,
            short=due.short(kind, starts),
        )

    # -- learning ---------------------------------------------------------------------------------

    def learn_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> None:
        """Note what happens when, and once a day what is to happen by when."""
        if isinstance(event, Tick):
            at, now = event.at.timestamp(), day_of(context.local, self._days.starts)
            if self._due and at >= self._next:
                self._look(at, now, home, context)
            if now[0] != self._day:
                self._plan(context.local, at)
            return
        if not event.trains or event.origin in _NOT_PEOPLE:
            return
        kind = _kind(event.entity_id, home)
        if kind is None:
            return
        was, active = event.old in kind.active, event.new in kind.active
        if active and not was:
            self._days.mark(event.entity_id, context.local)
        elif was and not active and _is_door(event.entity_id, home):
            self._days.mark_rest(event.entity_id, context.local)

    def _plan(self, local: datetime, at: float) -> None:
        """Set the due times of a day."""
        moved = self._days.choose_start()
        open_still = [d for d in self._due if not moved and at - d.when <= _WAIT_S]
        day = self._day = day_of(local, self._days.starts)[0]
        factor = 0.5 ** (1 / 60)
        self._tested, self._failed = factor * self._tested, factor * self._failed
        habits = self._worth_watching(self._habits(day, local.tzinfo))
        self._due = [d for d in open_still if d.day != day] + habits
        self._next = self._next_look()

    def _worth_watching(self, due: list[Due]) -> list[Due]:
        """Return the most regular ones: of all together less than one in `once_in_days` is to fail."""
        kept, expected = [], 0.0
        for d in sorted(due, key=lambda d: d.rank):
            expected += d.p
            if expected > 1.0 / self.once_in_days:
                break
            kept.append(d)
        return kept

    def _habits(self, day: int, zone: tzinfo | None) -> list[Due]:
        """Return what is to happen on a day."""
        days, found = self._days, []
        lived = days.lived(day)
        begins = datetime.combine(date.fromordinal(day), time(days.starts))
        for which, entities in ((FIRST, days.on), (LAST, days.on), (REST, days.off)):
            for entity_id in entities:
                habit = self._habit(entity_id, which, lived, day)
                if habit is not None:
                    usual, of, chance = habit
                    when = (begins + timedelta(hours=usual.due)).replace(tzinfo=zone).timestamp()
                    look = when if which == REST else when + self.patience_s
                    found.append(Due(day, look, when, entity_id, which, of, usual, chance))
        return found

    def _habit(
        self, entity_id: str, which: str, days: list[int], day: int
    ) -> tuple[Usual, str, Chance] | None:
        """Return what is usual for all days, or for those like this one where the others differ."""
        whole = self._days.usual(entity_id, which, days, day)
        if whole is None:
            return None
        if self._is_habit(which, whole):
            return whole, "days", self._chance(which, whole, whole)
        alike = [d for d in days if _is_weekend(d) == _is_weekend(day)]
        usual = self._days.usual(entity_id, which, alike, day)
        if usual is None or not self._is_habit(which, usual):
            return None
        if whole.hits - usual.hits > (whole.days - usual.days) / 2:
            return None  # it comes on the others, too, only not always: chance picked these
        return usual, "weekend days" if _is_weekend(day) else "weekdays", self._chance(which, usual, whole)

    def _is_habit(self, which: str, usual: Usual) -> bool:
        return (
            usual.days >= self.min_days
            and usual.due < 27.0
            and usual.due - usual.time <= self.max_spread_h
            and self._chance(which, usual, usual).p <= self.p_max
        )

    def _chance(self, which: str, usual: Usual, whole: Usual) -> Chance:
        home = (self._failed + 1.0) / (self._tested + self.home_trust)
        late = usual.late(0.0 if which == REST else self.patience_s / 3600.0)
        return Chance(usual.missed, usual.weight, whole.missed, whole.weight, late, home, self.trust)

    def _look(self, at: float, now: tuple[int, float], home: HomeState, context: Context) -> None:
        """Note what came, what was said, and when to look again."""
        said = self._missing(at, home, context)
        for due in self._due:
            if due.look > at or due.outcome:
                continue
            if self._came(due, now, home):
                due.outcome = "came"
                self._tested += due.chance.exposure
            elif due is said:
                due.outcome, self._said_at = "missing", at
                self._tested += due.chance.exposure
                self._failed += due.chance.blame
            elif at - due.when > _WAIT_S:
                due.outcome = "left open"
            else:
                due.look = at + _AGAIN_S
        self._next = self._next_look()

    # -- keeping ----------------------------------------------------------------------------------

    def forget(self, entity_id: str) -> None:
        """Drop all that was learned about an entity; the life of the home keeps its share."""
        self._days.forget(entity_id)
        self._due = [d for d in self._due if d.entity_id != entity_id]

    def rename(self, old: str, new: str) -> None:
        """Carry what was learned over to an entity's new id."""
        if old == new:
            return
        self._days.rename(old, new)
        for due in self._due:
            if due.entity_id == old:
                due.entity_id = new

    def _next_look(self) -> float:
        return min((d.look for d in self._due if not d.outcome), default=inf)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "home_days": self._days.to_dict(),
            "day": self._day,
            "due": [d.to_list() for d in self._due],
            "numbers": [self._said_at, self._tested, self._failed],
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._days.load(data["home_days"])
        self._day = data["day"]
        self._due = [Due.from_list(d) for d in data["due"]]
        self._said_at, self._tested, self._failed = data["numbers"]
        self._next = self._next_look()


def _is_weekend(day: int) -> bool:
    return date.fromordinal(day).weekday() >= 5


def _kind(entity_id: str, home: HomeState) -> Kind | None:
    return _kind_of(entity_id, home.device_class(entity_id))


@lru_cache(maxsize=4096)
def _kind_of(entity_id: str, device_class: str | None) -> Kind | None:
    if entity_id.startswith("light."):
        return None  # whether a lamp is wanted is up to the evening
    return kind_of(entity_id.partition(".")[0], device_class)


def _is_door(entity_id: str, home: HomeState) -> bool:
    return entity_id.startswith(("lock.", "cover.")) or home.device_class(entity_id) in _DOORS
