"""Databases, on SQLite and on PostgreSQL where that is installed; commands; a home that runs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa
import structlog
from click.testing import Result
from structlog.testing import capture_logs
from typer.testing import CliRunner

from agent.cli import app
from agent.settings import load_settings
from agent.store import Store
from devices.events import Origin, StateChange
from tests.agent import postgresql
from tests.agent.commands import Run
from tests.agent.keeping import Kept
from tests.agent.living import Living, living
from tests.process import HOST, free_port, wait_for

_NOBODY = 65534


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """Return the URL of a running server."""
    if (bin_dir := postgresql.tools()) is None:
        pytest.skip("PostgreSQL or psycopg isn't installed")
    with ExitStack() as stack:
        yield stack.enter_context(postgresql.cluster(bin_dir))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/inkling.db"
    found: str = request.getfixturevalue("postgresql_url")
    engine = sa.create_engine(found.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as conn:
        conn.exec_driver_sql("DROP SCHEMA public CASCADE")
        conn.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()
    return found


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """Be a user that file permissions bind, with a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="inkling"))
    root = os.geteuid() == 0
    if root:
        os.chown(folder, _NOBODY, -1)
        os.seteuid(_NOBODY)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)
        shutil.rmtree(folder)


@pytest.fixture
def run(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run a command beside a database of the test's own; it must end with the exit code given."""
    monkeypatch.chdir(tmp_path)
    environment = {"INKLING_STORE__URL": url, "INKLING_MQTT__PORT": str(free_port()), "COLUMNS": "200"}

    def invoke(*words: str, code: int = 0, **more: str) -> Result:
        result = CliRunner().invoke(app, words, env={**environment, **more})
        assert result.exit_code == code, (result.output, result.exception)
        return result

    yield invoke
    structlog.reset_defaults()  # commands log to the runner's stderr, which is gone now


@pytest.fixture
def home(url: str) -> Iterator[Living]:
    """Run a daemon without a broker, with one open suggestion about a light that has been left on."""
    made = load_settings(
        None, store={"url": url}, mqtt={"host": HOST, "port": free_port()}, tick_s=0.1, warmup_days=0
    )
    with capture_logs(), living(made, connected=False) as running:

        def leave_on() -> None:
            now = running.daemon.clock.now()
            for state in ("off", "on"):
                running.daemon.engine.take(StateChange("light.lamp", state, now, now, origin=Origin.PERSON))

        running.call(leave_on)
        wait_for("a hunch", running.store.suggestions)
        yield running


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    """Return a keeper of routines beside a Home Assistant that does as the test says."""
    with Store.open(f"sqlite:///{tmp_path}/inkling.db") as store:
        yield Kept(store)
