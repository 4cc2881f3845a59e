from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from devices.events import Origin, Source, utc
from devices.state import HomeState
from devices.zigbee2mqtt import Zigbee2MqttDecoder
from tests.devices.samples import NOW, fixture, hear, one, said

CEILING = {"state": "ON", "brightness": 127, "color_temp": 370, "linkquality": 90}


@pytest.fixture
def known() -> Zigbee2MqttDecoder:
    decoder = Zigbee2MqttDecoder()
    hear(decoder, "zigbee2mqtt/bridge/devices", fixture("zigbee2mqtt_bridge_devices.json"), retained=True)
    hear(decoder, "zigbee2mqtt/bridge/groups", fixture("zigbee2mqtt_bridge_groups.json"), retained=True)
    return decoder


EXPECTED = {
    "light.kitchen_ceiling": "on",
    "binary_sensor.front_door_contact": "on",  # contact false: the door is open
    "sensor.front_door_battery": "97",
    "sensor.bath_battery": "81",
    "sensor.bath_temperature": "21.43",
    "sensor.bath_humidity": "54.21",
    "sensor.bath_pressure": "1003.2",
    "binary_sensor.hall_motion_occupancy": "on",
    "sensor.hall_motion_battery": "100",
    "sensor.hall_motion_illuminance": "12",
    "switch.bedroom_switch_left": "on",
    "switch.bedroom_switch_right": "off",
    "sensor.bedroom_switch_power": "0",
    "switch.coffee_plug": "on",
    "switch.coffee_plug_child_lock": "off",
    "sensor.coffee_plug_power": "91",
    "sensor.coffee_plug_current": "0.41",
    "sensor.coffee_plug_voltage": "231",
    "sensor.coffee_plug_energy": "12.3",
    "climate.bedroom_radiator": "auto",
    "binary_sensor.bedroom_radiator_window_open": "off",
    "sensor.bedroom_radiator_battery": "60",
    "cover.living_blind": "open",
    "sensor.living_blind_battery": "50",
    "lock.back_door_lock": "locked",
    "sensor.back_door_lock_battery": "90",
    "binary_sensor.under_sink_water_leak": "off",
    "binary_sensor.under_sink_battery_low": "off",
    "sensor.under_sink_battery": "100",
}


def test_inventory_says_what_each_device_is(known: Zigbee2MqttDecoder) -> None:
    changes = [c for t, p in fixture("zigbee2mqtt_messages.json") for c in hear(known, t, p)]
    assert said(changes) == EXPECTED
    by_id = {c.entity_id: c for c in changes}
    assert by_id["binary_sensor.front_door_contact"].attributes == {
        "friendly_name": "Front door Contact",
        "device_class": "door",
    }
    assert by_id["sensor.bath_temperature"].attributes["unit_of_measurement"] == "°C"
    assert by_id["light.kitchen_ceiling"].attributes["brightness"] == 128  # 127 * 255 / 254 = 127.5
    assert by_id["climate.bedroom_radiator"].attributes["current_temperature"] == 19.5
    assert by_id["cover.living_blind"].attributes["current_position"] == 35
    assert all(c.source is Source.NATIVE and c.changed_at == NOW for c in changes)


def test_without_an_inventory_keys_are_guessed() -> None:
    decoder = Zigbee2MqttDecoder()
    changes = [c for t, p in fixture("zigbee2mqtt_messages.json") for c in hear(decoder, t, p)]
    needs_inventory = {  # names that only the inventory explains
        "switch.coffee_plug_child_lock",
        "binary_sensor.bedroom_radiator_window_open",
    }
    assert said(changes) == {k: v for k, v in EXPECTED.items() if k not in needs_inventory}


def test_actuators_and_contacts_are_physical_and_measurements_have_no_origin(
    known: Zigbee2MqttDecoder,
) -> None:
    changes = {c.entity_id: c for t, p in fixture("zigbee2mqtt_messages.json") for c in hear(known, t, p)}
    for entity in ("light.kitchen_ceiling", "binary_sensor.front_door_contact", "lock.back_door_lock"):
        assert (changes[entity].origin, changes[entity].confidence) == (Origin.PHYSICAL, 0.8)
    assert changes["sensor.bath_temperature"].origin is Origin.UNKNOWN


