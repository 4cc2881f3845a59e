"""What ActionSurprise finds dear, what cheap, and that it keeps the contract."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Hashable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.counting import pack, unpack
from hunches import ActionSurprise
from hunches.backoff import BackOff

EVEN = math.log(2)  # no evidence either way
Event = tuple[dict[str, Any], Hashable]

MORNING = [
    ("bath", "on"),
    ("bath", "off"),
    ("kettle", "on"),
    ("kettle", "off"),
    ("door", "open"),
    ("door", "shut"),
]
EVENING = [("door", "open"), ("door", "shut"), ("lamp", "on"), ("tv", "on"), ("tv", "off"), ("lamp", "off")]


def session(actions: list[Hashable], hour: int, weekday: int, rng: random.Random) -> list[Event]:
    """Return actions a minute or two apart, as events that know those before them."""
    events: list[Event] = []
    history: tuple[Hashable, ...] = ()
    for y in actions:
        x: dict[str, Any] = {"history": history, "hour": hour, "weekday": weekday}
        if history:
            x["elapsed_s"] = rng.uniform(60.0, 120.0)
        events.append((x, y))
        history = (*history, y)
    return events


def days(n: int = 60, seed: int = 1) -> list[list[Event]]:
    rng = random.Random(seed)
    out = []
    for day in range(n):
        out.append(session(list(MORNING), rng.choice((6, 7, 8)), day % 7, rng))
        out.append(session(list(EVENING), rng.choice((18, 19, 20)), day % 7, rng))
    return out


@pytest.fixture(scope="module")
def home() -> ActionSurprise:
    model = ActionSurprise()
    for events in days():
        for x, y in events:
            model.learn_one(x, y)
    return model


def evening(actions: list[Hashable]) -> list[Event]:
    return session(actions, 19, 2, random.Random(5))


class TestDearAndCheap:
    def test_what_the_home_always_does_is_cheap(self, home: ActionSurprise) -> None:
        assert all(home.score_one(x, y) < EVEN for events in days(5, seed=2) for x, y in events)

    def test_a_rare_action_at_its_place_and_time_is_no_anomaly(self) -> None:
        model = ActionSurprise()
        rng = random.Random(3)
        rare = [("lamp", "on"), ("iron", "on"), ("iron", "off"), ("lamp", "off")]
        for i, events in enumerate(days(90)):
            for x, y in events + (session(list(rare), 20, i % 7, rng) if i % 20 == 0 else []):
                model.learn_one(x, y)
        assert all(model.score_one(x, y) < EVEN for x, y in session(list(rare), 20, 3, rng)[1:3])

    def test_an_unknown_action_is_dear(self, home: ActionSurprise) -> None:
        x, _ = evening(list(EVENING))[2]
        assert home.score_one(x, ("safe", "open")) > 3 * EVEN

    def test_an_unknown_action_on_a_known_device_is_dear(self, home: ActionSurprise) -> None:
        x, _ = evening(list(EVENING))[3]
        assert home.score_one(x, ("tv", "burning")) > 3 * EVEN

    def test_an_unusual_hour_is_dear(self, home: ActionSurprise) -> None:
        x, y = evening(list(EVENING))[2]
        assert home.score_one({**x, "hour": 7}, y) > home.score_one(x, y) + 2.0

    def test_an_hour_when_nothing_ever_happens_is_dear(self, home: ActionSurprise) -> None:
        x, y = evening(list(EVENING))[2]
        assert home.score_one({**x, "hour": 3}, y) > 2.0

    def test_an_unusual_gap_is_dear(self, home: ActionSurprise) -> None:
        x, y = evening(list(EVENING))[3]
        assert home.score_one({**x, "elapsed_s": 30_000.0}, y) > 2.0

    def test_off_without_on_lacks_its_company(self, home: ActionSurprise) -> None:
        x = {"history": (("door", "open"), ("door", "shut")), "hour": 19, "weekday": 2}
        assert home.explain_one(x, ("tv", "off"))["company"] > 2.0
        assert home.score_one(x, ("tv", "off")) > 4.0

    def test_what_never_goes_together_is_dear(self) -> None:
        model = ActionSurprise()
        for i in range(200):
            window = i % 2 == 0
            model.learn_one(
                {"open": frozenset({"window"} if window else {"fan"})}, "vent" if window else "heat"
            )
        assert model.score_one({"open": frozenset({"window"})}, "heat") > 3.0
        assert model.score_one({"open": frozenset({"fan"})}, "heat") < EVEN

    def test_switching_off_what_is_off_is_dear(self) -> None:
        model = ActionSurprise()
        for i in range(100):
            on = i % 2 == 0
            model.learn_one(
                {"open": frozenset() if on else frozenset({"lamp"})}, ("lamp", "on" if on else "off")
            )
        assert model.explain_one({"open": frozenset()}, ("lamp", "off"))["open"] > 2.0
        assert model.explain_one({"open": frozenset({"lamp"})}, ("lamp", "off"))["open"] < 0.0

    def test_interleaving_two_residents_is_cheaper_than_an_unknown_order(self, home: ActionSurprise) -> None:
        mixed: list[Hashable] = [("lamp", "on"), ("kettle", "on"), ("tv", "on"), ("kettle", "off")]
        swapped: list[Hashable] = [("lamp", "on"), ("kettle", "off"), ("tv", "on"), ("kettle", "on")]
        assert home.score_sequence(evening(mixed)) < home.score_sequence(evening(swapped))


class TestSequences:
    def test_a_foreign_stretch_is_dearer_than_any_usual_sequence(self, home: ActionSurprise) -> None:
        usual = max(home.score_sequence(events) for events in days(10, seed=4))
        odd = evening([*EVENING[:3], ("kettle", "off"), ("bath", "off"), *EVENING[3:]])
        assert home.score_sequence(odd) > usual + 2.0

    def test_one_event_scores_as_itself(self, home: ActionSurprise) -> None:
        event = evening(list(EVENING))[0]
        assert home.score_sequence([event]) == pytest.approx(home.score_one(*event))

    def test_a_history_cut_short_is_made_good(self) -> None:
        whole, cut = ActionSurprise(), ActionSurprise()
        short = [[({**x, "history": x["history"][-1:]}, y) for x, y in events] for events in days(20)]
        for events, cut_events in zip(days(20), short, strict=True):
            for (x, y), (cut_x, _) in zip(events, cut_events, strict=True):
                assert cut.score_one(cut_x, y) == whole.score_one(x, y)
                whole.learn_one(x, y)
                cut.learn_one(cut_x, y)
        assert cut.score_sequence(short[0]) == whole.score_sequence(days(20)[0])

    def test_nothing_is_no_surprise(self, home: ActionSurprise) -> None:
        assert home.score_sequence([]) == 0.0

    def test_long_usual_sequences_stay_cheap(self, home: ActionSurprise) -> None:
        long = [event for events in days(40, seed=6) for event in events]
        assert home.score_sequence(long) < 1.0


class TestContract:
    def test_first_event_tells_nothing_either_way(self) -> None:
        model = ActionSurprise()
        assert model.score_one({}, "a") == pytest.approx(math.log(2))
        x = {"history": ("b",), "elapsed_s": 3.0, "open": frozenset({"b"}), "hour": 3, "weekday": 1}
        assert model.score_one(x, ("a", 1)) == pytest.approx(math.log(2))

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_any_event_has_a_finite_surprise(self, data: st.DataObject) -> None:
        action = st.sampled_from(["a", "b", ("d", "on"), ("d", "off"), ("e", 1), 3, None])
        x = st.fixed_dictionaries({}, optional={
            "history": st.lists(action, max_size=20).map(tuple), "elapsed_s": st.floats(-10, 1e9) | st.none(),
            "open": st.frozensets(st.sampled_from("abde")), "hour": st.integers(0, 23) | st.floats(0, 23.9),
            "weekday": st.integers(0, 6) | st.none(), "mode": st.sampled_from(["home", "away"]),
        })  # fmt: skip
        model = ActionSurprise(half_life=3.0, max_contexts=8, max_actions=3)
        for features, y in data.draw(st.lists(st.tuples(x, action), max_size=40)):
            parts = model.explain_one(features, y)
            assert all(math.isfinite(v) for v in parts.values())
            assert 0.0 <= model.score_one(features, y) < 200.0
            model.learn_one(features, y)

    def test_scoring_changes_nothing(self, home: ActionSurprise) -> None:
        before = json.dumps(home.to_dict())
        events = evening([("safe", "open"), *EVENING])
        given_events = copy.deepcopy(events)
        first = home.score_sequence(events)
        assert home.score_sequence(events) == first
        assert json.dumps(home.to_dict()) == before
        assert events == given_events

    def test_learning_leaves_its_input_alone(self) -> None:
        x = {"history": ("b", "a"), "hour": 3, "open": frozenset({"c"})}
        given_x = copy.deepcopy(x)
        ActionSurprise().learn_one(x, "a")
        assert x == given_x

    def test_a_snapshot_carries_on_as_if_nothing_had_happened(self) -> None:
        one, events = ActionSurprise(), [e for day in days(12) for e in day]
        for x, y in events[:70]:
            one.learn_one(x, y)
        two = ActionSurprise()
        two.load(json.loads(json.dumps(one.to_dict())))
        for x, y in events[70:]:
            assert one.score_one(x, y) == two.score_one(x, y)
            one.learn_one(x, y)
            two.learn_one(x, y)
        assert one.to_dict() == two.to_dict()

    def test_same_events_same_model(self) -> None:
        snapshots = []
        for _ in range(2):
            model = ActionSurprise(max_contexts=20, max_actions=5)
            for day in days(8):
                for x, y in day:
                    model.learn_one({**x, "open": frozenset({"b", "a", "c"})}, y)
            snapshots.append(json.dumps(model.to_dict()))
        assert snapshots[0] == snapshots[1]

    def test_actions_that_json_cannot_carry_are_refused(self) -> None:
        model = ActionSurprise()
        model.learn_one({}, b"bytes")
        with pytest.raises(TypeError, match="bytes"):
            model.to_dict()

    @pytest.mark.parametrize("value", ["a", 1, 2.5, None, ("a", 1), (("a",), ()), frozenset({"a", "b"}), ()])
    def test_pack_is_undone_by_unpack(self, value: Hashable) -> None:
        assert unpack(json.loads(json.dumps(pack(value)))) == value

    @pytest.mark.parametrize("bad", [{"half_life": 0.0}, {"max_contexts": 0}, {"max_actions": 1}])
    def test_bad_parameters_are_refused(self, bad: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=next(iter(bad))):
            ActionSurprise(**bad)

    def test_memory_is_bounded(self) -> None:
        model, rng = ActionSurprise(max_contexts=50, max_actions=20), random.Random(1)
        sizes = []
        for i in range(5000):
            history = tuple((rng.randrange(150), 1) for _ in range(20))
            x = {"history": history, "hour": i % 24, "open": frozenset({rng.randrange(500)}), "elapsed_s": i}
            model.learn_one(x, (rng.randrange(150), 1))
            if i in (2500, 4999):
                sizes.append(len(json.dumps(model.to_dict())))
        assert sizes[1] < 1.1 * sizes[0]


class TestForgetting:
    def test_a_new_habit_replaces_the_old_one(self) -> None:
        model = ActionSurprise(half_life=50.0)
        for i in range(600):
            model.learn_one({"hour": 7 if i < 300 else 21}, ("lamp", "on") if i % 2 else ("tv", "on"))
        assert model.score_one({"hour": 21}, ("lamp", "on")) < EVEN
        assert model.score_one({"hour": 7}, ("lamp", "on")) > 1.5

    def test_starting_the_weights_over_changes_no_score(self) -> None:
        fast = ActionSurprise(half_life=5.0)  # weights start over after 200 events
        for before, after in pairwise([e for day in days(40) for e in day]):
            fast.learn_one(*before)
            assert 0.0 <= fast.score_one(*after) < 100.0
        assert fast.score_one(*days(1, seed=9)[0][1]) < EVEN


class TestBackOff:
    def test_an_unknown_context_is_the_coarser_one(self) -> None:
        table = BackOff()
        for i in range(40):
            table.learn_one(["x"], "a" if i % 4 else "b")
        assert table.p(["y"], "a") == table.p((), "a")

    def test_known_values_and_the_unknown_add_up_to_one(self) -> None:
        table, rng = BackOff(), random.Random(1)
        for _ in range(100):
            context = rng.randrange(3)
            table.learn_one([context], rng.randrange(5) * context)
        values = {context * k for context in range(3) for k in range(5)}
        assert sum(table.p([1], v) for v in values) + table.p_new() == pytest.approx(1.0)

    def test_contexts_that_are_alike_are_pooled_and_others_kept_apart(self) -> None:
        alike, apart, rng = BackOff(), BackOff(), random.Random(1)
        for _ in range(400):
            context, value = rng.randrange(20), rng.randrange(2)
            alike.learn_one([context], value)
            apart.learn_one([context], context % 2)
        alike.learn_one(["new"], 1)
        apart.learn_one(["new"], 1)
        # one event: pooled, it hardly moves the even odds; kept apart, it counts as much as the prior of 1
        assert alike.p(["new"], 1) == pytest.approx(0.5, abs=0.06)
        assert apart.p(["new"], 1) == pytest.approx(0.75, abs=0.06)
