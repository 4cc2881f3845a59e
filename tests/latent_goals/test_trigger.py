"""Whether it is worth saying."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from devices.context import Context, Occupancy
from latent_goals.association import Counts, Tally
from latent_goals.occasions import ANY
from latent_goals.trigger import Trigger

EVENING = datetime(2024, 1, 8, 20, tzinfo=UTC)
CONTEXT = Context(EVENING, EVENING, Occupancy.HOME, daylight=False)


def tally(**of: tuple[int, int]) -> Tally:
    return Tally({name: Counts(n=n, k=k) for name, (k, n) in of.items()}, [], [], [])


def test_the_threshold_weighs_what_an_error_and_an_interruption_cost() -> None:
    # worth it from (3 + 0.2) / (3 + 1) on
    assert Trigger(annoyance=3.0, interruption=0.2).threshold(CONTEXT) == pytest.approx(0.8)
    assert Trigger(interruption=lambda c: 0.0 if c.hour < 18 else 5.0).threshold(CONTEXT) == 1.0


def test_circumstances_move_the_probability_as_far_as_they_are_known() -> None:
    trigger = Trigger()
    seen = tally(any=(12, 24), dark=(12, 12), daylight=(0, 12), evening=(9, 12))
    usual = (12 + 0.1) / 25
    assert trigger.probability(seen, 0.1, (ANY,)) == pytest.approx(usual)
    assert trigger.probability(seen, 0.1, (ANY, "dark")) == pytest.approx((12 + 4 * usual) / 16)
    assert trigger.probability(seen, 0.1, (ANY, "daylight")) == pytest.approx(4 * usual / 16)
    assert trigger.probability(seen, 0.1, (ANY, "weekend")) == pytest.approx(usual)


def test_circumstances_that_overlap_count_once() -> None:
    trigger = Trigger()
    seen = tally(any=(12, 24), dark=(12, 12), evening=(12, 12))
    one = trigger.probability(seen, 0.1, (ANY, "dark"))
    assert trigger.probability(seen, 0.1, (ANY, "dark", "evening")) == pytest.approx(one)


def test_a_negative_cost_is_refused() -> None:
    with pytest.raises(ValueError, match="annoyance"):
        Trigger(annoyance=-0.1)
