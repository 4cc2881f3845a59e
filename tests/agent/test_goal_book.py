"""Latent goals in the pipeline: offered, withdrawn, quiet after two refusals, and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar
from unittest.mock import patch

import pytest

from agent.pipeline import Pipeline
from agent.policy import Policy, PolicyConfig
from agent.requests import Adopt, Control, Feedback, HomeMode
from agent.suggestions import (
    Command,
    GoalNews,
    Kind,
    Mode,
    Output,
    Resolution,
    Standing,
    Status,
    Suggestion,
    Update,
    Verdict,
    Weighed,
)
from devices.events import Origin
from latent_goals.decision import Outcome
from latent_goals.goal import Action as Act
from latent_goals.goal import Finding, Goal, Implied, Pattern, Step
from latent_goals.goals import Goals
from routines.routine import AtTime, OnState, Routine
from routines.routine import Step as RoutineStep
from tests.agent.toys import change, pipeline, tick

T = TypeVar("T", bound=Output)

TV, LAMP = "media_player.tv", "light.lamp"
DAY = 24 * 60


def of(kind: type[T], out: Iterable[Output]) -> list[T]:
    return [o for o in out if isinstance(o, kind)]


def home(**config: object) -> Pipeline:
    settings = {"quiet_hours": None, **config}
    return Pipeline(pipeline().calendar, [], Policy(PolicyConfig(**settings)))  # type: ignore[arg-type]


def live(p: Pipeline, days: int = 24, *, dims: bool = False) -> list[Output]:
    """Live through days with a film on every other evening: the lamp goes on two minutes after it begins.

    Or is dimmed then, in two steps, if it has been on.
    """
    out: list[Output] = []
    for entity_id in (TV, LAMP):
        out += p.step(change(entity_id, "off", -30))
    for day in range(days):
        evening = day * DAY + 9 * 60 + day * 7 % 50  # about seven, as the first hour is ten
        out += p.step(change("light.hall", "on", day * DAY))
        out += p.step(change("light.hall", "off", day * DAY + 5))
        out += p.step(change("light.hall", "on", evening - 20))
        out += p.step(change("light.hall", "off", evening - 15))
        if dims:
            out += p.step(change(LAMP, "on", evening - 10, attributes={"brightness": 255}))
        if day % 2 == 0:
            out += film(p, evening, levels=(150, 60) if dims else (255,))
        elif dims:
            out += p.step(change(LAMP, "off", evening + 112))
        for hour in range(24):  # a tick an hour is enough here; at four, one a minute: there it learns
            minutes = [60 * hour + m for m in (range(60) if hour == 18 else (59,))]  # 04:00 is 18 h after ten
            for m in minutes:
                if day * DAY + m > evening + 200 or m < 9 * 60:
                    out += p.step(tick(day * DAY + m)) if m >= 13 * 60 else []
    return out


def film(p: Pipeline, minute: float, *, levels: Sequence[int] = (255,)) -> list[Output]:
    out = p.step(change(TV, "playing", minute))
    for n, level in enumerate(levels):
        out += p.step(change(LAMP, "on", minute + 2 + n / 60, attributes={"brightness": level}))
    if levels:
        out += p.step(change(LAMP, "off", minute + 110))
    return out + p.step(change(TV, "off", minute + 112))


@pytest.fixture(scope="module")
def learned() -> str:
    p = home()
    out = live(p)
    proposed = [n for n in of(GoalNews, out) if n.standing is Standing.PROPOSED]
    assert any("lamp" in str(n.goal["title"]).lower() for n in proposed), "a home that has learned the goal"
    return json.dumps(p.to_dict())


def again(learned: str, **config: object) -> Pipeline:
    p = home(**config)
    p.load(json.loads(learned))
    p.policy.tick(tick(24 * DAY).at)
    return p


def by_goal(p: Pipeline, suggestion: Suggestion) -> Counter[str]:
    return Counter(p.goals.effects()[suggestion.context_key]["answers"])


LATER = 24 * DAY + 9 * 60


def begun(p: Pipeline, minute: float) -> list[Output]:
    return p.step(change(TV, "playing", minute))


def test_a_first_action_offers_what_follows(learned: str) -> None:
    weighed, suggestion = begun(again(learned), LATER)
    assert isinstance(suggestion, Suggestion)
    assert suggestion.kind is Kind.GOAL
    assert [(a.entity_id, a.state) for a in suggestion.actions] == [(LAMP, "on")]
    assert suggestion.title.endswith("Do it now?")
    assert suggestion.evidence["steps"][0]["n"] >= 10  # a film on every other of 24 evenings
    assert isinstance(weighed, Weighed)
    assert weighed.suggestion_id == suggestion.id
    assert 0.0 < weighed.decision["propensity"] <= 1.0
    assert Suggestion.from_dict(json.loads(json.dumps(suggestion.to_dict()))) == suggestion


def test_a_lamp_that_is_on_is_dimmed() -> None:
    p = home()
    (news,) = [n for n in of(GoalNews, live(p, dims=True)) if n.standing is Standing.PROPOSED]
    assert "you dim lamp" in str(news.goal["title"])
    assert news.goal["steps"][0]["value"] == 60.0
    p.step(change(LAMP, "on", LATER - 10, attributes={"brightness": 255}))
    assert of(Weighed, begun(p, LATER)), "it is on, but not dim"
    dimmed = change(LAMP, "on", LATER + 120, attributes={"brightness": 60})
    p.step(dimmed)
    p.step(change(TV, "off", LATER + 121))
    assert not of(Weighed, begun(p, LATER + 150)), "it is dim already"


def test_what_a_routine_does_is_not_asked_as_a_goal(learned: str) -> None:
    p = again(learned)
    routine = Routine("Film light", OnState(TV, "playing"), (RoutineStep(LAMP, "on", 60.0),))
    p.step(Adopt(tick(LATER - 60).at, routine, Mode.ASK))
    asked = of(Suggestion, begun(p, LATER))
    assert [s.kind for s in asked] == [Kind.ROUTINE]
    (effect,) = [e for e in p.goals.effects().values() if e["not_asked"]]
    assert effect["not_asked"]["why"] == "a routine does it: Film light"


def test_what_a_routine_has_just_asked_is_not_asked_again(learned: str) -> None:
    p = again(learned)
    clock = Routine("Evening", AtTime(19 * 60), (RoutineStep(LAMP, "on"),))
    p.step(Adopt(tick(LATER - 60).at, clock, Mode.ASK))
    p.step(tick(LATER - 1))
    (question,) = of(Suggestion, p.step(tick(LATER)))
    assert question.kind is Kind.ROUTINE
    assert of(Suggestion, begun(p, LATER + 2)) == []
    (effect,) = [e for e in p.goals.effects().values() if e["not_asked"]]
    assert effect["not_asked"]["why"].startswith("a routine has just asked: Evening")


def test_yes_does_it(learned: str) -> None:
    p = again(learned)
    (suggestion,) = of(Suggestion, begun(p, LATER))
    out = p.step(Feedback(suggestion.id, Verdict.ACCEPTED, tick(LATER + 1).at))
    assert [(c.entity_id, c.state) for c in of(Command, out)] == [(LAMP, "on")]


def test_what_the_resident_does_is_not_offered_any_more(learned: str) -> None:
    p = again(learned)
    (suggestion,) = of(Suggestion, begun(p, LATER))
    before = by_goal(p, suggestion)
    (closed,) = of(Resolution, p.step(change(LAMP, "on", LATER + 1)))
    assert (closed.suggestion_id, closed.status) == (suggestion.id, Status.RESOLVED)
    assert by_goal(p, suggestion) == before + Counter(by_hand=1)


def test_a_goal_of_which_less_is_left_keeps_its_id() -> None:
    goals = Goals()
    p = Pipeline(pipeline().calendar, [], Policy(PolicyConfig(quiet_hours=None)), goals)
    p.step(tick(-20))
    for entity_id in (TV, LAMP):
        p.step(change(entity_id, "off", -10))
    goal = Goal(Pattern(TV, "playing"), (Step(Pattern(LAMP, "on")), Step(Pattern("fan.den", "on"))), ())
    both = Implied(
        goal, "film/1", (Act(LAMP, "on"), Act("fan.den", "on")), 0.9, 0.7, {}, timedelta(minutes=9)
    )
    told: list[Finding] = [both]
    with patch.object(goals, "score_one", lambda *_: told):
        (suggestion,) = of(Suggestion, p.step(change(TV, "playing", 0)))
        told[0] = replace(both, actions=both.actions[1:])
        p.step(change(LAMP, "on", 0.5))
        (update,) = of(Update, p.step(change(LAMP, "off", 1)))
    assert update.suggestion.id == suggestion.id
    assert [a.entity_id for a in update.suggestion.actions] == ["fan.den"]


def test_rejected_twice_it_is_quiet_and_says_why(learned: str) -> None:
    p, shown = again(learned), 0
    goal = ""
    for evening in range(12):
        minute = LATER + evening * DAY
        for suggestion in of(Suggestion, begun(p, minute)):
            shown += 1
            goal = suggestion.context_key
            p.step(Feedback(suggestion.id, Verdict.REJECTED, tick(minute + 1).at))
        p.step(change(TV, "off", minute + 60))
        p.step(tick(minute + 61))
    assert 1 <= shown <= 3
    known = p.goals.effects()[goal]
    assert known["quiet"]
    assert f"{shown} reject" in known["why"]


@pytest.mark.parametrize("config", [{"exclude_entities": ("light.*",)}, {"exclude_detectors": ("goal",)}])
def test_the_settings_are_respected(learned: str, config: dict[str, object]) -> None:
    assert of(Suggestion, begun(again(learned, **config), LATER)) == []


def test_nothing_is_offered_on_holiday_or_to_an_automation(learned: str) -> None:
    away = again(learned)
    away.step(Control(tick(LATER - 1).at, mode=HomeMode.VACATION))
    assert of(Suggestion, begun(away, LATER)) == []
    automated = again(learned)
    played = replace(change(TV, "playing", LATER), origin=Origin.AUTOMATION)
    assert of(Suggestion, automated.step(played)) == []


def test_an_offer_that_nobody_answers_ends(learned: str) -> None:
    p = again(learned)
    (suggestion,) = of(Suggestion, begun(p, LATER))
    before = by_goal(p, suggestion)
    (closed,) = of(Resolution, p.step(tick(LATER + 30)))
    assert (closed.suggestion_id, closed.status) == (suggestion.id, Status.EXPIRED)
    assert by_goal(p, suggestion) == before + Counter(ignored=1)


def test_a_snapshot_goes_on_alike(learned: str) -> None:
    p = again(learned)
    begun(p, LATER)
    other = home()
    other.load(json.loads(json.dumps(p.to_dict())))
    assert other.step(change(LAMP, "on", LATER + 1)) == p.step(change(LAMP, "on", LATER + 1))
    assert other.to_dict() == p.to_dict()


def test_in_a_backtest_every_occasion_is_offered() -> None:
    out = live(home(trial=True), days=30)
    proposed = of(Suggestion, out)
    first = next(s for s in proposed if s.kind is Kind.GOAL_PROPOSED)
    fired = [s for s in proposed if s.kind is Kind.GOAL]
    assert fired
    assert all(s.raised_at >= first.raised_at for s in fired)


def test_in_a_past_that_was_imported_nobody_answered(learned: str) -> None:
    p = again(learned)
    for evening in range(3):
        begun(p, LATER + evening * DAY)
        p.step(change(LAMP, "on", LATER + evening * DAY + 1))
        p.step(change(LAMP, "off", LATER + evening * DAY + 50))
        p.step(change(TV, "off", LATER + evening * DAY + 60))
    suggestion = next(s for evening in range(3, 20) for s in offered(p, LATER + evening * DAY))
    assert by_goal(p, suggestion)["by_hand"] >= 2
    p.goals.unasked()
    assert by_goal(p, suggestion) == Counter()
    assert p.goals.effects()[suggestion.context_key]["shown"] == 0
    p.step(Feedback(suggestion.id, Verdict.ACCEPTED, suggestion.raised_at + timedelta(minutes=1)))  # harmless
    assert p.moments.model.to_dict() == home().moments.model.to_dict()


def offered(p: Pipeline, minute: float) -> list[Suggestion]:
    """Return what the beginning of a film offers; where that is nothing, it is over soon."""
    found = of(Suggestion, begun(p, minute))
    if not found:
        p.step(change(TV, "off", minute + 60))
    return found


def test_what_a_replay_has_come_to_is_said_once(learned: str) -> None:
    p, at = again(learned), tick(LATER).at
    news = p.goals.unsaid({"0" * 12: "proposed", "1" * 12: "retired"}, at)
    assert {n.goal_id: n.standing for n in news} == {
        "0" * 12: Standing.RETIRED,
        **dict.fromkeys(p.goals.goals.established, Standing.PROPOSED),
    }
    assert p.goals.unsaid(dict.fromkeys(p.goals.goals.established, "proposed"), at) == []


def told_of(p: Pipeline, goal: str) -> dict[str, object]:
    return p.goals.effects()[goal]  # type: ignore[no-any-return]


def test_what_is_known_of_a_goal_changes_with_the_showing_not_only_with_its_answer(learned: str) -> None:
    p = again(learned)
    (goal,) = p.goals.goals.established
    before, revision = told_of(p, goal)["shown"], p.goals.revision
    begun(p, LATER)
    assert told_of(p, goal)["shown"] == int(str(before)) + 1
    assert p.goals.revision > revision, "it is to be written down"


def test_a_goal_that_the_settings_forbid_says_so(learned: str) -> None:
    p = again(learned, exclude_detectors=("goal",))
    (goal,) = p.goals.goals.established
    begun(p, LATER)
    assert told_of(p, goal)["not_asked"] == {
        "at": "2024-05-30 19:00",  # 24 days and nine hours after the sixth, ten in the morning
        "why": "the settings, or the mode, don't allow it",
    }


def test_a_goal_at_an_hour_at_which_nobody_answers_is_silent_and_says_why(learned: str) -> None:
    p = again(learned)
    (goal,) = p.goals.goals.established
    for day in range(1, 41):  # questions at this hour are never answered, at noon they always are
        for answer, hours in ((Outcome.IGNORED, 0), (Outcome.ACCEPTED, 7)):
            at = tick(LATER - day * DAY - hours * 60).at
            p.moments.told(f"{answer} {day}", at, p.context(at))
            p.moments.heard(f"{answer} {day}", answer)
    assert of(Suggestion, begun(p, LATER)) == []
    why = told_of(p, goal)["not_asked"]["why"]  # type: ignore[index]
    assert why.endswith("at this hour you answered 0 of 40 questions")
    other = again(json.dumps(p.to_dict()))
    assert told_of(other, goal) == told_of(p, goal)
