"""Homes to mine routines in: with planted habits, with none, and with what only looks like one."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from devices.context import Calendar
from devices.events import Origin, StateChange
from devices.simulator import simulate

ZONE = ZoneInfo("Europe/Berlin")
START = date(2024, 2, 5)  # a Monday
CALENDAR = Calendar(ZONE, 52.5, 13.4)
DAYS = 60
WORKDAYS, WEEKEND, EVERY_DAY = (0, 1, 2, 3, 4), (5, 6), (0, 1, 2, 3, 4, 5, 6)

Steps = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Planted:
    """A habit that was planted. `cue` starts it, or a time of day."""

    name: str
    steps: tuple[tuple[str, str], ...]
    gaps_s: tuple[float, ...]
    days: tuple[int, ...]
    hour: float
    jitter_h: float
    regularity: float
    partial: float  # chance that one step is left out
    cue: str | None = None

    @property
    def items(self) -> Steps:
        return frozenset(self.steps)


@dataclass
class RoutineHome:
    """Changes, and the habits that are in them: by name, the steps, the start (hours) and the cue."""

    changes: list[StateChange]
    habits: dict[str, Steps] = field(default_factory=dict)
    hours: dict[str, list[float]] = field(default_factory=dict)  # local hours at which each began
    cues: dict[str, str | None] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)  # times that its rarest step changed anything
    calendar: Calendar = CALENDAR


def simulated(layout: str, seed: int, days: int = DAYS) -> RoutineHome:
    """Return the project's own simulated home, with the habits of its residents."""
    start = datetime.combine(START, datetime.min.time(), ZONE)
    done = simulate(layout, start=start, days=days, seed=seed, zone=ZONE)
    home = RoutineHome([e.change for e in done.events])
    for name, truth in done.truth.habits.items():
        home.habits[name] = frozenset((s.entity_id, s.state) for s in truth.habit.steps)
        home.hours[name] = [_hour(datetime.fromtimestamp(x.at, ZONE)) for x in truth.executions]
        home.cues[name] = None
        own = Counter((e.change.entity_id, e.change.new) for e in done.events if e.habit == name)
        home.seen[name] = min(own[step] for step in home.habits[name])
    return home


def planted(layout: str, seed: int, days: int = DAYS, habits: int = 8) -> RoutineHome:
    """Return a home with random habits of 2 to 5 steps among everyday switching at random."""
    rng = Random(f"planted/{layout}/{seed}")
    things, sensors = _layout(layout)
    plan = _habits(rng, things, sensors, habits)
    queue = _noise(rng, things, sensors, days)
    home = RoutineHome([])
    taken: dict[str, set[tuple[datetime, str, str]]] = defaultdict(set)
    for habit in plan:
        home.habits[habit.name] = habit.items
        home.cues[habit.name] = habit.cue
        home.hours[habit.name] = []
        for at in _occasions(rng, habit, days):
            home.hours[habit.name].append(_hour(at))
            queue += (steps := _follow(rng, habit, at))
            taken[habit.name].update(step for step in steps if step[1:] in habit.items)
    home.changes = _carry_out(queue, [*things, *sensors])
    changed = {(c.changed_at, c.entity_id, c.new) for c in home.changes}
    for habit in plan:
        own = Counter(step[1:] for step in taken[habit.name] & changed)
        home.seen[habit.name] = min(own[step] for step in habit.items)
    return home


def independent(seed: int, days: int = DAYS, layout: str = "apartment") -> RoutineHome:
    """Return a home where each thing keeps its hours of the week, and nothing follows anything."""
    rng = Random(f"independent/{seed}")
    things, sensors = _layout(layout)
    queue = _noise(rng, things, sensors, days)
    for entity_id in rng.sample(things, 8):  # strong habits of the hour
        on, off = rng.uniform(6, 22), rng.uniform(1, 4)
        own = rng.choice((WORKDAYS, EVERY_DAY, EVERY_DAY))
        for day in _days(days, own):
            if rng.random() < 0.85:
                queue.append((_at(day, rng.gauss(on, 0.3)), entity_id, _active(entity_id)))
            if rng.random() < 0.85:
                queue.append((_at(day, rng.gauss(on + off, 0.3)), entity_id, _rest(entity_id)))
    return RoutineHome(_carry_out(queue, [*things, *sensors]))


