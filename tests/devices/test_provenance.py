"""Who caused a change: every row of Home Assistant's context table, and the cases where a context lies."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.events import Origin, Source, StateChange, utc
from devices.provenance import HaContext, Provenance

T0 = utc("2024-03-01T18:00:00+00:00")
ANNA, OWN, SUPERVISOR = "user-anna", "user-own", "user-supervisor"
NOBODY = ("ctx-null", None, None)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


class Home:
    """Plays events to a `Provenance` and keeps the origins."""

    def __init__(self, **options: Any) -> None:
        self.who = Provenance(non_persons={SUPERVISOR}, **options)
        self.who.own_user = OWN

    def start(self, **states: str) -> Home:
        for entity, state in states.items():
            for source in (Source.HOME_ASSISTANT, Source.NATIVE):
                entity_id = entity.replace("__", ".")
                change = StateChange(entity_id, state, T0, T0, retained=True, source=source)
                assert self.who.classify(change, context=NOBODY, now=T0) == (Origin.UNKNOWN, 0.0)
        return self

    def call(
        self, context: HaContext, service: str, entity: str | list[str] | None, s: float, **data: Any
    ) -> None:
        domain, name = service.split(".")
        if entity is not None:
            data["entity_id"] = entity
        self.who.service_called(context, domain, name, data, at(s))

    def hears(self, entity: str, state: str, context: HaContext | None, s: float, **fields: Any) -> Origin:
        fields.setdefault("source", Source.HOME_ASSISTANT if context else Source.NATIVE)
        change = StateChange(entity, state, at(s), at(s), **fields)
        origin, confidence = self.who.classify(change, context=context, now=at(s))
        assert 0.0 <= confidence <= 1.0
        return origin


# -- a single context ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "origin"),
    [
        (("c", None, ANNA), Origin.PERSON),
        (("c", None, OWN), Origin.PERSON),  # our token may belong to a resident: only our contexts are ours
        (("c", None, SUPERVISOR), Origin.AUTOMATION),
        (("c", "p", None), Origin.AUTOMATION),
        (("c", None, None), Origin.PHYSICAL),
    ],
)
def test_a_context_alone(context: HaContext, origin: Origin) -> None:
    home = Home().start(light__hall="off")
    assert home.hears("light.hall", "on", context, 1) is origin


def test_with_a_user_of_our_own_all_its_actions_are_ours() -> None:
    home = Home(dedicated_user=True).start(light__hall="off")
    assert home.hears("light.hall", "on", ("c", None, OWN), 1) is Origin.AGENT


def test_polled_and_virtual_entities_are_less_sure() -> None:
    home = Home().start(media_player__tv="off", input_boolean__guests="off", binary_sensor__door="off")
    tv = StateChange("media_player.tv", "on", at(1), at(1), source=Source.HOME_ASSISTANT)
    assert home.who.classify(tv, context=("a", None, None), now=at(1)) == (Origin.PHYSICAL, 0.6)
    assert home.hears("input_boolean.guests", "on", ("b", None, None), 2) is Origin.UNKNOWN
    door = StateChange("binary_sensor.door", "on", at(3), at(3), source=Source.NATIVE)
    assert home.who.classify(door, context=None, now=at(3)) == (Origin.PHYSICAL, 0.9)


def test_a_call_by_nobody_is_not_a_hand() -> None:
    """HomeKit and Assist call services with an empty context."""
    home = Home().start(light__hall="off")
    home.call(NOBODY, "light.turn_on", "light.hall", 0)
    assert home.hears("light.hall", "on", NOBODY, 0.1) is Origin.UNKNOWN


# -- one action per context ---------------------------------------------------------------------------


def test_a_click_then_a_hand_2_s_later() -> None:
    home, context = Home().start(light__hall="off"), ("c", None, ANNA)
    home.call(context, "light.turn_on", "light.hall", 0)
    assert home.hears("light.hall", "on", context, 0.1) is Origin.PERSON
    assert home.hears("light.hall", "on", context, 0.3) is Origin.PERSON  # brightness follows
    assert home.hears("light.hall", "off", context, 2.1) is Origin.PHYSICAL
    assert home.hears("light.hall", "on", context, 3.0) is Origin.PHYSICAL


def test_a_hand_before_the_confirmation_is_no_confirmation() -> None:
    """The command "on" finds the light on already, so nothing of it is to be seen."""
    home, context = Home().start(light__hall="on"), ("c", None, ANNA)
    home.call(context, "light.turn_on", "light.hall", 0)
    assert home.hears("light.hall", "off", context, 2) is Origin.PHYSICAL


def test_without_call_service_the_first_change_is_the_commands() -> None:
    """A token of a user who is no administrator doesn't get `call_service`."""
    home, context = Home().start(light__hall="off"), ("c", None, ANNA)
    assert home.hears("light.hall", "on", context, 0.1) is Origin.PERSON
    assert home.hears("light.hall", "off", context, 2.1) is Origin.PHYSICAL


