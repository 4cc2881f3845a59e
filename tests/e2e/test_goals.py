"""A film begins and the lamp of that room is offered: accepted, turned down, and quiet after that."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.assembly import build_pipeline
from agent.engine import Engine
from agent.requests import Feedback
from agent.settings import load_settings
from agent.store import Store
from agent.suggestions import Output, Suggestion, Verdict
from agent.ticker import Ticker
from devices.events import Origin
from devices.recording import format_line
from tests.e2e.client import Events
from tests.e2e.devices import FakeDevice
from tests.e2e.films import change, films, lamp, tv
from tests.e2e.inkling import Inkling
from tests.e2e.lab import HomeAssistant
from tests.e2e.test_daemon import told
from tests.process import wait_for

SINCE = timedelta(days=3)
"""How long ago the past ends that is imported."""
TRIES = 40


@pytest.fixture
def inkling(inkling: Inkling, tmp_path: Path) -> Inkling:
    """Return a daemon, not yet started, that has learned three weeks of films."""
    inkling.make_it_afternoon()
    past = films(datetime.now(UTC) - SINCE)
    (tmp_path / "past.jsonl").write_bytes(b"".join(map(format_line, past)))
    assert inkling.cli("import", str(tmp_path / "past.jsonl"))["new"] == len(past)
    return inkling


@dataclass(frozen=True, slots=True)
class Room:
    """A room with a lamp and a TV, which is as its screen reports."""

    ha: HomeAssistant
    name: str
    screen: FakeDevice
    lamp: FakeDevice

    def begin(self, inkling: Inkling) -> dict[str, Any]:
        """Start a film, as with the remote control; return what Inkling decided of it."""
        before = len(inkling.journal("weighed"))
        self.screen.report("playing")

        def decided() -> dict[str, Any] | None:
            found = inkling.journal("weighed")
            return found[before] if len(found) > before else None

        decision = wait_for("a decision", decided, 10, 0.05)
        assert decision is not None
        return decision

    def end(self) -> None:
        """Stop the film."""
        began = int(time.time())
        self.screen.report("off")
        self.ha.wait_state(tv(self.name), "off")
        wait_for("the next second, by which occasions are told apart", lambda: int(time.time()) > began)


@contextmanager
def room(ha: HomeAssistant, name: str) -> Iterator[Room]:
    screen = ha.device("sensor", f"{name}_screen")
    screen.state = "off"
    with screen, ha.device("light", f"{name}_lamp") as device:
        ha.wait_state(screen.entity_id, "off")
        ha.wait_state(tv(name), "off")
        ha.wait_state(device.entity_id, "off")
        yield Room(ha, name, screen, device)


def press(ha: HomeAssistant, events: Events, button: str, status: str, raised: dict[str, Any]) -> None:
    """Answer what is on top in Home Assistant."""
    ha.call("button", "press", f"button.inkling_{button}")
    told(events, status, id=raised["id"])
    ha.wait_state("sensor.inkling_pending", "0")


def test_the_lamp_of_the_room_in_which_a_film_begins(ha: HomeAssistant, inkling: Inkling) -> None:
    (goal,) = inkling.cli("goals", "list")
    assert goal["title"].startswith("When you start the TV in any room, you switch on the light there")
    assert goal["answers"] is None or not goal["answers"]["shown"], "nobody was asked in an imported past"
    inkling.start()
    with room(ha, "snug") as snug, room(ha, "parlour") as parlour, ha.events() as events:
        for device in (snug.lamp, parlour.lamp):
            inkling.wait_row(device.entity_id, "off", datetime.now(UTC) - SINCE * 2)
        start = datetime.now(UTC)
        snug.begin(inkling)
        raised = told(events, "raised", kind="goal", entity_id=lamp("snug"))
        assert raised["evidence"]["room"] == "snug"
        assert raised["title"].endswith("Do it now?")
        assert ha.wait_state("sensor.inkling_pending", "1")["attributes"]["top"]["id"] == raised["id"]
        press(ha, events, "accept", "accepted", raised)
        snug.lamp.wait_command("ON")
        assert inkling.wait_row(lamp("snug"), "on", start).origin is Origin.AGENT
        assert inkling.wait_row(tv("snug"), "playing", start).by_resident

        parlour.begin(inkling)
        other = told(events, "raised", kind="goal", entity_id=lamp("parlour"))
        press(ha, events, "reject", "rejected", other)
        assert parlour.lamp.commands == []
        known = inkling.cli("explain", raised["id"])
        assert known["goal"]["answers"] == {"accept": 1, "reject": 1}
        assert known["commands"][0]["entity_id"] == lamp("snug")


# -- unwanted -----------------------------------------------------------------------------------------


def turned_down(inkling: Inkling, folder: Path, at: datetime) -> str:
    """Live through a film that began after the past and before the start; return what was turned down."""
    said: list[Output] = []
    with Store.open(inkling.url) as store:
        pipeline = build_pipeline(load_settings(folder / "inkling.toml"))
        engine = Engine(store, pipeline, Ticker(), lambda outputs, _at: said.extend(outputs))
        engine.restore()
        for entity_id in (tv("snug"), lamp("snug")):
            engine.take(change(entity_id, "off", at - timedelta(minutes=1)))
        engine.take(change(tv("snug"), "playing", at))
        engine.commit()
        (suggestion,) = (output for output in said if isinstance(output, Suggestion))
        engine.take(Feedback(suggestion.id, Verdict.REJECTED, at + timedelta(minutes=1)))
        engine.take(change(tv("snug"), "off", at + timedelta(minutes=9)))
        engine.commit()
        engine.snapshot(at + timedelta(minutes=9))
    return suggestion.id


def test_rejected_twice_it_goes_quiet_and_says_why(
    ha: HomeAssistant, inkling: Inkling, tmp_path: Path
) -> None:
    evening = timedelta(hours=44)  # ago: a no makes a question cost more at the same hour, too
    first = turned_down(inkling, tmp_path, datetime.now(UTC) - evening)
    inkling.start()
    with room(ha, "parlour") as parlour, ha.events() as events:
        inkling.wait_row(parlour.lamp.entity_id, "off", datetime.now(UTC) - SINCE)
        for _ in range(TRIES):  # after one rejection it is offered now and then
            if parlour.begin(inkling)["show"]:
                break
            parlour.end()
        raised = told(events, "raised", kind="goal", entity_id=lamp("parlour"))
        press(ha, events, "reject", "rejected", raised)
        parlour.end()

        decisions = []
        for _ in range(2):  # a rare second chance would not come twice
            decisions.append(parlour.begin(inkling))
            parlour.end()
        assert not all(d["show"] for d in decisions)
        assert decisions[0]["reason"] in {"suppressed", "second_chance"}
        assert decisions[0]["p_show"] < 0.01

    for suggestion_id in (first, raised["id"]):
        goal = inkling.cli("explain", suggestion_id)["goal"]
        assert goal["quiet"] is True
        assert "2 reject" in goal["why"]
        assert "worse than silence" in goal["why"]
    (listed,) = inkling.cli("goals", "list")
    assert listed["answers"]["quiet"] is True
    assert inkling.cli("explain", listed["id"])["answers"]["why"] == goal["why"]
