"""What becomes of suggestions: one message for one incident, acting unasked, taking it back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from agent.pipeline import Pipeline
from agent.policy import Policy, PolicyConfig
from agent.requests import Feedback, Permit, Reset, request_from_dict, request_to_dict
from agent.suggestions import Command, Mode, Output, Resolution, Status, Suggestion, Update, Verdict
from devices.context import Context
from devices.events import Origin, StateChange, Tick
from devices.state import HomeState
from hunches.detector import Clear, Finding, Hunch
from tests.agent.toys import T0, LongOn, change, pipeline, tick

LAMPS = ("light.a", "light.b", "light.c")


class Sharing(LongOn):
    """Its hunches about devices of one kind make one message."""

    def score_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> Iterable[Hunch]:
        for h in super().score_one(event, home, context):
            yield replace(h, group="", short="on for 10 min")


class Quiet(LongOn):
    """Finds entities that are off, and says itself when that is over."""

    def score_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> Iterable[Finding]:
        if isinstance(event, StateChange):
            if event.new == "on":
                yield Clear(self.name, event.entity_id, "moved again")
            return
        for h in super().score_one(event, home, context):
            yield replace(h, raised_for="silent", clears_itself=True, remedy=None)


def home_of(detector: LongOn, **config: object) -> Pipeline:
    made = pipeline()
    settings = {"per_day": 1000.0, "burst": 1000.0, "quiet_hours": None, **config}
    return Pipeline(made.calendar, [detector], Policy(PolicyConfig(**settings)))  # type: ignore[arg-type]


def lit(p: Pipeline, *entities: str, minutes: float = 0) -> list[Output]:
    out: list[Output] = []
    for entity_id in entities:
        p.step(change(entity_id, "off", minutes - 1))
        out += p.step(change(entity_id, "on", minutes))
    return out + p.step(tick(minutes + 10))


def reloaded(p: Pipeline, detector: LongOn) -> Pipeline:
    other = Pipeline(p.calendar, [detector], Policy(p.policy.config))
    other.load(json.loads(json.dumps(p.to_dict())))
    return other


# -- one message for one incident ---------------------------------------------------------------------


def test_three_lights_left_on_are_one_message_and_one_payment() -> None:
    p = home_of(Sharing(), per_day=0.5, burst=1.0)
    first, *updates = lit(p, *LAMPS)
    assert isinstance(first, Suggestion)
    assert [type(u) for u in updates] == [Update, Update]
    (alive,) = p.alive.values()
    s = alive.suggestion
    assert s.id == first.id
    assert s.title == "3 lights at once: A on for 10 min; B on for 10 min; C on for 10 min."
    assert [m.entity_id for m in s.members] == list(LAMPS)
    assert [g["entity_id"] for g in s.evidence["group"]] == ["light.b", "light.c"]
    assert Suggestion.from_dict(json.loads(json.dumps(s.to_dict()))) == s
    out = p.step(Feedback(s.id, Verdict.ACCEPTED, T0 + timedelta(minutes=11)))
    assert [o.entity_id for o in out if isinstance(o, Command)] == list(LAMPS)


def test_a_group_is_settled_when_its_last_member_is() -> None:
    detector = Sharing()
    p = home_of(detector)
    lit(p, *LAMPS)
    assert p.step(change("light.b", "off", 12)) == []
    p = reloaded(p, Sharing())
    (s,) = [a.suggestion for a in p.alive.values()]
    assert p.step(change("light.a", "off", 13)) == []
    out = p.step(Feedback(s.id, Verdict.ACCEPTED, T0 + timedelta(minutes=14)))
    assert [o.entity_id for o in out if isinstance(o, Command)] == ["light.c"], "two are off already"


def test_the_last_member_withdraws_the_message() -> None:
    p = home_of(Sharing())
    lit(p, *LAMPS)
    outs = [p.step(change(e, "off", 12)) for e in LAMPS]
    assert [[type(o) for o in out] for out in outs] == [[], [], [Resolution]]
    assert not p.alive


def test_an_answer_to_a_group_is_about_each_member() -> None:
    p = home_of(Sharing())
    first, *_ = lit(p, *LAMPS)
    assert isinstance(first, Suggestion)
    p.step(Feedback(first.id, Verdict.INTENTIONAL, T0 + timedelta(minutes=11)))
    for entity_id in LAMPS:
        assert p.policy.effects(entity_id)["silenced"] == [["long_on", "any"]]


def test_what_is_found_long_after_or_is_of_another_kind_is_another_message() -> None:
    p = home_of(Sharing())
    lit(p, "light.a")
    assert [type(o) for o in lit(p, "switch.iron", minutes=20)] == [Suggestion]
    assert [type(o) for o in lit(p, "light.b", minutes=80)] == [Suggestion]


def test_an_urgent_finding_never_joins_in_silence() -> None:
    p = home_of(Sharing())
    leak = {"device_class": "moisture"}
    for entity_id in ("binary_sensor.leak", "binary_sensor.leak2"):
        p.step(change(entity_id, "off", -1, attributes=leak))
        p.step(change(entity_id, "on", 0, attributes=leak))
    assert [type(o) for o in p.step(tick(10))] == [Suggestion, Suggestion]


# -- findings that are no state -----------------------------------------------------------------------


def test_a_detector_says_when_its_own_finding_is_over() -> None:
    p = home_of(Quiet())
    (s,) = lit(p, "light.a")
    assert isinstance(s, Suggestion)
    assert p.step(change("light.a", "dim", 12)) == [], "leaving the state settles nothing"
    p = reloaded(p, Quiet())
    (over,) = p.step(change("light.a", "on", 13))
    assert isinstance(over, Resolution)
    assert (over.suggestion_id, over.status, over.why) == (s.id, Status.RESOLVED, "light.a moved again")
    assert [type(o) for o in p.step(tick(23))] == [Suggestion], "a new stretch is told again"


def test_clear_takes_back_what_waits_for_the_budget() -> None:
    p = home_of(Quiet(), per_day=0.5, burst=1.0)
    lit(p, "light.a", "switch.b")
    p.step(change("switch.b", "dim", 11))
    p.step(change("switch.b", "on", 12))
    p.step(change("switch.b", "off", 13))
    later = p.step(tick(3 * 24 * 60))
    assert "switch.b" not in {o.entity_id for o in later if isinstance(o, Suggestion)}


def test_what_waited_for_the_budget_says_when_it_was_found() -> None:
    p = home_of(LongOn(), per_day=24.0, burst=1.0)
    detector = p.detectors[0]
    assert isinstance(detector, LongOn)
    lit(p, "light.a", "light.b")
    detector.since.clear()  # found once, as real detectors do
    (s,) = [o for m in range(11, 80) for o in p.step(tick(m)) if isinstance(o, Suggestion)]
    assert s.title == "At 10:10: light.b is still on"


# -- acting unasked -----------------------------------------------------------------------------------


def allowed(**config: object) -> Pipeline:
    p = home_of(LongOn(), **config)
    p.step(Permit(T0 - timedelta(days=1), "light.a", "long_on", allowed=True))
    return p


def test_what_is_allowed_is_done_and_announced_outside_the_budget() -> None:
    p = allowed(per_day=0.0, burst=1.0)
    s, command = lit(p, "light.a")
    assert isinstance(s, Suggestion)
    assert s.mode is Mode.ACT
    assert s.title == "I have switched off A. light.a is still on Undo?"
    assert command == Command(s.id, "light.a", "off", T0 + timedelta(minutes=10))
    assert p.step(change("light.a", "off", 10.1, origin=Origin.AGENT)) == []
    assert s.id in p.alive, "our own echo doesn't withdraw the announcement"
    (end,) = [o for m in range(11, 800) for o in p.step(tick(m))]
    assert isinstance(end, Resolution)
    assert (end.status, end.why) == (Status.ACCEPTED, "nobody took it back")
    assert p.policy.effects("light.a")["raised_bar"] == {}, "silence is consent here"


@pytest.mark.parametrize("verdict", [Verdict.UNDONE, Verdict.REJECTED])
def test_undo_puts_it_back_and_ends_the_permission(verdict: Verdict) -> None:
    p = allowed()
    s, _ = lit(p, "light.a")
    assert isinstance(s, Suggestion)
    p.step(change("light.a", "off", 10.1, origin=Origin.AGENT))
    undone, back = p.step(Feedback(s.id, verdict, T0 + timedelta(hours=2)))
    assert isinstance(undone, Resolution)
    assert undone.status is Status.UNDONE
    assert back == Command(s.id, "light.a", "on", T0 + timedelta(hours=2), undo=True)
    assert p.policy.effects("light.a")["acts_unasked"] == {"long_on": False}


@pytest.mark.parametrize(("minutes", "revoked"), [(19, True), (21, False)])
def test_a_reversal_by_hand_within_ten_minutes_ends_the_permission(minutes: int, revoked: bool) -> None:
    p = allowed()
    lit(p, "light.a")  # acts at 10
    p.step(change("light.a", "off", 10.1, origin=Origin.AGENT))
    p = reloaded(p, LongOn())
    out = p.step(change("light.a", "on", minutes))
    assert [o.status for o in out if isinstance(o, Resolution)] == ([Status.UNDONE] if revoked else [])
    assert p.policy.effects("light.a")["acts_unasked"] == {"long_on": not revoked}
    asked, *commands = p.step(tick(minutes + 10))
    assert isinstance(asked, Suggestion)
    assert asked.mode is (Mode.ASK if revoked else Mode.ACT)
    assert bool(commands) is not revoked


@pytest.mark.parametrize("origin", [Origin.AUTOMATION, Origin.AGENT])
def test_only_a_resident_reverses(origin: Origin) -> None:
    p = allowed()
    lit(p, "light.a")
    p.step(change("light.a", "off", 10.1, origin=Origin.AGENT))
    assert p.step(change("light.a", "on", 12, origin=origin)) == []
    assert p.policy.effects("light.a")["acts_unasked"] == {"long_on": True}


def test_a_reversal_of_what_was_accepted_counts_against_it() -> None:
    p = pipeline()
    (s,) = lit(p, "light.a")
    assert isinstance(s, Suggestion)
    p.step(Feedback(s.id, Verdict.ACCEPTED, T0 + timedelta(minutes=11)))
    p.step(change("light.a", "off", 11.1, origin=Origin.AGENT))
    (undone,) = p.step(change("light.a", "on", 13))
    assert isinstance(undone, Resolution)
    assert undone.status is Status.UNDONE
    # accepted -0.25, undone +0.5
    assert p.policy.effects("light.a")["raised_bar"] == {"long_on": 0.25}
    assert p.policy.effects("light.a")["acts_unasked"] == {}


@pytest.mark.parametrize(
    ("pattern", "entity_id", "acts"),
    [
        ("light.*", "light.a", True),
        ("long_on:light.*", "light.a", True),
        ("dwell:light.*", "light.a", False),
        ("*", "switch.oven", False),  # a glob means safe domains only
        ("*", "lock.front", False),
        ("lock.*", "lock.front", False),
        ("lock.front", "lock.front", True),  # named by the user
        ("switch.oven", "switch.oven", True),
    ],
)
def test_what_may_be_done_unasked_by_the_settings(pattern: str, entity_id: str, acts: bool) -> None:
    p = home_of(LongOn(), act=(pattern,))
    assert [type(o) for o in lit(p, entity_id)] == [Suggestion] + [Command] * acts


def test_nothing_is_done_while_the_home_is_only_getting_known() -> None:
    p = home_of(LongOn(), act=("light.*",), warmup=timedelta(days=7))
    assert lit(p, "light.a") == []


def test_a_reset_takes_back_all_that_answers_did() -> None:
    p = allowed()
    s, _ = lit(p, "light.a")
    assert isinstance(s, Suggestion)
    p.step(Feedback(s.id, Verdict.UNDONE, T0 + timedelta(minutes=11)))
    p.step(Reset(T0 + timedelta(hours=1), "light.a"))
    assert p.policy.effects("light.a") == {"acts_unasked": {}, "silenced": [], "raised_bar": {}}


@pytest.mark.parametrize("request_", [Permit(T0, "light.a", "dwell", allowed=True), Reset(T0, "light.a")])
def test_requests_go_through_the_journal(request_: Permit | Reset) -> None:
    assert request_from_dict(json.loads(json.dumps(request_to_dict(request_)))) == request_


# -- what answers teach -------------------------------------------------------------------------------


def test_a_stretch_that_a_resident_called_abnormal_teaches_nothing() -> None:
    p = pipeline()
    detector = p.detectors[0]
    assert isinstance(detector, LongOn)
    (s,) = lit(p, "light.a")
    assert isinstance(s, Suggestion)
    p.step(Feedback(s.id, Verdict.ACCEPTED, T0 + timedelta(minutes=11)))
    learned = detector.learned
    p.step(change("light.a", "off", 30))
    assert detector.learned == learned
    p.step(change("light.a", "on", 40))
    p.step(change("light.a", "off", 41))
    assert detector.learned == learned + 2


def test_what_is_welcome_costs_the_budget_half() -> None:
    p = home_of(LongOn(), per_day=2.0, burst=2.0)
    p.step(tick(-24 * 60))
    start = 0.0
    for _ in range(3):
        (s,) = lit(p, "light.a", minutes=start)
        assert isinstance(s, Suggestion)
        p.step(Feedback(s.id, Verdict.ACCEPTED, T0 + timedelta(minutes=start + 11)))
        p.step(change("light.a", "off", start + 12))
        start += 30
    assert lit(p, "light.a", minutes=start) == [], "two tokens: 1 + 1/2 + 1/2, and a little from the hour"


# -- calibration --------------------------------------------------------------------------------------


def test_a_hunch_says_how_rare_such_a_day_is_here() -> None:
    p = home_of(LongOn(), per_day=0.5)
    (s,) = lit(p, "light.a")
    assert isinstance(s, Suggestion)
    assert 0.0 < s.evidence["p_home"] <= 1.0
    assert 0.0 < s.evidence["fdr_level"] < 1.0


def test_a_strict_home_hears_only_what_is_news_there() -> None:
    p = home_of(LongOn(), fdr=0.1, per_day=0.5)
    shown = []
    for day in range(20):  # the same finding every day
        start = day * 24 * 60.0
        shown.append(len([o for o in lit(p, "light.a", minutes=start) if isinstance(o, Suggestion)]))
        p.step(change("light.a", "off", start + 12))
    assert sum(shown[10:]) <= 1
    p = reloaded(p, LongOn())
    assert p.triage.calibration.to_dict()["observed"] == 19