def two_evenings(seed: int, days: int = DAYS) -> RoutineHome:
    """Return a home with two habits at the same hour of the evening, and nothing that links them."""
    rng = Random(f"evenings/{seed}")
    things, sensors = _layout("apartment")
    queue = _noise(rng, things, sensors, days)
    hour = rng.uniform(18.5, 21.5)
    for entity_id in rng.sample(things, 2):
        own, length = hour + rng.uniform(-0.15, 0.15), rng.uniform(0.5, 2.5)
        for day in _days(days, EVERY_DAY):
            if rng.random() < 0.9:
                at = _at(day, rng.gauss(own, 0.2))
                queue.append((at, entity_id, _active(entity_id)))
                end = at + timedelta(hours=rng.expovariate(1 / length))
                queue.append((end, entity_id, _rest(entity_id)))
    return RoutineHome(_carry_out(queue, [*things, *sensors]))


def shuffled(home: RoutineHome, seed: int) -> RoutineHome:
    """Return a home whose days are shuffled among weekdays of one kind, for each action on its own."""
    rng = Random(f"shuffled/{seed}")
    at_home: dict[tuple[str, str], list[StateChange]] = {}
    for change in home.changes:
        at_home.setdefault((change.entity_id, change.new), []).append(change)
    queue = []
    days = sorted({c.changed_at.astimezone(ZONE).date() for c in home.changes})
    for (entity_id, state), changes in sorted(at_home.items()):
        moved = {}
        for weekday in range(7):
            own = [d for d in days if d.weekday() == weekday]
            moved |= dict(zip(own, rng.sample(own, len(own)), strict=True))
        for change in changes:
            local = change.changed_at.astimezone(ZONE)
            at = datetime.combine(moved[local.date()], local.time(), ZONE)
            queue.append((at.astimezone(UTC), entity_id, state))
    entities = sorted({e for e, _ in at_home})
    classes = {c.entity_id: c.device_class for c in home.changes}
    origins = {c.entity_id: c.origin for c in home.changes}
    return RoutineHome(_carry_out(queue, entities, classes, origins))


# --------------------------------------------------------------------------------- how it is made


def _layout(layout: str) -> tuple[list[str], list[str]]:
    """Return what can be switched, and the sensors."""
    rooms = ["kitchen", "living_room", "bedroom", "bathroom", "hall"]
    if layout == "family":
        rooms += ["office", "dining_room", "anna", "ben", "laundry", "garage"]
    things = [f"light.{r}" for r in rooms] + [f"light.{r}_lamp" for r in rooms[:6:2]]
    things += [f"switch.{name}" for name in ("coffee_maker", "fan", "heater", "humidifier", "kettle")]
    things += ["media_player.radio", "media_player.tv", "lock.front", "cover.living_room", "cover.bedroom"]
    if layout == "family":
        things += [f"cover.{r}" for r in rooms[5:9]] + [f"switch.{r}_plug" for r in rooms]
    sensors = ["binary_sensor.front_door", "binary_sensor.balcony_door", "person.ada"]
    return things, [*sensors, *(f"binary_sensor.{r}_motion" for r in rooms)]


def _habits(rng: Random, things: Sequence[str], sensors: Sequence[str], count: int) -> list[Planted]:
    found: list[Planted] = []
    free = list(things)
    for n in range(count):
        size = rng.randint(2, 5)
        chosen = rng.sample(free if len(free) >= size else list(things), size)
        free = [e for e in free if e not in chosen[: size - 1]]  # habits share some devices
        steps = tuple((e, _active(e) if rng.random() < 0.85 else _rest(e)) for e in chosen)
        days = rng.choice((WORKDAYS, WORKDAYS, (*WEEKEND, 4), EVERY_DAY, EVERY_DAY))
        found.append(
            Planted(
                f"habit_{n}", steps, tuple(rng.uniform(5, 90) for _ in steps), days,
                hour=rng.uniform(6.0, 23.0), jitter_h=rng.uniform(0.05, 0.3),
                regularity=rng.uniform(0.7, 0.95), partial=rng.uniform(0.0, 0.15),
                cue=rng.choice((None, None, None, *sensors[:5])),
            )
        )  # fmt: skip
    return found


def _occasions(rng: Random, habit: Planted, days: int) -> list[datetime]:
    return [
        _at(day, rng.gauss(habit.hour, habit.jitter_h))
        for day in _days(days, habit.days)
        if rng.random() < habit.regularity
    ]