def test_an_automation_that_blinks_makes_every_change() -> None:
    home, context = Home().start(light__hall="off", light__all="off"), ("c", "trigger", None)
    home.who.automation_triggered(context, "automation.blink", at(0))
    home.call(context, "light.turn_on", "light.hall", 0)
    assert home.hears("light.hall", "on", context, 0.1) is Origin.AUTOMATION
    assert home.hears("light.all", "on", context, 0.1) is Origin.AUTOMATION  # a group that follows
    home.call(context, "light.turn_off", "light.hall", 2)
    assert home.hears("light.hall", "off", context, 2.1) is Origin.AUTOMATION
    assert home.hears("light.all", "off", context, 2.1) is Origin.AUTOMATION
    assert home.hears("light.hall", "on", context, 4) is Origin.PHYSICAL
    assert home.hears("light.all", "on", context, 4) is Origin.PHYSICAL


def test_template_entities_inherit_and_sensors_may_follow_often() -> None:
    home, context = Home().start(light__desk="off", sensor__lights_on="0"), ("c", None, ANNA)
    home.call(context, "light.turn_on", "light.desk", 0)
    home.call(context, "input_boolean.turn_on", "input_boolean.backing", 0.001)
    assert home.hears("input_boolean.backing", "on", context, 0.002) is Origin.PERSON
    assert home.hears("light.desk", "on", context, 0.003) is Origin.PERSON
    for n in "123":
        assert home.hears("sensor.lights_on", n, context, 0.004) is Origin.PERSON


def test_a_call_made_by_a_call_is_one_command() -> None:
    home, context = Home().start(light__hall="off"), ("c", None, ANNA)
    home.call(context, "homeassistant.turn_on", "light.hall", 0)
    home.call(context, "light.turn_on", "light.hall", 0.001)
    assert home.hears("light.hall", "on", context, 0.1) is Origin.PERSON
    assert home.hears("light.hall", "off", context, 1) is Origin.PHYSICAL
    assert home.hears("light.hall", "on", context, 2) is Origin.PHYSICAL


def test_a_call_for_an_area_moves_each_of_its_entities_once() -> None:
    home, context = Home().start(light__a="off", light__b="off"), ("c", None, ANNA)
    home.call(context, "light.turn_on", None, 0, area_id="kitchen")
    assert home.hears("light.a", "on", context, 0.1) is Origin.PERSON
    assert home.hears("light.b", "on", context, 0.1) is Origin.PERSON
    assert home.hears("light.b", "off", context, 3) is Origin.PHYSICAL


def test_toggles_expect_the_opposite_of_the_state_then() -> None:
    home = Home().start(light__hall="on")
    first, second = ("c1", None, ANNA), ("c2", None, ANNA)
    home.call(first, "light.toggle", "light.hall", 0)
    home.call(second, "light.toggle", "light.hall", 0.1)
    assert home.hears("light.hall", "off", first, 0.2) is Origin.PERSON
    assert home.hears("light.hall", "on", second, 0.3) is Origin.PERSON
    third = ("c3", None, ANNA)
    home.call(third, "light.toggle", "light.hall", 20)
    assert home.hears("light.hall", "off", third, 20.1) is Origin.PERSON
    assert home.hears("light.hall", "on", third, 22) is Origin.PHYSICAL


# -- automations, scripts, chains ---------------------------------------------------------------------


def test_an_automation_run_by_hand_is_an_automation_with_evidence() -> None:
    home = Home().start(light__hall="off")
    click, run = ("a", None, ANNA), ("b", "a", None)
    home.call(click, "automation.trigger", "automation.dusk", 0)
    home.who.automation_triggered(run, "automation.dusk", at(0.01))
    home.call(run, "light.turn_on", "light.hall", 0.02)
    assert home.hears("light.hall", "on", run, 0.1) is Origin.AUTOMATION
    assert home.who.evidence("b") == "automation.dusk, run by a person"


def test_a_time_automation_has_neither_user_nor_parent() -> None:
    home = Home().start(light__hall="off")
    home.who.automation_triggered(NOBODY, "automation.dusk", at(0))
    home.call(NOBODY, "light.turn_on", "light.hall", 0)
    assert home.hears("light.hall", "on", NOBODY, 0.1) is Origin.AUTOMATION
    assert home.who.evidence(NOBODY[0]) == "automation.dusk"


