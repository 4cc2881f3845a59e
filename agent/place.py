"""Where the home is: the settings say, else Home Assistant has said, else it is where this machine is.

Habits are learned in local time, so a guess is better than UTC, and is replaced once it is known.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from pydantic import ValidationError

from agent.errors import InklingError
from agent.records import Batch, Setting
from agent.settings import HomeSettings, Settings
from agent.store import Store
from devices.context import Calendar

log = structlog.get_logger()

HOME: Final = "*"
PLACE: Final = "place"
"""Setting of the home that keeps what Home Assistant has said, for a start without it."""
_LOCALTIME: Final = Path("/etc/localtime")
_TIMEZONE: Final = Path("/etc/timezone")


class Knows(StrEnum):
    """Who says where the home is."""

    SETTINGS = "the settings"
    HOME_ASSISTANT = "Home Assistant"
    MACHINE = "this machine"


@dataclass(frozen=True, slots=True)
class Place:
    """The home's clock and sun, and who says so."""

    calendar: Calendar
    source: Knows

    @property
    def zone(self) -> str:
        """The name of the time zone."""
        return self.calendar.zone.key

    def in_words(self) -> str:
        """Return the time zone, and what it means that it is so.

        >>> Place(Calendar(ZoneInfo("Europe/Berlin")), Knows.MACHINE).in_words()
        "time zone Europe/Berlin (this machine's: set home.time_zone if the home is elsewhere)"
        """
        if self.source is Knows.MACHINE:
            return f"time zone {self.zone} (this machine's: set home.time_zone if the home is elsewhere)"
        return f"time zone {self.zone} (from {self.source})"


def place_of(settings: Settings, store: Store | None = None) -> Place:
    """Return where a home is, as far as anybody knows by now."""
    home = settings.home
    if home.time_zone is not None:
        return Place(Calendar(ZoneInfo(home.time_zone), home.latitude, home.longitude), Knows.SETTINGS)
    for setting in store.settings() if store is not None else ():
        if (setting.entity, setting.key) == (HOME, PLACE) and (said := said_by(setting.value)) is not None:
            return said
    return Place(Calendar(ZoneInfo(machine_zone()), home.latitude, home.longitude), Knows.MACHINE)


async def find_place(settings: Settings, store: Store) -> Place:
    """Return where a home is, after having asked Home Assistant if nobody else knows, and keep the answer."""
    place = place_of(settings, store)
    if place.source is not Knows.MACHINE or not settings.home_assistant.configured:
        return place
    from agent.history import read_place  # noqa: PLC0415 - its client is not needed elsewhere

    try:
        said = await read_place(settings.home_assistant)
    except InklingError as err:
        log.warning("can't ask Home Assistant where the home is", why=str(err), zone=place.zone)
        return place
    if (found := said_by(said)) is None:
        return place
    store.append(Batch(settings=[kept(said)]))
    return found


def said_by(place: Mapping[str, Any]) -> Place | None:
    """Return the place that Home Assistant says; None where it isn't usable."""
    try:
        home = HomeSettings.model_validate(place)
    except ValidationError as err:
        log.warning("Home Assistant's place isn't usable", why=str(err))
        return None
    if home.time_zone is None:
        return None
    return Place(Calendar(ZoneInfo(home.time_zone), home.latitude, home.longitude), Knows.HOME_ASSISTANT)


def kept(place: Mapping[str, Any]) -> Setting:
    """Return the setting that keeps what Home Assistant says."""
    return Setting(HOME, PLACE, {key: place.get(key) for key in ("time_zone", "latitude", "longitude")})


def machine_zone(
    environ: Mapping[str, str] = os.environ, localtime: Path = _LOCALTIME, timezone: Path = _TIMEZONE
) -> str:
    """Return the name of this machine's time zone: TZ, /etc/localtime, /etc/timezone; UTC where none tells.

    >>> machine_zone({"TZ": ":Europe/Berlin"})
    'Europe/Berlin'
    """
    linked = str(localtime.resolve()).rpartition("zoneinfo/")[2]
    candidates = (environ.get("TZ", "").removeprefix(":"), linked, _read(timezone))
    return next(filter(_is_zone, candidates), "UTC")


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""  # not every system has it


def _is_zone(name: str) -> bool:
    try:
        return bool(name) and ZoneInfo(name).key == name
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
