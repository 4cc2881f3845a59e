"""The bridge alone: sessions, acknowledgements, back-pressure, getting back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import Mock

import pytest
from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import MQTTProtocolVersion
from structlog.testing import capture_logs

from agent.errors import DiskFullError
from agent.mqtt import MAX_BATCH, RECEIVE_MAXIMUM, MqttBridge
from agent.settings import MqttSettings
from tests.broker import Amqtt, Broker, BrokerOptions, Client, Mosquitto
from tests.conftest import MakeBroker
from tests.process import HOST, free_port


class Shell:
    """What stands behind a bridge: a list instead of a database, and a disk that may be full."""

    def __init__(self) -> None:
        self.batches: list[list[MQTTMessage]] = []
        self.committed: list[str] = []
        self.full = False
        self.connections = 0
        self.attempts = 0

    def handle(self, batch: Sequence[MQTTMessage]) -> None:
        self.batches.append(list(batch))

    def commit(self) -> None:
        if self.full:
            raise DiskFullError("no room")
        self.committed = [text(m) for batch in self.batches for m in batch]

    async def on_connected(self) -> None:
        self.connections += 1

    def on_connecting(self) -> None:
        self.attempts += 1


def text(message: MQTTMessage) -> str:
    return bytes(message.payload).decode()


def bridge(
    shell: Shell,
    port: int,
    protocol: MQTTProtocolVersion | None = None,
    subscriptions: Sequence[str] = ("in/#",),
) -> MqttBridge:
    spoken = {None: "auto", MQTTProtocolVersion.MQTTv5: "5", MQTTProtocolVersion.MQTTv311: "3.1.1"}[protocol]
    return MqttBridge(
        MqttSettings.model_validate({"host": HOST, "port": port, "protocol": spoken}),
        subscriptions=subscriptions,
        handle=shell.handle,
        commit=shell.commit,
        on_connected=shell.on_connected,
        on_connecting=shell.on_connecting,
        will=("inkling/status", b"offline"),
        rng=random.Random(1),
    )


@asynccontextmanager
async def running(made: MqttBridge) -> AsyncIterator[MqttBridge]:
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(reached: Callable[[], Any], timeout_s: float = 10) -> None:
    async with asyncio.timeout(timeout_s):
        while not reached():  # noqa: ASYNC110 - anything may be waited for
            await asyncio.sleep(0.005)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


def flood(client: Client, count: int, qos: int = 1) -> list[str]:
    texts = [str(n) for n in range(count)]
    for one in texts:
        client.paho.publish("in/x", one, qos)
    return texts


def test_a_burst_comes_in_order_and_in_bounded_batches(broker: Broker) -> None:
    async def test() -> None:
        shell = Shell()
        async with running(bridge(shell, broker.port, broker.protocol)) as made:
            await until(made.connected.is_set)
            sent = flood(broker.client(), 3000)
            await until(lambda: len(shell.committed) == len(sent))
            assert shell.committed == sent
            assert max(map(len, shell.batches)) <= MAX_BATCH
            assert made.received == len(sent)

    run(test())


def test_what_was_sent_meanwhile_waits_in_the_session(broker: Broker) -> None:
    async def test() -> None:
        shell = Shell()
        async with running(bridge(shell, broker.port, broker.protocol)) as made:
            await until(made.connected.is_set)
            assert not made.catching_up
        sender = broker.client()
        sent = flood(sender, 20)
        sender.publish("in/x", "last")
        async with running(bridge(shell, broker.port, broker.protocol)) as made:
            await until(lambda: len(shell.committed) == len(sent) + 1)
            assert made.catching_up, "these have waited: their time isn't now"
            await until(lambda: not made.catching_up)

    run(test())


def test_nothing_is_acknowledged_that_is_not_committed(make_broker: MakeBroker) -> None:
    broker = make_broker(kind=Mosquitto)  # amqtt sends everything at once

    async def test() -> None:
        shell = Shell()
        shell.full = True
        async with running(bridge(shell, broker.port, broker.protocol)) as made:
            await until(made.connected.is_set)
            sent = flood(broker.client(), 2 * RECEIVE_MAXIMUM)
            await until(lambda: len(made._waiting) == RECEIVE_MAXIMUM)
            assert made.stalled is not None
            assert made.received == 0
        again = Shell()
        async with running(bridge(again, broker.port, broker.protocol)):
            await until(lambda: len(again.committed) == len(sent))
            assert again.committed == sent

    run(test())


def test_a_full_disk_neither_fills_the_memory_nor_turns_the_loop(
    make_broker: MakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """QoS 0 can't be held back: it is read on, for the sake of pings, and dropped beyond a bound."""
    broker = make_broker(kind=Mosquitto)  # amqtt sends it at QoS 1
    monkeypatch.setattr("agent.mqtt._RETRY_STORE_S", 0.05)

    async def test() -> None:
        shell = Shell()
        shell.full = True
        async with running(bridge(shell, broker.port, broker.protocol)) as made:
            await until(made.connected.is_set)
            sent = flood(broker.client(), 3 * RECEIVE_MAXIMUM, qos=0)
            await until(lambda: made.dropped + len(made._waiting) == len(sent))
            assert len(made._waiting) == RECEIVE_MAXIMUM
            reads = Mock(side_effect=made._client.loop_read)
            monkeypatch.setattr(made._client, "loop_read", reads)
            await asyncio.sleep(0.1)
            assert not reads.called, "the socket is empty"
            shell.full = False
            await until(lambda: len(shell.committed) == RECEIVE_MAXIMUM)
            assert shell.committed == sent[:RECEIVE_MAXIMUM], "each handled once, however often it was tried"
            assert made.stalled is None

    run(test())


