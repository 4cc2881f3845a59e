"""Where the home is: who is asked, who is believed, and what becomes of what was learned elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from agent.engine import Engine
from agent.ha_listener import HomeInfo
from agent.importers import write_recording
from agent.mining import Job
from agent.place import Knows, Place, find_place, kept, machine_zone, place_of
from agent.records import Batch
from agent.requests import Mined
from agent.settings import load_settings
from agent.store import Store
from agent.ticker import Ticker
from devices.context import Calendar
from tests.agent.commands import Run, as_json
from tests.agent.fake_ha import TOKEN, FakeHomeAssistant
from tests.agent.living import Living
from tests.agent.log import many
from tests.agent.toys import T0, change, pipeline

BERLIN, TOKYO = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")
SAID = kept({"time_zone": "Asia/Tokyo", "latitude": 35.7, "longitude": 139.7, "currency": "JPY"})


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/inkling.db"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        yield opened


def where(calendar: Calendar) -> tuple[str, float | None, float | None]:
    return calendar.zone.key, calendar.latitude, calendar.longitude


def told(place: Place) -> tuple[str, float | None, float | None, Knows]:
    return (*where(place.calendar), place.source)


# -- the machine's own ----------------------------------------------------------------------------------


def test_the_machines_zone(tmp_path: Path) -> None:
    nothing, link, copy, text = (tmp_path / name for name in ("nothing", "link", "copy", "text"))
    link.symlink_to("/usr/share/zoneinfo/America/New_York")
    copy.write_bytes(b"TZif2")
    text.write_text("Asia/Tokyo\n")
    assert machine_zone({"TZ": "Europe/Berlin"}, link, text) == "Europe/Berlin"
    assert machine_zone({}, link, text) == "America/New_York"
    assert machine_zone({}, copy, text) == "Asia/Tokyo"
    assert machine_zone({}, nothing, nothing) == "UTC"


@pytest.mark.parametrize(
    "tz", ["", "CET-1CEST,M3.5.0,M10.5.0/3", "/usr/share/zoneinfo/Asia/Tokyo", "../x", "\0"]
)
def test_what_names_no_zone_is_passed_over(tmp_path: Path, tz: str) -> None:
    assert machine_zone({"TZ": tz}, tmp_path / "a", tmp_path / "b") == "UTC"


# -- who is believed ------------------------------------------------------------------------------------


def test_the_settings_first_then_home_assistant_then_the_machine(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    plain = load_settings(None)
    assert told(place_of(plain, store)) == ("America/New_York", None, None, Knows.MACHINE)
    store.append(Batch(settings=[SAID]))
    assert told(place_of(plain, store)) == ("Asia/Tokyo", 35.7, 139.7, Knows.HOME_ASSISTANT)
    said = load_settings(None, home={"time_zone": "Europe/Berlin", "latitude": 52.5, "longitude": 13.4})
    assert told(place_of(said, store)) == ("Europe/Berlin", 52.5, 13.4, Knows.SETTINGS)


@pytest.mark.parametrize("zone", ["Nowhere/Land", None, 5])
def test_what_home_assistant_cannot_mean_is_passed_over(store: Store, zone: object) -> None:
    store.append(Batch(settings=[kept({"time_zone": zone})]))
    assert place_of(load_settings(None), store).source is Knows.MACHINE


def test_home_assistant_is_asked_once_where_nobody_knows(store: Store) -> None:
    async def ask() -> tuple[Place, Place, list[str]]:
        async with FakeHomeAssistant() as home:
            settings = load_settings(None, home_assistant={"url": home.url, "token": TOKEN})
            first = await find_place(settings, store)
            return first, await find_place(settings, store), home.requests

    first, again, requests = asyncio.run(ask())
    assert told(first) == told(again) == ("Europe/Berlin", 52.5, 13.4, Knows.HOME_ASSISTANT)
    assert requests == ["/api/config"]


def test_while_home_assistant_is_down_the_machines_zone_does(store: Store) -> None:
    settings = load_settings(None, home_assistant={"url": "http://127.0.0.1:9", "token": TOKEN})
    with capture_logs() as logs:
        place = asyncio.run(find_place(settings, store))
    assert place.source is Knows.MACHINE
    assert [entry["zone"] for entry in logs if entry["log_level"] == "warning"] == ["UTC"]


# -- what was learned in another zone -------------------------------------------------------------------


def engine(store: Store, zone: ZoneInfo) -> Engine:
    made = Engine(store, pipeline(), Ticker(timedelta(minutes=1), None))
    made.locate(Calendar(zone))
    return made


def live(made: Engine) -> None:
    made.restore()
    made.take(change("light.hall", "off", 0))
    made.take(change("light.hall", "on", 1))
    made.commit()
    made.snapshot(T0)


def test_a_snapshot_of_another_zone_is_learned_again(store: Store) -> None:
    live(engine(store, BERLIN))
    assert engine(store, BERLIN).restore() == 0
    with capture_logs() as logs:
        assert engine(store, TOKYO).restore() == 2
    assert [(e["was"], e["zone"]) for e in logs if "zone" in e] == [("Europe/Berlin", "Asia/Tokyo")]


def test_a_zone_that_turns_out_to_be_another_is_said_and_learned_again_at_the_next_start(
    store: Store,
) -> None:
    made = engine(store, BERLIN)
    live(made)
    with capture_logs() as logs:
        made.locate(Calendar(BERLIN, 52.5, 13.4))
        assert logs == []
        made.locate(Calendar(TOKYO))
    assert [(e["learned_in"], e["zone"]) for e in logs] == [("Europe/Berlin", "Asia/Tokyo")]
    assert made.pipeline.calendar.zone is TOKYO
    made.take(change("light.hall", "off", 9))
    made.commit()
    made.snapshot(T0)
    assert engine(store, TOKYO).restore() == 3


def test_before_anything_is_learned_any_zone_will_do(store: Store) -> None:
    made = engine(store, BERLIN)
    made.restore()
    with capture_logs() as logs:
        made.locate(Calendar(TOKYO))
    assert logs == []
    made.take(change("light.hall", "on", 1))
    made.commit()
    made.snapshot(T0)
    assert engine(store, TOKYO).restore() == 0


def test_a_daemon_takes_home_assistants_word_and_keeps_it(home: Living) -> None:
    info = HomeInfo("2026.11.0", "Asia/Tokyo", 35.7, 139.7, "user", admin=True)

    def connected() -> None:
        home.daemon._on_home_info(info)
        home.daemon.engine.commit()

    home.call(connected)
    assert where(home.pipeline.calendar) == ("Asia/Tokyo", 35.7, 139.7)
    assert told(place_of(load_settings(None), home.store)) == (
        "Asia/Tokyo",
        35.7,
        139.7,
        Knows.HOME_ASSISTANT,
    )
    home.call(lambda: home.daemon.engine.snapshot(datetime.now(UTC)))
    found = home.store.load_snapshot()
    assert found is not None
    assert found[1]["zone"] == "UTC"  # in which it has learned


# -- commands -------------------------------------------------------------------------------------------


@pytest.fixture
def recording(tmp_path: Path) -> str:
    path = tmp_path / "home.jsonl"
    write_recording(path, many(50))
    return str(path)


def test_an_import_says_in_which_zone_it_learns(run: Run, recording: str) -> None:
    said = as_json(run("import", recording, "--json", TZ="America/New_York"))
    assert (said["time_zone"], said["time_zone_from"]) == ("America/New_York", "this machine")
    again = run("import", recording, TZ="America/New_York").stdout
    assert "America/New_York" in again
    assert "set home.time_zone if the home is elsewhere" in " ".join(again.split())


def test_an_import_learns_where_the_home_is_known_to_be(run: Run, url: str, recording: str) -> None:
    with Store.open(url) as store:
        store.append(Batch(settings=[SAID]))
    said = as_json(run("import", recording, "--json", TZ="America/New_York"))
    assert (said["time_zone"], said["time_zone_from"]) == ("Asia/Tokyo", "Home Assistant")
    with Store.open(url) as store:
        snapshot = store.load_snapshot()
    assert snapshot is not None
    assert snapshot[1]["zone"] == "Asia/Tokyo"


def test_a_search_goes_by_the_zone_that_home_assistant_told(
    run: Run, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Job] = []

    def mine(job: Job, _progress: object) -> Mined:
        jobs.append(job)
        return Mined(T0, (), {"text": "nothing"})

    with Store.open(url) as store:
        store.append(Batch(settings=[SAID]))
    monkeypatch.setattr("agent.cli_routines.mine_store", mine)
    run("routines", "mine", "--dry-run")
    assert [(j.time_zone, j.latitude) for j in jobs] == [("Asia/Tokyo", 35.7)]


def test_the_doctor_says_whose_zone_it_is(run: Run, url: str) -> None:
    def settings(**more: str) -> tuple[str, str]:
        found = as_json(run("doctor", "--json", code=4, **more))
        (check,) = (c for c in found if c["check"] == "settings")
        return check["health"], check["says"]

    assert settings(TZ="Asia/Tokyo") == (
        "warning", "valid, but the home's time zone isn't known: using this machine's, Asia/Tokyo",
    )  # fmt: skip
    with Store.open(url) as store:
        store.append(Batch(settings=[SAID]))
    assert settings() == ("good", "valid; time zone Asia/Tokyo (from Home Assistant)")
