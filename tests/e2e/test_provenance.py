"""Who caused a change, asked of a real Home Assistant: each kind of origin, and the contexts that lie."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from agent.ha_listener import Connection
from agent.ha_socket import AuthError
from devices.events import Origin
from tests.e2e.ear import Ear
from tests.e2e.lab import HomeAssistant
from tests.process import wait_for


@pytest.fixture
def ear(ha: HomeAssistant) -> Iterator[Ear]:
    """Return Inkling's gateway, connected with the owner's token."""
    with Ear(ha.url, lambda: ha.token) as made:
        yield made


@contextmanager
def configured(ha: HomeAssistant, domain: str, object_id: str, config: dict[str, Any]) -> Iterator[str]:
    """Have an automation or script while the block runs; return its entity id."""
    path = f"/api/config/{domain}/config/{object_id}"
    ha.rest("POST", path, config)
    try:

        def entity() -> str | None:
            rows = ha.ws({"type": "config/entity_registry/list"})[0]
            return next((r["entity_id"] for r in rows if r["unique_id"] == object_id), None)

        entity_id = wait_for(f"{domain} {object_id}", entity, 15)
        assert entity_id is not None
        ha.wait_state(entity_id)
        yield entity_id
    finally:
        ha.rest("DELETE", path)


def lamp_when(ha_sensor: str, actions: list[dict[str, Any]]) -> dict[str, Any]:
    trigger = {"platform": "state", "entity_id": ha_sensor, "to": "on"}
    return {
        "alias": "Provenance test",
        "trigger": [trigger],
        "condition": [],
        "action": actions,
        "mode": "restart",
    }


def on(entity_id: str) -> dict[str, Any]:
    return {"service": "light.turn_on", "target": {"entity_id": entity_id}}


def off(entity_id: str) -> dict[str, Any]:
    return {"service": "light.turn_off", "target": {"entity_id": entity_id}}


# -- one origin each ----------------------------------------------------------------------------------


def test_a_click_is_a_persons(ha: HomeAssistant, ear: Ear) -> None:
    with ha.device("light", "prov_click") as lamp:
        ear.wait(lamp.entity_id, "off")
        ha.call("light", "turn_on", lamp.entity_id)
        assert ear.wait(lamp.entity_id, "on").origin is Origin.PERSON
        n = len(ear.heard)
        ha.rest("POST", "/api/services/light/toggle", {"entity_id": lamp.entity_id})
        assert ear.wait(lamp.entity_id, "off", after=n).origin is Origin.PERSON


def test_a_report_of_the_device_is_physical(ha: HomeAssistant, ear: Ear) -> None:
    with ha.device("light", "prov_hand") as lamp, ha.device("binary_sensor", "prov_door") as door:
        ear.wait(lamp.entity_id, "off")
        ear.wait(door.entity_id, "off")
        lamp.report("ON")
        door.report("ON")
        assert ear.wait(lamp.entity_id, "on").origin is Origin.PHYSICAL
        assert ear.wait(door.entity_id, "on").origin is Origin.PHYSICAL


def test_our_own_command_is_the_agents(ha: HomeAssistant, ear: Ear) -> None:
    """With the very user that clicks in the test above: only our own calls are ours."""
    with ha.device("light", "prov_own") as lamp:
        ear.wait(lamp.entity_id, "off")
        call = ("light", "turn_on", {"entity_id": lamp.entity_id})
        assert ear.do(ear.gateway.call_until(call, lamp.entity_id, "on"))
        heard = ear.wait(lamp.entity_id, "on")
        assert heard.origin is Origin.AGENT
        assert heard.confidence > 0.9


def test_an_automation_and_one_that_a_person_runs(ha: HomeAssistant, ear: Ear) -> None:
    with ha.device("light", "prov_auto") as lamp, ha.device("binary_sensor", "prov_motion") as motion:
        ear.wait(lamp.entity_id, "off")
        ear.wait(motion.entity_id, "off")
        rule = lamp_when(motion.entity_id, [on(lamp.entity_id)])
        with configured(ha, "automation", "prov_auto_rule", rule) as automation:
            motion.report("ON")
            heard = ear.wait(lamp.entity_id, "on")
            assert heard.origin is Origin.AUTOMATION
            assert heard.context is not None
            assert ear.provenance.evidence(heard.context[0]) == automation
            n = len(ear.heard)
            lamp.report("OFF")
            assert ear.wait(lamp.entity_id, "off", after=n).origin is Origin.PHYSICAL
            ha.call("automation", "trigger", automation)
            again = ear.wait(lamp.entity_id, "on", after=n)
            assert again.origin is Origin.AUTOMATION
            assert again.context is not None
            assert again.context[2] is None, "the context alone doesn't tell that a person ran it"
            assert ear.provenance.evidence(again.context[0]) == f"{automation}, run by a person"


def test_an_automation_that_switches_twice(ha: HomeAssistant, ear: Ear) -> None:
    with ha.device("light", "prov_blink") as lamp, ha.device("binary_sensor", "prov_bell") as bell:
        ear.wait(lamp.entity_id, "off")
        ear.wait(bell.entity_id, "off")
        steps = [on(lamp.entity_id), {"delay": {"seconds": 1}}, off(lamp.entity_id)]
        with configured(ha, "automation", "prov_blink_rule", lamp_when(bell.entity_id, steps)):
            n = len(ear.heard)
            bell.report("ON")
            first = ear.wait(lamp.entity_id, "on", after=n)
            second = ear.wait(lamp.entity_id, "off", after=n)
            assert first.context == second.context
            assert first.origin is second.origin is Origin.AUTOMATION


def test_a_script_that_a_person_runs(ha: HomeAssistant, ear: Ear) -> None:
    with ha.device("light", "prov_script") as lamp:
        ear.wait(lamp.entity_id, "off")
        script = {"alias": "Provenance film", "sequence": [on(lamp.entity_id)]}
        with configured(ha, "script", "prov_film", script) as entity_id:
            ha.call("script", "turn_on", entity_id)
            heard = ear.wait(lamp.entity_id, "on")
            assert heard.origin is Origin.AUTOMATION
            assert heard.context is not None
            assert ear.provenance.evidence(heard.context[0]) == f"{entity_id}, run by a person"


def test_a_template_entity_follows_its_command(ha: HomeAssistant, ear: Ear) -> None:
    state = ha.wait_state("light.desk")["state"]
    other = "off" if state == "on" else "on"
    n = len(ear.heard)
    ha.call("light", "toggle", "light.desk")
    assert ear.wait("light.desk", other, after=n).origin is Origin.PERSON
    n = len(ear.heard)
    ear.do(ear.gateway.call_service("light", "toggle", {"entity_id": "light.desk"}))
    assert ear.wait("light.desk", state, after=n).origin is Origin.AGENT


# -- contexts that lie --------------------------------------------------------------------------------


@pytest.mark.parametrize("ours", [True, False], ids=["ours", "a person's"])
def test_a_hand_2_s_after_a_command(ha: HomeAssistant, ear: Ear, ours: bool) -> None:
    """Home Assistant gives the hand the command's context: only the first change is the command's."""
    with ha.device("light", f"prov_trap_{'own' if ours else 'click'}", delay_s=0.1) as lamp:
        ear.wait(lamp.entity_id, "off")
        if ours:
            ear.do(ear.gateway.call_service("light", "turn_on", {"entity_id": lamp.entity_id}))
        else:
            ha.call("light", "turn_on", lamp.entity_id)
        command = ear.wait(lamp.entity_id, "on")
        assert command.origin is (Origin.AGENT if ours else Origin.PERSON)
        n = len(ear.heard)
        time.sleep(2)
        lamp.report("OFF")
        hand = ear.wait(lamp.entity_id, "off", after=n)
        assert hand.context == command.context, "or Home Assistant has learned to tell, and this test is idle"
        assert hand.origin is Origin.PHYSICAL


def test_a_device_that_answers_after_6_s(ha: HomeAssistant, ear: Ear) -> None:
    with ha.device("light", "prov_slow", delay_s=6) as lamp:
        ear.wait(lamp.entity_id, "off")
        ear.do(ear.gateway.call_service("light", "turn_on", {"entity_id": lamp.entity_id}))
        heard = ear.wait(lamp.entity_id, "on")
        assert heard.context is not None
        assert heard.context[1:] == (None, None), "by its context it is a hand"
        assert heard.origin is Origin.AGENT


def test_a_cover_on_its_way_and_arrived(ha: HomeAssistant, ear: Ear) -> None:
    with ha.device("cover", "prov_garage", device_class="garage", delay_s=None) as cover:
        ear.wait(cover.entity_id, "closed")
        ha.call("cover", "open_cover", cover.entity_id)
        cover.wait_command("OPEN")
        cover.report("opening")
        assert ear.wait(cover.entity_id, "opening").origin is Origin.PERSON
        time.sleep(5.5)
        cover.report("open")
        arrived = ear.wait(cover.entity_id, "open")
        assert arrived.context is not None
        assert arrived.context[1:] == (None, None)
        assert arrived.origin is Origin.PERSON
        cover.report("closing")
        assert ear.wait(cover.entity_id, "closing").origin is Origin.PHYSICAL


# -- the token ----------------------------------------------------------------------------------------


def test_a_revoked_token_and_its_successor(ha: HomeAssistant) -> None:
    token = [ha.new_token("inkling-prov-1")]
    with Ear(ha.url, lambda: token[0]) as ear:
        ear.gateway.auth_retry_s = 0.5
        rows = ha.ws({"type": "auth/refresh_tokens"})[0]
        (mine,) = [row["id"] for row in rows if row["client_name"] == "inkling-prov-1"]
        ha.ws({"type": "auth/delete_refresh_token", "refresh_token_id": mine})
        wait_for("refusal", lambda: ear.gateway.state is Connection.REFUSED, 20)
        assert isinstance(ear.gateway.error, AuthError)
        token[0] = ha.new_token("inkling-prov-2")
        wait_for("the new token", lambda: ear.gateway.connected, 20)
        assert ear.connections == 2
    rows = ha.ws({"type": "auth/refresh_tokens"})[0]
    (mine,) = [row["id"] for row in rows if row["client_name"] == "inkling-prov-2"]
    ha.ws({"type": "auth/delete_refresh_token", "refresh_token_id": mine})


def test_home_assistant_restarts(ha: HomeAssistant, ear: Ear) -> None:
    with ha.device("light", "prov_restart") as lamp:
        ear.wait(lamp.entity_id, "off")
        ha.stop()
        wait_for("the outage", lambda: not ear.gateway.connected, 20)
        ha.start()
        wait_for("the gateway", lambda: ear.gateway.connected, 60)
        ha.wait_state(lamp.entity_id, "off", timeout_s=60)
        n = len(ear.heard)
        lamp.report("ON")
        assert ear.wait(lamp.entity_id, "on", after=n).origin is Origin.PHYSICAL
