from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.discovery import DiscoveryIndex
from devices.statestream import StatestreamDecoder
from devices.tasmota import TasmotaDecoder
from devices.zigbee2mqtt import Zigbee2MqttDecoder
from tests.devices.samples import fixture, hear, raw

DEVICE = {"identifiers": ["zigbee2mqtt_0x00158d0001000a02"], "name": "Front door"}
CONTACT = {
    "device": DEVICE,
    "device_class": "door",
    "name": None,
    "object_id": "front_door_contact",
    "default_entity_id": "binary_sensor.front_door_contact",
    "payload_off": True,
    "payload_on": False,
    "state_topic": "zigbee2mqtt/Front door",
    "unique_id": "0x00158d0001000a02_contact_zigbee2mqtt",
    "value_template": "{{ value_json.contact }}",
}
CONTACT_TOPIC = "homeassistant/binary_sensor/0x00158d0001000a02/contact/config"
LIGHT = {
    "brightness": True,
    "brightness_scale": 254,
    "command_topic": "zigbee2mqtt/kitchen/ceiling/set",
    "schema": "json",
    "state_topic": "zigbee2mqtt/kitchen/ceiling",
    "unique_id": "0x000d6ffffe000a01_light_zigbee2mqtt",
}


@pytest.fixture
def zigbee() -> Zigbee2MqttDecoder:
    decoder = Zigbee2MqttDecoder()
    hear(decoder, "zigbee2mqtt/bridge/devices", fixture("zigbee2mqtt_bridge_devices.json"), retained=True)
    return decoder


def test_registry_wins_over_the_suggested_id_and_that_over_the_decoders(zigbee: Zigbee2MqttDecoder) -> None:
    index = DiscoveryIndex([zigbee.addresses])
    ours = "binary_sensor.front_door_contact"
    assert index.canonical(ours) == ours
    index.config(CONTACT_TOPIC, raw(CONTACT | {"default_entity_id": "binary_sensor.street_door"}))
    assert index.canonical(ours) == "binary_sensor.street_door"
    row = {"unique_id": CONTACT["unique_id"], "entity_id": "binary_sensor.entrance", "platform": "mqtt"}
    index.registry([row])
    assert index.canonical(ours) == "binary_sensor.entrance"
    index.registry([row | {"entity_id": "binary_sensor.entry"}])  # renamed in Home Assistant
    assert index.canonical(ours) == "binary_sensor.entry"
    index.config(CONTACT_TOPIC, b"")
    assert index.canonical(ours) == ours


def test_a_json_light_is_found_by_its_domain(zigbee: Zigbee2MqttDecoder) -> None:
    index = DiscoveryIndex([zigbee.addresses])
    index.config("homeassistant/light/0x000d6ffffe000a01/light/config", raw(LIGHT))
    index.registry([{"unique_id": LIGHT["unique_id"], "entity_id": "light.cooking", "platform": "mqtt"}])
    assert index.canonical("light.kitchen_ceiling") == "light.cooking"


def test_a_row_of_another_platform_or_domain_is_not_ours(zigbee: Zigbee2MqttDecoder) -> None:
    index = DiscoveryIndex([zigbee.addresses])
    index.config("homeassistant/light/0x000d6ffffe000a01/light/config", raw(LIGHT))
    for other in (
        {"entity_id": "light.hue", "platform": "hue"},
        {"entity_id": "sensor.x", "platform": "mqtt"},
    ):
        index.registry([{"unique_id": LIGHT["unique_id"], **other}])
        assert index.canonical("light.kitchen_ceiling") == "light.kitchen_ceiling"


def test_abbreviations_base_topic_and_nested_keys() -> None:
    tasmota = TasmotaDecoder()
    hear(tasmota, "tele/washer/SENSOR", {"ENERGY": {"Power": 4}})
    index = DiscoveryIndex([tasmota.addresses])
    config = {
        "~": "tele/washer",
        "stat_t": "~/SENSOR",
        "val_tpl": "{{ value_json['ENERGY'].Power | float(0) }}",
        "uniq_id": 1234,
        "dev_cla": "power",
        "unit_of_meas": "W",
        "name": "Power",
        "dev": {"ids": "x", "name": "Washer"},
    }
    assert index.config("homeassistant/sensor/washer_power/config", raw(config))
    (found,) = index.entities()
    assert (found.unique_id, found.state_topic, found.key) == ("1234", "tele/washer/SENSOR", "ENERGY.Power")
    assert (found.device_class, found.unit, found.name) == ("power", "W", "Power")
    assert index.canonical("sensor.washer_energy_power") == "sensor.washer_power"


def test_device_based_configs_share_options_and_drop_components() -> None:
    addresses = {("room/state", "t"): "sensor.room_temperature", ("room/state", "h"): "sensor.room_humidity"}
    index = DiscoveryIndex([addresses])
    config: dict[str, Any] = {
        "dev": {"ids": "room", "name": "Room"},
        "o": {"name": "maker"},
        "~": "room",
        "stat_t": "~/state",
        "cmps": {
            "a": {
                "p": "sensor",
                "uniq_id": "room_t",
                "val_tpl": "{{ value_json.t }}",
                "def_ent_id": "sensor.warmth",
            },
            "b": {"p": "sensor", "uniq_id": "room_h", "val_tpl": "{{value_json.h}}", "obj_id": "damp"},
        },
    }
    topic = "homeassistant/device/room/config"
    assert index.config(topic, raw(config))
    assert {e.unique_id: e.state_topic for e in index.entities()} == {
        "room_t": "room/state",
        "room_h": "room/state",
    }
    assert index.canonical("sensor.room_temperature") == "sensor.warmth"
    assert index.canonical("sensor.room_humidity") == "sensor.damp"
    config["cmps"]["b"] = {"p": "sensor"}
    assert index.config(topic, raw(config))
    assert index.canonical("sensor.room_humidity") == "sensor.room_humidity"


def test_entities_heard_later_are_tied_too() -> None:
    statestream = StatestreamDecoder()
    index = DiscoveryIndex([statestream.addresses])
    index.config(
        "homeassistant/switch/x/config", raw({"stat_t": "statestream/switch/pump/state", "obj_id": "heater"})
    )
    assert index.canonical("switch.pump") == "switch.pump"
    hear(statestream, "statestream/switch/pump/state", "on")
    assert index.canonical("switch.pump") == "switch.heater"


@pytest.mark.parametrize("version", ["2024", "2026"])
def test_a_registry_as_real_servers_give_it(version: str) -> None:
    index = DiscoveryIndex([{("lamp", ""): "light.native_lamp"}])
    index.config("homeassistant/light/lamp/config", raw({"state_topic": "lamp", "unique_id": "lamp"}))
    index.registry(fixture(f"home_assistant_{version}.json")["registry"])
    assert index.canonical("light.native_lamp") == "light.lamp"


@given(
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["~", "stat_t", "cmps", "p", "uniq_id", "dev", "val_tpl", "name"]), inner
            )
        ),
        max_leaves=10,
    ).map(lambda value: json.dumps(value).encode()),
    st.sampled_from(["sensor/x", "device/x", "light/node/x"]),
)
def test_garbage_never_raises(payload: bytes, where: str) -> None:
    index = DiscoveryIndex([{("a", ""): "sensor.a"}])
    topic = f"homeassistant/{where}/config"
    good = index.config(topic, payload)
    assert good or index.bad[topic] == 1
    assert isinstance(index.canonical("sensor.a"), str)
