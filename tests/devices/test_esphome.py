from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from devices.esphome import EsphomeDecoder
from devices.events import Origin
from tests.devices.samples import NOW, fixture, hear, one, said


def test_what_esphome_sends() -> None:
    decoder = EsphomeDecoder()
    changes = [c for t, p in fixture("esphome_messages.json")[:-1] for c in hear(decoder, t, p)]
    assert said(changes) == {
        "switch.garage_pump": "on",
        "binary_sensor.garage_side_door": "on",
        "sensor.garage_temperature": "12.3",
        "sensor.garage_humidity": "unknown",  # nan
        "sensor.garage_last_tag": "ab-12",
        "light.garage_bench": "on",
        "cover.garage_gate": "opening",
        "climate.garage_heater": "heat",
        "lock.garage_hatch": "locked",
        "number.garage_limit": "7.5",
        "event.garage_bell": "2024-03-01T12:00:00.000+00:00",
    }
    by_id = {c.entity_id: c for c in changes}
    assert by_id["cover.garage_gate"].attributes["current_position"] == 55.0
    assert by_id["climate.garage_heater"].attributes["current_temperature"] == 18.5
    assert by_id["binary_sensor.garage_side_door"].device_class == "door"
    assert by_id["event.garage_bell"].attributes["event_type"] == "press"
    assert {c.new for c in hear(decoder, "garage/status", "offline")} == {"unavailable"}


def test_nodes_may_be_named_and_others_are_not_taken() -> None:
    decoder = EsphomeDecoder(["garage"])
    assert decoder.handles("garage/switch/pump/state")
    assert not decoder.handles("attic/switch/pump/state")
    assert "garage/+/+/state" in decoder.subscriptions
    anyone = EsphomeDecoder()
    assert not anyone.handles("printer/status")  # not a node that was heard of
    assert not anyone.handles("garage/debug")


def test_the_same_id_at_two_nodes_is_two_entities() -> None:
    decoder = EsphomeDecoder()
    assert one(decoder, "attic/sensor/temperature/state", "20").entity_id == "sensor.attic_temperature"
    assert one(decoder, "cellar/sensor/temperature/state", "10").entity_id == "sensor.cellar_temperature"


def test_commanded_then_by_hand() -> None:
    decoder = EsphomeDecoder()
    one(decoder, "garage/light/bench/state", {"state": "OFF"})
    hear(decoder, "garage/light/bench/command", {"state": "ON"})
    assert (
        one(decoder, "garage/light/bench/state", {"state": "ON"}, NOW + timedelta(seconds=1)).confidence
        == 0.5
    )
    hand = one(decoder, "garage/light/bench/state", {"state": "OFF"}, NOW + timedelta(seconds=2))
    assert hand.origin is Origin.PHYSICAL


@pytest.mark.parametrize(
    ("entity_id", "state", "attributes", "expected"),
    [
        ("switch.garage_pump", "off", {}, ("garage/switch/pump/command", b"OFF")),
        (
            "light.garage_bench",
            "on",
            {"brightness": 9},
            ("garage/light/bench/command", b'{"state":"ON","brightness":9}'),
        ),
        ("cover.garage_gate", "closed", {}, ("garage/cover/gate/command", b"CLOSE")),
        ("cover.garage_gate", "open", {"position": 30}, ("garage/cover/gate/position/command", b"30")),
        ("lock.garage_hatch", "unlocked", {}, ("garage/lock/hatch/command", b"UNLOCK")),
        ("climate.garage_heater", "off", {}, ("garage/climate/heater/mode/command", b"off")),
        ("number.garage_limit", "8", {}, ("garage/number/limit/command", b"8")),
        ("sensor.garage_temperature", "8", {}, None),
    ],
)
def test_commands(entity_id: str, state: str, attributes: Any, expected: Any) -> None:
    decoder = EsphomeDecoder()
    for topic, payload in fixture("esphome_messages.json"):
        hear(decoder, topic, payload)
    publish = decoder.command(entity_id, state, attributes)
    assert (publish and (publish.topic, publish.payload)) == expected


def test_bad_payloads_are_counted() -> None:
    decoder = EsphomeDecoder()
    for topic, payload in (
        ("garage/switch/pump/state", b"MAYBE"),
        ("garage/sensor/warmth/state", b"hot"),
        ("garage/light/bench/state", b"ON"),
    ):
        assert decoder.decode(topic, payload, NOW, False) == []
        assert decoder.bad[topic] == 1
