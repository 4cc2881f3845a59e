"""Every command: what it prints, as text and as JSON, and the exit code that scripts rely on.

0 done, 1 failed, 2 wrong usage, 3 not found, 4 unhealthy.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.database import Access
from agent.requests import HomeMode
from agent.store import Store
from agent.suggestions import Resolution, Status
from tests.agent.commands import Run, as_json
from tests.agent.living import Living, spoken
from tests.agent.log import T0, batch, many, suggestion
from tests.broker import Broker
from tests.process import HOST, wait_for

COMMANDS = [
    "run", "demo", "status", "doctor", "mode", "import", "record", "backtest", "explain", "forget",
    *(f"suggestions {v}" for v in ("list", "show", "accept", "reject", "intentional", "snooze", "undo")),
    *(f"routines {v}" for v in ("list", "show", "accept", "reject", "edit", "export", "mine")),
    *(f"goals {v}" for v in ("list", "show", "evaluate")),
    "prior build",
    *(f"trust {v}" for v in ("list", "allow", "forbid", "reset")),
]  # fmt: skip


def at(broker: Broker) -> dict[str, str]:
    return {"INKLING_MQTT__PORT": str(broker.port), "INKLING_MQTT__PROTOCOL": spoken(broker)}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/inkling.db"


@pytest.fixture
def past(url: str) -> str:
    """Leave a database with two suggestions, one answered; return the id of the open one."""
    answered, waiting = suggestion("light.hall"), suggestion("light.attic", 120)
    with Store.open(url) as store:
        written = batch(many(40))
        written.suggestions += [answered, waiting]
        written.resolutions.append(Resolution(answered.id, Status.REJECTED, T0 + timedelta(minutes=5)))
        feedback = {
            "kind": "feedback",
            "suggestion_id": answered.id,
            "verdict": "reject",
            "at": T0.isoformat(),
        }
        written.journal.append((41, T0, feedback))
        store.append(written)
    return waiting.id


def left_on(home: Living) -> str:
    return home.store.suggestions()[0].suggestion.id


# -- usage --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_of_the_command(run: Run, command: str) -> None:
    told = re.sub(r"\s+", " ", run(*command.split(), "--help").stdout)
    assert re.search(
        rf"Examples?: .*inkling {'explain|inkling ' if command.endswith('show') else ''}{command}", told
    )


def test_the_programs_help_names_every_command(run: Run) -> None:
    told = run("--help").stdout
    assert all(command.split()[0] in told for command in COMMANDS)
    assert "--install-completion" in told


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize(
    "words",
    [
        ("no-such-command",),
        ("explain",),
        ("mode", "party"),
        ("mode", "guest", "--for", "soon"),
        ("mode", "guest", "--for", "-3d"),
        ("suggestions", "snooze", "abc", "--for", "1 fortnight"),
        ("suggestions", "list", "--limit", "0"),
        ("record", "out.jsonl.gz", "--since", "yesterday"),
        ("forget",),
        ("forget", "light.hall", "--before", "2024-01-01"),
        ("forget", "--before", "some day"),
        ("demo", "--minutes", "0"),
        ("backtest",),
    ],
)
def test_wrong_usage_is_2(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words, code=2).stderr


@pytest.mark.parametrize(
    "words",
    [("status",), ("suggestions", "list"), ("explain", "abc"), ("mode", "home"), ("record", "x.jsonl.gz"),
     ("forget", "light.hall")],
)  # fmt: skip
def test_without_a_database_is_1_and_says_how_to_get_one(run: Run, words: tuple[str, ...]) -> None:
    told = run(*words, code=1).stderr
    assert "there is no database" in told
    assert "start the daemon once" in told


def test_an_error_as_json(run: Run) -> None:
    told = as_json(run("status", "--json", code=1))
    assert (told["error"], told["hint"][:5]) == ("MissingStoreError", "start")


def test_wrong_settings_are_1_and_named(run: Run, tmp_path: Path) -> None:
    for words in (("run",), ("status",), ("doctor",)):
        told = run(*words, code=1, INKLING_MQTT__PORT="many").stderr
        assert "mqtt.port: Input should be a valid integer" in told
    assert "no settings file" in run("status", "--config", str(tmp_path / "none.toml"), code=1).stderr


# -- looking ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("past")
def test_status(run: Run) -> None:
    told = as_json(run("status", "--json"))
    assert (told["running"], told["events"], told["entities"]) == (False, 40, 10)
    assert (told["suggestions"], told["open"], told["bad_payloads"]) == (2, 1, None)
    text = run("status").stdout
    assert "not running (inkling run)" in text
    assert "1 waiting for an answer, 2 so far" in text


def test_listing(run: Run, past: str) -> None:
    assert [s["id"] for s in as_json(run("suggestions", "list", "--json"))] == [past]
    assert len(as_json(run("suggestions", "list", "--all", "--json"))) == 2
    assert len(as_json(run("suggestions", "list", "--all", "--limit", "1", "--json"))) == 1
    text = run("suggestions", "list").stdout
    assert past in text
    assert "It has been on for long" in text


def test_an_empty_list_explains_itself(run: Run, url: str) -> None:
    with Store.open(url) as store:
        store.append(batch(many(40)))
    assert as_json(run("suggestions", "list", "--json")) == []
    assert "Nothing needs you. (40 events of 10 entities watched" in run("suggestions", "list").stdout


@pytest.mark.parametrize("command", [("explain",), ("suggestions", "show")])
def test_explaining(run: Run, past: str, command: tuple[str, ...]) -> None:
    told = as_json(run(*command, past[:6], "--json"))
    assert (told["id"], told["evidence"], told["commands"]) == (past, {"n": 212}, [])
    text = run(*command, past).stdout
    assert "It has been on for long" in text
    assert re.search(r"n\W+212", text)
    assert "light.attic → off" in text


def test_what_was_answered_before_is_shown(run: Run, past: str) -> None:
    answered = next(s for s in as_json(run("suggestions", "list", "--all", "--json")) if s["id"] != past)
    told = as_json(run("explain", answered["id"], "--json"))
    assert [a["answer"] for a in told["your_answers"]] == ["reject"]
    assert "you answered" in run("explain", answered["id"]).stdout


@pytest.mark.usefixtures("past")
def test_not_found_is_3(run: Run) -> None:
    assert "no suggestion ffff" in run("explain", "ffff", code=3).stderr
    assert "give more of the id" in run("explain", "", code=3).stderr
    assert as_json(run("suggestions", "accept", "ffff", "--json", code=3))["error"] == "NotFoundError"


# -- answering ----------------------------------------------------------------------------------------


def test_accepting_and_undoing(run: Run, home: Living) -> None:
    told = as_json(run("suggestions", "accept", left_on(home)[:8], "--json"))
    assert (told["status"], told["carried_out"]) == ("accepted", True)
    assert [(c.entity_id, c.state) for c in home.store.commands(left_on(home))] == [("light.lamp", "off")]
    assert "too late to accept it" in run("suggestions", "accept", left_on(home), code=1).stderr
    text = run("suggestions", "undo", left_on(home)).stdout
    assert "→ undone" in text
    assert "light.lamp → on" in text


@pytest.mark.parametrize(
    ("words", "status"),
    [(("reject",), "rejected"), (("intentional",), "intentional"), (("snooze", "--for", "2h"), "snoozed")],
)
def test_other_answers(run: Run, home: Living, words: tuple[str, ...], status: str) -> None:
    verb, *options = words
    assert f"→ {status}" in run("suggestions", verb, left_on(home), *options).stdout
    assert home.store.suggestions()[0].status.value == status
    if status == "snoozed":
        (alive,) = home.pipeline.alive.values()
        assert alive.snoozed_until is not None
        assert timedelta(minutes=119) < alive.snoozed_until - datetime.now(UTC) < timedelta(minutes=120)


def test_an_answer_waits_for_the_daemon(run: Run, past: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.cli_answers._WAIT_S", 0.1)
    assert "it will carry this out when it starts" in run("suggestions", "reject", past).stdout
    told = as_json(run("suggestions", "reject", past, "--json"))
    assert (told["status"], told["carried_out"]) == ("open", False)


def test_trust(run: Run, home: Living) -> None:
    assert "Inkling asks before it does anything" in run("trust", "list").stdout
    assert "May put light.lamp right by itself (dwell)" in run("trust", "allow", "light.lamp").stdout
    run("suggestions", "reject", left_on(home))
    expected = {"acts_unasked": {"dwell": True}, "silenced": [], "raised_bar": {"long_on": 0.5}}
    listed = as_json(run("trust", "list", "--json"))
    assert listed == {"act": [], "entities": {"light.lamp": expected}}
    assert as_json(run("explain", left_on(home), "--json"))["effects"] == expected
    text = run("explain", left_on(home)).stdout
    assert "bar (long_on)" in text
    assert "inkling trust reset light.lamp" in text
    assert "Asks before it may" in run("trust", "forbid", "light.lamp", "--detector", "missing").stdout
    assert "acts unasked (missing)" in run("trust", "list").stdout
    told = as_json(run("trust", "reset", "light.lamp", "--json"))
    assert told == {"entity_id": "light.lamp", "request": "reset", "carried_out": True}
    assert as_json(run("trust", "list", "--json"))["entities"] == {}
    assert "no events of light.lmap" in run("trust", "allow", "light.lmap", code=3).stderr


def test_modes(run: Run, home: Living) -> None:
    told = as_json(run("mode", "guest", "--for", "3d", "--json"))
    wait_for("guests", lambda: home.pipeline.policy.mode is HomeMode.GUEST)
    until = home.pipeline.policy.mode_until
    assert until is not None
    assert until.isoformat() == told["until"]
    assert "Mode home" in run("mode", "home").stdout
    wait_for("no guests", lambda: home.pipeline.policy.mode is HomeMode.HOME)


# -- the past -----------------------------------------------------------------------------------------


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Write twenty days of a light that is on for two minutes an hour, and then for a night."""
    path = tmp_path / "home.jsonl.gz"
    lines = []
    for n in range(480):
        for state, minute in (("on", 0), ("off", 2)):
            at = T0 + timedelta(hours=n, minutes=minute)
            lines.append({"entity_id": "light.hall", "state": state, "last_changed": at.isoformat()})
    lines.append({**lines[-2], "last_changed": (T0 + timedelta(hours=481)).isoformat()})
    lines.append({**lines[-2], "last_changed": (T0 + timedelta(hours=489)).isoformat()})
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(line | {"attributes": {"friendly_name": "Hall"}}) + "\n" for line in lines)
    return path


