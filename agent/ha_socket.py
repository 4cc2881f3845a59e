"""One WebSocket connection to Home Assistant: commands and their answers, and the events between them."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import orjson
from homeassistant_api import AsyncWebsocketClient
from homeassistant_api.errors import EndpointNotFoundError, HomeassistantAPIError, UnauthorizedError
from niquests import AsyncSession
from niquests.exceptions import HTTPError, RequestException, SSLError

from agent.errors import InklingError

CONNECT_S: Final = 15.0
ANSWER_S: Final = 10.0
QUIET_S: Final = 120.0  # the library's own is 30 s, too short for a home where nothing happens between pings
_CLOSE_S: Final = 2.0
_IN_A_ROW: Final = 50  # a compressed packet may hold thousands of events: others get their turn in between

OnEvent = Callable[[Mapping[str, Any]], None]


class HomeAssistantError(InklingError):
    """Home Assistant can't be reached, or doesn't do what was asked."""


class AuthError(HomeAssistantError):
    """Home Assistant doesn't take our token."""


class NotConnectedError(HomeAssistantError):
    """There is no connection now."""


class NoAnswerError(HomeAssistantError):
    """Home Assistant is connected, but doesn't answer."""


class MissingError(HomeAssistantError):
    """Home Assistant has nothing at this path."""


class RefusedError(HomeAssistantError):
    """Home Assistant answered a command with an error; `data["code"]` is its code."""


def base_url(url: str) -> str:
    """Return an address as people write it in the one form that the rest uses.

    >>> base_url("homeassistant.local:8123/"), base_url("https://ha.example/api/")
    ('http://homeassistant.local:8123', 'https://ha.example')
    """
    text = url.strip()
    parts = urlsplit(text if "://" in text else f"http://{text}")
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    if scheme not in {"http", "https"} or not parts.hostname:
        raise HomeAssistantError(
            f"not an address: {url!r}", hint="write it as http://homeassistant.local:8123"
        )
    path = parts.path.rstrip("/").removesuffix("/websocket").removesuffix("/api")
    return urlunsplit((scheme, parts.netloc, path, "", ""))


def new_session(*, verify_tls: bool, ca_file: Path | None, read_s: float = QUIET_S) -> AsyncSession:
    """Return an HTTP session that checks certificates as configured; `read_s`: the longest silence."""
    verify: bool | str = str(ca_file) if verify_tls and ca_file is not None else verify_tls
    session = AsyncSession(verify=verify, timeout=(CONNECT_S, read_s), disable_http3=True)
    session.trust_env = (
        False  # else REQUESTS_CA_BUNDLE beats our CA file, ~/.netrc our token, a proxy the LAN
    )
    if not verify_tls:  # it was decided, so it needn't be said at each request
        warnings.filterwarnings("ignore", message="Unverified HTTPS request")
    return session


