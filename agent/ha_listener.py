"""What the Home Assistant gateway tells, and to whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, Self

from devices.events import StateChange
from devices.provenance import HaContext


class Connection(StrEnum):
    """How it stands with Home Assistant."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"  # the token isn't accepted


@dataclass(frozen=True, slots=True)
class HomeInfo:
    """What Home Assistant says of itself and of us."""

    version: str
    time_zone: str
    latitude: float | None
    longitude: float | None
    user_id: str
    admin: bool

    @classmethod
    def of(cls, user: Mapping[str, Any], config: Mapping[str, Any]) -> Self:
        """Read the answers of `auth/current_user` and `get_config`."""
        return cls(
            version=str(config.get("version")),
            time_zone=str(config.get("time_zone")),
            latitude=config.get("latitude"),
            longitude=config.get("longitude"),
            user_id=str(user.get("id")),
            admin=bool(user.get("is_admin")),
        )


class Listener(Protocol):
    """Who wants to know. Called in the event loop, in order; must be quick: it is the back-pressure."""

    def on_connected(self, info: HomeInfo) -> None:
        """Take in that events flow again; the snapshot follows as retained changes."""

    def on_disconnected(self) -> None:
        """Take in that they have stopped."""

    def on_change(self, change: StateChange, context: HaContext | None) -> None:
        """Take in a change, unclassified, with the context that `Provenance.classify` wants."""

    def on_registry(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take in the entity registry."""

    def on_renamed(self, old: str, new: str) -> None:
        """Take in an entity's new id."""

    def on_notification_action(self, data: Mapping[str, Any]) -> None:
        """Take in an answer to a notification in the app."""
