from __future__ import annotations

import json
from collections.abc import Hashable
from math import log

import pytest

from devices.counting import Row, pack, unpack
from latent_goals.circumstances import gap_of, pause_of, sensors_on, views
from latent_goals.counted import Counts
from latent_goals.feasible import Feasible, entity_and_state
from latent_goals.lifts import Ladder
from latent_goals.pool import Pool
from latent_goals.regression import Regression
from latent_goals.weighing import Weights


def test_a_lift_is_the_log_ratio_to_the_coarser_context_but_for_a_constant() -> None:
    ladder = Ladder({"a": 0.2, "b": 0.8}, concentration=2.0)
    ladder.lift("last 1", {"a": 4.0}, 4.0)
    fine = ladder.lift("last 2", {"a": 1.0, "b": 1.0}, 2.0, "last 1")
    # p1(a) = (4 + 2 · 0.2) / 6 = 0.7333, p1(b) = 1.6 / 6 = 0.2667
    # p2(a) = (1 + 2 · 0.7333) / 4 = 0.6167, p2(b) = (1 + 2 · 0.2667) / 4 = 0.3833
    assert ladder.p("last 2", "a") == pytest.approx(0.61667, abs=1e-5)
    ratios = {a: log(ladder.p("last 2", a) / ladder.p("last 1", a)) for a in "ab"}
    assert fine["a"] - fine["b"] == pytest.approx(ratios["a"] - ratios["b"])


def test_a_ladder_leaves_out_what_the_base_does_not_know() -> None:
    ladder = Ladder({"a": 1.0}, concentration=1.0)
    assert set(ladder.lift("last 1", {"a": 1.0, "gone": 3.0}, 4.0)) == {"a"}
    assert ladder.p("never counted", "a") == 1.0


def test_weights_start_where_the_longest_name_says() -> None:
    weights = Weights({"": (0.0, 1.0), "last": (1.0, 1.0), "last 2": (2.0, 1.0)})
    base = {"a": 0.5, "b": 0.5}
    odds = []
    for name in ("hour", "last 1", "last 2"):
        p = weights.apply(base, [(name, {"a": 1.0})])
        odds.append(log(p["a"] / p["b"]))
    assert odds == pytest.approx([0.0, 1.0, 2.0])


def test_a_weight_takes_a_newton_step() -> None:
    weights, columns = Weights({"": (0.0, 1.0)}), [("hour", {"a": 2.0})]
    base = {"a": 0.5, "b": 0.5}
    weights.learn_one(weights.apply(base, columns), columns, "a")
    # mean 1, variance 0.5 · 4 - 1 = 1, precision 1 + 1 = 2, step (2 - 1) / 2 = 0.5; log odds 2 · 0.5 = 1
    p = weights.apply(base, columns)
    assert log(p["a"] / p["b"]) == pytest.approx(1.0)


def test_votes_are_shares_of_relative_frequencies() -> None:
    # 0.7 · 3 / (3 + 1) = 0.525; log(1 + 0.525 / 0.25)
    lifts = Pool().lifts({"a": 0.25, "b": 0.75}, [("last 1", {"a": 3.0}, 3.0)], unit=1.0)
    assert lifts == pytest.approx({"a": log(1.0 + 0.525 / 0.25)})


def test_shares_are_earned_by_kind_and_by_how_often_it_was_seen() -> None:
    pool, base = Pool(), {"a": 0.5, "b": 0.5}
    for _ in range(200):
        pool.learn_one(base, [("often", {"a": 20.0}, 20.0), ("once", {"b": 1.0}, 1.0)], "a", unit=1.0)
    right = pool.lifts(base, [("often", {"a": 20.0}, 20.0)], unit=1.0)["a"]
    wrong = pool.lifts(base, [("once", {"b": 1.0}, 1.0)], unit=1.0)["b"]
    often_once = pool.lifts(base, [("often", {"a": 1.0}, 1.0)], unit=1.0)["a"]
    assert right > 1.0
    assert often_once == pytest.approx(log(1.7))  # untaught: log(1 + 0.7 · ½ / ½)
    assert wrong < 0.2


