from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import queries, retention
from agent.database import Access
from agent.records import Appended, Batch, Document, Setting
from agent.requests import Feedback, request_to_dict
from agent.schema import from_micros, micros, snapshots
from agent.store import Store
from agent.suggestions import Command, Resolution, Status, Verdict
from devices.events import Origin, Source, StateChange
from tests.agent.log import T0, at, batch, change, many, suggestion

TIMES = st.integers(0, 7_289_654_399_999_999).map(
    lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
CHANGES = st.builds(
    StateChange,
    st.from_regex(r"[a-z]{1,4}\.[a-z]{1,4}", fullmatch=True), TEXT, TIMES, TIMES, st.none() | TEXT,
    st.dictionaries(TEXT, JSON, max_size=3), st.sampled_from(Origin), st.floats(0, 1), st.booleans(),
    st.sampled_from(Source), st.none() | TEXT,
)  # fmt: skip


@given(TIMES)
def test_microseconds_are_exact(moment: datetime) -> None:
    assert from_micros(micros(moment)) == moment
    assert micros(moment) == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@settings(max_examples=50, deadline=None)
@given(st.lists(CHANGES, min_size=1, max_size=8, unique_by=lambda c: (c.entity_id, c.changed_at, c.new)))
def test_what_goes_in_comes_out(changes: list[StateChange]) -> None:
    with Store.open("sqlite://") as store:
        assert store.append(batch(changes)).new == len(changes)
        assert list(store.tail()) == changes


def test_types_survive_where_python_calls_them_equal(url: str) -> None:
    changes = [change(minutes=i, attributes={"n": value}) for i, value in enumerate((1, 1.0, True))]
    with Store.open(url) as store:
        store.append(batch(changes))
        assert [repr(dict(c.attributes)) for c in store.events()] == ["{'n': 1}", "{'n': 1.0}", "{'n': True}"]


def test_duplicates_are_dropped_and_named(url: str) -> None:
    with Store.open(url) as store:
        assert store.append(batch([change(), change("light.hall", "off", 1)])) == Appended(2)
        again = [change(), change("light.hall", "on", 2), replace(change(), received_at=at(9))]
        assert store.append(batch(again, 3)) == Appended(1, (3, 5))
        assert store.append(batch(again[:1], 6)) == Appended(0, (6,))
        assert [c.new for c in store.tail()] == ["on", "off", "on"]


def test_other_attributes_of_the_same_state_are_kept(url: str) -> None:
    with Store.open(url) as store:
        changes = [change(), change(attributes={"brightness": 3}), change(attributes={})]
        assert store.append(batch(changes)).new == 3
        assert list(store.tail()) == changes


def test_attributes_are_stored_once(url: str) -> None:
    with Store.open(url) as store:
        for i in range(3):
            store.append(batch([change(minutes=2 * i), change("light.x", minutes=2 * i)], 1 + 2 * i))
        with store.database.read() as conn:
            assert conn.exec_driver_sql("SELECT count(*) FROM attributes").scalar() == 2
    with Store.open(url) as store:
        store.append(batch([change(minutes=9)], 9))
        with store.database.read() as conn:
            assert conn.exec_driver_sql("SELECT count(*) FROM attributes").scalar() == 2


def test_more_attributes_than_the_writer_remembers(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.interning._MAX_CACHED", 3)
    monkeypatch.setattr(queries, "_MAX_CACHED", 3)
    changes = [change(minutes=i, attributes={"n": i % 7}) for i in range(40)]
    with Store.open(url) as store:
        for start in range(0, 40, 5):
            store.append(batch(changes[start : start + 5], start + 1))
        assert list(queries.tail(store.database, 0, chunk=4)) == changes


def feedback(minutes: float) -> dict[str, object]:
    return request_to_dict(Feedback("abc", Verdict.REJECTED, at(minutes)))


def test_the_tail_is_in_order_of_sequence_numbers(url: str) -> None:
    changes = many(8)
    first = Batch(
        changes=[(seq, c, None) for seq, c in zip((1, 2, 3, 5, 8, 9, 12, 13), changes, strict=True)],
        journal=[(seq, at(seq), feedback(seq)) for seq in (4, 6, 7, 10, 11, 14)],
    )
    with Store.open(url) as store:
        store.append(first)
        expected = sorted(
            [(s, c) for s, c, _ in first.changes] + [(s, e) for s, _, e in first.journal], key=lambda x: x[0]
        )
        for after in range(15):
            for chunk in (1, 2, 3, 100):
                found = list(queries.tail(store.database, after, chunk))
                assert found == [item for seq, item in expected if seq > after], (after, chunk)
        assert store.last_seq == 14
        assert list(store.journal("feedback", at(10))) == [feedback(10), feedback(11), feedback(14)]
        assert list(store.journal("control")) == []


def test_the_tail_lets_others_write_while_it_is_read(url: str) -> None:
    with Store.open(url) as store:
        store.append(batch(many(10)))
        reading = queries.tail(store.database, 0, chunk=4)
        assert len(list(islice(reading, 5))) == 5
        store.append(batch(many(10, 10), 11))
        assert len(list(reading)) == 15


def test_events_by_time_entity_and_number(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "CHUNK", 3)
    changes = many(20)
    with Store.open(url) as store:
        store.append(batch(list(reversed(changes))))
        assert list(store.events()) == changes
        assert list(store.events(at(5), at(12))) == changes[5:12]
        assert list(store.events(entities=["light.l3", "*.l1"])) == [changes[i] for i in (1, 3, 11, 13)]
        assert list(store.events(entities=["lock.*"])) == []
        assert list(store.events(at(2), limit=7)) == changes[2:9]
        assert list(store.events(limit=0)) == []


def test_events_of_one_moment_are_all_found(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "CHUNK", 3)
    changes = [change(f"light.l{i}") for i in range(10)]
    with Store.open(url) as store:
        store.append(batch(changes))
        assert list(store.events()) == changes


def test_sequence_numbers_go_on_after_what_a_snapshot_has_seen(url: str) -> None:
    with Store.open(url) as store:
        assert store.last_seq == 0
        store.append(batch([change()], 4))
        store.save_snapshot(6, {}, T0)  # 5 and 6 were duplicates
        assert store.last_seq == 6


def test_holds_knows_what_the_log_has(url: str) -> None:
    with Store.open(url) as store:
        store.append(batch([change()]))
        assert store.holds(change(attributes={}))
        assert not store.holds(change(new="off"))
        assert not store.holds(change(minutes=1))
        assert not store.holds(change("light.other"))


def test_snapshots_fall_back_and_only_three_are_kept(url: str) -> None:
    with Store.open(url) as store:
        assert store.load_snapshot() is None
        for seq in range(1, 6):
            store.save_snapshot(seq, {"n": seq, "ä": [1.5, None]}, at(seq))
        assert store.stats().snapshots == 3
        assert store.load_snapshot() == (5, {"n": 5, "ä": [1.5, None]})
        assert store.load_snapshot(version=2) is None
        newest = snapshots.update().where(snapshots.c.seq == 5)
        with store.database.write() as conn:
            body = conn.execute(snapshots.select().where(snapshots.c.seq == 5)).one().body
            conn.execute(newest.values(body=bytes(body)[:-3]))
        assert store.load_snapshot() == (4, {"n": 4, "ä": [1.5, None]})


def test_a_suggestions_life(url: str) -> None:
    one, two = suggestion(), suggestion("lock.door", 5)
    with Store.open(url) as store:
        store.append(Batch(suggestions=[one, two]))
        assert [s.suggestion for s in store.suggestions()] == [two, one]
        store.append(
            Batch(
                resolutions=[Resolution(one.id, Status.REJECTED, at(7), "by hand")],
                delivered=[(one.id, at(1))],
            )
        )
        (found,) = store.find_suggestions(one.id[:6])
        assert (found.status, found.resolved_at, found.delivered_at, found.why) == (
            Status.REJECTED, at(7), at(1), "by hand",
        )  # fmt: skip
        assert found.to_dict()["resolved_at"] == at(7).isoformat()
        assert [s.suggestion.id for s in store.suggestions([Status.OPEN])] == [two.id]
        assert store.find_suggestions("%") == []
        assert len(store.suggestions(limit=1)) == 1
        assert [s.suggestion for s in store.suggestions(since=at(5))] == [two]


def test_a_snooze_that_ends_in_the_same_batch_leaves_it_open(url: str) -> None:
    one = suggestion()
    snoozed = Resolution(one.id, Status.SNOOZED, at(1))
    with Store.open(url) as store:
        store.append(Batch(suggestions=[one], resolutions=[snoozed]))
        (found,) = store.suggestions()
        assert (found.status, found.resolved_at) == (Status.SNOOZED, None)
        store.append(Batch(suggestions=[replace(one, deliver_at=at(61))], resolutions=[snoozed]))
        (found,) = store.suggestions()
        assert (found.status, found.suggestion.deliver_at) == (Status.OPEN, at(61))


def test_commands_are_kept_with_their_suggestion(url: str) -> None:
    done = [Command("s1", "light.hall", "off", at(1)), Command("s1", "light.hall", "on", at(2), undo=True)]
    with Store.open(url) as store:
        store.append(Batch(commands=[*done, Command("s2", "lock.door", "locked", at(3))]))
        assert store.commands("s1") == done


def test_routines_goals_and_settings_are_replaced_by_id(url: str) -> None:
    old, new = Document("r1", "proposed", at(0), {"a": 1}), Document("r1", "accepted", at(0), {"a": 2})
    with Store.open(url) as store:
        store.append(Batch(routines=[old], goals=[Document("g1", "open", at(1), {})]))
        store.append(
            Batch(routines=[new], settings=[Setting("light.*", "act", True), Setting("light.*", "mute", [1])])
        )
        assert store.routines() == [new]
        assert [g.id for g in store.goals()] == ["g1"]
        store.append(Batch(settings=[Setting("light.*", "act", False), Setting("light.*", "mute", None)]))
        assert store.settings() == [Setting("light.*", "act", False)]


def test_a_request_waits_until_its_effects_are_committed(url: str) -> None:
    with Store.open(url) as store, Store.open(url, access=Access.INBOX) as cli:
        first = cli.inbox_put("feedback", {"id": "s1"}, at(0))
        second = cli.inbox_put("mode", {"mode": "away"}, at(1))
        items = store.inbox_take()
        assert [(i.id, i.kind, dict(i.body), i.at) for i in items] == [
            (first, "feedback", {"id": "s1"}, at(0)), (second, "mode", {"mode": "away"}, at(1)),
        ]  # fmt: skip
        assert cli.inbox_pending(second)
        store.append(Batch(changes=batch([change()]).changes, inbox=[first, second]))
        assert not cli.inbox_pending(second)
        assert cli.inbox_put("mode", {}, at(2)) > second  # an id is never given out again
        assert [c.new for c in cli.tail()] == ["on"]


def test_committed_packets_are_remembered_but_not_for_ever(url: str) -> None:
    with Store.open(url, packets_kept=10) as store:
        for first in range(0, 40, 4):
            store.append(Batch(inflight=[(mid, mid.to_bytes(8)) for mid in range(first, first + 4)]))
        assert store.recent_packets() == [
            (mid, mid.to_bytes(8)) for mid in range(28, 40)
        ]  # 3 batches hold >= 10
    with Store.open(url, packets_kept=10) as store:
        store.append(Batch(inflight=[(65535, b"x" * 8)]))
        assert store.recent_packets()[-1] == (65535, b"x" * 8)
        assert len(store.recent_packets()) == 13


def test_an_empty_batch_is_false() -> None:
    assert not Batch()
    assert Batch(inbox=[1])


def test_text_that_the_database_cannot_hold_does_not_block_the_log(url: str) -> None:
    nasty = [
        change(new="\ud800x"),
        change("light.other", "nul\0", attributes={1: 2**70, "s": "\udfff", "set": {2}}),
    ]
    with Store.open(url) as store:
        store.append(batch(nasty))
        first, second = store.tail()
        assert isinstance(first, StateChange)
        assert isinstance(second, StateChange)
        assert first.new == "?x"
        assert second.new == "nul\ufffd"
        assert second.attributes == {"1": str(2**70), "s": "?", "set": [2]}


def test_purge_deletes_by_age_in_short_transactions(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK", 4)
    old, alive = suggestion(), suggestion("lock.door", 1)
    with Store.open(url) as store:
        first = batch(many(30))
        first.journal.append((31, at(2), feedback(2)))
        first.suggestions += [old, alive]
        first.resolutions.append(Resolution(old.id, Status.EXPIRED, at(60)))
        first.commands.append(Command("s", "light.hall", "off", at(3)))
        store.append(first)
        assert store.purge(at(21)) == 21 + 3
        assert [c.changed_at for c in store.events()] == [at(i) for i in range(21, 30)]
        assert list(store.journal()) == []
        assert [s.suggestion for s in store.suggestions()] == [alive]  # still open: not history
        store.append(batch(many(1, 40), 32))  # its attributes were swept, and are written again
        assert store.events(at(40)).__next__().attributes == {"friendly_name": "light.l0"}


def test_forgetting_an_entity_leaves_nothing_of_it(url: str) -> None:
    secret = "binary_sensor.annas_diary"
    about = suggestion(secret)
    with Store.open(url) as store:
        store.append(
            Batch(
                changes=batch([change(secret, minutes=i) for i in range(50)] + many(5)).changes,
                journal=[
                    (90, at(1), request_to_dict(Feedback(about.id, Verdict.REJECTED, at(1)))),
                    (91, at(2), feedback(2)),
                ],
                suggestions=[about, suggestion()],
                commands=[Command(about.id, "light.hall", "on", at(1))],
                routines=[
                    Document("r", "open", at(1), {"steps": [{"entity": secret}]}),
                    Document("q", "open", at(1), {}),
                ],
                settings=[Setting(secret, "mute", True)],
            )
        )
        store.save_snapshot(91, {"home": {secret: "on"}}, at(60))
        assert store.forget(secret, "light.nobody") == 50
        assert store.stats().events == 5
        assert store.load_snapshot() is None
        assert list(store.journal()) == [feedback(2)]
        assert [s.suggestion.entity_id for s in store.suggestions()] == ["light.hall"]
        assert (store.commands(about.id), [r.id for r in store.routines()], store.settings()) == (
            [],
            ["q"],
            [],
        )
        if (path := store.database.path) is not None:
            files = [path, Path(f"{path}-wal")]
            assert not [f for f in files if f.exists() and b"annas_diary" in f.read_bytes()]
        store.append(batch([change(secret)], 100))  # it may come back
        assert [c.entity_id for c in store.events(entities=[secret])] == [secret]


def test_forgetting_a_time(url: str) -> None:
    with Store.open(url) as store:
        store.append(
            Batch(changes=batch(many(10)).changes, suggestions=[suggestion(), suggestion(minutes=8)])
        )
        store.save_snapshot(10, {}, at(9))
        assert store.forget_before(at(6)) == 6
        assert [c.changed_at for c in store.tail() if isinstance(c, StateChange)] == [
            at(6),
            at(7),
            at(8),
            at(9),
        ]
        assert len(store.suggestions()) == 1
        assert store.load_snapshot() is None


def test_stats(url: str) -> None:
    with Store.open(url) as store:
        empty = store.stats()
        assert (empty.events, empty.oldest, empty.newest) == (0, None, None)
        store.append(batch(many(12)))
        stats = store.stats()
        assert (stats.events, stats.entities, stats.oldest, stats.newest) == (12, 10, at(0), at(11))
        assert stats.bytes > 1000