def test_backtest(run: Run, recording: Path, tmp_path: Path) -> None:
    first, again = (run("backtest", str(recording), "--json", "-").stdout for _ in range(2))
    assert first == again, "the same bytes"
    *lines, last = map(json.loads, first.splitlines())
    assert [line["entity_id"] for line in lines if line["kind"] == "hunch"] == ["light.hall"]
    contract = {"id", "kind", "detector", "entity_id", "raised_at", "expires_at", "resolved_at", "title",
                "evidence", "actions", "mode", "score", "threshold"}  # fmt: skip
    assert contract <= lines[0].keys()
    assert last["summary"]["kinds"]["hunch"] == 1
    assert last["summary"]["suggestions"] == len(lines)
    run("backtest", str(recording), "--json", str(tmp_path / "out.jsonl"))
    assert (tmp_path / "out.jsonl").read_text() == first
    text = run("backtest", str(recording)).stdout
    assert "Hall has been on" in text
    assert re.search(r"\d in 20\.", text)
    never = run("backtest", str(recording), "--warmup", "365", "--json", "-").stdout
    assert json.loads(never)["summary"]["suggestions"] == 0
    several = run("backtest", str(recording), str(recording), "--json", "-").stdout
    assert {json.loads(line)["recording"] for line in several.splitlines()} == {recording.name}


