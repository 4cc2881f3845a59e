"""Action streams to predict: recorded homes, SmartThings users, and sequences whose context shifts."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from devices.recording import parse_line

History = tuple[Hashable, ...]
Event = tuple[dict[str, Any], Hashable]  # (x, y) as NextAction takes them
HISTORY = 16  # actions of a home that x holds


@dataclass(frozen=True)
class HomeSpec:
    """A recorded home, and which of its changes are actions."""

    name: str
    zone: str
    is_action: Callable[[str, str], bool]
    motion: bool = False  # whether x names the sensor that saw motion last
    most: int | None = None  # actions

    def events(self, folder: Path, *, pauses: bool) -> list[Event]:
        """Return the actions in order; x has history, open, hour, weekday, and perhaps the pause."""
        events: list[Event] = []
        states: dict[str, str] = {}
        history: History = ()
        motion = last = None
        for change in _changes(folder / "recordings" / f"{self.name}.jsonl.gz"):
            entity, state, at = change.entity_id, change.new, change.changed_at
            if states.get(entity) == state:
                continue
            if self.is_action(entity, state):
                local = at.astimezone(ZoneInfo(self.zone))
                x: dict[str, Any] = {"history": history, "hour": local.hour, "weekday": local.weekday()}
                x["open"] = frozenset(e for e, s in states.items() if s == "on")
                if motion:
                    x["motion"] = motion
                if pauses and last:
                    x["elapsed_s"] = (at - last).total_seconds()
                events.append((x, (entity, state)))
                history, last = (*history, (entity, state))[-HISTORY:], at
            elif self.motion and entity.startswith("binary_sensor.") and state == "on":
                motion = entity
            states[entity] = state
        return events[: self.most]


HOMES = (
    HomeSpec("kasteren_a", "Europe/Amsterdam", lambda e, s: (e, s) != ("binary_sensor.toilet_flush", "off")),
    HomeSpec("placelab_1", "America/New_York", lambda e, s: True),  # noqa: ARG005
    HomeSpec("mavpad_1", "America/Chicago", lambda e, s: e.startswith("light."), motion=True),  # noqa: ARG005
    HomeSpec("ordonez_a", "Europe/Madrid", lambda e, s: True),  # noqa: ARG005
    HomeSpec("aras_a", "Europe/Istanbul", lambda e, s: True, most=4000),  # noqa: ARG005
    HomeSpec("casas", "America/Los_Angeles", lambda e, s: True, most=4000),  # noqa: ARG005
)


def streams(folder: Path) -> list[list[Event]]:
    """Return each SmartThings user's stream; polls are in it, and nobody's action."""
    with gzip.open(folder / "smartthings_streams.json.gz", "rt") as file:
        return [sequence(s) for s in json.load(file)]


def is_poll(y: Hashable) -> bool:
    return "refresh" in str(y)


def contexts(folder: Path) -> dict[str, dict[str, list[list[Event]]]]:
    """Return SmartGen's sequences: context -> trn, vld."""
    with gzip.open(folder / "smartgen_fr_train.json.gz", "rt") as file:
        body = json.load(file)
    return {
        name: {part: [sequence(s) for s in found] for part, found in parts.items()}
        for name, parts in body.items()
    }


def sequence(events: Iterable[list[Any]]) -> list[Event]:
    """Return events [weekday, hour // 3, device, control, ...] as NextAction takes them."""
    found: list[Event] = []
    history: History = ()
    before: list[Any] | None = None
    for event in events:
        weekday, slot, _, control = event[:4]
        x: dict[str, Any] = {"history": history, "hour": 3 * slot, "weekday": weekday}
        if before is not None:
            x["elapsed_s"] = 10_800.0 * ((8 * (weekday - before[0]) + slot - before[1]) % 56)
        found.append((x, control))
        history, before = (*history, control)[-HISTORY:], event
    return found


def _changes(path: Path) -> list[Any]:
    with gzip.open(path, "rb") as lines:
        changes = [c for line in lines if (c := parse_line(line)) is not None]
    return sorted(changes, key=lambda c: c.changed_at)
