"""Routines that fade: put up for retirement, at rest after a season, moved to another time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from agent.pipeline import Pipeline
from agent.requests import Adopt, Control, Feedback, Forget, HomeMode
from agent.routine_entry import Entry, Off
from agent.suggestions import (
    Command,
    Kind,
    Mode,
    Output,
    RoutineNews,
    Standing,
    Suggestion,
    Verdict,
)
from devices.events import Origin
from routines.routine import AtTime, Conditions, OnState, Routine, Step
from tests.agent.test_routine_book import (
    COMING,
    PROVEN,
    accepted,
    answer,
    door_opens,
    home,
    mined,
    of,
    reloaded,
)
from tests.agent.toys import T0, change, tick

DAY = 1440.0
LAMP = Routine("Hall on when door opens", OnState("binary_sensor.door", "on"), (Step("light.hall", "on"),))
COFFEE = Routine("Coffee on", OnState("binary_sensor.door", "on"), (Step("switch.radio", "on"),))
MORNING = replace(LAMP, name="Hall on, about 06:50", trigger=AtTime(410, 10, 10), evidence=PROVEN)


def entry(p: Pipeline, routine: Routine = LAMP) -> Entry:
    return p.routines.entries[routine.id]


def asked_on(p: Pipeline, day: int, verdict: Verdict | None, routine: Routine = LAMP) -> list[Output]:
    """Let a routine ask once; return what the answer (None: none) leads to, a minute later, too."""
    for step in routine.steps:
        p.step(change(step.entity_id, "off", day * DAY - 5))
    out = door_opens(p, day * DAY)
    (suggestion,) = of(Suggestion, out)
    assert suggestion.mode is Mode.ASK
    if verdict is None:
        out = p.step(tick(day * DAY + 20))
    else:
        out = p.step(Feedback(suggestion.id, verdict, T0 + timedelta(days=day, minutes=1)))
    return [*out, *p.step(tick(day * DAY + 21))]


def proposals(out: list[Output]) -> list[Suggestion]:
    return [s for s in of(Suggestion, out) if s.kind is Kind.ROUTINE_PROPOSED]


# -- questions that are no longer welcome -------------------------------------------------------------


def ignored(p: Pipeline, days: range) -> Iterator[Suggestion]:
    for day in days:
        yield from proposals(asked_on(p, day, None))


def test_a_question_that_nobody_wants_is_put_up_for_retirement_with_its_numbers() -> None:
    p = accepted(home(), LAMP, Mode.ASK)
    assert list(ignored(p, range(1, 4))) == []
    p = reloaded(p)
    (offer,) = ignored(p, range(4, 5))  # a quarter to the fourth power is .004
    assert offer.title == (
        "Hall on when door opens: in the last 28 days you wanted it 0 of 4 times that I asked. Let it go?"
    )
    assert (offer.actions, offer.mode, offer.context_key) == ((), Mode.ASK, LAMP.id)
    assert offer.evidence["retire"] == {
        "wanted": 0, "not_wanted": 4, "p": 0.003906, "unneeded_since": None,
    }  # fmt: skip
    assert offer.score > offer.threshold == 2.0
    out = p.step(Feedback(offer.id, Verdict.ACCEPTED, T0 + timedelta(days=5)))
    assert [(n.standing, n.why) for n in of(RoutineNews, out)] == [(Standing.RETIRED, "not needed any more")]
    assert of(Command, out) == []
    assert door_opens(p, 6 * DAY) == []


@pytest.mark.parametrize("verdict", [Verdict.REJECTED, Verdict.INTENTIONAL])
def test_a_resident_who_wants_to_keep_it_is_not_asked_again_for_the_same(verdict: Verdict) -> None:
    p = accepted(home(), LAMP, Mode.ASK)
    (offer,) = ignored(p, range(1, 5))
    assert p.step(Feedback(offer.id, verdict, T0 + timedelta(days=5))) != []
    assert entry(p).standing is Standing.ACCEPTED
    assert list(ignored(p, range(6, 9))) == []
    assert len(list(ignored(p, range(9, 10)))) == 1  # four more that nobody wanted


def test_silence_keeps_it() -> None:
    p = accepted(home(), LAMP, Mode.ASK)
    (offer,) = ignored(p, range(1, 5))
    out = p.step(tick(19 * DAY))
    assert offer.id not in p.alive
    assert of(RoutineNews, out) == []
    assert entry(p).standing is Standing.ACCEPTED


def test_what_is_wanted_three_times_in_four_stays() -> None:
    p = accepted(home(), LAMP, Mode.ASK)
    out: list[Output] = []
    for day in range(1, 25):
        out += asked_on(p, day, None if day % 4 == 0 else Verdict.ACCEPTED)
    assert proposals(out) == []
    assert entry(p).lately(T0 + timedelta(days=25)) == (18, 6)


def test_what_was_unwanted_long_ago_does_not_count() -> None:
    p = accepted(home(), LAMP, Mode.ASK)
    assert list(ignored(p, range(1, 4))) == []
    assert list(ignored(p, range(32, 35))) == []  # the first three are more than 28 days old


def test_what_the_resident_does_by_hand_was_right_and_is_on_record() -> None:
    p = accepted(home(), COMING, Mode.ASK)
    for day in range(1, 6):
        p.step(change("light.hall", "off", day * DAY - 5))
        p.step(change("switch.radio", "off", day * DAY - 5))
        assert of(Suggestion, door_opens(p, day * DAY))
        p.step(change("light.hall", "on", day * DAY + 1))
        p.step(change("switch.radio", "on", day * DAY + 2))
    assert entry(p, COMING).lately(T0 + timedelta(days=6)) == (5, 0)
    record = p.routines.corrected.records()[COMING.id]
    assert (record["by_hand"], record["unwanted"], record["kept"]) == (5, 0, 0)


def test_half_of_the_steps_by_hand_is_not_what_it_is_for() -> None:
    p = accepted(home(), COMING, Mode.ASK)
    door_opens(p, DAY)
    p.step(change("light.hall", "on", DAY + 1))
    p.step(tick(DAY + 30))
    assert entry(p, COMING).lately(T0 + timedelta(days=2)) == (0, 1)


def test_guests_answers_say_nothing() -> None:
    p = accepted(home(), LAMP, Mode.ASK)
    p.step(Control(T0, mode=HomeMode.GUEST))
    assert list(ignored(p, range(1, 8))) == []
    assert entry(p).answers == []


def test_in_a_backtest_nobody_answers_and_nothing_is_put_up_for_retirement() -> None:
    p = home(trial=True)
    mined(p, replace(LAMP, evidence=PROVEN))
    assert list(ignored(p, range(1, 8))) == []
    assert entry(p).standing is Standing.ACCEPTED


def test_a_question_by_the_clock_lasts_while_the_resident_may_still_do_it() -> None:
    p = accepted(home(), replace(LAMP, trigger=AtTime(10 * 60 + 30)), Mode.ASK)
    (question,) = of(Suggestion, [o for minute in range(29, 31) for o in p.step(tick(minute))])
    assert question.expires_at - question.raised_at == timedelta(minutes=30)
    assert p.step(change("light.hall", "on", 55)) != []
    assert entry(p, replace(LAMP, trigger=AtTime(0))).lately(T0 + timedelta(hours=1)) == (1, 0)


# -- runs that are put back -----------------------------------------------------------------------------


def run_on(p: Pipeline, day: int, *, put_back: bool) -> list[Output]:
    p.step(change("light.hall", "off", day * DAY - 5))
    door_opens(p, day * DAY)
    p.step(change("light.hall", "on", day * DAY + 0.1, origin=Origin.AGENT))
    out = p.step(change("light.hall", "off", day * DAY + 2)) if put_back else []
    return [*out, *p.step(tick(day * DAY + 45))]


def test_runs_that_are_kept_make_up_for_those_that_are_put_back() -> None:
    p = accepted(home(), LAMP)
    out: list[Output] = []
    for day in range(1, 41):
        out += run_on(p, day, put_back=day % 8 == 0)  # five reversals in forty days
    assert of(RoutineNews, out) == []
    assert entry(p).standing is Standing.ACCEPTED


def test_three_more_put_back_than_kept_let_it_go() -> None:
    p = accepted(home(), LAMP)
    out: list[Output] = []
    for day, put_back in enumerate((True, True, False, True, True), 1):
        assert of(RoutineNews, out) == []
        out += run_on(p, day, put_back=put_back)
    assert [n.standing for n in of(RoutineNews, out)] == [Standing.RETIRED]


# -- short uses -----------------------------------------------------------------------------------------


def used(p: Pipeline, minutes: float, days: range) -> None:
    for day in days:
        p.step(change("switch.radio", "on", day * DAY + 300))
        p.step(change("switch.radio", "off", day * DAY + 300 + minutes + day % 3 / 10))


def run_coffee(p: Pipeline, day: int, minutes: float, by: Origin) -> list[Output]:
    out = door_opens(p, day * DAY)
    p.step(change("switch.radio", "on", day * DAY + 0.1, origin=by))
    out += p.step(change("switch.radio", "off", day * DAY + minutes))
    return [*out, *p.step(tick(day * DAY + 45))]


@pytest.mark.parametrize("by", [Origin.AGENT, Origin.AUTOMATION])
def test_what_is_used_for_three_minutes_as_ever_is_not_put_back(by: Origin) -> None:
    p = home()
    used(p, 3.0, range(1, 8))
    p.step(Adopt(T0 + timedelta(days=8), COFFEE, Mode.ACT, elsewhere=by is Origin.AUTOMATION))
    out = [o for day in range(9, 15) for o in run_coffee(reloaded(p) if day == 9 else p, day, 3.4, by)]
    assert of(RoutineNews, out) == []
    assert entry(p, COFFEE).declined == 0
    assert p.routines.corrected.records()[COFFEE.id]["undone"] == 0


@pytest.mark.parametrize("by", [Origin.AGENT, Origin.AUTOMATION])
def test_what_is_used_for_an_hour_as_a_rule_is_put_back_after_three_minutes(by: Origin) -> None:
    p = home()
    used(p, 60.0, range(1, 8))
    p.step(Adopt(T0 + timedelta(days=8), COFFEE, Mode.ACT, elsewhere=by is Origin.AUTOMATION))
    out = [o for day in range(9, 12) for o in run_coffee(p, day, 3.4, by)]
    assert [n.standing for n in of(RoutineNews, out)] == [Standing.RETIRED]


# -- seasons --------------------------------------------------------------------------------------------


def through_summer(p: Pipeline, days: int) -> list[Output]:
    out: list[Output] = []
    for day in range(2, days):
        out += p.step(tick(day * DAY))
    return out


def test_what_was_not_needed_for_two_months_asks_once_before_it_acts() -> None:
    p = accepted(home(), LAMP)
    run_on(p, 1, put_back=False)
    assert through_summer(p, 61) == []
    p = reloaded(p)
    (news,) = of(RoutineNews, through_summer(p, 64))
    assert (news.standing, news.mode, news.rests) == (Standing.ACCEPTED, Mode.ACT, True)
    p.step(change("light.hall", "off", 70 * DAY - 5))
    out = door_opens(p, 70 * DAY)
    (question,) = of(Suggestion, out)
    assert (question.kind, question.mode, of(Command, out)) == (Kind.ROUTINE, Mode.ASK, [])
    p = reloaded(p)
    out = p.step(Feedback(question.id, Verdict.ACCEPTED, T0 + timedelta(days=70, minutes=1)))
    assert [c.entity_id for c in of(Command, out)] == ["light.hall"]
    assert [n.rests for n in of(RoutineNews, out)] == [False]
    p.step(change("light.hall", "off", 71 * DAY - 5))
    assert of(Command, door_opens(p, 71 * DAY))  # as before


def test_what_nobody_says_leaves_it_at_rest() -> None:
    p = accepted(home(), LAMP)
    through_summer(p, 62)
    asked_on(p, 70, None)
    assert entry(p).rests
    asked_on(p, 71, Verdict.REJECTED)
    assert entry(p).rests
    assert of(RoutineNews, asked_on(p, 72, Verdict.ACCEPTED))


def test_done_by_hand_wakes_it() -> None:
    p = accepted(home(), LAMP)
    through_summer(p, 62)
    door_opens(p, 70 * DAY)
    p.step(change("light.hall", "on", 70 * DAY + 1))
    assert not entry(p).rests


def test_what_was_not_needed_for_half_a_year_is_put_up_for_retirement() -> None:
    p = accepted(home(), LAMP)
    run_on(p, 1, put_back=False)
    (offer,) = proposals(through_summer(p, 190))
    assert offer.raised_at == T0 + timedelta(days=182)
    assert offer.title == "Hall on when door opens: it has not been needed since 7 May. Let it go?"
    assert (offer.score, offer.threshold) == (181.0, 180.0)
    answer(p, [offer], Verdict.REJECTED, 190 * DAY)
    assert proposals([o for day in range(191, 370) for o in p.step(tick(day * DAY))]) == []


def test_what_asks_each_time_needs_no_rest() -> None:
    p = accepted(home(), LAMP, Mode.ASK)
    assert through_summer(p, 100) == []


# -- another time ---------------------------------------------------------------------------------------


def at_minute(minute: int) -> Routine:
    clock = f"{minute // 60:02}:{minute % 60:02}"
    return replace(MORNING, name=f"Hall on, about {clock}", trigger=AtTime(minute, 10, 10))


@pytest.mark.parametrize("mode", [Mode.ACT, Mode.ASK])
def test_a_habit_that_has_moved_takes_its_routine_along_if_the_residents_agree(mode: Mode) -> None:
    weekdays = Conditions(weekdays=(0, 1, 2, 3, 4))
    p = accepted(home(), replace(MORNING, conditions=weekdays), mode)
    assert mined(p, at_minute(425), minutes=DAY) == []  # within what they stray
    (offer,) = of(Suggestion, mined(p, at_minute(470), minutes=2 * DAY))
    assert offer.title == (
        "Hall on, about 06:50: you do so about 07:50 nowadays, right 21 of 22 times lately. "
        "At that time from now on?"
    )
    assert entry(p, MORNING).routine.trigger == AtTime(410, 10, 10)
    (news,) = of(RoutineNews, answer(p, [offer], Verdict.ACCEPTED, 2 * DAY + 1))
    assert (news.routine.id, news.routine.trigger, news.mode) == (MORNING.id, AtTime(470, 10, 10), mode)
    assert news.routine.conditions == weekdays
    assert news.routine.name == "Hall on, about 07:50"


def test_a_no_to_the_other_time_stays_a_no() -> None:
    p = accepted(home(), MORNING)
    (offer,) = of(Suggestion, mined(p, at_minute(470), minutes=DAY))
    assert mined(p, at_minute(470), minutes=DAY + 1) == []  # one question at a time
    answer(p, [offer], Verdict.REJECTED, DAY + 2)
    assert mined(reloaded(p), at_minute(470), minutes=2 * DAY) == []
    assert entry(p, MORNING).routine == MORNING


def test_in_a_backtest_times_stay() -> None:
    p = home(trial=True)
    mined(p, MORNING)
    assert mined(p, at_minute(470), minutes=DAY) == []


# -- what else may happen to what was accepted ----------------------------------------------------------


def test_a_search_that_finds_nothing_changes_nothing() -> None:
    p = accepted(home(), LAMP)
    before = p.to_dict()
    assert mined(p, minutes=DAY) == []
    assert p.to_dict() == before


def test_an_entity_that_is_gone_is_left_out_and_what_is_forgotten_is_no_longer_remembered() -> None:
    p = accepted(home(), COMING)
    used(p, 3.0, range(1, 4))
    p.step(change("light.hall", "unavailable", 5 * DAY))
    out = door_opens(p, 6 * DAY)
    assert [c.entity_id for c in of(Command, out)] == [
        "light.hall"
    ]  # it may be back when the command arrives
    p.step(Forget(T0 + timedelta(days=7), "switch.radio"))
    assert p.routines.usage.to_dict()["lasted"] == {}


def test_an_automations_news_are_of_its_routine_alone() -> None:
    p = accepted(home(), LAMP)
    p.step(Adopt(T0, LAMP, Mode.ACT, elsewhere=True))
    theirs = {"id": "1700000000000"}
    assert p.step(change("automation.theirs", "on", 1, attributes=theirs)) == []
    assert p.step(change("automation.theirs", "off", 2, attributes=theirs)) == []
    assert p.step(change("automation.x", "off", 3, attributes={"id": "inkling_unknown"})) == []
    ours = {"id": f"inkling_{LAMP.id}", "last_triggered": "not a time"}
    p.step(change("automation.hall", "on", 4, attributes=ours))
    (news,) = of(RoutineNews, p.step(change("automation.hall", "off", 5, attributes=ours)))
    assert (news.off, news.elsewhere, news.standing) == ("resident", True, Standing.ACCEPTED)
    assert entry(reloaded(p)).off is Off.RESIDENT


# -- habits of which more is seen -----------------------------------------------------------------------

MORE = replace(COMING, name="Hall and radio on when door opens")  # what LAMP does, and the radio


@pytest.mark.parametrize("mode", [Mode.ACT, Mode.ASK])
def test_a_habit_that_turns_out_to_be_more_is_offered_as_a_change(mode: Mode) -> None:
    p = accepted(home(), LAMP, mode)
    (offer,) = of(Suggestion, mined(p, MORE, minutes=DAY))
    assert offer.title == (
        "Hall on when door opens: you do more then: Hall and radio on when door opens, "
        "right 21 of 22 times lately. All of it from now on?"
    )
    assert list(p.routines.entries) == [LAMP.id]
    news = of(RoutineNews, answer(p, [offer], Verdict.ACCEPTED, DAY + 1))
    assert [(n.routine.id, n.standing) for n in news] == [
        (LAMP.id, Standing.RETIRED),
        (MORE.id, Standing.ACCEPTED),
    ]
    assert entry(p, MORE).mode is mode


def test_a_no_to_more_steps_stays_a_no() -> None:
    p = accepted(home(), LAMP)
    (offer,) = of(Suggestion, mined(p, MORE, minutes=DAY))
    answer(p, [offer], Verdict.REJECTED, DAY + 2)
    assert mined(reloaded(p), MORE, minutes=2 * DAY) == []
    assert entry(p).accepted


def test_what_has_become_part_of_a_routine_is_not_asked_on_its_own() -> None:
    p = home(trial=True)
    mined(p, LAMP)
    mined(p, COFFEE)
    news = of(RoutineNews, mined(p, MORE, minutes=DAY))
    retired = [n for n in news if n.standing is Standing.RETIRED]
    assert {n.routine.id for n in retired} == {LAMP.id, COFFEE.id}
    assert {n.why for n in retired} == {f"part of {MORE.name}"}
    (question,) = of(Suggestion, door_opens(p, DAY + 10))
    assert len(question.actions) == 2


def test_the_same_habit_with_another_trigger_is_nothing_new() -> None:
    p = home(trial=True)
    mined(p, COMING)
    by_lamp = replace(COMING, trigger=OnState("light.hall", "on"), steps=(Step("switch.radio", "on"),))
    at_seven = replace(COMING, trigger=AtTime(420, 5, 5))
    assert mined(p, by_lamp, at_seven, minutes=DAY) == []