def test_the_first_change_that_a_set_asked_for_is_commanded_and_a_later_hand_is_not() -> None:
    decoder = Zigbee2MqttDecoder()
    topic = "zigbee2mqtt/lamp"
    one(decoder, topic, {"state": "OFF", "brightness": 10})
    hear(decoder, topic + "/set", {"state": "ON"})
    confirmed = one(decoder, topic, {"state": "ON", "brightness": 10}, NOW + timedelta(seconds=0.1))
    assert (confirmed.origin, confirmed.confidence) == (Origin.UNKNOWN, 0.5)
    hand = one(decoder, topic, {"state": "OFF", "brightness": 10}, NOW + timedelta(seconds=2.1))
    assert (hand.origin, hand.confidence) == (Origin.PHYSICAL, 0.8)


def test_a_change_that_was_not_asked_for_or_came_late_is_physical() -> None:
    for payload, after in (({"state": "OFF"}, 1.0), ("ON", 5.5)):
        decoder = Zigbee2MqttDecoder()
        one(decoder, "zigbee2mqtt/plug", {"state": "ON" if payload == {"state": "OFF"} else "OFF"})
        asked = {"state": "ON"} if payload == {"state": "OFF"} else payload
        hear(decoder, "zigbee2mqtt/plug/set", asked)
        state = payload if isinstance(payload, dict) else {"state": payload}
        change = one(decoder, "zigbee2mqtt/plug", state, NOW + timedelta(seconds=after))
        assert change.origin is Origin.PHYSICAL


@pytest.mark.parametrize(
    ("tail", "asked"),
    [("set", "TOGGLE"), ("set", {"brightness": 200}), ("set/state", "ON"), ("set/brightness", "200")],
)
def test_every_form_of_set_counts(tail: str, asked: Any) -> None:
    decoder = Zigbee2MqttDecoder()
    one(decoder, "zigbee2mqtt/hall/lamp", {"state": "OFF", "brightness": 10})
    hear(decoder, f"zigbee2mqtt/hall/lamp/{tail}", asked)
    assert one(decoder, "zigbee2mqtt/hall/lamp", {"state": "ON", "brightness": 200}).confidence == 0.5


def test_a_movement_that_was_commanded_ends_commanded(known: Zigbee2MqttDecoder) -> None:
    blind = "zigbee2mqtt/living blind"
    hear(known, blind, {"position": 0, "state": "CLOSE"})
    hear(known, blind + "/set", {"state": "OPEN"})
    moving = hear(known, blind, {"position": 5, "state": "OPEN", "moving": "UP"}, NOW + timedelta(seconds=1))
    ended = hear(known, blind, {"position": 100, "state": "OPEN"}, NOW + timedelta(seconds=30))
    assert [(c.new, c.confidence) for c in moving + ended] == [("opening", 0.5), ("open", 0.5)]


def test_a_group_has_no_origin_and_its_command_is_its_members(known: Zigbee2MqttDecoder) -> None:
    hear(known, "zigbee2mqtt/kitchen/ceiling", {**CEILING, "state": "OFF"})
    hear(known, "zigbee2mqtt/downstairs/set", {"state": "ON"})
    member = one(known, "zigbee2mqtt/kitchen/ceiling", CEILING)
    group = one(known, "zigbee2mqtt/downstairs", {"state": "ON", "brightness": 127})
    assert member.confidence == 0.5
    assert (group.entity_id, group.origin, group.confidence) == ("light.downstairs", Origin.UNKNOWN, 0.0)


