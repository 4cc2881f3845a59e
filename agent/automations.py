"""Our automations in Home Assistant: made when a routine is accepted, gone when it is let go."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPMethod
from typing import TYPE_CHECKING, Any, Final

from agent.errors import InklingError
from agent.ha_socket import MissingError, RefusedError
from routines.registry import Registry
from routines.rendering import UnrenderableError, automation_id, automation_of
from routines.routine import Routine

if TYPE_CHECKING:
    from agent.ha import HomeAssistant

_APPEARS_S: Final = 15.0
_POLL_S: Final = 0.5
_RUNNING: Final = "RUNNING"


class AutomationError(InklingError):
    """Home Assistant doesn't take a routine as an automation: Inkling runs it itself."""


class NotThereError(AutomationError):
    """Home Assistant doesn't know an entity of the routine, or not yet."""


class Automations:
    """Home Assistant's automations: reads all of them, writes and deletes only ours."""

    def __init__(self, gateway: HomeAssistant) -> None:
        self.gateway = gateway

    @property
    def reachable(self) -> bool:
        """Whether Home Assistant is connected."""
        return self.gateway.connected

    async def all(self) -> list[Mapping[str, Any]]:
        """Return the config of every automation, however it was made; what can't be read is left out.

        Devices and areas that it targets are resolved into entities.
        """
        registry = Registry.of(
            await self.gateway.request("config/entity_registry/list"),
            await self.gateway.request("config/device_registry/list"),
        )
        states = await self.gateway.request("get_states")
        found = []
        for entity_id in sorted(s["entity_id"] for s in states):
            if entity_id.startswith("automation."):
                try:
                    answer = await self.gateway.request("automation/config", entity_id=entity_id)
                except RefusedError:
                    continue  # broken, or not loaded
                if isinstance(answer, dict) and isinstance(answer.get("config"), dict):
                    found.append(registry.resolved(answer["config"]))
        return found

    async def create(self, routine: Routine) -> tuple[str, Mapping[str, Any] | None]:
        """Write a routine's automation; return its entity id, and the config that was there before.

        Raises AutomationError where Home Assistant can't run it, HomeAssistantError where it can't be asked,
        TimeoutError where it takes it and doesn't load it.
        """
        config = self._config(routine)
        await self._check(config)
        before = await self._read(config["id"])
        await self._send(HTTPMethod.POST, config["id"], config)
        return await self._appears(config["id"]), before

    async def remove(self, routine_id: str) -> None:
        """Delete a routine's automation, if there is one."""
        if await self._read(automation_id(routine_id)) is not None:
            await self._send(HTTPMethod.DELETE, automation_id(routine_id))

    async def is_gone(self, routine_id: str) -> bool:
        """Whether a routine's automation was deleted: Home Assistant has started, and its file lacks it."""
        config = await self.gateway.request("get_config")
        if config.get("state", _RUNNING) != _RUNNING:
            return False
        return await self._read(automation_id(routine_id)) is None

    async def switch(self, entity_id: str, *, on: bool) -> None:
        """Switch an automation on or off."""
        service = "turn_on" if on else "turn_off"
        await self.gateway.call_service("automation", service, {"entity_id": entity_id})

    def _config(self, routine: Routine) -> dict[str, Any]:
        try:
            config = automation_of(routine)
        except UnrenderableError as err:
            raise AutomationError(str(err)) from err
        unknown = [s.entity_id for s in routine.steps if not self.gateway.knows(s.entity_id)]
        if unknown:  # Home Assistant would take it without a word
            raise NotThereError(f"Home Assistant doesn't know {', '.join(unknown)}")
        return config

    async def _check(self, config: Mapping[str, Any]) -> None:
        parts = {f"{name}s": config[name] for name in ("trigger", "condition", "action")}
        for part, verdict in (await self.gateway.validate_config(**parts)).items():
            if not verdict.get("valid"):
                raise AutomationError(f"Home Assistant refuses the {part}: {verdict.get('error')}")

    async def _read(self, config_id: str) -> Mapping[str, Any] | None:
        try:
            found = await self._send(HTTPMethod.GET, config_id)
        except MissingError:
            return None
        return found if isinstance(found, dict) else None

    async def _send(self, method: HTTPMethod, config_id: str, body: Mapping[str, Any] | None = None) -> Any:
        options: dict[str, Any] = {} if body is None else {"json": body}
        async with self.gateway.rest() as rest:
            return await rest.request(f"config/automation/config/{config_id}", method=method, **options)

    async def _appears(self, config_id: str) -> str:
        """Wait for the automation to be loaded: the answer to the request says nothing of that."""
        async with asyncio.timeout(_APPEARS_S):
            while True:
                for row in await self.gateway.request("config/entity_registry/list"):
                    if row.get("platform") == "automation" and row.get("unique_id") == config_id:
                        return str(row["entity_id"])
                await asyncio.sleep(_POLL_S)
