from __future__ import annotations

import copy
import json
import random
from collections.abc import Hashable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latent_goals import NextAction

Events = list[tuple[dict[str, Any], Hashable]]

EVENING = (("door", "on"), ("door", "off"), ("lamp", "on"), ("tv", "on"), ("tv", "off"), ("lamp", "off"))


def home(days: int, seed: int = 1) -> Events:
    """Return evenings at home in which the kettle may be switched on and off at any point."""
    rng, events = random.Random(seed), Events()
    history: tuple[Hashable, ...] = ()
    on: set[str] = set()
    for day in range(days):
        actions: list[tuple[str, str]] = list(EVENING)
        at = rng.randrange(len(actions))
        actions[at:at] = [("kettle", "on"), ("kettle", "off")]
        for i, y in enumerate(actions):
            x = {"history": history, "hour": 18 + i // 3, "weekday": day % 7, "open": frozenset(on)}
            x["elapsed_s"] = rng.choice([5.0, 60.0, 900.0]) if i else 80_000.0
            events.append((x, y))
            history = (*history, y)[-10:]
            on = on | {y[0]} if y[1] == "on" else on - {y[0]}
    return events


def learned(events: Events, model: NextAction | None = None) -> NextAction:
    model = model or NextAction()
    for x, y in events:
        model.learn_one(x, y)
    return model


def snapshot(model: NextAction) -> str:
    return json.dumps(model.to_dict(), sort_keys=True)


def test_it_knows_nothing_before_the_first_action() -> None:
    assert NextAction().predict_proba_one({}) == {}
    assert NextAction().predict_proba_one({"hour": 7, "open": frozenset({"lamp"})}) == {}


def test_one_action_seen_once_is_all_it_can_say() -> None:
    model = learned([({}, "coffee")])
    assert model.predict_proba_one({"hour": 3}) == {"coffee": 1.0}


def test_it_follows_the_longer_history() -> None:
    # After "b" comes "c" where "a" was before, else "d": the last action alone says nothing.
    rng, events = random.Random(2), Events()
    for _ in range(60):
        first, then = rng.choice([("a", "c"), ("z", "d")])
        events += [({"history": ()}, first), ({"history": (first,)}, "b"), ({"history": (first, "b")}, then)]
    model = learned(events)
    assert model.predict_proba_one({"history": ("a", "b")})["c"] > 0.9
    assert model.predict_proba_one({"history": ("z", "b")})["d"] > 0.9


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        ({"hour": 7}, {"hour": 21}),
        ({"hour": 7, "weekday": 1}, {"hour": 7, "weekday": 6}),
        ({"elapsed_s": 3.0}, {"elapsed_s": 7_000.0}),
        ({"motion": "hall"}, {"motion": "kitchen"}),
        ({"open": frozenset({"sensor.hall"})}, {"open": frozenset({"sensor.kitchen"})}),
    ],
)
def test_it_tells_circumstances_apart(mine: dict[str, Any], other: dict[str, Any]) -> None:
    rng = random.Random(3)
    history = ("start",)
    events: Events = [
        ({"history": history, **(mine if y == "lamp" else other)}, y)
        for y in (rng.choice(["lamp", "radio"]) for _ in range(80))
    ]
    model = learned(events)
    assert model.predict_proba_one({"history": history, **mine})["lamp"] > 0.9
    assert model.predict_proba_one({"history": history, **other})["radio"] > 0.9


def test_the_hours_beside_count_too() -> None:
    events: Events = [({"hour": 7}, "coffee") for _ in range(40)] + [({"hour": 21}, "tv") for _ in range(40)]
    model = learned(events)
    assert model.predict_proba_one({"hour": 8})["coffee"] > 0.6
    assert model.predict_proba_one({"hour": 20})["tv"] > 0.6


def test_what_is_on_can_only_go_off() -> None:
    model = learned(home(20))
    nothing_on = model.predict_proba_one({"open": frozenset(), "hour": 19})
    all_on = model.predict_proba_one({"open": frozenset({"lamp", "tv", "door", "kettle"}), "hour": 19})
    assert sum(p for (_, state), p in nothing_on.items() if state == "off") < 0.05
    assert sum(p for (_, state), p in all_on.items() if state == "on") < 0.05


def test_actions_may_be_text() -> None:
    events: Events = [({**x, "history": ()}, ":".join(y)) for x, y in home(20)]  # type: ignore[arg-type]
    p = learned(events).predict_proba_one({"open": frozenset({"lamp"})})
    assert p["lamp:on"] < 0.02 < p["lamp:off"]


def test_a_history_of_lists_is_one_of_pairs() -> None:
    model, x = learned(home(10)), home(11)[-1][0]
    as_json = json.loads(json.dumps({**x, "open": sorted(x["open"])}))
    assert model.predict_proba_one(as_json) == model.predict_proba_one(x)


