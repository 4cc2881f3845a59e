from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from devices.events import Origin, utc
from devices.shelly import Shelly1Decoder, Shelly2Decoder
from tests.devices.samples import NOW, fixture, hear, one, said

PLUG = "shellyplus1pm-a8032ab12345"


def notify(component: str, status: dict[str, Any], ts: Any = 1709294399.5) -> dict[str, Any]:
    return {
        "src": PLUG,
        "dst": f"{PLUG}/events",
        "method": "NotifyStatus",
        "params": {"ts": ts, component: status},
    }


def test_what_gen2_sends() -> None:
    decoder = Shelly2Decoder()
    changes = [c for t, p in fixture("shelly_gen2_messages.json")[:-1] for c in hear(decoder, t, p)]
    assert said(changes) == {
        "switch.shellyplus1pm_a8032ab12345_switch_0": "on",
        "sensor.shellyplus1pm_a8032ab12345_switch_0_power": "61.3",
        "sensor.shellyplus1pm_a8032ab12345_switch_0_energy": "1.532123",  # kWh
        "event.shellyplus1pm_a8032ab12345_input_0": "2024-03-01T11:59:59.900+00:00",
        "binary_sensor.shellyplus1pm_a8032ab12345_input_0": "on",
        "cover.shellyplus2pm_b8032ab12345_cover_0": "open",
        "sensor.shellyplus2pm_b8032ab12345_cover_0_power": "0.0",
        "sensor.shellyplus2pm_b8032ab12345_cover_0_energy": "0.0112",
        "light.shellydimmerg3_c8032ab12345_light_0": "on",
        "sensor.shellydimmerg3_c8032ab12345_light_0_power": "5.1",
        "sensor.shellyplusht_d8032ab12345_temperature_0_temperature": "19.6",
        "sensor.shellyplusht_d8032ab12345_devicepower_0_battery": "88",
    }
    by_id = {c.entity_id: c for c in changes}
    assert by_id["light.shellydimmerg3_c8032ab12345_light_0"].attributes["brightness"] == 102
    assert by_id["cover.shellyplus2pm_b8032ab12345_cover_0"].attributes["current_position"] == 100
    assert by_id["event.shellyplus1pm_a8032ab12345_input_0"].attributes["event_type"] == "single_push"
    gone = said(hear(decoder, f"{PLUG}/online", "false"))
    assert gone["switch.shellyplus1pm_a8032ab12345_switch_0"] == "unavailable"


@pytest.mark.parametrize(
    ("source", "origin", "confidence"),
    [
        ("button", Origin.PHYSICAL, 0.95),
        ("switch", Origin.PHYSICAL, 0.95),
        ("init", Origin.PHYSICAL, 0.95),
        ("timer", Origin.AUTOMATION, 0.9),
        ("schedule", Origin.AUTOMATION, 0.9),
        ("MQTT", Origin.UNKNOWN, 0.5),
        ("HTTP", Origin.UNKNOWN, 0.5),
        ("WS_in", Origin.UNKNOWN, 0.5),
        ("SHC", Origin.UNKNOWN, 0.5),
    ],
)
def test_source_is_native_evidence(source: str, origin: Origin, confidence: float) -> None:
    change = one(
        Shelly2Decoder(), f"{PLUG}/events/rpc", notify("switch:0", {"output": True, "source": source})
    )
    assert (change.origin, change.confidence) == (origin, confidence)
    assert change.changed_at == utc(1709294399.5)


@pytest.mark.parametrize("ts", [-86400.0, 5.0, 253402300799.0, None, "now", 1e30])
def test_a_bad_clock_gives_the_time_of_receipt(ts: Any) -> None:
    change = one(Shelly2Decoder(), f"{PLUG}/events/rpc", notify("switch:0", {"output": True}, ts))
    assert change.changed_at == NOW


def test_a_level_alone_is_a_change_of_attributes() -> None:
    decoder = Shelly2Decoder()
    one(decoder, f"{PLUG}/status/light:0", {"output": True, "brightness": 10, "source": "button"})
    change = one(decoder, f"{PLUG}/events/rpc", notify("light:0", {"brightness": 100}))
    assert (change.new, change.attributes["brightness"]) == ("on", 255)


def test_prefixes_of_the_residents_own() -> None:
    decoder = Shelly2Decoder(["home/attic"])
    assert "home/attic/events/rpc" in decoder.subscriptions
    assert (
        one(decoder, "home/attic/status/switch:0", {"output": True}).entity_id == "switch.home_attic_switch_0"
    )
    assert not decoder.handles("cellar/status/switch:0")
    hear(decoder, "cellar/events/rpc", notify("switch:0", {"output": True}))
    assert decoder.handles("cellar/status/switch:0")  # learned


