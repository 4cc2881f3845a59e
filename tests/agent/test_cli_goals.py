"""`inkling goals …`: what was learned, what is quiet and why, what another policy would have brought."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest

from agent.assembly import build_pipeline
from agent.cli_answers import goal_effects
from agent.engine import GOALS, WEIGHED, Engine
from agent.goal_wording import implied
from agent.records import Batch, Document, Setting
from agent.requests import Feedback
from agent.settings import load_settings
from agent.store import Store
from agent.suggestions import Output, Resolution, Standing, Status, Suggestion, Verdict
from agent.ticker import Ticker
from devices.recording import format_line
from latent_goals.bandit import GoalBandit
from latent_goals.decision import Decision, Outcome, Reason
from latent_goals.goal import Action, Evidence, Goal, Implied, Pattern, Step
from tests.agent.commands import Run, as_json
from tests.e2e.films import change, films, lamp, tv

T0 = datetime(2024, 5, 6, 18, 0, tzinfo=UTC)
EVIDENCE = Evidence(
    12, 11, 0.86, 0.02, 30, 0.71, 1e-9, 3e-8, "any", "2024-04-01", "2024-05-05", 11, (60, 90, 200)
)
FILM = Goal(
    Pattern("media_player.tv", "playing"),
    (Step(Pattern("light.den", "on"), evidence=EVIDENCE),),
    (Pattern("media_player.tv", "playing"),),
    "When you start TV, you switch on den (11 of 12 times)",
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/inkling.db"


def write(url: str, batch: Batch) -> None:
    with Store.open(url) as store:
        store.append(batch)


def proposed(*, effects: object = None) -> Batch:
    document = Document(FILM.id, Standing.PROPOSED, T0, {"goal": FILM.to_dict(), "why": ""})
    settings = [] if effects is None else [Setting("*", GOALS, {FILM.id: effects})]
    return Batch(goals=[document], settings=settings)


def offer(minutes: float) -> Suggestion:
    done = (Action("light.den", "on"),)
    finding = Implied(FILM, f"film/{minutes}", done, 0.9, 0.7, {"room": ""}, timedelta(minutes=9))
    return implied(finding, T0 + timedelta(minutes=minutes))


def turned_down() -> object:
    """Return what is known of a goal that was rejected twice."""
    bandit = GoalBandit()
    for seed in range(100):
        decision = bandit.decide(FILM.id, {"daypart": "evening"}, Random(seed))
        if decision.show and bandit.explain(FILM.id)["shown"] < 2:
            bandit.show_one(decision)
            bandit.learn_one(decision, Outcome.REJECTED)
    return bandit.explain(FILM.id)


def test_with_nothing_learned_it_says_from_how_much(run: Run, url: str) -> None:
    Store.open(url).close()
    assert "No goals so far: in 0 events of 0 entities" in run("goals", "list").stdout
    assert as_json(run("goals", "list", "--json")) == []


def test_a_goal_and_the_counts_behind_it(run: Run, url: str) -> None:
    write(url, proposed())
    assert "offered" in run("goals", "list").stdout
    (listed,) = as_json(run("goals", "list", "--json"))
    assert (listed["id"], listed["title"], listed["status"]) == (FILM.id, FILM.title, "proposed")
    assert listed["steps"][0]["evidence"]["n"] == 12
    shown = run("goals", "show", FILM.id[:6]).stdout
    assert "light.den → on" in shown
    assert "11 of 12 times, 86%; without the first action 2%" in shown
    assert as_json(run("explain", FILM.id, "--json")) == listed


def test_rejected_twice_it_is_quiet_and_every_view_says_why(run: Run, url: str) -> None:
    suggestion, batch = offer(0), proposed(effects=turned_down())
    batch.suggestions.append(suggestion)
    batch.resolutions.append(Resolution(suggestion.id, Status.REJECTED, T0 + timedelta(minutes=1)))
    write(url, batch)
    assert "quiet" in run("goals", "list").stdout
    goal = as_json(run("explain", suggestion.id, "--json"))["goal"]
    assert goal["quiet"] is True
    assert goal["why"].startswith("after 2 showings (2 reject) it is worse than silence")
    assert as_json(run("explain", FILM.id, "--json"))["answers"] == goal
    for words in (("explain", suggestion.id), ("explain", FILM.id), ("goals", "show", FILM.id)):
        text = run(*words).stdout
        assert "2 times; answers: 2 x reject" in text
        assert "after 2 showings (2 reject)" in text


def test_every_view_says_why_a_goal_was_not_offered(run: Run, url: str) -> None:
    silent = {"at": "2024-05-06 07:10", "why": "at this hour you answered 1 of 9 questions"}
    write(url, proposed(effects={**GoalBandit().explain(FILM.id), "not_asked": silent}))
    for words in (("explain", FILM.id), ("goals", "show", FILM.id)):
        text = " ".join(run(*words).stdout.split())
        assert "not asked │ at this hour you answered 1 of 9 questions (2024-05-06 07:10)" in text
    assert as_json(run("goals", "show", FILM.id, "--json"))["answers"]["not_asked"] == silent


def test_what_holds_no_more_is_listed_with_all(run: Run, url: str) -> None:
    write(url, proposed())
    gone = Document(FILM.id, Standing.RETIRED, T0, {"goal": {}, "why": "it doesn't hold any more"})
    write(url, Batch(goals=[gone]))
    assert as_json(run("goals", "list", "--json")) == []
    (listed,) = as_json(run("goals", "list", "--all", "--json"))
    assert (listed["status"], listed["why"]) == ("retired", "it doesn't hold any more")
    assert "retired" in run("goals", "list", "--all").stdout
    assert "it doesn't hold any more" in run("goals", "show", FILM.id).stdout


def test_an_unknown_id_is_not_found(run: Run, url: str) -> None:
    Store.open(url).close()
    told = run("goals", "show", "abc", "--json", code=3)
    assert json.loads(told.stdout)["hint"] == "inkling goals list --all shows all of them"


# -- evaluation ---------------------------------------------------------------------------------------


def log_of(fates: Iterable[tuple[Status, str] | None], p_show: float) -> Batch:
    """Return a log of decisions: what became of each showing, None for silence."""
    batch = Batch()
    for number, fate in enumerate(fates):
        show = fate is not None
        suggestion = offer(number)
        propensity = p_show if show else 1.0 - p_show
        decision = Decision(FILM.id, {"daypart": "evening"}, show, propensity, p_show)
        body = {"kind": WEIGHED, "suggestion_id": suggestion.id if show else None, **decision.to_dict()}
        batch.journal.append((number + 1, suggestion.raised_at, body))
        if fate is not None:
            batch.suggestions.append(suggestion)
            batch.resolutions.append(Resolution(suggestion.id, fate[0], suggestion.raised_at, fate[1]))
    return batch


def test_what_showing_always_would_have_brought(run: Run, url: str) -> None:
    yes, no = (Status.ACCEPTED, ""), (Status.REJECTED, "")
    by_hand = (Status.RESOLVED, "all of it has been done")
    settled = (Status.RESOLVED, "media_player.tv was put back")  # withdrawn: says nothing
    write(url, log_of([*[yes] * 16, *[no] * 4, *[by_hand] * 4, settled, *[None] * 24], p_show=0.5))
    found = as_json(run("goals", "evaluate", "--json"))
    assert found["n"] == 48  # 24 answered, 24 silent
    assert found["logged"][0] == pytest.approx((16 - 8 - 1) / 48, abs=0.001)
    assert found["ips"][0] == pytest.approx(2 * (16 - 8 - 1) / 48, abs=0.001)  # 1 / 0.5 times that
    assert found["ips"][1] < found["ips"][0] < found["ips"][2]
    assert (found["shown"], found["tells"]) == (24, True)
    text = " ".join(run("goals", "evaluate").stdout.split())
    assert text.index("always (SNIPS)") < text.index("always (doubly robust)") < text.index("always (IPS)")
    assert "24 were shown; for what always would bring they count as 24." in text
    assert "too few" not in text


def test_a_log_that_is_too_short_or_of_silence_only(run: Run, url: str) -> None:
    write(url, log_of([(Status.ACCEPTED, "")] * 9, p_show=1.0))
    assert "9 decisions so far" in run("goals", "evaluate", code=1).output
    write(url, Batch(journal=log_of([None] * 60, p_show=0.0).journal[20:]))
    assert "49 decisions so far, 9 of them shown" in run("goals", "evaluate", code=1).output


def test_a_log_that_knows_nothing_of_what_the_other_policy_would_do(run: Run, url: str) -> None:
    batch = log_of([*[(Status.ACCEPTED, "")] * 12, *[None] * 60], p_show=1.0)
    for _, _, body in batch.journal[12:]:
        body |= {"propensity": 1.0, "p_show": 0.0}
    write(url, batch)
    assert "the log can't tell" in run("goals", "evaluate", code=1).output


def test_few_showings_of_what_is_rarely_shown_say_nothing(run: Run, url: str) -> None:
    batch = log_of([*[(Status.REJECTED, "")] * 10, *[None] * 90], p_show=0.001)
    for _, _, body in batch.journal[1:10]:  # all but one were certain
        body |= {"propensity": 1.0, "p_show": 1.0}
    write(url, batch)
    found = as_json(run("goals", "evaluate", "--json"))
    assert found["effective_n"] < 2
    assert found["tells"] is False
    assert "That is too few to say what always would bring" in " ".join(
        run("goals", "evaluate").stdout.split()
    )


def test_where_an_answer_was_awaited_nothing_was_decided(run: Run, url: str) -> None:
    batch = log_of([*[(Status.ACCEPTED, "")] * 20, *[None] * 20], p_show=0.5)
    for _, _, body in batch.journal[30:]:
        body |= {"propensity": 1.0, "p_show": 0.0, "reason": Reason.WAITING.value}
    write(url, batch)
    assert as_json(run("goals", "evaluate", "--json"))["n"] == 30


# -- an imported past ---------------------------------------------------------------------------------


def test_an_imported_past_has_goals_but_no_answers(run: Run, url: str, tmp_path: Path) -> None:
    """Nobody was asked in it. What is answered later stays, also when all is learned again."""
    until = datetime(2024, 5, 6, 4, 0, tzinfo=UTC)
    (tmp_path / "past.jsonl").write_bytes(b"".join(map(format_line, films(until))))
    run("import", "past.jsonl", INKLING_WARMUP_DAYS="0")
    (goal,) = as_json(run("goals", "list", "--json"))
    assert goal["title"].startswith("When you start the TV in any room, you switch on the light there")
    assert goal["answers"] is None or goal["answers"]["shown"] == 0
    answered = reject(url, until + timedelta(hours=16))
    assert answered == {"reject": 1}
    run("import", "past.jsonl", INKLING_WARMUP_DAYS="0")
    assert answers_at_a_start(url, goal["id"]) == {"reject": 1}
    with patch("agent.engine.SNAPSHOT_VERSION", 0):  # another release learns it from the log
        assert answers_at_a_start(url, goal["id"]) == {"reject": 1}


def engine_of(store: Store) -> Engine:
    return Engine(store, build_pipeline(load_settings(None, warmup_days=0)), Ticker())


def answers_at_a_start(url: str, goal_id: str) -> object:
    with closing(Store.open(url)) as store:
        engine = engine_of(store)
        engine.restore()
        return engine.pipeline.goals.effects()[goal_id]["answers"]


def reject(url: str, at: datetime) -> object:
    """Live through a film whose offer is rejected; return the answers that are known after it."""
    said: list[Output] = []
    with Store.open(url) as store:
        engine = engine_of(store)
        engine.on_outputs = lambda outputs, _at: said.extend(outputs)
        engine.restore()
        for entity_id in (tv("snug"), lamp("snug")):
            engine.take(change(entity_id, "off", at - timedelta(minutes=1)))
        engine.take(change(tv("snug"), "playing", at))
        engine.commit()
        (suggestion,) = (o for o in said if isinstance(o, Suggestion) and o.kind == "goal")
        known = goal_effects(store)[suggestion.context_key]
        assert (known["shown"], known["unanswered"]) == (1, 1), "written down before there is an answer"
        engine.take(Feedback(suggestion.id, Verdict.REJECTED, at + timedelta(minutes=1)))
        engine.commit()
        return engine.pipeline.goals.effects()[suggestion.context_key]["answers"]