def test_importing_recording_and_forgetting(run: Run, recording: Path, tmp_path: Path) -> None:
    told = as_json(run("import", str(recording), "--json"))
    assert (told["new"], told["duplicates"], told["bad"], told["entities"]) == (962, 0, 0, 1)
    assert "0 changes imported, 962 were known" in run("import", str(recording)).stdout
    since = (T0 + timedelta(hours=480)).isoformat()
    assert as_json(run("import", str(recording), "--since", since, "--json"))["duplicates"] == 2

    out = tmp_path / "out.jsonl.gz"
    written = as_json(run("record", str(out), "--redact", "--json"))
    assert (written["changes"], written["redacted"]) == (962, True)
    assert "hall" not in gzip.decompress(out.read_bytes()).decode().lower()
    assert as_json(run("record", str(out), "--entity", "switch.*", "--json"))["changes"] == 0

    assert as_json(run("forget", "--before", since, "--json"))["forgotten"] == 960
    assert "2 events forgotten" in run("forget", "light.hall").stdout
    assert as_json(run("status", "--json"))["events"] == 0


def test_sources_that_are_none(run: Run, tmp_path: Path) -> None:
    assert "no file nothing.jsonl" in run("import", "nothing.jsonl", code=1).stderr
    assert "no recording nothing.jsonl" in run("backtest", "nothing.jsonl", code=1).stderr
    (tmp_path / "x.db").write_bytes(b"no database" * 100)
    assert run("import", "x.db", code=1).stderr
    assert "home_assistant.url isn't set" in run("import", "history", code=1).stderr


