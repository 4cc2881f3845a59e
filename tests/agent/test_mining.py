"""The nightly search: in a process of its own, and the same as in this one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.mining import Job, MiningError, mine_in_child, mine_store, without_covered
from agent.store import Store
from routines.rendering import automation_of
from tests.agent.log import batch
from tests.e2e.habits import Habit

UNTIL = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    url = f"sqlite:///{tmp_path}/inkling.db"
    with Store.open(url) as store:
        store.append(batch(Habit("den").past(UNTIL)))
    return Job(url, UNTIL.isoformat(), time_zone="Europe/Berlin")


def test_a_process_of_its_own_finds_the_same(job: Job) -> None:
    mined = asyncio.run(mine_in_child(job))
    assert mined == mine_store(job)
    assert mined.report == mine_store(job).report
    routine, *_ = mined.routines
    assert routine.items == {("light.den_lamp", "on"), ("switch.den_radio", "on")}


def test_a_failed_search_says_why(tmp_path: Path) -> None:
    with pytest.raises(MiningError, match="nowhere"):
        asyncio.run(mine_in_child(Job(f"sqlite:///{tmp_path}/nowhere.db", UNTIL.isoformat())))


def test_what_an_automation_covers_is_noted(job: Job) -> None:
    mined = mine_store(job)
    routine, *_ = mined.routines
    theirs = {**automation_of(routine), "alias": "Welcome"}
    assert without_covered(mined, [theirs]).covered == {routine.id: "Welcome"}
    assert without_covered(mined, [{**theirs, "action": []}]).covered == {}
