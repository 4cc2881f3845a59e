"""When residents are asked: what answers have taught, nothing that is only presumed."""

from __future__ import annotations

import json
from datetime import timedelta
from zoneinfo import ZoneInfo

from agent.moments import Moments
from devices.context import Calendar, Occupancy
from latent_goals.decision import Outcome
from tests.agent.toys import T0

CALENDAR = Calendar(ZoneInfo("UTC"))
EARLY, LATE = timedelta(hours=-4), timedelta(hours=10)  # 06:00 and 20:00


def spares(moments: Moments, day: int, hour: timedelta, question: str = "coffee") -> bool:
    at = T0 + timedelta(days=day) + hour
    return moments.spares(question, at, CALENDAR.context(at, Occupancy.HOME))


def asked(moments: Moments, day: int, hour: timedelta, outcome: Outcome, question: str = "coffee") -> None:
    at = T0 + timedelta(days=day) + hour
    suggestion_id = f"{question} {at}"
    moments.told(suggestion_id, at, CALENDAR.context(at, Occupancy.HOME))
    moments.heard(suggestion_id, outcome, question)


def unheard_early(days: int = 12) -> Moments:
    """Return what is known where a question at six is never answered, and others at eight always are."""
    moments = Moments()
    for day in range(days):
        asked(moments, day, EARLY, Outcome.IGNORED)
        asked(moments, day, LATE, Outcome.ACCEPTED, "lights")
    return moments


def test_with_no_answers_everything_is_asked_even_of_those_asleep() -> None:
    moments = Moments()
    at = T0 + EARLY
    assert moments.cost(at, CALENDAR.context(at, Occupancy.ASLEEP)) > 0.5
    assert not moments.spares("coffee", at, CALENDAR.context(at, Occupancy.ASLEEP))


def test_where_nobody_answers_a_question_is_left_out_but_asked_again_every_seventh_time() -> None:
    moments = unheard_early()
    assert not spares(moments, 12, LATE)
    assert [spares(moments, 12 + day, EARLY) for day in range(8)] == [*[True] * 6, False, True]


def test_an_answer_brings_it_back() -> None:
    moments = unheard_early()
    assert spares(moments, 12, EARLY)
    asked(moments, 18, EARLY, Outcome.REJECTED)
    assert not spares(moments, 19, EARLY)


def test_a_question_that_was_answered_is_not_blamed_for_others() -> None:
    assert not spares(unheard_early(), 12, EARLY, "curtains")


def test_a_bad_moment_is_explained_by_the_questions_at_the_hour() -> None:
    moments = unheard_early(9)
    asked(moments, 9, EARLY, Outcome.ACCEPTED)
    at = T0 + timedelta(days=10) + EARLY
    x = moments.features(at, CALENDAR.context(at, Occupancy.HOME))
    assert moments.why(x) == "at this hour you answered 1 of 10 questions"
    assert moments.why({**x, "occupancy": "away", "hour": 20.0}) == "nobody is at home"
    assert moments.why({**x, "hour": 20.0, "prompts_day": 30, "prompts_hour": 9}) == (
        "you were told 30 things within a day"
    )


def test_a_past_in_which_nobody_was_asked_teaches_nothing() -> None:
    moments = unheard_early()
    moments.unasked()
    assert not spares(moments, 12, EARLY)
    assert moments.to_dict() == Moments().to_dict()


def test_a_snapshot_goes_on_alike() -> None:
    moments, other = unheard_early(), Moments()
    spares(moments, 12, EARLY)
    other.load(json.loads(json.dumps(moments.to_dict())))
    assert other.to_dict() == moments.to_dict()
    assert [spares(other, 13 + d, EARLY) for d in range(6)] == [
        spares(moments, 13 + d, EARLY) for d in range(6)
    ]
