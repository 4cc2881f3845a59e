"""An MQTT broker inside this process, for the demo and for trying things without installing one."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

HOST: Final = "127.0.0.1"


@asynccontextmanager
async def embedded_broker() -> AsyncIterator[int]:
    """Run amqtt (MQTT 3.1.1, in memory, loopback only) while the context lasts; yields its port."""
    from amqtt.broker import Broker  # noqa: PLC0415 - 16 MB that only the demo needs

    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
            # the base class admits everyone, and unlike the anonymous plugin it keeps their sessions
            "plugins": {"amqtt.plugins.base.BaseAuthPlugin": {}},
        }
    )
    await broker.start()
    try:
        yield port
    finally:
        await broker.shutdown()
