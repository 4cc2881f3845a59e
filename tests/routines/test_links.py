from __future__ import annotations

from itertools import permutations
from math import exp, log
from random import Random

import pytest

from routines.actions import Action, Item
from routines.links import DAY_S, links

COFFEE, RADIO, LAMP = (Item(e, "on") for e in ("switch.coffee", "media_player.radio", "light.lamp"))


def stream(days: int, seed: int, waits: dict[Item, float], jitter: float = 0.25) -> list[Action]:
    """A habit at about seven, in which each step waits about so long after the one before."""
    rng, done = Random(seed), []
    for day in range(days):
        at = day * DAY_S + rng.gauss(7 * 3600, 1200)
        for item, wait in waits.items():
            at += wait * rng.lognormvariate(0, jitter)
            done.append(Action(at, item))
    return sorted(done, key=lambda a: a.at)


def apart(days: int, seed: int) -> list[Action]:
    """Two things done every morning about seven, neither because of the other."""
    rng = Random(seed)
    done = [Action(d * DAY_S + rng.gauss(7 * 3600, 1800), i) for d in range(days) for i in (COFFEE, RADIO)]
    return sorted(done, key=lambda a: a.at)


def every_pair(*items: Item) -> set[tuple[Item, Item]]:
    return set(permutations(items, 2))


@pytest.mark.parametrize("wait_s", [20.0, 90.0, 400.0, 1500.0])
def test_a_step_and_its_wait_are_found(wait_s: float) -> None:
    done = stream(40, 1, {COFFEE: 0.0, RADIO: wait_s})
    found = links(done, every_pair(COFFEE, RADIO), max_gap_s=2700, least_evidence=3)
    assert list(found) == [(COFFEE, RADIO)]
    link = found[COFFEE, RADIO]
    assert link.soonest_s <= wait_s * 0.6  # two standard deviations to either side: exp(-2 · .25) = .61
    assert link.latest_s >= min(2700, wait_s * 1.64)
    assert link.regular


def test_a_wait_of_any_length_is_irregular() -> None:
    rng, done = Random(2), []
    for day in range(60):
        at = day * DAY_S + rng.uniform(0, 20) * 3600
        done += [Action(at, COFFEE), Action(at + rng.uniform(1, 2700), RADIO)]
    link = links(done, [(COFFEE, RADIO)], max_gap_s=2700, least_evidence=3)[COFFEE, RADIO]
    assert not link.regular


def test_the_same_hour_alone_is_no_strong_evidence() -> None:
    strong = [
        link
        for seed in range(20)
        for link in links(
            apart(60, seed), every_pair(COFFEE, RADIO), max_gap_s=2700, least_evidence=8
        ).values()
    ]
    assert strong == []


def test_evidence_is_the_bound_on_a_poisson_tail() -> None:
    # Coffee at noon on 30 days, the radio 30 s later. The rate of the radio in this half-hour: half of the 30
    # (the other half is smoothed over the neighbours), and 1/48 more, in 30 - 1 days of half an hour. To be
    # expected within 2560 / 64 = 40 s: 30 (1 - exp(-40 · 15.02 / (1800 · 29))).
    done = [
        Action(day * DAY_S + 43_200 + wait, item)
        for day in range(30)
        for item, wait in ((COFFEE, 0), (RADIO, 30))
    ]
    days = (done[-1].at - done[0].at) / DAY_S
    expected = 30 * (1 - exp(-40 * (15 + 1 / 48) / (1800 * days)))
    evidence = 30 * log(30 / expected) - 30 + expected
    found = links(done, every_pair(COFFEE, RADIO), max_gap_s=2560, least_evidence=3)
    assert found[COFFEE, RADIO] == (0.0, 80.0, pytest.approx(evidence))


def test_only_the_pairs_that_were_asked_for_and_the_next_one_counts() -> None:
    done = stream(40, 1, {COFFEE: 0.0, RADIO: 60.0, LAMP: 60.0})
    assert set(links(done, [(COFFEE, LAMP)], max_gap_s=2700, least_evidence=3)) == {(COFFEE, LAMP)}
    assert links(done, [(COFFEE, LAMP)], max_gap_s=40, least_evidence=3) == {}  # it comes after 2 minutes
    assert links([], [(COFFEE, LAMP)], max_gap_s=40, least_evidence=3) == {}
