"""Contract checks that every detector passes, in the manner of river's `checks`.

    for detector in detectors():
        for check in CHECKS:
            check(detector)

A check takes a detector class, makes untaught ones, and asserts. `life` is a seeded home with regular days
and all that goes wrong in real ones: repeats, outages, retained states, odd states, clocks set back.
"""

from __future__ import annotations

import copy
import importlib
import json
import pkgutil
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson

import hunches
from devices.context import Calendar, Occupancy
from devices.events import Origin, StateChange, Tick
from devices.state import HomeState
from hunches.detector import Detector, Hunch

START = datetime(2024, 3, 4, tzinfo=UTC)  # a Monday
CALENDAR = Calendar(ZoneInfo("Europe/Berlin"))
MINUTE = timedelta(minutes=1)
MAX_BYTES_PER_ENTITY = 64_000  # of the JSON snapshot

Events = list[StateChange | Tick]


def detectors() -> list[type[Detector]]:
    """Find every detector: a class of the package `hunches` that has a name and scores and learns."""
    found = []
    for info in pkgutil.iter_modules(hunches.__path__, "hunches."):
        module = importlib.import_module(info.name)
        found += [
            c for c in vars(module).values()
            if isinstance(c, type) and c.__module__ == info.name and isinstance(getattr(c, "name", None), str)
            and hasattr(c, "score_one") and hasattr(c, "learn_one")
        ]  # fmt: skip
    return sorted(found, key=lambda c: c.name)


class Harness:
    """A detector in a home, driven as the pipeline drives it."""

    def __init__(self, make: type[Detector]) -> None:
        self.make = make
        self.detector = make()
        self.home = HomeState()
        self.hunches: list[Hunch] = []

    def step(self, event: StateChange | Tick) -> None:
        at = event.at if isinstance(event, Tick) else event.received_at
        context = CALENDAR.context(at.replace(second=0, microsecond=0), Occupancy.HOME)
        if isinstance(event, StateChange):
            event = self.home.apply(event)
            if event.old == event.new:
                return
        if isinstance(event, Tick) or event.trains:
            found = self.detector.score_one(event, self.home, context)
            self.hunches += [f for f in found if isinstance(f, Hunch)]
        self.detector.learn_one(event, self.home, context)

    def run(self, events: Events) -> Harness:
        for event in events:
            self.step(event)
        return self

    def snapshot(self) -> str:
        return json.dumps(self.detector.to_dict(), sort_keys=True)

    def reloaded(self) -> Harness:
        """Return a copy that went through the store's JSON: no integers over 64 bits, no infinity."""
        other = Harness(self.make)
        other.detector.load(orjson.loads(orjson.dumps(self.detector.to_dict())))
        other.home.load(json.loads(json.dumps(self.home.to_dict())))
        other.hunches = list(self.hunches)
        return other


ENTITIES = {
    "light.kitchen": ("off", "on", None),
    "binary_sensor.back_door": ("off", "on", "door"),
    "binary_sensor.hall_motion": ("off", "on", "motion"),
    "lock.front": ("locked", "unlocked", None),
    "cover.garage": ("closed", "open", "garage"),
    "media_player.tv": ("idle", "playing", None),
    "switch.iron": ("off", "on", None),
}


def life(days: int = 14, seed: int = 1, *, odd: bool = True, suffix: str = "") -> Events:
    """Return regular days of a home: changes and a tick a minute, oldest first."""
    rng = random.Random(seed)
    changes = [c for day in range(days) for c in _day(rng, START + timedelta(days=day), suffix)]
    if odd:
        changes += _odd(rng, days, suffix)
    changes.sort(key=lambda c: (c.received_at, c.entity_id))
    return with_ticks(changes, days)


def with_ticks(changes: list[StateChange], days: int) -> Events:
    events: Events = []
    tick = START
    for change in changes:
        while tick <= change.received_at:
            events.append(Tick(tick))
            tick += MINUTE
        events.append(change)
    while tick <= START + timedelta(days=days):
        events.append(Tick(tick))
        tick += MINUTE
    return events