def test_the_unit_of_the_counts_does_not_matter() -> None:
    base = {"a": 0.5, "b": 0.5}
    one = Pool().lifts(base, [("last 1", {"a": 3.0}, 3.0)], unit=1.0)
    assert Pool().lifts(base, [("last 1", {"a": 21.0}, 21.0)], unit=7.0) == pytest.approx(one)


def test_a_pause_lies_between_two_octaves() -> None:
    # log2(1 + 5) = 2.585: 0.415 of octave 2 and 0.585 of octave 3
    (view,) = [v for v in views({"elapsed_s": 5.0, "history": ("a",)}) if v.kind == "pause 1"]
    assert [share for _, share in view.shares] == pytest.approx([0.415, 0.585], abs=1e-3)
    (whole,) = [v for v in views({"elapsed_s": 7.0}) if v.kind == "pause 1"]
    assert [share for _, share in whole.shares] == [1.0]


@pytest.mark.parametrize(
    ("elapsed", "pause", "gap"),
    [
        (None, None, -1),
        (float("nan"), None, -1),
        ("soon", None, -1),
        (-3, 0.0, 0),
        (8, 8.0, 1),
        (1e6, 1e6, 5),
    ],
)
def test_pauses_fall_into_classes(elapsed: object, pause: float | None, gap: int) -> None:
    assert (pause_of({"elapsed_s": elapsed}), gap_of({"elapsed_s": elapsed})) == (pause, gap)


def test_what_is_acted_upon_is_no_sensor() -> None:
    assert sensors_on({"open": {"motion.hall", "light.hall"}}, {"light.hall": None}) == ["motion.hall"]


@pytest.mark.parametrize(
    ("action", "parts"),
    [
        (("light.desk", "on"), ("light.desk", "on")),
        ("light.desk=on", ("light.desk", "on")),
        ("Television:switch on", ("Television:switch", "on")),
        ("coffee", None),
        (7, None),
        (("a", "b", "c"), None),
    ],
)
def test_entities_of_actions(action: object, parts: object) -> None:
    assert entity_and_state(action) == parts  # type: ignore[arg-type]


def test_a_state_whose_name_says_nothing_is_learned() -> None:
    feasible = Feasible()
    feasible.add(("blind", "half"))
    assert feasible.odds(("blind", "half"), {"blind"}) == 0.5
    for _ in range(9):
        feasible.learn_one(("blind", "half"), {"blind"})
    # with half an occasion of one imagined: 9.5 of 10
    assert feasible.odds(("blind", "half"), {"blind"}) == pytest.approx(0.95)


def test_odds_of_several_actions_are_those_of_each() -> None:
    feasible = Feasible()
    for _ in range(3):
        feasible.learn_one(("lamp", "off"), {"lamp"})
    actions = [("lamp", "off"), "coffee"]
    # 3.95 of 4 occasions
    assert feasible.odds_of(actions, {"lamp"}) == pytest.approx({("lamp", "off"): 3.95 / 4, "coffee": 1.0})
    assert feasible.odds_of(actions, set()) == {a: feasible.odds(a, set()) for a in actions}
    assert feasible.odds_of(actions, None) == dict.fromkeys(actions, 1.0)


def test_forgetting_an_action_leaves_its_entity_to_the_others() -> None:
    feasible = Feasible()
    for action in (("lamp", "on"), ("lamp", "off")):
        feasible.add(action)
    feasible.forget(("lamp", "on"))
    assert list(feasible.actions_on["lamp"]) == [("lamp", "off")]
    feasible.forget(("lamp", "off"))
    assert not feasible.actions_on
    assert feasible.odds(("lamp", "off"), set()) == 1.0


def test_a_context_keeps_its_heaviest_values() -> None:
    counts = Counts(max_contexts=4, max_values=2)
    for value, weight in (("a", 2.0), ("b", 1.0), ("c", 3.0)):
        counts.add("evening", value, weight)
    row = counts.get("evening")
    assert row is not None
    assert row.weights == {"a": 2.0, "c": 3.0}
    assert row.total == 5.0


def test_rows_and_hashables_survive_json() -> None:
    row = Row()
    row.add(("lamp", "on"), 2.0)
    row.add(frozenset({"a", 1}), 0.5)
    again = Row.from_list(row.to_list())
    assert (again.weights, again.total) == (row.weights, row.total)
    assert unpack(pack((None, 1.5, ("a", frozenset({2}))))) == (None, 1.5, ("a", frozenset({2})))
    with pytest.raises(TypeError, match="no JSON form"):
        pack(object())


