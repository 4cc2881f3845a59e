"""SeriesAnomaly: what is news, what isn't, and what it keeps."""

import json
import math
import random

from hunches.series import SeriesAnomaly

STEP_S = 600.0
DAY = 144  # values


def room(days: int, seed: int = 1) -> list[tuple[float, float]]:
    """Return (value, at) of a temperature with a day's course and some noise."""
    rng = random.Random(seed)
    return [
        (20.0 + (2.0 if 48 <= i % DAY < 120 else 0.0) + rng.gauss(0.0, 0.2), STEP_S * i)
        for i in range(days * DAY)
    ]


def learned(values: list[tuple[float, float]]) -> SeriesAnomaly:
    series = SeriesAnomaly()
    for value, at in values:
        series.learn_one(value, at)
    return series


def test_the_first_values_are_no_news() -> None:
    series = SeriesAnomaly()
    assert series.n == 0
    assert series.expected() is None
    assert series.score_one(20.0, 0.0) == 0.0
    series.learn_one(20.0, 0.0)
    assert series.n == 1
    assert series.score_one(25.0, STEP_S) < 1.0


def test_a_spike_is_news_and_the_usual_value_is_not() -> None:
    series, at = learned(room(14)), 14 * DAY * STEP_S
    assert series.score_one(20.1, at) < 1.0
    assert series.score_one(35.0, at) > 3.0
    assert series.score_one(5.0, at) > 3.0


def test_a_value_of_the_afternoon_is_news_at_night() -> None:
    series, midnight = learned(room(14)), 14 * DAY * STEP_S
    assert series.score_one(23.5, midnight) > series.score_one(23.5, midnight + 12 * 3600.0)


def test_a_new_level_is_news_though_each_value_is_within_range() -> None:
    rng = random.Random(5)
    wide = [(20.0 + 3.0 * rng.choice((-1.0, 1.0)) + rng.gauss(0.0, 0.3), STEP_S * i) for i in range(2000)]
    series, at = learned(wide), 2000 * STEP_S
    alone = series.score_one(23.0, at)
    for k in range(16):
        series.learn_one(23.0, at + k * STEP_S)
    assert series.score_one(23.0, at + 16 * STEP_S) > alone + 0.5


def test_another_spike_like_many_before_is_no_news() -> None:
    rng = random.Random(2)
    bursts = [
        (100.0 * rng.paretovariate(1.0) if rng.random() < 0.05 else 1.0, STEP_S * i) for i in range(3000)
    ]
    calm = [(1.0 + rng.random(), STEP_S * i) for i in range(3000)]
    at = 3000 * STEP_S
    assert learned(bursts).score_one(300.0, at) < 2.0 < 3.0 < learned(calm).score_one(300.0, at)


def test_units_do_not_matter() -> None:
    celsius = room(10)
    fahrenheit = learned([(1.8 * value + 32.0, at) for value, at in celsius])
    series, at = learned(celsius), 10 * DAY * STEP_S
    for value in (19.0, 20.0, 22.0, 30.0):
        assert abs(series.score_one(value, at) - fahrenheit.score_one(1.8 * value + 32.0, at)) < 0.3


def test_a_constant_series_has_no_news_until_it_moves() -> None:
    series = SeriesAnomaly()
    for i in range(1000):
        assert series.score_one(45.1, i * STEP_S) == 0.0
        series.learn_one(45.1, i * STEP_S)
    assert series.score_one(45.2, 1000 * STEP_S) > 2.0


def test_a_warming_freezer_is_news_within_two_hours_and_its_cycle_is_not() -> None:
    rng, series, at = random.Random(6), SeriesAnomaly(), 0.0
    usual: list[float] = []
    while at < 14 * 86_400.0:
        value = round(-18.0 + math.sin(at / 1800.0 * math.pi) + rng.gauss(0.0, 0.1), 1)
        if at > 7 * 86_400.0:
            usual.append(series.score_one(value, at))
        series.learn_one(value, at)
        at += rng.uniform(120.0, 600.0)  # it reports when it likes
    start, warming = at, []
    while at < start + 7200.0:
        value = round(-18.0 + math.sin(at / 1800.0 * math.pi) + (at - start) / 1800.0, 1)  # 2 °C an hour
        warming.append(series.score_one(value, at))
        series.learn_one(value, at)
        at += rng.uniform(120.0, 600.0)
    assert max(usual) < 2.2 < max(warming)


def test_scores_are_finite_and_not_negative() -> None:
    series, rng = SeriesAnomaly(), random.Random(3)
    at = 0.0
    for _ in range(2000):
        value = rng.choice([0.0, -5.0, 1e-12, 1e12, rng.gauss(0.0, 1.0)])
        at += rng.choice([0.0, 1.0, 600.0, 1e6])
        score = series.score_one(value, at)
        assert math.isfinite(score)
        assert score >= 0.0
        series.learn_one(value, at)


def test_scoring_changes_nothing() -> None:
    series, at = learned(room(3)), 3 * DAY * STEP_S
    before = json.dumps(series.to_dict())
    assert series.score_one(50.0, at) == series.score_one(50.0, at)
    series.expected()
    assert json.dumps(series.to_dict()) == before


def test_a_snapshot_goes_on_as_the_original() -> None:
    values = room(12)
    series, copy = learned(values[:1000]), SeriesAnomaly()
    copy.load(json.loads(json.dumps(series.to_dict())))
    for value, at in values[1000:]:
        assert abs(copy.score_one(value, at) - series.score_one(value, at)) < 0.05
        series.learn_one(value, at)
        copy.learn_one(value, at)
    assert copy.n == series.n


def test_memory_is_bounded() -> None:
    series, rng = SeriesAnomaly(), random.Random(4)
    sizes = []
    for i in range(12_000):
        series.learn_one(10.0 ** rng.uniform(-12.0, 12.0), i * STEP_S)
        if i in (5_999, 11_999):
            sizes.append(len(json.dumps(series.to_dict())))
    assert sizes[1] < 1.1 * sizes[0] < 20_000


def test_the_expected_range_holds_what_is_usual() -> None:
    values = room(14)
    usual = learned(values).expected()
    assert usual is not None
    low, high = usual
    last = [value for value, _ in values[-6:]]  # an hour
    assert low < min(last)
    assert max(last) < high
    assert high - low < 6.0
