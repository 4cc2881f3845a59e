"""The simulated home sounds as a real one would, to the decoders that hear real ones."""

from __future__ import annotations

from datetime import timedelta

import pytest

from devices.decoder import MAX_INVENTORY_BYTES
from devices.events import UNAVAILABLE
from devices.recording import parse_line
from devices.simulated_plan import active_state, rest_state
from devices.simulator import (
    HOMES,
    Fault,
    FaultKind,
    Zigbee2Mqtt,
    as_recording_line,
    as_statestream,
    simulate,
)
from devices.state import HomeState
from devices.statestream import StatestreamDecoder
from devices.zigbee2mqtt import Zigbee2MqttDecoder
from tests.devices.simulations import BERLIN, START, local, run

# --------------------------------------------------------------------------------------------- the wire


def test_recording_lines_say_it_all() -> None:
    for event in run("family", 5, faults=10).events[:8000]:
        back = parse_line(as_recording_line(event))
        change = event.change
        assert (back.entity_id, back.new, back.changed_at) == (
            change.entity_id,
            change.new,
            change.changed_at,
        )
        assert (back.origin, back.confidence) == (change.origin, change.confidence)
        assert back.device_class == change.device_class


@pytest.mark.parametrize(("home", "days"), [("apartment", 4), ("family", 2)])
def test_zigbee2mqtt_tells_the_same_story(home: str, days: int) -> None:
    faults = [
        Fault(FaultKind.DROPOUT, "light.bathroom_light", local(1, 7), timedelta(hours=2)),
        Fault(FaultKind.DROPOUT, "sensor.living_room_climate_humidity", local(0, 7), timedelta(hours=2)),
    ]
    simulation = simulate(home, start=START, days=days, seed=7, zone=BERLIN, faults=faults)
    plan = HOMES[home]()
    decoder, bridge = Zigbee2MqttDecoder(), Zigbee2Mqtt(plan)
    for message in bridge.inventory():
        assert message.retain
        assert len(message.payload) < MAX_INVENTORY_BYTES
        decoder.decode(message.topic, message.payload, START, True)
    heard, zigbee = HomeState(), {e.entity_id for e in plan.entities if e.device}
    for event in simulation.events:
        change = event.change
        messages = bridge.messages(event)
        assert bool(messages) == (change.entity_id in zigbee) or change.new == UNAVAILABLE
        for message in messages:
            assert decoder.handles(message.topic)
            for said in decoder.decode(message.topic, message.payload, change.changed_at, False):
                heard.apply(said)
        if change.entity_id in zigbee:
            known = heard.get(change.entity_id)
            assert (change.entity_id, known.state) == (change.entity_id, change.new)
            assert known.device_class == change.device_class or change.device_class in {
                "window",
                "shade",
                "garage",  # what a resident tells Home Assistant, not Zigbee
            }
            if change.new == "on" and change.domain == "light":
                assert abs(known.attributes["brightness"] - change.attributes["brightness"]) <= 1
    assert not decoder.bad


def test_zigbee2mqtt_takes_the_commands_that_its_decoder_writes() -> None:
    plan = HOMES["family"]()
    decoder, bridge = Zigbee2MqttDecoder(), Zigbee2Mqtt(plan)
    for message in bridge.inventory():
        decoder.decode(message.topic, message.payload, START, True)
    commanded = 0
    for entity in plan.entities:
        if entity.device is None or entity.entity_id.startswith(("sensor.", "binary_sensor.")):
            continue
        for state in (active_state(entity.entity_id), rest_state(entity.entity_id)):
            order = decoder.command(entity.entity_id, state, {})
            assert bridge.commanded(order.topic, order.payload) == (entity.entity_id, state, None)
            commanded += 1
    assert commanded > 50
    dim = decoder.command("light.kitchen_light", "on", {"brightness": 100})
    assert bridge.commanded(dim.topic, dim.payload) == ("light.kitchen_light", "on", 100)
    assert bridge.commanded("zigbee2mqtt/kitchen_light/set", b"OFF") == ("light.kitchen_light", "off", None)
    for topic, payload in [
        ("zigbee2mqtt/kitchen_light", b"OFF"),
        ("zigbee2mqtt/nothing/set", b"OFF"),
        ("zigbee2mqtt/kitchen_light/set", b"[1]"),
        ("zigbee2mqtt/kitchen_light/set", b"\xff"),
        ("zigbee2mqtt/kitchen_climate/set", b"OFF"),
    ]:
        assert bridge.commanded(topic, payload) is None


def test_statestream_tells_the_same_story() -> None:
    decoder, heard = StatestreamDecoder(), HomeState()
    for event in run("family", 5, faults=10).events[:8000]:
        change = event.change
        for message in as_statestream(event):
            assert (message.qos, message.retain) == (1, True)
            for said in decoder.decode(message.topic, message.payload, change.changed_at, False):
                heard.apply(said)
        assert heard.get(change.entity_id).state == change.new
    assert not decoder.bad
    assert len(heard) == 120
