"""What may interrupt, and that nothing acts unasked. The pipeline's side of it is in test_pipeline.py."""

from __future__ import annotations

import json
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.pipeline import Pipeline
from agent.policy import Decision, Policy, PolicyConfig, matches
from agent.requests import Feedback, HomeMode, Permit
from agent.suggestions import Command, Output, Severity, Suggestion, Verdict
from agent.ticker import Ticker, with_ticks
from devices.context import Context, Occupancy
from devices.state import HomeState
from tests.agent.toys import T0, change, hunch, pipeline

DOORS = {"device_class": "moisture"}  # urgent whatever the circumstances
ENTITIES = (
    "light.a",
    "light.b",
    "light.c",
    "switch.iron",
    "binary_sensor.leak",
    "lock.front",
    "cover.garage",
)
HERE = Context(T0, T0, Occupancy.HOME, daylight=True)

days = st.lists(
    st.tuples(st.sampled_from(ENTITIES), st.booleans(), st.floats(0, 5 * 1440)), min_size=5, max_size=60
)


def lived(p: Pipeline, rows: list[tuple[str, bool, float]]) -> list[Output]:
    """Let a few days pass in which entities are switched on and off."""
    attributes = {"binary_sensor.leak": DOORS}
    log = [
        change(entity, "on" if on else "off", minutes, attributes=attributes.get(entity, {}))
        for entity, on, minutes in sorted(rows, key=lambda row: row[2])
    ]
    return [output for event in with_ticks(log, Ticker(timedelta(minutes=5))) for output in p.step(event)]


@settings(max_examples=40, deadline=None)
@given(days, st.floats(0, 4), st.floats(1, 3))
def test_the_budget_is_never_exceeded_over_any_time(
    rows: list[tuple[str, bool, float]], per_day: float, burst: float
) -> None:
    """Of what isn't urgent at most burst + per_day · d hunches come in any d days: a token bucket's bound."""
    outputs = lived(pipeline(per_day=per_day, burst=burst), rows)
    shown = [
        output.raised_at
        for output in outputs
        if isinstance(output, Suggestion) and not output.evidence["shown_because"].startswith("urgent")
    ]
    for first in range(len(shown)):
        for last in range(first, len(shown)):
            length = (shown[last] - shown[first]) / timedelta(days=1)
            assert last - first + 1 <= burst + per_day * length + 1e-6


@settings(max_examples=40, deadline=None)
@given(days)
def test_what_is_urgent_comes_with_no_budget_at_all(rows: list[tuple[str, bool, float]]) -> None:
    rows = [(entity, on, minutes) for entity, on, minutes in rows if entity == "binary_sensor.leak"]
    free, poor = pipeline(), pipeline(per_day=0.0, burst=0.0)
    assert [type(o) for o in lived(free, rows)] == [type(o) for o in lived(poor, rows)]


@settings(max_examples=40, deadline=None)
@given(days, st.lists(st.sampled_from([v for v in Verdict if v is not Verdict.IGNORED]), max_size=12))
def test_nothing_is_commanded_that_was_not_accepted(
    rows: list[tuple[str, bool, float]], verdicts: list[Verdict]
) -> None:
    p = pipeline()
    outputs = lived(p, rows)
    assert not any(isinstance(output, Command) for output in outputs), "nobody has answered yet"
    raised = {output.id: output for output in outputs if isinstance(output, Suggestion)}
    accepted = set[str]()
    for (suggestion_id, suggestion), verdict in zip(raised.items(), verdicts, strict=False):
        was_alive = suggestion_id in p.alive
        for command in p.step(Feedback(suggestion_id, verdict, T0 + timedelta(days=6))):
            if isinstance(command, Command):
                assert verdict is Verdict.ACCEPTED
                assert was_alive
                assert (command.entity_id, command.state) == (suggestion.entity_id, "off")
                accepted.add(suggestion_id)
    for suggestion_id in raised:
        undone = p.step(Feedback(suggestion_id, Verdict.UNDONE, T0 + timedelta(days=7)))
        assert any(isinstance(output, Command) for output in undone) <= (suggestion_id in accepted)


