from __future__ import annotations

import json
from datetime import time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.pipeline import Pipeline
from agent.requests import Control, Feedback, Forget, HomeMode
from agent.suggestions import Command, Mode, Resolution, Severity, Status, Suggestion, Verdict
from agent.ticker import Ticker, with_ticks
from devices.events import StateChange, utc
from tests.agent.toys import T0, LongOn, change, hunch, pipeline, tick

LAMP = "light.lamp"


def left_on(p: Pipeline, entity_id: str = LAMP, start: float = 0.0) -> Suggestion:
    """Switch on, wait until the hunch comes."""
    p.step(change(entity_id, "off", start - 1))
    p.step(change(entity_id, "on", start))
    (raised,) = p.step(tick(start + 10))
    assert isinstance(raised, Suggestion)
    return raised


def answer(
    p: Pipeline, s: Suggestion, verdict: Verdict, minutes: float = 11, **more: timedelta
) -> list[object]:
    return list(p.step(Feedback(s.id, verdict, T0 + timedelta(minutes=minutes), **more)))


def test_a_hunch_is_raised_once_with_its_remedy() -> None:
    p = pipeline()
    s = left_on(p)
    assert (s.entity_id, s.mode, s.raised_for) == (LAMP, Mode.ASK, "on")
    assert [(a.entity_id, a.state) for a in s.actions] == [(LAMP, "off")]
    assert s.raised_at == T0 + timedelta(minutes=10)
    assert p.step(tick(11)) == []


def test_ids_are_the_same_in_a_replay_and_differ_between_occasions() -> None:
    first, again = left_on(pipeline()), left_on(pipeline())
    assert first.id == again.id
    p = pipeline()
    left_on(p)
    p.step(change(LAMP, "off", 12))
    assert left_on(p, start=20).id != first.id


def test_a_return_to_normal_withdraws_the_hunch() -> None:
    p = pipeline()
    s = left_on(p)
    (resolution,) = p.step(change(LAMP, "off", 12))
    assert isinstance(resolution, Resolution)
    assert (resolution.suggestion_id, resolution.status) == (s.id, Status.RESOLVED)
    assert p.alive == {}


def test_unavailable_neither_withdraws_nor_repeats() -> None:
    p = pipeline()
    s = left_on(p)
    assert p.step(change(LAMP, "unavailable", 12)) == []
    assert p.step(change(LAMP, "on", 13)) == []
    assert list(p.alive) == [s.id]


def test_accepting_commands_and_undo_commands_back() -> None:
    p = pipeline()
    s = left_on(p)
    resolution, command = answer(p, s, Verdict.ACCEPTED)
    assert isinstance(resolution, Resolution)
    assert resolution.status is Status.ACCEPTED
    assert command == Command(s.id, LAMP, "off", T0 + timedelta(minutes=11))
    undone, back = answer(p, s, Verdict.UNDONE, 12)
    assert isinstance(undone, Resolution)
    assert undone.status is Status.UNDONE
    assert back == Command(s.id, LAMP, "on", T0 + timedelta(minutes=12), undo=True)
    assert answer(p, s, Verdict.UNDONE, 13) == []


def test_a_second_answer_does_nothing() -> None:
    p = pipeline()
    s = left_on(p)
    answer(p, s, Verdict.REJECTED)
    assert answer(p, s, Verdict.ACCEPTED) == []


def test_not_a_problem_silences_for_good() -> None:
    p = pipeline()
    answer(p, left_on(p), Verdict.INTENTIONAL)
    p.step(change(LAMP, "off", 12))
    p.step(change(LAMP, "on", 20))
    assert p.step(tick(40)) == []
    assert p.policy.effects(LAMP)["silenced"] == [["long_on", "any"]]