@pytest.mark.parametrize(
    ("action", "parts"),
    [
        (("light.desk", "on"), ("light.desk", "on")),
        ("light.desk:on", ("light.desk", "on")),
        ("light.desk=off", ("light.desk", "off")),
        ("Light desk OFF", ("Light desk", "OFF")),
        ("binary_sensor.door_closed", ("binary_sensor.door", "closed")),
        ("light.desk", None),
        ("watch_movie", None),
        (("light.desk", "on", 3), None),
        (17, None),
    ],
)
def test_what_an_action_is_read_as(action: Hashable, parts: tuple[str, str] | None) -> None:
    assert entity_and_state(action) == parts


@pytest.mark.parametrize(
    ("on", "off"), [("on", "off"), ("ON", "OFF"), (True, False), (1, 0), ("open", "closed")]
)
def test_names_of_states_are_believed_at_first(on: Hashable, off: Hashable) -> None:
    feasible = Feasible()
    feasible.add(("lamp", on))
    feasible.add(("lamp", off))
    assert feasible.odds(("lamp", on), {"lamp"}) < 0.1 < 0.9 < feasible.odds(("lamp", off), {"lamp"})


def test_a_regression_takes_an_adagrad_step() -> None:
    model, possible = Regression(max_features=4, max_actions=64), {"a": 0.5, "b": 0.5}
    model.learn_one(possible, ("f",), {}, "a")
    # p = ½ each; slopes -½ and ½; both sums of squares 0.1 + 0.25; step 0.15 · 0.5 / √0.35
    step = 0.15 * 0.5 / 0.35**0.5
    assert model.scores(("f",)) == pytest.approx({"a": step, "b": -step})
    assert model.scores(("f", "g", "f")) == pytest.approx({"a": 2 * step, "b": -2 * step})


def test_a_regression_adds_up_features_never_seen_together() -> None:
    model, possible = Regression(max_features=8, max_actions=64), dict.fromkeys("abc", 1.0)
    for _ in range(60):
        for features, y in ((("x", "1"), "a"), (("x", "2"), "b"), (("y", "1"), "b"), (("y", "2"), "c")):
            model.learn_one(possible, features, model.scores(features), y)
    z = model.scores(("x",))
    assert z["a"] > z["b"] > z["c"]


def test_what_is_not_possible_teaches_a_regression_nothing() -> None:
    model = Regression(max_features=4, max_actions=64)
    model.learn_one({"a": 1.0, "b": 1.0, "c": 0.0}, ("f",), {}, "a")
    assert set(model.scores(("f",))) == {"a", "b"}


def test_a_regression_forgets_the_feature_learned_least_recently() -> None:
    model = Regression(max_features=2, max_actions=64)
    for feature in "abac":
        model.learn_one({"tea": 1.0, "rum": 1.0}, (feature,), {}, "tea")
    assert [bool(model.scores((f,))) for f in "abc"] == [True, False, True]


def test_a_regression_forgets_the_action_learned_least_recently() -> None:
    model = Regression(max_features=2, max_actions=64)
    for y in ("tea", "rum", "tea"):
        model.learn_one({}, ("a",), {}, y)
    for i in range(63):
        model.learn_one({}, ("b",), {}, f"step {i}")
    assert set(model.scores(("a",))) == {"tea"}
    assert len(model.scores(("b",))) == 63
    model.learn_one({}, ("b",), {}, "rum")  # in tea's place
    assert model.scores(("a",)) == {}
    assert set(model.scores(("b",))) == {"rum", *(f"step {i}" for i in range(63))}


def test_a_snapshot_of_a_regression_learns_on_alike() -> None:
    model, copied = (Regression(max_features=4, max_actions=64) for _ in range(2))
    possible = {("lamp", "on"): 0.7, "tv": 0.3}
    for y in (("lamp", "on"), "tv", "tv"):
        model.learn_one(possible, ((), ("lately", "tv")), model.scores(((),)), y)
    copied.load(json.loads(json.dumps(model.to_dict())))
    for each in (model, copied):
        each.learn_one(possible, ((),), each.scores(((),)), "tv")
    assert copied.to_dict() == model.to_dict()
