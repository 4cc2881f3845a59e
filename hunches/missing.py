"""What happens every day by this time, and didn't."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import inf, log10
from statistics import median
from typing import Any, ClassVar, Final

from devices.context import Context, Occupancy
from devices.events import NOT_A_STATE, Origin, StateChange, Tick
from devices.state import HomeState
from hunches.daily import DAYS, SLOTS, DailyTimes, Usual, first_of, last_of, slot_of
from hunches.detector import Hunch
from hunches.priors import Kind, kind_of
from hunches.wording import clip, name_of

_STARTS_H: Final = 4  # local hour at which a day starts, until the home's quietest hour is known
_NIGHT: Final = range(10)  # hours that may be the quietest
_LASTS: Final = timedelta(hours=6)  # that a hunch stays worth saying
_WAIT_S: Final = 5 * 3600.0  # for the home to come into its usual life after the due time
_AGAIN_S: Final = 1200.0
_APART_S: Final = 6 * 3600.0  # between two hunches
_BEFORE_H: Final = 3.0  # the usual time, for the life in the home
_AFTER_H: Final = 2.0
_LIVED: Final = 1 / 3  # of the usual activity, for a day to count
_LEAST_LIFE: Final = 3  # of others, to know that the home is alive
_REST_H: Final = 2 / 3  # without activity, for an evening to be over
_LATE_H: Final = 2.5  # after the due time, for an evening to be over anyway
_MOST_LATE_H: Final = 3.0  # that a home that woke up late makes its habits
_SO_SO: Final = 0.5  # the same for the hours around a habit
_NOT_PEOPLE: Final = frozenset({Origin.AGENT, Origin.AUTOMATION})
_DOORS: Final = frozenset({"door", "garage_door", "garage", "gate", "lock"})
FIRST, LAST, REST = "first", "last", "rest"


@dataclass(slots=True)
class _Due:
    """Something that is to happen today."""

    day: int
    look: float  # when to look (again), epoch seconds
    when: float  # the due time
    entity_id: str
    which: str  # FIRST or LAST activation, or last return to REST
    days: str  # that it was compared with: "days", "weekdays" or "weekend days"
    usual: Usual
    p: float  # of a day without
    outcome: str = ""  # "came", "missing"; empty: open


class Missing:
    """Notices that something that happens every day hasn't happened today, in a home that lives as usual.

    For each entity it is known to ten minutes when it was activated in each of the last 28 days, and when
    doors and locks were closed (`DailyTimes`). Habits are the first and the last activation of the day, and
    the last return to rest: of all days, or of weekdays or weekend days where only these are alike. Their due
    time must lie within `max_spread_h` after the usual time: what comes at any time is no habit. Of n days,
    faded with a half-life of ten, m went without; a new one does so with probability

        p = (m + a · q) / (n + a)        q = (F + 1) / (T + T₀)

    where F of T habits that were due in this home failed to come. A hunch is raised at the due time, or in
    the five hours after it, if p <= `p_max`, and

    - the home is in its usual life: the other entities were active in at least `life` of the usual number
      of ten-minute slots, from three hours before the usual time on. So a day that began late shifts all
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
        once_in_days: float = 8.0,
        min_days: int = 10,
        max_spread_h: float = 4.0,
        life: float = 0.75,
        patience_h: float = 1.0,
        trust: float = 4.0,
        home_trust: float = 50.0,
    ) -> None:
        self.p_max = p_max
        self.once_in_days = once_in_days
        self.min_days = min_days
        self.max_spread_h = max_spread_h
        self.life = life
        self.patience_s = 3600.0 * patience_h
        self.trust = trust
        self.home_trust = home_trust
        self._on: dict[str, DailyTimes] = {}
        self._off: dict[str, DailyTimes] = {}  # returns to rest, of doors and locks
        self._home: dict[int, list[int]] = {}  # calendar day -> active entities by slot
        self._starts = _STARTS_H
        self._first: int | None = None  # day; it is no whole one
        self._day: int | None = None  # that is planned
        self._due: list[_Due] = []  # of that day
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

    def _missing(self, at: float, home: HomeState, context: Context) -> _Due | None:
        """Return what is to be said now."""
        if context.occupancy is Occupancy.AWAY or at - self._said_at < _APART_S:
            return None
        now = day_of(context.local, self._starts)
        ready = [d for d in self._due if d.look <= at and not d.outcome]
        failed = [d for d in ready if self._failed_to_come(d, at, now, home)]
        if not failed or self._is_another_kind_of_day(at, now, home):
            return None
        return min(failed, key=lambda d: (d.p, -d.usual.hits, d.entity_id, d.which))

    def _failed_to_come(self, due: _Due, at: float, now: tuple[int, float], home: HomeState) -> bool:
        known = home.get(due.entity_id)
        if known is None or known.state in NOT_A_STATE or self._came(due, now, home):
            return False
        life, usual = self._life(due, now)
        if life < max(_LEAST_LIFE, self.life * usual) or not self._is_comparable(due):
            return False
        if due.which != REST and at < due.when + self.patience_s + self._lateness_s(due.day):
            return False
        late = _hours_since(due.day, now) - due.usual.due > _LATE_H
        return due.which != LAST or late or self._is_at_rest(due.entity_id, now)

    def _is_at_rest(self, entity_id: str, now: tuple[int, float]) -> bool:
        """Whether the others have come to rest: an evening that goes on may still bring its last things."""
        day, hour = now
        return hour >= _REST_H and self._others(entity_id, day, hour - _REST_H, hour + 0.2) == 0

    def _came(self, due: _Due, now: tuple[int, float], home: HomeState) -> bool:
        known, kind = home.get(due.entity_id), _kind(due.entity_id, home)
        active = known is not None and kind is not None and known.state in kind.active
        if due.which == REST:
            return not active
        times = self._on.get(due.entity_id)
        if active or times is None:
            return True
        hour = _hours_since(due.day, now)
        late = times.between(due.day + 1, self._starts, 0.0, hour - 24.0) if hour > 24.0 else 0
        return times.between(due.day, self._starts, due.usual.start, 24.0) + late > 0

    def _life(self, due: _Due, now: tuple[int, float]) -> tuple[int, float]:
        """Return how active the other entities were from some hours before until now, and on other days."""
        start, hour = max(0.0, due.usual.time - _BEFORE_H), min(24.0, _hours_since(due.day, now))
        past = [self._others(due.entity_id, d, start, hour) for d in self._lived(due.day)]
        return self._others(due.entity_id, due.day, start, hour), median(past) if past else 0.0

    def _is_comparable(self, due: _Due) -> bool:
        """Whether a day passes what the days that it is compared with had to pass."""
        start, end = max(0.0, due.usual.time - _BEFORE_H), due.usual.time + _AFTER_H
        past = [self._others(due.entity_id, d, start, end) for d in self._lived(due.day)]
        today = self._others(due.entity_id, due.day, start, end)
        return bool(past) and today >= _SO_SO * median(past)

    def _others(self, entity_id: str, day: int, start: float, end: float) -> int:
        times = self._on.get(entity_id)
        own = times.between(day, self._starts, start, end) if times else 0
        return self._active(day, start, end) - own

    def _active(self, day: int, start: float, end: float) -> int:
        """Return how many entities were active in the slots of a stretch of a day, in all."""
        shift = slot_of(self._starts)
        a, b = shift + slot_of(start), shift + min(SLOTS, int(end * SLOTS / 24.0))
        today, next_day = self._home.get(day, ()), self._home.get(day + 1, ())
        return sum(today[a:b]) + (sum(next_day[max(0, a - SLOTS) : b - SLOTS]) if b > SLOTS else 0)

    def _is_another_kind_of_day(self, at: float, now: tuple[int, float], home: HomeState) -> bool:
        due = {d.entity_id for d in self._due if d.when <= at}
        missing = {d.entity_id for d in self._due if d.when <= at and not self._came(d, now, home)}
        return len(missing) > max(1, len(due) // 4)

    def _lateness_s(self, day: int) -> float:
        """Return how much later than usual the home woke up."""
        today = self._wakes(day)
        usual = [w for d in self._lived(day) if (w := self._wakes(d)) is not None]
        if today is None or not usual:
            return 0.0
        return 3600.0 * min(_MOST_LATE_H, max(0.0, today - median(usual)))

    def _wakes(self, day: int) -> float | None:
        """Return the hours from the start of a day until a few entities have been active."""
        active = 0
        shift = slot_of(self._starts)
        slots = (*self._home.get(day, ())[shift:], *self._home.get(day + 1, ())[:shift])
        for i, n in enumerate(slots):
            active += n
            if active >= _LEAST_LIFE:
                return i * 24.0 / SLOTS
        return None

    def _hunch(self, due: _Due, home: HomeState, context: Context) -> Hunch:
        known, kind = home.get(due.entity_id), _kind(due.entity_id, home)
        life, usual_life = self._life(due, day_of(context.local, self._starts))
        usual = due.usual
        return Hunch(
            detector=self.name,
            entity_id=due.entity_id,
            context_key=f"{due.which}|{due.days}",
            score=-log10(due.p),
            threshold=-log10(self.p_max),
            title=clip(_title(name_of(due.entity_id, home), kind, due, self._starts)),
            evidence={
                "happens": due.which,
                "days": usual.days,
                "on": usual.hits,
                "compared_with": due.days,
                "usual_time": _clock(usual.time + self._starts),
                "latest_time": _clock(usual.latest + self._starts),
                "due": _clock(usual.due + self._starts),
                "p_without": float(f"{due.p:.3g}"),
                "p_max": self.p_max,
                "others_active": life,
                "others_usually_active": round(usual_life),
            },
            raised_for=known.state if known else "",
            abnormal_since=datetime.fromtimestamp(due.when, UTC),
            lasts=_LASTS,
            remedy=kind.rest if kind is not None and due.which == REST else None,
            short=_short(kind, due, self._starts),
        )

    # -- learning ---------------------------------------------------------------------------------

    def learn_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> None:
        """Note what happens when, and once a day what is to happen by when."""
        if isinstance(event, Tick):
            at, now = event.at.timestamp(), day_of(context.local, self._starts)
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
        local = context.local
        if event.new in kind.active and event.old not in kind.active:
            self._mark(event.entity_id, local)
        elif event.old in kind.active and event.new not in kind.active and _is_door(event.entity_id, home):
            self._off.setdefault(event.entity_id, DailyTimes()).mark(local.toordinal(), _hour(local))

    def _mark(self, entity_id: str, local: datetime) -> None:
        day, hour = local.toordinal(), _hour(local)
        if self._first is None or day < self._first:
            self._first = day
        if day not in self._home:
            self._home = {d: s for d, s in self._home.items() if day - DAYS <= d <= day + DAYS}
            self._home[day] = [0] * SLOTS
        if self._on.setdefault(entity_id, DailyTimes()).mark(day, hour):
            self._home[day][slot_of(hour)] += 1

    def _lived(self, day: int) -> list[int]:
        """Return the whole days before a day on which the home was lived in."""
        life = {d: self._active(d, 0.0, 24.0) for d in self._home if d < day and d != self._first}
        least = _LIVED * median(life.values()) if life else 0.0
        return sorted(d for d, n in life.items() if n > least)

    def _plan(self, local: datetime, at: float) -> None:
        """Set the due times of a day."""
        quietest = self._quietest_hour()
        open_still = [d for d in self._due if quietest == self._starts and 0.0 <= at - d.when <= _WAIT_S]
        self._starts = quietest
        day = self._day = day_of(local, self._starts)[0]
        factor = 0.5 ** (1 / 60)
        self._tested, self._failed = factor * self._tested, factor * self._failed
        days = self._lived(day)
        begins = datetime.combine(date.fromordinal(day), time(self._starts))
        self._due = [d for d in open_still if d.day != day]
        for which, entities in ((FIRST, self._on), (LAST, self._on), (REST, self._off)):
            for entity_id, times in entities.items():
                found = self._habit(entity_id, which, times, days, day)
                if found is not None:
                    usual, of, p = found
                    when = (begins + timedelta(hours=usual.due)).replace(tzinfo=local.tzinfo).timestamp()
                    look = when if which == REST else when + self.patience_s
                    self._due.append(_Due(day, look, when, entity_id, which, of, usual, p))
        self._due = self._worth_watching(self._due)
        self._next = self._next_look()

    def _worth_watching(self, due: list[_Due]) -> list[_Due]:
        """Return the most regular ones: of all together less than one in `once_in_days` is to fail."""
        kept, expected = [], 0.0
        for d in sorted(due, key=lambda d: (d.p, -d.usual.hits, d.entity_id, d.which)):
            expected += d.p
            if expected > 1.0 / self.once_in_days:
                break
            kept.append(d)
        return kept

    def _quietest_hour(self) -> int:
        """Return the hour of the night at which the least happens, by the three hours around it."""
        by_hour = [sum(sum(s[h * 6 : h * 6 + 6]) for s in self._home.values()) for h in range(24)]
        around = [by_hour[h - 1] + by_hour[h] + by_hour[h + 1] for h in _NIGHT]
        quietest = min(_NIGHT, key=lambda h: (around[h], abs(h - self._starts)))
        return quietest if around[self._starts] > 2 * around[quietest] else self._starts

    def _habit(
        self, entity_id: str, which: str, times: DailyTimes, days: Sequence[int], day: int
    ) -> tuple[Usual, str, float] | None:
        """Return what is usual for all days, or for those like this one where the others differ."""
        whole = self._usual(entity_id, which, times, days, day)
        if whole is None:
            return None
        if self._is_habit(whole):
            return whole, "days", self._p(whole)
        alike = [d for d in days if _is_weekend(d) == _is_weekend(day)]
        usual = self._usual(entity_id, which, times, alike, day)
        if usual is None or not self._is_habit(usual):
            return None
        if whole.hits - usual.hits > (whole.days - usual.days) / 2:
            return None  # it comes on the others, too, only not always: chance picked these
        return usual, "weekend days" if _is_weekend(day) else "weekdays", self._p(usual)

    def _usual(
        self, entity_id: str, which: str, times: DailyTimes, days: Sequence[int], day: int
    ) -> Usual | None:
        def find(days: Sequence[int]) -> Usual | None:
            of = [(day - d, times.of(d, self._starts)) for d in days]
            if which == FIRST:
                return first_of(of)
            return last_of(of, [times.between(d + 1, self._starts, 0.0, _LATE_H) > 0 for d in days])

        rough = find(days)
        if rough is None:
            return None
        start, end = max(0.0, rough.time - _BEFORE_H), rough.time + _AFTER_H
        life = {d: self._others(entity_id, d, start, end) for d in days}
        least = _SO_SO * median(life.values())
        return find([d for d in days if life[d] >= least])

    def _is_habit(self, usual: Usual) -> bool:
        return (
            usual.days >= self.min_days
            and usual.due < 27.0
            and usual.due - usual.time <= self.max_spread_h
            and self._p(usual) <= self.p_max
        )

    def _p(self, usual: Usual) -> float:
        home = (self._failed + 1.0) / (self._tested + self.home_trust)
        return (usual.missed + self.trust * home) / (usual.weight + self.trust)

    def _look(self, at: float, now: tuple[int, float], home: HomeState, context: Context) -> None:
        """Note what came, what was said, and when to look again."""
        said = self._missing(at, home, context)
        for due in self._due:
            if due.look > at or due.outcome:
                continue
            if self._came(due, now, home):
                due.outcome = "came"
                self._tested += 1.0
            elif due is said:
                due.outcome = "missing"
                self._tested, self._failed, self._said_at = self._tested + 1.0, self._failed + 1.0, at
            elif at - due.when > _WAIT_S:
                due.outcome = "left open"
            else:
                due.look = at + _AGAIN_S
        self._next = self._next_look()

    # -- keeping ----------------------------------------------------------------------------------

    def forget(self, entity_id: str) -> None:
        """Drop all that was learned about an entity; the life of the home keeps its share."""
        self._on.pop(entity_id, None)
        self._off.pop(entity_id, None)
        self._due = [d for d in self._due if d.entity_id != entity_id]

    def rename(self, old: str, new: str) -> None:
        """Carry what was learned over to an entity's new id."""
        if old == new:
            return
        for found in (self._on, self._off):
            if old in found:
                found[new] = found.pop(old)
        for due in self._due:
            if due.entity_id == old:
                due.entity_id = new

    def _next_look(self) -> float:
        return min((d.look for d in self._due if not d.outcome), default=inf)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "on": {e: t.to_dict() for e, t in self._on.items()},
            "off": {e: t.to_dict() for e, t in self._off.items()},
            "home": [[d, s] for d, s in self._home.items()],
            "days": [self._first, self._day, self._starts],
            "due": [
                [
                    d.day,
                    d.look,
                    d.when,
                    {"entity": d.entity_id},
                    d.which,
                    d.days,
                    list(d.usual),
                    d.p,
                    d.outcome,
                ]
                for d in self._due
            ],
            "numbers": [self._said_at, self._tested, self._failed],
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._on = {e: DailyTimes.from_dict(t) for e, t in data["on"].items()}
        self._off = {e: DailyTimes.from_dict(t) for e, t in data["off"].items()}
        self._home = {d: list(s) for d, s in data["home"]}
        self._first, self._day, self._starts = data["days"]
        self._due = [
            _Due(day, look, when, about["entity"], which, days, Usual(*usual), p, outcome)
            for day, look, when, about, which, days, usual, p, outcome in data["due"]
        ]
        self._said_at, self._tested, self._failed = data["numbers"]
        self._next = self._next_look()


def day_of(local: datetime, starts: int) -> tuple[int, float]:
    """Return the day that a local time belongs to, as a running number, and the hours since its start."""
    hour = _hour(local) - starts
    day = local.toordinal()
    return (day, hour) if hour >= 0 else (day - 1, hour + 24.0)


def _hours_since(day: int, now: tuple[int, float]) -> float:
    """Return the hours since the start of a day."""
    return 24.0 * (now[0] - day) + now[1]


def _hour(local: datetime) -> float:
    return local.hour + local.minute / 60


def _is_weekend(day: int) -> bool:
    return date.fromordinal(day).weekday() >= 5


def _clock(hour: float) -> str:
    minutes = round(hour * 12) * 5
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


def _kind(entity_id: str, home: HomeState) -> Kind | None:
    known = home.get(entity_id)
    return kind_of(entity_id.partition(".")[0], known.device_class if known else None)


def _is_door(entity_id: str, home: HomeState) -> bool:
    known = home.get(entity_id)
    return entity_id.startswith(("lock.", "cover.")) or (known is not None and known.device_class in _DOORS)


def _rest_word(kind: Kind | None) -> str:
    return "locked" if kind is not None and kind.adjective == "unlocked" else "closed"


def _short(kind: Kind | None, due: _Due, starts: int) -> str:
    by = _clock(due.usual.due + starts)
    if due.which == REST:
        return f"not {_rest_word(kind)} by {by}"
    return f"not by {by}" if due.which == FIRST else f"not since {_clock(due.usual.start + starts)}"


def _title(name: str, kind: Kind | None, due: _Due, starts: int) -> str:
    usual, verb = due.usual, kind.verb if kind is not None else "was active"
    often, by = f"on {usual.hits} of {usual.days} {due.days}", _clock(usual.due + starts)
    if due.which == REST:
        return f"{name} is usually {_rest_word(kind)} by {by} ({often}); it isn't yet."
    if due.which == LAST:
        return f"{name} {verb} between {_clock(usual.start + starts)} and {by} {often}, but not today."
    return f"{name} {verb} by {by} {often}, but not today."
