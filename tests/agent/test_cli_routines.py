"""`inkling routines …`, from a search of the past to an edited routine that runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from agent.cli_routines import edited
from agent.engine import RUNS
from agent.errors import InklingError
from agent.records import Batch, Document, Setting
from agent.store import Store
from devices.events import Origin, Source, StateChange
from routines.routine import AtTime, Conditions, Routine, Step
from tests.agent.commands import Run, as_json
from tests.agent.living import Living
from tests.agent.log import batch
from tests.process import wait_for

MORNING = Routine(
    "Breakfast", AtTime(410), (Step("light.kitchen", "on"), Step("switch.coffee", "on", 60.0)), Conditions()
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/inkling.db"


@pytest.fixture
def breakfasts(url: str) -> None:
    """Leave a past in which coffee follows the kitchen's light by a minute, each morning about seven."""
    today = datetime.now(UTC).replace(hour=7, minute=0, second=0, microsecond=0)
    changes = []
    for n in range(40, 0, -1):
        begun = today - timedelta(days=n, minutes=n * 7 % 11)
        for entity_id, minutes in (("light.kitchen", 0.0), ("switch.coffee", 1.0)):
            for state, later in (("on", 0.0), ("off", 40.0 + n % 9)):
                at = begun + timedelta(minutes=minutes + later)
                before = "off" if state == "on" else "on"
                changes.append(
                    StateChange(
                        entity_id, state, at, at, before, origin=Origin.PHYSICAL, source=Source.STATESTREAM
                    )
                )
    with Store.open(url) as store:
        store.append(batch(sorted(changes, key=lambda c: c.changed_at)))


@pytest.mark.usefixtures("breakfasts")
def test_a_dry_run_shows_what_would_be_found_and_changes_nothing(run: Run) -> None:
    found = as_json(run("routines", "mine", "--dry-run", "--json"))
    steps = [{(s["entity_id"], s["state"]) for s in r["steps"]} for r in found["routines"]]
    assert any(("switch.coffee", "on") in items for items in steps)
    assert found["report"]["actions"] == 160  # 4 changes on 40 days
    assert found["carried_out"] is None
    assert "160 by a person" in run("routines", "mine", "--dry-run").stdout
    none = {"kept": 0, "changed": 0, "undone": 0}
    assert as_json(run("routines", "list", "--json")) == {"routines": [], "last_search": None, "runs": none}
    assert "inkling routines mine does it now" in run("routines", "list").stdout


def test_nothing_found_explains_itself(run: Run, url: str) -> None:
    Store.open(url).close()
    assert "0 events on 0 days" in run("routines", "mine", "--dry-run").stdout


@pytest.mark.usefixtures("breakfasts")
def test_mined_accepted_edited_exported_and_let_go(run: Run, request: pytest.FixtureRequest) -> None:
    """Everything beside a running daemon."""
    home: Living = request.getfixturevalue("home")  # starts with that past
    assert as_json(run("routines", "mine", "--json"))["carried_out"] is True
    wait_for("a proposal", home.store.routines)
    (proposed,) = as_json(run("routines", "list", "--json"))["routines"]
    assert proposed["status"] == "proposed"
    (told,) = [s for s in home.store.suggestions() if s.suggestion.kind == "routine_proposed"]
    assert told.suggestion.evidence["routine"]["id"] == proposed["id"]

    assert "→ accepted, asks each time" in run("routines", "accept", proposed["id"][:6], "--ask").stdout
    after = as_json(run("routines", "edit", proposed["id"], "--at", "06:40", "--days", "mon,fri", "--json"))
    assert after["routine"]["trigger"]["minute"] == 400
    assert after["routine"]["conditions"]["weekdays"] == [0, 4]
    edited_id = after["routine"]["id"]
    config = yaml.safe_load(run("routines", "export", edited_id).stdout)
    assert config["trigger"] == [{"platform": "time", "at": "06:40:00"}]
    assert "!input" in run("routines", "export", edited_id, "--blueprint").stdout
    assert as_json(run("explain", edited_id, "--json"))["status"] == "accepted"
    assert "→ retired" in run("routines", "reject", edited_id).stdout
    assert as_json(run("routines", "list", "--json"))["routines"] == []
    statuses = [r["status"] for r in as_json(run("routines", "list", "--all", "--json"))["routines"]]
    assert set(statuses) == {"retired"}
    assert home.call(lambda: home.pipeline.routines.entries[edited_id].standing) == "retired"


def test_an_unknown_id_is_not_found(run: Run, url: str) -> None:
    Store.open(url).close()
    told = run("routines", "show", "abc", "--json", code=3)
    assert json.loads(told.stdout)["hint"] == "inkling routines list --all shows all of them"


# -- editing ------------------------------------------------------------------------------------------


def edit(**changes: object) -> Routine:
    return edited(MORNING, **{"at": None, "skip": [], "days": None, "name": None, **changes})  # type: ignore[arg-type]


def test_edits() -> None:
    assert edit(at="06:40").trigger == AtTime(400)
    assert [s.entity_id for s in edit(skip=["switch.coffee"]).steps] == ["light.kitchen"]
    assert edit(days="weekends").conditions.weekdays == (5, 6)
    assert edit(days="Tue, sat").conditions.weekdays == (1, 5)
    assert edit(days="weekdays").name == "Kitchen and coffee on, weekdays about 06:50"
    assert edit(name="Coffee!").name == "Coffee!"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"at": "25:00"}, "no time of day"),
        ({"at": "soon"}, "no time of day"),
        ({"days": "someday"}, "no such day"),
        ({"skip": ["light.attic"]}, "no step concerns light.attic"),
        ({"skip": ["light.kitchen", "switch.coffee"]}, "no step would be left"),
        ({}, "nothing to change"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(InklingError, match=complaint):
        edit(**changes)


# -- how the runs went --------------------------------------------------------------------------------


def test_kept_against_changed_and_undone(run: Run, url: str) -> None:
    other = edit(at="06:40", name="Earlier", skip=["switch.coffee"])
    now = datetime.now(UTC)
    runs = {
        MORNING.id: {"kept": 17, "changed": 1, "undone": 1},
        "gone": {"kept": 4, "changed": 0, "undone": 1},
    }
    body = {"mode": "act", "why": ""}
    with Store.open(url) as store:
        documents = [
            Document(r.id, "accepted", now, {"routine": r.to_dict(), **body}) for r in (MORNING, other)
        ]
        store.append(Batch(routines=documents, settings=[Setting("*", RUNS, runs)]))
    listed = as_json(run("routines", "list", "--json"))
    assert {r["id"]: r["runs"] for r in listed["routines"]} == {MORNING.id: runs[MORNING.id], other.id: None}
    assert listed["runs"] == {"kept": 21, "changed": 1, "undone": 2}
    text = run("routines", "list").stdout
    assert "17 of 19" in text
    assert "All runs so far: 21 kept, 1 changed, 2 undone, 7.0:1." in text  # 21 : (1 + 2)
    assert "17 kept, 1 changed, 1 undone, 8.5:1" in run("routines", "show", MORNING.id).stdout
