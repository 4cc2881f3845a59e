"""One subscriber under test; prints `ready`, then one JSON line with the wall time of its last message.

usage: _subscriber.py bare5|bare311|inkling|probe PORT N FOLDER
"""

# ruff: noqa: E402 - see sys.path below

from __future__ import annotations

import asyncio
import json
import resource
import signal
import socket
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

sys.path[0] = str(Path(__file__).resolve().parents[1])  # benchmarks/hunches.py would shadow the package

from agent.daemon import Daemon
from agent.logs import configure_logging
from agent.settings import LogSettings, load_settings
from agent.store import Store
from devices.context import Context
from devices.events import StateChange, Tick
from devices.state import HomeState
from hunches.detector import Hunch

KIND, PORT, N, FOLDER = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])


def report(received: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    line = {"received": received, "wall": time.time(), "cpu_s": used.ru_utime + used.ru_stime}
    print(json.dumps(line | {"rss_mb": used.ru_maxrss // 1024}), flush=True)


def bare(protocol: int) -> None:
    """Only count: what paho can do at best."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="bench", protocol=protocol)
    count = 0

    def on_message(c: paho.Client, _u: object, _m: paho.MQTTMessage) -> None:
        nonlocal count
        count += 1
        if count == N:
            report(count)
            c.disconnect()

    def no_delay(_c: object, _u: object, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    client.on_message = on_message
    client.on_socket_open = no_delay
    client.on_subscribe = lambda *_: print("ready", flush=True)
    client.connect("127.0.0.1", PORT)
    client.subscribe("zigbee2mqtt/#", 1)
    client.loop_forever()


async def inkling() -> None:
    """Run the whole daemon, until it has committed and acknowledged everything."""
    configure_logging(LogSettings(level="error"))
    url = f"sqlite:///{FOLDER / f'{time.time_ns()}.db'}"
    settings = load_settings(
        None, mqtt={"host": "127.0.0.1", "port": PORT, "client_id": "bench"}, store={"url": url}
    )
    with Store.open(url) as store:
        daemon, stop = Daemon(settings, store), asyncio.Event()
        running = asyncio.create_task(daemon.run(stop))
        await daemon.bridge.connected.wait()
        await asyncio.sleep(0.5)
        print("ready", flush=True)
        while daemon.bridge.received < N:
            await asyncio.sleep(0.005)
        report(daemon.bridge.received)
        stop.set()
        await running
        print(json.dumps({"rows": store.stats().events}), flush=True)


class EveryOn:
    """A hunch for everything that goes on: the detectors' own time is benchmarks/pipeline.py's matter."""

    name = "every_on"

    def score_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> list[Hunch]:
        if isinstance(event, Tick) or event.new != "on":
            return []
        return [
            Hunch(
                "every_on", event.entity_id, "any", 2.0, 1.0, f"{event.entity_id} is on", {"n": 1}, "on",
                event.changed_at, timedelta(hours=1), "off",
            )
        ]  # fmt: skip

    def learn_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> None: ...
    def forget(self, entity_id: str) -> None: ...
    def rename(self, old: str, new: str) -> None: ...
    def to_dict(self) -> dict[str, Any]:
        return {}

    def load(self, data: Mapping[str, Any]) -> None: ...


async def probe() -> None:
    """Run the whole daemon with one more detector, until told to end."""
    configure_logging(LogSettings(level="error"))
    url = f"sqlite:///{FOLDER / f'{time.time_ns()}.db'}"
    settings = load_settings(
        None,
        mqtt={"host": "127.0.0.1", "port": PORT, "client_id": "bench-probe"},
        store={"url": url},
        hunches={"per_day": 1e9, "burst": 1e9, "quiet_hours": "off"},
        warmup_days=0,
    )
    with Store.open(url) as store:
        daemon, stop = Daemon(settings, store), asyncio.Event()
        pipeline = daemon.engine.pipeline
        pipeline.detectors = [*pipeline.detectors, EveryOn()]
        pipeline.policy.tick(daemon.clock.now())  # the warm-up is over
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        running = asyncio.create_task(daemon.run(stop))
        await daemon.bridge.connected.wait()
        await asyncio.sleep(0.5)
        print("ready", flush=True)
        await running


if KIND == "inkling":
    asyncio.run(inkling())
elif KIND == "probe":
    asyncio.run(probe())
else:
    bare(paho.MQTTv5 if KIND == "bare5" else paho.MQTTv311)
