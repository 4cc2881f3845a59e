"""Home Assistant's REST API, for what the WebSocket doesn't offer: history and automation configs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from http import HTTPMethod
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from homeassistant_api import AsyncClient

from agent.ha_socket import as_our_errors, base_url, new_session
from devices.events import StateChange
from devices.home_assistant import HomeAssistantReader

REST_S: Final = 30.0
HISTORY_S: Final = 300.0
_ENTITIES: Final = 50  # an address may have some 8,000 characters
_SPAN: Final = timedelta(days=1)


class HomeAssistantRest:
    """REST calls on one session; raises HomeAssistantError only."""

    def __init__(self, url: str, token: str, *, verify_tls: bool = True, ca_file: Path | None = None) -> None:
        self.url = base_url(url)
        self._session = new_session(verify_tls=verify_tls, ca_file=ca_file, read_s=REST_S)
        self._client = AsyncClient(f"{self.url}/api/", token, session=self._session)
        del self._client.global_request_kwargs["verify"]  # it would hide the session's CA file

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _err: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def request(
        self, path: str, *, method: HTTPMethod = HTTPMethod.GET, timeout_s: float = REST_S, **options: Any
    ) -> Any:
        """Send any request; `options`: `params` (None: a key without a value), `json`."""
        with as_our_errors(f"{self.url}/api/{path}"):
            return await self._client.request(path, method=method, timeout=timeout_s, **options)

    async def history(
        self,
        entity_ids: Sequence[str],
        start: datetime,
        end: datetime,
        *,
        on_progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> AsyncIterator[list[StateChange]]:
        """Yield the past day by day, each by time; `on_progress` gets requests done and to do.

        Each day begins with a row for the state that an entity has then; the fold takes it for the repeat
        that it is. Home Assistant keeps 10 days unless told otherwise.
        """
        days = max(0, -(-(end - start) // _SPAN))
        parts = [entity_ids[n : n + _ENTITIES] for n in range(0, len(entity_ids), _ENTITIES)]
        reader, done = HomeAssistantReader(), 0
        for day in range(days):
            since, until = start + day * _SPAN, min(end, start + (day + 1) * _SPAN)
            changes: list[StateChange] = []
            for part in parts:
                changes += reader.history(await self._history(part, since, until))
                done += 1
                on_progress(done, days * len(parts))
            yield sorted(changes, key=lambda change: change.changed_at)

    async def _history(self, entity_ids: Sequence[str], start: datetime, end: datetime) -> list[Any]:
        params = {
            "filter_entity_id": ",".join(entity_ids),
            "end_time": end.isoformat(),
            "minimal_response": None,
            "significant_changes_only": "0",
        }
        since = start.isoformat().replace("+00:00", "Z")
        groups = await self.request(f"history/period/{since}", params=params, timeout_s=HISTORY_S)
        return groups if isinstance(groups, list) else []
