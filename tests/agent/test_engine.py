"""The pipeline on the store: written first, then said; kept while it can't be written; restarted anywhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.engine import SNAPSHOT_EVENTS, Engine
from agent.errors import DiskFullError
from agent.records import Batch, Setting
from agent.requests import Feedback, Forget
from agent.store import Store
from agent.suggestions import Command, Output, Resolution, Status, Suggestion, Verdict
from agent.ticker import Ticker
from tests.agent.toys import T0, change, pipeline

LAMP = "light.lamp"


class Said:
    """Collects what the engine hands on."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []

    def __call__(self, outputs: Sequence[Output], _at: datetime) -> None:
        self.outputs += outputs


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def engine(store: Store, said: Said | None = None) -> Engine:
    made = Engine(store, pipeline(), Ticker(timedelta(minutes=1)), said or Said())
    made.restore()
    return made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path}/inkling.db")


def left_on(made: Engine) -> None:
    made.take(change(LAMP, "off", 0))
    made.take(change(LAMP, "on", 1))
    made.advance(at(12))


def state(made: Engine) -> str:
    return json.dumps(made.pipeline.to_dict())


def full(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def append(_batch: Batch) -> None:
        raise DiskFullError("no room")

    monkeypatch.setattr(store, "append", append)


def test_nothing_is_said_before_it_is_written(store: Store) -> None:
    with store:
        said = Said()
        made = engine(store, said)
        left_on(made)
        assert (said.outputs, store.suggestions()) == ([], [])
        made.commit()
        (raised,) = said.outputs
        assert isinstance(raised, Suggestion)
        assert [s.suggestion for s in store.suggestions()] == [raised]
        made.commit()
        assert said.outputs == [raised], "said once"


def test_a_failed_commit_keeps_everything_for_the_next(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store:
        said = Said()
        made = engine(store, said)
        item = store.inbox_put("feedback", {}, T0)
        made.keep(Setting("*", "place", "here"))
        with monkeypatch.context() as trouble:
            full(store, trouble)
            left_on(made)
            for n in range(3):
                with pytest.raises(DiskFullError):
                    made.commit(inflight=[(1, b"1234")] if n == 0 else (), inbox=[item] if n == 0 else ())
            assert said.outputs == []
            assert (made.unwritten_packets, made.unwritten_requests) == ([(1, b"1234")], [item])
        made.commit()
        assert len(said.outputs) == 1
        assert [c.new for c in store.events()] == ["off", "on"]
        assert store.recent_packets() == [(1, b"1234")]
        assert not store.inbox_pending(item)
        assert [s.value for s in store.settings()] == ["here"]
        assert (made.pending, made.unwritten_packets) == (False, [])


def test_silence_in_an_imported_past_raises_no_bar(store: Store) -> None:
    """Nobody was asked: what a replay of it would have said, and nobody answered, is no answer."""
    with store:
        past = [
            change(LAMP, "on" if n % 2 else "off", 12 * 60 * n)  # half a day each
            for n in range(8)
        ]
        store.append(Batch(changes=[(n, c, None) for n, c in enumerate(past, 1)]))
        made = Engine(store, pipeline(), Ticker(timedelta(minutes=1)))
        made.relearn()
        assert made.pipeline.policy.effects(LAMP)["raised_bar"] == {}


def test_a_restart_continues_as_if_nothing_had_happened(store: Store) -> None:
    with store:
        first = engine(store)
        left_on(first)
        first.commit()
        again = engine(store)  # from the log alone
        assert state(again) == state(first)
        first.snapshot(at(12))
        assert state(engine(store)) == state(first), "from the snapshot alone"
        (suggestion_id,) = first.pipeline.alive
        said = Said()
        last = engine(store, said)
        last.take(Feedback(suggestion_id, Verdict.ACCEPTED, at(13)))
        last.commit()
        assert [type(o) for o in said.outputs] == [Resolution, Command]
        assert store.suggestions()[0].status is Status.ACCEPTED
        assert state(engine(store)) == state(last), "from the snapshot and the log"


def test_a_snapshot_of_another_release_is_learned_again(store: Store) -> None:
    with store:
        first = engine(store)
        left_on(first)
        first.commit()
        store.save_snapshot(first._seq, {"pipeline": {"of": "another form"}, "ticked": None}, at(12))
        assert state(engine(store)) == state(first)


rows = st.lists(
    st.tuples(st.sampled_from(["light.a", "light.b"]), st.sampled_from(["on", "off"]), st.floats(0.1, 30)),
    min_size=1,
    max_size=15,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows, st.sets(st.integers(0, 14)), st.sets(st.integers(0, 14)), st.integers(0, 2))
def test_wherever_it_is_cut_a_restart_changes_nothing(
    rows: list[tuple[str, str, float]], snapshots: set[int], restarts: set[int], accepts: int
) -> None:
    """An engine that is restarted now and then says what an undisturbed one says, in the same words."""

    def live(cuts: set[int], keeps: set[int]) -> list[Output]:
        with Store.open("sqlite://") as store:
            said = Said()
            made, minutes, answers = engine(store, said), 0.0, accepts
            for n, (entity, new, gap) in enumerate(rows):
                minutes += gap
                made.take(change(entity, new, minutes))
                if answers and made.pipeline.alive:
                    made.take(Feedback(next(iter(made.pipeline.alive)), Verdict.ACCEPTED, at(minutes)))
                    answers -= 1
                made.commit()
                if n in keeps:
                    made.snapshot(at(minutes))
                if n in cuts:
                    made = engine(store, said)
            return said.outputs

    assert live(restarts, snapshots) == live(set(), set())


def test_relearning_in_order_of_time_gives_what_living_gave(store: Store) -> None:
    with store:
        made = engine(store)
        left_on(made)
        made.take(Forget(at(14), LAMP, renamed_to="light.reading"))
        made.commit()
        again = Engine(store, pipeline(), Ticker(timedelta(minutes=1)))
        again.relearn()
        assert state(again) == state(made)


def test_a_snapshot_is_made_when_there_is_something_new(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store:
        made = engine(store)
        made.snapshot(T0)
        assert store.load_snapshot() is None
        made.take(change(LAMP, "on", 0))
        made.commit()
        made.snapshot(T0)
        assert store.stats().snapshots == 1
        made.snapshot(T0)
        assert store.stats().snapshots == 1, "nothing has happened since"
        monkeypatch.setattr("agent.engine.SNAPSHOT_EVENTS", 1)
        assert not made.snapshot_due
        made.take(change(LAMP, "off", 1))
        assert made.snapshot_due
        assert SNAPSHOT_EVENTS > 1000


def test_repeats_are_signs_of_life_but_no_events(store: Store) -> None:
    with store:
        made = engine(store)
        for minutes in range(3):
            made.take(change(LAMP, "on", minutes))
        made.take(change(LAMP, "on", 4, attributes={"brightness": 7}))
        made.commit()
        assert made.events == store.stats().events == 2, "the state, and its new attributes"
        known = made.pipeline.home.get(LAMP)
        assert known is not None
        assert known.seen_at == at(4)
