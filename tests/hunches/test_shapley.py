from __future__ import annotations

from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunches.shapley import MAX_PLAYERS, shapley

NAMES = ["daypart", "day", "occupancy", "entity", "state", "season"]


class Game:
    """A random worth for each coalition; the same seed gives the same game."""

    def __init__(self, seed: int, without: frozenset[str] = frozenset()) -> None:
        self.seed, self.without, self.asked = seed, without, 0

    def __call__(self, coalition: frozenset[str]) -> float:
        self.asked += 1
        return Random(f"{self.seed}/{sorted(coalition - self.without)}").uniform(-5.0, 5.0)


games = st.tuples(st.integers(0, 6), st.integers(0, 10**6))


def test_glove_market() -> None:
    # one left glove, two right ones; a pair is worth 1. Of the 6 orders, the left one completes a pair in the
    # 4 in which it isn't first: 4/6. Each right one does when it comes second, after the left one: 1/6.
    def pairs(s: frozenset[str]) -> float:
        return float("left" in s and len(s) > 1)

    assert shapley(["left", "right", "other"], pairs) == pytest.approx(
        {"left": 4 / 6, "right": 1 / 6, "other": 1 / 6}
    )


@given(games)
def test_is_the_average_over_all_orders(game: tuple[int, int]) -> None:
    n, seed = min(game[0], 4), game[1]
    players, v = NAMES[:n], Game(seed)
    orders = list(permutations(players))
    mean = dict.fromkeys(players, 0.0)
    for order in orders:
        for i, p in enumerate(order):
            mean[p] += (v(frozenset(order[: i + 1])) - v(frozenset(order[:i]))) / len(orders)
    assert shapley(players, v) == pytest.approx(mean)


@given(games)
def test_efficient_and_asks_once(game: tuple[int, int]) -> None:
    n, seed = game
    v = Game(seed)
    parts = shapley(NAMES[:n], v)
    assert v.asked == 2**n
    assert sum(parts.values()) == pytest.approx(v(frozenset(NAMES[:n])) - v(frozenset()))


@given(st.integers(0, 10**6))
def test_a_player_who_changes_nothing_gets_nothing(seed: int) -> None:
    assert shapley(NAMES, Game(seed, without=frozenset({"day"})))["day"] == pytest.approx(0.0)


@given(st.integers(0, 10**6))
def test_players_who_add_the_same_get_the_same(seed: int) -> None:
    v = Game(seed)

    def swapped(s: frozenset[str]) -> float:
        other = {"day": "daypart", "daypart": "day"}
        return v(s) + v(frozenset(other.get(p, p) for p in s))

    parts = shapley(NAMES, swapped)
    assert parts["day"] == pytest.approx(parts["daypart"])


@given(st.integers(0, 10**6), st.floats(-3.0, 3.0))
def test_additive(seed: int, factor: float) -> None:
    v, w = Game(seed), Game(seed + 1)
    both = shapley(NAMES, lambda s: v(s) + factor * w(s))
    one, two = shapley(NAMES, v), shapley(NAMES, w)
    assert both == pytest.approx({p: one[p] + factor * two[p] for p in NAMES})


def test_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="distinct"):
        shapley(["a", "a"], len)
    with pytest.raises(ValueError, match="at most"):
        shapley([str(i) for i in range(MAX_PLAYERS + 1)], len)
