"""NAB's scoring rules on series small enough to score by hand, and its baseline on a series of our own."""

import math
import random

import pytest

from benchmarks._nab_detectors import GAUSSIAN_ROWS, QUIET_ROWS, one_alarm, windowed_gaussian
from benchmarks._nab_scoring import (
    PROFILES,
    Series,
    at_threshold,
    detections,
    evaluate,
    normalised,
    probation_rows,
    sigmoid,
)

STANDARD, LOW_FP, LOW_FN = PROFILES
ROWS = 100  # 15 of them probation


def series(*windows: tuple[int, int], rows: int = ROWS, name: str = "a") -> Series:
    return Series(name, [60.0 * i for i in range(rows)], [0.0] * rows, windows)


def says(*rows: int, n: int = ROWS) -> list[float]:
    return [1.0 if i in rows else 0.0 for i in range(n)]


def test_weights_are_those_of_the_paper() -> None:
    assert sigmoid(-1.0) == pytest.approx(0.98661, abs=1e-5)  # 2 / (1 + e^-5) - 1
    assert sigmoid(-0.5) == pytest.approx(0.84828, abs=1e-5)  # 2 / (1 + e^-2.5) - 1
    assert sigmoid(0.0) == 0.0
    assert sigmoid(1.0) == pytest.approx(-0.98661, abs=1e-5)
    assert sigmoid(3.0) == -1.0


def test_probation_is_fifteen_percent_and_750_rows_at_most() -> None:
    assert probation_rows(100) == 15
    assert probation_rows(4032) == 604  # 604.8
    assert probation_rows(22_695) == 750


def test_the_first_row_of_a_window_is_worth_all_and_later_ones_less() -> None:
    a = series((40, 49))
    assert at_threshold([a], {"a": says(40)}, STANDARD, 0.5) == pytest.approx(100.0)
    # row 45 of 40..49: y = -(49 - 45 + 1) / 10 = -0.5, weight 0.84828 / 0.98661 = 0.85979;
    # (0.85979 + 1) / 2 = 92.99%
    assert at_threshold([a], {"a": says(45)}, STANDARD, 0.5) == pytest.approx(92.99, abs=0.01)
    assert at_threshold([a], {"a": says(45, 46, 49)}, STANDARD, 0.5) == pytest.approx(92.99, abs=0.01)


def test_a_miss_costs_what_the_profile_says() -> None:
    a = series((40, 49), (70, 79))
    half = {"a": says(40)}  # one found at once, one missed
    assert at_threshold([a], half, STANDARD, 0.5) == pytest.approx(50.0)  # (1 - 1 + 2) / 4
    assert at_threshold([a], half, LOW_FN, 0.5) == pytest.approx(50.0)  # (1 - 2 + 4) / 6
    assert at_threshold([a], {"a": says()}, LOW_FN, 0.5) == 0.0


def test_a_false_alarm_costs_more_the_further_it_is_behind_a_window() -> None:
    a = series((40, 49))
    before, just_behind, behind, far = (
        at_threshold([a], {"a": says(row, 40)}, STANDARD, 0.5) for row in (20, 50, 58, 90)
    )
    assert before == pytest.approx(100.0 - 100 * 0.11 / 2)  # no window before: -1 · 0.11
    assert far == pytest.approx(before)  # y = 41 / 9 > 3
    # y = 1 / 9: 2 / (1 + e^0.5556) - 1 = -0.27088
    assert just_behind == pytest.approx(100.0 - 100 * 0.11 * 0.27088 / 2, abs=1e-3)
    # y = 9 / 9: -0.98661
    assert behind == pytest.approx(100.0 - 100 * 0.11 * 0.98661 / 2, abs=1e-3)


def test_a_false_alarm_costs_double_where_few_are_wanted() -> None:
    a, found = series((40, 49)), {"a": says(20, 40)}
    lost = [100.0 - at_threshold([a], found, profile, 0.5) for profile in (STANDARD, LOW_FP)]
    assert lost[1] == pytest.approx(2.0 * lost[0])


