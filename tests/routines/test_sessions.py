from __future__ import annotations

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routines.actions import Action, Item
from routines.sessions import GAP_BOUNDS_S, session_gap_s, sessions

LAMP = Item("light.hall", "on")


def actions(times: list[float]) -> list[Action]:
    return [Action(at, LAMP) for at in times]


def home(step_s: float, pause_s: float, *, seed: int = 1, days: int = 20) -> list[Action]:
    """Four sessions a day of six actions each."""
    rng, at, times = Random(seed), 0.0, []
    for _ in range(4 * days):
        for _ in range(6):
            times.append(at)
            at += rng.lognormvariate(0, 0.5) * step_s
        at += rng.lognormvariate(0, 0.5) * pause_s
    return actions(times)


@pytest.mark.parametrize("seed", range(3))
def test_the_gap_lies_between_the_steps_and_the_pauses_of_this_home(seed: int) -> None:
    quick = session_gap_s(home(120, 14_000, seed=seed), (0, 1e9))
    slow = session_gap_s(home(600, 18_000, seed=seed), (0, 1e9))
    assert 120 < quick < 14_000
    assert 600 < slow < 18_000
    assert quick < slow
    assert len(sessions(home(120, 14_000, seed=seed))) == pytest.approx(80, abs=4)


def test_the_gap_stays_within_its_bounds() -> None:
    least, most = GAP_BOUNDS_S
    assert session_gap_s(home(5, 200)) == least
    assert session_gap_s(home(9000, 90_000)) == most
    assert session_gap_s([]) == most
    assert session_gap_s(actions([0, 7, 14])) == most  # one gesture: nothing to tell apart


def test_long_sessions_are_cut_at_their_longest_pauses() -> None:
    times = [0.0, 1000, 2000, 3100, 4000, 5000, 6200, 7000, 8000]
    found = sessions(actions(times), gap_s=1800, longest_s=4000)
    # 5000 -> 6200 is the longest pause, 2000 -> 3100 the longest of what is left
    assert [[a.at for a in s] for s in found] == [[0, 1000, 2000], [3100, 4000, 5000], [6200, 7000, 8000]]


@given(st.lists(st.floats(0, 1e6), max_size=60), st.floats(1, 1e5), st.floats(1, 1e5))
def test_sessions_keep_every_action_in_order(times: list[float], gap_s: float, longest_s: float) -> None:
    done = actions(sorted(times))
    found = sessions(done, gap_s=gap_s, longest_s=longest_s)
    assert [a for s in found for a in s] == done
    for session in found:
        assert session[-1].at - session[0].at <= longest_s
        assert all(b.at - a.at <= gap_s for a, b in itertools.pairwise(session))
