from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from devices.events import Origin
from devices.homie import HomieDecoder
from tests.devices.samples import NOW, fixture, hear, one, said

BASE = "homie/5/cellar-1"


@pytest.fixture
def cellar() -> HomieDecoder:
    decoder = HomieDecoder()
    for topic, payload in fixture("homie_messages.json")[:4]:
        hear(decoder, topic, payload)
    return decoder


def test_what_a_homie_device_sends() -> None:
    decoder = HomieDecoder()
    changes = [c for t, p in fixture("homie_messages.json")[:-1] for c in hear(decoder, t, p)]
    assert said(changes) == {
        "switch.cellar_1_pump_power": "on",  # heard before its description
        "select.cellar_1_pump_mode": "eco",
        "sensor.cellar_1_climate_temperature": "14.5",
        "number.cellar_1_climate_target": "18",
        "binary_sensor.cellar_1_door_contact": "off",
        "event.cellar_1_door_bell": "2024-03-01T12:00:00.000+00:00",
    }
    by_id = {c.entity_id: c for c in changes}
    assert by_id["sensor.cellar_1_climate_temperature"].attributes == {
        "friendly_name": "Cellar Temperature",
        "device_class": "temperature",
        "unit_of_measurement": "°C",
    }
    assert by_id["event.cellar_1_door_bell"].attributes["event_type"] == "single"
    assert {c.new for c in hear(decoder, f"{BASE}/$state", "lost")} == {"unavailable"}


def test_commanded_then_by_hand(cellar: HomieDecoder) -> None:
    hear(cellar, f"{BASE}/pump/power/set", "false")
    assert one(cellar, f"{BASE}/pump/power", "false", NOW + timedelta(seconds=1)).confidence == 0.5
    hand = one(cellar, f"{BASE}/pump/power", "true", NOW + timedelta(seconds=2))
    assert (hand.origin, hand.confidence) == (Origin.PHYSICAL, 0.6)


def test_a_description_may_change_and_be_removed(cellar: HomieDecoder) -> None:
    description = fixture("homie_messages.json")[2][1]
    description["nodes"]["pump"]["properties"]["power"]["settable"] = False
    hear(cellar, f"{BASE}/$description", description)
    assert one(cellar, f"{BASE}/pump/power", "true").entity_id == "binary_sensor.cellar_1_pump_power"
    hear(cellar, f"{BASE}/$description", "")
    assert cellar.addresses == {}
    assert hear(cellar, f"{BASE}/pump/power", "true") == []


@pytest.mark.parametrize(
    ("entity_id", "state", "expected"),
    [
        ("switch.cellar_1_pump_power", "off", (f"{BASE}/pump/power/set", b"false")),
        ("select.cellar_1_pump_mode", "boost", (f"{BASE}/pump/mode/set", b"boost")),
        ("select.cellar_1_pump_mode", "warp", None),
        ("number.cellar_1_climate_target", "21.5", (f"{BASE}/climate/target/set", b"21.5")),
        ("binary_sensor.cellar_1_door_contact", "on", None),
    ],
)
def test_commands(cellar: HomieDecoder, entity_id: str, state: str, expected: Any) -> None:
    publish = cellar.command(entity_id, state, {})
    assert (publish and (publish.topic, publish.payload)) == expected
    assert publish is None or not publish.retain


def test_bad_payloads_are_counted(cellar: HomieDecoder) -> None:
    for topic, payload in (
        (f"{BASE}/pump/power", b"yes"),
        (f"{BASE}/climate/target", b"warm"),
        (f"{BASE}/$state", b"dreaming"),
        (f"{BASE}/$description", b"[]"),
    ):
        assert cellar.decode(topic, payload, NOW, False) == []
        assert cellar.bad[topic] == 1