@pytest.mark.usefixtures("home")
def test_the_daemon_must_be_stopped_for_imports(run: Run, recording: Path) -> None:
    for words in (("import", str(recording)), ("forget", "light.lamp")):
        assert "stop the other one" in run(*words, code=1).stderr
    assert as_json(run("status", "--json"))["running"] is True
    assert "running" in run("status").stdout


# -- health -------------------------------------------------------------------------------------------


def test_the_doctor_finds_a_missing_broker(run: Run) -> None:
    found = {c["check"].split()[0]: c for c in as_json(run("doctor", "--json", code=4))}
    assert found["broker"]["health"] == "broken"
    assert found["broker"]["do"] == "is it running, and are mqtt.host and mqtt.port right?"
    assert found["settings"]["health"] == "warning", "no time zone"
    assert found["home"]["health"] == "warning", "no Home Assistant"
    assert found["database"]["health"] == "good"


@pytest.mark.usefixtures("past")
def test_the_doctor_is_content(run: Run, broker: Broker) -> None:
    told = run("doctor", INKLING_HOME__TIME_ZONE="Europe/Berlin", **at(broker)).stdout
    assert f"✓ broker {HOST}" in told or f"✓ broker localhost:{broker.port}" in told
    assert "✓ database" in told
    assert "40 events of 10 entities" in told


def test_the_doctor_reads_the_database(run: Run, url: str) -> None:
    Store.open(url).close()
    Path(url.removeprefix("sqlite:///")).write_bytes(b"broken" * 1000)
    found = {c["check"]: c for c in as_json(run("doctor", "--json", code=4))}
    assert found["database"]["health"] == "broken"
    assert "move the file" in found["database"]["do"]


# -- as a process -------------------------------------------------------------------------------------


def test_the_daemon_as_a_process_ends_cleanly(broker: Broker, url: str, tmp_path: Path) -> None:
    own = {"INKLING_STORE__URL": url, "INKLING_LOG__JSON_LINES": "true"}
    environment = {**os.environ, **own, **at(broker)}
    program = Path(sys.executable).with_name("inkling")
    ear = broker.client().subscribe("inkling/status")
    with subprocess.Popen([program, "run"], stderr=subprocess.PIPE, env=environment, cwd=tmp_path) as daemon:
        ear.wait_message("inkling/status", lambda p: p == b"online", 30)
        broker.publish("statestream/light/hall/state", "on")
        with Store.open(url, create=False, access=Access.READ) as store:
            wait_for("the event", lambda: store.stats().events)
        daemon.send_signal(signal.SIGTERM)
        _, logged = daemon.communicate(timeout=20)
    assert daemon.returncode == 0, logged
    assert [json.loads(line)["event"] for line in logged.splitlines()][-1] == "stopped"
    ear.wait_message("inkling/status", lambda p: p == b"offline")
    with Store.open(url, create=False) as store:
        assert not store.database.unclean
        assert store.stats().snapshots == 1
