"""How long entities were unavailable, and which are now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_FORGOTTEN_S: Final = 400 * 86400.0


class Outages:
    """Follows each entity's outages: the present one, and the longest of the last 400 days.

    Memory: three numbers an entity that was ever unavailable. All is O(1).

    >>> o = Outages()
    >>> o.begin("light.hall", 0.0); o.end("light.hall", 600.0); o.begin("light.hall", 1000.0)
    >>> o.lasted("light.hall", 5000.0), o.longest("light.hall")
    (4000.0, 600.0)
    """

    __slots__ = ("_longest", "_now")

    def __init__(self) -> None:
        self._now: dict[str, float] = {}
        self._longest: dict[str, tuple[float, float]] = {}  # seconds, when it ended

    def __len__(self) -> int:
        """How many entities are unavailable now."""
        return len(self._now)

    def __contains__(self, entity_id: str) -> bool:
        return entity_id in self._now

    def begin(self, entity_id: str, at: float) -> None:
        """Note that an entity became unavailable, or is still."""
        self._now.setdefault(entity_id, at)

    def end(self, entity_id: str, at: float) -> None:
        """Note that it is available again."""
        since = self._now.pop(entity_id, None)
        if since is None:
            return
        known = self._longest.get(entity_id)
        if known is None or at - since > known[0] or at - known[1] > _FORGOTTEN_S:
            self._longest[entity_id] = (at - since, at)

    def lasted(self, entity_id: str, at: float) -> float:
        """Return for how many seconds it has been unavailable."""
        return at - self._now.get(entity_id, at)

    def longest(self, entity_id: str) -> float:
        """Return the longest outage before, in seconds; 0: there was none."""
        return self._longest.get(entity_id, (0.0, 0.0))[0]

    def forget(self, entity_id: str) -> None:
        """Drop an entity."""
        self._now.pop(entity_id, None)
        self._longest.pop(entity_id, None)

    def rename(self, old: str, new: str) -> None:
        """Carry an entity's outages over to its new id."""
        if old in self._now:
            self._now[new] = self._now.pop(old)
        if old in self._longest:
            self._longest[new] = self._longest.pop(old)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {"now": dict(self._now), "longest": {e: list(x) for e, x in self._longest.items()}}

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self._now = dict(data["now"])
        self._longest = {e: (s, at) for e, (s, at) in data["longest"].items()}
