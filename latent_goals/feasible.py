"""Whether an action is possible now: what is on can only go off."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import Any, Final

from devices.counting import pack, unpack

ON: Final = frozenset({"on", "open", "opened", "true", "1"})
OFF: Final = frozenset({"off", "closed", "close", "false", "0"})
MEMORY: Final = 64  # occasions; older ones are halved, so that an entity may change its ways
SURE: Final = 0.05  # of one occasion imagined beforehand, against what the state's name says
WORDS: Final = re.compile(r"(.+)[ :=|/](.+)|(.+)[_.-](on|off|open|opened|closed|close)", re.IGNORECASE)

Parse = Callable[[Hashable], tuple[Hashable, Hashable] | None]


def entity_and_state(action: Hashable) -> tuple[Hashable, Hashable] | None:
    """Return the entity and its new state: those of a pair, or of text such as "light.desk:on".

    The state is what comes after the last space or one of `:=|/`; after `_.-` only if it is on, off, open or
    closed. Other actions are known as a whole.

    >>> entity_and_state(("desk", "on")), entity_and_state("light.desk:on"), entity_and_state("desk_on")
    (('desk', 'on'), ('light.desk', 'on'), ('desk', 'on'))
    >>> entity_and_state("light.desk"), entity_and_state(7)
    (None, None)
    """
    if isinstance(action, tuple) and len(action) == 2:
        return action
    if isinstance(action, str) and (words := WORDS.fullmatch(action)):
        return words[1] or words[3], words[2] or words[4]
    return None


class Feasible:
    """How likely an entity is on, or isn't, when an action on it happens.

        P(on | a) = (n_on(a) + prior) / (n(a) + 1)

    The prior is 0.05 for states named on or open, 0.95 for off or closed, else 0.5: names are believed until
    the home contradicts them, as when nobody tells of the entity. Without one an action is always feasible.

    Memory: two numbers for each of the actions that it is told of. `odds` is O(1).

    Parameters
    ----------
    parse: returns the entity and the state of an action, or None.

    >>> feasible = Feasible()
    >>> feasible.learn_one(("lamp", "on"), frozenset())
    >>> feasible.odds(("lamp", "on"), {"lamp"}) < 0.05 < 0.95 < feasible.odds(("lamp", "on"), ())
    True
    """

    __slots__ = ("_known", "_off", "actions_on", "entity", "parse")

    def __init__(self, parse: Parse = entity_and_state) -> None:
        self.parse = parse
        self._known: dict[Hashable, tuple[float, float]] = {}  # action -> occasions on, occasions
        self._off: dict[Hashable, float] = {}  # action -> odds while its entity isn't on, worked out once
        self.entity: dict[Hashable, Hashable] = {}  # action -> entity
        self.actions_on: dict[Hashable, dict[Hashable, None]] = {}  # entity -> its actions, in order

    def add(self, action: Hashable) -> None:
        """Hear of an action."""
        if action in self.entity or (parts := self.parse(action)) is None:
            return
        entity, state = parts
        self.entity[action] = entity
        self.actions_on.setdefault(entity, {})[action] = None
        name = str(state).lower()
        prior = SURE if name in ON else 1.0 - SURE if name in OFF else 0.5
        self._note(action, prior, 1.0)

    def learn_one(self, action: Hashable, on: Collection[Hashable] | None) -> None:
        """Learn from an action done while those entities were on, or while nobody knew."""
        self.add(action)
        if on is None or action not in self.entity:
            return
        times_on, times = self._known[action]
        if times >= MEMORY:
            times_on, times = times_on / 2.0, times / 2.0
        self._note(action, times_on + (self.entity[action] in on), times + 1.0)

    def _note(self, action: Hashable, times_on: float, times: float) -> None:
        self._known[action] = times_on, times
        self._off[action] = (times - times_on) / times

    def odds(self, action: Hashable, on: Collection[Hashable]) -> float:
        """Return the probability that its entity is as it is, given that the action happens."""
        if action not in self.entity:
            return 1.0
        times_on, times = self._known[action]
        return (times_on if self.entity[action] in on else times - times_on) / times

    def odds_of(self, actions: Iterable[Hashable], on: Collection[Hashable] | None) -> dict[Hashable, float]:
        """Return the odds of each action; where nobody knows what is on they are 1."""
        if on is None:
            return dict.fromkeys(actions, 1.0)
        odds = self._off.copy()
        for entity in on:
            for action in self.actions_on.get(entity, ()):
                odds[action] = 1.0 - odds[action]
        return {action: odds.get(action, 1.0) for action in actions}

    def forget(self, action: Hashable) -> None:
        """Forget an action."""
        if action in self.entity:
            entity = self.entity.pop(action)
            del self._known[action], self._off[action], self.actions_on[entity][action]
            if not self.actions_on[entity]:
                del self.actions_on[entity]

    def to_list(self) -> list[Any]:
        """Return a JSON-serialisable snapshot."""
        return [
            [pack(action), *self._known[action]] for actions in self.actions_on.values() for action in actions
        ]

    def load(self, data: Sequence[Any]) -> None:
        """Restore from `to_list`."""
        self._known, self._off, self.entity, self.actions_on = {}, {}, {}, {}
        for packed, times_on, times in data:
            action = unpack(packed)
            self.add(action)
            self._note(action, times_on, times)