def test_ways_into_the_home_are_urgent_when_nobody_is_awake_and_there() -> None:
    policy, home = Policy(), HomeState()
    home.apply(change("binary_sensor.door", "on", 0, attributes={"device_class": "door"}))
    home.apply(change("binary_sensor.leak", "on", 0, attributes={"device_class": "moisture"}))
    asleep = Context(T0, T0, Occupancy.ASLEEP, daylight=False)
    home.apply(change("sensor.freezer", "-9", 0, attributes={"device_class": "temperature"}))

    def severity(entity_id: str, context: Context) -> Severity:
        return policy.severity(hunch(entity_id, T0), home, context)

    assert severity("binary_sensor.door", HERE) is Severity.INFO
    assert severity("binary_sensor.door", asleep) is Severity.WARNING
    assert severity("lock.front", asleep) is Severity.WARNING
    assert severity("binary_sensor.leak", HERE) is Severity.CRITICAL
    assert severity("sensor.freezer", HERE) is Severity.CRITICAL
    assert severity("light.never_seen", asleep) is Severity.INFO
    policy.mode = HomeMode.VACATION
    assert severity("binary_sensor.door", HERE) is Severity.WARNING


def test_deciding_changes_nothing_and_says_why() -> None:
    policy = Policy(PolicyConfig(burst=1.0, exclude_detectors=("timing",)))
    policy.tick(T0)
    before = json.dumps(policy.to_dict())
    decided = [policy.decide(hunch("light.a", T0), T0, Severity.INFO) for _ in range(3)]
    assert decided == [(Decision.SHOW, "within the budget")] * 3
    assert json.dumps(policy.to_dict()) == before
    policy.pay(hunch("light.a", T0), T0)
    assert policy.decide(hunch("light.a", T0), T0, Severity.INFO)[0] is Decision.HOLD
    # half a hunch a day: the next token is full after two days
    for later, decision in ((timedelta(days=1.9), Decision.HOLD), (timedelta(days=2), Decision.SHOW)):
        assert policy.decide(hunch("light.a", T0), T0 + later, Severity.INFO)[0] is decision


def test_a_clock_set_back_starves_nobody() -> None:
    policy = Policy(PolicyConfig(per_day=1.0, burst=1.0, warmup=timedelta(days=1)))
    ahead = T0 + timedelta(days=365)
    policy.tick(ahead)
    policy.pay(hunch("light.a", T0), ahead)
    policy.tick(T0)
    later = T0 + timedelta(days=1)
    assert policy.decide(hunch("light.a", T0), later, Severity.INFO)[0] is Decision.SHOW


def test_globs() -> None:
    assert matches("light.hall", ["switch.*", "*.hall"])
    assert not matches("light.hall", ["light", "light.h"])
    assert not matches("light.hall", [])


def test_answers_move_with_an_entity_and_go_with_it() -> None:
    p = pipeline()
    suggestion = next(o for o in lived(p, [("light.a", True, 0.0), ("light.b", False, 60.0)]) if o)
    assert isinstance(suggestion, Suggestion)
    for verdict in (Verdict.INTENTIONAL, Verdict.REJECTED):
        p.policy.answer(suggestion, verdict)
    p.policy.permit(Permit(T0, "light.a", "long_on", allowed=True))
    expected = {
        "acts_unasked": {"long_on": True},
        "silenced": [["long_on", "any"]],
        "raised_bar": {"long_on": 0.5},
    }
    assert p.policy.effects("light.a") == expected
    p.policy.rename("light.a", "light.new")
    assert p.policy.effects("light.new") == expected
    p.policy.forget("light.new")
    assert p.policy.effects("light.new") == {"acts_unasked": {}, "silenced": [], "raised_bar": {}}
