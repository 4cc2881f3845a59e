"""The scoring rules of the Numenta Anomaly Benchmark (NAB), our own implementation.

A series has labelled windows, each around one anomaly. Scores of the first 15% of a series (750 rows at
most) don't count. Every other row whose score reaches the threshold is a detection:

    first in a window, at the relative position y = -(end - i + 1) / width       + A_TP · σ(y) / σ(-1)
    after a window, y = (i - end) / (width - 1)                                  + A_FP · σ(y)
    before any window, or y >= 3                                                 - A_FP
    window without a detection                                                   - A_FN

    σ(y) = 2 / (1 + exp(5y)) - 1

A detector's score on the corpus is 100 · (score - null) / (perfect - null) at the one threshold for all
series that is best for the profile: 0 is a detector that says nothing, 100 one that finds each anomaly on the
first row of its window and nothing else.

References
----------
Lavin, A. and Ahmad, S. (2015). Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly
Benchmark. ICMLA. The rules that the paper leaves open are NAB's own (version 1.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import exp, inf

PROBATION_SHARE = 0.15
PROBATION_ROWS = 750


@dataclass(frozen=True, slots=True)
class Profile:
    """What a hit, a false alarm, and a miss are worth."""

    name: str
    tp: float
    fp: float
    fn: float


PROFILES = (
    Profile("standard", 1.0, 0.11, 1.0),
    Profile("reward_low_FP_rate", 1.0, 0.22, 1.0),
    Profile("reward_low_FN_rate", 1.0, 0.11, 2.0),
)


@dataclass(frozen=True)
class Series:
    """One file: epoch seconds, values, and the first and last row of each labelled window."""

    name: str
    times: Sequence[float]
    values: Sequence[float]
    windows: Sequence[tuple[int, int]]

    @cached_property
    def probation(self) -> int:
        """Rows that are learned and not judged."""
        return probation_rows(len(self.values))

    @cached_property
    def places(self) -> list[tuple[float, int]]:
        """For each row its weight and its window (-1: none, so that a detection there is false)."""
        return list(_places(len(self.values), self.windows))


@dataclass(slots=True)
class FileResult:
    """One series at the threshold: rows of first hits (or None: missed) by window, and of false alarms."""

    hits: list[int | None]
    false: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Result:
    """The best threshold, the normalised score there, and the counts."""

    threshold: float
    score: float
    hits: int
    missed: int
    false: int


def probation_rows(rows: int) -> int:
    """Rows at the start of a series that don't count."""
    return min(int(PROBATION_SHARE * rows), PROBATION_ROWS)


def sigmoid(position: float) -> float:
    """Weight at a position relative to a window: -1 its first row, 0 just after its last, 3 far behind."""
    return -1.0 if position >= 3.0 else 2.0 / (1.0 + exp(5.0 * position)) - 1.0


def evaluate(corpus: Sequence[Series], scores: Mapping[str, Sequence[float]], profile: Profile) -> Result:
    """Sweep the threshold down over all scores of the corpus and return the best result."""
    rows = sorted(_judged(corpus, scores), key=lambda row: -row[0])
    windows = sum(len(series.windows) for series in corpus)
    best: dict[tuple[str, int], float] = {}
    total, false = -profile.fn * windows, 0
    top = (total, inf, 0, 0)
    for k, (score, weight, name, window) in enumerate(rows):
        if window < 0:
            total += profile.fp * weight
            false += 1
        else:
            old = best.get((name, window), -profile.fn)
            new = max(old, profile.tp * weight)
            best[name, window] = new
            total += new - old
        if (k + 1 == len(rows) or rows[k + 1][0] != score) and total > top[0]:
            top = (total, score, len(best), false)
    return Result(top[1], normalised(top[0], windows, profile), top[2], windows - top[2], top[3])


def at_threshold(
    corpus: Sequence[Series], scores: Mapping[str, Sequence[float]], profile: Profile, threshold: float
) -> float:
    """Return the normalised score at a given threshold."""
    total, windows = 0.0, 0
    for series in corpus:
        found = detections(series, scores[series.name], threshold)
        windows += len(found.hits)
        total += sum(-profile.fn if i is None else profile.tp * series.places[i][0] for i in found.hits)
        total += sum(profile.fp * series.places[i][0] for i in found.false)
    return normalised(total, windows, profile)


def normalised(total: float, windows: int, profile: Profile) -> float:
    """Return a total of weights as 0 (says nothing) to 100 (perfect)."""
    null, perfect = -profile.fn * windows, profile.tp * windows
    return 100.0 * (total - null) / (perfect - null) if windows else 0.0


def detections(series: Series, scores: Sequence[float], threshold: float) -> FileResult:
    """Return what a threshold finds in one series."""
    found = FileResult([None] * len(series.windows))
    for i in range(series.probation, len(series.values)):
        if scores[i] >= threshold:
            window = series.places[i][1]
            if window < 0:
                found.false.append(i)
            elif found.hits[window] is None:
                found.hits[window] = i
    return found


def _judged(
    corpus: Sequence[Series], scores: Mapping[str, Sequence[float]]
) -> Iterator[tuple[float, float, str, int]]:
    for series in corpus:
        given = scores[series.name]
        if len(given) != len(series.values):
            raise ValueError(f"{series.name}: {len(given)} scores of {len(series.values)} values")
        for i in range(series.probation, len(series.values)):
            weight, window = series.places[i]
            yield given[i], weight, series.name, window


def _places(rows: int, windows: Sequence[tuple[int, int]]) -> Iterator[tuple[float, int]]:
    behind: tuple[int, int] | None = None
    ahead = list(enumerate(windows))[::-1]
    for i in range(rows):
        while ahead and ahead[-1][1][1] < i:
            behind = ahead.pop()[1]
        if ahead and ahead[-1][1][0] <= i:
            number, (start, end) = ahead[-1]
            yield sigmoid(-(end - i + 1) / (end - start + 1)) / sigmoid(-1.0), number
        elif behind is None:
            yield -1.0, -1
        else:
            yield sigmoid((i - behind[1]) / max(1, behind[1] - behind[0])), -1
