"""Which entities have said nothing for how long, while the home around them lived on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from devices.state import HomeState
from hunches.alive_time import HOURS, SLOT_S, AliveTime, Slot
from hunches.reporting import Moment, Reporting

_NETWORK: Final = 1 / 3  # of what is followed; if more is silent, it isn't the devices


class Silences:
    """Follows the silences of all entities of a home by the clock of its life.

    Memory: for each entity at most 148 numbers and 178 bins. A report costs O(1), the end of a five-minute
    slot O(entities that reported in it), `is_network` O(entities).

    >>> silences = Silences(half_life_days=30.0, min_reports=30.0, patience_s=3600.0)
    >>> silences.advance(0.0, hour=7)
    []
    >>> silences.report("light.hall", 10.0, people=True)
    >>> silences.advance(300.0, hour=7)
    ['light.hall']
    """

    __slots__ = ("_known", "_time", "half_life_days", "min_reports", "patience_s")

    def __init__(self, *, half_life_days: float, min_reports: float, patience_s: float) -> None:
        self.half_life_days = half_life_days
        self.min_reports = min_reports
        self.patience_s = patience_s
        self._time = AliveTime()
        self._known: dict[str, Reporting] = {}

    def __contains__(self, entity_id: str) -> bool:
        return entity_id in self._known

    def __getitem__(self, entity_id: str) -> Reporting:
        return self._known[entity_id]

    # -- scoring ----------------------------------------------------------------------------------

    def now(self, entity_id: str, at: float) -> Moment:
        """Return a time as the clock shows it by which an entity's silence is measured."""
        return self._now(self._known[entity_id], at)

    def _now(self, known: Reporting, at: float) -> Moment:
        counts = self._time.people if _is_peoples(known) else self._time.all
        return Moment(at, self._time.heard_s(at), counts)

    def is_alive(self, entity_id: str, home: HomeState) -> bool:
        """Whether an entity reported after what was last learned of it, if only the same state again."""
        known, state = self._known.get(entity_id), home.get(entity_id)
        if known is None or state is None:
            return False
        return self._time.reported(entity_id) or bool(state.seen_at.timestamp() > known.last.at)

    def is_long(self, entity_id: str, at: float, home: HomeState) -> bool:
        """Whether an entity whose habits are known is silent for longer than ever, by the patience."""
        known = self._known.get(entity_id)
        return (
            known is not None
            and at - known.last.at >= known.longest_s + self.patience_s
            and known.weight >= self.min_reports
            and not self.is_alive(entity_id, home)
        )

    def judged(self, min_a_day: float, at: float) -> int:
        """Return how many entities report often enough to be judged."""
        return sum(r.weight >= self.min_reports and r.rate(at) >= min_a_day for r in self._known.values())

    def is_network(self, at: float, home: HomeState, limit: float) -> bool:
        """Whether so many silences are rarer than `limit` a day at once that it isn't the devices."""
        judged = [e for e, r in self._known.items() if r.weight >= self.min_reports]
        silent = sum(
            self._known[e].per_day(self._now(self._known[e], at)) < limit
            for e in judged
            if not self.is_alive(e, home) and at - self._known[e].last.at >= self.patience_s
        )
        return silent >= 3 and silent > _NETWORK * len(judged)

    # -- learning ---------------------------------------------------------------------------------

    def report(self, entity_id: str, at: float, *, people: bool) -> None:
        """Count a report in the present slot; `people`: of something that people set off."""
        self._time.report(entity_id, at, people=people)

    def is_now(self, at: float) -> bool:
        """Whether a time lies in the present slot, so that there is nothing to learn yet."""
        return at // SLOT_S == self._time.slot

    def advance(self, at: float, hour: int) -> list[str]:
        """Take note of the time (epoch seconds, local hour); return the entities that are new."""
        ended = self._time.advance(at, hour)
        if ended is None:
            return []
        new = [e for e in sorted(ended.reported) if e not in self._known]
        for entity_id in sorted(ended.reported):
            self._learn_slot(entity_id, ended)
        return new

    def _learn_slot(self, entity_id: str, slot: Slot) -> None:
        known = self._known.get(entity_id)
        people = entity_id in slot.people if known is None else _is_peoples(known)
        if people and entity_id not in slot.people:
            return  # what it is has changed
        now = Moment(slot.at, slot.heard_s, self._time.people if people else self._time.all)
        if known is None:
            self._known[entity_id] = Reporting(now, half_life_days=self.half_life_days)
            return
        company = slot.people if people else slot.reported
        known.learn_one(now, slot.hour if people else slot.cell, solo=len(company) == 1)

    def take_repeats(self, entity_id: str, at: float, home: HomeState) -> None:
        """Take the same state again, which is no change, for a sign of life."""
        if self.is_alive(entity_id, home) and not self._time.reported(entity_id):
            known = self._known[entity_id]
            known.last = self._now(known, at)

    # -- keeping ----------------------------------------------------------------------------------

    def forget(self, entity_id: str) -> None:
        """Drop an entity."""
        self._known.pop(entity_id, None)
        self._time.forget(entity_id)

    def rename(self, old: str, new: str) -> None:
        """Carry what was learned over to an entity's new id."""
        if old in self._known:
            self._known[new] = self._known.pop(old)
        self._time.rename(old, new)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {"time": self._time.to_dict(), "known": {e: r.to_dict() for e, r in self._known.items()}}

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._time.load(data["time"])
        self._known = {
            e: Reporting.from_dict(r, half_life_days=self.half_life_days) for e, r in data["known"].items()
        }


def _is_peoples(known: Reporting) -> bool:
    """Whether people set an entity off; then only what they set off tells that it should have reported."""
    return len(known.last.counts) == HOURS
