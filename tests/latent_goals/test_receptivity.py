from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latent_goals.decision import Outcome
from latent_goals.receptivity import Receptivity, features

moments = st.fixed_dictionaries(
    {},
    optional={
        "hour": st.floats(0.0, 24.0),
        "weekend": st.booleans(),
        "activity": st.integers(0, 500),
        "prompts_hour": st.integers(0, 20),
        "prompts_day": st.integers(0, 50),
        "occupancy": st.sampled_from(["home", "away", "asleep"]),
    },
)
answers = st.lists(st.tuples(moments, st.sampled_from(list(Outcome))), max_size=40)
EVENING = {"hour": 20.0, "occupancy": "home"}


def test_what_everybody_would_say_at_first() -> None:
    model = Receptivity()
    assert model.predict_proba_one(EVENING) == pytest.approx(0.5)
    assert model.cost(EVENING) == 0.0
    asleep, away = ({**EVENING, "occupancy": o} for o in ("asleep", "away"))
    assert model.cost(asleep) > model.cost(away) > 0.3
    asked = [model.cost({**EVENING, "prompts_hour": n, "prompts_day": n}) for n in range(4)]
    assert asked == sorted(asked)
    assert 0.0 == asked[0] < asked[1] < 0.6


def test_one_answer_by_hand() -> None:
    # φ of an empty moment is the constant alone, whose prior is N(0, 1): v = 1, p = 1/2, and the variance
    # stays 1 while it fades. m = (1 - 1/2) / (1 + 1/4) = 0.4, the variance 1 - 1/4 / (1 + 1/4) = 0.8
    model = Receptivity()
    model.learn_one({}, Outcome.ACCEPTED)
    assert model.to_dict()["mean"][-1] == pytest.approx(0.4)
    assert model.to_dict()["covariance"][-1][-1] == pytest.approx(0.8)


def test_learns_the_hours() -> None:
    model, rng = Receptivity(), Random(1)
    for _ in range(300):
        hour = rng.uniform(6.0, 23.0)
        good = rng.random() < (0.8 if hour > 17 else 0.2)
        model.learn_one({"hour": hour}, Outcome.ACCEPTED if good else Outcome.IGNORED)
    assert model.predict_proba_one({"hour": 20.0}) > 0.65
    assert model.predict_proba_one({"hour": 9.0}) < 0.35
    assert model.cost({"hour": 9.0}) > 0.2 > model.cost({"hour": 20.0}) == 0.0


def test_midnight_is_no_edge() -> None:
    before, after = features({"hour": 23.999}), features({"hour": 0.001})
    assert before == pytest.approx(after, abs=0.01)


def test_a_resident_who_likes_to_be_woken() -> None:
    model = Receptivity()
    asleep = {"hour": 2.0, "occupancy": "asleep"}
    before = model.cost(asleep)
    for _ in range(20):
        model.learn_one(asleep, Outcome.ACCEPTED)
        model.learn_one(EVENING, Outcome.ACCEPTED)
    assert model.cost(asleep) < before / 2


def test_a_change_of_habit_is_followed() -> None:
    model = Receptivity(drift=0.01)
    for _ in range(200):
        model.learn_one({"hour": 8.0}, Outcome.IGNORED)
        model.learn_one({"hour": 20.0}, Outcome.ACCEPTED)
    for _ in range(200):
        model.learn_one({"hour": 8.0}, Outcome.ACCEPTED)
        model.learn_one({"hour": 20.0}, Outcome.IGNORED)
    assert model.predict_proba_one({"hour": 8.0}) > 0.5 > model.predict_proba_one({"hour": 20.0})


def test_a_bad_suggestion_does_not_make_its_hour_a_bad_one() -> None:
    plain, allowed = Receptivity(), Receptivity()
    for _ in range(20):
        plain.learn_one({"hour": 8.0}, Outcome.REJECTED)
        allowed.learn_one({"hour": 8.0}, Outcome.REJECTED, offset=-3.0)
    assert plain.predict_proba_one({"hour": 8.0}) < allowed.predict_proba_one({"hour": 8.0}) < 0.5


def test_explanation_adds_up() -> None:
    model = Receptivity()
    parts = model.explain({"hour": 20.0, "occupancy": "asleep", "prompts_hour": 1})
    # log 2 · -0.7, and -2.5 for being asleep
    assert parts["prompts_hour"] == pytest.approx(-0.485, abs=0.001)
    assert parts["asleep"] == -2.5
    assert sum(parts.values()) == pytest.approx(-2.985, abs=0.001)


def test_what_nobody_saw_teaches_nothing() -> None:
    model = Receptivity()
    model.learn_one(EVENING, Outcome.WITHDRAWN)
    assert model.to_dict() == Receptivity().to_dict()


@settings(deadline=None)
@given(answers, moments)
def test_always_a_probability_and_a_cost(events: list[tuple[dict, Outcome]], x: dict) -> None:
    model = Receptivity()
    for moment, outcome in events:
        model.learn_one(moment, outcome)
    before = json.dumps(model.to_dict())
    assert 0.0 <= model.predict_proba_one(x) <= 1.0
    assert 0.0 <= model.cost(x) <= 1.0
    assert json.dumps(model.to_dict()) == before


@settings(deadline=None)
@given(answers, answers)
def test_goes_on_after_json(first: list[tuple[dict, Outcome]], second: list[tuple[dict, Outcome]]) -> None:
    model, other = Receptivity(), Receptivity()
    for moment, outcome in first:
        model.learn_one(moment, outcome)
    other.load(json.loads(json.dumps(model.to_dict())))
    for moment, outcome in second:
        model.learn_one(moment, outcome)
        other.learn_one(moment, outcome)
    assert other.to_dict() == model.to_dict()


def test_stays_certain_but_not_too_much() -> None:
    model = Receptivity(drift=0.01)
    for _ in range(2000):
        model.learn_one(EVENING, Outcome.ACCEPTED)
    covariance = model.to_dict()["covariance"]
    assert all(1e-3 < covariance[i][i] <= 1.0 for i in range(len(covariance)))


def test_refuses_nonsense() -> None:
    for kwargs in ({"drift": 1.0}, {"baseline": 0.0}):
        with pytest.raises(ValueError, match="range"):
            Receptivity(**kwargs)
