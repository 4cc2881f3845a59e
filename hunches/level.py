"""Numeric sensors out of character: a freezer that warms, water that runs, a value that hangs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from devices.context import Context
from devices.events import NOT_A_STATE, StateChange, Tick
from devices.state import HomeState
from devices.wording import clip, duration, name_of
from hunches.detector import Clear, Finding, Hunch
from hunches.gauge import QUARTER_S, Gauge
from hunches.measures import Measure, digits_of, measure_of, number
from hunches.reach import Reach


@dataclass(slots=True)
class _Sensor:
    """What is remembered of one sensor."""

    gauge: Gauge
    reach: Reach
    last: float | None = None  # of what counts: its last state
    counts: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """A level out of character, and the limit within which it is over."""

    score: float
    high: bool
    limit: float
    held_s: float  # 0: a reading far beyond all others
    value: float = 0.0  # that reading


class Level:
    """Notices a sensor that holds a level which it never held for so long.

    What a `Gauge` finds in levels that last, or a `Reach` in readings far beyond all others, is a hunch from
    a score of `threshold` on, at most one a sensor and day; it is over when the sensor is back within what
    it was before. Sensors that count (energy, water) are judged by what
    they add in a quarter of an hour. Batteries, signal strengths, clocks, and the weather are left out. A
    sensor that stopped reporting holds its last level: that is noticed where the level is an unusual one.

    Three far readings in a row are told at the third, as the next one may be normal again.

    Memory: about 170 numbers for each sensor. A change costs O(1), a tick O(1), one in fifteen O(sensors).

    Parameters
    ----------
    threshold: least surprise, -log10 p.
    min_days: days that a sensor needs before it is judged.
    min_readings: readings a day that it needs.
    margin: by how much a record must be broken, in daily ranges of the sensor.
    far: how many times the span of all readings a reading must lie outside it, to be told in five minutes.
    half_life_days: time in which a day loses half its weight; short, for seasons.
    lasts_h: hours that a hunch stays worth saying.

    >>> Level().name
    'level'

    References
    ----------
    See `DailyExtremes` and `Reach`.
    """

    name: ClassVar[str] = "level"

    def __init__(
        self,
        *,
        threshold: float = 3.3,
        min_days: int = 7,
        min_readings: float = 24.0,
        margin: float = 0.2,
        far: float = 1.0,
        half_life_days: float = 20.0,
        lasts_h: float = 12.0,
    ) -> None:
        self.threshold = threshold
        self.min_days = min_days
        self.min_readings = min_readings
        self.margin = margin
        self.far = far
        self.half_life_days = half_life_days
        self.lasts = timedelta(hours=lasts_h)
        self._sensors: dict[str, _Sensor] = {}
        self._far: set[str] = set()  # whose last reading is far beyond all others
        self._raised: dict[str, _Found] = {}
        self._quarter: int | None = None
        self._day: int | None = None

    # -- scoring ----------------------------------------------------------------------------------

    def score_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> Iterable[Finding]:
        """Return the levels that have become out of character by now, and those that are back."""
        if isinstance(event, StateChange):
            return self._confirmed(event, home, context)
        out: list[Finding] = []
        if self._raised:
            out += [Clear(self.name, e, "is back in its usual range") for e in self._back()]
        if self._far or (self._sensors and self._is_due(event)):
            since = event.at.astimezone(context.local.tzinfo)
            out += [self._hunch(e, f, since, home) for e, f in self._found(event).items()]
        return out

    def _confirmed(self, change: StateChange, home: HomeState, context: Context) -> tuple[Hunch, ...]:
        """Return what the third far reading in a row says: the next may be normal again."""
        if change.entity_id not in self._far or change.new in NOT_A_STATE or not change.trains:
            return ()
        entity_id, value = change.entity_id, number(change.new)
        sensor = self._sensors[entity_id]
        if value is None or not sensor.reach.confirms(value) or not self._may_tell(entity_id):
            return ()
        found = _far_away(sensor.reach, value)
        since = change.changed_at.astimezone(context.local.tzinfo)
        return (self._hunch(entity_id, found, since, home),) if found.score >= self.threshold else ()

    def _is_due(self, tick: Tick) -> bool:
        """Whether a quarter of an hour is over, and only one."""
        return self._quarter is not None and _quarter(tick.at) == self._quarter + 1

    def _found(self, tick: Tick) -> dict[str, _Found]:
        at, found = tick.at.timestamp(), {}
        for entity_id in sorted(self._far):
            reach = self._sensors[entity_id].reach
            if reach.score_one(at) >= self.threshold and self._may_tell(entity_id):
                found[entity_id] = _far_away(reach, reach.value)
        for entity_id, sensor in self._sensors.items() if self._is_due(tick) else ():
            excess = sensor.gauge.excess() if self._may_tell(entity_id) else None
            if entity_id not in found and excess is not None and excess.score >= self.threshold:
                found[entity_id] = _Found(excess.score, excess.high, excess.record, excess.lasted_s)
        return found

    def _may_tell(self, entity_id: str) -> bool:
        gauge = self._sensors[entity_id].gauge
        chatty = gauge.days >= self.min_days and gauge.readings >= self.min_readings * gauge.days
        return chatty and not gauge.odd_today and entity_id not in self._raised

    def _back(self) -> list[str]:
        back = []
        for entity_id, raised in self._raised.items():
            value = self._sensors[entity_id].gauge.value
            if value is not None and (value <= raised.limit if raised.high else value >= raised.limit):
                back.append(entity_id)
        return back

    def _hunch(self, entity_id: str, found: _Found, at: datetime, home: HomeState) -> Hunch:
        sensor, known = self._sensors[entity_id], home.get(entity_id)
        gauge, reach = sensor.gauge, sensor.reach
        measure = _measure(entity_id, home)
        say = _Say(measure.unit if measure else "", digits_of(known.state) if known else 2)
        low, high = gauge.usual
        value = gauge.value if found.held_s and gauge.value is not None else found.value
        where = f"{'above' if found.high else 'below'} {say(found.limit)}"
        short = f"{where} for {duration(found.held_s)}" if found.held_s else f"at {say(value)}"
        past = f"in {reach.n} readings it was always between {say(reach.low)} and {say(reach.high)}"
        if found.held_s:
            usual = f"it is usually between {say(low)} and {say(high)}"
            past = f"{usual}, and in {gauge.days} days it never stayed {short}"
        trend = {1: " and rising", -1: " and falling"}.get(gauge.trend(), "")
        return Hunch(
            detector=self.name,
            entity_id=entity_id,
            context_key="high" if found.high else "low",
            score=found.score,
            threshold=self.threshold,
            title=clip(f"{name_of(entity_id, home)} is at {say(value)}{trend}; {past}."),
            evidence={
                "value": value,
                "unit": say.unit,
                "since": (at - timedelta(seconds=found.held_s)).isoformat(timespec="seconds"),
                "held_s": round(found.held_s),
                "record": round(found.limit, 4),
                "usual": [round(low, 4), round(high, 4)],
                "readings": reach.n,
                "days": gauge.days,
                "contributions": _contributions(sensor, found),
                "p": float(f"{10**-found.score:.3g}"),
                "threshold": self.threshold,
            },
            raised_for="high" if found.high else "low",
            abnormal_since=at.astimezone(UTC) - timedelta(seconds=found.held_s),
            lasts=self.lasts,
            short=short,
            clears_itself=True,
        )

    # -- learning ---------------------------------------------------------------------------------

    def learn_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> None:
        """Follow a sensor's level, and learn its extremes when the day is over."""
        if isinstance(event, StateChange):
            if event.entity_id.startswith("sensor."):
                for hunch in self._confirmed(event, home, context):
                    reach = self._sensors[event.entity_id].reach
                    self._tell(event.entity_id, _far_away(reach, hunch.evidence["value"]))
                self._read(event, home)
            return
        if self._raised:
            for entity_id in self._back():
                del self._raised[entity_id]
        over = _quarter(event.at) != self._quarter
        if self._far or (over and self._is_due(event)):
            for entity_id, found in self._found(event).items():
                self._tell(entity_id, found)
        if over:
            self._advance(event, context)

    def _tell(self, entity_id: str, found: _Found) -> None:
        self._raised[entity_id] = found
        self._sensors[entity_id].gauge.odd_today = True

    def _advance(self, tick: Tick, context: Context) -> None:
        due, quarter, day = self._is_due(tick), _quarter(tick.at), context.local.toordinal()
        for sensor in self._sensors.values():
            if due:
                sensor.gauge.close_quarter(counts=sensor.counts)
            elif self._quarter is not None:  # nobody was there to hear, or the clock was set back
                sensor.gauge.break_off()
            if self._day is not None and day != self._day:
                sensor.gauge.close_day()
        self._quarter, self._day = quarter, day

    def _read(self, change: StateChange, home: HomeState) -> None:
        entity_id, at = change.entity_id, change.changed_at.timestamp()
        sensor = self._sensors.get(entity_id)
        if change.new in NOT_A_STATE:
            if sensor is not None:
                sensor.gauge.lose()
                sensor.reach.lose()
                self._far.discard(entity_id)
            return
        value = number(change.new)
        if value is None:
            return
        if sensor is None:
            measure = _measure(entity_id, home)
            if measure is None:
                return
            gauge = Gauge(half_life_days=self.half_life_days, margin=self.margin)
            sensor = self._sensors[entity_id] = _Sensor(gauge, Reach(far=self.far), counts=measure.counts)
        if sensor.counts:
            if sensor.last is not None and value >= sensor.last:  # else it began anew
                sensor.gauge.add(value - sensor.last)
            sensor.last = value
            return
        sensor.gauge.read(value)
        sensor.reach.learn_one(value, at)
        if sensor.reach.is_far():
            self._far.add(entity_id)
        else:
            self._far.discard(entity_id)

    # -- keeping ----------------------------------------------------------------------------------

    def forget(self, entity_id: str) -> None:
        """Drop all that was learned about an entity."""
        self._sensors.pop(entity_id, None)
        self._raised.pop(entity_id, None)
        self._far.discard(entity_id)

    def rename(self, old: str, new: str) -> None:
        """Carry what was learned over to an entity's new id."""
        if old == new or old not in self._sensors:
            return
        sensor, raised, far = self._sensors[old], self._raised.get(old), old in self._far
        self.forget(new)
        self.forget(old)
        self._sensors[new] = sensor
        if raised is not None:
            self._raised[new] = raised
        if far:
            self._far.add(new)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "sensors": {
                e: {
                    "gauge": s.gauge.to_dict(),
                    "reach": s.reach.to_list(),
                    "last": s.last,
                    "counts": s.counts,
                }
                for e, s in self._sensors.items()
            },
            "far": sorted(self._far),
            "raised": {e: [f.score, f.high, f.limit, f.held_s] for e, f in self._raised.items()},
            "time": [self._quarter, self._day],
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._sensors = {}
        for entity_id, body in data["sensors"].items():
            gauge = Gauge(half_life_days=self.half_life_days, margin=self.margin)
            gauge.load(body["gauge"])
            reach = Reach(far=self.far)
            reach.load(body["reach"])
            self._sensors[entity_id] = _Sensor(gauge, reach, body["last"], body["counts"])
        self._far = set(data["far"])
        self._raised = {e: _Found(*f) for e, f in data["raised"].items()}
        self._quarter, self._day = data["time"]


def _far_away(reach: Reach, value: float) -> _Found:
    high = value > reach.high
    return _Found(reach.surprise(value), high, reach.high if high else reach.low, 0.0, value)


def _contributions(sensor: _Sensor, found: _Found) -> dict[str, float]:
    excess = sensor.gauge.excess() if found.held_s else None
    return sensor.gauge.contributions(excess) if excess else sensor.reach.contributions(found.value)


@dataclass(frozen=True, slots=True)
class _Say:
    """Says a number with its unit."""

    unit: str
    digits: int

    def __call__(self, value: float) -> str:
        text = f"{value:.{self.digits}f}"
        return text + (self.unit if self.unit == "%" else f" {self.unit}") if self.unit else text


def _measure(entity_id: str, home: HomeState) -> Measure | None:
    known = home.get(entity_id)
    return measure_of(entity_id, known.attributes if known else {})


def _quarter(at: datetime) -> int:
    return int(at.timestamp() // QUARTER_S)
