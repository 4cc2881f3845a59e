"""Weeks of a habit: somebody comes in, turns on the lamp, then the radio, at any hour of the day."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from devices.events import Origin, Source, StateChange

DAYS: Final = 40
LAMP_AFTER_S: Final = (4.0, 10.0)
RADIO_AFTER_S: Final = (2.0, 3.0)  # after the lamp
_DOOR = {"device_class": "door"}


@dataclass(frozen=True, slots=True)
class Habit:
    """The entities of a room: its door is the cue, its lamp and its radio are what is done."""

    room: str

    @property
    def door(self) -> str:
        """What somebody opens."""
        return f"binary_sensor.{self.room}_door"

    @property
    def lamp(self) -> str:
        """What is turned on in Home Assistant."""
        return f"light.{self.room}_lamp"

    @property
    def radio(self) -> str:
        """What is turned on by hand."""
        return f"switch.{self.room}_radio"

    def past(self, until: datetime, seed: int = 7) -> list[StateChange]:
        """Return `DAYS` days of it; an automation turns everything off, so that this is no habit."""
        rng = random.Random(seed)
        changes = [
            _change(entity_id, "off", "", until - timedelta(days=DAYS + 1), Origin.PHYSICAL)
            for entity_id in (self.door, self.lamp, self.radio)
        ]
        for n in range(DAYS, 0, -1):
            hours = rng.uniform(1, 22)
            changes += self._coming(until - timedelta(days=n) + timedelta(hours=hours), rng)
        return sorted(changes, key=lambda change: change.changed_at)

    def _coming(self, at: datetime, rng: random.Random) -> Iterator[StateChange]:
        lamp = at + timedelta(seconds=rng.uniform(*LAMP_AFTER_S))
        radio = lamp + timedelta(seconds=rng.uniform(*RADIO_AFTER_S))
        later = at + timedelta(minutes=rng.uniform(20, 50))
        yield _change(self.door, "on", "off", at, Origin.PHYSICAL)
        yield _change(self.lamp, "on", "off", lamp, Origin.PERSON)
        yield _change(self.radio, "on", "off", radio, Origin.PHYSICAL)
        for entity_id in (self.door, self.lamp, self.radio):
            yield _change(entity_id, "off", "on", later, Origin.AUTOMATION)


def _change(entity_id: str, new: str, old: str, at: datetime, origin: Origin) -> StateChange:
    return StateChange(
        entity_id,
        new,
        at,
        at,
        old or None,
        _DOOR if entity_id.endswith("_door") else {},
        origin,
        0.9,
        source=Source.HOME_ASSISTANT,
    )