def test_rejections_raise_the_bar_and_acceptances_lower_it() -> None:
    p = pipeline()
    start = 0.0
    # score 4.0, threshold 3.0, each rejection +0.5: after two the bar is 4.0 (still met), after three 4.5
    for _ in range(3):
        answer(p, left_on(p, start=start), Verdict.REJECTED, start + 11)
        p.step(change(LAMP, "off", start + 12))
        start += 30
    p.step(change(LAMP, "on", start))
    assert p.step(tick(start + 10)) == []
    p.policy.forget(LAMP)  # the reset
    assert len(p.step(tick(start + 11))) == 1


def test_snooze_brings_it_back_while_it_is_true() -> None:
    p = pipeline()
    s = left_on(p)
    (resolution,) = answer(p, s, Verdict.SNOOZED, snooze=timedelta(minutes=30))
    assert isinstance(resolution, Resolution)
    assert resolution.status is Status.SNOOZED
    assert p.step(tick(40)) == []
    (again,) = p.step(tick(41))
    assert isinstance(again, Suggestion)
    assert again.id == s.id


def test_unanswered_hunches_expire() -> None:
    p = pipeline()
    s = left_on(p)
    (resolution,) = p.step(tick(10 + 6 * 60))
    assert resolution == Resolution(s.id, Status.EXPIRED, T0 + timedelta(minutes=370), "nobody answered")


def test_the_budget_holds_back_and_shows_the_most_surprising_later() -> None:
    p = pipeline(per_day=24.0, burst=1.0)  # one an hour
    left_on(p)
    p.step(change("light.b", "off", 0))
    p.step(change("light.b", "on", 20))
    assert p.step(tick(30)) == []
    assert p.step(tick(69)) == []
    (late,) = p.step(tick(70))  # an hour after the first
    assert isinstance(late, Suggestion)
    assert late.entity_id == "light.b"


def test_what_is_held_is_dropped_when_it_becomes_normal() -> None:
    p = pipeline(per_day=24.0, burst=1.0)
    left_on(p)
    p.step(change("light.b", "off", 0))
    p.step(change("light.b", "on", 20))
    p.step(tick(30))
    p.step(change("light.b", "off", 40))
    assert p.step(tick(200)) == []


def test_urgent_classes_bypass_the_budget_and_the_quiet_hours() -> None:
    p = pipeline(per_day=0.0, burst=1.0, quiet_hours=(time(9), time(18)))
    left_on(p)  # takes the only token
    leak = {"attributes": {"device_class": "moisture"}}
    p.step(change("binary_sensor.leak", "off", 11, **leak))
    p.step(change("binary_sensor.leak", "on", 12, **leak))
    (raised,) = p.step(tick(22))
    assert isinstance(raised, Suggestion)
    assert raised.deliver_at == raised.raised_at


def test_quiet_hours_delay_delivery_not_evaluation() -> None:
    p = pipeline(quiet_hours=(time(9), time(18)))
    s = left_on(p)
    assert s.raised_at == T0 + timedelta(minutes=10)
    assert s.deliver_at.isoformat() == "2024-05-06T18:00:00+00:00"


def test_vacation_and_guests_teach_nothing() -> None:
    p = pipeline()
    detector = p.detectors[0]
    assert isinstance(detector, LongOn)
    p.step(change(LAMP, "off", 0))
    p.step(Control(T0, mode=HomeMode.GUEST, until=T0 + timedelta(hours=1)))
    p.step(change(LAMP, "on", 1))
    assert detector.learned == 0
    p.step(tick(60))
    p.step(change(LAMP, "off", 61))
    assert detector.learned == 1
    p.step(Control(T0 + timedelta(minutes=62), mode=HomeMode.VACATION))
    p.step(change(LAMP, "on", 63))
    assert p.step(tick(90)) == []


def test_switches() -> None:
    p = pipeline()
    p.step(Control(T0, suggesting=False))
    p.step(change(LAMP, "off", 0))
    p.step(change(LAMP, "on", 1))
    assert p.step(tick(20)) == []
    p.step(Control(T0, suggesting=True))
    assert len(p.step(tick(21))) == 1


def test_exclusions_by_glob() -> None:
    p = pipeline(exclude_entities=("light.*",))
    p.step(change(LAMP, "off", 0))
    p.step(change(LAMP, "on", 1))
    assert p.step(tick(20)) == []


