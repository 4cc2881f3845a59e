"""What `inkling doctor` looks at: each check tries the real thing and says what to do."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.database import Access
from agent.errors import BusyError, InklingError, MissingStoreError
from agent.mqtt import MqttBridge
from agent.mqtt_errors import advice
from agent.place import Knows, Place, place_of
from agent.settings import Settings
from agent.store import Store

_BROKER_TIMEOUT_S: Final = 25.0
_TRIES: Final = 2  # the second with the other version of the protocol
_LOW_DISK: Final = 500_000_000


class Health(StrEnum):
    """How a part is."""

    GOOD = "good"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Check:
    """One part's health, in words."""

    name: str
    health: Health
    says: str
    advice: str = ""


async def checks(settings: Settings) -> list[Check]:
    """Try everything that the daemon needs."""
    found = [
        _settings(settings),
        _database(settings),
        await _broker(settings),
        await _home_assistant(settings),
    ]
    return [check for group in found for check in group]


def _settings(settings: Settings) -> list[Check]:
    place = _place(settings)
    if place.source is Knows.MACHINE and not settings.home_assistant.configured:
        advice = 'set home.time_zone = "Europe/Berlin" (yours), or connect Home Assistant, which knows it'
        says = f"valid, but the home's time zone isn't known: using this machine's, {place.zone}"
        return [Check("settings", Health.WARNING, says, advice)]
    return [Check("settings", Health.GOOD, f"valid; {place.in_words()}")]


def _place(settings: Settings) -> Place:
    try:
        with Store.open(settings.store.url, access=Access.READ, create=False) as store:
            return place_of(settings, store)
    except InklingError:
        return place_of(settings)  # what is wrong with the database, its own check says


def _database(settings: Settings) -> list[Check]:
    url = settings.store.url
    try:
        with Store.open(url, access=Access.READ, create=False) as store:
            stats = store.stats()
            name, path = store.database.name, store.database.path
    except MissingStoreError:
        return [Check("database", Health.GOOD, f"{url} doesn't exist yet; inkling run creates it")]
    except BusyError as error:
        return [Check("database", Health.WARNING, error.message, error.hint or "")]
    except InklingError as error:
        return [Check("database", Health.BROKEN, error.message, error.hint or "")]
    result = [Check("database", Health.GOOD, f"{name}: {stats.events:,} events of {stats.entities} entities")]
    if path is not None and (free := shutil.disk_usage(path.parent).free) < _LOW_DISK:
        advice = "make room: when the disk is full nothing is learned and the broker has to hold all messages"
        result.append(Check("disk", Health.WARNING, f"{free / 1e6:.0f} MB free", advice))
    return result


async def _broker(settings: Settings) -> list[Check]:
    own = {"client_id": f"{settings.mqtt.client_id}-doctor", "session_expiry_s": 60}
    mqtt = settings.mqtt.model_copy(update=own)
    name = f"broker {mqtt.host}:{mqtt.port}"

    async def connected() -> None: ...

    bridge = MqttBridge(
        mqtt,
        subscriptions=["$SYS/broker/version"],
        handle=lambda _: None,
        commit=lambda: None,
        on_connected=connected,
    )
    task = asyncio.create_task(bridge.run())
    try:
        async with asyncio.timeout(_BROKER_TIMEOUT_S):
            while not bridge.connected.is_set() and bridge.failures < _TRIES:  # noqa: ASYNC110 - either
                await asyncio.sleep(0.05)
    except TimeoutError:
        pass
    finally:
        connected_with = bridge.protocol if bridge.connected.is_set() else None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    if connected_with is None:
        return [Check(name, Health.BROKEN, _why(bridge.failure), advice(bridge.failure))]
    tip = (
        "mosquitto drops messages for a subscriber that lags unless its configuration says "
        "'max_queued_messages 0'; 'set_tcp_nodelay true' makes it answer at once"
    )
    return [Check(name, Health.GOOD, f"connected with MQTT {connected_with}", tip)]


def _why(failure: Exception | None) -> str:
    if failure is None:
        return "it doesn't answer"
    return failure.message if isinstance(failure, InklingError) else str(failure)


async def _home_assistant(settings: Settings) -> list[Check]:
    if not settings.home_assistant.configured:
        advice = "set home_assistant.url and home_assistant.token: with it Inkling knows who caused a change"
        return [Check("home assistant", Health.WARNING, "not set up, listening to MQTT only", advice)]
    from agent.history import probe  # noqa: PLC0415 - its client takes half a second to load

    try:
        says = await probe(settings.home_assistant)
    except InklingError as error:
        return [Check("home assistant", Health.BROKEN, error.message, error.hint or "")]
    return [Check("home assistant", Health.GOOD, says)]
