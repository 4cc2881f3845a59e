"""From mosquitto to committed rows: Inkling beside a bare paho subscriber that only counts, in one run.

    python benchmarks/ingest.py [--messages 40000] [--rounds 3] [--rate 200] [--seconds 10] [--json OUT]

1. Throughput: a publisher bursts the simulated family home's Zigbee2MQTT messages at QoS 1; rate = messages
   divided by the time from the publisher's first byte to the subscriber's last message (bare: counted;
   Inkling: decoded, stepped, committed, acknowledged). `bare` uses MQTT 3.1.1, paho's fastest, and MQTT 5,
   which Inkling uses. Target: ratio to bare MQTT 5 at least 0.30 (aim 0.45); the one to 3.1.1 is shown too.
2. Latency at a steady rate: from a publish to the suggestion on the broker, beside a bare echo in the same
   run. Target: p50 at most 5 ms, p99 at most 25 ms.

Needs mosquitto. Figures are ratios of the same minutes on the same machine: that is what travels.
"""

# ruff: noqa: E402 - see sys.path below

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])  # benchmarks/hunches.py would shadow the package

from benchmarks._latency import latency
from tests.broker import BrokerOptions, Mosquitto

HERE = Path(__file__).resolve().parent
KINDS = ("bare311", "bare5", "inkling")


def throughput(port: int, n: int, rounds: int, folder: Path) -> dict[str, dict[str, Any]]:
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    cpu: dict[str, list[float]] = {kind: [] for kind in KINDS}
    rows = 0
    for number in range(rounds):
        for kind in KINDS:
            publisher = subprocess.Popen(
                [sys.executable, str(HERE / "_traffic.py"), str(port), str(n)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert publisher.stdin is not None
            assert publisher.stdout is not None
            publisher.stdout.readline()
            subscriber = subprocess.Popen(
                [sys.executable, str(HERE / "_subscriber.py"), kind, str(port), str(n), str(folder)],
                stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert subscriber.stdout is not None
            assert subscriber.stdout.readline().strip() == "ready", kind
            began = time.time()
            publisher.stdin.write("go\n")
            publisher.stdin.flush()
            done = json.loads(subscriber.stdout.readline())
            rest = subscriber.communicate(timeout=60)[0]
            publisher.communicate(timeout=60)
            if kind == "inkling":
                rows = json.loads(rest.splitlines()[-1])["rows"]
            rates[kind].append(n / (done["wall"] - began))
            cpu[kind].append(n / done["cpu_s"])
            print(f"  round {number + 1} {kind}: {rates[kind][-1]:,.0f} msg/s", file=sys.stderr, flush=True)
    return {
        kind: {"rate": statistics.median(rates[kind]), "rates": [round(r) for r in rates[kind]]}
        for kind in KINDS
    } | {"rows": {"per_message": rows / n}}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=200, help="messages a second for the latency")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, help="not needed here")
    args = parser.parse_args()
    if Mosquitto.executable() is None:
        sys.exit("mosquitto isn't installed: apt-get install mosquitto")
    with tempfile.TemporaryDirectory() as tmp:
        broker = Mosquitto(
            Path(tmp) / "broker", BrokerOptions(lines=("max_inflight_messages 1000", "log_type error"))
        )
        broker.start()
        try:
            found = throughput(broker.port, args.messages, args.rounds, Path(tmp))
            delays = latency(broker.port, args.rate, args.seconds, Path(tmp))
        finally:
            broker.close()
    inkling, five, old = (found[k]["rate"] for k in ("inkling", "bare5", "bare311"))
    print(
        f"\n| {args.messages:,} messages, {found['rows']['per_message']:.2f} rows a message | msg/s | ratio |"
    )
    print("|---|---|---|")
    print(f"| bare paho, MQTT 3.1.1 | {old:,.0f} | {inkling / old:.2f} |")
    print(f"| bare paho, MQTT 5 | {five:,.0f} | {inkling / five:.2f} |")
    print(f"| inkling, committed | {inkling:,.0f} | 1 |\n")
    print(f"| {args.rate} msg/s | p50 ms | p99 ms |\n|---|---|---|")
    for name, row in delays.items():
        print(f"| {name} | {row['p50_ms']:.2f} | {row['p99_ms']:.2f} |")
    if args.json:
        args.json.write_text(json.dumps({"throughput": found, "latency": delays}, indent=1))


if __name__ == "__main__":
    main()
