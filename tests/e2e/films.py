"""Weeks of films in two rooms: two minutes after one begins its room's lamp goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from devices.events import Origin, Source, StateChange

ROOMS: Final = ("snug", "parlour")
DAYS: Final = 21
CORRIDOR: Final = "light.corridor"  # used every day: also when there is no film somebody is about


def tv(room: str) -> str:
    """Return the screen of a room; Home Assistant's configuration has it."""
    return f"media_player.{room}_tv"


def lamp(room: str) -> str:
    """Return the lamp of a room."""
    return f"light.{room}_lamp"


def change(entity_id: str, new: str, at: datetime, origin: Origin = Origin.PHYSICAL) -> StateChange:
    """Return something that is done to a thing."""
    attributes = {"device_class": "tv"} if entity_id.startswith("media_player.") else {}
    source = Source.HOME_ASSISTANT
    return StateChange(entity_id, new, at, at, None, attributes, origin, 0.9, source=source)


def films(until: datetime) -> list[StateChange]:
    """Return `DAYS` days that end then: of three, one has a film in the snug, one in the parlour.

    An automation ends a film, so that this is no habit.
    """
    began = until - timedelta(days=DAYS)
    things = (CORRIDOR, *map(tv, ROOMS), *map(lamp, ROOMS))
    found = [change(entity_id, "off", began) for entity_id in things]
    for day in range(DAYS):
        at = began + timedelta(days=day, hours=12, minutes=day * 7 % 50)
        found += _passing(at - timedelta(minutes=15))
        if day % 3 < len(ROOMS):
            found += _film(ROOMS[day % 3], at)
    return sorted(found, key=lambda c: c.changed_at)


def _passing(at: datetime) -> Iterator[StateChange]:
    yield change(CORRIDOR, "on", at)
    yield change(CORRIDOR, "off", at + timedelta(minutes=4))


def _film(room: str, at: datetime) -> Iterator[StateChange]:
    yield change(tv(room), "playing", at, Origin.PERSON)
    yield change(lamp(room), "on", at + timedelta(minutes=2))
    for entity_id in (tv(room), lamp(room)):
        yield change(entity_id, "off", at + timedelta(minutes=100), Origin.AUTOMATION)
