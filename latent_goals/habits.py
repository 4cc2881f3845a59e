"""Groups of actions that have something in common with what was done before, or with nothing done here."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Final

from latent_goals.circumstances import X, gap_of, history_of, open_of
from latent_goals.feasible import Feasible

Group = tuple[str, Iterable[Hashable]]  # what its actions have in common, in all homes

RANKS: Final = ((0, 0), (1, 1), (2, 2), (3, 4), (5, 8), (9, 15))  # actions ago
NEAR: Final = ((1, 1), (2, 3), (4, 99))  # entities ago
FIRST_WORD: Final = re.compile(r"[^ :=|/.]*")


def habits(x: X, feasible: Feasible) -> Iterator[Group]:
    """Yield what was done n actions ago, and the actions on entities used so long ago, or on."""
    history, gap = history_of(x)[::-1], gap_of(x)
    ago: dict[Hashable, int] = {}
    for n, action in enumerate(history):
        ago.setdefault(action, n)
    for first, last in RANKS:
        yield f"{first} ago", [action for action, n in ago.items() if first <= n <= last]
    entities = list(dict.fromkeys(feasible.entity[a] for a in ago if a in feasible.entity))
    if not entities:
        return
    actions_on = feasible.actions_on
    yield f"same after {gap}", actions_on.get(feasible.entity.get(history[0]), ())
    for first, last in NEAR:
        yield f"entity {first} after {gap}", [a for e in entities[first : last + 1] for a in actions_on[e]]
    on = open_of(x) or ()
    # in the order in which they were learned: that of a set differs from process to process
    held = (actions for entity, actions in actions_on.items() if entity in on)
    yield f"on after {gap}", list(chain.from_iterable(held))


def firsts(known: Collection[Hashable], done: Collection[Hashable]) -> Iterator[Group]:
    """Yield the known actions never done here, and those of them that are kin to one that was."""
    if len(known) == len(done):
        return
    new = [action for action in known if action not in done]
    kin = {kin_of(action) for action in done}
    yield "new", new
    yield "new kin", [action for action in new if kin_of(action) in kin]


@lru_cache(maxsize=4096)
def kin_of(action: Hashable) -> Hashable:
    """Return the first word of what something is done to, its domain or type of device.

    >>> kin_of("Television:volumeDown"), kin_of(("light.desk", "on")), kin_of(7)
    ('Television', 'light', 7)
    """
    name = action[0] if isinstance(action, tuple) and action else action
    match = FIRST_WORD.match(name) if isinstance(name, str) else None
    return match[0] if match else name
