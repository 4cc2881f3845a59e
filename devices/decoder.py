"""What every decoder shares: one boundary that bytes cross once, and that no exception leaves."""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from devices.events import StateChange

MAX_PAYLOAD_BYTES: Final = 256 * 1024
"""Larger payloads are counted and dropped unread, except inventories (`MAX_INVENTORY_BYTES`)."""
MAX_INVENTORY_BYTES: Final = 8 * 1024 * 1024
MAX_STATE_CHARS: Final = 255  # Home Assistant's own limit
_MAX_BAD_TOPICS: Final = 1000

_NOT_SLUG: Final = re.compile(r"[^a-z0-9]+")


class BadPayloadError(ValueError):
    """A payload that doesn't have the shape that its topic promises."""


@dataclass(frozen=True, slots=True)
class Publish:
    """A message to send: how a device is commanded on its own topics."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False


def slug(name: str) -> str:
    """Turn a device's name into the object id that Home Assistant would give it.

    >>> slug("Kitchen/Ceiling Lamp 2"), slug("Küche Süd")
    ('kitchen_ceiling_lamp_2', 'kuche_sud')
    """
    plain = unicodedata.normalize("NFKD", name.lower().replace("ß", "ss")).encode("ascii", "ignore").decode()
    return _NOT_SLUG.sub("_", plain).strip("_") or "unnamed"


class Decoder(ABC):
    """One MQTT family. `decode` never raises: a bad payload is counted by topic in `bad` and dropped.

    `addresses` maps where a value is heard, (topic, key in the JSON payload or ""), to the entity id that
    the decoder gives it, so that discovery configs and registries can tie it to Home Assistant's entity.
    """

    family: ClassVar[str]

    def __init__(self) -> None:
        self.bad: Counter[str] = Counter()
        self.why_bad: dict[str, str] = {}  # what was wrong with a topic's first bad payload
        self.addresses: dict[tuple[str, str], str] = {}

    @property
    @abstractmethod
    def subscriptions(self) -> Sequence[str]:
        """MQTT topic filters that this decoder wants."""

    @abstractmethod
    def handles(self, topic: str) -> bool:
        """Whether a topic belongs to this decoder. Cheap: called once a message."""

    def decode(self, topic: str, payload: bytes, received_at: datetime, retained: bool) -> list[StateChange]:  # noqa: FBT001
        """Return what a message says, in order; `old` is left None, entity ids are the decoder's own."""
        try:
            if len(payload) > MAX_PAYLOAD_BYTES and not self.is_inventory(topic):
                raise BadPayloadError(f"{len(payload)} bytes")
            return self._decode(topic, payload, received_at, retained)
        except Exception as err:  # noqa: BLE001 - the boundary: whatever a device sends, the daemon lives
            if topic in self.bad or len(self.bad) < _MAX_BAD_TOPICS:
                self.bad[topic] += 1
                self.why_bad.setdefault(topic, f"{type(err).__name__}: {err}"[:100])
            else:
                self.bad["(other topics)"] += 1
            return []

    def is_inventory(self, topic: str) -> bool:  # noqa: ARG002
        """Whether a topic carries a device list, which may be large."""
        return False

    def command(self, entity_id: str, state: str, attributes: Mapping[str, Any]) -> Publish | None:  # noqa: ARG002
        """Return the message that asks the device for a state, or None where it can't be commanded here."""
        return None

    @abstractmethod
    def _decode(self, topic: str, payload: bytes, received_at: datetime, retained: bool) -> list[StateChange]:  # noqa: FBT001
        """Decode; may raise anything."""
