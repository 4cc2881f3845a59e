"""The registry of decoders: which one reads a topic, which one commands an entity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from devices.decoder import Decoder, Publish
from devices.events import StateChange

MAX_TOPICS: Final = 50_000


class Router:
    """Give each message to the first decoder that handles its topic.

    So decoders that claim any first level (ESPHome) belong last. A topic's decoder is looked up once.
    Memory: one entry a topic, 50,000 at most.

    >>> from devices.events import utc
    >>> from devices.statestream import StatestreamDecoder
    >>> router = Router([StatestreamDecoder()])
    >>> now = utc("2024-03-01T12:00:00+00:00")
    >>> [c.new for c in router.decode("statestream/light/hall/state", b"on", now, retained=False)]
    ['on']
    """

    def __init__(self, decoders: Sequence[Decoder]) -> None:
        self.decoders = tuple(decoders)
        self._by_topic: dict[str, Decoder] = {}

    def decode(self, topic: str, payload: bytes, received_at: datetime, retained: bool) -> list[StateChange]:  # noqa: FBT001
        """Return what a message says; nothing for a topic that no decoder handles."""
        decoder = self._by_topic.get(topic)
        if decoder is None:
            decoder = self._find(topic)
            if decoder is None:
                return []
        return decoder.decode(topic, payload, received_at, retained)

    def subscriptions(self) -> list[str]:
        """Return every decoder's topic filters, each once, in order."""
        return list(dict.fromkeys(f for decoder in self.decoders for f in decoder.subscriptions))

    def command(self, entity_id: str, state: str, attributes: Mapping[str, Any]) -> Publish | None:
        """Return the message that asks a device for a state, None where no decoder's family can."""
        made = (decoder.command(entity_id, state, attributes) for decoder in self.decoders)
        return next((publish for publish in made if publish is not None), None)

    def addresses(self) -> Iterator[Mapping[tuple[str, str], str]]:
        """Return where each decoder hears its entities: what `devices.discovery` ties to Home Assistant."""
        return (decoder.addresses for decoder in self.decoders)

    def bad(self) -> Counter[str]:
        """Return how many bad payloads came on each topic."""
        total: Counter[str] = Counter()
        for decoder in self.decoders:
            total.update(decoder.bad)
        return total

    def why_bad(self, topic: str) -> str | None:
        """Return what was wrong with the first bad payload of a topic."""
        return next((d.why_bad[topic] for d in self.decoders if topic in d.why_bad), None)

    def _find(self, topic: str) -> Decoder | None:
        found = next((decoder for decoder in self.decoders if decoder.handles(topic)), None)
        if found is not None:  # "nobody's" isn't kept: a decoder may learn a prefix later
            if len(self._by_topic) >= MAX_TOPICS:
                self._by_topic.clear()
            self._by_topic[topic] = found
        return found
