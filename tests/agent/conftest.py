"""Fixtures for the store's tests: each runs on SQLite, and on PostgreSQL where that is installed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.agent import postgresql

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
