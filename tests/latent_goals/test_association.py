"""What is counted, and what it is compared with."""

from __future__ import annotations

from itertools import pairwise
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latent_goals.association import (
    Counts,
    Tally,
    benjamini_hochberg,
    beta_binomial_tail,
    npmi,
    tally,
)
from latent_goals.occasions import Occasions, contexts_of
from latent_goals.timelines import DAY_S, Activity, Happened, Timeline, weekday

HOUR = 3600
HORIZON = 900
NOON = 12 * HOUR
MONDAY = 4 * DAY_S  # day 0 was a Thursday


def timeline(*acts: tuple[int, str], by: bool = True) -> Timeline:
    found = Timeline(5000)
    for at, verb in sorted(acts):
        found.add(Happened(at, verb, by, None, None))
    return found


def about(days: range) -> Activity:
    activity = Activity()
    for day in days:
        for slot in range(96):
            activity.add(day * DAY_S + slot * 900)
    return activity


def used(times: list[int], minutes: int = 60) -> Timeline:
    acts = [(t, "on") for t in times] + [(t + minutes * 60, "off") for t in times]
    return timeline((-HOUR, "off"), *acts)


# -- numbers -----------------------------------------------------------------------------------------------


def test_the_tail_of_a_beta_binomial_with_a_uniform_prior() -> None:
    # all of 0..n are equally likely: P(K >= 8 of 10) = 3/11
    assert beta_binomial_tail(8, 10, 1.0, 1.0) == pytest.approx(3 / 11)


def test_the_tail_of_a_beta_binomial_that_is_certain_is_binomial() -> None:
    exact = sum(comb(10, i) * 0.3**i * 0.7 ** (10 - i) for i in range(6, 11))
    assert beta_binomial_tail(6, 10, 3e7, 7e7) == pytest.approx(exact, rel=1e-4)


@given(st.floats(1e-6, 1.0), st.floats(1e-6, 1.0), st.floats(0.0, 1.0))
def test_npmi_is_bounded(first: float, follow: float, share: float) -> None:
    joint = share * min(first, follow)
    assert -1.0 <= npmi(joint, first, follow) <= 1.0


def test_npmi_of_independent_events_is_nothing() -> None:
    assert npmi(0.02, 0.1, 0.2) == pytest.approx(0.0, abs=1e-12)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_q_values_keep_the_order_and_are_no_smaller(p_values: list[float]) -> None:
    q_values = benjamini_hochberg(p_values)
    assert all(q >= p * (1 - 1e-12) for p, q in zip(p_values, q_values, strict=True))
    by_p = [q for _, q in sorted(zip(p_values, q_values, strict=True))]
    assert all(a <= b * (1 + 1e-12) for a, b in pairwise(by_p))


def test_hopeless_tests_count_though_they_are_not_listed() -> None:
    # 0.001 is the best of 100 tests: 0.001 * 100 / 1
    assert benjamini_hochberg([0.001], tests=100) == [pytest.approx(0.1)]


def test_probabilities_are_shrunk() -> None:
    counts = Counts(n=4, k=4, quarters=4, expected=0.0, compared=4, controls=9)
    assert counts.base(0.2) == pytest.approx(0.02)  # (9 * 0 + 0.2) / 10
    assert counts.probability(0.2) == pytest.approx(4.02 / 5)
    assert Counts().probability(0.2) == pytest.approx(0.2)
    assert Counts(n=9, k=9, quarters=9).p_value() == 1.0  # nothing to compare with


def test_occasions_of_one_quarter_of_a_day_count_as_one_in_the_test() -> None:
    apart = Counts(n=12, k=12, quarters=12, compared=12, controls=10)
    together = Counts(n=12, k=12, quarters=3, compared=12, controls=10)
    # uniform prior and ten windows without it: Beta(1, 11); E p^3 = 11 B(4, 11)
    assert together.p_value() == pytest.approx(1 / comb(14, 3))
    assert apart.p_value() < together.p_value() / 1000


@given(st.integers(0, 30), st.integers(0, 30), st.floats(0, 1), st.integers(0, 40))
def test_p_values_are_probabilities(n: int, k: int, share: float, controls: int) -> None:
    counts = Counts(n, min(k, n), n, share * n, n, controls, share * n, n, controls)
    assert 0.0 <= counts.p_value() <= 1.0
    assert 0.0 <= counts.p_shifted() <= 1.0
    assert 0.0 <= counts.probability(0.1) <= 1.0


# -- what it is compared with ------------------------------------------------------------------------------


