from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson
import pytest

from devices.context import Calendar, Occupancy
from devices.events import Origin, StateChange, Tick
from devices.state import HomeState
from routines.matching import Firing, Matcher, remaining
from routines.routine import AtSun, AtTime, Conditions, OnState, Routine, Step, SunEvent, Target

MINUTE = timedelta(minutes=1)
ZONE = ZoneInfo("Europe/Berlin")
CALENDAR = Calendar(ZONE)
LAMP, RADIO = Step("light.hall", "on"), Step("media_player.radio", "on", 30.0)
START = datetime(2024, 3, 4, 5, tzinfo=UTC)  # 06:00 in Berlin


class Life:
    """A home, a matcher, and the time."""

    def __init__(
        self, *routines: Routine, at: datetime = START, calendar: Calendar = CALENDAR, **given: object
    ) -> None:
        self.home, self.matcher, self.now, self.calendar = (
            HomeState(),
            Matcher(routines, **given),
            at,
            calendar,
        )
        for entity_id in ("light.hall", "media_player.radio", "binary_sensor.door", "person.ada"):
            self.set(entity_id, "off")

    def _step(self, event: StateChange | Tick) -> list[Firing]:
        return self.matcher.step(event, self.home, self.calendar.context(self.now, Occupancy.HOME))

    def set(
        self,
        entity_id: str,
        state: str,
        *,
        origin: Origin = Origin.PHYSICAL,
        after_s: float = 1.0,
        **attributes: object,
    ) -> list[Firing]:
        self.now += timedelta(seconds=after_s)
        change = StateChange(entity_id, state, self.now, self.now, None, attributes, origin, 1.0)
        return self._step(self.home.apply(change))

    def ticks(self, until: datetime, every: timedelta = MINUTE) -> list[Firing]:
        found = []
        while self.now + every <= until:
            self.now += every
            found += self._step(Tick(self.now))
        return found


def on_door(*steps: Step, **given: object) -> Routine:
    return Routine("door", OnState("binary_sensor.door", "on"), steps, **given)


def test_a_door_that_opens_sets_it_off_and_one_that_closes_does_not() -> None:
    life = Life(on_door(LAMP, RADIO))
    (firing,) = life.set("binary_sensor.door", "on")
    assert firing.steps == (LAMP, RADIO)
    assert firing.at == life.now
    assert life.set("binary_sensor.door", "off") == []


def test_what_is_so_already_is_left_out() -> None:
    life = Life(on_door(LAMP, RADIO))
    life.set("light.hall", "on")
    assert [f.steps for f in life.set("binary_sensor.door", "on")] == [(RADIO,)]
    life.set("media_player.radio", "on")
    life.set("binary_sensor.door", "off")
    assert life.set("binary_sensor.door", "on") == []  # nothing left to do


def test_a_light_at_another_level_is_not_so_already() -> None:
    dim = Step("light.hall", "on", 0.0, (Target("brightness", 64.0, 60.0, 70.0, 9),))
    life = Life(on_door(dim))
    life.set("light.hall", "on", brightness=255)
    assert [f.steps for f in life.set("binary_sensor.door", "on")] == [(dim,)]
    assert remaining(on_door(dim), life.home) == (dim,)
    life.set("light.hall", "off")
    life.set("light.hall", "on", brightness=66)
    assert remaining(on_door(dim), life.home) == ()


def test_a_run_is_left_to_do_though_it_is_off_now() -> None:
    run = (Step("light.hall", "on"), Step("light.hall", "off", 600.0))
    life = Life(Routine("run", AtTime(0), run))
    assert remaining(Routine("run", AtTime(0), run), life.home) == run
    life = Life(Routine("auto off", OnState("light.hall", "on"), run))
    assert [f.steps for f in life.set("light.hall", "on")] == [run[1:]]


