"""Servers that tests start as child processes on free loopback ports."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
HOST = "127.0.0.1"


def free_port() -> int:
    """Return a loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def port_open(port: int) -> bool:
    """Whether something listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def wait_for(what: str, probe: Callable[[], T], timeout_s: float = 10, interval_s: float = 0.02) -> T:
    """Return the first truthy answer of `probe`; raise TimeoutError naming `what` and the last answer."""
    end = time.monotonic() + timeout_s
    while not (value := probe()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s (last: {value!r})")
        time.sleep(interval_s)
    return value


class Server:
    """A child process that can be stopped, killed and started again; its output goes to `log`."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.command = list(command)
        self.log = log
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; only while running."""
        if self._process is None:
            raise RuntimeError(f"{self.command[0]} isn't running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process, and return when `ready`."""
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,
            )

    def wait_until(self, what: str, probe: Callable[[], T], timeout_s: float) -> T:
        """Wait as `wait_for` does, but fail at once, with the end of the log, when the process ends."""

        def probe_alive() -> T:
            if not self.running:
                raise RuntimeError(f"{what}: {self.command[0]} ended early:\n{self.log_tail()}")
            return probe()

        try:
            return wait_for(what, probe_alive, timeout_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.log_tail()}") from None

    def log_tail(self, lines: int = 30) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, grace_s: float = 10) -> None:
        """Ask the process to end, and kill it where it doesn't within `grace_s`."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End the process at once, as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