def test_a_workday_is_compared_with_workdays_without_the_first_action() -> None:
    first = used([MONDAY + d * DAY_S + NOON for d in (0, 1, 3, 5)])  # Mon, Tue, Thu, Sat
    cases = Occasions(first, "on", about(range(30)), 30 * DAY_S, HORIZON)
    days = {(at - NOON) // DAY_S for at in cases.controls(MONDAY + NOON)}
    assert {weekday(d * DAY_S) for d in days} == {0, 1, 3}  # only those on which it is usual
    assert not days & {4, 5, 7}  # and not when it happened


def test_nobody_about_is_no_comparison() -> None:
    activity = Activity()
    activity.add(MONDAY + 7 * DAY_S + NOON - 300)
    cases = Occasions(used([MONDAY + NOON]), "on", activity, 30 * DAY_S, HORIZON)
    assert cases.controls(MONDAY + NOON) == (MONDAY + 7 * DAY_S + NOON,)


def test_repeats_and_what_is_not_over_are_no_occasions() -> None:
    times = [NOON, NOON + 600, NOON + 1200, NOON + DAY_S]
    acts = [(t, v) for t in times for v in ("on",)] + [(t + 60, "off") for t in times]
    cases = Occasions(timeline(*acts), "on", about(range(3)), NOON + DAY_S + 60, HORIZON)
    assert [c.at for c in cases.cases] == [NOON, NOON + 1200]


def test_what_an_automation_began_is_no_occasion() -> None:
    first = timeline((NOON, "on"), by=False)
    assert Occasions(first, "on", about(range(3)), 3 * DAY_S, HORIZON).cases == []


def counted(follow: Timeline, days: int = 20) -> Tally:
    times = [d * DAY_S + NOON + (d % 5) * HOUR for d in range(days)]
    cases = Occasions(used(times), "on", about(range(days)), days * DAY_S, HORIZON)
    return tally(cases, follow, "on")


def test_what_always_follows_and_never_comes_otherwise() -> None:
    times = [d * DAY_S + NOON + (d % 5) * HOUR for d in range(20)]
    found = counted(used([t + 120 for t in times], 30))
    assert (found.all.n, found.all.k, found.all.expected) == (20, 20, 0.0)
    assert found.delays == [120] * 20
    assert found.days == list(range(20))
    assert found.all.controls == 20  # one quarter of each day
    assert found.all.p_value() < 1e-6
    assert found.of["weekend"].n + found.of["workday"].n == 20
    assert Tally.from_dict(found.to_dict()) == found


def test_what_comes_every_hour_anyway() -> None:
    found = counted(used([h * HOUR // 2 + 300 for h in range(48 * 20)], 10))
    assert found.all.k == found.all.n > 5
    assert found.all.base(0.1) > 0.9
    assert found.all.p_value() > 0.1


def test_what_is_on_already_can_not_follow() -> None:
    assert counted(timeline((-HOUR, "off"), (0, "on"))).all.n == 0


def test_what_something_else_brought_about_counts_for_nothing() -> None:
    follow = Timeline(400)
    for day in range(20):
        at = day * DAY_S + NOON + (day % 5) * HOUR
        follow.add(Happened(at - HOUR // 2, "off", True, None, None))
        follow.add(Happened(at + 60, "on", False, None, None))
    assert counted(follow).all.n == 0


def test_what_happens_at_once_is_one_thing() -> None:
    times = [d * DAY_S + NOON + (d % 5) * HOUR for d in range(20)]
    assert counted(used([t + 1 for t in times], 30)).all.n == 0  # a group and one of its lights


def test_two_things_at_dusk_are_told_from_an_implication() -> None:
    # both come at a time that moves by four minutes a day; the first is left out on each fifth day
    def dusk(day: int) -> int:
        return day * DAY_S + 17 * HOUR + day * 240

    days = range(40)
    first = used([dusk(d) for d in days if d % 5])
    cases = Occasions(first, "on", about(range(41)), 41 * DAY_S, HORIZON)
    both = tally(cases, used([dusk(d) + 300 for d in days], 30), "on").all
    implied = tally(cases, used([dusk(d) + 300 for d in days if d % 5], 30), "on").all
    assert both.k == implied.k == implied.n
    assert both.p_value() < 0.01  # on the other days it came at another time, too
    assert both.p_shifted() > 0.05
    assert implied.p_shifted() < 0.001


def test_what_happens_in_a_room_does_not_imply_that_its_light_goes_off() -> None:
    """A light that is on for twenty minutes goes off after whatever was done meanwhile: a fridge opened."""
    days = range(40)
    lit = [d * DAY_S + NOON + d % 7 * 600 for d in days]
    fridge = used([at + 700 for d, at in zip(days, lit, strict=True) if d % 3], 1)
    found = tally(Occasions(fridge, "on", about(range(41)), 41 * DAY_S, HORIZON), used(lit, 20), "off").all
    assert found.k == found.n == 26
    assert found.p_shifted() > 0.05


def test_contexts() -> None:
    saturday = 2 * DAY_S + 3 * HOUR
    assert contexts_of(saturday, dark=False) == ("any", "weekend", "night", "daylight")
    assert contexts_of(NOON, dark=None) == ("any", "workday", "afternoon")
