"""The lab itself: what the other end-to-end tests take for granted, on every release."""

from __future__ import annotations

import pytest

from tests.broker import Mosquitto
from tests.e2e.lab import HomeAssistant


@pytest.mark.parametrize(
    ("component", "device_class", "service", "command", "state"),
    [
        ("light", None, "turn_on", "ON", "on"),
        ("switch", None, "turn_on", "ON", "on"),
        ("cover", "garage", "open_cover", "OPEN", "open"),
        ("lock", None, "unlock", "UNLOCK", "unlocked"),
    ],
)
def test_device_is_discovered_and_commanded(
    ha: HomeAssistant, component: str, device_class: str | None, service: str, command: str, state: str
) -> None:
    with ha.device(component, f"lab_{component}", device_class=device_class) as device:
        found = ha.wait_state(device.entity_id, "off", "closed", "locked")
        assert found["attributes"].get("device_class") == device_class
        ha.call(component, service, device.entity_id)
        device.wait_command(command)
        ha.wait_state(device.entity_id, state)


def test_contact_is_seen_over_rest_websocket_and_statestream(ha: HomeAssistant, broker: Mosquitto) -> None:
    topic = f"{ha.statestream}/binary_sensor/lab_door/state"
    client = broker.client().subscribe(topic)
    with ha.device("binary_sensor", "lab_door", device_class="door") as door, ha.events() as events:
        ha.wait_state(door.entity_id, "off")
        door.report("ON")
        change = events.wait_change(door.entity_id, "on")
        assert change["context"]["user_id"] is None
        assert ha.wait_state(door.entity_id, "on")["attributes"]["device_class"] == "door"
        client.wait_message(topic, lambda payload: payload == b"on")


def test_service_call_carries_its_context_and_user(ha: HomeAssistant) -> None:
    with ha.events() as events:
        context = ha.call("light", "turn_on", "light.desk")
        change = events.wait_change("light.desk", "on")
    assert change["context"]["id"] == context
    assert change["context"]["user_id"] is not None


def test_late_device_confirms_after_its_delay(ha: HomeAssistant) -> None:
    with ha.device("switch", "lab_slow", delay_s=0.5) as device, ha.events() as events:
        ha.wait_state(device.entity_id, "off")
        ha.call("switch", "turn_on", device.entity_id)
        device.wait_command("ON")
        assert device.state == "OFF"
        events.wait_change(device.entity_id, "on")


def test_home_assistant_restarts_with_its_token_and_devices(ha: HomeAssistant) -> None:
    assert ha.rest("GET", "/api/config")["version"] == ha.version
    with ha.device("binary_sensor", "lab_window", device_class="window") as window:
        ha.wait_state(window.entity_id, "off")
        ha.stop()
        assert ha.database.exists()
        window.report("ON")
        ha.start()
        ha.wait_state(window.entity_id, "on")


def test_broker_restarts_and_home_assistant_comes_back(ha: HomeAssistant, broker: Mosquitto) -> None:
    with ha.device("binary_sensor", "lab_gate") as gate:
        ha.wait_state(gate.entity_id, "off")
        broker.restart()
        ha.wait_state(gate.entity_id, "off", timeout_s=30)
        gate.report("ON")
        ha.wait_state(gate.entity_id, "on", timeout_s=30)
