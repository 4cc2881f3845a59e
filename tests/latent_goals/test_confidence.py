from __future__ import annotations

import json
import random
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latent_goals.confidence import Confidence


def test_a_map_that_learned_nothing_changes_nothing() -> None:
    assert Confidence().apply(0.8, 0.1) == 0.8


def test_one_event_is_a_newton_step_from_no_correction() -> None:
    confidence = Confidence()
    confidence.learn_one(0.5, hit=True)
    # l = 0: H_aa = 0.999 · 20 + 0.02 + 0.25 = 20.25, step a = 0.5 / 20.25; b stays
    shift = 0.5 / 20.25
    odds = 0.8 / 0.2 * exp(shift)
    assert confidence.apply(0.8, 0.1) == pytest.approx(odds / (1.0 + odds))


@pytest.mark.parametrize(("said", "true"), [(0.9, 0.7), (0.4, 0.6), (0.999, 0.95)])
def test_what_is_announced_becomes_what_comes_true(said: float, true: float) -> None:
    rng, confidence = random.Random(1), Confidence()
    for _ in range(3_000):
        confidence.learn_one(said, hit=rng.random() < true)
    # Of the last 1,000 events: standard error at most √(0.24 / 1000) = 0.016
    assert confidence.apply(said, 0.0) == pytest.approx(true, abs=0.05)


def test_a_model_that_is_right_about_itself_is_left_alone() -> None:
    rng, confidence = random.Random(2), Confidence()
    for _ in range(3_000):
        sure = rng.uniform(0.2, 0.95)
        confidence.learn_one(sure, hit=rng.random() < sure)
    for sure in (0.3, 0.6, 0.9):
        assert confidence.apply(sure, 0.0) == pytest.approx(sure, abs=0.05)


@given(
    st.lists(st.tuples(st.floats(0.0, 1.0), st.booleans()), max_size=200),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
)
def test_the_likeliest_stays_the_likeliest(
    events: list[tuple[float, bool]], sure: float, part: float
) -> None:
    second = part * min(sure, 1.0 - sure)
    confidence = Confidence()
    for said, hit in events:
        confidence.learn_one(said, hit=hit)
    corrected = confidence.apply(sure, second)
    assert 0.0 <= corrected <= 1.0
    if second < sure < 1.0 - 1e-6:
        assert corrected > second * (1.0 - corrected) / (1.0 - sure)


def test_old_experience_fades() -> None:
    confidence = Confidence()
    for hit in [False] * 3_000 + [True] * 3_000:
        confidence.learn_one(0.5, hit=hit)
    assert confidence.apply(0.5, 0.0) > 0.8


def test_a_snapshot_and_a_copy_learn_on_alike() -> None:
    confidence = Confidence()
    for i in range(30):
        confidence.learn_one(0.6, hit=i % 2 > 0)
    restored, copied = Confidence(), confidence.copy()
    restored.load(json.loads(json.dumps(confidence.to_list())))
    for each in (confidence, restored, copied):
        each.learn_one(0.7, hit=True)
    assert restored.to_list() == copied.to_list() == confidence.to_list()
