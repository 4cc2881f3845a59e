"""More that is made to go wrong: states that never go together, and numbers out of character."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import combinations

from benchmarks._home_faults import MIN_DAYS, MIN_STAYS, REGULAR, Fault, Faults, between, draw
from benchmarks._homes import DAY, HOUR, MINUTE, Home, quantile
from devices.events import StateChange

NOBODY = "nobody home"
EXPECTED = HOUR  # how long two states had to be expected together, for "never" to mean something
NEVER = 0.01  # share of that in which they were
RESOLUTION = 5 * MINUTE
SLOTS = DAY // RESOLUTION
MIN_READINGS = 24  # a day
Spans = list[tuple[datetime, datetime]]


def conflict(home: Home, n: int, rng: random.Random) -> Faults:
    """Force a state for 60 to 90 minutes while another goes on that it never goes together with.

    Never: together for less than 1% of the time that chance would give them in the first half, which is an
    hour or more, given how often each occurs at each time of day. "Nobody home" is a state like the others.
    """
    spans = active_spans(home)
    slots = {e: Slots(home, of) for e, of in spans.items()}
    pairs = [
        (forced, other)
        for a, b in combinations(sorted(spans), 2)
        if slots[a].never_with(slots[b])
        for forced, other in ((a, b), (b, a))
        if forced in home.of
    ]
    home.eligible["conflict"] = f"{len(pairs)} pairs"

    def one() -> Fault | None:
        forced, other = rng.choice(pairs)
        held = timedelta(minutes=rng.uniform(60, 90))
        stays = [(a, b) for a, b in spans[other] if a >= home.middle and b - a > held + 10 * MINUTE]
        if not stays:
            return None
        a, b = rng.choice(stays)
        at = a + (b - a - held) * rng.random()
        end = at + held
        now, then = home.is_in(forced, at), home.is_in(forced, end)
        if now:
            return None
        state = home.of[forced][0].state
        said = ((at, state), *(() if then else ((end, home.rest_of(forced, state)),)))
        return Fault(
            "conflict", forced, at, end, said, at, (at, end), frozenset({forced, other}), f"{other} and"
        )

    return draw(n, one, each=n) if pairs else []


def active_spans(home: Home) -> dict[str, Spans]:
    """Return when each entity was active, where that happened often enough to know."""
    spans = {e: [(s.start, s.end) for s in stays] for e, stays in home.of.items()}
    spans |= {e: of for e in home.by_entity if e.startswith("climate.") and (of := heating(home, e))}
    spans[NOBODY] = nobody(home)
    return {e: of for e, of in spans.items() if sum(a < home.middle for a, _ in of) >= MIN_STAYS}


def heating(home: Home, entity_id: str) -> Spans:
    of = home.by_entity[entity_id]
    ends = [*(c.changed_at for c in of[1:]), home.end]
    return [(c.changed_at, end) for c, end in zip(of, ends, strict=True) if c.new != "off"]


def nobody(home: Home) -> Spans:
    """Return when all persons were away."""
    where: dict[str, str] = {}
    spans: Spans = []
    left_at: datetime | None = None
    for c in (c for c in home.changes if c.domain == "person"):
        where[c.entity_id] = c.new
        if "home" not in where.values():
            left_at = left_at or c.changed_at
        elif left_at is not None:
            spans.append((left_at, c.changed_at))
            left_at = None
    return spans


class Slots:
    """The five-minute slots of the first half in which a state held for most of the time."""

    def __init__(self, home: Home, spans: Spans) -> None:
        self.days = (home.middle - home.start) / DAY
        self.mask, self.by_hour = 0, [0] * 24
        last = int((home.middle - home.start) / RESOLUTION)
        for a, b in spans:
            first, until = (min(last, max(0, round((t - home.start) / RESOLUTION))) for t in (a, b))
            self.mask |= (1 << until) - (1 << first)
            for slot in range(first, until):
                self.by_hour[slot % SLOTS * 24 // SLOTS] += 1

    def never_with(self, other: Slots) -> bool:
        in_an_hour = self.days * SLOTS / 24
        by_chance = sum(x * y / in_an_hour for x, y in zip(self.by_hour, other.by_hour, strict=True))
        together = (self.mask & other.mask).bit_count()
        return by_chance * RESOLUTION >= EXPECTED and together <= NEVER * by_chance


# -- numbers ------------------------------------------------------------------------------------------


def level(home: Home, n: int, rng: random.Random) -> Faults:
    """Let a numeric sensor drift, spike or get stuck, in turn.

    Drift: an offset grows for 6 h until it brings the usual value six robust sigmas beyond all that was
    seen in the first half, and stays for another 6 h. Spike: one or three readings, 20 interquartile ranges
    beyond all that was seen. Stuck: the sensor freezes for 12 to 24 h at a value that it rarely has (its
    1% or 99% quantile): recordings hold changes only, so it says nothing more.
    """
    sensors = []
    days = home.local_days(home.start, home.middle)
    for entity_id, of in sorted(home.by_entity.items()):
        past = [c for c in of if c.changed_at < home.middle]
        times = [c.changed_at for c in past]
        chatty = sum(between(times, d, d + DAY) >= MIN_READINGS for d in days) >= max(
            MIN_DAYS, REGULAR * len(days)
        )
        if entity_id.startswith("sensor.") and chatty and all(is_number(c.new) for c in of):
            sensors.append(Sensor(entity_id, of, [float(c.new) for c in past]))
    home.eligible["level"] = (
        f"{len(sensors)} of {sum(e.startswith('sensor.') for e in home.by_entity)} sensors"
    )
    kinds = (drift, spike, stuck)
    found: Faults = []
    for kind in kinds if sensors else ():
        share = n // len(kinds) + (kinds.index(kind) < n % len(kinds))
        found += draw(share, lambda kind=kind: kind(home, rng.choice(sensors), rng))
    return found


class Sensor:
    """A numeric sensor, and what was seen of it in the first half."""

    def __init__(self, entity_id: str, changes: Sequence[StateChange], past: Sequence[float]) -> None:
        self.entity_id, self.changes = entity_id, changes
        self.times = [c.changed_at for c in changes]
        self.low, self.high, self.median = min(past), max(past), quantile(past, 0.5)
        self.rare = quantile(past, 0.01), quantile(past, 0.99)
        self.iqr = quantile(past, 0.75) - quantile(past, 0.25) or (self.high - self.low) / 2
        self.digits = max(len(c.new.partition(".")[2]) for c in changes[:200])

    def some_time(self, home: Home, rng: random.Random) -> datetime:
        """Return the time of a reading in the second half."""
        return self.times[rng.randrange(bisect_left(self.times, home.middle), len(self.times))]

    def say(self, value: float) -> str:
        return f"{value:.{self.digits}f}"

    def between(self, since: datetime, until: datetime) -> Iterable[StateChange]:
        return self.changes[bisect_left(self.times, since) : bisect_left(self.times, until)]


def drift(home: Home, sensor: Sensor, rng: random.Random) -> Fault | None:
    since = sensor.some_time(home, rng)
    until, sigma = since + 12 * HOUR, sensor.iqr / 1.349
    up = sensor.high - sensor.median + 6 * sigma
    offset = up if rng.random() < 0.5 else sensor.low - sensor.median - 6 * sigma
    said, abnormal = [], until
    value = float(sensor.changes[max(0, bisect_left(sensor.times, since) - 1)].new)
    readings = {c.changed_at: float(c.new) for c in sensor.between(since, until)}
    grid = {since + k * 10 * MINUTE for k in range(1, 72)}  # one that changes by drifting says so
    for at in sorted(readings.keys() | grid):
        value = readings.get(at, value)
        now = value + offset * min(1.0, (at - since) / (6 * HOUR))
        said.append((at, sensor.say(now)))
        if not sensor.low <= now <= sensor.high:
            abnormal = min(abnormal, at)
    if len(readings) < MIN_READINGS / 4 or until > home.end:
        return None
    return of_level(sensor, since, until, said, abnormal, until, "drift")


def spike(home: Home, sensor: Sensor, rng: random.Random) -> Fault | None:
    first = bisect_left(sensor.times, home.middle) + 1
    count = rng.choice((1, 3))
    i = rng.randrange(first, max(first + 1, len(sensor.times) - count - 1))
    if i + count >= len(sensor.times) or sensor.times[i + count] > home.end - HOUR:
        return None
    up = rng.random() < 0.5
    far = sensor.high + 20 * sensor.iqr if up else sensor.low - 20 * sensor.iqr
    said = [(at, sensor.say(far * (1 + 0.01 * k))) for k, at in enumerate(sensor.times[i : i + count])]
    back = sensor.times[i + count]
    since, until = sensor.times[i] - timedelta(microseconds=1), sensor.times[i + count - 1]
    return of_level(sensor, since, until, said, sensor.times[i], back + 15 * MINUTE, f"spike of {count}")


def stuck(home: Home, sensor: Sensor, rng: random.Random) -> Fault | None:
    lasts = timedelta(hours=rng.uniform(12, 24))
    since = sensor.some_time(home, rng)
    if since + lasts > home.end or len(list(sensor.between(since, since + lasts))) < MIN_READINGS / 2:
        return None
    value = sensor.rare[1] if rng.random() < 0.5 else sensor.rare[0]
    until = since + lasts
    said = [(since + timedelta(microseconds=1), sensor.say(value))]
    return of_level(sensor, since, until, said, since, until, "stuck")


def of_level(
    sensor: Sensor, since: datetime, until: datetime, said: Sequence[tuple[datetime, str]],
    abnormal_at: datetime, heard_until: datetime, what: str,
) -> Fault:  # fmt: skip
    heard = (since, heard_until)
    about = frozenset({sensor.entity_id})
    return Fault("level", sensor.entity_id, since, until, tuple(said), abnormal_at, heard, about, what)


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
