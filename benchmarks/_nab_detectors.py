"""Detectors for the Numenta Anomaly Benchmark: ours, and simple ones to compare with.

Each gives one score a value before it learns it, and sees nothing of the file but the values so far.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

from benchmarks._nab_scoring import Series
from hunches.series import SeriesAnomaly

ALARM = 2.2  # -log10 p from which ours says something,
QUIET_ROWS = 75  # and then for so many values nothing
GAUSSIAN_ROWS, GAUSSIAN_STEP = 6400, 100


def ours(series: Series) -> list[float]:
    """SeriesAnomaly as it is, and one alarm for one event."""
    return one_alarm(surprise(series))


def surprise(series: Series) -> list[float]:
    """SeriesAnomaly without the pause after an alarm."""
    model, scores = SeriesAnomaly(), []
    for value, at in zip(series.values, series.times, strict=True):
        scores.append(model.score_one(value, at))
        model.learn_one(value, at)
    return scores


def one_alarm(scores: Sequence[float]) -> list[float]:
    """Return the scores, and 0 for `QUIET_ROWS` rows after one that reached `ALARM`."""
    out, quiet = [], 0
    for score in scores:
        out.append(0.0 if quiet else score)
        quiet = quiet - 1 if quiet else QUIET_ROWS * (score >= ALARM)
    return out


def windowed_gaussian(series: Series) -> list[float]:
    """NAB's baseline: 1 - tail probability in the last 6400 values, renewed each 100.

    Rounded to 12 digits as NAB writes its results: without that, 40.1/23.9/47.7 instead of 39.6/20.9/47.4.
    """
    window: list[float] = []
    new: list[float] = []
    mean, deviation, squares = 0.0, 1.0, 0.0
    scores: list[float] = []
    for value in series.values:
        z = abs(value - mean) / deviation
        scores.append(float(f"{1.0 - 0.5 * math.erfc(z / math.sqrt(2.0)):.12g}") if window else 0.0)
        if len(window) < GAUSSIAN_ROWS:
            window.append(value)
            delta = value - mean
            mean += delta / len(window)
            squares += delta * (value - mean)
            deviation = math.sqrt(squares / len(window)) or 1e-6
            continue
        new.append(value)
        if len(new) == GAUSSIAN_STEP:
            window, new = window[GAUSSIAN_STEP:] + new, []
            mean = math.fsum(window) / len(window)
            deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in window) / len(window)) or 1e-6
    return scores


def z_score(series: Series) -> list[float]:
    """Deviation from the mean of all values so far, in standard deviations."""
    mean, squares = 0.0, 0.0
    scores: list[float] = []
    for n, value in enumerate(series.values):
        deviation = math.sqrt(squares / n) if n else 0.0
        scores.append(abs(value - mean) / deviation if deviation else 0.0)
        delta = value - mean
        mean += delta / (n + 1)
        squares += delta * (value - mean)
    return scores


def half_space_trees(series: Series) -> list[float]:
    """River's HalfSpaceTrees on the value, scaled to [0, 1] by the values so far; its defaults, seed 1."""
    from river.anomaly import HalfSpaceTrees  # noqa: PLC0415 - costs a second and 160 MB

    model = HalfSpaceTrees(seed=1)
    low, high = series.values[0], series.values[0]
    scores: list[float] = []
    for value in series.values:
        low, high = min(low, value), max(high, value)
        features = {"value": (value - low) / (high - low) if high > low else 0.5}
        scores.append(model.score_one(features))
        model.learn_one(features)
    return scores


def chance(series: Series) -> list[float]:
    """A random number for each value."""
    rng = random.Random(series.name)
    return [rng.random() for _ in series.values]


def null(series: Series) -> list[float]:
    """Say nothing."""
    return [0.5] * len(series.values)


DETECTORS: dict[str, Callable[[Series], list[float]]] = {
    "ours": ours,
    "ours (no pause)": surprise,
    "windowed Gaussian": windowed_gaussian,
    "z-score": z_score,
    "HalfSpaceTrees": half_space_trees,
    "random": chance,
    "null": null,
}
