from __future__ import annotations

import json
from math import log10
from random import Random
from typing import Any

import pytest

from hunches.calibration import Calibration


def ordinary(rng: Random, floor: float = 2.0) -> float:
    """Return a day's largest score of a detector that makes fifty honest tests a day."""
    score = log10(50) - log10(rng.expovariate(1.0))
    return score if score >= floor else 0.0


def lived(days: int, seed: int = 1, **kwargs: Any) -> tuple[Calibration, Random]:
    c, rng = Calibration(**kwargs), Random(seed)
    for day in range(days):
        c.tick(day)
        for detector in ("dwell", "timing"):
            c.learn_one(detector, ordinary(rng), day)
    c.tick(days)
    return c, rng


def test_only_what_the_home_does_not_know() -> None:
    c, _ = lived(30)
    assert not c.admits("dwell", 3.0, 30).admitted
    assert c.admits("dwell", 9.0, 30).admitted
    noisy = Calibration()
    for day in range(30):
        noisy.tick(day)
        noisy.learn_one("dwell", 6.0 + day % 5, day)
    noisy.tick(30)
    assert not noisy.admits("dwell", 9.0, 30).admitted


def test_the_bar_is_the_least_score_that_is_let_through() -> None:
    for days in (0, 8, 30):
        c, _ = lived(days)
        for detector in ("dwell", "silent"):
            bar = c.bar(detector, days)
            assert c.admits(detector, bar, days).admitted
            assert not c.admits(detector, bar - 0.011, days).admitted


def test_nothing_below_the_floor() -> None:
    c, _ = lived(30)
    assert c.admits("dwell", 1.99, 30)[:2] == (False, 1.0)
    before = c.to_dict()
    c.learn_one("dwell", 1.99, 30)
    assert c.to_dict() == before


def test_each_detector_has_its_floor() -> None:
    c, _ = lived(30, floors={"silent": 1.3})
    assert c.admits("silent", 1.4, 30).p == pytest.approx(c.admits("level", 2.1, 30).p)
    c.learn_one("silent", 1.4, 30)
    c.tick(31)
    other = Calibration(floors={"silent": 1.3})
    other.load(json.loads(json.dumps(c.to_dict())))
    assert other.admits("silent", 3.0, 31) == c.admits("silent", 3.0, 31)


def test_a_detector_that_is_heard_for_the_first_time_has_the_quiet_days_behind_it() -> None:
    # 30 days without: p(floor) = 1 / 31, but for fading (Σ 2^-(1…30)/60 = 25.4, so 1 / 26.4)
    c, _ = lived(30)
    assert c.admits("silent", 2.0, 30).p == pytest.approx(1 / 26.4, rel=0.01)
    c.learn_one("silent", 2.0, 30)
    c.tick(31)
    assert c.admits("silent", 2.0, 31).p == pytest.approx(2 / 27.0, rel=0.02)


def test_asking_changes_nothing() -> None:
    c, _ = lived(12)
    before = json.dumps(c.to_dict())
    assert c.admits("dwell", 8.0, 12) == c.admits("dwell", 8.0, 12)
    assert json.dumps(c.to_dict()) == before


def test_a_day_is_one_test() -> None:
    c, _ = lived(30)
    level = c.level("dwell")
    for score in (2.5, 9.0, 3.0, 9.5):
        c.learn_one("dwell", score, 30)
        assert c.level("dwell") == level
    c.tick(31)
    assert c.level("dwell") > level  # one discovery
    other, _ = lived(30)
    other.learn_one("dwell", 9.5, 30)
    other.tick(31)
    assert other.level("dwell") == c.level("dwell")


def test_a_fault_does_not_hide_the_next_one() -> None:
    c, rng = lived(30)
    for day in range(30, 120):
        c.tick(day)
        score = 9.0 if day % 15 == 0 else ordinary(rng)
        assert c.admits("dwell", score, day).admitted == (day % 15 == 0), day
        c.learn_one("dwell", score, day)


def test_what_happens_every_day_is_soon_no_news() -> None:
    c, _ = lived(30)
    let_through = []
    for day in range(30, 60):
        c.tick(day)
        if c.admits("dwell", 9.0, day).admitted:
            let_through.append(day)
        c.learn_one("dwell", 9.0, day)
    assert 1 <= len(let_through) <= 20
    assert max(let_through) < 55


def test_no_is_learned_at_once() -> None:
    c, _ = lived(30)
    c.learn_one("dwell", 9.0, 30)
    c.tick(31)
    assert c.admits("dwell", 9.0, 31).admitted
    c.answer_one("dwell", 30, mistaken=True)
    assert not c.admits("dwell", 9.0, 31).admitted
    c.answer_one("dwell", 30, mistaken=False)  # only the first answer counts
    assert not c.admits("dwell", 9.0, 31).admitted
    c.answer_one("dwell", 12, mistaken=True)  # nothing was found then
    c.answer_one("silent", 30, mistaken=True)


def test_days_that_nobody_saw_count_for_nothing() -> None:
    c, _ = lived(10)
    c.tick(300)
    other, _ = lived(10)
    other.tick(11)
    assert c.to_dict()["observed"] == other.to_dict()["observed"] == 11
    # and what is known has become less: 290 days are nearly five half-lives
    assert c.admits("dwell", 5.0, 300).p > other.admits("dwell", 5.0, 11).p


def test_a_clock_set_back_changes_no_past_day() -> None:
    c, _ = lived(10)
    before = c.to_dict()
    c.tick(3)
    assert c.to_dict() == before


def test_goes_on_after_json() -> None:
    c, rng = lived(17)
    c.learn_one("dwell", 3.3, 17)
    other = Calibration()
    other.load(json.loads(json.dumps(c.to_dict())))
    for day in range(17, 40):
        for x in (c, other):
            x.tick(day)
        score = ordinary(rng) + 3.0 * (day % 7 == 0)
        assert other.admits("timing", score, day) == c.admits("timing", score, day)
        for x in (c, other):
            x.learn_one("timing", score, day)
    assert other.to_dict() == c.to_dict()


def test_bounded() -> None:
    c, _ = lived(1000)
    assert len(json.dumps(c.to_dict())) < 2 * 180 * 40
