"""How paho is set up: a persistent session, TLS, a last will, and what MQTT 5 adds."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.settings import MqttSettings, SettingsError


def make_client(
    s: MqttSettings, protocol: MQTTProtocolVersion, will: tuple[str, bytes] | None
) -> paho.Client:
    """Return a client whose user acknowledges; raises SettingsError for certificates that can't be used."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=s.client_id,
        protocol=protocol,
        clean_session=None if protocol == paho.MQTTv5 else False,
        manual_ack=True,
    )
    if s.username is not None:
        client.username_pw_set(s.username, s.password.get_secret_value() if s.password else None)
    if s.tls or s.ca_file or s.cert_file:
        client.tls_set_context(_tls_context(s))
    if will is not None:
        client.will_set(*will, qos=1, retain=True)
    return client


def prepare_connection(
    client: paho.Client, s: MqttSettings, protocol: MQTTProtocolVersion, receive_maximum: int
) -> None:
    """Say how the next `reconnect` connects; 3.1.1 knows neither an expiry nor a receive maximum."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = s.session_expiry_s
    properties.ReceiveMaximum = receive_maximum
    v5: dict[str, Any] = {"clean_start": False, "properties": properties}
    client.connect_async(s.host, s.port, s.keepalive_s, **(v5 if protocol == paho.MQTTv5 else {}))


def topics(filters: Sequence[str], protocol: MQTTProtocolVersion) -> list[tuple[str, Any]]:
    """Return subscriptions at QoS 1, in MQTT 5 without what the client publishes itself."""
    options = SubscribeOptions(qos=1, noLocal=True) if protocol == paho.MQTTv5 else 1
    return [(name, options) for name in filters]


def _tls_context(s: MqttSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=s.ca_file)
        if s.cert_file is not None:
            context.load_cert_chain(s.cert_file, s.key_file)
    except OSError as err:  # a missing file, or one that isn't what it should be
        files = [name for name in ("ca_file", "cert_file", "key_file") if getattr(s, name) is not None]
        raise SettingsError(
            f"mqtt.{', mqtt.'.join(files)} can't be used: {err}",
            hint="PEM files that Inkling's user can read",
        ) from err
    if not s.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
