"""The traffic of the simulated family home, as raw MQTT packets: built before, then only written."""

# ruff: noqa: E402 - see sys.path below

from __future__ import annotations

import socket
import struct
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path[0] = str(Path(__file__).resolve().parents[1])  # benchmarks/hunches.py would shadow the package

from devices.decoder import Publish
from devices.simulated_wire import Zigbee2Mqtt
from devices.simulator import SimulatedHome

START = datetime(2026, 3, 2, tzinfo=UTC)


def family(seed: int = 3) -> Iterator[Publish]:
    """Yield what Zigbee2MQTT publishes in the simulated family home, day after day."""
    home = SimulatedHome("family", start=START, seed=seed, zone=ZoneInfo("Europe/Berlin"))
    wire = Zigbee2Mqtt(home.plan)
    for event in home.initial():
        yield from wire.messages(event)
    for day in range(1, 400):
        for event in home.advance(START + timedelta(days=day)):
            yield from wire.messages(event)


def packet(topic: str, payload: bytes, mid: int) -> bytes:
    """Return an MQTT 3.1.1 PUBLISH packet with QoS 1."""
    name = topic.encode()
    body = struct.pack("!H", len(name)) + name + struct.pack("!H", mid) + payload
    size, length = len(body), bytearray()
    while True:
        size, low = divmod(size, 128)
        length.append(low | (128 if size else 0))
        if not size:
            return b"\x32" + bytes(length) + body


def connect(port: int, client_id: bytes) -> socket.socket:
    """Connect as an MQTT 3.1.1 client with a clean session."""
    s = socket.create_connection(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = b"\x00\x04MQTT\x04\x02\x00\x00" + struct.pack("!H", len(client_id)) + client_id
    s.sendall(b"\x10" + bytes([len(body)]) + body)
    assert s.recv(4)[3] == 0, "connection refused"
    return s


def main() -> None:
    """Publish N messages as fast as the broker takes them, when told so by a line on standard input."""
    port, n = int(sys.argv[1]), int(sys.argv[2])
    messages = list(islice(family(), n))
    blob = b"".join(packet(m.topic, m.payload, i % 65_535 + 1) for i, m in enumerate(messages))
    s = connect(port, b"bench-publisher")
    print(f"ready {len(messages)}", flush=True)
    sys.stdin.readline()
    left = 4 * len(messages)  # PUBACKs, drained so that the broker never blocks on us

    def drain() -> None:
        nonlocal left
        while left > 0 and (got := len(s.recv(1 << 16))):
            left -= got

    reader = threading.Thread(target=drain)
    reader.start()
    s.sendall(blob)
    reader.join()
    print("sent", flush=True)


if __name__ == "__main__":
    main()
