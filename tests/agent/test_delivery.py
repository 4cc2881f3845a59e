"""What is said over MQTT and when, and how answers are read; then the same through the daemon."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import time, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.delivery import EVENT_TYPES, Delivery, discovery_configs
from agent.pipeline import Pipeline
from agent.requests import Control, Feedback, HomeMode
from agent.suggestions import Command, Status, Suggestion, Verdict
from devices.decoder import Publish
from tests.agent.living import Living, body, living, settings_for
from tests.agent.toys import T0, change, pipeline, tick
from tests.broker import Broker, Client
from tests.process import wait_for


class Wire:
    """Takes what is said, or doesn't where there is no broker."""

    def __init__(self) -> None:
        self.connected = True
        self.sent: list[Publish] = []
        self.retained: dict[str, str] = {}

    def publish(self, message: Publish) -> bool:
        if not self.connected:
            return False
        self.sent.append(message)
        if message.retain:
            self.retained[message.topic] = message.payload.decode()
        return True

    def events(self) -> list[str]:
        return [body(m.payload)["event_type"] for m in self.sent if m.topic == "inkling/events"]


def delivery(p: Pipeline, wire: Wire) -> Delivery:
    return Delivery(p, wire.publish, prefix="inkling", discovery="homeassistant")


def step(p: Pipeline, d: Delivery, event: Feedback | object) -> list[str]:
    """Let something happen; return the ids of what is said of it."""
    outputs = p.step(event)  # type: ignore[arg-type]
    at = getattr(event, "at", None) or event.received_at  # type: ignore[attr-defined]
    return d.outputs(outputs, at)


def left_on(p: Pipeline, d: Delivery, entity_id: str = "light.lamp", minutes: float = 0) -> Suggestion:
    step(p, d, change(entity_id, "off", minutes))
    step(p, d, change(entity_id, "on", minutes))
    step(p, d, tick(minutes + 10))
    return next(a.suggestion for a in p.alive.values() if a.suggestion.entity_id == entity_id)


def at(minutes: float) -> timedelta:
    return timedelta(minutes=minutes)


def test_a_suggestions_life_on_the_wire() -> None:
    p, wire = pipeline(), Wire()
    d = delivery(p, wire)
    s = left_on(p, d)
    topic = f"inkling/suggestion/{s.id}"
    assert json.loads(wire.retained[topic])["title"] == "light.lamp is still on"
    assert wire.retained["inkling/pending"] == "1"
    assert json.loads(wire.retained["inkling/pending/attributes"])["top"]["id"] == s.id
    assert d.due(T0 + at(11)) == [], "said once"
    step(p, d, Feedback(s.id, Verdict.ACCEPTED, T0 + at(12)))
    assert wire.events() == ["raised", "accepted"]
    assert wire.retained[topic] == ""
    assert wire.retained["inkling/pending"] == "0"
    step(p, d, Feedback(s.id, Verdict.UNDONE, T0 + at(13)))
    d.failed(Command(s.id, "light.lamp", "on", T0), "no path", T0 + at(13))
    assert wire.events() == ["raised", "accepted", "undone", "failed"]
    assert set(wire.events()) <= set(EVENT_TYPES)


def test_what_the_night_holds_back_is_said_in_the_morning_if_it_is_still_true() -> None:
    p, wire = pipeline(quiet_hours=(time(9), time(18))), Wire()  # the toys' time is 10:00
    d = delivery(p, wire)
    s, settled = left_on(p, d), left_on(p, d, "light.settled", 1)
    assert wire.sent == []
    step(p, d, change("light.settled", "off", 60))
    assert d.due(s.deliver_at - at(1)) == []
    assert d.due(s.deliver_at) == [s.id]
    assert wire.events() == ["raised"], f"nobody has heard of {settled.id}"


def test_what_is_said_to_nobody_is_said_later() -> None:
    p, wire = pipeline(), Wire()
    d = delivery(p, wire)
    wire.connected = False
    s = left_on(p, d)
    assert d.pending() == []
    wire.connected = True
    d.announce()
    assert d.due(T0 + at(11)) == [s.id]


def test_after_a_restart_nothing_is_said_twice_and_the_picture_is_put_right() -> None:
    p, wire = pipeline(), Wire()
    s = left_on(p, delivery(p, Wire()))
    d = delivery(p, wire)
    d.restore([s.id])
    d.announce(closed=["aaaaaaaaaaaa", s.id])
    assert d.due(T0 + at(11)) == []
    assert wire.events() == []
    assert wire.retained["inkling/suggestion/aaaaaaaaaaaa"] == ""
    assert json.loads(wire.retained[f"inkling/suggestion/{s.id}"])["id"] == s.id
    assert (wire.retained["inkling/status"], wire.retained["inkling/pending"]) == ("online", "1")


