"""Searching the past for routines: in a child of the daemon's, and night by night in a replay."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.mining import Job, MiningError, NightlyMiner, mine_in_child, mine_store, without_covered
from agent.store import Store
from devices.context import Calendar
from devices.events import Origin, Source, StateChange
from tests.agent.log import batch

MONDAY = datetime(2024, 3, 4, tzinfo=UTC)
HEAVY = ("mlxtend", "numpy", "pandas", "river", "sklearn")


def breakfasts(days: int = 40) -> list[StateChange]:
    """Return a life in which coffee follows the kitchen's light by a minute, each morning about seven."""
    changes = []
    for n in range(days):
        begun = MONDAY + timedelta(days=n, hours=7, minutes=n * 7 % 11)
        for entity_id, minutes in (("light.kitchen", 0.0), ("switch.coffee", 1.0)):
            for state, later in (("on", 0.0), ("off", 40.0 + n % 9)):
                at = begun + timedelta(minutes=minutes + later)
                before = "off" if state == "on" else "on"
                made = StateChange(entity_id, state, at, at, before)
                changes.append(replace(made, origin=Origin.PHYSICAL, source=Source.STATESTREAM))
    return sorted(changes, key=lambda c: c.changed_at)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    url = f"sqlite:///{tmp_path}/inkling.db"
    with Store.open(url) as store:
        store.append(batch(breakfasts()))
    return Job(url, until=(MONDAY + timedelta(days=40)).isoformat())


def test_a_child_finds_what_this_process_would(job: Job) -> None:
    found = asyncio.run(mine_in_child(job))
    assert found == mine_store(job)
    assert any(("switch.coffee", "on") in r.items for r in found.routines)
    assert found.report["actions"] == 160  # four changes on forty days
    assert "160 by a person" in found.report["text"]


def test_only_the_days_asked_for_are_searched(job: Job) -> None:
    assert mine_store(replace(job, days=10)).report["actions"] == 40


def test_a_past_that_ended_long_ago_is_searched_all_the_same(job: Job) -> None:
    years_later = replace(job, until=(MONDAY + timedelta(days=4000)).isoformat())
    assert mine_store(years_later).report["actions"] == 160


def test_a_search_that_fails_says_why(job: Job) -> None:
    with pytest.raises(MiningError, match="no database"):
        asyncio.run(mine_in_child(replace(job, url=job.url + "x")))


def child(monkeypatch: pytest.MonkeyPatch, folder: Path, does: str) -> None:
    """Let something else run in the child's place."""
    script = folder / "child"
    script.write_text(f"#!/bin/sh\n{does}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("kill -9 $$", "ended with -9"),
        ("cat > /dev/null; echo no space left on device >&2; exit 1", "no space left on device"),
        ('cat > /dev/null; printf \'{"kind": "mined", "rout\'', "can't be read"),
        ('cat > /dev/null; echo \'{"kind": "mined"}\'', "can't be read"),
        ("cat > /dev/null", "can't be read"),
        ("cat > /dev/null; echo '[]'", "can't be read"),
    ],
)
def test_a_child_that_dies_or_raves_is_an_error_like_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, job: Job, does: str, why: str
) -> None:
    child(monkeypatch, tmp_path, does)
    with pytest.raises(MiningError, match=why):
        asyncio.run(mine_in_child(job))


def test_without_a_process_nothing_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, job: Job
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(MiningError, match="no process"):
        asyncio.run(mine_in_child(job))


def test_a_child_that_takes_too_long_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, job: Job
) -> None:
    child(monkeypatch, tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    monkeypatch.setattr("agent.mining.TIMEOUT_S", 1.0)
    with pytest.raises(TimeoutError):
        asyncio.run(mine_in_child(job))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_progress_is_told_and_ends_near_the_end(job: Job) -> None:
    shares: list[float] = []
    mine_store(job, lambda _stage, share: shares.append(share))
    assert shares == sorted(shares)
    assert 0.5 < shares[-1] <= 1.0


def test_what_an_automation_does_already_is_noted(job: Job) -> None:
    found = mine_store(job)
    best = found.routines[0]
    theirs = {
        "alias": "Coffee time",
        "triggers": [{"trigger": "event"}],
        "actions": [
            {"action": f"{e.partition('.')[0]}.turn_{s}", "target": {"entity_id": e}} for e, s in best.items
        ],
    }
    assert without_covered(found, [theirs]).covered[best.id] == "Coffee time"
    assert without_covered(found, []).covered == {}


def test_a_replay_is_searched_once_a_night_with_what_lies_behind_it() -> None:
    miner = NightlyMiner(Calendar(ZoneInfo("UTC")), time(3, 30), include_unknown=False)
    nights, past = [], iter(breakfasts(20))
    change = next(past)
    for hour in range(20 * 24):
        at = MONDAY + timedelta(hours=hour)
        while change.changed_at <= at:
            miner.heard(change)
            change = next(past, replace(change, changed_at=at + timedelta(days=99)))
        if (mined := miner.due(at)) is not None:
            nights.append((at, mined.report["actions"]))
    assert [at.hour for at, _ in nights] == [4] * 19  # the first tick at half past three or later
    assert [count for _, count in nights] == [4 * n for n in range(1, 20)]


def test_the_daemon_never_loads_what_mining_needs() -> None:
    code = f"import sys, agent.cli, agent.daemon; print(sorted(set(sys.modules) & set({HEAVY!r})))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert loaded.stdout.strip() == "[]"
