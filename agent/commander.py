"""Brings a device to a state by the shortest path that confirms, so that our own echo is recognised."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from agent.clock import Clock, EventClock
from agent.errors import InklingError
from agent.suggestions import Command
from devices.commands import service_call
from devices.decoder import Publish
from devices.decoders import Router
from devices.discovery import DiscoveryIndex
from devices.events import NO_ATTRIBUTES
from devices.provenance import Provenance
from devices.state import HomeState

if TYPE_CHECKING:
    from agent.ha import HomeAssistant


PATIENCE_S: Final = 5.0
"""After a start, sources are heard one by one: a way to a device that isn't there may soon be."""
_RETRY_S: Final = 0.1


class NoPathError(InklingError):
    """Nobody can bring this entity to this state."""


class Commander:
    """Home Assistant where it is connected and knows the entity, else the device's own command topic."""

    def __init__(
        self,
        home: HomeState,
        *,
        gateway: HomeAssistant | None,
        router: Router,
        index: DiscoveryIndex,
        provenance: Provenance,
        publish: Callable[[Publish], bool],
        clock: Clock | EventClock,
    ) -> None:
        self.home = home
        self.gateway = gateway
        self.router = router
        self.index = index
        self.provenance = provenance
        self.publish = publish
        self.clock = clock

    async def carry_out(self, command: Command) -> str:
        """Send a command; return the path that it took. Raises InklingError when none comes to work."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE_S
        while True:
            try:
                return await self._send(command)
            except NoPathError:
                if loop.time() >= end:
                    raise
            await asyncio.sleep(_RETRY_S)

    async def _send(self, command: Command) -> str:
        known = self.home.get(command.entity_id)
        attributes = known.attributes if known else NO_ATTRIBUTES
        if command.targets:
            attributes = {**attributes, **dict(command.targets)}
        gateway = self.gateway
        if gateway is not None and gateway.connected and gateway.knows(command.entity_id):
            call = service_call(command.entity_id, command.state, attributes)
            if call is not None:
                confirmed = await gateway.call_until(call, command.entity_id, command.state)
                return "home assistant" + ("" if confirmed else ", not confirmed yet")
        own_id = self._decoders_id(command.entity_id)
        message = self.router.command(own_id, command.state, attributes)
        if message is None:
            raise NoPathError(f"{command.entity_id} can't be commanded: no source takes commands for it")
        now = self.clock.now()
        self.provenance.expect(command.entity_id, command.state, now)
        if not self.publish(message):
            raise NoPathError(f"no broker to send {command.entity_id} its command by")
        return f"mqtt {message.topic}"

    def _decoders_id(self, entity_id: str) -> str:
        """Return what the decoder calls an entity that Home Assistant has renamed."""
        for addresses in self.router.addresses():
            for own_id in addresses.values():
                if own_id != entity_id and self.index.canonical(own_id) == entity_id:
                    return own_id
        return entity_id
