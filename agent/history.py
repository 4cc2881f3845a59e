"""The home's past from Home Assistant's history API: what a first start learns from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from agent.ha_rest import HomeAssistantRest
from agent.settings import HomeAssistantSettings
from devices.events import StateChange
from devices.state import HomeState

KEPT: Final = timedelta(days=10)
"""How long Home Assistant's recorder keeps states unless told otherwise."""


async def read_history(
    settings: HomeAssistantSettings,
    until: datetime,
    since: datetime | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[StateChange]:
    """Return what all entities did, oldest first, without repeats. Raises HomeAssistantError."""
    start = since or until - KEPT
    home, changes = HomeState(), []
    async with _rest(settings) as rest:
        entity_ids = [str(state["entity_id"]) for state in await rest.request("states")]
        async for day in rest.history(entity_ids, start, until, on_progress=on_progress):
            # each day begins with the state that everything has then
            changes += [change for change in day if home.apply(change).old != change.new]
    return changes


async def read_place(settings: HomeAssistantSettings) -> dict[str, Any]:
    """Return where the home is: `time_zone`, `latitude`, `longitude`. Raises HomeAssistantError."""
    async with _rest(settings) as rest:
        config = await rest.request("config")
    return {key: config.get(key) for key in ("time_zone", "latitude", "longitude")}


async def probe(settings: HomeAssistantSettings) -> str:
    """Return what Home Assistant says of itself; raises HomeAssistantError when it doesn't let us in."""
    async with _rest(settings) as rest:
        config = await rest.request("config")
    return f"{config.get('location_name')}, version {config.get('version')}, zone {config.get('time_zone')}"


def _rest(settings: HomeAssistantSettings) -> HomeAssistantRest:
    return HomeAssistantRest(
        settings.address(), settings.read_token(), verify_tls=settings.verify_tls, ca_file=settings.ca_file
    )
