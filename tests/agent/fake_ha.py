"""A small Home Assistant: WebSocket and REST as the real one speaks them, in the test's event loop."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

OWN_USER, CLOUD_USER = "user-own", "user-content"
WHEN = "2026-03-01T18:00:00+00:00"
TOKEN = "right"
PLACE = {"latitude": 52.5, "longitude": 13.4, "time_zone": "Europe/Berlin"}
Ids = tuple[str, str | None, str | None]  # context, parent, user
NOBODY: Ids = ("c", None, None)


class FakeHomeAssistant:
    """Tests set its public attributes, tell it what happens in the home, and look at `received`."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.states: dict[str, dict[str, Any]] = {}
        self.registry: list[dict[str, Any]] = []
        self.config: dict[str, Any] = {"version": "2026.11.0", **PLACE}
        self.tokens = {TOKEN}
        self.admin = True
        self.mute = False  # reads, but answers nothing more
        self.late_pong = False  # where events are sent, none at all
        self.forbid = False  # as after too many wrong tokens
        self.refuse: dict[str, str] = {}  # command -> error code
        self.answer_late_s = 0.0  # of call_service, after its events
        self.received: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.history: list[Any] = []
        self.logins = 0
        self._subscriptions: dict[ServerConnection, dict[str, int]] = {}
        self._server: Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}"

    async def start(self) -> Self:
        self._server = await serve(
            self._connection,
            "127.0.0.1",
            self.port,
            process_request=self._http,
            ping_interval=None,
            ssl=self.tls,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    async def drop(self) -> None:
        """End every connection without a word, as a crash does."""
        for connection in list(self._subscriptions):
            connection.transport.abort()
        await asyncio.sleep(0)

    # -- what happens in the home -----------------------------------------------------------------

    async def change(self, entity_id: str, state: str | None, context: Ids = NOBODY) -> None:
        """Put an entity into a state (None: remove it) and tell."""
        old = self.states.get(entity_id)
        new = None if state is None else self.object(entity_id, state, context)
        if new is None:
            self.states.pop(entity_id, None)
        else:
            self.states[entity_id] = new
        await self.fire(
            "state_changed", {"entity_id": entity_id, "old_state": old, "new_state": new}, context
        )

    def object(self, entity_id: str, state: str, context: Ids = NOBODY) -> dict[str, Any]:
        return {
            "entity_id": entity_id, "state": state, "attributes": {"friendly_name": entity_id},
            "last_changed": WHEN, "last_updated": WHEN, "context": _context(context),
        }  # fmt: skip

    async def fire(self, event_type: str, data: Mapping[str, Any], context: Ids = NOBODY) -> None:
        """Send an event to those who subscribed to its type."""
        event = {
            "event_type": event_type, "data": data, "origin": "LOCAL", "time_fired": WHEN,
            "context": _context(context),
        }  # fmt: skip
        await self.replay(event)

    async def replay(self, event: Mapping[str, Any]) -> None:
        """Send a recorded event."""
        for connection, subscriptions in list(self._subscriptions.items()):
            if (number := subscriptions.get(event["event_type"])) is not None:
                await connection.send(json.dumps({"id": number, "type": "event", "event": event}))

    # -- the protocols ----------------------------------------------------------------------------

    def _http(self, _connection: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        if self.forbid:
            return _answer(403, "Forbidden", {"message": "banned"})
        if parts.path == "/api/websocket":
            return None
        self.requests.append(request.path)
        if request.headers.get("Authorization") not in {f"Bearer {token}" for token in self.tokens}:
            return _answer(401, "Unauthorized", {})
        if parts.path.startswith("/api/history/period/"):
            wanted = parse_qs(parts.query, keep_blank_values=True)["filter_entity_id"][0].split(",")
            return _answer(200, "OK", [group for group in self.history if group[0]["entity_id"] in wanted])
        if parts.path == "/api/config":
            return _answer(200, "OK", self.config)
        return _answer(404, "Not Found", {"message": "Entity not found."})

    async def _connection(self, connection: ServerConnection) -> None:
        try:
            await connection.send(json.dumps({"type": "auth_required", "ha_version": "2026.11.0"}))
            self.logins += 1
            if json.loads(await connection.recv())["access_token"] not in self.tokens:
                await connection.send(json.dumps({"type": "auth_invalid", "message": "Invalid access token"}))
                return
            await connection.send(json.dumps({"type": "auth_ok", "ha_version": "2026.11.0"}))
            self._subscriptions[connection] = {}
            async for message in connection:
                if not self.mute:
                    await self._command(connection, json.loads(message))
        except ConnectionClosed:
            return
        finally:
            self._subscriptions.pop(connection, None)

    async def _command(self, connection: ServerConnection, command: dict[str, Any]) -> None:
        number, kind = command["id"], command["type"]
        self.received.append(command)
        if kind == "ping":
            if not (self.late_pong and "state_changed" in self._subscriptions[connection]):
                await connection.send(json.dumps({"id": number, "type": "pong"}))
            return
        code = self.refuse.get(kind)
        if kind == "subscribe_events":
            allowed = command["event_type"] in {"state_changed", "entity_registry_updated"}
            code = None if self.admin or allowed else "unauthorized"
            self._subscriptions[connection][command["event_type"]] = number
        if code is not None:
            error = {"code": code, "message": f"no {kind}"}
            answer = {"id": number, "type": "result", "success": False, "error": error}
        else:
            answer = {"id": number, "type": "result", "success": True, "result": await self._result(command)}
        await connection.send(json.dumps(answer))

    async def _result(self, command: dict[str, Any]) -> Any:
        match command["type"]:
            case "auth/current_user":
                return {"id": OWN_USER, "name": "Owner", "is_admin": self.admin}
            case "config/auth/list":
                return [
                    {"id": OWN_USER, "system_generated": False},
                    {"id": CLOUD_USER, "system_generated": True},
                ]
            case "get_config":
                return self.config
            case "config/entity_registry/list":
                return self.registry
            case "get_states":
                return list(self.states.values())
            case "call_service":
                return await self._called(command)
            case "validate_config":
                return {
                    part: {"valid": True, "error": None} for part in command if part not in {"id", "type"}
                }
            case _:
                return None

    async def _called(self, command: dict[str, Any]) -> dict[str, Any]:
        """Switch something on or off: the events come before the answer, as in the real one."""
        context = (f"call-{command['id']}", None, OWN_USER)
        data = {key: command[key] for key in ("domain", "service", "service_data")}
        await self.fire("call_service", data, context)
        state = {"turn_on": "on", "turn_off": "off"}.get(command["service"])
        if state is not None:
            await self.change(command["service_data"]["entity_id"], state, context)
        await asyncio.sleep(self.answer_late_s)
        return {"context": _context(context)}


def _context(context: Ids) -> dict[str, Any]:
    return dict(zip(("id", "parent_id", "user_id"), context, strict=True))


def _answer(status: int, reason: str, body: Any) -> Response:
    raw = json.dumps(body).encode()
    headers = Headers(
        {"Content-Type": "application/json", "Content-Length": str(len(raw)), "Connection": "close"}
    )
    return Response(status, reason, headers, raw)
