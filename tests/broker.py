"""Brokers to test against: mosquitto where it is installed, amqtt (a dependency) where it is not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.process import HOST, Server, free_port, port_open, wait_for

SESSION_EXPIRY_S = 3600


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of a certificate authority, with a server and a client that it vouches for."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """What a broker asks of its clients."""

    users: Mapping[str, str] | None = None  # name: password; None lets anyone in
    certificates: Certificates | None = None  # TLS
    require_client_certificate: bool = False
    readable: tuple[str, ...] | None = None  # what an anonymous client may subscribe to; amqtt only
    lines: tuple[str, ...] = ()  # more of mosquitto's configuration


class Broker(Server, ABC):
    """An MQTT broker on a loopback port that it keeps over restarts."""

    protocol: MQTTProtocolVersion

    def __init__(self, folder: Path, options: BrokerOptions, port: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.host = HOST
        self.port = port or free_port()
        self.options = options
        self.folder = folder
        self._clients: list[Client] = []
        super().__init__(self._prepare(), folder / "broker.log")

    @abstractmethod
    def _prepare(self) -> list[str]:
        """Write the configuration; return the command."""

    def start(self) -> None:
        """Start the broker; return when it takes connections."""
        super().start()
        self.wait_until("broker's port", lambda: port_open(self.port), 15)

    def restart(self) -> None:
        """Stop and start again."""
        self.stop()
        self.start()

    def client(self, client_id: str = "", **options: Any) -> Client:
        """Return a connected client, closed by `close`; `options` as for `Client`."""
        client = Client(self, client_id, **options)
        self._clients.append(client)
        return client.connect()

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        """Publish one message at QoS 1 and return when the broker has it."""
        with Client(self, "").connect() as client:
            client.publish(topic, payload, retain=retain)

    def close(self) -> None:
        """Close the clients and stop the broker."""
        for client in self._clients:
            client.close()
        self.stop()


class Mosquitto(Broker):
    """mosquitto: MQTT v5, sessions and retained messages on disk, unbounded queues."""

    protocol = MQTTProtocolVersion.MQTTv5

    @staticmethod
    def executable() -> str | None:
        """Where mosquitto is installed, outside of a user's PATH too."""
        return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")

    def _prepare(self) -> list[str]:
        lines = [
            f"listener {self.port} {HOST}",
            f"allow_anonymous {str(self.options.users is None).lower()}",
            "user root",  # started as root it would become a user who can't read this folder
            "persistence true",
            f"persistence_location {self.folder}/",
            "max_queued_messages 0",
            "set_tcp_nodelay true",
            "log_dest stdout",
            *self.options.lines,
        ]
        if self.options.users is not None:
            lines.append(f"password_file {self._password_file(self.options.users)}")
        if certificates := self.options.certificates:
            lines += [
                f"cafile {certificates.ca}",
                f"certfile {certificates.server}",
                f"keyfile {certificates.server_key}",
                f"require_certificate {str(self.options.require_client_certificate).lower()}",
            ]
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        return [self.executable() or "mosquitto", "-c", str(config)]

    def save(self) -> None:
        """Write sessions, queues and retained messages to disk: what a later `kill` leaves behind.

        mosquitto does this by itself only every half hour and when it is asked to end.
        """
        database = self.folder / "mosquitto.db"
        before = database.stat().st_mtime_ns if database.exists() else 0
        os.kill(self.pid, signal.SIGUSR1)
        wait_for("mosquitto.db", lambda: database.exists() and database.stat().st_mtime_ns > before)

    def _password_file(self, users: Mapping[str, str]) -> Path:
        path = self.folder / "passwords"
        path.touch(mode=0o600)
        path.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
        subprocess.run(["mosquitto_passwd", "-U", path], check=True)  # hashes in place
        return path


