"""Which of Home Assistant's entities are Inkling itself: they are no part of the home, and teach nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agent.delivery import discovery_configs


class OwnEntities:
    """Our entities' ids: those that we ask for, and those that the registry says they have.

    >>> own = OwnEntities("inkling", "homeassistant")
    >>> "switch.inkling_learning" in own, "switch.heater" in own
    (True, False)
    """

    def __init__(self, prefix: str, discovery: str) -> None:
        self._wanted = {
            (config["default_entity_id"].partition(".")[0], config["unique_id"]): config["default_entity_id"]
            for config in discovery_configs(prefix, discovery).values()
        }
        self._ids = set(self._wanted.values())

    def __contains__(self, entity_id: str) -> bool:
        return entity_id in self._ids

    def registry(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Read the ids in the entity registry, which residents may have changed."""
        ids = dict(self._wanted)
        for row in rows:
            entity_id = row.get("entity_id")
            if row.get("platform") == "mqtt" and isinstance(entity_id, str):
                key = entity_id.partition(".")[0], str(row.get("unique_id"))
                if key in ids:
                    ids[key] = entity_id
        self._ids = set(ids.values())

    def renamed(self, old: str, new: str) -> bool:
        """Take in a new id; return whether it is one of ours."""
        if old not in self._ids:
            return False
        self._ids.add(new)  # the old one may still be heard of; the registry is read in a moment
        return True
