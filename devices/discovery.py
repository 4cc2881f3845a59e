"""MQTT discovery and the entity registry: which of Home Assistant's entities a device's value is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from devices.decoder import MAX_INVENTORY_BYTES, BadPayloadError, slug

MAX_CONFIGS: Final = 20_000
_KEY: Final = re.compile(r"value_json((?:\.\w+|\[\s*['\"][^'\"]+['\"]\s*\])+)")
_STEP: Final = re.compile(r"\.(\w+)|\[\s*['\"]([^'\"]+)['\"]\s*\]")

# Home Assistant's abbreviations, as far as they matter here.
_ABBREVIATIONS: Final[Mapping[str, str]] = {
    "cmd_t": "command_topic",
    "cmps": "components",
    "curr_temp_t": "current_temperature_topic",
    "curr_temp_tpl": "current_temperature_template",
    "def_ent_id": "default_entity_id",
    "dev": "device",
    "dev_cla": "device_class",
    "mode_cmd_t": "mode_command_topic",
    "mode_stat_t": "mode_state_topic",
    "mode_stat_tpl": "mode_state_template",
    "obj_id": "object_id",
    "p": "platform",
    "pos_t": "position_topic",
    "pos_tpl": "position_template",
    "stat_t": "state_topic",
    "stat_tpl": "state_template",
    "stat_val_tpl": "state_value_template",
    "uniq_id": "unique_id",
    "unit_of_meas": "unit_of_measurement",
    "val_tpl": "value_template",
}
# Where a state may be heard, with its template, in order of preference.
_STATE_TOPICS: Final[Sequence[tuple[str, str]]] = (
    ("state_topic", "value_template"),
    ("mode_state_topic", "mode_state_template"),
    ("position_topic", "position_template"),
    ("current_temperature_topic", "current_temperature_template"),
)


@dataclass(frozen=True, slots=True)
class Discovered:
    """One entity as a device announced it to Home Assistant."""

    unique_id: str | None
    domain: str
    state_topic: str | None
    key: str  # of the value in the topic's JSON, dots between levels; "" for all of it
    device_class: str | None
    unit: str | None
    name: str | None
    suggested_id: str | None  # the entity id that it asks for
    command_topic: str | None


class DiscoveryIndex:
    """Tie decoders' entities to Home Assistant's.

    A retained discovery config says at which topic and key an entity with a unique id is heard; a decoder's
    `addresses` say which of its entities is heard there; the registry says which entity id the unique id
    has now. Without a registry row the id is the one that the config asks for, without a config the
    decoder's own. The join is made again when anything changed. Memory: 20,000 configs.

    >>> index = DiscoveryIndex([{("shellies/a/relay/0", ""): "switch.a"}])
    >>> index.config("homeassistant/switch/a/config", b'{"stat_t": "shellies/a/relay/0", "uniq_id": "a0"}')
    True
    >>> index.registry([{"unique_id": "a0", "entity_id": "switch.heater", "platform": "mqtt"}])
    >>> index.canonical("switch.a"), index.canonical("switch.b")
    ('switch.heater', 'switch.b')
    """

    def __init__(
        self, addresses: Iterable[Mapping[tuple[str, str], str]], prefix: str = "homeassistant"
    ) -> None:
        self.bad: Counter[str] = Counter()
        self._addresses = tuple(addresses)  # the decoders' own, so they grow
        self._prefix = prefix.rstrip("/") + "/"
        self._configs: dict[str, tuple[Discovered, ...]] = {}  # by config topic
        self._registered: dict[tuple[str, str], str] = {}  # (domain, unique id) -> entity id
        self._canonical: dict[str, str] = {}
        self._joined = -1  # addresses known at the last join; -1: join again

    @property
    def subscriptions(self) -> Sequence[str]:
        """Topic filters of discovery configs."""
        return (f"{self._prefix}+/+/config", f"{self._prefix}+/+/+/config")

    def handles(self, topic: str) -> bool:
        """Whether a topic is a discovery config's."""
        return topic.startswith(self._prefix) and topic.endswith("/config")

    def config(self, topic: str, payload: bytes) -> bool:
        """Take in a discovery config, or its removal (empty). Never raises: False for a bad one, counted."""
        try:
            if len(payload) > MAX_INVENTORY_BYTES or not self.handles(topic):
                raise BadPayloadError("not a discovery config")
            if not payload:
                self._configs.pop(topic, None)
            else:
                component = topic[len(self._prefix) :].partition("/")[0]
                found = tuple(_discovered(component, orjson.loads(payload)))
                if topic not in self._configs and len(self._configs) >= MAX_CONFIGS:
                    raise BadPayloadError("too many configs")
                self._configs[topic] = found
        except Exception:  # noqa: BLE001 - the boundary: whatever a device sends, the daemon lives
            if topic in self.bad or len(self.bad) < 1000:
                self.bad[topic] += 1
            return False
        self._joined = -1
        return True

    def registry(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace what is known of the entity registry: rows with `unique_id`, `entity_id`, `platform`."""
        self._registered = {}
        for row in rows:
            entity_id, unique_id = row.get("entity_id"), row.get("unique_id")
            if row.get("platform") == "mqtt" and isinstance(entity_id, str) and unique_id is not None:
                self._registered[entity_id.partition(".")[0], str(unique_id)] = entity_id
        self._joined = -1

    def canonical(self, entity_id: str) -> str:
        """Return Home Assistant's id of a decoder's entity; the decoder's where there is none."""
        return self.names().get(entity_id, entity_id)

    def names(self) -> Mapping[str, str]:
        """Return Home Assistant's id by the decoder's, where they differ or a config says so."""
        if self._joined != sum(map(len, self._addresses)):
            self._join()
        return self._canonical

    def entities(self) -> Iterator[Discovered]:
        """Return all that was announced."""
        return (found for group in self._configs.values() for found in group)

    def _join(self) -> None:
        self._joined = sum(map(len, self._addresses))
        heard: dict[tuple[str, str], str] = {}
        by_topic: dict[tuple[str, str], set[str]] = {}
        for addresses in self._addresses:
            for (topic, key), entity_id in addresses.items():
                heard[topic, key] = entity_id
                by_topic.setdefault((topic, entity_id.partition(".")[0]), set()).add(entity_id)
        self._canonical = {}
        for found in self.entities():
            if found.state_topic is None:
                continue
            ours = heard.get((found.state_topic, found.key))
            if ours is None or not ours.startswith(found.domain + "."):
                # JSON lights, covers and thermostats take the whole payload: the domain tells which it is.
                same = by_topic.get((found.state_topic, found.domain), set())
                ours = next(iter(same)) if len(same) == 1 else ours
            theirs = self._registered.get((found.domain, found.unique_id or "")) or found.suggested_id
            if ours is not None and theirs is not None:
                self._canonical[ours] = theirs


def _discovered(component: str, raw: Mapping[str, Any]) -> Iterator[Discovered]:
    """Return the entities of a config: one, or a device's components that share its options."""
    config = _expanded(raw)
    if component != "device":
        yield _entity(component, config, config.get("device"))
        return
    shared = {k: v for k, v in config.items() if k not in {"components", "device", "origin", "o"}}
    for part in config["components"].values():
        own = _expanded({"~": raw.get("~"), **part})
        if set(own) - {"~", "platform"}:  # a platform alone removes the component
            yield _entity(str(own["platform"]), {**shared, **own}, config.get("device"))


def _expanded(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Spell abbreviations out and put the base topic in place of `~`."""
    base = raw.get("~")
    config: dict[str, Any] = {}
    for key, value in raw.items():
        name = _ABBREVIATIONS.get(key, key)
        if isinstance(base, str) and isinstance(value, str) and name.endswith("topic"):
            if value.startswith("~"):
                value = base + value[1:]  # noqa: PLW2901
            elif value.endswith("~"):
                value = value[:-1] + base  # noqa: PLW2901
        config[name] = value
    return config


def _entity(domain: str, config: Mapping[str, Any], device: Any) -> Discovered:
    topic, template = next(((t, p) for t, p in _STATE_TOPICS if config.get(t)), (None, ""))
    expression = config.get(template) or config.get("state_value_template") or ""
    unique_id, name = config.get("unique_id"), config.get("name")
    return Discovered(
        unique_id=None if unique_id is None else str(unique_id),
        domain=domain,
        state_topic=None if topic is None else str(config[topic]),
        key=_key(str(expression)),
        device_class=_text(config.get("device_class")),
        unit=_text(config.get("unit_of_measurement")),
        name=_text(name),
        suggested_id=_suggested_id(domain, config, device),
        command_topic=_text(config.get("command_topic") or config.get("mode_command_topic")),
    )


def _key(template: str) -> str:
    """Return the path that a simple template takes from the payload.

    >>> _key("{{ value_json.ENERGY.Power | float }}"), _key("{{ value }}"), _key("{{ value_json['DS-1'].T }}")
    ('ENERGY.Power', '', 'DS-1.T')
    """
    found = _KEY.search(template)
    return ".".join(a or b for a, b in _STEP.findall(found[1])) if found else ""


def _suggested_id(domain: str, config: Mapping[str, Any], device: Any) -> str | None:
    """Return the entity id asked for: by name (2026), by object id (2024), else from the names as shown."""
    wanted = config.get("default_entity_id")
    if isinstance(wanted, str) and wanted.startswith(domain + "."):
        return f"{domain}.{slug(wanted.partition('.')[2])}"
    if isinstance(config.get("object_id"), str):
        return f"{domain}.{slug(config['object_id'])}"
    device_name = device.get("name") if isinstance(device, Mapping) else None
    names = [n for n in (device_name, config.get("name")) if isinstance(n, str) and n]
    return f"{domain}.{slug(' '.join(names))}" if names else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
