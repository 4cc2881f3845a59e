"""Chains: associations that belong together become one goal with several steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Final

from latent_goals.goal import Pattern
from latent_goals.implications import Edge

_COMES_WITH: Final = 0.5  # share of a step's occasions that follow the first action, to be one goal with it


def chains(
    edges: Iterable[Edge], comes_with: Callable[[Pattern, Pattern], float], settled: Container[Pattern] = ()
) -> dict[Pattern, tuple[Pattern, ...]]:
    """Return the first actions of goals, each with the actions that it can be recognised by, itself first.

    A first action B belongs to the goal of A where all that it implies is implied by A, too (A itself
    apart), and most of its occasions come soon after A's: `comes_with(B, A)` is their share. So "film" with
    its four steps is one goal that can be recognised at each of them, and not a goal a step. The first
    actions in `settled` have goals of their own already, and keep them.

    Complexity: O(f² · s) for f first actions with s steps.

    >>> a, b, c = (Pattern(f"switch.{x}", "on") for x in "abc")
    >>> list(chains([], lambda one, other: 1.0))
    []
    """
    implied: dict[Pattern, set[Pattern]] = defaultdict(set)
    for edge in edges:
        implied[edge.first].add(edge.follow)
    order = sorted(implied, key=lambda first: (-len(implied[first]), first.key))
    owner: dict[Pattern, Pattern] = {}
    for first in order:
        for other in order if first not in settled else ():
            if other == first or not implied[first] - {other} <= implied[other]:
                continue
            if _root(other, owner) != first and comes_with(first, other) >= _COMES_WITH:
                owner[first] = other
                break
    found: dict[Pattern, list[Pattern]] = {first: [first] for first in order if first not in owner}
    for first in owner:
        found[_root(first, owner)].append(first)
    return {first: tuple(entries) for first, entries in found.items()}


def _root(first: Pattern, owner: Mapping[Pattern, Pattern]) -> Pattern:
    while first in owner:
        first = owner[first]
    return first


def steps_of(first: Pattern, edges: Iterable[Edge]) -> list[Edge]:
    """Return the associations of a goal's first action, in the order in which they usually follow.

    Of two with the same thing (a light goes on, and off again) only the more certain one is a step.
    """
    own: dict[str, Edge] = {}
    for edge in edges:
        known = own.get(edge.follow.target)
        if edge.first == first and (known is None or edge.p < known.p):
            own[edge.follow.target] = edge
    return sorted(
        own.values(), key=lambda e: (sorted(e.tally.delays)[len(e.tally.delays) // 2], e.follow.key)
    )
