"""From what sources say to the changes that the engine takes: decoded, named, attributed, merged, timed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import paho.mqtt.client as paho

from agent.clock import Clock, EventClock
from agent.own_entities import OwnEntities
from agent.store import Store
from devices.decoders import Router
from devices.discovery import DiscoveryIndex
from devices.events import Source, StateChange
from devices.fusion import Fusion
from devices.provenance import HaContext, Provenance
from devices.state import HomeState


class Intake:
    """One home's ears. Each step is a package of `devices`; here they are only put in a row.

    `late`: messages that were queued while we were away. They say what is so, not when it happened, unless
    they carry their own time.
    """

    def __init__(
        self,
        home: HomeState,
        *,
        router: Router,
        index: DiscoveryIndex,
        provenance: Provenance,
        clock: Clock | EventClock,
        own: OwnEntities,
    ) -> None:
        self.home = home
        self.router = router
        self.index = index
        self.fusion = Fusion()
        self.provenance = provenance
        self.clock = clock
        self.own = own
        self.messages = 0

    def message(
        self, topic: str, payload: bytes, received_at: datetime, *, retained: bool, late: bool
    ) -> list[StateChange]:
        """Return the changes that an MQTT message leads to."""
        self.messages += 1
        if self.index.handles(topic):
            self.index.config(topic, payload)
            return []
        out: list[StateChange] = []
        names = self.index.names()
        for heard in self.router.decode(topic, payload, received_at, retained=retained):
            if heard.source is Source.RECORDING:  # named, attributed and merged when it was made
                out.append(self._timed(heard, late=late))
                continue
            entity_id = names.get(heard.entity_id, heard.entity_id)
            if entity_id in self.own or self._is_repeat(entity_id, heard):
                continue
            change = self._timed(heard, late=late)
            if entity_id != heard.entity_id:
                change = replace(change, entity_id=entity_id)
            out += self._merged(change, None)
        return out

    def home_assistant(self, change: StateChange, context: HaContext | None) -> list[StateChange]:
        """Return the changes that a WebSocket event leads to."""
        if change.entity_id in self.own:
            return []
        return self._merged(self._timed(change, late=False), context)

    def _is_repeat(self, entity_id: str, heard: StateChange) -> bool:
        """Whether nothing is new: most values of most messages, so they go no further than this."""
        known = self.home.get(entity_id)
        if (
            known is None
            or isinstance(self.clock, EventClock)  # which a repeat, too, takes on
            or known.state != heard.new
            or known.attributes is not heard.attributes
            or self.fusion.sole_source(entity_id) is not heard.source
        ):
            return False
        known.seen_at = heard.received_at
        return True

    def _timed(self, change: StateChange, *, late: bool) -> StateChange:
        """Take the time that can be trusted, and mark what came late without a time of its own."""
        untimed = change.changed_at == change.received_at
        if isinstance(self.clock, EventClock):
            if untimed:
                now = self.clock.step()
                return replace(change, changed_at=now, received_at=now)
            self.clock.advance(change.changed_at)
            return replace(change, received_at=self.clock.now())
        return replace(change, retained=True) if late and untimed else change

    def _merged(self, change: StateChange, context: HaContext | None) -> list[StateChange]:
        now = change.received_at
        # retained ones too: a toggle's target is the opposite of the state that it started from
        origin, confidence = self.provenance.classify(change, context=context, now=now)
        if origin is not change.origin or confidence != change.confidence:
            change = replace(change, origin=origin, confidence=confidence)
        return self.fusion.offer(change, now)


class Redelivered:
    """Recognises what the broker sends again after a crash: committed, but not acknowledged in time.

    A broker resends unacknowledged packets under their old packet ids with the DUP flag set. So a DUP packet
    whose id and digest are among the last committed ones, or the `unwritten` ones that wait for a full disk,
    has been counted. Memory: the packets that the store remembers.
    """

    def __init__(self, store: Store, unwritten: Iterable[tuple[int, bytes]] = ()) -> None:
        self._known = dict(store.recent_packets()) | dict(unwritten)

    def is_known(self, message: paho.MQTTMessage) -> bool:
        """Whether a message has been counted already; each is recognised once."""
        if not message.dup or not self._known:
            return False
        if self._known.get(message.mid) != digest(message):
            return False
        del self._known[message.mid]
        return True


def digest(message: paho.MQTTMessage) -> bytes:
    """Return what identifies a packet's content."""
    # 32 bits will do: the packet id has to match too, and only packets sent again are looked up
    return zlib.crc32(message.payload, zlib.crc32(message.topic.encode())).to_bytes(4)


def inflight(messages: Iterable[paho.MQTTMessage]) -> Sequence[tuple[int, bytes]]:
    """Return (packet id, digest) of the messages that want an acknowledgement."""
    return [(m.mid, digest(m)) for m in messages if m.qos]
