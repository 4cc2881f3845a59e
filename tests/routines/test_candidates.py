from __future__ import annotations

import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import pairwise, permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routines.actions import Action, Item
from routines.candidates import LEAST_EVIDENCE, MAX_GAP_S, Candidates, candidates, least_support
from routines.links import DAY_S, Link, Pair, links
from routines.sessions import sessions

KITCHEN, COFFEE, RADIO, HALL, BATH = (
    Item(e, "on")
    for e in ("light.kitchen", "switch.coffee", "media_player.radio", "light.hall", "light.bath")
)
MORNING = (KITCHEN, COFFEE, RADIO)


def home(days: int, seed: int, *, regularity: float = 0.85) -> tuple[list[Action], list[tuple[float, ...]]]:
    """A morning of three steps among things done at any time; and when it was."""
    rng, done, truth = Random(seed), [], []
    for day in range(days):
        if rng.random() < regularity:
            at = day * DAY_S + rng.gauss(7 * 3600, 900)
            times = [at, at + 40 * rng.lognormvariate(0, 0.25), at + 100 * rng.lognormvariate(0, 0.1)]
            done += [Action(t, item) for t, item in zip(times, MORNING, strict=True)]
            truth.append(tuple(times))
        done += [
            Action((day + rng.uniform(0.35, 0.9)) * DAY_S, item) for item in (HALL, BATH) for _ in range(4)
        ]
        done += [Action((day + rng.uniform(0.5, 0.9)) * DAY_S, KITCHEN)]
    return sorted(done, key=lambda a: a.at), truth


@pytest.mark.parametrize("seed", range(3))
def test_a_habit_is_found_with_every_time_it_was_done(seed: int) -> None:
    done, truth = home(60, seed)
    found = candidates(sessions(done))
    first = found.found[0]
    by_items = {c.items: c for c in found.found}
    assert set(first.items) <= set(MORNING)
    morning = by_items[MORNING]
    assert morning.support == pytest.approx(len(truth), abs=1)
    assert set(morning.occurrences) <= set(truth)
    assert len(morning.occurrences) >= 0.95 * len(truth)
    assert (RADIO, KITCHEN) not in by_items


def test_things_done_at_any_time_are_few_and_weak() -> None:
    done, _ = home(60, 5, regularity=0.0)
    found = candidates(sessions(done)).found
    assert len(found) <= 2
    assert all(c.evidence < 8 for c in found)


@pytest.fixture(scope="module")
def busy() -> tuple[list[list[Action]], Candidates]:
    rng, done = Random(3), []
    items = [Item(f"light.l{n}", state) for n in range(12) for state in ("on", "off")]
    for day in range(40):
        for start in (7, 18, 22):
            at = day * DAY_S + rng.gauss(start * 3600, 900)
            for n in range(start, start + 12):
                done.append(Action(at, items[n % 24]))
                at += 60 * rng.lognormvariate(0, 0.5)
    cut = sessions(sorted(done, key=lambda a: a.at))
    return cut, candidates(cut, max_length=4)


def test_occurrences_are_in_order_in_time_and_share_nothing(
    busy: tuple[list[list[Action]], Candidates],
) -> None:
    cut, found = busy
    times = {(a.at, a.item) for session in cut for a in session}
    assert any(len(c.items) == 4 for c in found.found)
    for candidate in found.found:
        assert 2 <= len(candidate.items) <= 4
        assert candidate.support >= least_support(40)
        for occurrence in candidate.occurrences:
            assert set(zip(occurrence, candidate.items, strict=True)) <= times
            assert all(0 <= b - a <= 2700 for a, b in pairwise(occurrence))
        assert all(a[-1] < b[0] for a, b in pairwise(candidate.occurrences))


def test_the_limit_keeps_the_strongest_and_counts_the_rest(
    busy: tuple[list[list[Action]], Candidates],
) -> None:
    cut, every = busy
    few = candidates(cut, max_length=4, limit=10)
    assert few.found == every.found[:10]
    assert few.cut == every.sequences - 10
    assert [c.evidence for c in few.found] == sorted((c.evidence for c in few.found), reverse=True)
    assert few.sessions == len(cut)
    assert few.pairs >= few.links


def test_one_that_is_begun_twice_ends_with_the_shortest_waits() -> None:
    done = []
    for day in range(20):
        at = day * DAY_S + 1000.0 * (day % 5)
        again = [Action(at - 600, KITCHEN)] if day % 4 == 0 else []
        done += [*again, Action(at, KITCHEN), Action(at + 30, COFFEE)]
    (found,) = [c for c in candidates(sessions(done)).found if c.items == (KITCHEN, COFFEE)]
    assert all(b - a == 30 for a, b in found.occurrences)
    assert len(found.occurrences) == 20


def one_by_one(
    pattern: Sequence[Item], done: Sequence[Action], linked: Mapping[Pair, Link]
) -> list[tuple[float, ...]]:
    """What each action begins, continues or completes, as it comes."""
    found = []
    begun: list[deque[tuple[float, ...]]] = [deque([()])] + [deque(maxlen=32) for _ in pattern]
    for at, step in sorted((a.at, n) for a in done for n, item in enumerate(pattern) if a.item == item):
        wait = linked[pattern[step - 1], pattern[step]] if step else Link(0.0, 0.0, 0.0)
        soon = [c for c in begun[step] if not c or wait.soonest_s <= at - c[-1] <= wait.latest_s]
        if soon:
            begun[step + 1].append((*soon[-1], at))
        if begun[-1]:
            found.append(begun[-1][-1])
            begun[1:] = [deque(maxlen=32) for _ in pattern]
    return found


WAITS = st.sampled_from([0, 30, 30, 60, 600])


@given(
    st.lists(st.tuples(WAITS, st.sampled_from([KITCHEN, COFFEE, RADIO])), min_size=2, max_size=8),
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from([KITCHEN, COFFEE, RADIO])), max_size=12),
)
def test_occurrences_are_those_that_one_by_one_come_about(
    habit: list[tuple[int, Item]], odd: list[tuple[int, Item]]
) -> None:
    done = []
    for day in range(8):
        at = day * DAY_S + 9000.0 * day
        for wait, item in [*habit, *(odd if day % 4 == 3 else [])]:
            at += wait
            done.append(Action(at, item))
    linked = links(
        done, permutations({a.item for a in done}, 2), max_gap_s=MAX_GAP_S, least_evidence=LEAST_EVIDENCE
    )
    for candidate in candidates(sessions(done), min_support=3).found:
        assert list(candidate.occurrences) == one_by_one(candidate.items, done, linked)


@pytest.mark.parametrize(("times", "found"), [(20, 21), (40, 20)])
def test_who_plays_with_a_switch_has_begun_nothing(times: int, found: int) -> None:
    done = []
    for day in range(21):
        at = day * DAY_S + 1000.0 * (day % 5)
        play = [Action(at + 500 + n, KITCHEN) for n in range(times)] if day == 13 else []
        done += [Action(at, KITCHEN), *play, Action(at + 600, COFFEE)]
    (habit,) = [c for c in candidates(sessions(done)).found if c.items == (KITCHEN, COFFEE)]
    assert len(habit.occurrences) == found


def test_nothing_gives_nothing() -> None:
    assert candidates([]) == Candidates((), 0, 0, 0, 0, 0)
    assert candidates([[Action(0.0, HALL)]]).found == ()


def test_the_daemon_doesnt_load_pandas_by_importing_the_miner() -> None:
    code = "import sys, routines.candidates; print(sorted({'pandas', 'numpy', 'mlxtend'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
