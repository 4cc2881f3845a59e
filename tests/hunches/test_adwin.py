from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunches.adwin import Adwin

drift = pytest.importorskip("river.drift")

STREAMS = ["steps", "rare", "ramp", "constant", "wild"]


def stream(kind: str, seed: int, n: int) -> Iterator[float]:
    rng = Random(f"{kind}/{seed}")
    for i in range(n):
        match kind:
            case "steps":
                yield rng.random() + 0.4 * (i // 300 % 2)
            case "rare":
                yield float(rng.random() < (0.02 if i // 500 % 2 else 0.3))
            case "ramp":
                yield rng.random() + i / n
            case "constant":
                yield 0.5
            case _:
                yield rng.gauss(0, 1) ** 3 + 100.0 * (rng.random() < 0.002)


@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize(("delta", "clock"), [(0.002, 32), (0.002, 1), (0.2, 4)])
def test_is_rivers(kind: str, delta: float, clock: int) -> None:
    detections = 0
    for seed in range(3):
        mine, rivers = Adwin(delta=delta, clock=clock), drift.ADWIN(delta=delta, clock=clock)
        for x in stream(kind, seed, 1200):
            if rivers.drift_detected:
                mine = Adwin(delta=delta, clock=clock)  # river's forgets the whole window after a change
            rivers.update(x)
            assert mine.learn_one(x) == rivers.drift_detected
            assert mine.n == rivers.width
            assert mine.mean == pytest.approx(rivers.estimation)
            detections += rivers.drift_detected
    if kind != "wild":
        assert (detections > 0) == (kind != "constant")


def test_forgets_what_is_over() -> None:
    a = Adwin()
    changes = [i for i, x in enumerate(stream("steps", 1, 600)) if a.learn_one(x)]
    assert 300 < changes[0] < 400
    assert a.n <= 400
    assert a.mean == pytest.approx(0.9, abs=0.1)


def test_false_alarms_are_as_rare_as_it_says() -> None:
    alarms = 0
    for seed in range(100):
        rng, a = Random(seed), Adwin(delta=0.05, clock=4)
        alarms += any(a.learn_one(rng.random()) for _ in range(200))
    assert alarms <= 100 * 0.05


@given(st.lists(st.floats(-10, 10), max_size=300), st.integers(0, 300))
def test_goes_on_after_json(values: list[float], cut: int) -> None:
    one, other = Adwin(clock=4, delta=0.1), Adwin(clock=4, delta=0.1)
    for x in values[:cut]:
        one.learn_one(x)
    other.load(json.loads(json.dumps(one.to_dict())))
    assert [one.learn_one(x) for x in values[cut:]] == [other.learn_one(x) for x in values[cut:]]
    assert one.to_dict() == other.to_dict()


def test_mean_and_memory() -> None:
    a, rng = Adwin(), Random(3)
    assert a.mean == 0.0
    values = [rng.random() for _ in range(20000)]
    for x in values:
        a.learn_one(x)
    assert a.mean == pytest.approx(sum(values[-a.n :]) / a.n)
    # at most 6 buckets of each of the sizes 1, 2, … 2^14
    assert sum(len(totals) for totals, _ in a.to_dict()["rows"]) <= 6 * 15
