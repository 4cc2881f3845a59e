"""The daemon under test: `inkling run` with a database and a past of its own, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from agent.database import Access
from agent.records import Batch, Document
from agent.store import Store
from devices.events import StateChange
from tests.e2e.lab import HomeAssistant
from tests.process import Server, wait_for

TICK_S: Final = 1.0
PATIENCE: Final = 0.002  # 2.4 s for a door that is otherwise given 20 minutes, 5.4 s for a light
DAYS: Final = 24
OPENINGS_A_DAY: Final = 6
ALL_BUT_DWELL: Final = ("timing", "missing", "conflict", "level", "silent")
_SETTINGS: Final = """
tick_s = {tick_s}
warmup_days = 0
[mqtt]
host = "127.0.0.1"
port = {mqtt_port}
[home_assistant]
url = "{ha_url}"
token = "{ha_token}"
[store]
url = "{database}"
[hunches]
per_day = 10000
burst = 1000
quiet_hours = "off"
exclude_detectors = {exclude}
[hunches.detectors.dwell]
p_max = 0.2  # of a few seconds more or less nothing much can be known
patience = {patience}
"""


class Inkling(Server):
    """`inkling run`, and what can be read from outside: its command line and its database."""

    def __init__(self, ha: HomeAssistant, folder: Path, exclude: Sequence[str] = ALL_BUT_DWELL) -> None:
        self.url = f"sqlite:///{folder}/inkling.db"
        self._config = folder / "inkling.toml"
        self._program = str(Path(sys.executable).with_name("inkling"))
        env = {k: v for k, v in os.environ.items() if not k.startswith("INKLING_")}
        token = ha.new_token(f"inkling-{folder.name}")
        self._config.write_text(
            _SETTINGS.format(
                tick_s=TICK_S,
                mqtt_port=ha.mqtt_port,
                ha_url=ha.url,
                ha_token=token,
                database=self.url,
                exclude=json.dumps(exclude),
                patience=PATIENCE,
            )
        )
        super().__init__(
            [self._program, "run", "--config", str(self._config)], folder / "inkling.log", env=env
        )

    def make_it_afternoon(self) -> None:
        """Let the home lie where it is about three now: who sleeps is asked less."""
        east = (15 - datetime.now(UTC).hour + 12) % 24 - 12
        with self._config.open("a") as settings:
            settings.write(f'[home]\ntime_zone = "Etc/GMT{-east:+d}"\n')  # their signs are turned round

    def start(self) -> None:
        """Start the daemon; return when it hears Home Assistant."""
        before = self.connections
        super().start()
        self.wait_until("Inkling", lambda: self.connections > before, 30)

    @property
    def connections(self) -> int:
        """How often it has connected to Home Assistant."""
        return self.log.read_text().count("connected to Home Assistant") if self.log.exists() else 0

    def cli(self, *arguments: str) -> Any:
        """Return what a command of the command line prints as JSON."""
        command = [self._program, *arguments, "--config", str(self._config), "--json"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert run.returncode == 0, f"{' '.join(arguments)}: {run.stdout}{run.stderr}"
        return json.loads(run.stdout)

    def rows(self, entity_id: str, since: datetime | None = None) -> list[StateChange]:
        """Return the rows of an entity in the database, oldest first."""
        with closing(Store.open(self.url, access=Access.READ, create=False)) as store:
            return list(store.events(since=since, entities=[entity_id]))

    def remember(self, past: Sequence[StateChange]) -> None:
        """Write a past into the database, before the first start."""
        with Store.open(self.url) as store:
            store.append(Batch(changes=[(seq, change, change.old) for seq, change in enumerate(past, 1)]))

    def routines(self) -> dict[str, Document]:
        """Return the routines in the database by id."""
        with closing(Store.open(self.url, access=Access.READ, create=False)) as store:
            return {document.id: document for document in store.routines()}

    def journal(self, kind: str) -> list[dict[str, Any]]:
        """Return the entries of one kind in the database's journal."""
        with closing(Store.open(self.url, access=Access.READ, create=False)) as store:
            return list(store.journal(kind))

    def wait_row(self, entity_id: str, state: str, since: datetime, timeout_s: float = 10) -> StateChange:
        """Return the first row in which an entity became `state`."""

        def found() -> StateChange | None:
            rows = self.rows(entity_id, since)
            return next((row for row in rows if row.new == state and row.old != state), None)

        row = wait_for(f"a row of {entity_id} {state}", found, timeout_s, interval_s=0.05)
        assert row is not None
        return row


def write_past(path: Path, entities: Sequence[tuple[str, str, str]]) -> int:
    """Write a recording that ends now: (entity id, active state, resting state), 1 to 2 s at a time.

    Return how many lines it has. The openings lie at all hours, so that no hour is strange.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    lines: list[tuple[datetime, str, str]] = []
    for number, (entity_id, active, resting) in enumerate(entities):
        first = now - timedelta(days=DAYS, minutes=3 * number)
        lines.append((first, entity_id, resting))
        for n in range(1, DAYS * OPENINGS_A_DAY):
            at = first + n * timedelta(hours=24 / OPENINGS_A_DAY, minutes=1)
            if at < now - timedelta(minutes=1):
                lasted = timedelta(seconds=1 + (n * 7 % 10) / 10)
                lines += [(at, entity_id, active), (at + lasted, entity_id, resting)]
    lines.append((now - timedelta(seconds=20), "sensor.last_of_the_past", "1"))
    with path.open("w") as file:
        for at, entity_id, state in sorted(lines):
            body = {"entity_id": entity_id, "state": state, "last_changed": at.isoformat(), "attributes": {}}
            if entity_id.startswith("cover."):
                body["attributes"] = {"device_class": "garage"}
            file.write(json.dumps(body | {"origin": "physical", "confidence": 0.9}) + "\n")
    return len(lines)
