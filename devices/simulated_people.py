"""A resident's day in a simulated home: where they are, what they use, which habits they follow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from devices.simulated_plan import Anchor, Habit, HomePlan, Hours, Person, Step, rest_state

_NEW_HOURS: Final = 1.5  # how much later the first resident lives after the change of schedule
_AT_HOME_S: Final = 60.0
_YEAR_S: Final = 365.2425 * 86400

Span = tuple[float, float]


class LocalClock:
    """Epoch seconds to the home's clock and back, and a sun for about 50° north."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._offsets: dict[int, tuple[float, float]] = {}

    def at(self, day: date, hour: float) -> float:
        """Return the moment of a local hour; over 24: the next day; what DST skips: an hour later."""
        local = datetime.combine(day, time()) + timedelta(hours=hour)
        return local.replace(tzinfo=self._zone).timestamp()

    def day(self, at: float) -> date:
        """Return the local date."""
        return datetime.fromtimestamp(at, self._zone).date()

    def hour(self, at: float) -> float:
        """Return the local hour, 0 <= hour < 24."""
        return (at + self._offset(at)[0]) % 86400 / 3600

    def sunset(self, at: float) -> float:
        """Return the standard-time hour at which the sun sets on the day of a moment."""
        return 18.0 + 2.2 * math.cos(2 * math.pi * (at % _YEAR_S / _YEAR_S - 172 / 365))

    def dark(self, at: float) -> bool:
        """Whether a lamp is wanted: from half an hour before sunset until half an hour after sunrise."""
        total, dst = self._offset(at)
        sunset = self.sunset(at)
        return not 24.5 - sunset <= (at + total - dst) % 86400 / 3600 < sunset - 0.5

    def dusk(self, day: date) -> float:
        """Return the moment of sunset."""
        noon = self.at(day, 12.0)
        return self.at(day, self.sunset(noon) + self._offset(noon)[1] / 3600)

    def _offset(self, at: float) -> tuple[float, float]:
        """UTC offset and DST in seconds; they change at quarter hours at the finest."""
        quarter = int(at // 900)
        if quarter not in self._offsets:
            if len(self._offsets) > 10_000:
                self._offsets.clear()
            local = datetime.fromtimestamp(quarter * 900, UTC).astimezone(self._zone)
            offset, dst = local.utcoffset() or timedelta(), local.dst() or timedelta()
            self._offsets[quarter] = (offset.total_seconds(), dst.total_seconds())
        return self._offsets[quarter]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is out of the ordinary for the household; days count from the first simulated one."""

    vacation: tuple[int, int] | None = None  # everybody leaves on the first day, returns on the last
    guests: tuple[int, int] | None = None  # one comes on the first day, leaves on the last
    new_hours_from: int | None = None  # the first resident's workdays move 1.5 h later

    def __post_init__(self) -> None:
        for name, days in (("vacation", self.vacation), ("guests", self.guests)):
            if days is not None and not days[0] < days[1]:
                raise ValueError(f"{name} must end on a later day than it begins: {days}")


@dataclass(frozen=True, slots=True)
class Use:
    """A thing used for a while."""

    entity_id: str
    start: float
    end: float
    app: bool


@dataclass(frozen=True, slots=True)
class Visit:
    """A stay in a room."""

    area: str
    start: float
    end: float
    moves: tuple[float, ...] = ()
    lights: bool = True  # switches the light on if it is dark …
    turns_off: bool = True  # … and off again


@dataclass(frozen=True, slots=True)
class Act:
    """One step of a habit as it is carried out."""

    at: float
    step: Step
    app: bool


@dataclass(frozen=True, slots=True)
class Execution:
    """One time that a habit was followed."""

    id: str
    day: date
    at: float  # epoch seconds of the trigger: when the first step was due
    acts: tuple[Act, ...]
    partial: bool


@dataclass(slots=True)
class Day:
    """One resident's day. `spans`: at home and up; `wakes`, `beds`: whether it begins and ends in bed here.

    In `executions`, None stands for a habit that could have been followed and wasn't.
    """

    person: Person
    date: date
    spans: list[Span]
    wakes: bool = False
    beds: bool = False
    visits: list[Visit] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    executions: list[tuple[Habit, float, Execution | None]] = field(default_factory=list)


class Planner:
    """Plans days. Every resident, day and habit has a random stream of its own, so none disturbs another."""

    def __init__(
        self, home: HomePlan, clock: LocalClock, seed: int, first: date, conditions: Conditions
    ) -> None:
        self.home = home
        self.clock = clock
        self.conditions = conditions
        self._seed = seed
        self._first = first
        self._areas = {e.entity_id: e.area for e in home.entities}
        self._rooms = {r.area: r for r in home.rooms}

    def days(self, day: date) -> Iterator[Day]:
        """Yield the day of each who is in the home on it."""
        for person in self.home.people:
            yield self._day(person, day)
        guests = self.conditions.guests
        if guests and guests[0] <= (day - self._first).days <= guests[1]:
            yield self._day(self.home.guest, day)

    def _random(self, subject: str, day: date) -> Random:
        return Random(f"{self._seed}/{subject}/{day.isoformat()}")

    def _day(self, person: Person, day: date) -> Day:
        rng = self._random(f"times/{person.name}", day)
        plan = self._spans(person, day, rng)
        blocks = [b for span in plan.spans for b in self._fixed(plan, span)]
        for habit in self.home.habits:
            if habit.person == person.name and day.weekday() in habit.days:
                blocks += self._follow(habit, plan, day)
        plan.visits += blocks
        walk = self._random(f"walk/{person.name}", day)
        night = self.clock.at(day, 25.5 + 2.0 * walk.random())
        if walk.random() < 0.3 and plan.beds and night > plan.spans[-1][1] + 1800:
            plan.visits.append(Visit(person.bathroom, night, night + 150, (night + 60,)))
        for span in plan.spans:
            for start, end in _free(span, blocks):
                self._walk(plan, day, (start, end), span[1], walk)
        return plan

    def _spans(self, person: Person, day: date, rng: Random) -> Day:
        index, weekend = (day - self._first).days, day.weekday() >= 5
        wake, leave, back, bed, goes = _draw(person.weekend if weekend else person.workday, rng)
        out, shift = rng.random() < person.evening_out, self._shift(person, index, weekend=weekend)
        wake, leave, back, bed = wake + shift, leave + shift, back + shift, min(bed + shift, 26.5)
        hours = [(wake, leave), (back, bed)] if goes else [(wake, bed)]
        if out and day.weekday() in {4, 5} and hours[-1][0] < 18.5:
            bed = max(bed, 23.9)
            hours[-1:] = [(hours[-1][0], 19.2 + leave % 1 / 2), (22.7 + back % 1 / 2, bed)]
        away = self.conditions.vacation if person.entity_id else None
        visit = None if person.entity_id else self.conditions.guests
        wakes = beds = True
        if away and away[0] <= index <= away[1]:
            wakes, beds = index == away[0], index == away[1]
            hours = [(wake, max(10.0, wake + 0.7))] if wakes else [(17.0, max(bed, 21.0))] if beds else []
        elif visit and index in visit:
            wakes, beds = index == visit[1], index == visit[0]
            hours = [(wake, wake + 2.0)] if wakes else [(16.0, max(bed, 21.0))]
        at = self.clock.at
        return Day(person, day, [(at(day, a), at(day, b)) for a, b in hours], wakes, beds)

    def _shift(self, person: Person, index: int, *, weekend: bool) -> float:
        new_from = self.conditions.new_hours_from
        changed = new_from is not None and index >= new_from and person is self.home.people[0]
        return _NEW_HOURS if changed and not weekend else 0.0

    def _fixed(self, plan: Day, span: Span) -> Iterator[Visit]:
        """Yield what begins and ends a span at home: bedroom and bathroom, or the hall and the front door."""
        person, (start, end) = plan.person, span
        if plan.wakes and span is plan.spans[0]:
            yield Visit(person.bedroom, start, start + 240, (start + 60,))
            yield Visit(person.bathroom, start + 260, start + 800, (start + 400, start + 640))
        else:
            yield Visit(self._areas[self.home.front_door], start, start + 50)
        if plan.beds and span is plan.spans[-1]:
            yield Visit(person.bathroom, end - 1100, end - 560, (end - 800,))
            yield Visit(person.bedroom, end - 540, end, (end - 300,))
        else:
            yield Visit(self._areas[self.home.front_door], end - 70, end)

    def _follow(self, habit: Habit, plan: Day, day: date) -> list[Visit]:
        """Decide whether a habit is followed today, and return the visits that takes."""
        rng = self._random(f"habit/{habit.name}", day)
        luck, part, skipped, late = rng.random(), rng.random(), rng.random(), rng.gauss(0.0, habit.jitter_h)
        delays = [s.delay_s * rng.lognormvariate(0.0, 0.25) for s in habit.steps]
        app = rng.random() < plan.person.uses_app
        trigger = self._trigger(habit, plan, day)
        if trigger is None:
            return []
        trigger += late * 3600
        span = next((s for s in plan.spans if s[0] + _AT_HOME_S <= trigger <= s[1] - 15), None)
        if span is None:
            return []
        if luck >= habit.regularity:
            plan.executions.append((habit, trigger, None))
            return []
        omit = _omitted(habit, skipped) if part < habit.partial else -1
        acts, at = [], trigger
        for n, step in enumerate(habit.steps):
            at += delays[n] if n else 0.0
            here = at <= span[1] - 5 or step.entity_id in self.home.left_alone
            if n != omit and here:
                acts.append(Act(at, step, app))
        if not acts:
            return []
        name = f"{habit.name}/{day.isoformat()}"
        done = Execution(name, day, trigger, tuple(acts), partial=len(acts) < len(habit.steps))
        plan.executions.append((habit, trigger, done))
        return list(self._presence(acts, span))

    def _trigger(self, habit: Habit, plan: Day, day: date) -> float | None:
        if not plan.spans:
            return None
        offset = habit.offset_h * 3600
        if habit.anchor is Anchor.CLOCK:
            return self.clock.at(day, habit.offset_h)
        if habit.anchor is Anchor.WAKE:
            return plan.spans[0][0] + offset if plan.wakes else None
        if habit.anchor is Anchor.BED:
            return plan.spans[-1][1] + offset if plan.beds else None
        if habit.anchor is Anchor.LEAVE:
            return plan.spans[0][1] + offset if plan.wakes and len(plan.spans) > 1 else None
        return plan.spans[1][0] + offset if len(plan.spans) > 1 else None

    def _presence(self, acts: Sequence[Act], span: Span) -> Iterator[Visit]:
        """Yield the stays in the rooms where the acts take place; nobody waits by a machine."""
        for n, act in enumerate(acts):
            until = min(acts[n + 1].at if n + 1 < len(acts) else math.inf, act.at + 90, span[1])
            area = self._areas[act.step.entity_id]
            if area in self._rooms and until > act.at:
                yield Visit(area, act.at - 10, until, lights=False, turns_off=False)

    def _walk(self, plan: Day, day: date, free: Span, home_until: float, rng: Random) -> None:
        """Fill free time with stays in rooms, and what is used there."""
        at, end = free
        person = plan.person
        while at < end - 30:
            hour = self.clock.hour(at)
            part = 0 if 4 <= hour < 11 else 1 if hour < 17 and hour >= 11 else 2
            stay = rng.choices(person.stays, [s.weights[part] for s in person.stays])[0]
            if rng.random() < 0.5:
                plan.visits.append(Visit(person.hall, at, at + 12))
                at += 12
            until = min(at + 60 * stay.minutes * rng.lognormvariate(-0.2, 0.6), end)
            moves, move = [], at + rng.expovariate(1 / 360)
            while move < until:
                moves.append(move)
                move += rng.expovariate(1 / 360)
            keeps = self._rooms[stay.area].keeps_light
            lights, turns_off = rng.random() < 0.93, rng.random() >= keeps
            plan.visits.append(Visit(stay.area, at, until, tuple(moves), lights, turns_off))
            self._use(plan, day, (stay.area, at, until), home_until, rng)
            at = until + 4

    def _use(
        self, plan: Day, day: date, stay: tuple[str, float, float], home_until: float, rng: Random
    ) -> None:
        area, start, end = stay
        for thing in self.home.casual:
            if thing.area != area or rng.random() >= thing.chance:
                continue
            on = start + (end - start) * rng.random() * 0.6
            off = min(on + thing.lasts_s * rng.lognormvariate(0.0, 0.45), home_until - 25)
            app, hour = rng.random() < plan.person.uses_app, self.clock.hour(on)
            wanted = thing.hours[0] <= (hour if hour >= 4 else hour + 24) < thing.hours[1]
            if wanted and day.weekday() in thing.days and off > on + 4:
                plan.uses.append(Use(thing.entity_id, on, off, app))


def _draw(hours: Hours, rng: Random) -> tuple[float, float, float, float, bool]:
    """Draw one day's times, in an order that makes sense."""
    jitter = hours.jitter_h
    wake = max(4.6, rng.gauss(hours.wake, jitter))
    leave = max(wake + 0.6, rng.gauss(hours.leave, jitter))
    back = max(leave + 0.75, rng.gauss(hours.back, jitter * 1.8))
    bed = max(back + 1.0, rng.gauss(hours.bed, jitter * 1.4))
    return wake, leave, back, bed, rng.random() < hours.goes


def _omitted(habit: Habit, luck: float) -> int:
    """Return which switching-on step is left out: one left on by a partial habit would be a fault."""
    active = [n for n, s in enumerate(habit.steps) if s.state != rest_state(s.entity_id)]
    return active[int(luck * len(active))] if len(active) > 1 else -1


def _free(span: Span, taken: Sequence[Visit]) -> Iterator[Span]:
    """Yield the parts of a span in which nothing is planned."""
    at = span[0]
    for visit in sorted(taken, key=lambda v: v.start):
        if visit.end <= span[0] or visit.start >= span[1]:
            continue
        if visit.start > at:
            yield at, visit.start
        at = max(at, visit.end)
    if at < span[1]:
        yield at, span[1]
