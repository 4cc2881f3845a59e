"""The brokers that other tests rely on."""

from __future__ import annotations

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from tests.broker import Amqtt, Broker, BrokerOptions, Certificates, Client, Mosquitto
from tests.conftest import MakeBroker
from tests.process import wait_for

KINDS = [Mosquitto, Amqtt]
UNSUPPORTED_PROTOCOL = 132


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[Broker]:
    chosen: type[Broker] = request.param
    return chosen


def test_message_and_retained_state_arrive(make_broker: MakeBroker, kind: type[Broker]) -> None:
    broker = make_broker(kind=kind)
    broker.publish("home/door", "open", retain=True)
    client = broker.client("reader").subscribe("home/#")
    assert client.wait_message("home/door").retain
    broker.publish("home/lamp", "on")
    message = client.wait_message("home/lamp")
    assert (message.payload, message.qos, message.retain) == (b"on", 1, False)


def test_messages_wait_for_a_session_that_is_away(make_broker: MakeBroker, kind: type[Broker]) -> None:
    broker = make_broker(kind=kind)
    broker.client("daemon", clean=False).subscribe("home/#").close()
    broker.publish("home/lamp", "on")
    assert broker.client("daemon", clean=False).wait_message("home/lamp").payload == b"on"


def test_mosquitto_killed_comes_back_with_what_it_saved_on_its_port(make_broker: MakeBroker) -> None:
    broker = make_broker(kind=Mosquitto)
    assert isinstance(broker, Mosquitto)
    port = broker.port
    broker.client("daemon", clean=False).subscribe("home/#").close()
    broker.publish("home/lamp", "on")
    broker.save()
    broker.kill()
    broker.start()
    assert broker.port == port
    assert broker.client("daemon", clean=False).wait_message("home/lamp").payload == b"on"


def test_clients_come_back_after_a_restart(make_broker: MakeBroker, kind: type[Broker]) -> None:
    broker = make_broker(kind=kind)
    client = broker.client("reader")
    broker.stop()
    wait_for("client to notice", lambda: not client.paho.is_connected())
    broker.start()
    wait_for("client back", client.paho.is_connected)
    client.subscribe("home/#").publish("home/lamp", "on")
    assert client.wait_message("home/lamp").payload == b"on"


def test_amqtt_refuses_version_5_with_a_code_that_clients_can_fall_back_on(make_broker: MakeBroker) -> None:
    client = Client(make_broker(kind=Amqtt), "five", protocol=MQTTProtocolVersion.MQTTv5)
    with pytest.raises(PermissionError):
        client.connect()
    assert client.reason is not None
    assert client.reason.value == UNSUPPORTED_PROTOCOL


def test_passwords_are_checked(make_broker: MakeBroker, kind: type[Broker]) -> None:
    broker = make_broker(BrokerOptions(users={"inkling": "right"}), kind=kind)
    broker.client("known").publish("home/lamp", "on")
    with pytest.raises(PermissionError):
        broker.client("unknown", user="stranger")


def test_tls(make_broker: MakeBroker, kind: type[Broker], certificates: Certificates) -> None:
    broker = make_broker(BrokerOptions(certificates=certificates), kind=kind)
    client = broker.client("secure").subscribe("home/#")
    client.publish("home/lamp", "on")
    assert client.wait_message("home/lamp").payload == b"on"


def test_client_certificate_is_required(make_broker: MakeBroker, certificates: Certificates) -> None:
    options = BrokerOptions(certificates=certificates, require_client_certificate=True)
    broker = make_broker(options, kind=Mosquitto)
    broker.client("with").publish("home/lamp", "on")
    with pytest.raises(PermissionError):
        broker.client("without", present_certificate=False)
