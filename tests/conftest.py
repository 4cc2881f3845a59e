"""Fixtures for every test: brokers on free loopback ports."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.broker import Amqtt, Broker, BrokerOptions, Certificates, Mosquitto
from tests.certificates import make_certificates
from tests.daemon import DaemonProcess, MakeDaemon


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be in UTC wherever the test runs: without settings, a home is where its machine is."""
    monkeypatch.setenv("TZ", "UTC")


class MakeBroker(Protocol):
    """Starts a broker that ends with the test: mosquitto or amqtt where `kind` doesn't say which."""

    def __call__(self, options: BrokerOptions | None = ..., *, kind: type[Broker] | None = ...) -> Broker: ...


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[MakeBroker]:
    """Start brokers with options of the test's own; a test for mosquitto alone skips where there is none."""
    brokers: list[Broker] = []

    def make(options: BrokerOptions | None = None, *, kind: type[Broker] | None = None) -> Broker:
        installed = Mosquitto.executable() is not None
        if kind is Mosquitto and not installed:
            pytest.skip("mosquitto isn't installed")
        chosen = kind or (Mosquitto if installed else Amqtt)
        broker = chosen(tmp_path / f"broker{len(brokers)}", options or BrokerOptions())
        brokers.append(broker)
        broker.start()
        return broker

    yield make
    for broker in brokers:
        broker.close()


@pytest.fixture
def broker(make_broker: MakeBroker) -> Broker:
    """Return a running broker that lets anyone in: mosquitto where it is installed, else amqtt."""
    return make_broker()


@pytest.fixture
def make_daemon(tmp_path: Path) -> Iterator[MakeDaemon]:
    """Start daemons that end with the test."""
    daemons: list[DaemonProcess] = []

    def make(name: str, broker: Broker, port: int | None = None, **settings: object) -> DaemonProcess:
        daemon = DaemonProcess(tmp_path / name, broker, port, **settings)
        daemons.append(daemon)
        daemon.start()
        daemon.wait_ready()  # subscribed: from here on the broker queues
        return daemon

    yield make
    for daemon in daemons:
        daemon.kill()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return a certificate authority with a server and a client."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl isn't installed")
    return make_certificates(tmp_path_factory.mktemp("certificates"))
