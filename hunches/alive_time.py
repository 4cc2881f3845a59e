"""How long a home was alive, hour by hour: the clock by which a silence is measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

SLOT_S: Final = 300.0
AWAKE_SLOTS: Final = 12  # an hour after people last set something off, the home counts as dormant
HOURS: Final = 24
_LONGEST_REST_S: Final = 12 * 3600.0  # a home that says nothing for longer isn't heard

Counts = tuple[int, ...]


class AliveTime:
    """Counts the five-minute slots in which a home reported anything, by the local hour.

    Time in which nobody is at home, or the recording has a gap, is no time in which a motion sensor is
    silent. So silences are measured in slots in which something else reported, in two counts that only grow:

    - `people`: 24 numbers, slots in which something that people set off reported;
    - `all`: 48 numbers, slots in which anything reported, for hours in which people set something off within
      the last hour, then for those in which they didn't.

    `heard_s` is plain time, without what a silence of the whole home exceeds twelve hours by.

    Memory: 72 numbers, and the entities that reported in the present slot. `report` is O(1), and the end of
    a slot O(entities that reported in it).

    >>> time = AliveTime()
    >>> for minute in range(61):
    ...     _ = time.advance(60.0 * minute, hour=7)
    ...     time.report("light.hall", 60.0 * minute, people=True)
    >>> time.people[7], sum(time.all)
    (12, 12)
    """

    __slots__ = (
        "_heard_s",
        "_hour",
        "_last",
        "_people",
        "_people_slot",
        "_reported",
        "all",
        "people",
        "slot",
    )

    def __init__(self) -> None:
        self.people: Counts = (0,) * HOURS
        self.all: Counts = (0,) * (2 * HOURS)
        self.slot: int | None = None  # the present one
        self._hour = 0
        self._last: float | None = None  # report, epoch seconds
        self._heard_s = 0.0
        self._people_slot: int | None = None
        self._people: set[str] = set()
        self._reported: set[str] = set()

    def advance(self, at: float, hour: int) -> Slot | None:
        """Take note of the time (epoch seconds, local hour); return a slot with reports that ended."""
        slot = int(at // SLOT_S)
        if slot == self.slot:
            return None
        before = self.slot
        ended = self._end(before) if self._reported and before is not None and slot > before else None
        if self._people_slot is not None and self._people_slot > slot:
            self._people_slot = None  # the clock was set back
        self.slot, self._hour = slot, hour
        self._reported, self._people = set(), set()
        return ended

    def heard_s(self, at: float) -> float:
        """Return for how long the home has been heard, in seconds since any moment."""
        return self._heard_s + self._since_last(at)

    def _since_last(self, at: float) -> float:
        rest = 0.0 if self._last is None else at - self._last
        if rest <= 0.0:
            return 0.0
        return rest if rest < _LONGEST_REST_S else _LONGEST_REST_S

    def report(self, entity_id: str, at: float, *, people: bool) -> None:
        """Count a report in the present slot."""
        self._heard_s += self._since_last(at)
        self._last = at
        self._reported.add(entity_id)
        if people:
            self._people.add(entity_id)

    def reported(self, entity_id: str) -> bool:
        """Whether an entity reported in the present slot."""
        return entity_id in self._reported

    def _end(self, slot: int) -> Slot:
        hour = self._hour
        if self._people:
            self.people = _plus_one(self.people, hour)
            self._people_slot = slot
        awake = self._people_slot is not None and slot - self._people_slot <= AWAKE_SLOTS
        cell = hour if awake else HOURS + hour
        self.all = _plus_one(self.all, cell)
        at = (slot + 1) * SLOT_S
        return Slot(at, self._heard_s, hour, cell, frozenset(self._people), frozenset(self._reported))

    def forget(self, entity_id: str) -> None:
        """Drop an entity's part in the present slot."""
        self._reported.discard(entity_id)
        self._people.discard(entity_id)

    def rename(self, old: str, new: str) -> None:
        """Carry an entity's part in the present slot over."""
        for found in (self._reported, self._people):
            if old in found:
                found.discard(old)
                found.add(new)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "people": list(self.people),
            "all": list(self.all),
            "now": [self.slot, self._hour, self._people_slot, self._last, self._heard_s],
            "reported": sorted(self._reported),
            "reported_people": sorted(self._people),
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self.people, self.all = tuple(data["people"]), tuple(data["all"])
        self.slot, self._hour, self._people_slot, self._last, self._heard_s = data["now"]
        self._reported, self._people = set(data["reported"]), set(data["reported_people"])


class Slot(NamedTuple):
    """Five minutes in which something reported."""

    at: float  # its end, epoch seconds
    heard_s: float  # `AliveTime.heard_s` at the last report in it
    hour: int
    cell: int  # of `AliveTime.all`
    people: frozenset[str]
    reported: frozenset[str]


def _plus_one(counts: Counts, i: int) -> Counts:
    return (*counts[:i], counts[i] + 1, *counts[i + 1 :])
