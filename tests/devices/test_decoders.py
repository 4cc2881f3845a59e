"""The router, and what every decoder promises: garbage never raises, is counted, and invents nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.decoder import Decoder
from devices.decoders import Router
from devices.esphome import EsphomeDecoder
from devices.homie import HomieDecoder
from devices.recording import RecordingDecoder
from devices.shelly import Shelly1Decoder, Shelly2Decoder
from devices.statestream import StatestreamDecoder
from devices.tasmota import TasmotaDecoder
from devices.zigbee2mqtt import Zigbee2MqttDecoder
from tests.devices.samples import NOW, fixture, raw

ENTITY_ID = re.compile(r"^[a-z_]+\.[a-z0-9_]+$")


def everything() -> Router:
    return Router(
        [
            StatestreamDecoder(),
            Zigbee2MqttDecoder(),
            HomieDecoder(),
            Shelly1Decoder(),
            Shelly2Decoder(),
            TasmotaDecoder(),
            RecordingDecoder(),
            EsphomeDecoder(),
        ]
    )


FAMILIES = ["zigbee2mqtt", "homie", "shelly_gen1", "shelly_gen2", "tasmota", "esphome"]


def messages() -> list[tuple[str, Any]]:
    found = [(t, p) for family in FAMILIES for t, p in fixture(f"{family}_messages.json")]
    return [
        *found,
        ("zigbee2mqtt/bridge/devices", fixture("zigbee2mqtt_bridge_devices.json")),
        ("zigbee2mqtt/bridge/groups", fixture("zigbee2mqtt_bridge_groups.json")),
        ("zigbee2mqtt/bridge/state", {"state": "online"}),
        ("zigbee2mqtt/coffee plug/availability", {"state": "offline"}),
        ("zigbee2mqtt/coffee plug/set", {"state": "ON"}),
        ("cmnd/washer/POWER", "ON"),
        ("statestream/light/hall/state", "on"),
        ("statestream/light/hall/brightness", 120),
        ("statestream/light/hall/last_changed", "2024-03-01T11:00:00+00:00"),
        (
            "inkling/replay/light.hall",
            {"entity_id": "light.hall", "state": "on", "last_changed": "2024-03-01T11:00:00+00:00"},
        ),
    ]


MESSAGES = messages()
KEYS = sorted(
    {k for _, p in MESSAGES if isinstance(p, dict) for k in p}
    | {k for _, p in MESSAGES if isinstance(p, dict) for v in p.values() if isinstance(v, dict) for k in v}
    | {
        "last_seen",
        "friendly_name",
        "definition",
        "exposes",
        "features",
        "ieee_address",
        "members",
        "property",
    }
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=300)
    | st.sampled_from(
        ["ON", "OFF", "open", "light", "switch", "climate", "1969-01-01T00:00:00Z", "9999-01-01T00:00:00Z"]
    )
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=6)
    ),
    max_leaves=12,
)
payloads = st.one_of(
    st.binary(max_size=60),
    values.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([raw(p) for _, p in MESSAGES]),
    st.sampled_from([raw(p)[:-3] for _, p in MESSAGES]),
)
levels = st.lists(
    st.sampled_from([level for topic, _ in MESSAGES for level in topic.split("/")]) | st.text(max_size=12),
    max_size=5,
).map("/".join)
BASES = ["statestream", "zigbee2mqtt", "homie/5", "shellies", "shelly1", "stat", "tele", "cmnd", "garage"]
topics = (
    st.sampled_from([t for t, _ in MESSAGES])
    | st.tuples(st.sampled_from(BASES), levels).map("/".join)
    | levels
)


@given(st.lists(st.tuples(topics, payloads, st.booleans()), max_size=12))
def test_whatever_comes_nothing_raises_and_all_that_is_said_is_sound(
    heard: list[tuple[str, bytes, bool]],
) -> None:
    router = everything()
    for topic, payload in MESSAGES[::7]:  # some devices are known
        router.decode(topic, raw(payload), NOW, False)
    for n, (topic, payload, retained) in enumerate(heard):
        now = NOW + timedelta(seconds=n)
        before = router.bad().total()
        changes = router.decode(topic, payload, now, retained)
        assert router.bad().total() in {before, before + 1}
        for change in changes:
            assert ENTITY_ID.match(change.entity_id)
            assert len(change.entity_id) <= 255
            assert isinstance(change.new, str)
            assert len(change.new) <= 255
            assert change.changed_at.utcoffset() == change.received_at.utcoffset() == timedelta(0)
            assert change.changed_at <= now or topic.startswith("inkling/replay/")
            assert change.old is None
            assert 0.0 <= change.confidence <= 1.0
            for state in ("on", "open", "5", change.new):
                publish = router.command(change.entity_id, state, {})
                assert publish is None or (publish.topic and not publish.retain)


INVENTORIES = ("bridge/devices", "bridge/groups", "$description")  # may be large
SMALL = [(topic, payload) for topic, payload in MESSAGES if not topic.endswith(INVENTORIES)]


@pytest.mark.parametrize(("topic", "payload"), SMALL, ids=[t for t, _ in SMALL])
def test_a_megabyte_is_dropped_and_counted(topic: str, payload: Any) -> None:
    router = everything()
    big = raw(payload) + b" " * 1_000_000
    assert router.decode(topic, big, NOW, False) == []
    assert router.bad() == ({topic: 1} if router._find(topic) else {})


def test_a_large_inventory_is_read() -> None:
    decoder = Zigbee2MqttDecoder()
    devices = fixture("zigbee2mqtt_bridge_devices.json")
    devices[1]["definition"]["description"] = "x" * 1_000_000
    decoder.decode("zigbee2mqtt/bridge/devices", raw(devices), NOW, True)
    assert "light.kitchen_ceiling" in decoder.addresses.values()


@pytest.mark.parametrize(
    ("make", "topic", "payload"),
    [
        (StatestreamDecoder, "statestream/sensor/x{}/state", b"1"),
        (Zigbee2MqttDecoder, "zigbee2mqtt/x{}", b'{"state":"ON"}'),
        (TasmotaDecoder, "stat/x{}/POWER", b"ON"),
        (EsphomeDecoder, "x{}/switch/a/state", b"ON"),
        (Shelly1Decoder, "shellies/x{}/relay/0", b"on"),
        (Shelly2Decoder, "shellyx{}/status/switch:0", b'{"output":true}'),
        (HomieDecoder, "homie/5/x{}/a/b", b"true"),
    ],
)
def test_memory_is_bounded(make: Callable[[], Decoder], topic: str, payload: bytes) -> None:
    decoder = make()
    for n in range(25_000):
        decoder.decode(topic.format(n), payload, NOW, False)
    assert len(decoder.addresses) <= 20_000
    assert len(decoder.bad) <= 1001


def test_the_first_decoder_that_handles_a_topic_gets_it() -> None:
    router = everything()
    (change,) = router.decode("statestream/light/hall/state", b"on", NOW, False)  # ESPHome's shape as well
    assert change.source.value == "statestream"
    (change,) = router.decode("garage/light/bench/state", b'{"state":"ON"}', NOW, False)
    assert change.source.value == "native"
    assert router.decode("nobody/knows", b"x", NOW, False) == []
    assert router.bad() == {}


def test_subscriptions_commands_and_addresses_are_those_of_all() -> None:
    router = everything()
    assert {"statestream/+/+/+", "zigbee2mqtt/#", "homie/5/#", "shellies/#", "stat/+/+"} <= set(
        router.subscriptions()
    )
    router.decode("stat/pump/POWER", b"ON", NOW, False)
    publish = router.command("switch.pump", "off", {})
    assert publish is not None
    assert publish.topic == "cmnd/pump/POWER"
    assert router.command("switch.none", "off", {}) is None
    assert "switch.pump" in {e for addresses in router.addresses() for e in addresses.values()}


def test_a_prefix_learned_later_is_routed() -> None:
    router = everything()
    assert router.decode("boiler/status/switch:0", b'{"output":true}', NOW, False) == []
    note = {"method": "NotifyStatus", "params": {"ts": 1709294399.5, "switch:0": {"output": True}}}
    assert router.decode("boiler/events/rpc", raw(note), NOW, False)[0].entity_id == "switch.boiler_switch_0"
    assert router.decode("boiler/status/switch:0", b'{"output":false}', NOW, False)[0].new == "off"
