"""A routine that Inkling runs itself, over MQTT, with a power cut between its steps."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import orjson

from agent.records import Batch
from agent.store import Store
from devices.events import Origin
from tests.broker import Broker, Client, Mosquitto
from tests.conftest import MakeBroker
from tests.daemon import DaemonProcess, MakeDaemon, environment, inkling
from tests.e2e.habits import Habit
from tests.process import wait_for

DEN = Habit("den")
DEVICES = [
    {
        "ieee_address": f"0x00158d00045b2a1{number}",
        "friendly_name": name,
        "type": "Router",
        "definition": {"exposes": [{"type": kind, "features": [
            {"type": "binary", "name": "state", "property": "state", "value_on": "ON", "value_off": "OFF"}
        ]}]},
    }
    for number, (kind, name) in enumerate((("light", "den_lamp"), ("switch", "den_radio")))
]  # fmt: skip


class Devices:
    """A lamp and a radio that do as they are told, and a door."""

    def __init__(self, broker: Broker) -> None:
        self.client = Client(broker, "devices").connect()
        self.client.subscribe("zigbee2mqtt/+/set")
        self.client.publish("zigbee2mqtt/bridge/devices", json.dumps(DEVICES), retain=True)
        for name in ("den_lamp", "den_radio"):
            self.report(name, "OFF")
        self.door("off")

    def report(self, name: str, state: str) -> None:
        self.client.publish(f"zigbee2mqtt/{name}", json.dumps({"state": state}), retain=True)

    def door(self, state: str) -> None:
        self.client.publish("statestream/binary_sensor/den_door/state", state, retain=True)

    def told(self, name: str) -> list[str]:
        """Return what a device has been told so far."""
        topic = f"zigbee2mqtt/{name}/set"
        return [orjson.loads(m.payload)["state"] for m in self.client.messages if m.topic == topic]

    def obey(self, name: str, *commands: str) -> None:
        """Wait for the latest of all commands that a device is to get, and report that it is done."""
        wait_for(f"{name} to be told {commands}", lambda: len(self.told(name)) >= len(commands), 20)
        assert self.told(name) == list(commands)
        self.report(name, commands[-1])


def test_a_routine_goes_on_after_a_power_cut(
    tmp_path: Path, make_broker: MakeBroker, make_daemon: MakeDaemon
) -> None:
    broker = make_broker(kind=Mosquitto)
    devices = Devices(broker)
    write_past(tmp_path / "alone")
    off = {
        "quiet_hours": "off",
        "exclude_detectors": ["timing", "missing", "conflict", "level", "silent", "dwell"],
    }
    daemon = make_daemon("alone", broker, tick_s=0.2, warmup_days=0, hunches=off)
    accept_what_is_found(daemon, devices)

    devices.door("on")
    devices.obey("den_lamp", "ON")
    wait_for("the lamp", lambda: (DEN.lamp, "on") in done_by_us(daemon))
    daemon.kill()
    daemon.start()
    devices.obey("den_radio", "ON")
    wait_for("the radio", lambda: daemon.changes()[-1].entity_id == DEN.radio)

    devices.client.publish("inkling/top/set", "undo")
    devices.obey("den_lamp", "ON", "OFF")
    devices.obey("den_radio", "ON", "OFF")
    devices.client.close()


def write_past(folder: Path) -> None:
    folder.mkdir()
    past = DEN.past(datetime.now(UTC))
    with Store.open(f"sqlite:///{folder}/inkling.db") as store:
        store.append(Batch(changes=[(seq, change, change.old) for seq, change in enumerate(past, 1)]))


def accept_what_is_found(daemon: DaemonProcess, devices: Devices) -> None:
    mine = inkling("routines", "mine", "--config", str(daemon.config), "--json")
    subprocess.run(mine, env=environment(), check=True, capture_output=True, timeout=60)
    devices.client.subscribe("inkling/pending")
    devices.client.wait_message("inkling/pending", lambda payload: payload == b"1", 20)
    devices.client.publish("inkling/top/set", "accept")
    with daemon.store() as store:
        wait_for("the routine", lambda: [r.status for r in store.routines()] == ["accepted"])


def done_by_us(daemon: DaemonProcess) -> set[tuple[str, str]]:
    return {(c.entity_id, c.new) for c in daemon.changes() if c.origin is Origin.AGENT}
