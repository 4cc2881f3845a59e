"""A home is lived in; what was planted is proposed and said, and what only looks like it is not."""

from __future__ import annotations

import json
from datetime import timedelta
from random import Random

import pytest

from devices.context import Occupancy
from devices.events import Origin, StateChange, Tick
from latent_goals.goal import Goal, Implied, Proposed, Withdrawn
from latent_goals.goals import Goals
from tests.checks import CHECKS
from tests.latent_goals.lives import CALENDAR, MINUTE, MONDAY, Act, Life, use, usual

KETTLE, RADIO, LAMP = "switch.kettle", "media_player.radio", "light.reading_lamp"
DAYS = 30


def kettle_and_radio(_number: int, rng: Random) -> list[Act]:
    """The kettle at any hour of most days, the radio two minutes later."""
    acts = usual(rng)
    if rng.random() < 0.8:
        hour = rng.uniform(9, 20)
        acts += use(KETTLE, hour, 0.4) + (use(RADIO, hour + 0.03, 1.5) if rng.random() < 0.95 else [])
    return acts


def two_evening_habits(_number: int, rng: Random) -> list[Act]:
    """The kettle and the radio at eight, neither because of the other."""
    acts = usual(rng)
    acts += use(KETTLE, rng.gauss(20.0, 0.1), 0.4) if rng.random() < 0.9 else []
    return acts + (use(RADIO, rng.gauss(20.08, 0.1), 1.5) if rng.random() < 0.9 else [])


def lived(day: object = kettle_and_radio, days: int = DAYS, **options: object) -> Life:
    life = Life(Goals(**options)).begin((KETTLE, RADIO, LAMP, "binary_sensor.hall_door"))
    return life.days(days, day)


@pytest.fixture(scope="module")
def kettle_home() -> str:
    return lived().snapshot()


@pytest.fixture
def kettle(kettle_home: str) -> Life:
    """A home that has learned about the kettle, at noon of the next day."""
    life = Life().begin((KETTLE, RADIO, LAMP, "binary_sensor.hall_door"))
    life.goals.load(json.loads(kettle_home))
    life.at = MONDAY + timedelta(days=DAYS, hours=12)
    return life


# -- proposing ---------------------------------------------------------------------------------------------


def test_an_implication_is_proposed_once_with_its_evidence() -> None:
    life = lived()
    (goal,) = life.proposed
    assert (goal.first.key, [s.pattern.key for s in goal.steps]) == (
        "switch.kettle=on",
        ["media_player.radio=playing"],
    )
    evidence = goal.steps[0].evidence
    assert evidence is not None
    assert evidence.k <= evidence.n <= 24  # on four of five days
    assert evidence.probability > 0.75 > 0.3 > evidence.without
    assert 0.3 < evidence.npmi <= 1.0
    assert evidence.p < 1e-3
    assert evidence.q <= 0.05
    assert evidence.first_day < evidence.last_day
    assert 60 < evidence.delay_s[1] < 180
    assert "switch on kettle" in goal.title
    assert "start radio" in goal.title
    assert len(goal.title) <= 255
    assert Goal.from_dict(goal.to_dict()) == goal


def test_two_habits_of_the_same_hour_are_no_goal() -> None:
    life = lived(two_evening_habits, 45)
    assert life.proposed == []
    first, follow = life.goals._past.occasions((KETTLE, "on")).cases, life.goals._past
    counts = follow.tally(((KETTLE, "on"), (RADIO, "playing"))).all
    assert len(first) > 30
    assert counts.k / counts.n > 0.5  # it does follow, most of the time


def test_what_an_automation_does_is_no_habit() -> None:
    life = Life(origin=Origin.AUTOMATION).begin((KETTLE, RADIO)).days(DAYS, kettle_and_radio)
    assert life.proposed == []


def test_unknown_origins_count_where_that_is_asked_for() -> None:
    silent = Life(Goals(), origin=Origin.UNKNOWN).begin((KETTLE, RADIO)).days(DAYS, kettle_and_radio)
    asked = Life(Goals(include_unknown=True), origin=Origin.UNKNOWN).begin((KETTLE, RADIO))
    asked.days(DAYS, kettle_and_radio)
    assert silent.proposed == []
    assert [g.first.target for g in asked.proposed] == [KETTLE]


def test_a_habit_that_ends_is_given_up() -> None:
    life = lived()

    def without_radio(_number: int, rng: Random) -> list[Act]:
        return usual(rng) + use(KETTLE, rng.uniform(9, 20), 0.4)

    life.days(60, without_radio, start=DAYS)
    assert [r.goal_id for r in life.retired] == [life.proposed[0].id]
    assert life.goals.established == {}


