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
    listed = as_json(run("routines", "list", "--json"))
    assert (listed["routines"], listed["last_search"]) == ([], None)
    assert (listed["runs"]["wins"], listed["runs"]["losses"], listed["runs"]["win_to_loss"]) == (0, 0, None)
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


def keep(url: str, runs: dict[str, dict[str, int]], *documents: Document) -> None:
    with Store.open(url) as store:
        store.append(Batch(routines=list(documents), settings=[Setting("*", RUNS, runs)]))


def document(routine: Routine, status: str = "accepted", **body: object) -> Document:
    whole = {"routine": routine.to_dict(), "mode": "act", "why": "", **body}
    return Document(routine.id, status, datetime.now(UTC), whole)


def test_wins_against_losses(run: Run, url: str) -> None:
    other = edit(at="06:40", name="Earlier", skip=["switch.coffee"])
    runs = {
        MORNING.id: {"kept": 17, "changed": 1, "undone": 1},
        "gone": {"kept": 4, "changed": 0, "undone": 1, "by_hand": 3, "unwanted": 1},
    }
    keep(url, runs, document(MORNING), document(other))
    listed = as_json(run("routines", "list", "--json"))
    records = {r["id"]: r["runs"] for r in listed["routines"]}
    assert (records[MORNING.id]["ran"], records[MORNING.id]["undone"], records[other.id]) == (19, 1, None)
    assert records[MORNING.id]["win_to_loss"] == 8.5
    # kept 17 + 4 and 3 done by hand; changed 1, undone 1 + 1, not wanted 1
    assert {k: listed["runs"][k] for k in ("ran", "wins", "losses", "win_to_loss")} == {
        "ran": 24, "wins": 24, "losses": 4, "win_to_loss": 6.0,
    }  # fmt: skip
    text = " ".join(run("routines", "list").stdout.split())
    assert "All routines so far: ran 24 times: 21 kept, 1 changed, 2 undone" in text
    assert "24:4 is 6.0:1" in text
    shown = " ".join(run("routines", "show", MORNING.id).stdout.split())
    assert "ran 19 times: 17 kept, 1 changed, 1 undone; 17:2 is 8.5:1" in shown
    status = as_json(run("status", "--json"))["routines"]
    assert (status["accepted"], status["proposed"], status["wins"], status["losses"]) == (2, 0, 24, 4)
    assert "2 accepted, 0 proposed" in run("status").stdout


@pytest.mark.parametrize(
    ("body", "shown", "words"),
    [
        ({}, ("inkling", None, False, False), "runs by itself, in Inkling"),
        ({"mode": "ask"}, ("inkling", None, False, False), "asks each time, in Inkling"),
        ({"elsewhere": True}, ("home_assistant", "inkling_ID", False, False),
         "runs by itself, in Home Assistant (inkling_ID)"),
        ({"elsewhere": True, "off": "resident"}, ("home_assistant", "inkling_ID", False, True),
         "switched off in Home Assistant (inkling_ID)"),
        ({"elsewhere": True, "off": "rests", "rests": True}, ("home_assistant", "inkling_ID", True, False),
         "asks before it runs by itself again"),
    ],
)  # fmt: skip
def test_who_runs_it(run: Run, url: str, body: dict[str, object], shown: object, words: str) -> None:
    keep(url, {}, document(MORNING, **body))
    found = as_json(run("routines", "show", MORNING.id, "--json"))
    automation = found["automation"] and found["automation"].replace(MORNING.id, "ID")
    assert (found["runs_in"], automation, found["rests"], found["switched_off"]) == shown
    text = " ".join(run("routines", "show", MORNING.id).stdout.split())
    assert words.replace("ID", MORNING.id) in text


def test_nobody_runs_what_is_only_proposed(run: Run, url: str) -> None:
    keep(url, {}, document(MORNING, "proposed"))
    (listed,) = as_json(run("routines", "list", "--json"))["routines"]
    assert (listed["runs_in"], listed["automation"]) == (None, None)