def test_warm_up_only_learns() -> None:
    p = pipeline(warmup=timedelta(days=1))
    p.step(tick(0))
    p.step(change(LAMP, "off", 0))
    p.step(change(LAMP, "on", 1))
    assert p.step(tick(60)) == []
    assert len(p.step(tick(24 * 60))) == 1


def test_forgetting_and_renaming() -> None:
    p = pipeline()
    s = left_on(p)
    (resolution,) = p.step(Forget(T0 + timedelta(minutes=11), LAMP, renamed_to="light.new"))
    assert isinstance(resolution, Resolution)
    assert resolution.suggestion_id == s.id
    state = p.home.get("light.new")
    assert state is not None
    assert state.state == "on"
    (raised,) = p.step(tick(12))
    assert isinstance(raised, Suggestion)
    assert raised.entity_id == "light.new"
    p.step(Forget(T0 + timedelta(minutes=13), "light.new"))
    assert "light.new" not in p.home
    assert p.step(tick(30)) == []


def test_late_and_repeated_news_change_nothing() -> None:
    p = pipeline()
    p.step(change(LAMP, "off", 0))
    p.step(change(LAMP, "on", 5))
    late = change(LAMP, "off", 3)
    late = StateChange(LAMP, "off", late.changed_at, T0 + timedelta(minutes=6))
    p.step(late)
    state = p.home.get(LAMP)
    assert state is not None
    assert state.state == "on"


def test_hunch_round_trip() -> None:
    h = hunch(LAMP, T0)
    assert type(h).from_dict(json.loads(json.dumps(h.to_dict()))) == h


events = st.lists(
    st.tuples(
        st.sampled_from(["light.a", "light.b", "person.x"]),
        st.sampled_from(["on", "off", "home", "unavailable"]),
        st.floats(0, 400),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(events, st.integers(0, 25))
def test_fold_of_the_log_is_snapshot_plus_tail(rows: list[tuple[str, str, float]], cut: int) -> None:
    log = sorted((change(e, s, m) for e, s, m in rows), key=lambda c: c.received_at)
    whole, first = pipeline(per_day=20.0, burst=1.0), pipeline(per_day=20.0, burst=1.0)
    expected = [o for e in with_ticks(log, Ticker()) for o in whole.step(e)]
    ticker = Ticker()
    got = [o for e in with_ticks(log[:cut], ticker) for o in first.step(e)]
    second = pipeline(per_day=20.0, burst=1.0)
    second.load(json.loads(json.dumps(first.to_dict())))
    got += [o for e in with_ticks(log[cut:], ticker) for o in second.step(e)]
    assert got == expected
    assert json.dumps(second.to_dict()) == json.dumps(whole.to_dict())


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2024-05-06T22:00:00+00:00", "2024-05-07T07:00:00+00:00"),
        ("2024-05-06T03:00:00+00:00", "2024-05-06T07:00:00+00:00"),
        ("2024-05-06T12:00:00+00:00", "2024-05-06T12:00:00+00:00"),
    ],
)
def test_quiet_hours_over_midnight(now: str, expected: str) -> None:
    p = pipeline(quiet_hours=(time(22), time(7)))
    at = utc(now)
    assert p.policy.deliver_at(at, p.context(at), Severity.INFO) == utc(expected)


def test_the_ticker_skips_outages_and_survives_a_clock_set_back() -> None:
    t = Ticker(timedelta(minutes=1), max_gap=timedelta(minutes=5))
    minute = timedelta(minutes=1)
    assert list(t.until(T0)) == []
    assert [x.at for x in t.until(T0 + 2 * minute)] == [T0 + minute, T0 + 2 * minute]
    assert list(t.until(T0 + 60 * minute)) == []
    assert [x.at for x in t.until(T0 + 61 * minute)] == [T0 + 61 * minute]
    assert list(t.until(T0 - 60 * minute)) == []
    assert [x.at for x in t.until(T0 - 59 * minute)] == [T0 - 59 * minute]