def test_probation_does_not_count() -> None:
    a = series((40, 49))
    assert at_threshold([a], {"a": says(0, 14, 40)}, STANDARD, 0.5) == pytest.approx(100.0)
    assert at_threshold([a], {"a": says(15, 40)}, STANDARD, 0.5) < 100.0
    assert detections(a, says(3, 40), 0.5).false == []


def test_the_null_detector_is_zero_and_the_perfect_one_100() -> None:
    corpus = [series((40, 49), (70, 79)), series((60, 69), name="b"), series(name="c")]
    perfect = {"a": says(40, 70), "b": says(60), "c": says()}
    for profile in PROFILES:
        assert evaluate(corpus, {s.name: [0.5] * ROWS for s in corpus}, profile).score == 0.0
        best = evaluate(corpus, perfect, profile)
        assert (best.score, best.hits, best.missed, best.false) == (pytest.approx(100.0), 3, 0, 0)


def test_the_threshold_is_the_best_one_for_all_series() -> None:
    corpus = [series((40, 49)), series((40, 49), name="b")]
    scores = {"a": [0.0] * ROWS, "b": [0.0] * ROWS}
    scores["a"][40] = 0.9
    scores["b"][40] = 0.5
    scores["b"][90] = 0.7  # at 0.5 one false alarm is worth the second hit
    best = evaluate(corpus, scores, STANDARD)
    assert (best.threshold, best.hits, best.false) == (0.5, 2, 1)
    assert best.score == pytest.approx(100.0 * (2 - 0.11 + 2) / 4)
    for row in range(60, 90):  # 31 false alarms cost 3.4, a miss 2
        scores["b"][row] = 0.7
    best = evaluate(corpus, scores, STANDARD)
    assert (best.threshold, best.hits, best.missed, best.false) == (0.9, 1, 1, 0)


def test_sweep_and_direct_count_agree() -> None:
    rng = random.Random(1)
    corpus = [
        series((200, 240), (400, 460), rows=900),
        series((300, 380), rows=700, name="b"),
        series(rows=500, name="c"),
    ]
    scores = {s.name: [round(rng.random(), 2) for _ in s.values] for s in corpus}
    for profile in PROFILES:
        best = evaluate(corpus, scores, profile)
        direct = [at_threshold(corpus, scores, profile, t / 100) for t in range(101)]
        assert best.score == pytest.approx(max(0.0, *direct))


def test_scores_of_the_wrong_length_are_refused() -> None:
    with pytest.raises(ValueError, match="a: 3 scores of 100 values"):
        evaluate([series()], {"a": [0.0] * 3}, STANDARD)


def test_no_window_no_score() -> None:
    assert normalised(-1.0, 0, STANDARD) == 0.0


def test_the_windowed_gaussian_is_a_tail_probability() -> None:
    values = [1.0, 3.0] * 50 + [2.0, 5.0]
    scores = windowed_gaussian(Series("a", [float(i) for i in range(102)], values, ()))
    assert scores[0] == 0.0
    assert scores[100] == pytest.approx(0.5)  # the mean of 1 and 3
    assert scores[101] == pytest.approx(0.5 + 0.5 * math.erf(3.0 / math.sqrt(2.0)), abs=1e-3)  # 3 deviations


def test_the_windowed_gaussian_forgets_what_left_its_window() -> None:
    rows = 2 * GAUSSIAN_ROWS + 1
    values = [0.0, 2.0] * (GAUSSIAN_ROWS // 2) + [10.0, 12.0] * (GAUSSIAN_ROWS // 2) + [11.0]
    scores = windowed_gaussian(Series("a", [float(i) for i in range(rows)], values, ()))
    assert scores[GAUSSIAN_ROWS] > 0.999
    assert scores[-1] == pytest.approx(0.5)


def test_one_alarm_is_followed_by_a_pause() -> None:
    scores = one_alarm([1.0, 3.0] + [4.0] * QUIET_ROWS + [5.0, 1.0])
    assert scores[:2] == [1.0, 3.0]
    assert scores[2 : 2 + QUIET_ROWS] == [0.0] * QUIET_ROWS
    assert scores[2 + QUIET_ROWS :] == [5.0, 0.0]