def test_it_rests_until_the_last_time_is_settled() -> None:
    life = Life(on_door(LAMP))
    assert life.set("binary_sensor.door", "on")
    life.set("binary_sensor.door", "off")
    assert life.set("binary_sensor.door", "on", after_s=60.0) == []  # the resident may still do it
    life.set("light.hall", "on")
    life.set("light.hall", "off")
    life.set("binary_sensor.door", "off")
    assert life.set("binary_sensor.door", "on")  # he did
    life.set("binary_sensor.door", "off")
    assert life.set("binary_sensor.door", "on", after_s=301.0)  # he didn't


def test_it_awaits_what_was_left_the_last_time() -> None:
    life = Life(on_door(LAMP, RADIO))
    assert [f.steps for f in life.set("binary_sensor.door", "on")] == [(LAMP, RADIO)]
    life.home.apply(
        StateChange("media_player.radio", "on", life.now, life.now, retained=True)
    )  # nobody's act
    life.set("binary_sensor.door", "off", after_s=1000.0)
    assert [f.steps for f in life.set("binary_sensor.door", "on")] == [(LAMP,)]
    life.set("light.hall", "on")  # now it is known
    for entity_id in ("light.hall", "media_player.radio", "binary_sensor.door"):
        life.set(entity_id, "off")
    life.set("media_player.radio", "on")
    assert [f.steps for f in life.set("binary_sensor.door", "on")] == [(LAMP,)]


def test_automations_and_our_own_commands_are_no_first_action() -> None:
    routine = Routine("after", OnState("light.hall", "on"), (LAMP, RADIO))
    for origin in (Origin.AUTOMATION, Origin.AGENT):
        assert Life(routine).set("light.hall", "on", origin=origin) == []
    for origin in (Origin.PERSON, Origin.PHYSICAL, Origin.UNKNOWN):
        assert [f.steps for f in Life(routine).set("light.hall", "on", origin=origin)] == [(RADIO,)]


def test_somebody_leaves_for_anywhere() -> None:
    life = Life(Routine("leaving", OnState("person.ada", "not_home"), (LAMP,)))
    life.set("person.ada", "home")
    assert life.set("person.ada", "work")
    assert life.set("person.ada", "gym") == []


def test_repeats_and_retained_states_set_nothing_off() -> None:
    life = Life(on_door(LAMP))
    life.set("binary_sensor.door", "off")
    life.set("binary_sensor.door", "unavailable")
    assert life.set("binary_sensor.door", "off") == []
    change = StateChange("binary_sensor.door", "on", life.now, life.now, "off", retained=True)
    assert life._step(change) == []


def test_conditions_are_asked() -> None:
    life = Life(on_door(LAMP, conditions=Conditions(weekdays=(5, 6))))
    assert life.set("binary_sensor.door", "on") == []


def morning(minute: int) -> Routine:
    return Routine("morning", AtTime(minute), (LAMP,))


def test_a_time_comes_once_a_day_at_the_first_tick_not_earlier() -> None:
    life = Life(morning(410))  # 06:50
    fired = life.ticks(START + timedelta(days=3))
    assert [f.at.astimezone(ZONE).strftime("%d %H:%M") for f in fired] == ["04 06:50", "05 06:50", "06 06:50"]


def test_it_is_quiet_until_the_soonest_is_due() -> None:
    life = Life(morning(410), Routine("later", AtTime(420), (RADIO,)))
    assert not life.matcher.quiet(life.now)  # not known yet
    assert life.ticks(START + 10 * MINUTE) == []
    fired = []
    for _ in range(2 * 1440):
        life.now += MINUTE
        if not life.matcher.quiet(life.now):
            fired.append(life.ticks(life.now + MINUTE / 60, MINUTE / 60))
    at = [f.at.astimezone(ZONE).strftime("%d %H:%M") for (f,) in fired]  # nothing but what is due
    assert at == ["04 06:50", "04 07:00", "05 06:50", "05 07:00"]