def test_each_press_of_a_remote_is_a_change(known: Zigbee2MqttDecoder) -> None:
    home = HomeState()
    topic, at = "zigbee2mqtt/sofa remote", NOW
    presses = []
    for _ in range(2):
        at += timedelta(seconds=3)
        press = [c for c in hear(known, topic, {"action": "on", "battery": 80}, at) if c.domain == "event"]
        presses += [home.apply(c) for c in press]
    assert [p.attributes["event_type"] for p in presses] == ["on", "on"]
    assert presses[1].new == "2024-03-01T12:00:06.000+00:00"
    assert presses[1].trains
    assert presses[1].origin is Origin.PHYSICAL
    for silent in ({"action": ""}, {"action": None}):
        assert hear(known, topic, silent) == []
    assert hear(known, topic, {"action": "on"}, retained=True) == []


@pytest.mark.parametrize(
    ("last_seen", "changed_at"),
    [
        ("2024-03-01T11:59:58.500Z", "2024-03-01T11:59:58.500+00:00"),
        ("2024-03-01T12:59:58+01:00", "2024-03-01T11:59:58+00:00"),
        (1709294398500 / 1000, "2024-03-01T11:59:58.500+00:00"),
        (1709294398500, "2024-03-01T11:59:58.500+00:00"),
        ("1969-12-31T23:59:59Z", None),
        ("9999-12-31T23:59:59Z", None),
        ("2024-03-01T11:59:58", None),  # no zone
        ("2024-03-01T12:00:01Z", None),  # ahead of us
        ({"seen": 1}, None),
    ],
)
def test_last_seen_is_the_time_where_it_can_be_believed(last_seen: Any, changed_at: str | None) -> None:
    change = one(Zigbee2MqttDecoder(), "zigbee2mqtt/plug", {"state": "ON", "last_seen": last_seen})
    assert change.changed_at == (NOW if changed_at is None else utc(changed_at))
    assert change.received_at == NOW


def test_availability_of_a_device_and_of_the_bridge(known: Zigbee2MqttDecoder) -> None:
    hear(known, "zigbee2mqtt/kitchen/ceiling", CEILING)
    hear(known, "zigbee2mqtt/coffee plug", {"state": "ON"})
    gone = hear(known, "zigbee2mqtt/kitchen/ceiling/availability", {"state": "offline"})
    assert said(gone) == {"light.kitchen_ceiling": "unavailable"}
    assert said(hear(known, "zigbee2mqtt/bridge/state", "offline")) == {"switch.coffee_plug": "unavailable"}
    assert said(hear(known, "zigbee2mqtt/bridge/state", {"state": "online"})) == {"switch.coffee_plug": "on"}
    back = hear(known, "zigbee2mqtt/kitchen/ceiling/availability", "online")
    assert said(back) == {"light.kitchen_ceiling": "on"}
    assert back[0].origin is Origin.UNKNOWN


def test_a_state_retained_before_a_device_went_away_is_not_its_state_now(known: Zigbee2MqttDecoder) -> None:
    hear(known, "zigbee2mqtt/kitchen/ceiling/availability", "offline", retained=True)
    change = one(known, "zigbee2mqtt/kitchen/ceiling", CEILING, retained=True)
    assert (change.new, change.retained) == ("unavailable", True)
    assert one(known, "zigbee2mqtt/kitchen/ceiling", CEILING).new == "on"  # it speaks: it is back


def test_one_repeat_in_five_minutes_passes() -> None:
    decoder = Zigbee2MqttDecoder()
    told = [
        minute
        for minute in range(12)
        if hear(decoder, "zigbee2mqtt/door", {"contact": True}, NOW + timedelta(minutes=minute))
    ]
    assert told == [0, 5, 10]
    assert hear(decoder, "zigbee2mqtt/door", {"contact": False}, NOW + timedelta(minutes=11))
    assert hear(decoder, "zigbee2mqtt/door", {"contact": True}, NOW + timedelta(minutes=11))


def test_attributes_are_one_object_while_nothing_varies() -> None:
    decoder = Zigbee2MqttDecoder()
    first = one(decoder, "zigbee2mqtt/lamp", {"state": "ON", "brightness": 10})
    second = one(decoder, "zigbee2mqtt/lamp", {"state": "ON", "brightness": 10}, NOW + timedelta(minutes=5))
    third = one(decoder, "zigbee2mqtt/lamp", {"state": "ON", "brightness": 20})
    assert first.attributes is second.attributes
    assert (first.attributes["brightness"], third.attributes["brightness"]) == (10, 20)