def change(entity_id: str, state: str, at: datetime, **more: object) -> StateChange:
    kind = ENTITIES.get(entity_id, (None, None, None))[2]
    attributes = {"device_class": kind} if kind else {}
    return StateChange(entity_id, state, at, at, attributes=attributes, origin=Origin.PHYSICAL, **more)  # type: ignore[arg-type]


def stay(entity_id: str, at: datetime, seconds: float) -> list[StateChange]:
    rest, active, _ = ENTITIES[entity_id]
    return [change(entity_id, active, at), change(entity_id, rest, at + timedelta(seconds=seconds))]


def _day(rng: random.Random, day: datetime, suffix: str) -> Iterator[StateChange]:
    for entity_id in ENTITIES:
        for hour in (6.5, 12, 17, 18.5, 20):
            at = day + timedelta(hours=hour, seconds=rng.uniform(0, 3000))
            for c in stay(entity_id, at, rng.lognormvariate(4.5, 0.6)):
                yield _renamed(c, suffix)
    for i in range(48):
        at = day + timedelta(minutes=30 * i, seconds=rng.uniform(0, 60))
        yield _renamed(change("sensor.temperature", f"{20 + rng.gauss(0, 1):.1f}", at), suffix)


def _renamed(c: StateChange, suffix: str) -> StateChange:
    return StateChange(
        c.entity_id + suffix, c.new, c.changed_at, c.received_at, attributes=c.attributes, origin=c.origin
    )


def _odd(rng: random.Random, days: int, suffix: str) -> list[StateChange]:
    """Return what goes wrong: outages, strange and very long states, retained ones, a clock set back."""
    out = []
    strange = (
        "unavailable",
        "unknown",
        "",
        "on",
        "🦆",
        "x" * 255,
        "-1e309",
        "nan",
        "None",
        "opening",
        "jammed",
    )
    for _ in range(20 * days):
        at = START + timedelta(days=rng.uniform(0, days))
        entity_id = rng.choice([*ENTITIES, "sensor.temperature", "person.ann", "weird", ".", "light."])
        c = change(entity_id, rng.choice(strange), at, retained=rng.random() < 0.2)
        if rng.random() < 0.2:  # reported late, or by a device whose clock is wrong
            shift = rng.choice((-90000, -60, 60, 90000))
            c = StateChange(c.entity_id, c.new, at + timedelta(seconds=shift), at, attributes=c.attributes)
        out.append(_renamed(c, suffix) if not c.retained else c)
    return out


# -- the checks ---------------------------------------------------------------------------------------


def check_works_before_learning(make: type[Detector]) -> None:
    """The first events of a home raise no exception, and nothing is known to be out of the ordinary."""
    assert Harness(make).run(life(days=1)).hunches == []


def check_scoring_changes_nothing(make: type[Detector]) -> None:
    """Scoring mutates neither the detector nor the home, the context or the event; asked twice, it agrees."""
    harness = Harness(make)
    for i, event in enumerate(life(days=12)):
        if i % 97 == 0:
            at = event.at if isinstance(event, Tick) else event.received_at
            context = CALENDAR.context(at, Occupancy.HOME)
            folded = harness.home.apply(event) if isinstance(event, StateChange) else event
            before = (harness.snapshot(), copy.deepcopy(harness.home.to_dict()), repr(event), repr(context))
            first = list(harness.detector.score_one(folded, harness.home, context))
            assert list(harness.detector.score_one(folded, harness.home, context)) == first
            assert (harness.snapshot(), harness.home.to_dict(), repr(event), repr(context)) == before
            harness.detector.learn_one(folded, harness.home, context)
        else:
            harness.step(event)


def check_learning_mutates_no_input(make: type[Detector]) -> None:
    """Learning changes neither the home nor the event."""
    harness = Harness(make)
    for event in life(days=3):
        harness.step(event)
        home, text = copy.deepcopy(harness.home.to_dict()), repr(event)
        at = event.at if isinstance(event, Tick) else event.received_at
        if at.minute == 0:
            harness.detector.learn_one(event, harness.home, CALENDAR.context(at, Occupancy.HOME))
            assert harness.home.to_dict() == home
            assert repr(event) == text


