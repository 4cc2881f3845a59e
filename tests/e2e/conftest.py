"""Fixtures of the end-to-end tests: one real Home Assistant a release, named by INKLING_E2E_HA."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker import Mosquitto
from tests.e2e.inkling import ALL_BUT_DWELL, Inkling
from tests.e2e.install import Installation
from tests.e2e.lab import HomeAssistant

RELEASES = os.environ.get("INKLING_E2E_HA", "2024.3").replace(",", " ").split()
TIMEOUT_S = 300  # of a test with the start of Home Assistant in it


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder, before tests are chosen by mark."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture(scope="session", params=RELEASES)
def ha(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HomeAssistant]:
    """Return a running Home Assistant; tests share it, so they use devices of their own."""
    installation = Installation(request.param)
    if not installation.ready:
        pytest.skip(
            f"Home Assistant {request.param} isn't installed: make e2e INKLING_E2E_HA={request.param}"
        )
    if Mosquitto.executable() is None:
        pytest.skip("mosquitto isn't installed")
    home_assistant = HomeAssistant(installation, tmp_path_factory.mktemp(f"ha-{request.param}"))
    try:
        home_assistant.start()
        yield home_assistant
    finally:
        home_assistant.close()


@pytest.fixture(scope="session")
def broker(ha: HomeAssistant) -> Mosquitto:
    """Return the broker that Home Assistant is connected to."""
    return ha.broker


@pytest.fixture
def inkling(ha: HomeAssistant, tmp_path: Path) -> Iterator[Inkling]:
    """Return a daemon of the test's own, not yet started, that raises no hunches."""
    daemon = Inkling(ha, tmp_path, exclude=(*ALL_BUT_DWELL, "dwell"))
    try:
        yield daemon
    finally:
        daemon.stop()
