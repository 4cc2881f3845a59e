"""The MQTT bridge: paho driven by asyncio in one thread, acknowledging only what has been committed.

One thread because paho reads a packet with three system calls: with a reader thread each of them hands the
interpreter lock over, and throughput falls to a third. The loop is: read what is there (at most
`MAX_BATCH` messages), hand the batch to `handle`, have it committed by `commit`, acknowledge it, go on. So
the queue between the broker and the database is one batch; while `commit` fails (a full disk), nothing is
acknowledged, and the broker holds the rest back (MQTT's receive maximum): that is the back-pressure. What
was sent at QoS 0 can't be held back: it is kept up to `RECEIVE_MAXIMUM` messages, and dropped beyond.
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from agent.errors import InklingError, StoreError
from agent.mqtt_client import make_client, prepare_connection, topics
from agent.mqtt_errors import BrokerRefusedError, SilentBrokerError, advice
from agent.settings import MqttSettings

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

log = structlog.get_logger()

MAX_BATCH: Final = 500
RECEIVE_MAXIMUM: Final = 1000
"""How many messages may wait unacknowledged: what a crash makes the broker send again."""
MAX_READ_S: Final = 0.02  # hand over what has been read, so that a burst can't starve timers
_CONNECT_TIMEOUT_S: Final = 10.0
_RETRY_STORE_S: Final = 2.0

Handler = Callable[[Sequence[paho.MQTTMessage]], None]


class MqttBridge:
    """A persistent session with the broker, reconnecting for ever with back-off.

    `handle` is called once with each batch, in order of arrival; then `commit`, after which the batch is
    acknowledged. When `commit` raises StoreError it is tried again until it works. `on_connecting` is called
    before each (re)connection, `on_connected` awaited after it, when publishing works again.
    """

    def __init__(
        self,
        settings: MqttSettings,
        *,
        subscriptions: Sequence[str],
        handle: Handler,
        commit: Callable[[], None],
        on_connected: Callable[[], Awaitable[None]],
        on_connecting: Callable[[], None] = lambda: None,
        will: tuple[str, bytes] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.settings = settings
        self.connected = asyncio.Event()
        self.failure: Exception | None = None  # why there is no connection now
        self.failures = 0  # attempts in a row
        self.stalled: StoreError | None = None
        self.received = 0
        self.dropped = 0  # QoS 0 while stalled
        self.catching_up = False  # what comes now was queued while we were away: its time is not its own
        self._subscriptions = subscriptions
        self._handle = handle
        self._commit = commit
        self._handled = 0  # of `_waiting`, but not committed yet
        self._on_connected = on_connected
        self._on_connecting = on_connecting
        self._will = will
        self._rng = rng or random.Random()
        self._waiting: list[paho.MQTTMessage] = []
        self._protocol = paho.MQTTv311 if settings.protocol == "3.1.1" else paho.MQTTv5
        self._client = self._make_client()
        self._loop: asyncio.AbstractEventLoop
        self._lost = asyncio.Event()
        self._answer: asyncio.Future[ReasonCode]
        self._tasks: set[asyncio.Task[None]] = set()

    # -- for the rest of the shell ----------------------------------------------------------------

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """Queue a message and write it at once; False when there is no broker to send it to."""
        if not self.connected.is_set():
            return False
        self._client.publish(topic, payload, qos, retain)
        self._client.loop_write()
        return True

    @property
    def protocol(self) -> str:
        """The MQTT version in use."""
        return "5" if self._protocol == paho.MQTTv5 else "3.1.1"

    async def run(self) -> None:
        """Stay connected until cancelled."""
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    await self._connect()
                except (OSError, UnicodeError, BrokerRefusedError) as err:  # Unicode: no name of a host
                    self._report(err)
                    await asyncio.sleep(
                        min(60.0, 2.0 ** min(self.failures - 1, 6)) * self._rng.uniform(0.5, 1.0)
                    )
                    continue
                if self.failures:
                    log.info("broker is back", after_tries=self.failures)
                self.failures, self.failure = 0, None
                await self._stay()
                log.warning("lost the broker, reconnecting", host=self.settings.host)
        finally:
            self._close()

    # -- connection -------------------------------------------------------------------------------

    def _make_client(self) -> paho.Client:
        client = make_client(self.settings, self._protocol, self._will)
        client.on_connect = self._connacked
        client.on_subscribe = self._subscribed
        client.on_message = self._message
        client.on_disconnect = self._disconnected
        client.on_socket_open = self._socket_open
        client.on_socket_close = lambda _client, _userdata, sock: self._forget_socket(sock)
        client.on_socket_register_write = self._want_write
        return client

    async def _connect(self) -> None:
        """Connect, and wait for the broker's answers; raises OSError or BrokerRefusedError."""
        self._lost.clear()
        self._waiting.clear()  # unacknowledged: the broker sends them again
        self._handled = 0
        self._on_connecting()
        await self._open()
        keepalive = self._loop.create_task(self._housekeeping())
        self._tasks.add(keepalive)
        keepalive.add_done_callback(self._tasks.discard)
        try:
            reason = await asyncio.wait_for(self._answer, _CONNECT_TIMEOUT_S)
        except (TimeoutError, ConnectionError) as err:
            self._close()
            self._try_other_protocol()
            raise SilentBrokerError("the broker took the connection, but answered nothing") from err
        if reason.is_failure:
            self._close()
            if reason.getName() == "Unsupported protocol version":
                self._try_other_protocol()
            raise BrokerRefusedError(
                f"the broker refused the connection: {reason}",
                hint="check mqtt.username and mqtt.password, and the broker's access list",
            )
        await self._subscribe()
        s = self.settings
        log.info("connected to the broker", host=s.host, port=s.port, protocol=self.protocol)

    async def _open(self) -> None:
        """Open a connection and ask for the session; raises OSError."""
        self._answer = self._loop.create_future()
        prepare_connection(self._client, self.settings, self._protocol, RECEIVE_MAXIMUM)
        await asyncio.to_thread(self._client.reconnect)  # blocks for DNS, TCP and TLS
        self._loop.add_reader(self._socket(), self._readable)
        self._client.loop_write()

    async def _subscribe(self) -> None:
        """Subscribe, and return when the broker has confirmed it: what comes from then on is heard."""
        self._answer = self._loop.create_future()
        self._client.subscribe(topics(self._subscriptions, self._protocol))
        self.connected.set()
        self._client.loop_write()
        try:
            await asyncio.wait_for(self._answer, _CONNECT_TIMEOUT_S)
        except TimeoutError:  # behind a long backlog, on a slow machine
            log.warning("the broker hasn't confirmed the subscriptions yet")
        except ConnectionError:
            self._close()
            raise

    def _try_other_protocol(self) -> None:
        """Brokers that know only 3.1.1 refuse MQTT 5, hang up, or say nothing at all."""
        if self.settings.protocol == "auto":
            self._protocol = paho.MQTTv311 if self._protocol == paho.MQTTv5 else paho.MQTTv5
            self._client = self._make_client()

    async def _stay(self) -> None:
        await self._on_connected()
        await self._lost.wait()
        self._close()

    async def _housekeeping(self) -> None:
        """Keep the connection alive, and notice when the backlog of an outage is through."""
        while not self._lost.is_set():
            if self._client.loop_misc() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._lost.set()
            before = self.received
            await asyncio.sleep(1.0)
            if self.received == before and not self._waiting:
                self.catching_up = False

    def _socket(self) -> SocketLike:
        sock = self._client.socket()
        if sock is None:
            raise ConnectionError("the broker closed the connection")
        return sock

    def _close(self) -> None:
        self.connected.clear()
        if (sock := self._client.socket()) is not None:
            with suppress(OSError, ValueError):
                self._client.disconnect()
                self._client.loop_write()
            self._forget_socket(sock)
            sock.close()  # where the goodbye could not be sent
        self._lost.set()

    def _report(self, err: Exception) -> None:
        self.failure = err.with_traceback(None)  # which would keep the socket open
        self.failures += 1
        if self.failures == 1:  # once an outage, not once a try
            why = err.message if isinstance(err, InklingError) else str(err)
            where = f"{self.settings.host}:{self.settings.port}"
            log.error("no broker, trying on", broker=where, why=why, hint=advice(err))

    # -- paho's callbacks -------------------------------------------------------------------------

    def _connacked(self, *answer: Any) -> None:
        _client, _userdata, flags, reason, _properties = answer
        self.catching_up = flags.session_present
        if not self._answer.done():
            self._answer.set_result(reason)

    def _subscribed(self, *answer: Any) -> None:
        _client, _userdata, _mid, reasons, _properties = answer
        refused = [t for t, r in zip(self._subscriptions, reasons, strict=False) if r.is_failure]
        if refused:
            hint = "let Inkling's user read them in the broker's access list"
            log.error("the broker lets nothing be heard of some topics", topics=refused, hint=hint)
        if not self._answer.done():
            self._answer.set_result(reasons[0])

    def _disconnected(self, *_: object) -> None:
        self._lost.set()
        if not self._answer.done():
            self._answer.set_exception(ConnectionError("the broker closed the connection"))

    def _socket_open(self, _c: object, _u: object, sock: SocketLike) -> None:
        assert isinstance(sock, socket.socket)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # without it p50 is 25 ms, not 1

    def _forget_socket(self, sock: SocketLike) -> None:
        """Before it is closed: the next one may get its number, and would never be heard."""
        with suppress(
            RuntimeError, ValueError
        ):  # closed already, or never watched: in a thread without a loop
            loop = asyncio.get_running_loop()
            loop.remove_reader(sock)
            loop.remove_writer(sock)

    def _want_write(self, _c: object, _u: object, sock: SocketLike) -> None:
        with suppress(RuntimeError):  # called while connecting, from a thread without a loop
            asyncio.get_running_loop().add_writer(sock, self._writable)

    def _writable(self) -> None:
        self._client.loop_write()
        if not self._client.want_write() and (sock := self._client.socket()) is not None:
            self._loop.remove_writer(sock)

    def _message(self, _c: object, _u: object, message: paho.MQTTMessage) -> None:
        if message.qos or len(self._waiting) < RECEIVE_MAXIMUM:
            self._waiting.append(message)
        else:
            self.dropped += 1

    # -- messages ---------------------------------------------------------------------------------

    def _readable(self) -> None:
        """Read all that is there, up to a batch; then commit and acknowledge it."""
        client, waiting = self._client, self._waiting
        until = self._loop.time() + MAX_READ_S
        before = len(waiting)
        while True:
            seen = len(waiting) + self.dropped
            if client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._lost.set()
                break
            if len(waiting) + self.dropped == seen and not self._buffered():
                break  # nothing more now, or a control packet: the loop comes back at once
            if len(waiting) - before >= MAX_BATCH or self._loop.time() > until:
                break
        if waiting and self.stalled is None:
            self._settle()

    def _buffered(self) -> bool:
        sock = self._client.socket()
        return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0

    def _settle(self) -> None:
        """Handle what is waiting, commit it, acknowledge it."""
        batch = self._waiting[self._handled :]
        if batch:
            self._handled += len(batch)
            self._handle(batch)
        try:
            self._commit()
        except StoreError as err:
            if self.stalled is None:
                log.warning("can't write; nothing is acknowledged until it works", why=str(err))
            self.stalled = err
            self._loop.call_later(_RETRY_STORE_S, self._settle)
            return
        if self.stalled is not None:
            log.info("the database is writable again", dropped=self.dropped)
            self.stalled = None
        settled, self._waiting[:] = self._waiting[: self._handled], self._waiting[self._handled :]
        self._handled = 0
        self.received += len(settled)
        for message in settled:
            if message.qos:
                self._client.ack(message.mid, message.qos)
        self._client.loop_write()
