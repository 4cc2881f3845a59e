"""The Home Assistant gateway: what happens there, what we ask of it, and getting back after every outage."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog

from agent.errors import InklingError
from agent.ha_listener import Connection, HomeInfo, Listener
from agent.ha_rest import HomeAssistantRest
from agent.ha_socket import (
    ANSWER_S,
    AuthError,
    HomeAssistantError,
    HomeAssistantSocket,
    NotConnectedError,
    RefusedError,
    base_url,
    new_session,
)
from devices.events import UNAVAILABLE, Source, StateChange
from devices.home_assistant import HomeAssistantReader
from devices.provenance import HaContext, Provenance

log = structlog.get_logger()

PING_S: Final = 30.0
SYNC_S: Final = 60.0  # a large home's states may take a slow machine a while
AUTH_RETRY_S: Final = 300.0
_BACK_OFF_S: Final = (1.0, 60.0)
_REGISTRY_S: Final = 1.0  # a reload tells of every entity: read the registry once
_FACTS: Final = ("call_service", "automation_triggered", "script_started", "mobile_app_notification_action")


class HomeAssistant:
    """Keeps two connections up for ever: one that listens and one that commands, with every resync.

    Parameters
    ----------
    url, token
        `token` is asked for at each attempt, so a new one in its file is enough.
    listener, provenance
        Who is told of changes, and who is told why they happen.
    now
        The clock.
    rng
        Jitter of the back-off (1 s doubling to 60 s; 5 min after a refused token).
    """

    def __init__(
        self,
        url: str,
        token: Callable[[], str],
        *,
        listener: Listener,
        provenance: Provenance,
        now: Callable[[], datetime],
        verify_tls: bool = True,
        ca_file: Path | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.url = base_url(url)
        self.state = Connection.CONNECTING
        self.error: HomeAssistantError | None = None
        self.info: HomeInfo | None = None
        self.reader = HomeAssistantReader()
        self.back_off_s = _BACK_OFF_S
        self.auth_retry_s = AUTH_RETRY_S
        self.ping_s = PING_S
        self._token = token
        self._listener = listener
        self._provenance = provenance
        self._now = now
        self._tls = (verify_tls, ca_file)
        self._rng = rng or random.Random()
        self._commands: HomeAssistantSocket | None = None
        self._states: dict[str, str] = {}
        self._awaited: dict[str, list[tuple[str, asyncio.Future[None]]]] = {}
        self._registry_timer: asyncio.TimerHandle | None = None
        self._registry_wanted = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether events come in and commands go out."""
        return self.state is Connection.CONNECTED

    def knows(self, entity_id: str) -> bool:
        """Whether Home Assistant has such an entity."""
        return entity_id in self._states

    # -- staying connected ------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled. Outages, a wrong token included, never end it; each is logged once."""
        failures = 0
        while True:
            try:
                await self._session()
            except HomeAssistantError as err:
                if self.connected:
                    failures = 0
                failures += 1
                self._lost(err)
                await asyncio.sleep(self._pause(err, failures))

    def _pause(self, err: HomeAssistantError, failures: int) -> float:
        first, longest = self.back_off_s
        pause = min(longest, first * 2.0 ** min(failures - 1, 16))
        if isinstance(err, AuthError):
            pause = self.auth_retry_s
        return pause * self._rng.uniform(0.5, 1.0)

    def _lost(self, err: HomeAssistantError) -> None:
        # The reason first: who sees the new state may ask for it at once.
        self.error = err
        was = self.state
        self.state = Connection.REFUSED if isinstance(err, AuthError) else Connection.UNREACHABLE
        if was is Connection.CONNECTED:
            self._listener.on_disconnected()
        if self.state is not was:
            say = log.error if self.state is Connection.REFUSED else log.warning
            say("no connection to Home Assistant; trying again", url=self.url, why=err.message, hint=err.hint)

    async def _session(self) -> None:
        """Connect, resync, then serve until something ends; always ends by an exception."""
        sockets = [self._socket(), self._socket()]
        tasks: list[asyncio.Task[None]] = []
        try:
            for socket in sockets:
                await socket.open()
                tasks.append(asyncio.create_task(socket.read()))
            tasks.append(asyncio.create_task(self._serve(*sockets)))
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._commands = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for socket in sockets:
                await socket.close()

    def _socket(self) -> HomeAssistantSocket:
        verify, ca_file = self._tls
        session = new_session(verify_tls=verify, ca_file=ca_file)
        return HomeAssistantSocket(self.url, self._read_token(), session, self._on_event)

    def _read_token(self) -> str:
        try:
            return self._token()
        except (InklingError, OSError) as err:
            hint = (
                err.hint if isinstance(err, InklingError) else "can Inkling read home_assistant.token_file?"
            )
            raise AuthError(f"there is no token: {err}", hint=hint) from err

    async def _serve(self, listening: HomeAssistantSocket, commands: HomeAssistantSocket) -> None:
        await self._introduce(commands)
        for event_type in ("state_changed", "entity_registry_updated", *_FACTS):
            await self._subscribe(listening, event_type)
        self._commands = commands
        await self._resync(listening)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.ping_s):
                    await self._registry_wanted.wait()
            if self._registry_wanted.is_set():
                await self._read_registry(commands)
            else:
                for socket in (listening, commands):
                    await socket.check(min(ANSWER_S, self.ping_s))

    async def _introduce(self, commands: HomeAssistantSocket) -> None:
        """Learn who we are, who is a person, and where the home is."""
        user = await commands.command("auth/current_user")
        config = await commands.command("get_config")
        self.info = HomeInfo.of(user, config)
        self._provenance.own_user = self.info.user_id
        if self.info.admin:
            users = await commands.command("config/auth/list")
            self._provenance.non_persons |= {u["id"] for u in users if u.get("system_generated")}
        else:
            hint = "make the token in an administrator's profile"
            log.warning("automations can't be told from hands: the user is no administrator", hint=hint)

    async def _subscribe(self, listening: HomeAssistantSocket, event_type: str) -> None:
        try:
            await listening.command("subscribe_events", event_type=event_type)
        except RefusedError as err:
            if event_type == "state_changed" or err.data.get("code") != "unauthorized":
                raise

    async def _resync(self, listening: HomeAssistantSocket) -> None:
        """Read everything; what changes meanwhile comes as events before or after."""
        assert self.info is not None
        rows = await listening.command("config/entity_registry/list", timeout_s=SYNC_S)
        states = await listening.command("get_states", timeout_s=SYNC_S)
        now, reconnected = self._now(), self.error is not None
        self.state, self.error = Connection.CONNECTED, None
        self._listener.on_connected(self.info)
        self._listener.on_registry(rows)
        gone = set(self._states)
        for change in self.reader.states(states, now):
            gone.discard(change.entity_id)
            self._states[change.entity_id] = change.new
            self._listener.on_change(change, None)
        for entity_id in sorted(gone):  # removed while we were away
            del self._states[entity_id]
            change = StateChange(
                entity_id, UNAVAILABLE, now, now, retained=True, source=Source.HOME_ASSISTANT
            )
            self._listener.on_change(change, None)
        say = "connected to Home Assistant again" if reconnected else "connected to Home Assistant"
        log.info(say, url=self.url, version=self.info.version, entities=len(self._states))

    async def _read_registry(self, commands: HomeAssistantSocket) -> None:
        self._registry_wanted.clear()
        self._listener.on_registry(await commands.command("config/entity_registry/list", timeout_s=SYNC_S))

    # -- events -----------------------------------------------------------------------------------

    def _on_event(self, event: Mapping[str, Any]) -> None:
        kind = event.get("event_type")
        if kind == "state_changed":
            self._on_state(event)
            return
        data, context = event.get("data"), _context(event.get("context"))
        if not isinstance(data, dict):
            return
        if kind == "entity_registry_updated":
            self._on_registry_event(data)
        elif kind == "mobile_app_notification_action":
            self._listener.on_notification_action(data)
        elif context is not None and kind == "call_service":
            fields = data.get("service_data")
            self._provenance.service_called(
                context,
                str(data.get("domain")),
                str(data.get("service")),
                fields if isinstance(fields, dict) else {},
                self._now(),
            )
        elif context is not None and kind in _FACTS:
            self._provenance.automation_triggered(context, str(data.get("entity_id")), self._now())

    def _on_state(self, event: Mapping[str, Any]) -> None:
        change = self.reader.event(event, self._now())
        if change is None:
            return
        new = event["data"].get("new_state")
        if new is None:
            self._states.pop(change.entity_id, None)
        else:
            self._states[change.entity_id] = change.new
        self._listener.on_change(change, _context(new.get("context")) if new else None)
        for state, reached in self._awaited.get(change.entity_id, ()):
            if state == change.new and not reached.done():
                reached.set_result(None)

    def _on_registry_event(self, data: Mapping[str, Any]) -> None:
        old, new = data.get("old_entity_id"), data.get("entity_id")
        if isinstance(old, str) and isinstance(new, str) and old != new:
            self._listener.on_renamed(old, new)
        if self._registry_timer is not None:
            self._registry_timer.cancel()
        loop = asyncio.get_running_loop()
        self._registry_timer = loop.call_later(_REGISTRY_S, self._registry_wanted.set)

    # -- asking -----------------------------------------------------------------------------------

    async def request(self, kind: str, *, timeout_s: float = ANSWER_S, **data: Any) -> Any:
        """Send any WebSocket command and return its result."""
        if self._commands is None or not self.connected:
            raise NotConnectedError(
                "Home Assistant isn't connected", hint=self.error.hint if self.error else None
            )
        return await self._commands.command(kind, timeout_s=timeout_s, **data)

    async def call_service(
        self, domain: str, service: str, data: Mapping[str, Any], *, timeout_s: float = ANSWER_S
    ) -> str:
        """Call a service; return the context id that its changes carry. Provenance knows of it at once."""
        handle = self._provenance.own_call(domain, service, data, self._now())
        try:
            result = await self.request(
                "call_service", timeout_s=timeout_s, domain=domain, service=service, service_data=dict(data)
            )
        except (RefusedError, NotConnectedError):
            self._provenance.own_failed(handle)
            raise
        context_id = str(result["context"]["id"])
        self._provenance.own_result(handle, context_id, self._now())
        return context_id

    async def call_until(
        self,
        call: tuple[str, str, Mapping[str, Any]],
        entity_id: str,
        state: str,
        *,
        within_s: float = ANSWER_S,
    ) -> bool:
        """Call a service and return whether the entity reached a state in time."""
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._awaited.setdefault(entity_id, [])
        waiting.append((state, reached))
        try:
            await self.call_service(*call)
            if self._states.get(entity_id) == state:
                return True
            async with asyncio.timeout(within_s):
                await reached
        except TimeoutError:
            return False
        else:
            return True
        finally:
            waiting.remove((state, reached))
            if not waiting:
                del self._awaited[entity_id]

    async def validate_config(self, **parts: Any) -> Mapping[str, Any]:
        """Check `triggers`, `conditions`, `actions`; return {part: {"valid": …, "error": …}}."""
        try:
            result = await self.request("validate_config", **parts)
        except RefusedError as err:
            if err.data.get("code") != "invalid_format":
                raise
            older = {part.removesuffix("s"): value for part, value in parts.items()}  # before 2024.10
            result = await self.request("validate_config", **older)
        return {f"{part.removesuffix('s')}s": verdict for part, verdict in result.items()}

    def rest(self) -> HomeAssistantRest:
        """Return a REST client, to be used in `async with`."""
        verify, ca_file = self._tls
        return HomeAssistantRest(self.url, self._read_token(), verify_tls=verify, ca_file=ca_file)


def _context(raw: Any) -> HaContext | None:
    if not isinstance(raw, dict) or not isinstance(raw.get("id"), str):
        return None
    return raw["id"], raw.get("parent_id"), raw.get("user_id")
