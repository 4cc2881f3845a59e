"""Which MQTT packets are committed but perhaps not acknowledged: the broker sends these again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from agent.schema import inflight

_ID_BYTES = 2
_ADD = inflight.insert()
_FORGET = inflight.delete().where(inflight.c.id < sa.bindparam("oldest"))


class PacketJournal:
    """The last committed packets: one row a batch, since a row a packet would cost as much as the event.

    At least `keep` packets are remembered, and at most one batch more: they must cover the broker's window
    (MQTT's receive maximum), and be far fewer than the 65,535 ids that a broker gives out in turn, or a new
    packet with equal content would be taken for an old one. Thrown away when a transaction fails.
    """

    def __init__(self, conn: Connection, keep: int) -> None:
        rows = conn.execute(sa.select(inflight.c.id, inflight.c.count).order_by(inflight.c.id))
        self._batches = deque((number, count) for number, count in rows)
        self._total = sum(count for _, count in self._batches)
        self._keep = keep

    def add(self, conn: Connection, packets: Sequence[tuple[int, bytes]]) -> None:
        """Remember a batch's packets, (packet id, digest) with digests of one length; forget the oldest."""
        number = self._batches[-1][0] + 1 if self._batches else 1
        body = b"".join(mid.to_bytes(_ID_BYTES) + digest for mid, digest in packets)
        conn.execute(_ADD, {"id": number, "count": len(packets), "packets": body})
        self._batches.append((number, len(packets)))
        self._total += len(packets)
        oldest = self._batches[0][0]
        while self._total - self._batches[0][1] >= self._keep:
            self._total -= self._batches.popleft()[1]
        if self._batches[0][0] != oldest:
            conn.execute(_FORGET, {"oldest": self._batches[0][0]})


def recent_packets(conn: Connection) -> list[tuple[int, bytes]]:
    """Return the remembered packets, oldest first: of two with one id the later one counts."""
    rows = conn.execute(sa.select(inflight.c.count, inflight.c.packets).order_by(inflight.c.id))
    return [packet for count, body in rows for packet in _unpack(bytes(body), len(body) // count)]


def _unpack(body: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    for start in range(0, len(body), size):
        yield int.from_bytes(body[start : start + _ID_BYTES]), body[start + _ID_BYTES : start + size]
