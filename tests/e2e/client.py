"""A client of Home Assistant's REST and WebSocket APIs that shares no code with Inkling's own."""

from __future__ import annotations

import json
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tests.process import wait_for

CLIENT_ID = "http://127.0.0.1/"
State = dict[str, Any]
Event = dict[str, Any]


@dataclass(slots=True)
class Events:
    """Events received since `HomeAssistantClient.events` began to listen, oldest first."""

    received: list[Event] = field(default_factory=list)

    def wait(self, accept: Callable[[Event], bool], timeout_s: float = 15) -> Event:
        """Return the first event, received before or to come, that is accepted."""

        def found() -> Event | None:
            return next((event for event in list(self.received) if accept(event)), None)

        event = wait_for("event", found, timeout_s)
        assert event is not None
        return event

    def wait_change(self, entity_id: str, state: str, timeout_s: float = 15) -> Event:
        """Return the first `state_changed` event of an entity to a state."""

        def accept(event: Event) -> bool:
            data = event["data"]
            new = data.get("new_state")
            return data.get("entity_id") == entity_id and new is not None and new["state"] == state

        return self.wait(accept, timeout_s)


class HomeAssistantClient:
    """REST and WebSocket calls as one user, whose `token` it is."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url
        self.token = token

    def rest(
        self, method: str, path: str, body: object = None, *, form: Mapping[str, str] | None = None
    ) -> Any:
        """Return the decoded answer to a request; `path` begins with /api or /auth."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = None
        if form is not None:
            data = urllib.parse.urlencode(form).encode()
        elif body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=20) as answer:
            raw = answer.read()
        return json.loads(raw) if raw else None

    def ws(self, *commands: Mapping[str, Any]) -> list[Any]:
        """Return the results of commands, sent over one WebSocket connection."""
        with self._connection() as connection:
            return [_ask(connection, number, command) for number, command in enumerate(commands, 1)]

    def call(self, domain: str, service: str, entity_id: str, **data: object) -> str:
        """Call a service as this user; return the context id that the changes will carry."""
        (result,) = self.ws(
            {
                "type": "call_service",
                "domain": domain,
                "service": service,
                "target": {"entity_id": entity_id},
                "service_data": data,
            }
        )
        return str(result["context"]["id"])

    @contextmanager
    def events(self, *types: str) -> Iterator[Events]:
        """Collect events of some types (default `state_changed`) while the block runs."""
        events = Events()
        with self._connection() as connection:
            for number, event_type in enumerate(types or ("state_changed",), 1):
                _ask(connection, number, {"type": "subscribe_events", "event_type": event_type})
            listener = threading.Thread(target=_collect, args=(connection, events.received))
            listener.start()
            try:
                yield events
            finally:
                connection.close()
                listener.join()

    def states(self) -> dict[str, State]:
        """Return all states by entity id."""
        return {state["entity_id"]: state for state in self.rest("GET", "/api/states")}

    def state(self, entity_id: str) -> State | None:
        """Return an entity's state object, or None where there is no such entity."""
        return self.states().get(entity_id)

    def wait_state(self, entity_id: str, *accepted: str, timeout_s: float = 15) -> State:
        """Return the state object once it is one of `accepted` (default: anything but unavailable)."""

        def reached() -> State | None:
            state = self.state(entity_id)
            if state is None or (
                state["state"] not in accepted if accepted else state["state"] == "unavailable"
            ):
                return None
            return state

        state = wait_for(f"{entity_id} {' or '.join(accepted)}", reached, timeout_s, interval_s=0.05)
        assert state is not None
        return state

    def create_owner(self, name: str) -> None:
        """Create the first user of a new Home Assistant, and act as that user from here on."""
        user = {"name": name, "username": "owner", "password": "for-tests-only", "language": "en"}
        code = self.rest("POST", "/api/onboarding/users", {"client_id": CLIENT_ID, **user})["auth_code"]
        grant = {"grant_type": "authorization_code", "code": code, "client_id": CLIENT_ID}
        self.token = self.rest("POST", "/auth/token", form=grant)["access_token"]
        self.token = self.new_token("tests")

    def new_token(self, client_name: str) -> str:
        """Return a long-lived access token of this user."""
        lasting = {"type": "auth/long_lived_access_token", "client_name": client_name, "lifespan": 365}
        return str(self.ws(lasting)[0])

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        url = self.url.replace("http", "ws", 1) + "/api/websocket"
        with connect(url, max_size=None, proxy=None, compression=None) as connection:
            connection.recv(20)
            connection.send(json.dumps({"type": "auth", "access_token": self.token}))
            answer = json.loads(connection.recv(20))
            if answer["type"] != "auth_ok":
                raise PermissionError(answer.get("message"))
            yield connection


def _ask(connection: Connection, number: int, command: Mapping[str, Any]) -> Any:
    connection.send(json.dumps({"id": number, **command}))
    while (answer := json.loads(connection.recv(20))).get("id") != number or answer["type"] != "result":
        pass
    if not answer["success"]:
        raise RuntimeError(f"{command['type']}: {answer['error']}")
    return answer["result"]


def _collect(connection: Connection, received: list[Event]) -> None:
    try:
        for message in connection:
            answer = json.loads(message)
            if answer["type"] == "event":
                received.append(answer["event"])
    except ConnectionClosed:
        return
