from __future__ import annotations

import subprocess
import sys
from random import Random

import pytest

from routines.actions import Action, Item
from routines.candidates import Candidates, candidates, least_support
from routines.links import DAY_S
from routines.sessions import sessions

KITCHEN, COFFEE, RADIO, HALL, BATH = (
    Item(e, "on")
    for e in ("light.kitchen", "switch.coffee", "media_player.radio", "light.hall", "light.bath")
)
MORNING = (KITCHEN, COFFEE, RADIO)


def home(days: int, seed: int, *, regularity: float = 0.85) -> tuple[list[Action], int]:
    """A morning of three steps among things done at any time; and how often it was."""
    rng, done, mornings = Random(seed), [], 0
    for day in range(days):
        if rng.random() < regularity:
            at = day * DAY_S + rng.gauss(7 * 3600, 900)
            times = [at, at + 40 * rng.lognormvariate(0, 0.25), at + 100 * rng.lognormvariate(0, 0.1)]
            done += [Action(t, item) for t, item in zip(times, MORNING, strict=True)]
            mornings += 1
        done += [
            Action((day + rng.uniform(0.35, 0.9)) * DAY_S, item) for item in (HALL, BATH) for _ in range(4)
        ]
        done += [Action((day + rng.uniform(0.5, 0.9)) * DAY_S, KITCHEN)]
    return sorted(done, key=lambda a: a.at), mornings


@pytest.mark.parametrize("seed", range(3))
def test_a_habit_is_found_as_often_as_it_was_done(seed: int) -> None:
    done, mornings = home(60, seed)
    found = candidates(sessions(done))
    first = found.found[0]
    by_items = {c.items: c for c in found.found}
    assert set(first.items) <= set(MORNING)
    morning = by_items[MORNING]
    assert morning.support == pytest.approx(mornings, abs=1)
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


def test_each_has_the_support_and_the_length_that_were_asked_for(
    busy: tuple[list[list[Action]], Candidates],
) -> None:
    _, found = busy
    assert {len(c.items) for c in found.found} == {2, 3, 4}
    assert all(c.support >= least_support(40) for c in found.found)


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


def test_nothing_gives_nothing() -> None:
    assert candidates([]) == Candidates((), 0, 0, 0, 0, 0)
    assert candidates([[Action(0.0, HALL)]]).found == ()


def test_the_daemon_doesnt_load_pandas_by_importing_the_miner() -> None:
    code = "import sys, routines.candidates; print(sorted({'pandas', 'numpy', 'mlxtend'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
