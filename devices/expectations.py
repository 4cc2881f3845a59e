"""What commands are about to bring: (entity, state, until), each confirmed once by each source."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from devices.events import Source, StateChange
from devices.provenance_rules import IN_BETWEEN, window

MAX_PER_ENTITY: Final = 8
_NESTED: Final = timedelta(seconds=0.5)


@dataclass(slots=True)
class Expectation:
    """A state that a command will bring; each source may confirm it once."""

    target: str | None  # None: any state
    at: datetime
    until: datetime
    context_id: str | None = None  # None: our own command whose context isn't known
    seen_only: bool = False  # somebody's `/set`: it tells that software did it, not whose
    met: set[Source] = field(default_factory=set)


class Expectations:
    """The commands that are still open, by entity. Memory: 8 for each of the last `max_entities`.

    >>> from devices.events import utc
    >>> t = utc("2024-01-01T08:00:00+00:00")
    >>> open_ = Expectations(100)
    >>> made = open_.add("cover.garage", "open", t)
    >>> def meets(state: str) -> bool:
    ...     heard = StateChange("cover.garage", state, t, t, source=Source.HOME_ASSISTANT)
    ...     return met(open_.of("cover.garage", t), heard) is made
    >>> meets("opening"), meets("open"), meets("open")
    (True, True, False)
    """

    def __init__(self, max_entities: int) -> None:
        self.max_entities = max_entities
        self._by_entity: OrderedDict[str, list[Expectation]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_entity)

    def __contains__(self, entity_id: str) -> bool:
        return entity_id in self._by_entity

    def of(self, entity_id: str, now: datetime) -> list[Expectation]:
        """Return those of an entity that haven't run out, oldest first."""
        expected = self._by_entity.get(entity_id)
        if not expected:
            return []
        if any(e.until < now for e in expected):
            expected[:] = [e for e in expected if e.until >= now]
        return expected

    def add(
        self,
        entity_id: str,
        target: str | None,
        now: datetime,
        *,
        context_id: str | None = None,
        until: datetime | None = None,
        seen_only: bool = False,
    ) -> Expectation:
        """Lay one down; a call made by a call (homeassistant.turn_on calls light.turn_on) is the same one."""
        expected = self.of(entity_id, now)
        if not seen_only:  # who it was is known now
            expected = [e for e in expected if not e.seen_only]
        for e in expected:
            nested = e.context_id == context_id and now - e.at < _NESTED and not e.met
            if nested and e.target == target and e.seen_only == seen_only:
                return e
        until = until or now + window(entity_id.partition(".")[0])
        made = Expectation(target, now, until, context_id, seen_only)
        self._by_entity[entity_id] = [*expected, made][-MAX_PER_ENTITY:]
        self._by_entity.move_to_end(entity_id)
        if len(self._by_entity) > self.max_entities:
            self._by_entity.popitem(last=False)
        return made

    def discard(self, entity_id: str, made: Iterable[Expectation]) -> None:
        """Take back expectations of a command that was refused."""
        gone = {id(e) for e in made}
        if (expected := self._by_entity.get(entity_id)) is not None:
            expected[:] = [e for e in expected if id(e) not in gone]

    def forget(self, entity_id: str) -> None:
        """Drop all of an entity's."""
        self._by_entity.pop(entity_id, None)


def met(expected: Iterable[Expectation], change: StateChange) -> Expectation | None:
    """Return the earliest expectation that a change meets, and cross it off for the change's source."""
    for e in _still_open(expected, change.source):
        if e.target is not None and change.new in IN_BETWEEN.get(e.target, ()):
            return e  # on the way: still open
        if e.target is None or e.target == change.new:
            e.met.add(change.source)
            return e
    return None


def _still_open(expected: Iterable[Expectation], source: Source) -> Iterator[Expectation]:
    return (e for e in expected if source not in e.met)