# -- saying so ---------------------------------------------------------------------------------------------


def test_it_is_said_when_it_begins_and_withdrawn_when_it_is_done(kettle: Life) -> None:
    (said,) = kettle.act(KETTLE, "on", kettle.at)
    assert isinstance(said, Implied)
    assert [(a.entity_id, a.state) for a in said.actions] == [(RADIO, "playing")]
    assert said.probability >= said.threshold == pytest.approx(0.667)
    assert said.evidence["steps"][0]["k"] > 10
    assert timedelta(minutes=1) < said.lasts <= timedelta(minutes=15)
    assert kettle.act(LAMP, "on", kettle.at + MINUTE) == []
    (over,) = kettle.act(RADIO, "playing", kettle.at + MINUTE)
    assert over == Withdrawn(said.goal.id, said.occasion, "all of it has been done")
    assert kettle.act(RADIO, "off", kettle.at + MINUTE) == []


def test_it_is_withdrawn_when_the_first_action_is_taken_back(kettle: Life) -> None:
    (said,) = kettle.act(KETTLE, "on", kettle.at)
    (over,) = kettle.act(KETTLE, "off", kettle.at + MINUTE)
    assert isinstance(over, Withdrawn)
    assert (over.occasion, "put back" in over.why) == (said.occasion, True)


def test_what_is_so_already_is_not_suggested(kettle: Life) -> None:
    kettle.act(RADIO, "playing", kettle.at)
    assert kettle.act(KETTLE, "on", kettle.at + 30 * MINUTE) == []


def test_what_can_not_be_reached_is_not_suggested(kettle: Life) -> None:
    kettle.act(RADIO, "unavailable", kettle.at)
    assert kettle.act(KETTLE, "on", kettle.at + MINUTE) == []


def test_an_automation_begins_nothing(kettle: Life) -> None:
    assert kettle.act(KETTLE, "on", kettle.at, Origin.AUTOMATION) == []


def test_an_interruption_can_cost_too_much(kettle: Life) -> None:
    dear = kettle.reloaded(Goals(interruption=lambda context: 1.0 if context.hour < 18 else 0.0))
    assert dear.act(KETTLE, "on", kettle.at) == []
    dear.act(KETTLE, "off", kettle.at + MINUTE)
    assert len(dear.act(KETTLE, "on", kettle.at + timedelta(hours=7))) == 1


# -- rooms -------------------------------------------------------------------------------------------------

ROOMS = ("living_room", "bedroom", "study", "nursery")


def films(_number: int, rng: Random) -> list[Act]:
    """Films in three rooms, of which two are dimmed and the nursery is not; none in the study yet."""
    acts = usual(rng)
    for room in ("living_room", "bedroom", "nursery"):
        if rng.random() < 0.4:
            hour = rng.uniform(17, 21)
            acts += use(f"media_player.{room}_tv", hour, 2.0, device_class="tv")
            dims = room != "nursery" and rng.random() < 0.95
            acts += use(f"light.{room}_lamp", hour + 0.02, 2.7, brightness=40) if dims else []
    return acts


@pytest.fixture(scope="module")
def films_home() -> Life:
    things = [
        f"{kind}.{room}_{name}"
        for room in ROOMS
        for kind, name in (("media_player", "tv"), ("light", "lamp"))
    ]
    life = Life().begin([e for e in things if e.startswith("light")])
    life.begin([e for e in things if e.startswith("media")], device_class="tv")
    return life.days(45, films)


def test_one_goal_serves_every_room_but_one_that_contradicts(films_home: Life) -> None:
    goals = list(films_home.goals.established.values())
    (goal,) = [g for g in goals if g.first.target == "media_player.tv" and g.first.verb == "playing"]
    assert goal.first.any_room
    assert [(s.pattern.target, s.pattern.verb, s.value) for s in goal.steps] == [("light", "dim", 40.0)]
    assert goal.except_rooms == ("nursery",)
    assert {a[0] for a, _ in films_home.goals.serves(goal, films_home.home)} == {
        "media_player.living_room_tv", "media_player.bedroom_tv", "media_player.study_tv",
    }  # fmt: skip
    assert "in any room" in goal.title


