from __future__ import annotations

from datetime import timedelta

import pytest

from devices.events import Origin, Source, utc
from devices.statestream import StatestreamDecoder
from tests.devices.samples import NOW, fixture, hear, one, said

NEXT_YEAR = utc("2027-01-01T00:00:00+00:00")  # after the recordings


def test_state_has_the_time_of_receipt_and_no_origin() -> None:
    change = one(StatestreamDecoder(), "statestream/light/kitchen/state", "on")
    assert (change.entity_id, change.new, change.changed_at) == ("light.kitchen", "on", NOW)
    assert (change.origin, change.confidence, change.source) == (Origin.UNKNOWN, 0.0, Source.STATESTREAM)


def test_attributes_are_one_object_until_one_changes() -> None:
    decoder = StatestreamDecoder()
    assert hear(decoder, "statestream/light/kitchen/friendly_name", '"Kitchen"') == []
    first = one(decoder, "statestream/light/kitchen/state", "on")
    assert hear(decoder, "statestream/light/kitchen/friendly_name", '"Kitchen"') == []
    second = one(decoder, "statestream/light/kitchen/state", "off")
    assert first.attributes is second.attributes
    assert first.attributes == {"friendly_name": "Kitchen"}
    hear(decoder, "statestream/light/kitchen/friendly_name", '"Cooking"')
    assert first.attributes["friendly_name"] == "Kitchen"  # what was reported doesn't change afterwards


def test_a_numeric_target_is_a_change_with_the_same_state() -> None:
    decoder = StatestreamDecoder()
    one(decoder, "statestream/light/kitchen/state", "on")
    change = one(decoder, "statestream/light/kitchen/brightness", "120", NOW + timedelta(seconds=1))
    assert (change.new, change.attributes["brightness"]) == ("on", 120)
    assert hear(decoder, "statestream/light/kitchen/brightness", "120") == []
    assert hear(decoder, "statestream/light/kitchen/brightness", "null") == []  # off: no level
    assert hear(decoder, "statestream/light/kitchen/supported_features", "40") == []


def test_retained_state_takes_last_changed_in_either_order() -> None:
    at = "2024-03-01T07:30:00.123456+00:00"
    for order in ((0, 1), (1, 0)):
        decoder = StatestreamDecoder()
        messages = [("state", "on"), ("last_changed", at)]
        changes = [
            c
            for i in order
            for c in hear(decoder, f"statestream/lock/door/{messages[i][0]}", messages[i][1], retained=True)
        ]
        assert changes[-1].changed_at == utc(at)
        assert all(c.retained and c.new == "on" for c in changes)


def test_live_last_changed_is_not_reported_again() -> None:
    decoder = StatestreamDecoder()
    one(decoder, "statestream/lock/door/state", "locked")
    assert hear(decoder, "statestream/lock/door/last_changed", "2024-03-01T11:59:59+00:00") == []
    assert hear(decoder, "statestream/lock/door/last_updated", "2024-03-01T11:59:59+00:00") == []


@pytest.mark.parametrize(
    "clock", ["1969-12-31T23:00:00+00:00", "9999-01-01T00:00:00+00:00", "2024-03-01T07:30:00", "soon"]
)
def test_a_bad_retained_clock_is_counted_and_the_receipt_used(clock: str) -> None:
    decoder = StatestreamDecoder()
    topic = "statestream/lock/door/last_changed"
    assert decoder.decode(topic, clock.encode(), NOW, True) == []
    assert decoder.bad[topic] == 1
    assert one(decoder, "statestream/lock/door/state", "locked", retained=True).changed_at == NOW


def test_another_base_and_topics_that_are_not_entities() -> None:
    decoder = StatestreamDecoder("home/ha")
    assert decoder.subscriptions == ("home/ha/+/+/+",)
    assert one(decoder, "home/ha/switch/pump/state", "off").entity_id == "switch.pump"
    assert not decoder.handles("statestream/switch/pump/state")
    decoder.decode("home/ha/Switch/püm p/state", b"off", NOW, False)
    assert decoder.bad.total() == 1


@pytest.mark.parametrize("version", ["2024", "2026"])
def test_what_real_servers_sent(version: str) -> None:
    """Recorded: a door, a thermometer that goes away, a lamp switched in the UI, by hand, by automation."""
    decoder = StatestreamDecoder("ha")
    changes = [
        c
        for topic, payload, retained in fixture(f"home_assistant_{version}.json")["statestream"]
        for c in hear(decoder, topic, payload, NEXT_YEAR, retained=retained)
    ]
    lamp = [c for c in changes if c.entity_id == "light.lamp" and not c.retained]
    # on by the UI at 200, off by hand, on by the automation at 80; the level comes after the state
    assert [c.new for c in lamp] == ["off", "on", "on", "off", "on", "on"]
    assert [c.attributes.get("brightness") for c in lamp][2::3] == [200, 80]
    assert said(changes)["sensor.temperature"] == "unavailable"
    door = [c for c in changes if c.entity_id == "binary_sensor.front_door"]
    assert [c.new for c in door if not c.retained] == ["off", "on", "off"]
    assert door[-1].device_class == "door"
    assert decoder.addresses["ha/light/lamp/state", ""] == "light.lamp"