def _follow(rng: Random, habit: Planted, at: datetime) -> list[tuple[datetime, str, str]]:
    left_out = rng.randrange(len(habit.steps)) if rng.random() < habit.partial else -1
    found = []
    if habit.cue is not None:
        state = "home" if habit.cue.startswith("person.") else "on"
        found.append((at - timedelta(seconds=rng.uniform(5, 60)), habit.cue, state))
        found.append((at + timedelta(seconds=rng.uniform(20, 90)), habit.cue, _rest(habit.cue)))
    for entity_id, state in habit.steps:
        if state != _active(entity_id):  # what is to be switched off was switched on before
            found.append((at - timedelta(hours=rng.uniform(0.5, 4.0)), entity_id, _active(entity_id)))
    for n, ((entity_id, state), gap) in enumerate(zip(habit.steps, habit.gaps_s, strict=True)):
        at += timedelta(seconds=gap * rng.lognormvariate(0.0, 0.4) if n else 0.0)
        if n != left_out:
            found.append((at, entity_id, state))
    for entity_id, state in habit.steps:
        if state == _active(entity_id):
            found.append((at + timedelta(hours=rng.uniform(0.5, 5.0)), entity_id, _rest(entity_id)))
    return found


def _noise(
    rng: Random, things: Sequence[str], sensors: Sequence[str], days: int
) -> list[tuple[datetime, str, str]]:
    found = []
    for entity_id in things:
        rate, peak = rng.uniform(0.1, 1.5), rng.uniform(7, 22)
        for day in _days(days, EVERY_DAY):
            for _ in range(_poisson(rng, rate)):
                at = _at(day, rng.gauss(peak, 4.0) % 18 + 6)
                found.append((at, entity_id, _active(entity_id)))
                off = at + timedelta(hours=rng.lognormvariate(-0.7, 1.0))
                found.append((off, entity_id, _rest(entity_id)))
    for entity_id in sensors:
        rate = 20 if "motion" in entity_id else 3
        for day in _days(days, EVERY_DAY):
            for _ in range(_poisson(rng, rate)):
                at = _at(day, rng.uniform(6.5, 23.5))
                found.append((at, entity_id, "home" if entity_id.startswith("person.") else "on"))
                found.append((at + timedelta(seconds=rng.uniform(20, 120)), entity_id, _rest(entity_id)))
    return found


def _carry_out(
    queue: Sequence[tuple[datetime, str, str]],
    entities: Sequence[str],
    classes: dict[str, str | None] | None = None,
    origins: dict[str, Origin] | None = None,
) -> list[StateChange]:
    """Return the changes; what is in a state already does nothing."""
    queue = sorted(queue)
    start = min(at for at, _, _ in queue) - timedelta(minutes=1)
    now = {e: _rest(e) for e in entities}
    changes = [_change(e, start, s, None, classes, origins) for e, s in now.items()]
    for at, entity_id, state in queue:
        old = now[entity_id]
        if old != state:
            now[entity_id] = state
            changes.append(_change(entity_id, at, state, old, classes, origins))
    return changes


def _change(
    entity_id: str,
    at: datetime,
    state: str,
    old: str | None,
    classes: dict[str, str | None] | None,
    origins: dict[str, Origin] | None,
) -> StateChange:
    kind = classes[entity_id] if classes else _class(entity_id)
    attributes = {"device_class": kind} if kind else {}
    origin = origins[entity_id] if origins else Origin.PHYSICAL
    return StateChange(entity_id, state, at, at, old, attributes, origin, 1.0)


def _class(entity_id: str) -> str | None:
    if not entity_id.startswith("binary_sensor."):
        return None
    return "door" if "door" in entity_id else "motion"


def _active(entity_id: str) -> str:
    return {"cover": "open", "lock": "unlocked", "media_player": "playing", "person": "home"}.get(
        entity_id.partition(".")[0], "on"
    )


def _rest(entity_id: str) -> str:
    return {"cover": "closed", "lock": "locked", "person": "not_home"}.get(entity_id.partition(".")[0], "off")


def _days(days: int, weekdays: Sequence[int]) -> list[date]:
    every = (START + timedelta(days=n) for n in range(days))
    return [d for d in every if d.weekday() in weekdays]


def _at(day: date, hour: float) -> datetime:
    local = datetime.combine(day, datetime.min.time()) + timedelta(hours=hour)
    return local.replace(tzinfo=ZONE).astimezone(UTC)


def _hour(at: datetime) -> float:
    local = at.astimezone(ZONE)
    return local.hour + local.minute / 60 + local.second / 3600


def _poisson(rng: Random, mean: float) -> int:
    count, product, limit = 0, rng.random(), math.exp(-mean)
    while product > limit:
        count += 1
        product *= rng.random()
    return count