def test_a_tick_that_comes_hours_late_does_not_count() -> None:
    life = Life(morning(410))
    life.ticks(START + 40 * MINUTE)
    assert life.ticks(START + timedelta(hours=3), timedelta(hours=2)) == []
    assert len(life.ticks(START + timedelta(days=1, hours=2))) == 1  # the next day as ever


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2024-03-31", ["03:30"]), ("2024-10-27", ["02:30"])],  # skipped; twice
)
def test_clocks_that_change(day: str, expected: list[str]) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=ZONE).astimezone(UTC)
    fired = Life(morning(150), at=start).ticks(start + timedelta(hours=20))
    assert [f.at.astimezone(ZONE).strftime("%H:%M") for f in fired] == expected


def sunset(_: SunEvent, day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 17, tzinfo=UTC)


@pytest.mark.parametrize("offset", [-30, 0, 45])
def test_the_sun_by_its_times(offset: int) -> None:
    life = Life(Routine("dusk", AtSun(SunEvent.SUNSET, offset), (LAMP,)), sun=sunset)
    fired = life.ticks(START + timedelta(days=2))
    assert [f.at for f in fired] == [
        datetime(2024, 3, day, 17, tzinfo=UTC) + offset * MINUTE + timedelta(seconds=4) for day in (4, 5)
    ]  # the ticks are four seconds past the minute


@pytest.mark.parametrize(("offset", "first"), [(-30, 5), (0, 4), (45, 4)])
def test_the_sun_as_it_is_seen(offset: int, first: int) -> None:
    calendar = Calendar(ZONE, 52.5, 13.4)
    life = Life(Routine("dusk", AtSun(SunEvent.SUNSET, offset), (LAMP,)), calendar=calendar)
    fired = life.ticks(START + timedelta(days=4))
    assert [f.at.day for f in fired] == list(range(first, 8))
    for f in fired:
        times = calendar.sun_times(f.at.date())
        assert isinstance(times, tuple)
        assert abs(f.at - times[1] - offset * MINUTE) <= 5 * MINUTE


def test_a_snapshot_goes_on_where_it_was() -> None:
    routines = [on_door(LAMP, RADIO), morning(410), Routine("dusk", AtSun(SunEvent.SUNSET, 10), (LAMP,))]
    calendar = Calendar(ZONE, 52.5, 13.4)
    whole = Life(*routines, calendar=calendar)
    whole.set("binary_sensor.door", "on")
    whole.ticks(START + timedelta(minutes=30))
    half = Life(*routines, calendar=calendar)
    half.home, half.now = whole.home, whole.now
    half.matcher.load(orjson.loads(orjson.dumps(whole.matcher.to_dict())))
    assert half.matcher.to_dict() == whole.matcher.to_dict()
    later = START + timedelta(days=2)
    now = whole.now
    assert [f.at for f in half.ticks(later)] == [f.at for f in whole.ticks(later)] != []
    assert now < later


def test_routines_may_come_and_go() -> None:
    life = Life(on_door(LAMP))
    life.set("binary_sensor.door", "on")
    life.matcher.watch([on_door(LAMP), morning(410)])
    life.set("binary_sensor.door", "off")
    assert life.set("binary_sensor.door", "on") == []  # it still rests
    assert len(life.ticks(START + timedelta(hours=2))) == 1
    life.matcher.watch([])
    assert life.ticks(START + timedelta(days=2)) == []
    assert not life.matcher.to_dict()["rests"]


def test_the_same_with_other_conditions_is_another_one() -> None:
    twice = [on_door(LAMP, conditions=Conditions(weekdays=(n,))) for n in (0, 1)]
    life = Life(*twice)
    assert len(life.set("binary_sensor.door", "on")) == 1
    life.set("binary_sensor.door", "off")
    assert len(life.set("binary_sensor.door", "on", after_s=86_400.0)) == 1