def test_each_recent_action_adds_its_part() -> None:
    # "film" is followed by "dim", whatever lies between; the last actions are never the same twice.
    rng, events = random.Random(9), Events()
    for i in range(150):
        film = rng.random() < 0.5
        noise = tuple(f"step {rng.randrange(40)}" for _ in range(2))
        events.append(({"history": ("film" if film else "radio", *noise)}, "dim" if film else "volume"))
        events += [({"history": ()}, step) for step in noise if not i % 5]
    p = learned(events).predict_proba_one({"history": ("film", "step 98", "step 99")})
    assert p["dim"] > 0.6
    assert p["dim"] > 3.0 * p["volume"]


def test_it_unlearns_a_mask_that_the_home_contradicts() -> None:
    # Nobody ever sees the flush go off again, so it is "on" whenever it is used.
    events: Events = []
    for _ in range(40):
        for y in (("door", "on"), ("flush", "on"), ("door", "off")):
            events.append(({"open": frozenset({"flush"}), "history": ()}, y))
    assert learned(events).predict_proba_one({"open": frozenset({"flush"})})[("flush", "on")] > 0.2


def test_probabilities_are_calibrated_where_chance_decides() -> None:
    # After "a" comes "b" with 0.7 and "c" with 0.3; 0.7 ± 0.05 is three standard errors of 800 draws.
    rng, history = random.Random(4), ("a",)
    draws = ["b" if rng.random() < 0.7 else "c" for _ in range(800)]
    model = learned([({"history": history, "hour": i % 24}, y) for i, y in enumerate(draws)])
    hours = [model.predict_proba_one({"history": history, "hour": h})["b"] for h in range(24)]
    assert sum(hours) / 24 == pytest.approx(0.7, abs=0.05)
    assert min(hours) > 0.5


def test_other_homes_are_the_prior_and_fade_as_the_home_shows_its_own_ways() -> None:
    others = [
        [({"history": ()}, "door"), ({"history": ("door",)}, "lamp"), ({"history": ("door", "lamp")}, "tv")]
        * 5
        for _ in range(30)
    ]
    model, after_door = NextAction().fit(others), {"history": ("door",)}
    assert model.predict_proba_one(after_door)["lamp"] > 0.95
    for _ in range(40):
        model.learn_one({"history": ()}, "door")
        model.learn_one(after_door, "radio")
    p = model.predict_proba_one(after_door)
    assert p["radio"] > 0.9
    assert p["lamp"] < 0.1


def test_a_newcomer_has_the_prior_and_learns_for_itself() -> None:
    fitted = NextAction().fit([home(5, seed) for seed in range(4)])
    untouched, newcomer = snapshot(fitted), fitted.newcomer()
    x = home(1)[3][0]
    assert newcomer.predict_proba_one(x) == fitted.predict_proba_one(x)
    learned(home(5), newcomer)
    assert snapshot(fitted) == untouched


def test_fit_can_go_on() -> None:
    streams = [home(4, seed) for seed in range(4)]
    at_once = NextAction().fit(streams)
    in_parts = NextAction().fit(streams[:2]).fit(streams[2:])
    assert snapshot(at_once) == snapshot(in_parts)


def test_predicting_changes_nothing() -> None:
    model, x = learned(home(5)), home(6)[-1][0]
    given_x, before = copy.deepcopy(x), snapshot(model)
    model.predict_proba_one(x)
    assert x == given_x
    assert snapshot(model) == before


def test_predicting_before_learning_makes_no_difference() -> None:
    watched, unwatched = NextAction(), NextAction()
    for x, y in home(6):
        watched.predict_proba_one(x)
        watched.predict_proba_one({"hour": 5})
        watched.predict_proba_one(x)
        watched.learn_one(x, y)
        unwatched.learn_one(x, y)
    assert snapshot(watched) == snapshot(unwatched)


@pytest.mark.parametrize("prior", [False, True])
def test_a_snapshot_and_the_rest_are_as_good_as_the_whole(prior: bool) -> None:
    events = home(8)
    model = NextAction().fit([home(3, seed) for seed in (5, 6)]) if prior else NextAction()
    half = learned(events[:30], model)
    restored = NextAction()
    restored.load(json.loads(json.dumps(half.to_dict())))
    assert snapshot(learned(events[30:], restored)) == snapshot(learned(events[30:], half))
    assert restored.predict_proba_one(events[0][0]) == half.predict_proba_one(events[0][0])


def test_nothing_but_the_stream_decides() -> None:
    assert snapshot(learned(home(5))) == snapshot(learned(home(5)))


