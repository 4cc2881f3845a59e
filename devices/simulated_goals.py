"""Latent goals planted into a simulated home's life, and coincidences that look like them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

from devices.events import Origin, StateChange
from devices.simulated_people import LocalClock

Key = tuple[str, str]  # an entity id and a state

FILM_ROOMS: Final = ("living_room", "emma_room", "office", "parents_bedroom")
_TRIGGERS: Final[Sequence[Key]] = (
    ("binary_sensor.patio_door_contact", "on"), ("switch.washing_machine", "on"), ("switch.dishwasher", "on"),
    ("switch.iron", "on"), ("switch.dryer", "on"), ("media_player.kitchen_radio", "playing"),
    ("switch.office_pc", "on"), ("light.ben_lamp", "on"), ("media_player.tv", "playing"),
    ("cover.garage_door", "open"), ("person.ben", "home"), ("light.living_room_floor_lamp", "on"),
)  # fmt: skip
_FIRSTS: Final = ("switch.kettle", "switch.sewing_machine", "light.aquarium_light", "switch.treadmill")
_FOLLOWS: Final = (
    "fan.extractor_fan", "switch.towel_heater", "light.display_cabinet", "humidifier.mist_maker",
    "media_player.bath_radio", "cover.awning", "switch.mirror_heater", "light.shelf_strip",
)  # fmt: skip
_COINCIDENT: Final = (
    ("light.reading_corner", "switch.foot_warmer"), ("media_player.news_radio", "switch.egg_cooker"),
    ("cover.skylight_shade", "light.balcony_lantern"), ("switch.rice_cooker", "light.plant_light"),
    ("fan.attic_fan", "media_player.gym_speaker"), ("humidifier.piano", "switch.charger"),
)  # fmt: skip
_ACTIVE: Final = {"cover": "open", "media_player": "playing", "climate": "heat", "lock": "unlocked",
                  "alarm_control_panel": "disarmed"}  # fmt: skip
_REST: Final = {"cover": "closed", "lock": "locked", "alarm_control_panel": "armed_away"}
_WORKSHOP: Final = (
    "climate.workshop_heater", "light.workshop_bench", "lock.workshop_door", "cover.workshop_gate",
    "alarm_control_panel.workshop_alarm",
)  # fmt: skip
_DIMMED: Final = 50
_LEAST: Final = 12
_MOST_A_DAY: Final = 4.0


@dataclass(frozen=True, slots=True)
class Planted:
    """An implication: after any of `firsts`, `follow` comes with a probability."""

    name: str
    firsts: tuple[Key, ...]
    follow: Key
    probability: float


@dataclass(slots=True)
class GoalTruth:
    """What was planted."""

    planted: list[Planted] = field(default_factory=list)
    coincident: list[tuple[Key, Key]] = field(default_factory=list)
    contradicting: list[tuple[Key, Key]] = field(default_factory=list)  # a room where it isn't so


def plant_goals(
    life: Sequence[StateChange], *, seed: int, zone: ZoneInfo
) -> tuple[list[StateChange], GoalTruth]:
    """Weave goals and coincidences into a finished simulation, on entities of their own.

    Planted are films that dim the light of three rooms and not of a fourth; four implications that begin with
    something of the home and three that begin with something new, at any time when somebody is about; coming
    to and leaving a workshop, in any order. Coincidences are pairs of habits at the same hour, with the same
    jitter, that know nothing of each other: four daily or on the same weekdays, one at dusk, and one of two
    that are usual on the same evenings. The given changes stay as they are.
    """
    return _Weaver(life, seed, zone).weave()


class _Weaver:
    def __init__(self, life: Sequence[StateChange], seed: int, zone: ZoneInfo) -> None:
        self._life = life
        self._rng = Random(f"goals/{seed}")
        self._clock = LocalClock(zone)
        self._truth = GoalTruth()
        self._acts: list[tuple[float, str, str, dict[str, Any]]] = []
        people = {Origin.PERSON, Origin.PHYSICAL}
        self._about = [
            c.changed_at.timestamp()
            for c in life
            if c.origin in people and c.old is not None and not c.entity_id.startswith("sensor.")
        ]
        self._start, self._end = life[0].changed_at.timestamp(), life[-1].changed_at.timestamp()
        first = self._clock.day(self._start)
        self._days = [first + timedelta(days=n) for n in range(int((self._end - self._start) / 86400) + 1)]

    def weave(self) -> tuple[list[StateChange], GoalTruth]:
        """Return all changes in order, and the truth."""
        self._films()
        self._of_the_home()
        self._of_new_things()
        self._workshop()
        self._coincidences()
        return sorted([*self._life, *self._changes()], key=lambda c: c.changed_at), self._truth

    # -- what is planted ----------------------------------------------------------------------------

    def _films(self) -> None:
        rooms = list(FILM_ROOMS)
        self._rng.shuffle(rooms)
        for n, room in enumerate(rooms):
            player, light = f"media_player.{room}_projector", f"light.{room}_ceiling"
            pair = ((player, "playing"), (light, "on"))
            probability = self._rng.uniform(0.85, 0.95)
            for at in self._moments(17.5, 22.5, 0.55):
                over = at + self._rng.uniform(80, 130) * 60
                self._act(at, player, "playing", media_content_type="movie", device_class="tv")
                self._act(over, player, "off", device_class="tv")
                if n < 3 and self._rng.random() < probability:
                    self._act(at + self._delay(60.0), light, "on", brightness=_DIMMED)
                    self._act(over + self._rng.uniform(25, 70) * 60, light, "off")
            for at in self._moments(7.0, 16.0, 0.8):
                self._use(light, at, 30.0)
            if n < 3:
                self._truth.planted.append(Planted(f"film/{room}", (pair[0],), pair[1], probability))
            else:
                self._truth.contradicting.append(pair)

    def _of_the_home(self) -> None:
        found = []
        for entity_id, state in _TRIGGERS:
            times = [
                c.changed_at.timestamp()
                for c in self._life
                if c.entity_id == entity_id and c.new == state and c.old not in {None, state}
            ]
            if _LEAST <= len(times) <= _MOST_A_DAY * len(self._days):
                found.append(((entity_id, state), times))
        self._rng.shuffle(found)
        for (first, times), follow in zip(found[:4], self._some(_FOLLOWS[:4]), strict=False):
            self._imply(first, times, follow)

    def _of_new_things(self) -> None:
        for entity_id, follow in zip(self._some(_FIRSTS)[:3], self._some(_FOLLOWS[4:]), strict=False):
            hour = self._rng.uniform(7.0, 15.0)
            times = self._moments(hour, hour + 6.0, self._rng.uniform(0.5, 1.0))
            for at in times:
                self._use(entity_id, at, self._rng.uniform(20.0, 45.0))
            self._imply((entity_id, "on"), times, follow)

    def _imply(self, first: Key, times: Iterable[float], follow: str) -> None:
        probability, delay = self._rng.uniform(0.84, 0.95), self._rng.uniform(15.0, 240.0)
        for at in times:
            if self._rng.random() < probability:
                self._use(follow, at + self._delay(delay), self._rng.uniform(25.0, 80.0))
        pair = (first, (follow, _active(follow)))
        self._truth.planted.append(Planted(f"{first[0]} > {follow}", (first,), pair[1], probability))

    def _workshop(self) -> None:
        for at in self._moments(9.0, 17.0, 0.6):
            self._all_of(at, _active)
            self._all_of(at + self._rng.uniform(60.0, 150.0) * 60, _rest)
        for name, state in (("come", _active), ("leave", _rest)):
            keys = [(e, state(e)) for e in _WORKSHOP]
            self._truth.planted += [
                Planted(f"workshop/{name}/{key[0]}", tuple(k for k in keys if k != key), key, 0.95)
                for key in keys[-2:]
            ]

    def _all_of(self, at: float, state: Any) -> None:
        """Do all that belongs to coming or leaving, the gate and the alarm last."""
        for entity_id in (*self._some(_WORKSHOP[:3]), *_WORKSHOP[3:]):
            if self._rng.random() < 0.95:
                self._act(at, entity_id, state(entity_id))
            at += self._delay(35.0)

    # -- what only looks like it --------------------------------------------------------------------

    def _coincidences(self) -> None:
        weekdays = [set(range(7))] * 3 + [set(self._rng.sample(range(5), 2)) for _ in range(2)]
        for n, (one, other) in enumerate(_COINCIDENT):
            hour, jitter = self._rng.uniform(17.5, 21.0), self._rng.uniform(0.03, 0.15)
            later, regular = self._rng.uniform(0.05, 0.12), self._rng.uniform(0.85, 0.95)
            for entity_id, offset in ((one, 0.0), (other, later)):
                for day in self._days:
                    if n < 5 and day.weekday() not in weekdays[n]:
                        continue
                    due = self._clock.dusk(day) / 3600 if n == 5 else self._clock.at(day, hour) / 3600
                    if self._rng.random() < regular:
                        at = (due + offset + self._rng.gauss(0.0, jitter)) * 3600
                        self._use(entity_id, at, self._rng.uniform(25.0, 90.0))
            self._truth.coincident.append(((one, _active(one)), (other, _active(other))))

    # -- carrying out -------------------------------------------------------------------------------

    def _moments(self, since: float, until: float, a_day: float) -> list[float]:
        """Return moments between two hours when somebody is about, on a share of the days."""
        of_day: dict[Any, list[float]] = {}
        for at in self._about:
            if since <= self._clock.hour(at) < until:
                of_day.setdefault(self._clock.day(at), []).append(at)
        chosen = (self._rng.choice(of_day[d]) for d in sorted(of_day) if self._rng.random() < a_day)
        return [at + self._rng.uniform(5.0, 240.0) for at in chosen]

    def _use(self, entity_id: str, at: float, minutes: float) -> None:
        self._act(at, entity_id, _active(entity_id))
        self._act(at + minutes * 60, entity_id, _rest(entity_id))

    def _act(self, at: float, entity_id: str, state: str, **attributes: Any) -> None:
        self._acts.append((at, entity_id, state, attributes))

    def _delay(self, median_s: float) -> float:
        return median_s * self._rng.lognormvariate(0.0, 0.4)

    def _some(self, of: Sequence[str]) -> list[str]:
        return self._rng.sample(of, len(of))

    def _changes(self) -> Iterator[StateChange]:
        """Yield the changes that the acts are; one that changes nothing isn't any."""
        states = {entity_id: _rest(entity_id) for _, entity_id, _, _ in self._acts}
        begin = datetime.fromtimestamp(self._start, UTC)
        for entity_id, state in sorted(states.items()):
            yield StateChange(entity_id, state, begin, begin)
        for at, entity_id, state, attributes in sorted(self._acts, key=lambda a: a[0]):
            if states[entity_id] != state and self._start < at < self._end:
                when = datetime.fromtimestamp(int(at * 1000) / 1000, UTC)
                yield StateChange(
                    entity_id, state, when, when, states[entity_id], attributes, Origin.PHYSICAL, 1.0
                )
                states[entity_id] = state


def _active(entity_id: str) -> str:
    return _ACTIVE.get(entity_id.partition(".")[0], "on")


def _rest(entity_id: str) -> str:
    return _REST.get(entity_id.partition(".")[0], "off")
