from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from devices.events import Origin
from devices.tasmota import TasmotaDecoder
from tests.devices.samples import NOW, fixture, hear, one, said


def test_what_tasmota_sends() -> None:
    decoder = TasmotaDecoder()
    changes = [c for t, p in fixture("tasmota_messages.json")[:-1] for c in hear(decoder, t, p)]
    assert said(changes) == {
        "switch.washer": "on",
        "sensor.washer_energy_total": "123.456",
        "sensor.washer_energy_yesterday": "0.9",
        "sensor.washer_energy_today": "0.3",
        "sensor.washer_energy_power": "412",
        "sensor.washer_energy_voltage": "231",
        "sensor.washer_energy_current": "1.86",
        "light.stripe": "on",
        "binary_sensor.cellar_switch1": "off",
        "sensor.cellar_am2301_temperature": "14.2",
        "sensor.cellar_am2301_humidity": "61.0",
        "sensor.cellar_am2301_dewpoint": "6.8",
        "event.cellar_button1": "2024-03-01T12:00:00.000+00:00",
        "cover.blind_shutter1": "opening",
        "switch.double_2": "off",
    }
    by_id = {c.entity_id: c for c in changes}
    assert by_id["light.stripe"].attributes["brightness"] == 102  # 40 % of 255
    assert by_id["sensor.washer_energy_power"].device_class == "power"
    assert by_id["event.cellar_button1"].attributes["event_type"] == "single"
    assert all(c.changed_at == NOW for c in changes)  # its own time has no zone
    gone = hear(decoder, "tele/washer/LWT", "Offline")
    assert {c.new for c in gone} == {"unavailable"}
    assert said(hear(decoder, "tele/washer/LWT", "Online"))["switch.washer"] == "on"


def test_a_commanded_change_and_a_hand_after_it() -> None:
    decoder = TasmotaDecoder()
    one(decoder, "stat/pump/POWER", "OFF")
    hear(decoder, "cmnd/pump/POWER", "ON")
    assert one(decoder, "stat/pump/POWER", "ON", NOW + timedelta(seconds=0.1)).confidence == 0.5
    hand = one(decoder, "stat/pump/POWER", "OFF", NOW + timedelta(seconds=2))
    assert (hand.origin, hand.confidence) == (Origin.PHYSICAL, 0.7)


def test_asking_for_the_state_commands_nothing_and_a_timed_report_has_no_origin() -> None:
    decoder = TasmotaDecoder()
    one(decoder, "stat/pump/POWER", "OFF")
    hear(decoder, "cmnd/pump/POWER", "")
    assert one(decoder, "stat/pump/POWER", "ON").origin is Origin.PHYSICAL
    assert one(decoder, "tele/pump/STATE", {"POWER": "OFF"}).origin is Origin.UNKNOWN


def test_a_relay_becomes_a_light_when_a_dimmer_is_heard() -> None:
    decoder = TasmotaDecoder()
    assert one(decoder, "stat/lamp/POWER", "ON").entity_id == "switch.lamp"
    assert one(decoder, "stat/lamp/RESULT", {"POWER": "ON", "Dimmer": 100}).entity_id == "light.lamp"
    assert one(decoder, "stat/lamp/POWER", "OFF").entity_id == "light.lamp"
    assert "switch.lamp" not in decoder.addresses.values()


@pytest.mark.parametrize(
    ("entity_id", "state", "attributes", "expected"),
    [
        ("switch.washer", "off", {}, ("cmnd/washer/POWER", b"OFF")),
        ("switch.double_2", "on", {}, ("cmnd/double/POWER2", b"ON")),
        ("light.stripe", "on", {"brightness": 128}, ("cmnd/stripe/Dimmer", b"50")),
        ("light.stripe", "off", {"brightness": 128}, ("cmnd/stripe/POWER", b"OFF")),
        ("cover.blind_shutter1", "closed", {}, ("cmnd/blind/ShutterPosition1", b"0")),
        ("cover.blind_shutter1", "open", {"position": 30}, ("cmnd/blind/ShutterPosition1", b"30")),
        ("sensor.washer_energy_power", "1", {}, None),
    ],
)
def test_commands(entity_id: str, state: str, attributes: Any, expected: Any) -> None:
    decoder = TasmotaDecoder()
    for topic, payload in fixture("tasmota_messages.json"):
        hear(decoder, topic, payload)
    publish = decoder.command(entity_id, state, attributes)
    assert (publish and (publish.topic, publish.payload)) == expected


def test_bad_payloads_are_counted() -> None:
    decoder = TasmotaDecoder()
    for topic, payload in (
        ("stat/pump/POWER", b"MAYBE"),
        ("tele/pump/LWT", b"?"),
        ("stat/pump/RESULT", b"[]"),
        ("stat/blind/RESULT", b'{"Shutter1":{"Position":"half"}}'),
    ):
        assert decoder.decode(topic, payload, NOW, False) == []
        assert decoder.bad[topic] == 1