def test_a_snooze_takes_it_away_and_brings_it_back() -> None:
    p, wire = pipeline(), Wire()
    d = delivery(p, wire)
    s = left_on(p, d)
    step(p, d, Feedback(s.id, Verdict.SNOOZED, T0 + at(11), at(30)))
    assert (wire.retained["inkling/pending"], d.due(T0 + at(20))) == ("0", [])
    assert step(p, d, tick(41)) == [s.id]
    assert wire.events() == ["raised", "snoozed", "raised"]


@pytest.mark.parametrize(
    ("topic", "payload", "expected"),
    [
        ("inkling/suggestion/0123456789ab/set", b"accept", Feedback("0123456789ab", Verdict.ACCEPTED, T0)),
        ("inkling/suggestion/0123456789ab/set", b" Undo\n", Feedback("0123456789ab", Verdict.UNDONE, T0)),
        ("inkling/suggestion/abc/set", b"intentional", Feedback("abc", Verdict.INTENTIONAL, T0)),
        ("inkling/learning/set", b"OFF", Control(T0, learning=False)),
        ("inkling/suggesting/set", b"on", Control(T0, suggesting=True)),
        ("inkling/mode/set", b"guest", Control(T0, mode=HomeMode.GUEST)),
        ("inkling/top/set", b"accept", None),
        ("homeassistant/status", b"offline", None),
        ("inkling/suggestion/0123456789ab/set", b"ignored", "not one of accept"),
        ("inkling/suggestion/0123456789ab/set", b"", "not one of accept"),
        ("inkling/suggestion/NOT-AN-ID/set", b"accept", "no such topic"),
        ("inkling/top/set", b"\xff\xfe", "not one of accept"),
        ("inkling/mode/set", b"party", "mode takes home, away, vacation, guest"),
        ("inkling/learning/set", b"accept", "learning takes on, off"),
        ("inkling/suggesting/set", b"x" * 1_000_000, "suggesting takes on, off"),
    ],
)  # fmt: skip
def test_answers(topic: str, payload: bytes, expected: Feedback | Control | str | None) -> None:
    d = delivery(pipeline(), Wire())
    assert d.handles(topic)
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            d.answer(topic, payload, T0)
    else:
        assert d.answer(topic, payload, T0) == expected


def test_the_button_answers_the_newest() -> None:
    p = pipeline()
    d = delivery(p, Wire())
    left_on(p, d, "light.a")
    newest = left_on(p, d, "light.b", 20)
    assert d.answer("inkling/top/set", b"accept", T0) == Feedback(newest.id, Verdict.ACCEPTED, T0)


def test_attributes_stay_within_what_home_assistant_records() -> None:
    p, wire = pipeline(), Wire()
    d = delivery(p, wire)
    for n in range(60):
        left_on(p, d, f"light.a_lamp_with_quite_a_long_name_{n}", n)
    attributes = wire.retained["inkling/pending/attributes"]
    assert wire.retained["inkling/pending"] == "60"
    assert len(attributes.encode()) < 16_384
    assert len(json.loads(attributes)["suggestions"]) == 10


@pytest.mark.parametrize("prefix", ["inkling", "home/attic-2"])
def test_discovery_in_the_form_that_both_releases_take(prefix: str) -> None:
    for topic, config in discovery_configs(prefix, "homeassistant").items():
        platform, node, key = re.fullmatch(
            r"homeassistant/(\w+)/([a-zA-Z0-9_-]+)/([a-zA-Z0-9_-]+)/config", topic
        ).groups()  # type: ignore[union-attr]
        assert config["unique_id"] == config["object_id"] == f"{node}_{key}"
        assert config["default_entity_id"] == f"{platform}.{node}_{key}"
        assert config["availability_topic"] == f"{prefix}/status"
        assert config["origin"]["name"] == "Inkling"
        command = config.get("command_topic")
        assert command is None or delivery_of(prefix).handles(command)


def delivery_of(prefix: str) -> Delivery:
    return Delivery(pipeline(), Wire().publish, prefix=prefix, discovery="homeassistant")


# -- through the daemon -------------------------------------------------------------------------------


@pytest.fixture
def ear(broker: Broker) -> Client:
    """Return a client that hears all that Inkling says, and the commands."""
    return broker.client().subscribe("inkling/#", "zigbee2mqtt/+/set", "homeassistant/#")


@pytest.fixture
def home(broker: Broker, tmp_path: Path) -> Iterator[Living]:
    with living(settings_for(broker, tmp_path)) as running:
        yield running