class HomeAssistantSocket(AsyncWebsocketClient):
    """homeassistant-api's client with one reader, so that commands and events don't starve each other.

    The library keeps every answer and event until somebody asks for it, and validates each by pydantic (0.9
    ms an event, and memory that grows); here answers go to their waiting caller and events to `on_event` as
    they are read. Nothing is queued: while `on_event` works, TCP holds Home Assistant back.
    """

    def __init__(self, url: str, token: str, session: AsyncSession, on_event: OnEvent) -> None:
        super().__init__(f"{base_url(url)}/api/websocket", token, session=session)
        self.received = 0
        self._on_event = on_event
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def open(self) -> None:
        """Connect and authenticate. Raises AuthError or HomeAssistantError."""
        try:
            with as_our_errors(self.api_url):
                async with asyncio.timeout(CONNECT_S):
                    await self.__aenter__()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close; never raises, and doesn't wait for a server that is gone."""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(NotConnectedError("the connection to Home Assistant ended"))
        with suppress(Exception):
            async with asyncio.timeout(_CLOSE_S):
                if hasattr(self, "_ws"):
                    await self._ws.close()
        with suppress(Exception):
            async with asyncio.timeout(_CLOSE_S):
                await self._session.close()

    async def read(self) -> None:
        """Read until the connection ends, which raises HomeAssistantError."""
        while True:
            with as_our_errors(self.api_url):
                message = await self._async_recv()
            self.received += 1
            self.handle_recv(message)
            if not self.received % _IN_A_ROW:
                await asyncio.sleep(0)

    async def check(self, timeout_s: float) -> None:
        """Raise NoAnswerError where nothing comes any more; a pong may be late behind thousands of events."""
        before = self.received
        try:
            await self.command("ping", timeout_s=timeout_s)
        except NoAnswerError:
            if self.received == before:
                raise

    async def command(self, kind: str, *, timeout_s: float = ANSWER_S, **data: Any) -> Any:
        """Send a command and return its result. `read` must be running."""
        number = self._request_id()
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(timeout_s):
                with as_our_errors(self.api_url):
                    await self._async_send({"id": number, "type": kind, **data})
                return await answer
        except TimeoutError as err:
            raise NoAnswerError(f"Home Assistant didn't answer {kind} in {timeout_s:g} s") from err
        finally:
            del self._waiting[number]

    def handle_recv(self, data: dict[str, Any]) -> None:
        """Hand a message on (called by the library while it connects, then by `read`)."""
        kind, waiting = data.get("type"), self._waiting.get(data.get("id", 0))
        if kind == "event":
            if isinstance(event := data.get("event"), dict):
                self._on_event(event)
        elif waiting is None:
            if not self._waiting and kind == "result":
                super().handle_recv(data)  # the library's own handshake
        elif not waiting.done():
            if kind == "pong" or data.get("success"):
                waiting.set_result(data.get("result"))
            else:
                waiting.set_exception(_refused(data.get("error") or {}))

    async def _async_recv(self) -> dict[str, Any]:
        payload = await self._ws.next_payload()
        message = orjson.loads(payload) if payload is not None else None
        if not isinstance(message, dict):
            raise HomeAssistantError("Home Assistant closed the connection")
        return message


def _refused(error: Mapping[str, Any]) -> RefusedError:
    code, message = error.get("code"), error.get("message")
    hint = "give Inkling a token of an administrator" if code == "unauthorized" else None
    return RefusedError(f"Home Assistant refused: {message or code}", hint=hint, code=code)


@contextmanager
def as_our_errors(url: str) -> Iterator[None]:
    """Turn whatever the library and what is below it raise into one of ours that says what to do."""
    try:
        yield
    except InklingError:
        raise
    except UnauthorizedError as err:
        raise _no_entry() from err
    except EndpointNotFoundError as err:
        raise MissingError(f"{url}: there is no such thing") from err
    except TimeoutError as err:
        raise HomeAssistantError(f"no answer from {url}", hint="is Home Assistant running?") from err
    except (SSLError, ssl.SSLError) as err:
        hint = "set home_assistant.ca_file, or verify_tls = false for a certificate of your own"
        raise HomeAssistantError(f"no trust in {url}: {err}", hint=hint) from err
    except HTTPError as err:
        raise _by_status(url, err) from err
    except (HomeassistantAPIError, RequestException, OSError) as err:
        raise HomeAssistantError(f"{url}: {err}", hint="is the address right, and is it running?") from err
    except Exception as err:  # below lies a stack of HTTP, TLS and WebSocket code: its bugs are outages
        raise HomeAssistantError(f"{url}: {type(err).__name__}: {err}") from err


def _no_entry() -> AuthError:
    hint = "make a new long-lived token in your Home Assistant profile (Security) and give it to Inkling"
    return AuthError("Home Assistant doesn't accept the token", hint=hint)


def _by_status(url: str, err: HTTPError) -> HomeAssistantError:
    status = err.response.status_code if err.response is not None else None
    if status == 401:
        return _no_entry()
    if status == 403:
        hint = "this address may be banned: look at ip_bans.yaml in Home Assistant's configuration folder"
        return AuthError(f"{url} forbids us to connect", hint=hint)
    return HomeAssistantError(f"{url} answered {status}", hint="is this the address of Home Assistant?")
