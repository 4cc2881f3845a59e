"""Every detector passes every check."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hunches.detector import Detector
from hunches.dwell import Dwell
from hunches.timing import Timing
from tests.checks import CHECKS, detectors


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("make", detectors(), ids=lambda d: d.name)
def test_contract(make: type[Detector], check: Callable[[type[Detector]], None]) -> None:
    check(make)


def test_discovery_finds_the_detectors() -> None:
    assert {Dwell, Timing} <= set(detectors())