def check_deterministic(make: type[Detector]) -> None:
    """The same events give the same hunches and the same snapshot."""
    events = life(days=12)
    one, two = Harness(make).run(events), Harness(make).run(events)
    assert one.hunches == two.hunches
    assert one.snapshot() == two.snapshot()


def check_round_trip(make: type[Detector]) -> None:
    """A detector that went through JSON goes on exactly as it would have."""
    events = life(days=14)
    harness = Harness(make)
    for cut in (100, len(events) // 2, len(events) - 700):
        harness = Harness(make).run(events[:cut])
        other = harness.reloaded()
        assert other.snapshot() == harness.snapshot()
        rest = events[cut : cut + 4000]
        assert other.run(rest).hunches == harness.run(rest).hunches
        assert other.snapshot() == harness.snapshot()


def check_bounded_memory(make: type[Detector]) -> None:
    """Memory for each entity stays below a limit, however long it runs and whatever the states are."""
    harness = Harness(make).run(life(days=10))
    first = len(harness.snapshot())
    for i in range(3):
        shifted = [_later(e, timedelta(days=14 * (i + 1))) for e in life(days=10, seed=i + 2)]
        harness.run(shifted)
    entities = len(harness.home)
    assert len(harness.snapshot()) < max(3 * first, 2000)
    assert len(harness.snapshot()) / entities < MAX_BYTES_PER_ENTITY


def _later(event: StateChange | Tick, shift: timedelta) -> StateChange | Tick:
    if isinstance(event, Tick):
        return Tick(event.at + shift)
    return StateChange(
        event.entity_id, event.new, event.changed_at + shift, event.received_at + shift,
        attributes=event.attributes, origin=event.origin, retained=event.retained,
    )  # fmt: skip


def check_forget(make: type[Detector]) -> None:
    """Nothing in the snapshot names a forgotten entity; to forget an unknown one is no error."""
    harness = Harness(make).run(life(days=8))
    harness.detector.forget("light.nowhere")
    for entity_id in (*ENTITIES, "sensor.temperature"):
        harness.detector.forget(entity_id)
        assert f'"{entity_id}"' not in harness.snapshot()
    harness.run([_later(e, timedelta(days=9)) for e in life(days=1)])


def check_rename(make: type[Detector]) -> None:
    """A renamed entity keeps what was learned under its new id, and only there."""
    harness = Harness(make).run(life(days=8))
    before = harness.snapshot()
    for entity_id in ENTITIES:
        harness.detector.rename(entity_id, f"{entity_id}_renamed")
        assert f'"{entity_id}"' not in harness.snapshot()
        assert (f'"{entity_id}"' in before) == (f'"{entity_id}_renamed"' in harness.snapshot())
        harness.detector.rename(f"{entity_id}_renamed", entity_id)
    assert json.loads(harness.snapshot()) == json.loads(before)
    harness.detector.rename("light.nowhere", "light.elsewhere")
    assert "nowhere" not in harness.snapshot()


def check_survives_anything(make: type[Detector]) -> None:
    """Events in any order, with any states and clocks, raise no exception and only valid hunches."""
    for seed in range(3):
        events = life(days=10, seed=seed)
        rng = random.Random(seed)
        for _ in range(200):  # swaps set the clock back and forth
            i, j = rng.randrange(len(events)), rng.randrange(len(events))
            events[i], events[j] = events[j], events[i]
        assert_valid(Harness(make).run(events))


def check_hunches_are_valid(make: type[Detector]) -> None:
    """A hunch in an ordinary life says what it must."""
    assert_valid(Harness(make).run(life(days=20, seed=5)))


def assert_valid(harness: Harness) -> None:
    for hunch in harness.hunches:
        assert hunch.detector == harness.make.name
        assert harness.home.get(hunch.entity_id) is not None
        assert hunch.score >= hunch.threshold > 0
        assert 10 < len(hunch.title) <= 255
        assert hunch.raised_for
        assert hunch.context_key
        assert hunch.lasts > timedelta(0)
        assert hunch.abnormal_since.tzinfo is not None
        assert Hunch.from_dict(json.loads(json.dumps(hunch.to_dict()))) == hunch
        assert hunch.evidence


CHECKS = [check for name, check in sorted(globals().items()) if name.startswith("check_")]