@pytest.mark.parametrize(
    ("entity_id", "state", "attributes", "method", "params"),
    [
        ("switch.shellyplus1pm_a8032ab12345_switch_0", "on", {}, "Switch.Set", {"id": 0, "on": True}),
        (
            "light.shellydimmerg3_c8032ab12345_light_0",
            "on",
            {"brightness": 51},
            "Light.Set",
            {"id": 0, "on": True, "brightness": 20},
        ),
        ("cover.shellyplus2pm_b8032ab12345_cover_0", "closed", {}, "Cover.Close", {"id": 0}),
        (
            "cover.shellyplus2pm_b8032ab12345_cover_0",
            "open",
            {"position": 40},
            "Cover.GoToPosition",
            {"id": 0, "pos": 40},
        ),
        ("sensor.shellyplus1pm_a8032ab12345_switch_0_power", "5", {}, None, None),
        ("binary_sensor.shellyplus1pm_a8032ab12345_input_0", "on", {}, None, None),
    ],
)
def test_gen2_commands(entity_id: str, state: str, attributes: Any, method: Any, params: Any) -> None:
    decoder = Shelly2Decoder()
    for topic, payload in fixture("shelly_gen2_messages.json"):
        hear(decoder, topic, payload)
    publish = decoder.command(entity_id, state, attributes)
    if method is None:
        assert publish is None
        return
    assert publish is not None
    assert publish.topic.endswith("/rpc")
    assert json.loads(publish.payload) == {"id": 1, "src": "inkling", "method": method, "params": params}


def test_what_gen1_sends() -> None:
    decoder = Shelly1Decoder()
    changes = [c for t, p in fixture("shelly_gen1_messages.json")[:-1] for c in hear(decoder, t, p)]
    assert said(changes) == {
        "switch.shelly1pm_ba1936": "on",
        "sensor.shelly1pm_ba1936_relay_0_power": "61.35",
        "sensor.shelly1pm_ba1936_relay_0_energy": "2.0",  # 120,000 watt-minutes
        "binary_sensor.shelly1pm_ba1936_input_0": "on",
        "event.shelly1pm_ba1936_input_event_0": "2024-03-01T12:00:00.000+00:00",
        "cover.shellyswitch25_73cde9": "open",
        "light.shellydimmer2_98cdac": "on",
        "binary_sensor.shellydw2_8caab5_sensor_state": "on",
        "sensor.shellydw2_8caab5_sensor_battery": "97",
        "sensor.shellydw2_8caab5_sensor_lux": "12",
    }
    cover = [(c.new, c.attributes["current_position"]) for c in changes if c.domain == "cover"]
    assert cover == [("open", 35), ("opening", 35), ("opening", 100), ("open", 100)]
    assert said(hear(decoder, "shellies/shelly1pm-BA1936/online", "false"))["switch.shelly1pm_ba1936"] == (
        "unavailable"
    )


def test_gen1_commanded_and_by_hand() -> None:
    decoder = Shelly1Decoder()
    relay = "shellies/heater/relay/0"
    one(decoder, relay, "off")
    hear(decoder, relay + "/command", "on")
    assert one(decoder, relay, "on", NOW + timedelta(seconds=0.2)).confidence == 0.5
    assert one(decoder, relay, "off", NOW + timedelta(seconds=2)).origin is Origin.PHYSICAL
    light = one(
        decoder, "shellies/dim/light/0/status", {"ison": True, "brightness": 50, "source": "schedule"}
    )
    assert light.origin is Origin.AUTOMATION


@pytest.mark.parametrize(
    ("entity_id", "state", "attributes", "expected"),
    [
        ("switch.shelly1pm_ba1936", "off", {}, ("shellies/shelly1pm-BA1936/relay/0/command", b"off")),
        (
            "cover.shellyswitch25_73cde9",
            "closed",
            {},
            ("shellies/shellyswitch25-73CDE9/roller/0/command", b"close"),
        ),
        (
            "cover.shellyswitch25_73cde9",
            "open",
            {"position": 20},
            ("shellies/shellyswitch25-73CDE9/roller/0/command/pos", b"20"),
        ),
        (
            "light.shellydimmer2_98cdac",
            "on",
            {"brightness": 255},
            ("shellies/shellydimmer2-98CDAC/light/0/set", b'{"turn":"on","brightness":100}'),
        ),
        ("binary_sensor.shellydw2_8caab5_sensor_state", "on", {}, None),
    ],
)
def test_gen1_commands(entity_id: str, state: str, attributes: Any, expected: Any) -> None:
    decoder = Shelly1Decoder()
    for topic, payload in fixture("shelly_gen1_messages.json"):
        hear(decoder, topic, payload)
    publish = decoder.command(entity_id, state, attributes)
    assert (publish and (publish.topic, publish.payload)) == expected


def test_bad_payloads_are_counted() -> None:
    for decoder, topic, payload in (
        (Shelly2Decoder(), f"{PLUG}/online", b"maybe"),
        (Shelly2Decoder(), f"{PLUG}/events/rpc", b'{"method":"NotifyStatus"}'),
        (Shelly2Decoder(), f"{PLUG}/status/cover:0", b'{"state":"melting"}'),
        (Shelly1Decoder(), "shellies/a/relay/0", b"perhaps"),
        (Shelly1Decoder(), "shellies/a/relay/0/power", b"much"),
        (Shelly1Decoder(), "shellies/a/input_event/0", b'{"event":5}'),
    ):
        assert decoder.decode(topic, payload, NOW, False) == []
        assert decoder.bad[topic] == 1
