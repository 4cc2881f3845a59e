"""From a publish to the suggestion on the broker, beside a bare echo in the same run."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as paho

HERE = Path(__file__).resolve().parent


def connect(port: int, client_id: str) -> paho.Client:
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=client_id)
    client.on_socket_open = lambda _c, _u, sock: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.connect("127.0.0.1", port)
    return client


def echo(port: int) -> None:
    """Send back what comes in."""
    client = connect(port, "bench-echo")
    client.on_message = lambda c, _u, m: c.publish("bench/out", m.payload, 1)
    client.on_subscribe = lambda *_: print("ready", flush=True)
    client.subscribe("bench/in", 1)
    client.loop_forever()


def measure(port: int, kind: str, rate: int, seconds: int) -> dict[str, float]:
    """Publish at a steady rate; return percentiles of the time until the answer is back."""
    sent: dict[str, float] = {}
    delays: list[float] = []
    subscribed = threading.Event()

    def on_message(_c: paho.Client, _u: object, m: paho.MQTTMessage) -> None:
        now = time.perf_counter()
        if not m.payload:
            return
        key = m.payload.decode() if kind == "echo" else json.loads(m.payload)["entity_id"]
        if (began := sent.pop(key, None)) is not None:
            delays.append(now - began)

    client = connect(port, f"bench-client-{kind}")
    client.on_message = on_message
    client.on_subscribe = lambda *_: subscribed.set()
    client.loop_start()
    client.subscribe("bench/out" if kind == "echo" else "inkling/suggestion/+", 1)
    subscribed.wait(10)
    began = time.perf_counter()
    for k in range(rate * seconds):
        time.sleep(max(0.0, began + k / rate - time.perf_counter()))
        if kind == "echo":
            sent[str(k)] = time.perf_counter()
            client.publish("bench/in", str(k), 1)
        else:  # a switch goes on (that is a hunch), then off again (that withdraws it)
            number, on = k // 2 % 100, k % 2 == 0
            if on:
                sent[f"switch.probe_{number}"] = time.perf_counter()
            client.publish(f"zigbee2mqtt/probe_{number}", '{"state":"ON"}' if on else '{"state":"OFF"}', 1)
    time.sleep(1.0)
    client.disconnect()
    client.loop_stop()
    cuts = statistics.quantiles(delays, n=1000)
    return {"n": len(delays), "lost": len(sent), "p50_ms": cuts[499] * 1000, "p99_ms": cuts[989] * 1000}


def latency(port: int, rate: int, seconds: int, folder: Path) -> dict[str, dict[str, float]]:
    """Measure the echo, then Inkling."""
    found = {}
    commands = {
        "echo": [sys.executable, str(HERE / "_latency.py"), str(port)],
        "inkling": [sys.executable, str(HERE / "_subscriber.py"), "probe", str(port), "0", str(folder)],
    }
    for kind, command in commands.items():
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready", kind
        found[kind] = measure(port, kind, rate, seconds)
        process.terminate()
        process.wait(30)
    return found


if __name__ == "__main__":
    echo(int(sys.argv[1]))
