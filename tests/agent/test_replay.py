"""The log alone brings back what the running daemon had learned, to the tick."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.daemon import Daemon
from agent.engine import Engine
from agent.importers import load_into
from agent.pipeline import Pipeline
from agent.policy import Policy, PolicyConfig
from agent.settings import load_settings
from agent.store import Store
from agent.ticker import Ticker
from devices.context import Calendar, Context
from devices.events import StateChange, Tick
from devices.state import HomeState
from tests.agent.toys import T0, LongOn, change
from tests.daemon import without_sightings

MINUTE = timedelta(minutes=1)
OUTAGE = timedelta(minutes=5)


class Diary(LongOn):
    """Remembers each tick and change that it was told, in order: two that are alike have lived the same."""

    name = "diary"

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[str] = []

    def learn_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> None:
        super().learn_one(event, home, context)
        said = event.at if isinstance(event, Tick) else f"{event.entity_id} {event.new} {event.changed_at}"
        self.pages.append(f"{said} {context.local}")

    def to_dict(self) -> dict[str, Any]:
        return super().to_dict() | {"pages": self.pages}

    def load(self, data: dict[str, Any]) -> None:  # type: ignore[override]
        super().load(data)
        self.pages = list(data["pages"])


def engine(store: Store, max_gap: timedelta | None = OUTAGE) -> Engine:
    policy = Policy(PolicyConfig(per_day=50.0, burst=1.0, quiet_hours=None))
    pipeline = Pipeline(Calendar(ZoneInfo("UTC")), [Diary()], policy)
    return Engine(store, pipeline, Ticker(MINUTE, max_gap))


def lived(made: Engine) -> tuple[dict[str, Any], datetime | None]:
    return without_sightings(made.pipeline.to_dict()), made.ticker.last


# what happens, after how many minutes (a clock that is set back: before), and what becomes of it then
moments = st.lists(
    st.tuples(
        st.sampled_from(["on", "off", "unavailable", "tick", "tick", "held"]),
        st.one_of(st.floats(0, 3), st.floats(0, 12), st.sampled_from([0.0, 1.0, -90.0])),
        st.sampled_from(["", "", "", "snapshot", "restart"]),
    ),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(moments)
def test_the_log_alone_brings_everything_back(rows: Iterable[tuple[str, float, str]]) -> None:
    with Store.open("sqlite://") as store:
        made, minutes = engine(store), 0.0
        for what, gap, then in rows:
            minutes += gap
            if what == "tick":
                made.advance(T0 + timedelta(minutes=minutes))
            elif what == "held":  # for Home Assistant's context, while the minute ended
                made.take(change("light.b", "on" if made.events % 2 else "off", minutes - 0.005))
            else:
                made.take(change("light.a", what, minutes))
            made.commit()
            if then:
                made.snapshot(T0)
            if then == "restart":
                made = engine(store)
                made.restore()
        made.take(change("light.c", "on", minutes))
        made.commit()
        from_snapshot, from_log = engine(store), engine(store)
        from_snapshot.restore()
        from_log.replay(store.tail())
        assert lived(from_snapshot) == lived(made)
        assert lived(from_log) == lived(made)


def test_a_silence_in_which_the_clock_went_on_is_no_outage() -> None:
    with Store.open("sqlite://") as store:
        made = engine(store)
        made.take(change("light.a", "off", 0))
        for minute in range(1, 61):
            made.advance(T0 + minute * MINUTE)
        made.take(change("light.a", "on", 60.5))
        made.commit()
        again = engine(store)
        again.restore()
        assert lived(again) == lived(made)
        assert len(list(store.journal("tick"))) <= 60 / 4, "no row a minute for it"


def test_an_outage_is_one_in_a_replay_too() -> None:
    with Store.open("sqlite://") as store:
        made = engine(store)
        made.take(change("light.a", "on", 0))
        made.advance(T0 + 2 * MINUTE)
        made.advance(T0 + 90 * MINUTE)  # suspended meanwhile
        made.advance(T0 + 92 * MINUTE)
        made.take(change("light.a", "off", 93))
        made.commit()
        again = engine(store)
        again.restore()
        assert lived(again) == lived(made)
        ticks = [
            page[11:16] for page in again.pipeline.detectors[0].to_dict()["pages"] if "light" not in page
        ]
        assert ticks == ["10:01", "10:02", "11:31", "11:32", "11:33"]


def test_relearning_follows_the_time_of_receipt() -> None:
    """What waited with an old time of its own (a state told at connecting) doesn't turn time back."""
    with Store.open("sqlite://") as store:
        made = engine(store, None)
        for minutes in range(10, 30, 5):
            made.take(change("light.a", "on" if minutes % 10 else "off", minutes))
        old = change("light.b", "on", 12)
        made.take(StateChange("light.b", "on", old.changed_at, T0 + timedelta(minutes=28), retained=True))
        made.take(change("light.a", "off", 40))
        made.commit()
        again = engine(store)
        again.relearn()
        assert lived(again) == lived(made)


def test_what_is_imported_later_is_relearned_first() -> None:
    present = [change("light.a", new, minutes) for new, minutes in (("on", 100), ("off", 130), ("on", 140))]
    past = [change("light.a", new, minutes) for new, minutes in (("off", 1), ("on", 5), ("off", 9))]
    with Store.open("sqlite://") as store, Store.open("sqlite://") as in_order:
        made = engine(store)
        for event in present:
            made.take(event)
        made.commit()
        load_into(store, past)
        load_into(in_order, past + present)
        one, other = engine(store), engine(in_order)
        assert one.relearn() == other.relearn() == 6
        assert lived(one) == lived(other)
        assert one.ticker.max_gap == OUTAGE


def test_a_duplicate_changes_nothing_even_among_changes_of_one_moment() -> None:
    home = HomeState()
    story = [("on", 0.0), ("off", 5.0), ("on", 5.0), ("unavailable", 7.0), ("on", 8.0)]
    for new, minutes in story:
        home.apply(change("light.a", new, minutes))
    before = home.to_dict()
    restored = HomeState()
    restored.load(json.loads(json.dumps(before)))
    for fold in (home, restored):
        for new, minutes in story[:-1]:
            heard = replace(change("light.a", new, minutes), received_at=T0 + 9 * MINUTE)
            again = fold.apply(heard)
            assert again.old == again.new, f"{new} at {minutes} has counted"
        assert without_sightings({"home": fold.to_dict()}) == without_sightings({"home": before})


def test_after_the_clock_is_set_back_changes_count_again() -> None:
    home = HomeState()
    for new, minutes in (("off", 80.0), ("on", 90.0), ("on", 10.0), ("off", 20.0)):
        old = home.apply(change("light.a", new, minutes)).old
    assert old == "on", "and not late news from before minute 90"


def test_time_that_follows_events_goes_on_where_it_was(tmp_path: Path) -> None:
    """Or what comes late after a restart would be taken for news after a clock that was set back."""
    told = load_settings(None, clock="events", store={"url": f"sqlite:///{tmp_path}/inkling.db"})
    with Store.open(told.store.url) as store:
        made = engine(store, None)
        made.take(change("light.a", "on", 0.5))
        made.commit()
        daemon = Daemon(told, store)
        daemon._restore()
        assert daemon.clock.now() == T0 + timedelta(seconds=30)
