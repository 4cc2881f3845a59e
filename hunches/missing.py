"""What happens every day by this time, and didn't."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from math import log10
from statistics import median
from typing import Any, ClassVar, Final

from devices.context import Context, Occupancy
from devices.events import NOT_A_STATE, Origin, StateChange, Tick
from devices.state import HomeState
from hunches.daily import DAYS, SLOTS, DailyTimes, Usual, slot_of
from hunches.detector import Hunch
from hunches.priors import Kind, kind_of
from hunches.wording import clip, name_of

_STARTS_H: Final = 4  # local hour at which a day starts: what is done after midnight belongs to the evening
_LASTS: Final = timedelta(hours=6)  # that a hunch stays worth saying
_WAIT_S: Final = 5 * 3600.0  # for the home to come into its usual life after the due time
_AGAIN_S: Final = 1200.0
_APART_S: Final = 6 * 3600.0  # between two hunches
_LOOK_BACK_H: Final = 3.0  # before the usual time, for the life in the home
_LIVED: Final = 1 / 3  # of the usual activity, for a day to count
_NOT_PEOPLE: Final = frozenset({Origin.AGENT, Origin.AUTOMATION})
_DOORS: Final = frozenset({"door", "garage_door", "garage", "gate", "lock"})
FIRST, LAST, REST = "first", "last", "rest"


@dataclass(slots=True)
class _Due:
    """Something that is to happen today."""

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
      habits, and a day away has none; nor is anything missing while it is known that nobody is at home;
    - the entity can be heard;
    - it is not one of several: a day on which more than a quarter of the habits that were due in the last
      four hours are missing is another kind of day. Of those that are missing at once the most regular is
      said, and nothing else within six hours.

    Memory: 56 integers of 144 bits an entity, 144 numbers a day, three habits an entity. A change costs O(1),
    a tick O(1), O(habits) when one is due, and O(entities · days) once a day.

    Parameters
    ----------
    p_max: largest probability of a day without that is worth a hunch.
    min_days: days that must have been looked at.
    max_spread_h: due time minus usual time, at most, hours.
    life: share of the usual activity of the others.
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
        min_days: int = 10,
        max_spread_h: float = 4.0,
        life: float = 0.75,
        trust: float = 4.0,
        home_trust: float = 50.0,
    ) -> None:
        self.p_max = p_max
        self.min_days = min_days
        self.max_spread_h = max_spread_h
        self.life = life
        self.trust = trust
        self.home_trust = home_trust
        self._on: dict[str, DailyTimes] = {}
        self._off: dict[str, DailyTimes] = {}  # returns to rest, of doors and locks
        self._home: dict[int, list[int]] = {}  # day -> active entities by slot
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
        if self._day != day_of(context.local)[0]:
            return ()
        missing = self._missing(event.at.timestamp(), home, context)
        return () if missing is None else (self._hunch(missing, home, context),)

    def _missing(self, at: float, home: HomeState, context: Context) -> _Due | None:
        """Return what is to be said now."""
        if context.occupancy is Occupancy.AWAY or at - self._said_at < _APART_S:
            return None
        day, hour = day_of(context.local)
        ready = [d for d in self._due if d.look <= at and not d.outcome]
        failed = [d for d in ready if self._failed_to_come(d, day, hour, home)]
        if not failed or self._is_another_kind_of_day(at, day, home):
            return None
        return min(failed, key=lambda d: (d.p, -d.usual.hits, d.entity_id, d.which))

    def _failed_to_come(self, due: _Due, day: int, hour: float, home: HomeState) -> bool:
        known = home.get(due.entity_id)
        if known is None or known.state in NOT_A_STATE or self._came(due, day, home):
            return False
        return self._is_lively(due, day, hour)

    def _came(self, due: _Due, day: int, home: HomeState) -> bool:
        known, kind = home.get(due.entity_id), _kind(due.entity_id, home)
        active = known is not None and kind is not None and known.state in kind.active
        if due.which == REST:
            return not active
        times = self._on.get(due.entity_id)
        return active or (times is not None and times.between(day, due.usual.start, 24.0) > 0)

    def _is_lively(self, due: _Due, day: int, hour: float) -> bool:
        now, usual = self._life(due, day, hour)
        return now > 0 and now >= self.life * usual

    def _life(self, due: _Due, day: int, hour: float) -> tuple[int, float]:
        """Return how active the other entities were today, and on other days until the due time."""
        start = max(0.0, due.usual.time - _LOOK_BACK_H)
        past = [self._others(due.entity_id, d, start, due.usual.due) for d in self._lived(day)]
        return self._others(due.entity_id, day, start, hour), median(past) if past else 0.0

    def _others(self, entity_id: str, day: int, start: float, end: float) -> int:
        slots = self._home.get(day)
        if slots is None:
            return 0
        times = self._on.get(entity_id)
        own = times.between(day, start, end) if times else 0
        return sum(slots[slot_of(start) : slot_of(end)]) - own

    def _is_another_kind_of_day(self, at: float, day: int, home: HomeState) -> bool:
        recent = [d for d in self._due if at - 4 * 3600.0 <= d.when <= at]
        due = {d.entity_id for d in recent}
        missing = {d.entity_id for d in recent if not self._came(d, day, home)}
        return len(missing) > max(1, len(due) // 4)

    def _hunch(self, due: _Due, home: HomeState, context: Context) -> Hunch:
        day, hour = day_of(context.local)
        known, kind = home.get(due.entity_id), _kind(due.entity_id, home)
        life, usual_life = self._life(due, day, hour)
        usual = due.usual
        return Hunch(
            detector=self.name,
            entity_id=due.entity_id,
            context_key=f"{due.which}|{due.days}",
            score=-log10(due.p),
            threshold=-log10(self.p_max),
            title=clip(_title(name_of(due.entity_id, home), kind, due)),
            evidence={
                "happens": due.which,
                "days": usual.days,
                "on": usual.hits,
                "compared_with": due.days,
                "usual_time": _clock(usual.time),
                "latest_time": _clock(usual.latest),
                "due": _clock(usual.due),
                "p_without": float(f"{due.p:.3g}"),
                "p_max": self.p_max,
                "others_active": life,
                "others_usually_active": round(usual_life),
            },
            raised_for=known.state if known else "",
            abnormal_since=datetime.fromtimestamp(due.when, UTC),
            lasts=_LASTS,
            remedy=kind.rest if kind is not None and due.which == REST else None,
            short=f"not {_rest_word(kind)} by {_clock(usual.due)}"
            if due.which == REST
            else f"not since {_clock(usual.start)}"
            if due.which == LAST
            else f"not by {_clock(usual.due)}",
        )

    # -- learning ---------------------------------------------------------------------------------

    def learn_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> None:
        """Note what happens when, and once a day what is to happen by when."""
        if isinstance(event, Tick):
            day = day_of(context.local)[0]
            if day != self._day:
                self._plan(day, context.local.tzinfo)
            elif self._due and event.at.timestamp() >= self._next:
                self._look(event.at.timestamp(), day, home, context)
            return
        if not event.trains or event.origin in _NOT_PEOPLE:
            return
        kind = _kind(event.entity_id, home)
        if kind is None:
            return
        day, hour = day_of(context.local)
        if event.new in kind.active and event.old not in kind.active:
            self._mark(event.entity_id, day, hour)
        elif event.old in kind.active and event.new not in kind.active and _is_door(event.entity_id, home):
            self._off.setdefault(event.entity_id, DailyTimes()).mark(day, hour)

    def _mark(self, entity_id: str, day: int, hour: float) -> None:
        if self._first is None or day < self._first:
            self._first = day
        if day not in self._home:
            self._home = {d: s for d, s in self._home.items() if day - DAYS <= d <= day + DAYS}
            self._home[day] = [0] * SLOTS
        if self._on.setdefault(entity_id, DailyTimes()).mark(day, hour):
            self._home[day][slot_of(hour)] += 1

    def _lived(self, day: int) -> list[int]:
        """Return the whole days before a day on which the home was lived in."""
        life = {d: sum(s) for d, s in self._home.items() if d < day and d != self._first}
        least = _LIVED * median(life.values()) if life else 0.0
        return sorted(d for d, n in life.items() if n > least)

    def _plan(self, day: int, zone: tzinfo | None) -> None:
        """Set the due times of a day."""
        self._day = day
        factor = 0.5 ** (1 / 60)
        self._tested, self._failed = factor * self._tested, factor * self._failed
        days = self._lived(day)
        weekend = date.fromordinal(day).weekday() >= 5
        alike = [d for d in days if (date.fromordinal(d).weekday() >= 5) == weekend]
        groups = ((days, "days"), (alike, "weekend days" if weekend else "weekdays"))
        starts = datetime.combine(date.fromordinal(day), datetime.min.time()).replace(hour=_STARTS_H)
        self._due = []
        for which, entities in ((FIRST, self._on), (LAST, self._on), (REST, self._off)):
            for entity_id, times in entities.items():
                found = self._habit(which, times, groups, day)
                if found is not None:
                    usual, of, p = found
                    when = (starts + timedelta(hours=usual.due)).replace(tzinfo=zone).timestamp()
                    self._due.append(_Due(when, when, entity_id, which, of, usual, p))
        self._next = min((d.look for d in self._due), default=0.0)

    def _habit(
        self, which: str, times: DailyTimes, groups: Sequence[tuple[Sequence[int], str]], day: int
    ) -> tuple[Usual, str, float] | None:
        for days, name in groups:
            usual = times.first(days, day) if which == FIRST else times.last(days, day)
            if usual is None or usual.days < self.min_days or usual.due > 23.5:
                continue
            p = self._p(usual)
            if p <= self.p_max and usual.due - usual.time <= self.max_spread_h:
                return usual, name, p
        return None

    def _p(self, usual: Usual) -> float:
        home = (self._failed + 1.0) / (self._tested + self.home_trust)
        return (usual.missed + self.trust * home) / (usual.weight + self.trust)

    def _look(self, at: float, day: int, home: HomeState, context: Context) -> None:
        """Note what came, what was said, and when to look again."""
        said = self._missing(at, home, context)
        for due in self._due:
            if due.look > at or due.outcome:
                continue
            if self._came(due, day, home):
                due.outcome = "came"
                self._tested += 1.0
            elif due is said:
                due.outcome = "missing"
                self._tested, self._failed, self._said_at = self._tested + 1.0, self._failed + 1.0, at
            elif at - due.when > _WAIT_S:
                due.outcome = "left open"
            else:
                due.look = at + _AGAIN_S
        self._next = min((d.look for d in self._due if not d.outcome), default=float("inf"))

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

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "on": {e: t.to_dict() for e, t in self._on.items()},
            "off": {e: t.to_dict() for e, t in self._off.items()},
            "home": [[d, s] for d, s in self._home.items()],
            "days": [self._first, self._day],
            "due": [
                [d.look, d.when, {"entity": d.entity_id}, d.which, d.days, list(d.usual), d.p, d.outcome]
                for d in self._due
            ],
            "numbers": [self._next, self._said_at, self._tested, self._failed],
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._on = {e: DailyTimes.from_dict(t) for e, t in data["on"].items()}
        self._off = {e: DailyTimes.from_dict(t) for e, t in data["off"].items()}
        self._home = {d: list(s) for d, s in data["home"]}
        self._first, self._day = data["days"]
        self._due = [
            _Due(look, when, about["entity"], which, days, Usual(*usual), p, outcome)
            for look, when, about, which, days, usual, p, outcome in data["due"]
        ]
        self._next, self._said_at, self._tested, self._failed = data["numbers"]


def day_of(local: datetime) -> tuple[int, float]:
    """Return the day that a local time belongs to, as a running number, and the hours since its start."""
    hour = local.hour + local.minute / 60 - _STARTS_H
    day = local.toordinal()
    return (day, hour) if hour >= 0 else (day - 1, hour + 24.0)


def _clock(hour: float) -> str:
    minutes = round((hour + _STARTS_H) * 12) * 5
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


def _kind(entity_id: str, home: HomeState) -> Kind | None:
    known = home.get(entity_id)
    return kind_of(entity_id.partition(".")[0], known.device_class if known else None)


def _is_door(entity_id: str, home: HomeState) -> bool:
    known = home.get(entity_id)
    return entity_id.startswith(("lock.", "cover.")) or (known is not None and known.device_class in _DOORS)


def _rest_word(kind: Kind | None) -> str:
    return "locked" if kind is not None and kind.adjective == "unlocked" else "closed"


def _title(name: str, kind: Kind | None, due: _Due) -> str:
    usual, verb = due.usual, kind.verb if kind is not None else "was active"
    often = f"on {usual.hits} of {usual.days} {due.days}"
    if due.which == REST:
        return f"{name} is usually {_rest_word(kind)} by {_clock(usual.due)} ({often}); it isn't yet."
    if due.which == LAST:
        return f"{name} {verb} between {_clock(usual.start)} and {_clock(usual.due)} {often}, but not today."
    return f"{name} {verb} by {_clock(usual.due)} {often}, but not today."