def raised(broker: Broker, ear: Client, topic: str, on: str, off: str) -> str:
    """Leave something on; return the id of the hunch about it."""
    broker.publish(topic, off)
    broker.publish(topic, on)
    event = ear.wait_message("inkling/events", lambda p: body(p)["event_type"] == "raised")
    return str(body(event.payload)["id"])


def plug_left_on(broker: Broker, ear: Client) -> str:
    return raised(broker, ear, "zigbee2mqtt/plug", '{"state": "ON"}', '{"state": "OFF"}')


def test_accepting_over_mqtt_commands_the_device(broker: Broker, ear: Client, home: Living) -> None:
    found = plug_left_on(broker, ear)
    broker.publish(f"inkling/suggestion/{found}/set", "accept")
    command = ear.wait_message("zigbee2mqtt/plug/set")
    assert body(command.payload) == {"state": "OFF"}
    ear.wait_message("inkling/events", lambda p: body(p)["event_type"] == "accepted")
    broker.publish("zigbee2mqtt/plug", '{"state": "OFF"}')
    home.wait_state("switch.plug", "off")
    *_, echo = home.store.events(entities=["switch.plug"])
    assert echo.origin.value == "agent", "its own doing teaches nothing"
    broker.publish(f"inkling/suggestion/{found}/set", "undo")
    ear.wait_message("zigbee2mqtt/plug/set", lambda p: body(p) == {"state": "ON"})


def test_what_nobody_can_command_fails_with_the_reason(
    broker: Broker, ear: Client, home: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.commander.PATIENCE_S", 0.0)
    with capture_logs() as logs:
        found = raised(broker, ear, "statestream/light/hall/state", "on", "off")
        broker.publish("inkling/top/set", "accept")
        failed = body(ear.wait_message("inkling/events", lambda p: body(p)["event_type"] == "failed").payload)
    assert (failed["id"], failed["entity_id"]) == (found, "light.hall")
    assert failed["why"] == "light.hall can't be commanded: no source takes commands for it"
    assert [e["why"] for e in logs if e["event"] == "could not command"] == [failed["why"]]
    assert home.alive


def test_commands_that_somebody_retained_are_ignored(broker: Broker, ear: Client, tmp_path: Path) -> None:
    broker.publish("inkling/suggesting/set", "off", retain=True)
    broker.publish("inkling/top/set", "accept", retain=True)
    with living(settings_for(broker, tmp_path)) as home:
        plug_left_on(broker, ear)
        assert home.pipeline.policy.suggesting
        assert not [m for m in ear.messages if m.topic == "zigbee2mqtt/plug/set"]
        broker.publish("inkling/suggesting/set", "off")
        wait_for("switch", lambda: not home.pipeline.policy.suggesting)
        ear.wait_message("inkling/suggesting", lambda p: p == b"OFF")


def test_home_assistants_birth_is_answered_with_everything(broker: Broker, ear: Client, home: Living) -> None:
    home.daemon.rng.uniform = lambda _low, _high: 0.01  # type: ignore[method-assign]
    ear.wait_message("inkling/status", lambda p: p == b"online")
    wait_for(
        "first announcement", lambda: [m for m in ear.messages if m.topic == "inkling/pending/attributes"]
    )
    ear.messages.clear()
    with capture_logs() as logs:
        broker.publish("homeassistant/status", "offline")
        broker.publish("homeassistant/status", "online")
        ear.wait_message("inkling/pending/attributes")
    topics = [m.topic for m in ear.messages]
    assert set(discovery_configs("inkling", "homeassistant")) <= set(topics)
    assert topics.index("inkling/status") > topics.index("homeassistant/sensor/inkling/pending/config")
    assert logs == [], "nothing to complain about"


def test_a_snooze_outlives_a_restart(broker: Broker, ear: Client, tmp_path: Path) -> None:
    settings = settings_for(broker, tmp_path)
    with living(settings) as home:
        found = plug_left_on(broker, ear)
        home.call(
            lambda: home.daemon.engine.take(
                Feedback(found, Verdict.SNOOZED, home.daemon.clock.now(), timedelta(seconds=2))
            )
        )
        ear.wait_message("inkling/events", lambda p: body(p)["event_type"] == "snoozed")
        assert home.store.suggestions()[0].status is Status.SNOOZED
    ear.messages.clear()
    with living(settings):
        again = body(ear.wait_message("inkling/events").payload)
        assert (again["event_type"], again["id"]) == ("raised", found)


def test_its_last_word(broker: Broker, ear: Client, tmp_path: Path) -> None:
    with living(settings_for(broker, tmp_path)):
        ear.wait_message("inkling/status", lambda p: p == b"online")
    ear.wait_message("inkling/status", lambda p: p == b"offline")
