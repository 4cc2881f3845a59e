"""`inkling run` as a child process that can be killed and started again, and what its database holds."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, Protocol, Self

import orjson

from agent.database import Access
from agent.records import StoredSuggestion
from agent.settings import Settings, load_settings
from agent.store import Store
from agent.suggestions import Kind
from devices.decoder import Publish
from devices.events import StateChange
from tests.broker import Broker
from tests.process import HOST, Server, wait_for

CONNECTED: Final = b"connected to the broker"
TALKATIVE: Final[dict[str, Any]] = {
    "warmup_days": 1.0,
    "hunches": {"per_day": 24.0, "burst": 4.0, "quiet_hours": "off"},
    "hunches.detectors.dwell": {"p_max": 0.1, "min_stays": 4, "home_trust": 10.0, "patience": 0.2},
    "hunches.detectors.timing": {"threshold": 0.3, "min_episodes": 4.0, "min_age_days": 1.0},
    "hunches.detectors.missing": {"min_days": 3, "p_max": 0.5, "once_in_days": 0.5},
    "hunches.detectors.silent": {
        "once_in_days": 1.2,
        "min_reports": 8.0,
        "min_a_day": 2.0,
        "min_age_days": 0.5,
    },
}
"""Settings under which a simulated home has a lot to say, and now and then too much for its budget."""


class DaemonProcess(Server):
    """The daemon beside a broker, with a folder of its own."""

    def __init__(self, folder: Path, broker: Broker, port: int | None = None, **settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.broker = broker
        self.url = f"sqlite:///{folder}/inkling.db"
        self.config = folder / "inkling.toml"
        write_settings(
            self.config,
            {
                "mqtt": {"host": HOST, "port": port or broker.port, "client_id": folder.name},
                "store": {"url": self.url},
                "home": {"time_zone": "Europe/Berlin"},
                **settings,
            },
        )
        super().__init__(inkling("run", "--config", str(self.config)), folder / "daemon.log", environment())

    @property
    def settings(self) -> Settings:
        """The settings that it runs with."""
        return load_settings(self.config)

    def start(self) -> None:
        """Start; return at once."""
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        super().start()

    def wait_ready(self) -> None:
        """Return when it listens to the broker."""
        self.wait_until("daemon", lambda: CONNECTED in self.log.read_bytes()[self._log_start :], 60)

    def restart(self) -> None:
        """Stop, which leaves a snapshot, and start again."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End it in any case."""
        self.kill()

    # -- its database -----------------------------------------------------------------------------

    @property
    def events(self) -> int:
        """How many state changes are committed: cheap, for watching."""
        url = self.url.replace("sqlite:///", "file:") + "?mode=ro"
        try:
            with closing(sqlite3.connect(url, uri=True)) as db:
                return int(db.execute("SELECT count(*) FROM events").fetchone()[0])
        except sqlite3.OperationalError:  # not there yet
            return 0

    def wait_events(self, count: int, timeout_s: float = 90) -> None:
        """Return when at least so many state changes are committed."""
        wait_for(f"{count} events", lambda: self.events >= count, timeout_s)

    def store(self) -> Store:
        """Open the database for reading."""
        return Store.open(self.url, access=Access.READ, create=False)

    def changes(self) -> list[StateChange]:
        """Return what was stored, in the order of its arrival."""
        with self.store() as store:
            return [entry for entry in store.tail() if isinstance(entry, StateChange)]

    def suggestions(self) -> bytes:
        """Return what was suggested and what became of it, in the form of `told`."""
        with self.store() as store:
            return told(stored_line(s) for s in store.suggestions())

    def hunches(self) -> bytes:
        """Return the same of the hunches: routines and goals are asked about differently in a backtest."""
        with self.store() as store:
            return told(stored_line(s) for s in store.suggestions() if s.suggestion.kind is Kind.HUNCH)

    def snapshot(self) -> dict[str, Any]:
        """Return the newest snapshot's picture of the pipeline."""
        with self.store() as store:
            newest = store.load_snapshot()
        assert newest is not None
        pipeline: dict[str, Any] = newest[1]["pipeline"]
        return pipeline