@pytest.mark.parametrize(("room", "heard"), [("study", True), ("bedroom", True), ("nursery", False)])
def test_the_suggestion_is_for_the_room_where_it_begins(films_home: Life, room: str, heard: bool) -> None:
    life = films_home.reloaded(Goals())
    at = MONDAY + timedelta(days=45, hours=19)
    found = life.act(f"media_player.{room}_tv", "playing", at, device_class="tv")
    actions = [
        (a.entity_id, a.state, dict(a.attributes)) for f in found if isinstance(f, Implied) for a in f.actions
    ]
    assert actions == ([(f"light.{room}_lamp", "on", {"brightness": 40.0})] if heard else [])


def test_of_several_lights_in_a_new_room_the_one_that_is_called_alike_is_meant(films_home: Life) -> None:
    life = films_home.reloaded(Goals())
    life.begin(["light.study_spots", "light.study_shelf"])
    life.days(1, films, start=45, seed=2)  # a night, in which the rooms are gone through
    at = MONDAY + timedelta(days=46, hours=19)
    found = life.act("media_player.study_tv", "playing", at, device_class="tv")
    actions = [a.entity_id for f in found if isinstance(f, Implied) for a in f.actions]
    assert actions == ["light.study_lamp"]


# -- levels ------------------------------------------------------------------------------------------------


def test_a_level_is_taken_over_from_the_first_action() -> None:
    def one_lamp_then_the_other(_number: int, rng: Random) -> list[Act]:
        hour, level = rng.uniform(9, 20), rng.choice([30, 60, 90, 120])
        first = use("light.ceiling", hour, 0.5, brightness=level)
        return (
            usual(rng) + first + use("light.floor", hour + 0.02, 1.0, brightness=level + rng.randint(-3, 3))
        )

    life = Life().begin(("light.ceiling", "light.floor")).days(DAYS, one_lamp_then_the_other)
    (step,) = next(g for g in life.goals.established.values() if g.first.target == "light.ceiling").steps
    assert (step.pattern.key, step.carried) == ("light.floor=dim", True)
    found = life.act("light.ceiling", "on", life.at + timedelta(hours=12), brightness=77)
    actions = [dict(a.attributes) for f in found if isinstance(f, Implied) for a in f.actions]
    assert actions == [{"brightness": 77}]


def test_the_heating_is_turned_down_where_it_is_warmer() -> None:
    heating, door = "climate.hall", "lock.front"

    def leaving_turns_it_down(_number: int, rng: Random) -> list[Act]:
        hour = rng.uniform(9, 18)
        acts: list[Act] = [(hour, door, "unlocked"), (hour + 0.5, door, "locked")]
        acts += [(hour + 0.52, heating, "heat", {"temperature": 17.0})]
        return usual(rng) + acts + [(hour + 3, heating, "heat", {"temperature": 21.0})]

    life = Life(levels=True).begin((door,))
    life.act(heating, "heat", life.at, temperature=21.0)
    life.days(DAYS, leaving_turns_it_down)
    at = life.at + timedelta(hours=12)
    life.act(door, "unlocked", at)
    said = [f for f in life.act(door, "locked", at + MINUTE * 30) if isinstance(f, Implied)]
    actions = [(a.entity_id, a.state, dict(a.attributes)) for f in said for a in f.actions]
    assert actions == [(heating, "heat", {"temperature": 17.0})]
    (over,) = life.act(heating, "heat", at + MINUTE * 31, temperature=17.0)
    assert isinstance(over, Withdrawn)
    life.act(door, "unlocked", at + MINUTE * 120)
    assert life.act(door, "locked", at + MINUTE * 150) == []  # it is down already


# -- several steps -----------------------------------------------------------------------------------------

LEAVING = ("climate.heating", "light.kitchen", "lock.door", "cover.garage", "alarm_control_panel.home")
LEFT = ("off", "off", "locked", "closed", "armed_away")


def leaving(_number: int, rng: Random) -> list[Act]:
    """Come at any hour, leave two hours later: five things, the first three in any order."""
    if rng.random() < 0.2:
        return usual(rng)
    hour = rng.uniform(8, 19)
    here = zip(LEAVING, ("heat", "on", "unlocked", "open", "disarmed"), strict=True)
    acts: list[Act] = [(hour + 0.5 * rng.random(), entity_id, state) for entity_id, state in here]
    order = [*rng.sample(range(3), 3), 3, 4]
    acts += [(hour + 2.5 + 0.02 * n, LEAVING[i], LEFT[i]) for n, i in enumerate(order)]
    return acts + usual(rng)


@pytest.fixture(scope="module")
def leavers() -> Life:
    return Life().begin(LEAVING).days(40, leaving)


