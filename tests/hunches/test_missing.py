from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from math import log
from zoneinfo import ZoneInfo

import pytest

from devices.context import Calendar, Occupancy
from devices.events import Origin, StateChange, Tick
from devices.state import HomeState
from hunches.daily import DailyTimes, first_of, last_of, slot_of, upper_bound
from hunches.detector import Hunch
from hunches.due import Chance
from hunches.missing import Missing

BERLIN = ZoneInfo("Europe/Berlin")
CALENDAR = Calendar(BERLIN)
START = datetime(2024, 3, 4, tzinfo=BERLIN)  # a Monday, four weeks before the clocks change
STEP = timedelta(minutes=5)
ROUTINE = {  # entity: hour and spread in minutes of what is done every day
    "light.bathroom": (6.5, 10),
    "switch.kettle": (7.0, 15),
    "binary_sensor.hall_motion": (7.5, 15),
    "light.kitchen": (12.0, 40),
    "media_player.tv": (18.5, 40),
    "light.bedroom": (22.25, 15),
}


class House:
    """A household of habits, day by day, as the pipeline drives a detector."""

    def __init__(self, seed: int = 1) -> None:
        self.detector = Missing()
        self.home = HomeState()
        self.rng = random.Random(seed)
        self.hunches: list[tuple[datetime, Hunch]] = []
        self.day = 0

    def live(
        self,
        days: int,
        *,
        without: Iterable[str] = (),
        shift_h: float = 0.0,
        empty: bool = False,
        occupancy: Occupancy = Occupancy.HOME,
        routine: dict[str, tuple[float, int]] | None = None,
        locks: bool = True,
    ) -> list[Hunch]:
        known = len(self.hunches)
        for _ in range(days):
            local = START.replace(tzinfo=None) + timedelta(days=self.day)
            changes = [] if empty else list(self._day(routine or ROUTINE, set(without), shift_h, locks=locks))
            self._run(local, sorted(changes, key=lambda c: c[0]), occupancy)
            self.day += 1
        return [h for _, h in self.hunches[known:]]

    def _day(
        self, routine: dict[str, tuple[float, int]], without: set[str], shift_h: float, *, locks: bool
    ) -> Iterator[tuple[float, str, str]]:
        for entity_id, (hour, spread) in routine.items():
            at = hour + shift_h + self.rng.gauss(0, spread / 60)
            if entity_id not in without:
                yield at, entity_id, "playing" if entity_id.startswith("media") else "on"
                yield at + 0.1, entity_id, "off"
        for i in range(30):  # life in general
            at = 7 + 0.5 * i + shift_h + self.rng.uniform(-0.2, 0.2)
            yield at, f"binary_sensor.motion_{i % 3}", "on"
            yield at + 0.05, f"binary_sensor.motion_{i % 3}", "off"
        yield 16 + shift_h, "lock.front", "unlocked"
        if locks:
            yield 22.0 + self.rng.gauss(0, 0.2) + shift_h, "lock.front", "locked"
        elif "lock.front" not in without:
            yield 23.9, "lock.front", "locked"

    def _run(self, local: datetime, changes: list[tuple[float, str, str]], occupancy: Occupancy) -> None:
        start = local.replace(tzinfo=BERLIN).astimezone(UTC)
        end = (local + timedelta(days=1)).replace(tzinfo=BERLIN).astimezone(UTC)
        events: list[StateChange | Tick] = [Tick(start + i * STEP) for i in range(int((end - start) / STEP))]
        for hour, entity_id, state in changes:
            at = (local + timedelta(hours=hour)).replace(tzinfo=BERLIN).astimezone(UTC)
            events.append(StateChange(entity_id, state, at, at, origin=Origin.PHYSICAL))
        for event in sorted(events, key=lambda e: e.at if isinstance(e, Tick) else e.received_at):
            self.step(event, occupancy)

    def step(self, event: StateChange | Tick, occupancy: Occupancy = Occupancy.HOME) -> None:
        at = event.at if isinstance(event, Tick) else event.received_at
        context = CALENDAR.context(at, occupancy)
        if isinstance(event, StateChange):
            event = self.home.apply(event)
        found = list(self.detector.score_one(event, self.home, context))
        self.hunches += [(at, h) for h in found]
        self.detector.learn_one(event, self.home, context)