class Amqtt(Broker):
    """amqtt: MQTT 3.1.1 only, everything in memory, client certificates optional."""

    protocol = MQTTProtocolVersion.MQTTv311

    def _prepare(self) -> list[str]:
        listener: dict[str, object] = {"type": "tcp", "bind": f"{HOST}:{self.port}"}
        if certificates := self.options.certificates:
            listener |= {
                "ssl": True,
                "cafile": str(certificates.ca),
                "certfile": str(certificates.server),
                "keyfile": str(certificates.server_key),
            }
        # The base class admits everyone; AnonymousAuthPlugin does too, but keeps no session for them.
        plugins: dict[str, object] = {"amqtt.plugins.base.BaseAuthPlugin": {}}
        if self.options.users is not None:
            passwords = str(self._password_file(self.options.users))
            plugins = {"amqtt.plugins.authentication.FileAuthPlugin": {"password_file": passwords}}
        if self.options.readable is not None:
            allowed = {"acl": {"anonymous": list(self.options.readable)}}
            plugins["amqtt.plugins.topic_checking.TopicAccessControlListPlugin"] = allowed
        config = self.folder / "amqtt.yaml"
        config.write_text(json.dumps({"listeners": {"default": listener}, "plugins": plugins}))
        return [sys.executable, "-m", "amqtt.scripts.broker_script", "-c", str(config)]

    def _password_file(self, users: Mapping[str, str]) -> Path:
        from pwdlib.hashers.argon2 import Argon2Hasher  # noqa: PLC0415 - amqtt's own, only where it is used

        path = self.folder / "passwords"
        hasher = Argon2Hasher()
        path.write_text("".join(f"{name}:{hasher.hash(password)}\n" for name, password in users.items()))
        return path


class Client:
    """A paho client that remembers what it received; address and credentials are the broker's own."""

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        *,
        clean: bool = True,
        user: str | None = None,
        present_certificate: bool = True,
        protocol: MQTTProtocolVersion | None = None,
    ) -> None:
        self.messages: list[paho.MQTTMessage] = []
        self.reason: ReasonCode | None = None
        self._broker = broker
        self._clean = clean
        self._answered = threading.Event()
        self._protocol = protocol or broker.protocol
        clean_session = None if self._protocol == MQTTProtocolVersion.MQTTv5 else clean
        self.paho = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, clean_session=clean_session, protocol=self._protocol
        )
        if users := broker.options.users:
            name = user or next(iter(users))
            self.paho.username_pw_set(name, users.get(name, "wrong"))
        if certificates := broker.options.certificates:
            own = (
                (str(certificates.client), str(certificates.client_key))
                if present_certificate
                else (None, None)
            )
            self.paho.tls_set(str(certificates.ca), *own)
        self.paho.on_connect = self._on_connect
        self.paho.on_disconnect = self._on_disconnect
        self.paho.on_message = lambda _client, _data, message: self.messages.append(message)
        self.paho.on_socket_open = _no_delay

    def _on_connect(
        self, _client: object, _data: object, _flags: object, reason: ReasonCode, _p: object
    ) -> None:
        self.reason = reason
        self._answered.set()

    def _on_disconnect(self, *_: object) -> None:
        self._answered.set()  # a refused certificate ends the connection without an answer

    def connect(self) -> Self:
        """Connect, and raise PermissionError where the broker refuses."""
        options: dict[str, Any] = {}
        if self._protocol == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            if not self._clean:
                properties.SessionExpiryInterval = SESSION_EXPIRY_S
            options = {"clean_start": self._clean, "properties": properties}
        self.paho.connect(self._broker.host, self._broker.port, **options)
        self.paho.loop_start()
        answered = self._answered.wait(10)
        if not answered or self.reason is None or self.reason.is_failure:
            self.close()
            raise PermissionError(f"broker answered {self.reason}")
        return self

    def subscribe(self, *filters: str, qos: int = 1) -> Self:
        """Subscribe, and return when the broker has confirmed."""
        confirmed = threading.Event()
        self.paho.on_subscribe = lambda *_: confirmed.set()
        self.paho.subscribe([(name, qos) for name in filters])
        if not confirmed.wait(10):
            raise TimeoutError(f"no answer to the subscription to {filters}")
        return self

    def publish(self, topic: str, payload: str | bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publish and, at QoS 1, return when the broker has the message."""
        self.paho.publish(topic, payload, qos, retain).wait_for_publish(10)

    def wait_message(
        self, topic: str, accept: Callable[[bytes | bytearray], bool] = lambda _: True, timeout_s: float = 10
    ) -> paho.MQTTMessage:
        """Return the first message received on a topic whose payload is accepted."""

        def found() -> paho.MQTTMessage | None:
            return next((m for m in list(self.messages) if m.topic == topic and accept(m.payload)), None)

        message = wait_for(f"message on {topic}", found, timeout_s)
        assert message is not None
        return message

    def close(self) -> None:
        """Disconnect."""
        self.paho.disconnect()
        self.paho.loop_stop()
        self.paho._reset_sockets()  # else its wake-up sockets stay open until it is collected

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _no_delay(_client: object, _data: object, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