def test_memory_is_bounded() -> None:
    rng, model = random.Random(7), NextAction(max_contexts=200, max_actions=50)
    sizes = []
    for i in range(3_000):
        history = tuple(rng.randrange(500) for _ in range(6))
        model.learn_one({"history": history, "hour": i % 24, "weekday": i % 7}, rng.randrange(500))
        if i >= 1_000 and not i % 500:
            sizes.append(len(snapshot(model)))
    assert len(model.predict_proba_one({})) <= 50
    assert max(sizes) < 1.3 * min(sizes)


def test_counts_survive_the_rescaling_of_their_weights() -> None:
    # With a half-life of 10 events the weight of one passes 1e12 after 399.
    model = NextAction(half_life=10.0)
    for i in range(1_000):
        model.learn_one({"history": ("b" if i % 2 else "a",)}, "a" if i % 2 else "b")
    assert model.predict_proba_one({"history": ("a",)})["b"] > 0.95


def test_old_habits_fade() -> None:
    events: Events = [({"history": ("door",)}, "lamp")] * 200 + [({"history": ("door",)}, "radio")] * 60
    forgetful = learned(events, NextAction(half_life=20.0))
    assert forgetful.predict_proba_one({"history": ("door",)})["radio"] > 0.85


@pytest.mark.parametrize("bad", [{"half_life": 0.0}, {"max_contexts": 0}, {"max_actions": 1}])
def test_bad_parameters_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        NextAction(**bad)


VALUES = st.none() | st.integers(-5, 30) | st.floats() | st.text(max_size=3) | st.tuples(st.integers(0, 3))
XS = st.fixed_dictionaries(
    {},
    optional={
        "history": st.lists(VALUES, max_size=5).map(tuple) | st.none(),
        "elapsed_s": st.none() | st.floats() | st.integers(-10, 10**9),
        "open": st.frozensets(st.text(max_size=2), max_size=4) | st.none(),
        "hour": VALUES,
        "weekday": VALUES,
        "room": VALUES | st.lists(st.integers(), max_size=2),
    },
)
YS = (
    st.integers(0, 5)
    | st.sampled_from(["a:on", "a:off", "b"])
    | st.tuples(st.text(max_size=2), st.text(max_size=2))
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(XS, YS), max_size=12), XS)
def test_whatever_it_is_told_it_gives_a_distribution(events: Events, x: dict[str, Any]) -> None:
    model = learned(events)
    p = model.predict_proba_one(x)
    assert set(p) >= {y for _, y in events}
    assert all(0.0 <= q <= 1.0 for q in p.values())
    if p:
        assert sum(p.values()) == pytest.approx(1.0)


def test_the_history_of_an_unknown_home_speaks_for_itself() -> None:
    # Learned from homes that do little but what they just did; this one's actions are none of theirs.
    rng, events = random.Random(8), Events()
    for _ in range(60):
        favourites = rng.sample(range(100), 3)
        history: tuple[Hashable, ...] = ()
        for _ in range(10):
            y = rng.choice(favourites)
            events.append(({"history": history}, y))
            history = (*history, y)
    p = learned(events).predict_proba_one({"history": ("new", "newer", "new", "newer", "new", "newer")})
    assert set(sorted(p, key=p.__getitem__)[-2:]) == {"new", "newer"}


def test_a_snapshot_from_before_confidence_was_corrected_still_loads() -> None:
    # The correction changes how sure the likeliest is, and nothing else.
    events = home(8)
    model, older = learned(events[:-1]), NextAction()
    data = model.to_dict()
    del data["confidence"]
    older.load(json.loads(json.dumps(data)))
    x = events[-1][0]
    p, q = model.predict_proba_one(x), older.predict_proba_one(x)
    top = max(p, key=p.__getitem__)
    assert top == max(q, key=q.__getitem__)
    assert p.pop(top) != pytest.approx(q.pop(top), abs=1e-3)
    assert [v / sum(p.values()) for v in p.values()] == pytest.approx(
        [v / sum(q.values()) for v in q.values()]
    )


def test_a_newcomer_is_as_sure_as_experience_with_others_allows() -> None:
    fitted = NextAction().fit([home(3, seed) for seed in (5, 6)])
    assert fitted.newcomer().to_dict()["confidence"] == fitted.to_dict()["confidence"]
    assert fitted.to_dict()["confidence"] != NextAction().to_dict()["confidence"]


def test_what_others_do_with_such_a_device_is_likelier_than_with_one_that_is_not_here() -> None:
    def owner(device: str, seed: int) -> Events:
        rng, controls = random.Random(seed), ["start", "stop", "pause", "wash", "rinse", "dry"]
        return [({}, f"{device}:{rng.choice(controls)}") for _ in range(30)]

    others = [owner(device, seed) for seed in range(6) for device in ("Washer", "Blind", "Dryer")]
    model = NextAction().fit(others).newcomer()
    model.learn_one({}, "Blind:start")
    p = model.predict_proba_one({})
    assert min(q for a, q in p.items() if a.startswith("Blind")) > max(
        q for a, q in p.items() if not a.startswith("Blind")
    )