def lived_in(days: int = 21, seed: int = 1) -> House:
    house = House(seed)
    house.live(days)
    return house


def test_a_kettle_that_stays_cold() -> None:
    house = lived_in()
    (hunch,) = house.live(1, without={"switch.kettle"})
    assert hunch.entity_id == "switch.kettle"
    assert hunch.title.startswith("Kettle turned on by 0")
    assert "on 20 of 20 days, but not today." in hunch.title
    assert hunch.evidence["usual_time"] in {"06:55", "07:00", "07:05"}
    assert (hunch.evidence["days"], hunch.evidence["on"]) == (20, 20)  # the first one is no whole day
    assert hunch.raised_for == "off"
    assert hunch.remedy is None
    at = house.hunches[-1][0].astimezone(BERLIN)
    assert 7 < at.hour + at.minute / 60 < 12
    assert hunch.score >= hunch.threshold > 0


@pytest.mark.parametrize("seed", range(4))
def test_six_ordinary_weeks_over_a_change_of_clocks(seed: int) -> None:
    house = lived_in(seed=seed)
    assert len(house.live(21)) <= 1


def test_a_lock_that_nobody_locks() -> None:
    house = lived_in()
    found = house.live(1, locks=False, without={"lock.front"})
    house.live(1)
    (hunch,) = [*found, *(h for _, h in house.hunches if h.entity_id == "lock.front" and h not in found)]
    assert hunch.entity_id == "lock.front"
    assert hunch.remedy == "locked"
    assert hunch.raised_for == "unlocked"
    assert hunch.title.startswith("Front is usually locked by 2")
    assert hunch.title.endswith("it isn't yet.")
    assert hunch.short.startswith("not locked by 2")


def test_a_day_that_begins_late_shifts_everything() -> None:
    house = lived_in()
    found = house.live(2, shift_h=2.5)
    assert [h.entity_id for h in found if h.entity_id != "lock.front"] == []  # a door isn't waited for


def test_nobody_home() -> None:
    away, empty = lived_in(), lived_in()
    assert away.live(3, without=set(ROUTINE), occupancy=Occupancy.AWAY) == []
    assert empty.live(7, empty=True) == []
    assert empty.live(7) == []  # and back again


def test_a_holiday_teaches_nothing() -> None:
    house = lived_in()
    house.live(5, empty=True)
    (hunch,) = house.live(1, without={"switch.kettle"})
    assert hunch.evidence["days"] == 20


def test_one_hunch_for_many_things() -> None:
    house = lived_in()
    morning = {"light.bathroom", "switch.kettle", "binary_sensor.hall_motion"}
    assert len(house.live(1, without=morning)) <= 1
    assert len(house.live(1, without=set(ROUTINE))) <= 1


def test_a_changed_habit_is_forgotten() -> None:
    house = lived_in()
    tv = "media_player.tv"
    heard = [sum(h.entity_id == tv for h in house.live(1, without={tv})) for _ in range(28)]
    assert heard == [1] + [0] * 27


def test_weekdays_have_their_own_habits() -> None:
    house = House()
    weekend = {k: v for k, v in ROUTINE.items() if k != "switch.kettle"}
    for _ in range(4):
        house.live(5)
        house.live(2, routine=weekend)
    assert not [h for _, h in house.hunches if h.entity_id == "switch.kettle"]
    (hunch,) = house.live(1, without={"switch.kettle"})
    assert hunch.evidence["compared_with"] == "weekdays"
    assert "weekdays, but not today" in hunch.title


def test_a_dead_sensor_and_an_unavailable_one_are_left_to_others() -> None:
    house = lived_in()
    at = (START.replace(tzinfo=None) + timedelta(days=house.day)).replace(tzinfo=BERLIN).astimezone(UTC)
    house.step(StateChange("switch.kettle", "unavailable", at, at))
    assert house.live(1, without={"switch.kettle"}) == []


def test_what_comes_at_any_time_is_no_habit() -> None:
    house = House()
    for _ in range(21):
        house.live(1, routine={**ROUTINE, "switch.kettle": (house.rng.uniform(8, 20), 10)})
    assert house.live(1, without={"switch.kettle"}) == []


