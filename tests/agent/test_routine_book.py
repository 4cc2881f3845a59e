"""The life of a routine: proposed, accepted or refused, asked or carried out, taken back, let go."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest

from agent.pipeline import Pipeline
from agent.policy import Policy, PolicyConfig
from agent.requests import (
    Adopt,
    Control,
    Dismiss,
    Feedback,
    Forget,
    HomeMode,
    Mined,
    request_from_dict,
    request_to_dict,
)
from agent.suggestions import (
    Action,
    Command,
    Kind,
    Mode,
    Output,
    Resolution,
    RoutineNews,
    Standing,
    Status,
    Suggestion,
    Verdict,
)
from devices.context import Calendar
from devices.events import Origin
from latent_goals.decision import Outcome
from routines.routine import AtSun, AtTime, Evidence, OnState, Routine, Step, SunEvent, Target
from tests.agent.toys import T0, change, pipeline, tick

T = TypeVar("T", bound=Output)

DOOR = "binary_sensor.door"
LIGHT = Step("light.hall", "on", 0.0, (Target("brightness", 120.0, 100.0, 140.0, 9),))
RADIO = Step("switch.radio", "on", 180.0)
PROVEN = Evidence(("2024-05-04", "2024-05-05"), 22, 0.0001, 0.001, 21, 1, 0, ("2024-04-20", "2024-05-05"))
COMING = Routine("Hall and radio on when door opens", OnState(DOOR, "on"), (LIGHT, RADIO), evidence=PROVEN)
SO_SO = replace(COMING, steps=(Step("fan.bath", "on"),), evidence=replace(PROVEN, wins=8, losses=2))


def home(**config: object) -> Pipeline:
    settings = {"quiet_hours": None, **config}
    made = Pipeline(pipeline().calendar, [], Policy(PolicyConfig(**settings)))  # type: ignore[arg-type]
    made.step(tick(-60))
    for entity_id in ("light.hall", "switch.radio", "fan.bath", "lock.door", DOOR):
        made.step(change(entity_id, "off", -50))
    return made


def of(kind: type[T], out: Iterable[Output]) -> list[T]:
    return [o for o in out if isinstance(o, kind)]


def mined(p: Pipeline, *routines: Routine, minutes: float = 0, **more: object) -> list[Output]:
    event = Mined(T0 + timedelta(minutes=minutes), routines, **more)  # type: ignore[arg-type]
    again = request_from_dict(json.loads(json.dumps(request_to_dict(event))))
    assert again == event
    return p.step(event)


def answer(p: Pipeline, out: Iterable[Output], verdict: Verdict, minutes: float) -> list[Output]:
    (suggestion,) = of(Suggestion, out)
    return p.step(Feedback(suggestion.id, verdict, T0 + timedelta(minutes=minutes)))


def door_opens(p: Pipeline, minutes: float) -> list[Output]:
    p.step(change(DOOR, "off", minutes - 0.5))
    return p.step(change(DOOR, "on", minutes))


def accepted(p: Pipeline, routine: Routine = COMING, mode: Mode = Mode.ACT) -> Pipeline:
    p.step(Adopt(T0, routine, mode))
    return p


def reloaded(p: Pipeline) -> Pipeline:
    other = Pipeline(p.calendar, [], Policy(p.policy.config))
    other.load(json.loads(json.dumps(p.to_dict())))
    return other


# -- proposals ----------------------------------------------------------------------------------------


def test_a_proposal_says_what_when_and_how_well_it_would_have_done() -> None:
    suggestion, news = mined(home(), COMING)
    assert isinstance(suggestion, Suggestion)
    assert suggestion.kind is Kind.ROUTINE_PROPOSED
    assert suggestion.title == (
        "Hall and radio on when door opens: you did so on 2 days, and lately it would have been right 21 of "
        "22 times. Make it a routine?"
    )
    assert suggestion.score == 21.0  # 21 wins, one loss
    assert suggestion.to_dict()["actions"] == [
        {"entity_id": "light.hall", "state": "on", "targets": {"brightness": 120.0}},
        {"entity_id": "switch.radio", "state": "on", "delay_s": 180.0},
    ]
    assert Suggestion.from_dict(json.loads(json.dumps(suggestion.to_dict()))) == suggestion
    assert news == RoutineNews(COMING, Standing.PROPOSED, Mode.ACT, T0)


def test_one_proposal_at_a_time_the_best_first() -> None:
    p = home()
    first = mined(p, COMING, SO_SO)
    assert [s.context_key for s in of(Suggestion, first)] == [COMING.id]
    assert mined(p, COMING, SO_SO, minutes=60) == []
    answer(p, first, Verdict.REJECTED, 70)
    assert [s.context_key for s in of(Suggestion, mined(p, COMING, SO_SO, minutes=80))] == [SO_SO.id]


def test_what_is_refused_stays_refused_and_so_does_what_is_nearly_the_same() -> None:
    p = home()
    out = answer(p, mined(p, COMING), Verdict.REJECTED, 1)
    assert of(RoutineNews, out)[0].standing is Standing.REJECTED
    nearly = replace(COMING, steps=(LIGHT, RADIO, Step("fan.bath", "on")))  # 2 of 3 steps in common
    other = replace(COMING, steps=(LIGHT, Step("fan.bath", "on"), Step("fan.attic", "on")))  # 1 of 4
    assert mined(reloaded(p), COMING, nearly, minutes=2) == []
    assert [s.context_key for s in of(Suggestion, mined(p, other, minutes=3))] == [other.id]


def test_silence_is_no_refusal() -> None:
    p = home()
    mined(p, COMING)
    (closed,) = p.step(tick(15 * 1440))
    assert isinstance(closed, Resolution)
    assert closed.status is Status.EXPIRED
    assert of(Suggestion, mined(p, COMING, minutes=15 * 1440 + 1))


def test_an_automation_that_does_it_already_is_enough() -> None:
    assert mined(home(), COMING, covered={COMING.id: "Welcome home"}) == []


@pytest.mark.parametrize(
    "config",
    [{"warmup": timedelta(days=7)}, {"exclude_entities": ("light.*",)}, {"exclude_detectors": ("routine",)}],
)
def test_the_settings_are_respected(config: dict[str, object]) -> None:
    assert mined(home(**config), COMING) == []


def test_a_proposal_waits_for_the_morning() -> None:
    p = home(quiet_hours=(time(9), time(12)))  # it is ten o'clock
    (suggestion,) = of(Suggestion, mined(p, COMING))
    assert suggestion.deliver_at == T0 + timedelta(hours=2)


@pytest.mark.parametrize(
    ("routine", "mode"),
    [
        (COMING, Mode.ACT),
        (SO_SO, Mode.ASK),  # 8 : 2 is 4 : 1
        (replace(COMING, steps=(Step("lock.door", "locked"),)), Mode.ASK),  # locks don't move unasked
    ],
)
def test_only_what_is_proven_and_harmless_may_run_by_itself(routine: Routine, mode: Mode) -> None:
    p = home()
    out = answer(p, mined(p, routine), Verdict.ACCEPTED, 1)
    assert of(RoutineNews, out) == [RoutineNews(routine, Standing.ACCEPTED, mode, T0 + timedelta(minutes=1))]
    assert of(Command, out) == []  # agreed for the future; nothing moves now


def test_a_lock_asks_each_time_whatever_a_resident_says() -> None:
    lock = replace(COMING, steps=(Step("lock.door", "locked"),))
    p = home()
    p.step(change("lock.door", "unlocked", -1))
    (news,) = of(RoutineNews, p.step(Adopt(T0, lock, Mode.ACT)))
    assert news.mode is Mode.ASK
    assert of(Command, door_opens(p, 10)) == []


# -- carrying out -------------------------------------------------------------------------------------


def test_steps_come_at_their_time_with_their_numbers_across_a_restart() -> None:
    p = accepted(home())
    suggestion, first = door_opens(p, 10)
    assert isinstance(suggestion, Suggestion)
    assert (suggestion.kind, suggestion.mode) == (Kind.ROUTINE, Mode.ACT)
    assert isinstance(first, Command)
    assert (first.entity_id, first.targets) == ("light.hall", (("brightness", 120.0),))
    p = reloaded(p)
    assert of(Command, p.step(tick(12))) == []
    (later,) = of(Command, p.step(tick(13)))
    assert (later.entity_id, later.state, later.suggestion_id) == ("switch.radio", "on", suggestion.id)


def test_a_step_that_is_long_overdue_or_done_already_is_left_out() -> None:
    down = accepted(home())
    door_opens(down, 10)
    assert of(Command, down.step(tick(24))) == []  # due at 13, ten minutes' grace
    done = accepted(home())
    door_opens(done, 10)
    done.step(change("switch.radio", "on", 11))
    done.step(change("switch.radio", "off", 12))  # it has served, and goes on no more
    assert of(Command, done.step(tick(13))) == []


def test_what_has_a_limit_is_ended_by_itself_or_not_at_all() -> None:
    """A question at each use would be worse than ending it."""
    limit = Routine(
        "Hall off 5 min after it goes on",
        OnState("light.hall", "on"),
        (Step("light.hall", "off", 300.0),),
        evidence=replace(PROVEN, wins=99, losses=2),
    )
    unproven = replace(limit, evidence=replace(limit.evidence, held_out=None))
    assert mined(home(), unproven) == []
    p = home()
    (offer,) = of(Suggestion, mined(p, limit))
    assert offer.mode is Mode.ASK  # to make it a routine
    answer(p, [offer], Verdict.ACCEPTED, 1)
    p.step(change("light.hall", "on", 10))
    p.step(change("light.hall", "off", 11))
    p.step(change("light.hall", "on", 14))
    assert of(Command, p.step(tick(15))) == []  # five minutes after the first use, one after the second
    (command,) = of(Command, p.step(tick(19)))
    assert (command.entity_id, command.state) == ("light.hall", "off")


def test_undo_puts_back_what_was_done_and_stops_the_rest() -> None:
    p = accepted(home())
    suggestion, _command = door_opens(p, 10)
    assert isinstance(suggestion, Suggestion)
    p.step(change("light.hall", "on", 10.1, origin=Origin.AGENT))
    out = p.step(Feedback(suggestion.id, Verdict.UNDONE, T0 + timedelta(minutes=11)))
    assert Command(suggestion.id, "light.hall", "off", T0 + timedelta(minutes=11), undo=True) in out
    assert of(Command, p.step(tick(13))) == []


def test_ask_first_asks_and_acts_on_yes() -> None:
    p = accepted(home(), mode=Mode.ASK)
    out = door_opens(p, 10)
    assert [o.mode for o in of(Suggestion, out)] == [Mode.ASK]
    assert of(Command, out) == []
    yes = answer(p, out, Verdict.ACCEPTED, 11)
    assert [c.entity_id for c in of(Command, yes)] == ["light.hall"]
    assert [c.entity_id for c in of(Command, p.step(tick(14)))] == ["switch.radio"]


def test_a_question_that_the_resident_answers_by_doing_it_is_withdrawn() -> None:
    p = accepted(home(), mode=Mode.ASK)
    (suggestion,) = of(Suggestion, door_opens(p, 10))
    assert p.step(change("light.hall", "on", 11)) == []
    (closed,) = p.step(change("switch.radio", "on", 12))
    assert closed == Resolution(suggestion.id, Status.RESOLVED, T0 + timedelta(minutes=12), "done by hand")


def test_three_times_no_is_never_again() -> None:
    p = accepted(home(), mode=Mode.ASK)
    for n in range(2):
        assert of(RoutineNews, answer(p, door_opens(p, 60 * n), Verdict.REJECTED, 60 * n + 1)) == []
    (news,) = of(RoutineNews, answer(p, door_opens(p, 200), Verdict.REJECTED, 201))
    assert (news.standing, news.why) == (Standing.RETIRED, "declined 3 times")
    assert door_opens(p, 300) == []
    assert mined(p, COMING, minutes=400) == []


def test_at_a_time_of_day() -> None:
    p = accepted(home(), replace(COMING, trigger=AtTime(10 * 60 + 30)))
    assert of(Suggestion, p.step(tick(29))) == []
    assert of(Suggestion, p.step(tick(30)))
    assert of(Suggestion, p.step(tick(31))) == []


def test_at_sunset_where_the_home_is_known() -> None:
    p = home()
    p.calendar = Calendar(ZoneInfo("UTC"), 52.5, 13.4)  # the sun sets at 18:41 UTC on the 6th of May
    accepted(p, replace(COMING, trigger=AtSun(SunEvent.SUNSET, -41)))
    fired = [m for m in range(470, 490) if of(Suggestion, p.step(tick(m)))]
    assert len(fired) == 1
    assert 478 <= fired[0] <= 482  # 18:00 is 480 minutes after ten


@pytest.mark.parametrize("mode", ["off", "vacation"])
def test_nothing_runs_while_suggestions_are_off_or_nobody_is_there(mode: str) -> None:
    p = accepted(home())
    p.step(Control(T0, mode=HomeMode.VACATION) if mode == "vacation" else Control(T0, suggesting=False))
    assert door_opens(p, 10) == []


# -- changing and letting go --------------------------------------------------------------------------


def test_home_assistant_runs_what_it_has_taken_over() -> None:
    p = accepted(home())
    p.step(Adopt(T0, COMING, Mode.ACT, elsewhere=True))
    assert door_opens(reloaded(p), 10) == []


def test_an_edit_replaces_the_routine() -> None:
    p = accepted(home())
    without = replace(COMING, steps=(LIGHT,))
    p.step(Adopt(T0, without, Mode.ACT, replaces=COMING.id))
    assert set(p.routines.entries) == {without.id}
    (suggestion,) = of(Suggestion, door_opens(p, 10))
    assert suggestion.actions == (Action("light.hall", "on", 0.0, (("brightness", 120.0),)),)


def test_a_dismissed_routine_stops_and_its_question_goes() -> None:
    p = accepted(home(), mode=Mode.ASK)
    (suggestion,) = of(Suggestion, door_opens(p, 10))
    closed, news = p.step(Dismiss(T0 + timedelta(minutes=11), COMING.id, "deleted in Home Assistant"))
    assert isinstance(closed, Resolution)
    assert closed.suggestion_id == suggestion.id
    assert isinstance(news, RoutineNews)
    assert news.standing is Standing.RETIRED
    assert door_opens(p, 20) == []
    assert p.step(Dismiss(T0, "unknown")) == []


def test_a_renamed_entity_takes_its_routine_to_a_new_id() -> None:
    p = accepted(home())
    p.step(Adopt(T0, COMING, Mode.ACT, elsewhere=True))
    gone, new = of(RoutineNews, p.step(Forget(T0, "light.hall", renamed_to="light.entrance")))
    assert (gone.routine.id, gone.standing) == (COMING.id, Standing.RETIRED)
    assert gone.why == "light.hall is called light.entrance now"
    assert new.routine == COMING.renamed("light.hall", "light.entrance")
    assert (new.standing, new.mode, new.elsewhere) == (Standing.ACCEPTED, Mode.ACT, False)
    p.step(change("light.entrance", "off", 9))
    (suggestion,) = of(Suggestion, door_opens(p, 10))
    assert [a.entity_id for a in suggestion.actions] == ["light.entrance", "switch.radio"]


def test_what_was_refused_stays_refused_under_a_new_name_and_what_is_proposed_is_withdrawn() -> None:
    refused = home()
    answer(refused, mined(refused, COMING), Verdict.REJECTED, 1)
    assert refused.step(Forget(T0, "switch.radio", renamed_to="switch.stereo")) == []
    assert mined(refused, COMING.renamed("switch.radio", "switch.stereo"), minutes=2) == []
    proposed = home()
    (suggestion,) = of(Suggestion, mined(proposed, COMING))
    closed, _gone = proposed.step(Forget(T0, "switch.radio", renamed_to="switch.stereo"))
    assert isinstance(closed, Resolution)
    assert (closed.suggestion_id, closed.status) == (suggestion.id, Status.RESOLVED)
    assert of(Suggestion, mined(proposed, COMING.renamed("switch.radio", "switch.stereo"), minutes=2))


def test_a_forgotten_entity_ends_its_routines() -> None:
    p = accepted(home(), mode=Mode.ASK)
    (suggestion,) = of(Suggestion, door_opens(p, 10))
    closed, news = p.step(Forget(T0 + timedelta(minutes=20), "switch.radio"))
    assert isinstance(closed, Resolution)
    assert closed.suggestion_id == suggestion.id
    assert isinstance(news, RoutineNews)
    assert (news.standing, news.why) == (Standing.RETIRED, "switch.radio was forgotten")
    assert p.routines.entries == {}
    assert door_opens(p, 30) == []


def test_in_a_backtest_a_proposal_counts_as_accepted_and_asks() -> None:
    p = home(trial=True)
    out = mined(p, COMING, SO_SO)
    assert [s.kind for s in of(Suggestion, out)] == [Kind.ROUTINE_PROPOSED] * 2
    fired = of(Suggestion, door_opens(p, 10))
    assert [(s.kind, s.mode) for s in fired] == [(Kind.ROUTINE, Mode.ASK)] * 2
    assert of(Command, fired) == []


# -- when it asks -------------------------------------------------------------------------------------


def evenings(p: Pipeline, first: int, days: int, verdict: Verdict | None) -> list[bool]:
    """Open the door at seven in the evening and answer, or not; return on which days it asked."""
    asked = []
    for day in range(first, first + days):
        minutes = day * 24 * 60 + 9 * 60
        out = of(Suggestion, door_opens(p, minutes))
        asked.append(bool(out))
        if out and verdict is not None:
            p.step(Feedback(out[0].id, verdict, T0 + timedelta(minutes=minutes + 1)))
            p.step(change("light.hall", "off", minutes + 5))
        else:
            p.step(tick(minutes + 240))
    return asked


def mornings(p: Pipeline, days: int) -> None:
    """Have other questions answered in the morning."""
    for day in range(days):
        at = T0 + timedelta(days=day)
        p.moments.told(f"other {day}", at, p.context(at))
        p.moments.heard(f"other {day}", Outcome.ACCEPTED)


def test_a_question_that_nobody_answers_at_its_hour_is_left_out_mostly() -> None:
    p = accepted(home(), mode=Mode.ASK)
    mornings(p, 12)
    assert all(evenings(p, 0, 5, None))
    later = evenings(p, 5, 30, None)
    assert 4 <= sum(later) <= 15
    assert evenings(reloaded(p), 35, 8, None) == evenings(p, 35, 8, None)


def test_a_question_that_is_answered_goes_on_being_asked() -> None:
    p = accepted(home(), mode=Mode.ASK)
    mornings(p, 12)
    assert all(evenings(p, 0, 20, Verdict.ACCEPTED))


def test_in_a_backtest_nobody_answers_and_every_question_is_asked() -> None:
    p = accepted(home(trial=True), mode=Mode.ASK)
    mornings(p, 12)
    assert all(evenings(p, 0, 20, None))
