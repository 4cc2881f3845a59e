"""What Home Assistant's ids of devices and areas stand for: its editor targets these rather than entities."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

Row = Mapping[str, Any]

_DEVICE_ACTIONS: Final = {
    "turn_on": "turn_on", "turn_off": "turn_off", "lock": "lock", "unlock": "unlock",
    "open": "open_cover", "close": "close_cover",
}  # fmt: skip


class Registry:
    """Names the entities that an automation's actions move.

    >>> lamp = {"id": "4f2a", "entity_id": "light.hall", "device_id": "d1", "area_id": None}
    >>> registry = Registry.of([lamp], [{"id": "d1", "area_id": "hallway"}])
    >>> registry.resolved({"action": "light.turn_on", "target": {"area_id": "hallway"}})["target"]
    {'area_id': 'hallway', 'entity_id': ['light.hall']}
    >>> registry.resolved({"type": "turn_on", "device_id": "d1", "entity_id": "4f2a", "domain": "light"})
    {'action': 'light.turn_on', 'target': {'entity_id': ['light.hall']}}
    """

    def __init__(self, entities: Mapping[str, str], members: Mapping[str, Iterable[str]]) -> None:
        self._entities = entities  # by the registry's own id
        self._members = members  # entities of a device or an area

    @classmethod
    def of(cls, entities: Iterable[Row], devices: Iterable[Row]) -> Self:
        """Read the rows of the registries of entities and devices."""
        areas = {row.get("id"): row.get("area_id") for row in devices}
        ids: dict[str, str] = {}
        members: dict[str, list[str]] = defaultdict(list)
        for row in entities:
            entity_id, device_id = str(row.get("entity_id")), row.get("device_id")
            ids[str(row.get("id"))] = entity_id
            for of in (device_id, row.get("area_id") or areas.get(device_id)):
                if of is not None:
                    members[of].append(entity_id)
        return cls(ids, members)

    def resolved(self, node: Any) -> Any:
        """Return a config, or a part of one, in which everything that is moved is named by its entity id."""
        if isinstance(node, list):
            return [self.resolved(item) for item in node]
        if not isinstance(node, Mapping):
            return node
        plain = {key: self.resolved(value) for key, value in node.items()}
        if "entity_id" in plain:
            plain["entity_id"] = [self._entities.get(e, e) for e in _names(plain["entity_id"])]
        if "device_id" in plain and (service := _DEVICE_ACTIONS.get(str(plain.get("type")))) is not None:
            moved = {"entity_id": plain.get("entity_id", [])}
            return {"action": f"{plain.get('domain')}.{service}", "target": moved}
        target, called = plain.get("target"), plain.get("action", plain.get("service"))
        if isinstance(target, dict) and isinstance(called, str):
            plain["target"] = {**target, "entity_id": self._targets(target, called.partition(".")[0])}
        return plain

    def _targets(self, target: Mapping[str, Any], domain: str) -> list[str]:
        found = _names(target.get("entity_id"))
        for of in [*_names(target.get("device_id")), *_names(target.get("area_id"))]:
            found += [
                e for e in self._members.get(of, ()) if domain in {"homeassistant", e.partition(".")[0]}
            ]
        return found


def _names(value: Any) -> list[str]:
    if isinstance(value, str):
        return [name.strip() for name in value.split(",")]
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