def test_a_script_run_by_a_person_acts_as_a_script() -> None:
    home, context = Home().start(light__hall="off"), ("c", None, ANNA)
    home.call(context, "script.turn_on", "script.film", 0)
    home.who.automation_triggered(context, "script.film", at(0))
    home.call(context, "light.turn_on", "light.hall", 0)
    assert home.hears("light.hall", "on", context, 0.1) is Origin.AUTOMATION
    assert home.who.evidence("c") == "script.film, run by a person"


def test_evidence_of_loops_and_strangers_ends() -> None:
    home = Home()
    home.who.automation_triggered(("x", "x", None), "automation.odd", at(0))
    assert home.who.evidence("x") == "automation.odd"
    assert home.who.evidence("never seen") == ""


# -- our own ------------------------------------------------------------------------------------------


def test_our_call_is_ours_before_its_answer_is_in() -> None:
    home, context = Home().start(light__hall="off"), ("c", None, OWN)
    handle = home.who.own_call("light", "turn_on", {"entity_id": "light.hall"}, at(0))
    home.call(context, "light.turn_on", ["light.hall"], 0.01)
    assert home.hears("light.hall", "on", context, 0.1) is Origin.AGENT
    home.who.own_result(handle, "c", at(0.2))
    assert home.hears("light.hall", "off", context, 2.1) is Origin.PHYSICAL, "a hand 2 s after our command"
    assert home.who.evidence("c") == "by Inkling"


def test_our_call_is_ours_without_call_service_events() -> None:
    home, context = Home().start(light__hall="off"), ("c", None, OWN)
    handle = home.who.own_call("light", "turn_on", {"entity_id": "light.hall"}, at(0))
    assert home.hears("light.hall", "on", context, 0.1) is Origin.AGENT
    home.who.own_result(handle, "c", at(0.2))
    assert home.hears("light.hall", "off", context, 2.1) is Origin.PHYSICAL


def test_a_resident_who_does_the_same_at_the_same_time_stays_a_person() -> None:
    home = Home().start(light__hall="off", light__den="off")
    home.who.own_call("light", "turn_on", {"entity_id": "light.hall"}, at(0))
    assert home.hears("light.hall", "on", ("c", None, ANNA), 0.1) is Origin.PERSON
    handle = home.who.own_call("light", "turn_on", {"entity_id": "light.den"}, at(1))
    home.call(("d", None, OWN), "light.turn_on", "light.den", 1.01)  # taken for ours …
    home.who.own_result(handle, "e", at(1.02))  # … but ours was another
    assert home.hears("light.den", "on", ("d", None, OWN), 1.1) is Origin.PERSON


def test_a_refused_call_leaves_nothing_behind() -> None:
    home = Home().start(light__hall="off")
    handle = home.who.own_call("light", "turn_on", {"entity_id": "light.hall"}, at(0))
    home.who.own_failed(handle)
    assert home.hears("light.hall", "on", NOBODY, 1) is Origin.PHYSICAL


def test_our_mqtt_command_once() -> None:
    home = Home().start(light__hall="off")
    home.who.expect("light.hall", "on", at(0))
    assert home.hears("light.hall", "on", None, 0.1) is Origin.AGENT
    assert home.hears("light.hall", "on", ("c1", None, None), 0.12) is Origin.AGENT, "the same, by WebSocket"
    assert home.hears("light.hall", "off", None, 2) is Origin.UNKNOWN
    assert home.hears("light.hall", "off", ("c2", None, None), 2) is Origin.PHYSICAL
    assert home.hears("light.hall", "on", ("c3", None, None), 3) is Origin.PHYSICAL


def test_a_device_that_answers_late_looks_physical_but_is_expected() -> None:
    home, context = Home().start(light__hall="off"), ("c", None, ANNA)
    home.call(context, "light.turn_on", "light.hall", 0)
    assert home.hears("light.hall", "on", NOBODY, 5.5) is Origin.PERSON
    home.call(("d", None, ANNA), "light.turn_off", "light.hall", 20)
    assert home.hears("light.hall", "off", ("e", None, None), 31) is Origin.PHYSICAL, "the window is over"


def test_native_evidence_of_a_hand_beats_an_expectation() -> None:
    home = Home().start(switch__fan="off")
    home.who.expect("switch.fan", "on", at(0))
    told = {"origin": Origin.PHYSICAL, "confidence": 0.95}
    assert home.hears("switch.fan", "on", None, 1, **told) is Origin.PHYSICAL