class Publisher(threading.Thread):
    """A correct publisher: QoS 1, in order; what has no PUBACK when a connection is lost goes out again."""

    def __init__(self, broker: Broker, messages: Sequence[Publish]) -> None:
        super().__init__(daemon=True)
        self._connection = broker.client("publisher", clean=False)
        self._client = self._connection.paho
        self._messages = messages
        self._resumed = threading.Event()
        self._resumed.set()
        self.sent = 0

    def run(self) -> None:
        for message in self._messages:
            self._resumed.wait()
            info = self._client.publish(message.topic, message.payload, 1, message.retain)
            self.sent += 1
            if self.sent % 100 == 0 or self.sent == len(self._messages):
                info.wait_for_publish(60)  # paho would take everything at once
        self._connection.close()

    def pause(self) -> None:
        """Return when the broker has acknowledged all that was sent."""
        self._resumed.clear()
        wait_for("a pause", self._is_quiet, 60)

    def resume(self) -> None:
        self._resumed.set()

    def _is_quiet(self) -> bool:
        before = self.sent
        time.sleep(0.05)
        return self.sent == before and not self._client._out_messages


class Wire:
    """A relay between clients and a broker, which can lose what the clients say."""

    def __init__(self, broker_port: int) -> None:
        self.deaf = False
        self.unheard = 0  # bytes
        self._broker_port = broker_port
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = [self._listener]

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, broker = (
                    self._listener.accept()[0],
                    socket.create_connection((HOST, self._broker_port)),
                )
                self._sockets += [client, broker]
                self._run(self._relay, client, broker, True)
                self._run(self._relay, broker, client, False)

    def _relay(self, source: socket.socket, target: socket.socket, from_client: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if from_client and self.deaf:
                    self.unheard += len(data)
                else:
                    target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


class MakeDaemon(Protocol):
    """Starts a daemon that ends with the test."""

    def __call__(
        self, name: str, broker: Broker, port: int | None = ..., **settings: object
    ) -> DaemonProcess: ...


def backtest(config: Path, recording: Path) -> bytes:
    """Return what `inkling backtest` writes for a recording."""
    command = inkling("backtest", str(recording), "--config", str(config), "--json", "-")
    return subprocess.run(command, env=environment(), check=True, capture_output=True, timeout=600).stdout


def told(lines: Iterable[dict[str, Any]]) -> bytes:
    """Return suggestions as bytes that are equal when, and only when, all that was said is equal."""
    ordered = sorted(lines, key=lambda line: (line["raised_at"], line["id"]))
    option = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SORT_KEYS
    return b"".join(orjson.dumps(line, option=option) for line in ordered)


def told_by_backtest(output: bytes) -> bytes:
    """Return a backtest's hunches in the form of `told`; it counts routines and goals as accepted."""
    return told(line for line in map(orjson.loads, output.splitlines()) if line.get("kind") == "hunch")


def stored_line(stored: StoredSuggestion) -> dict[str, Any]:
    """Return a stored suggestion as a backtest writes it; a replay delivers nothing."""
    return {key: value for key, value in stored.to_dict().items() if key != "delivered_at"}


def without_sightings(pipeline: dict[str, Any]) -> dict[str, Any]:
    """Return a pipeline's state in JSON but for when entities were last heard: repeats aren't logged."""
    plain: dict[str, Any] = json.loads(orjson.dumps(pipeline))
    for entity in plain["home"].values():
        entity[2] = None
    return plain


def inkling(*arguments: str) -> list[str]:
    """Return a command line of the installed program."""
    return [str(Path(sys.executable).with_name("inkling")), *arguments]


def environment() -> dict[str, str]:
    """Return this process's environment without settings of Inkling's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("INKLING_")}


def write_settings(path: Path, settings: dict[str, Any]) -> None:
    """Write settings as TOML."""
    plain = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    sections = {key: value for key, value in settings.items() if isinstance(value, dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
    for name, section in sections.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in section.items())]
    path.write_text("\n".join(lines) + "\n")