def test_a_chain_offers_what_is_left_to_do_and_revises_it(leavers: Life) -> None:
    life = leavers.reloaded(Goals())
    at = MONDAY + timedelta(days=41, hours=12)
    for entity_id, state in zip(LEAVING, ("heat", "on", "unlocked", "open", "disarmed"), strict=True):
        life.act(entity_id, state, at)
    at += timedelta(hours=2)
    said = [f for f in life.act("light.kitchen", "off", at) if isinstance(f, Implied)]
    offered = {a.entity_id for f in said for a in f.actions}
    assert offered == set(LEAVING) - {"light.kitchen"}
    revised = [f for f in life.act("lock.door", "locked", at + MINUTE) if isinstance(f, Implied)]
    assert {f.occasion for f in revised} <= {f.occasion for f in said}
    assert {a.entity_id for f in revised for a in f.actions} == offered - {"lock.door"}
    for n, i in enumerate((0, 3, 4)):
        last = life.act(LEAVING[i], LEFT[i], at + MINUTE * (2 + n))
    assert [type(f) for f in last] == [Withdrawn]


def test_a_chain_is_few_goals(leavers: Life) -> None:
    leave = [g for g in leavers.goals.established.values() if "alarm_control_panel.home=armed_away" in
             {s.pattern.key for s in g.steps}]  # fmt: skip
    assert len(leave) <= 3  # any of the first three steps may begin it
    assert max(len(g.steps) for g in leave) == 4


# -- the contract ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_contract(check: object) -> None:
    check(Goals)  # type: ignore[operator]


@pytest.mark.parametrize("cut", [12, 15])
def test_a_snapshot_and_the_rest_give_what_the_whole_gives(cut: int) -> None:
    life = lived(days=cut)
    other = life.reloaded(Goals())
    seen = len(life.found)
    for one in (life, other):
        one.days(10, kettle_and_radio, start=cut, seed=5)
    assert life.found[seen:] == other.found != []
    assert life.snapshot() == other.snapshot()


def test_scoring_says_the_same_twice_and_changes_nothing(kettle: Life) -> None:
    event = kettle.home.apply(StateChange(KETTLE, "on", kettle.at, kettle.at, origin=Origin.PHYSICAL))
    context = CALENDAR.context(kettle.at, Occupancy.HOME)
    before = kettle.snapshot()
    first = list(kettle.goals.score_one(event, kettle.home, context))
    assert first
    assert list(kettle.goals.score_one(event, kettle.home, context)) == first
    assert kettle.snapshot() == before


def test_a_proposal_that_was_not_said_yet_survives_a_restart() -> None:
    life = Life().begin((KETTLE, RADIO, LAMP, "binary_sensor.hall_door"))
    rng = Random(1)
    while not life.goals._news:  # the tick that concludes; the next one says it
        at = MONDAY + timedelta(days=life.at.toordinal() - MONDAY.toordinal() + 1)
        for hour, entity_id, state, *more in sorted(kettle_and_radio(0, rng), key=lambda a: a[0]):
            life.act(entity_id, state, at + timedelta(hours=hour), **(more[0] if more else {}))
        for minute in range(60):
            life.step(Tick(at + timedelta(hours=28, minutes=minute)))
            if life.goals._news:
                break
    other = life.reloaded(Goals())
    found = [one.step(Tick(life.at + MINUTE)) for one in (life, other)]
    assert [type(f) for f in found[0]] == [Proposed]
    assert found[0] == found[1]
    assert life.step(Tick(life.at + MINUTE)) == []


def test_forgetting_a_thing_ends_its_goals(kettle: Life) -> None:
    kettle.goals.forget(RADIO)
    assert kettle.goals.established == {}
    assert RADIO not in kettle.snapshot()
    assert kettle.act(KETTLE, "on", kettle.at) == []


def test_a_renamed_thing_keeps_its_goals(kettle: Life) -> None:
    kettle.goals.rename(RADIO, "media_player.wireless")
    kettle.home.rename(RADIO, "media_player.wireless")
    assert RADIO not in kettle.snapshot()
    (said,) = kettle.act(KETTLE, "on", kettle.at)
    assert isinstance(said, Implied)
    assert [a.entity_id for a in said.actions] == ["media_player.wireless"]


def test_bad_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        Goals(horizon_min=0)
    with pytest.raises(ValueError, match="annoyance"):
        Goals(annoyance=-1)


def test_a_tick_without_anything_learned_says_nothing() -> None:
    assert Life().step(Tick(MONDAY)) == []
