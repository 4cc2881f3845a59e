"""Commands find their way, even while sources are still being heard for the first time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from agent.clock import Clock
from agent.commander import Commander, NoPathError
from agent.suggestions import Command
from devices.decoder import Publish
from devices.decoders import Router
from devices.discovery import DiscoveryIndex
from devices.events import Origin, StateChange
from devices.provenance import Provenance
from devices.state import HomeState
from tests.agent.toys import T0

TURN_ON = Command("s1", "light.hall", "on", T0)


class Lamps(Router):
    """Knows its lamp only after so many questions."""

    def __init__(self, after: int) -> None:
        super().__init__(())
        self.left = after

    def command(self, entity_id: str, state: str, attributes: Mapping[str, Any]) -> Publish | None:
        self.left -= 1
        return None if self.left >= 0 else Publish(f"{entity_id}/set", state.encode())


def commander(router: Router, sent: list[Publish]) -> Commander:
    def publish(message: Publish) -> bool:
        sent.append(message)
        return True

    return Commander(
        HomeState(), gateway=None, router=router, index=DiscoveryIndex(router.addresses(), "homeassistant"),
        provenance=Provenance(), publish=publish, clock=Clock(),
    )  # fmt: skip


def test_a_command_waits_for_a_way_that_is_still_to_come() -> None:
    sent: list[Publish] = []
    by = asyncio.run(commander(Lamps(after=2), sent).carry_out(TURN_ON))
    assert by == "mqtt light.hall/set"
    assert sent == [Publish("light.hall/set", b"on")]


def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.commander.PATIENCE_S", 0.15)
    sent: list[Publish] = []
    with pytest.raises(NoPathError, match="no source takes commands for it"):
        asyncio.run(commander(Lamps(after=1000), sent).carry_out(TURN_ON))
    assert sent == []


def test_what_it_leads_to_is_known_as_ours() -> None:
    who = commander(Lamps(after=0), [])
    asyncio.run(who.carry_out(TURN_ON))
    now = who.clock.now()
    heard = StateChange("light.hall", "on", now, now, "off")
    assert who.provenance.classify(heard, context=None, now=now)[0] is Origin.AGENT