def test_contributions_add_up_to_the_log_odds() -> None:
    house = lived_in()
    (hunch,) = house.live(1, without={"switch.kettle"})
    parts, p = hunch.evidence["contributions"], 10.0**-hunch.score
    assert sum(parts.values()) == pytest.approx(log((1.0 - p) / p), abs=0.01)
    assert parts["kind of day"] == 0.0  # it was compared with all days
    assert min(parts["its own days"], parts["habits of the home"]) > 0.0


def test_a_habit_of_weekdays_owes_something_to_the_kind_of_day() -> None:
    some, all_days = (0.0, 12.0), (4.0, 17.0)
    chance = Chance(*some, *all_days, late=0.01, home=0.02, trust=4.0)
    p = 0.005 + 0.01 * (1.0 - 0.005)  # 4 · 0.02 / (12 + 4) = 0.005
    assert chance.p == pytest.approx(p)
    parts = chance.contributions()
    assert sum(parts.values()) == pytest.approx(log((1.0 - p) / p), abs=0.01)
    assert parts["kind of day"] > 0.0 > parts["time of day"]
    alike = Chance(*some, *some, late=0.01, home=0.02, trust=4.0)
    assert alike.contributions()["kind of day"] == 0.0


def test_what_is_due_after_the_day_ends_is_still_waited_for() -> None:
    night = {f"binary_sensor.cat_{hour}": (hour + 0.5, 8) for hour in range(4)}
    house, routine = House(), {**ROUTINE, **night, "binary_sensor.bed": (4.4, 8)}  # days start at five
    house.live(21, routine=routine)
    (hunch,) = house.live(1, routine=routine, without={"binary_sensor.bed"})
    assert hunch.entity_id == "binary_sensor.bed"
    assert "05:00" < hunch.evidence["due"] < "07:00"


def test_too_few_days() -> None:
    house = lived_in(days=6)
    assert house.live(1, without={"switch.kettle"}) == []


def test_automations_are_no_habit() -> None:
    detector, home = Missing(), HomeState()
    at = START.astimezone(UTC)
    for state in ("off", "on"):
        change = home.apply(StateChange("light.porch", state, at, at, origin=Origin.AUTOMATION))
        detector.learn_one(change, home, CALENDAR.context(at, Occupancy.HOME))
    assert detector.to_dict()["home_days"]["on"] == {}


def test_first_and_last() -> None:
    # 07:05 to 07:15 on days that start at 04:00: slots 18 and 19 of ten minutes, that is 3.0 to 3.3 hours
    days = [(age, 1 << (18 + age % 2) | 1 << 100) for age in range(1, 15)]
    first = first_of(days)
    assert first is not None
    assert first.time == pytest.approx(3 + 1 / 6)  # between the middles, 3:05 and 3:15
    assert first.latest == pytest.approx(3.25)
    assert (first.days, first.hits, first.missed) == (14, 14, 0.0)
    last = last_of([*days, (15, 0)], [False] * 15)
    assert last is not None
    assert last.time == pytest.approx(100.5 / 6)
    assert (last.days, last.hits) == (15, 14)
    assert last.missed == pytest.approx(0.5**1.5)  # 15 days ago, with a half-life of ten
    assert last.start < last.time < last.due
    assert first_of([(1, 1)]) is None


def test_the_bound_is_for_late_ones() -> None:
    even = [(7.0 + 0.1 * (i % 5), 1.0) for i in range(20)]
    assert upper_bound(even) == pytest.approx(upper_bound([*even[:-1], (1.0, 1.0)]), abs=0.2)
    assert upper_bound([*even[:-1], (12.0, 1.0)]) > upper_bound(even) + 1.0
    assert upper_bound(even[:5]) > upper_bound(even)  # little is known


def test_daily_times_keep_four_weeks() -> None:
    times = DailyTimes()
    for day in range(100):
        assert times.mark(day, 23.99)
        assert not times.mark(day, 23.99)
    assert len(times.masks) <= 30
    assert times.between(98, 4, 0.0, 24.0) == 1
    assert slot_of(24.5) == 143