@pytest.mark.parametrize(
    ("entity_id", "state", "attributes", "topic", "data"),
    [
        (
            "light.kitchen_ceiling",
            "on",
            {"brightness": 255},
            "kitchen/ceiling",
            {"state": "ON", "brightness": 254},
        ),
        ("light.kitchen_ceiling", "off", {"brightness": 255}, "kitchen/ceiling", {"state": "OFF"}),
        ("switch.bedroom_switch_right", "on", {}, "bedroom switch", {"state_right": "ON"}),
        ("switch.coffee_plug_child_lock", "on", {}, "coffee plug", {"child_lock": "LOCK"}),
        ("cover.living_blind", "closed", {}, "living blind", {"state": "CLOSE"}),
        ("cover.living_blind", "open", {"position": 40}, "living blind", {"position": 40}),
        ("lock.back_door_lock", "locked", {}, "back door lock", {"state": "LOCK"}),
        (
            "climate.bedroom_radiator",
            "heat",
            {"temperature": 21},
            "bedroom radiator",
            {"system_mode": "heat", "occupied_heating_setpoint": 21.0},
        ),
        ("binary_sensor.front_door_contact", "off", {}, None, None),
        ("light.nowhere", "on", {}, None, None),
    ],
)
def test_commands(
    known: Zigbee2MqttDecoder, entity_id: str, state: str, attributes: Any, topic: Any, data: Any
) -> None:
    publish = known.command(entity_id, state, attributes)
    if topic is None:
        assert publish is None
    else:
        assert publish is not None
        assert (publish.topic, json.loads(publish.payload)) == (f"zigbee2mqtt/{topic}/set", data)


def test_a_renamed_device_and_one_that_left(known: Zigbee2MqttDecoder) -> None:
    devices = fixture("zigbee2mqtt_bridge_devices.json")
    one(known, "zigbee2mqtt/kitchen/ceiling", CEILING)
    devices[1]["friendly_name"] = "kitchen/lamp"
    hear(known, "zigbee2mqtt/bridge/devices", devices, retained=True)
    assert hear(known, "zigbee2mqtt/kitchen/ceiling", CEILING) == []  # a leftover
    assert one(known, "zigbee2mqtt/kitchen/lamp", CEILING).entity_id == "light.kitchen_lamp"
    assert "light.kitchen_ceiling" not in known.addresses.values()
    assert known.command("light.kitchen_ceiling", "on", {}) is None


def test_two_names_that_give_one_id_are_told_apart() -> None:
    decoder = Zigbee2MqttDecoder()
    assert one(decoder, "zigbee2mqtt/hall lamp", {"state": "ON"}).entity_id == "switch.hall_lamp"
    assert one(decoder, "zigbee2mqtt/hall/lamp", {"state": "ON"}).entity_id == "switch.hall_lamp_2"


def test_one_odd_device_does_not_cost_the_others(known: Zigbee2MqttDecoder) -> None:
    devices = fixture("zigbee2mqtt_bridge_devices.json")
    devices[2]["definition"]["exposes"] = [{"type": "binary", "property": "x", "value_on": []}, 5]
    hear(known, "zigbee2mqtt/bridge/devices", devices, retained=True)
    assert one(known, "zigbee2mqtt/kitchen/ceiling", CEILING).new == "on"


def test_bad_payloads_are_counted_by_topic() -> None:
    decoder = Zigbee2MqttDecoder()
    topic = "zigbee2mqtt/lamp"
    for payload in (b"{", b"[1]", b'{"state": "BLUE"}', b'{"state": "ON"' + b" " * 1_000_000 + b"}"):
        assert decoder.decode(topic, payload, NOW, False) == []
    assert decoder.bad == {topic: 4}
    assert decoder.decode("zigbee2mqtt/bridge/state", b"perhaps", NOW, False) == []
    assert decoder.bad["zigbee2mqtt/bridge/state"] == 1
