"""Whether an automation that the home has already does what a routine would do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from devices.commands import target_state
from routines.routine import AtSun, AtTime, OnState, Routine

NEAR_MIN: Final = 60
"""Minutes by which times of day may differ and still mean the same habit."""

Config = Mapping[str, Any]


def covering(routine: Routine, automations: Iterable[Config]) -> str | None:
    """Return the name of an automation that covers a routine, None where there is none.

    It covers it if it brings about all of the routine's states, and is started by the same thing: the same
    entity, the same event of the sun, or a time within the hour. A trigger that can't be compared (an event,
    a template, a device) counts as the same: a proposal too few is better than one too many.

    >>> from routines.routine import Step
    >>> lamp = Routine("Hall light", OnState("binary_sensor.door", "on"), (Step("light.hall", "on"),))
    >>> trigger = {"trigger": "state", "entity_id": "binary_sensor.door", "to": "on"}
    >>> action = {"action": "light.turn_on", "target": {"entity_id": "light.hall"}}
    >>> covering(lamp, [{"alias": "Hall", "triggers": [trigger], "actions": [action]}])
    'Hall'
    """
    for config in automations:
        if routine.items <= _brings_about(config) and any(
            _starts_alike(routine, t) for t in _list(config, "triggers", "trigger")
        ):
            return str(config.get("alias") or config.get("id") or "an automation")
    return None


def _list(config: Config, *names: str) -> list[Any]:
    for name in names:
        if name in config:
            found = config[name]
            return found if isinstance(found, list) else [found]
    return []


def _brings_about(config: Config) -> set[tuple[str, str]]:
    return set(_states(_list(config, "actions", "action")))


def _states(node: Any) -> Iterable[tuple[str, str]]:
    """Yield (entity, state) of every service call, however deep in choices and sequences."""
    if isinstance(node, list):
        for item in node:
            yield from _states(item)
        return
    if not isinstance(node, Mapping):
        return
    service = node.get("action", node.get("service"))
    if isinstance(service, str) and "." in service:
        domain, _, name = service.partition(".")
        data = {**_mapping(node.get("data")), **_mapping(node.get("service_data"))}
        for entity_id in _targets(node, data):
            of = entity_id.partition(".")[0] if domain == "homeassistant" else domain
            if (state := target_state(of, name, data)) is not None:
                yield entity_id, state
    for value in node.values():
        yield from _states(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _targets(node: Config, data: Mapping[str, Any]) -> list[str]:
    for place in (_mapping(node.get("target")), data, node):
        found = place.get("entity_id")
        if isinstance(found, str):
            return [e.strip() for e in found.split(",")]
        if isinstance(found, list):
            return [e for e in found if isinstance(e, str)]
    return []


def _starts_alike(routine: Routine, trigger: Any) -> bool:
    if not isinstance(trigger, Mapping):
        return True
    kind = trigger.get("trigger", trigger.get("platform"))
    match kind, routine.trigger:
        case "time", AtTime(minute=minute):
            return any(_near(minute, at) for at in _list(trigger, "at"))
        case "sun", AtSun(event=event):
            return trigger.get("event") == event.value
        case "state" | "numeric_state", OnState(entity_id=entity_id, state=state):
            to = trigger.get("to")
            return entity_id in _targets(trigger, {}) and (to is None or state in _list(trigger, "to"))
        case "time" | "sun" | "state" | "numeric_state" | "time_pattern" | "homeassistant", _:
            return False
        case _:
            return True


def _near(minute: int, at: Any) -> bool:
    if isinstance(at, int):  # YAML 1.1 reads 06:50:00 as a number in base 60
        at = f"{at // 3600}:{at // 60 % 60}"
    hours, _, rest = str(at).partition(":")
    if not hours.isdigit() or not rest[:2].isdigit():
        return True  # a helper's time, which may be any
    apart = abs(int(hours) * 60 + int(rest[:2]) - minute)
    return min(apart, 1440 - apart) <= NEAR_MIN
