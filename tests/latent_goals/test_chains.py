"""Which associations are one goal."""

from __future__ import annotations

from latent_goals.association import Counts, Tally
from latent_goals.chains import chains, steps_of
from latent_goals.goal import Pattern
from latent_goals.implications import Edge
from latent_goals.occasions import ANY

PLUG, TV, BLIND, LAMP, LOCK = (Pattern(f"switch.{n}", "on") for n in ("plug", "tv", "blind", "lamp", "lock"))


def edge(first: Pattern, follow: Pattern, delay: int = 60, p: float = 1e-6) -> Edge:
    return Edge(first, follow, Tally({ANY: Counts(9, 9, 9)}, [delay] * 9, [1], []), ANY, 0.01, p, p)


FILM = [
    edge(PLUG, TV),
    edge(PLUG, BLIND),
    edge(PLUG, LAMP),
    edge(TV, BLIND),
    edge(TV, LAMP),
    edge(BLIND, LAMP),
]


def in_order(one: Pattern, other: Pattern) -> float:
    """In which share of its occasions one comes after another: always, or never."""
    order = [PLUG, TV, BLIND, LAMP, LOCK]
    return float(order.index(one) > order.index(other))


def test_a_sequence_is_one_goal_with_several_entries() -> None:
    assert chains(FILM, in_order) == {PLUG: (PLUG, TV, BLIND)}


def test_what_mostly_happens_by_itself_is_a_goal_of_its_own() -> None:
    found = chains(FILM, lambda one, other: 0.2 if one == TV else in_order(one, other))
    assert set(found) == {PLUG, TV}


def test_what_implies_more_is_a_goal_of_its_own() -> None:
    assert set(chains([*FILM, edge(TV, LOCK)], in_order)) == {PLUG, TV}


def test_goals_that_are_settled_are_kept() -> None:
    assert set(chains(FILM, in_order, {TV})) == {PLUG, TV}


def test_two_that_imply_each_other_are_one_goal() -> None:
    assert chains([edge(TV, LAMP), edge(LAMP, TV)], in_order) == {TV: (TV, LAMP)}


def test_steps_come_in_the_order_in_which_they_follow() -> None:
    edges = [edge(PLUG, LAMP, 90), edge(PLUG, TV, 20), edge(TV, BLIND, 5)]
    assert [e.follow for e in steps_of(PLUG, edges)] == [TV, LAMP]


def test_a_thing_is_told_one_thing_only() -> None:
    off = Pattern(LAMP.target, "off")
    steps = steps_of(PLUG, [edge(PLUG, LAMP, p=1e-3), edge(PLUG, off, p=1e-9)])
    assert [e.follow for e in steps] == [off]