@pytest.mark.parametrize("times", [2])
def test_it_is_back_soon_after_the_broker_and_speaks_the_same_version(broker: Broker, times: int) -> None:
    async def test() -> None:
        shell = Shell()
        async with running(bridge(shell, broker.port, broker.protocol)) as made:
            await until(made.connected.is_set)
            spoken = made.protocol
            for n in range(times):
                await asyncio.to_thread(broker.restart)
                await until(lambda n=n: shell.connections == n + 2, 5)
                assert made.protocol == spoken
                await asyncio.to_thread(broker.publish, "in/x", f"after {n}")
                await until(lambda n=n: f"after {n}" in shell.committed)

    run(test())


def test_a_broker_that_knows_only_the_older_version(
    make_broker: MakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.mqtt._CONNECT_TIMEOUT_S", 0.5)  # amqtt waits for more of what it can't read
    older = make_broker(kind=Amqtt)

    async def test() -> None:
        shell = Shell()
        async with running(bridge(shell, older.port)) as made:
            await until(made.connected.is_set)
            assert made.protocol == "3.1.1"
            await asyncio.to_thread(older.publish, "in/x", "hello")
            await until(lambda: shell.committed == ["hello"])

    run(test())


def test_a_refused_subscription_is_said_and_the_others_are_heard(make_broker: MakeBroker) -> None:
    broker = make_broker(BrokerOptions(readable=("in/#",)), kind=Amqtt)  # mosquitto confirms, and is silent

    async def test() -> None:
        shell = Shell()
        with capture_logs() as logs:
            async with running(bridge(shell, broker.port, broker.protocol, ["secret/#", "in/#"])):
                await until(lambda: shell.connections)
                await asyncio.to_thread(broker.publish, "in/x", "hello")
                await until(lambda: shell.committed == ["hello"])
        assert [(e["log_level"], e["topics"]) for e in logs if "topics" in e] == [("error", ["secret/#"])]

    run(test())


def test_its_last_will_is_said_for_it(broker: Broker) -> None:
    ear = broker.client().subscribe("inkling/status")

    async def test() -> None:
        async with running(bridge(Shell(), broker.port, broker.protocol)) as made:
            await until(made.connected.is_set)
            sock = made._client.socket()
            assert sock is not None
            # Away for good: a broker that sees the new connection first says nothing for the old one.
            made._connect = asyncio.Event().wait  # type: ignore[method-assign,assign]
            sock.shutdown(2)  # type: ignore[union-attr]
            await until(lambda: ear.messages)

    run(test())
    assert text(ear.messages[0]) == "offline"


def test_nothing_is_published_to_nobody(broker: Broker) -> None:
    made = bridge(Shell(), broker.port)
    assert made.publish("out", b"1") is False


@pytest.mark.parametrize("host", ["no.such.host.invalid", "label..empty", "127.0.0.1"])
def test_an_address_where_nothing_is(host: str) -> None:
    async def test() -> None:
        shell = Shell()
        made = MqttBridge(
            MqttSettings(host=host, port=free_port()),
            subscriptions=["in/#"],
            handle=shell.handle,
            commit=shell.commit,
            on_connected=shell.on_connected,
            on_connecting=shell.on_connecting,
            rng=random.Random(1),
        )
        with capture_logs() as logs:
            async with running(made):
                await until(lambda: shell.attempts == 2)
        assert [entry["event"] for entry in logs] == ["no broker, trying on"], "once an outage, not a try"
        assert "mqtt.host" in logs[0]["hint"]

    run(test())
