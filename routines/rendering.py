"""A routine as a Home Assistant automation, as YAML and as a blueprint.

The keys are those of before 2024.10 (`trigger`, `platform`, `service`): newer releases take them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import yaml

from devices.commands import service_call
from routines.routine import AtSun, AtTime, Conditions, OnState, Routine, Step

PREFIX: Final = "inkling_"
"""What the ids of our automations begin with."""

_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NOBODY_KNOWS: Final = ["unavailable", "unknown"]


class UnrenderableError(ValueError):
    """Home Assistant has no words for this routine: Inkling has to run it."""


def automation_id(routine_id: str) -> str:
    """Return the id of the automation that is a routine's."""
    return PREFIX + routine_id


def automation_of(routine: Routine) -> dict[str, Any]:
    """Return the config of an automation. Raises UnrenderableError.

    >>> lamp = Routine("Hall light", OnState("binary_sensor.door", "on"), (Step("light.hall", "on"),))
    >>> automation_of(lamp)["action"]
    [{'service': 'light.turn_on', 'target': {'entity_id': 'light.hall'}}]
    """
    trigger, steps = _trigger(routine), routine.steps
    if routine.is_limit:  # by the trigger's clock, which begins anew when it has been off meanwhile
        trigger["for"] = {"seconds": round(max(s.delay_s for s in steps))}
        steps = tuple(replace(s, delay_s=0.0) for s in steps)
    return {
        "id": automation_id(routine.id),
        "alias": routine.name or f"Inkling {routine.id}",
        "description": description_of(routine),
        "trigger": [trigger],
        "condition": list(_conditions(routine.conditions)),
        "action": _actions(steps),
        "mode": "single",
    }


def description_of(routine: Routine) -> str:
    """Return the evidence in words: what a resident reads in Home Assistant's editor."""
    e = routine.evidence
    said = ["Made by Inkling."]
    if e.dates:
        said.append(f"You did so on {len(e.dates)} days, from {min(e.dates)} to {max(e.dates)}.")
    if e.held_out is not None:
        since, until = e.held_out
        said.append(
            f"From {since} to {until} it would have been right {e.wins} of {e.wins + e.losses} times."
        )
    return " ".join([*said, f"Why: inkling explain {routine.id}"])


def yaml_of(routine: Routine) -> str:
    """Return the automation as YAML, to be pasted into Home Assistant. Raises UnrenderableError."""
    return _dump(automation_of(routine))


def blueprint_of(routine: Routine) -> str:
    """Return a blueprint with an input for each entity and for a time of day. Raises UnrenderableError."""
    config = automation_of(routine)
    inputs: dict[str, Any] = {}
    for n, entity_id in enumerate(dict.fromkeys(_entities(config)), 1):
        domain, _, name = entity_id.partition(".")
        inputs[f"entity_{n}"] = {
            "name": name.replace("_", " ").capitalize(),
            "default": entity_id,
            "selector": {"entity": {"domain": domain}},
        }
    names = {spec["default"]: key for key, spec in inputs.items()}
    if isinstance(routine.trigger, AtTime):
        inputs["time"] = {"name": "Time", "default": config["trigger"][0]["at"], "selector": {"time": {}}}
        config["trigger"][0]["at"] = _Input("time")
    body = {
        "blueprint": {
            "name": config["alias"],
            "description": config["description"],
            "domain": "automation",
            "input": inputs,
        },
        **{key: _with_inputs(config[key], names) for key in ("trigger", "condition", "action")},
        "mode": config["mode"],
    }
    return _dump(body)


def _trigger(routine: Routine) -> dict[str, Any]:
    match routine.trigger:
        case AtTime(minute=minute):
            return {"platform": "time", "at": _clock(minute)}
        case AtSun(event=event, offset_min=offset):
            sign, minutes = ("-" if offset < 0 else ""), abs(offset)
            return {"platform": "sun", "event": event.value, "offset": f"{sign}{_clock(minutes)}"}
        case OnState(entity_id=entity_id, state="not_home"):
            return {"platform": "state", "entity_id": entity_id, "from": "home"}  # to wherever they go
        case OnState(entity_id=entity_id, state=state):
            # A device that comes back is no event.
            return {"platform": "state", "entity_id": entity_id, "to": state, "not_from": list(_NOBODY_KNOWS)}


def _conditions(conditions: Conditions) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    times: dict[str, Any] = {}
    if conditions.weekdays:
        times["weekday"] = [_WEEKDAYS[d] for d in conditions.weekdays]
    if conditions.after_min is not None:
        times["after"] = _clock(conditions.after_min)
    if conditions.before_min is not None:
        times["before"] = _clock(conditions.before_min)
    if times:
        found.append({"condition": "time", **times})
    if conditions.dark is not None:
        below = "below_horizon" if conditions.dark else "above_horizon"
        found.append({"condition": "state", "entity_id": "sun.sun", "state": below})
    if conditions.occupancy:
        found.append(_somebody(conditions.occupancy))
    return found


def _somebody(occupancy: tuple[str, ...]) -> dict[str, Any]:
    if "asleep" in occupancy and "home" not in occupancy:
        raise UnrenderableError("Home Assistant doesn't know whether you are asleep")
    bound = {"below": 1} if "away" in occupancy else {"above": 0}
    return {"condition": "numeric_state", "entity_id": "zone.home", **bound}


def _actions(steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    waited = 0.0
    for step in steps:
        made = service_call(step.entity_id, step.state, {t.name: t.median for t in step.targets})
        if made is None:
            raise UnrenderableError(f"no service brings {step.entity_id} to {step.state}")
        if round(step.delay_s) > round(waited):
            found.append({"delay": {"seconds": round(step.delay_s) - round(waited)}})
            waited = step.delay_s
        domain, service, data = made
        call: dict[str, Any] = {"service": f"{domain}.{service}", "target": {"entity_id": step.entity_id}}
        if more := {k: v for k, v in data.items() if k != "entity_id"}:
            call["data"] = more
        found.append(call)
    return found


def _clock(minutes: int) -> str:
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}:00"


def _entities(node: Any) -> list[str]:
    if isinstance(node, Mapping):
        own = [node["entity_id"]] if isinstance(node.get("entity_id"), str) else []
        return own + [e for value in node.values() for e in _entities(value)]
    return [e for item in node for e in _entities(item)] if isinstance(node, list) else []


class _Input(str):
    """The name of a blueprint's input."""

    __slots__ = ()


def _with_inputs(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, Mapping):
        return {k: _with_inputs(v, names) for k, v in node.items()}
    if isinstance(node, list):
        return [_with_inputs(item, names) for item in node]
    return _Input(names[node]) if isinstance(node, str) and node in names else node


class _Dumper(yaml.SafeDumper):
    """Knows inputs, writes repeated lists out, and quotes what YAML 1.1 would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Home Assistant's editor doesn't show aliases."""
        return True


def _represent_input(dumper: yaml.SafeDumper, value: _Input) -> yaml.ScalarNode:
    return dumper.represent_scalar("!input", str(value))


_Dumper.add_representer(_Input, _represent_input)


def _dump(body: Mapping[str, Any]) -> str:
    return str(yaml.dump(body, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110))