def test_somebodys_set_is_no_hand() -> None:
    home = Home().start(light__hall="off")
    home.who.command_seen("light.hall", "on", at(0))
    assert home.hears("light.hall", "on", ("c", None, None), 0.1) is Origin.UNKNOWN
    assert home.hears("light.hall", "off", ("d", None, None), 2) is Origin.PHYSICAL


def test_the_echo_of_our_own_set_is_ours() -> None:
    home = Home().start(light__hall="off")
    home.who.expect("light.hall", "on", at(0))
    home.who.command_seen("light.hall", "on", at(0.01))
    assert home.hears("light.hall", "on", None, 0.1) is Origin.AGENT
    home.who.command_seen("light.hall", "off", at(10))  # the message is faster than the event …
    home.call(("c", None, ANNA), "light.turn_off", "light.hall", 10.01)  # … that says whose it was
    assert home.hears("light.hall", "off", None, 10.1) is Origin.PERSON
    assert home.hears("light.hall", "on", None, 12) is Origin.UNKNOWN


# -- covers, outages, bounds --------------------------------------------------------------------------


def test_a_cover_on_its_way_and_arrived() -> None:
    home, context = Home().start(cover__garage="closed"), ("c", None, ANNA)
    home.call(context, "cover.open_cover", "cover.garage", 0)
    assert home.hears("cover.garage", "opening", context, 0.2) is Origin.PERSON
    assert home.hears("cover.garage", "open", ("d", None, None), 30) is Origin.PERSON
    assert home.hears("cover.garage", "closing", ("e", None, None), 60) is Origin.PHYSICAL


def test_a_return_from_unavailable_is_nobodys() -> None:
    home = Home().start(light__hall="on")
    assert home.hears("light.hall", "unavailable", ("c", None, None), 1) is Origin.UNKNOWN
    assert home.hears("light.hall", "off", ("d", None, None), 2) is Origin.UNKNOWN
    assert home.hears("light.hall", "on", ("e", None, None), 3) is Origin.PHYSICAL


def test_memory_is_bounded_and_contexts_expire() -> None:
    who = Provenance(max_contexts=50, keep=timedelta(minutes=1))
    for n in range(500):
        who.own_call("light", "turn_on", {"entity_id": f"light.x{n}"}, at(n / 100))
        who.service_called(
            (f"c{n}", None, ANNA), "light", "turn_on", {"entity_id": f"light.y{n}"}, at(n / 100)
        )
    assert len(who._contexts) == 50
    assert len(who._expected) == 50
    assert len(who._own) == 256
    who.service_called(("late", None, ANNA), "light", "turn_on", {}, at(500))
    assert list(who._contexts) == ["late"]
    who.forget("light.y499")
    assert len(who._expected) == 49


_ids = st.sampled_from(["a", "b", "c"])
_contexts = st.tuples(_ids, st.none() | _ids, st.none() | st.sampled_from([ANNA, OWN, SUPERVISOR]))
_entities = st.sampled_from(["light.a", "cover.b", "sensor.c", "input_boolean.d", "media_player.e"])
_facts = st.one_of(
    st.tuples(
        st.just("call"), _contexts, st.sampled_from(["turn_on", "toggle", "open_cover", "x"]), _entities
    ),
    st.tuples(st.just("runs"), _contexts, _entities),
    st.tuples(st.just("own"), _entities),
    st.tuples(st.just("set"), _entities),
    st.tuples(
        st.just("change"),
        st.none() | _contexts,
        _entities,
        st.sampled_from(["on", "off", "open", "opening", "unavailable"]),
    ),
)


@given(st.lists(_facts, max_size=40))
def test_any_facts_in_any_order(facts: list[tuple[Any, ...]]) -> None:
    """Nothing raises; nothing without a user anywhere is a person's."""
    home, users = Home(), False
    for n, (kind, *rest) in enumerate(facts):
        if kind == "call":
            users |= rest[0][2] is not None
            home.call(rest[0], f"light.{rest[1]}", rest[2], n / 4)
        elif kind == "runs":
            users |= rest[0][2] is not None
            home.who.automation_triggered(rest[0], rest[1], at(n / 4))
        elif kind == "own":
            home.who.own_call("light", "turn_on", {"entity_id": rest[0]}, at(n / 4))
        elif kind == "set":
            home.who.command_seen(rest[0], None, at(n / 4))
        else:
            users |= rest[0] is not None and rest[0][2] is not None
            origin = home.hears(rest[1], rest[2], rest[0], n / 4)
            assert users or origin is not Origin.PERSON
