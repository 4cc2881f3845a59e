"""From messages to changes: names, times, redeliveries. Merging is tested in tests/test_one_entity.py."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from paho.mqtt.client import MQTTMessage

from agent.clock import SMALL_STEP, Clock, EventClock
from agent.families import build_router
from agent.intake import Intake, Redelivered, digest, inflight
from agent.own_entities import OwnEntities
from agent.records import Batch
from agent.settings import load_settings
from agent.store import Store
from devices.discovery import DiscoveryIndex
from devices.events import Source, StateChange
from devices.provenance import Provenance
from devices.state import HomeState

T0 = datetime(2024, 5, 6, 18, 0, tzinfo=UTC)
PLUG = "zigbee2mqtt/plug"


def intake(clock: Clock | EventClock | None = None) -> Intake:
    router = build_router(load_settings(None, clock="events" if isinstance(clock, EventClock) else "wall"))
    return Intake(
        HomeState(),
        router=router,
        index=DiscoveryIndex(router.addresses()),
        provenance=Provenance(),
        clock=clock or Clock(),
        own=OwnEntities("inkling", "homeassistant"),
    )


def hear(
    ears: Intake, topic: str, payload: str, s: float, *, retained: bool = False, late: bool = False
) -> list[StateChange]:
    at = T0 + timedelta(seconds=s)
    return [
        ears.home.apply(c) for c in ears.message(topic, payload.encode(), at, retained=retained, late=late)
    ]


def test_what_waited_for_us_says_what_is_so_but_not_when() -> None:
    ears = intake()
    hear(ears, PLUG, '{"state": "OFF"}', 0)
    (late,) = hear(ears, PLUG, '{"state": "ON"}', 60, late=True)
    assert late.retained
    assert not late.trains
    seen = (T0 + timedelta(seconds=90)).isoformat()
    (timed,) = hear(ears, PLUG, json.dumps({"state": "OFF", "last_seen": seen}), 120, late=True)
    assert timed.trains, "it carries its own time"
    assert timed.changed_at == T0 + timedelta(seconds=90)


def test_repeats_go_no_further() -> None:
    ears = intake()
    assert len(hear(ears, PLUG, '{"state": "ON"}', 0)) == 1
    assert hear(ears, PLUG, '{"state": "ON"}', 5) == []


def test_its_own_entities_are_no_part_of_the_home() -> None:
    ears = intake()
    assert hear(ears, "statestream/switch/inkling_learning/state", "on", 0) == []
    assert len(hear(ears, "statestream/switch/heater/state", "on", 0)) == 1


def test_a_replay_takes_its_time_from_the_messages() -> None:
    ears = intake(EventClock())
    line = {"entity_id": "light.hall", "state": "on", "last_changed": T0.isoformat(), "attributes": {}}
    (change,) = hear(ears, "inkling/replay/light.hall", json.dumps(line), 86400)
    assert (change.changed_at, change.received_at, change.source) == (T0, T0, Source.RECORDING)
    assert hear(intake(), "inkling/replay/light.hall", json.dumps(line), 86400) == [], "in replays only"


def test_nothing_leaves_the_index_by_an_exception() -> None:
    ears = intake()
    assert hear(ears, "homeassistant/light/x/config", "{", 0) == []
    assert ears.index.bad.total() == 1


# -- what the broker sends again ----------------------------------------------------------------------


def packet(mid: int, payload: str, *, dup: bool = False, qos: int = 1) -> MQTTMessage:
    message = MQTTMessage(mid, PLUG.encode())
    message.payload, message.qos, message.dup = payload.encode(), qos, dup
    return message


def test_a_packet_sent_again_is_recognised_once_and_only_if_it_was_counted(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/inkling.db") as store:
        store.append(Batch(inflight=[*inflight([packet(1, "a"), packet(2, "b"), packet(9, "q", qos=0)])]))
        known = Redelivered(store, unwritten=[(3, digest(packet(3, "c")))])
        assert known.is_known(packet(1, "a", dup=True))
        assert not known.is_known(packet(1, "a", dup=True)), "the next one with this id is another"
        assert not known.is_known(packet(2, "b")), "not a packet sent again"
        assert not known.is_known(packet(2, "other", dup=True)), "of which nothing was committed"
        assert known.is_known(packet(3, "c", dup=True)), "taken, and waiting for the disk"
        assert not known.is_known(packet(4, "d", dup=True))
        assert not known.is_known(packet(9, "q", dup=True))


# -- the clock ----------------------------------------------------------------------------------------


class SetClock(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.at = T0

    def read(self) -> datetime:
        return self.at


@pytest.mark.parametrize("step", [timedelta(seconds=-2), -SMALL_STEP])
def test_a_small_step_back_is_slewed_away(step: timedelta) -> None:
    clock = SetClock()
    assert clock.now() == T0
    clock.at += step
    assert clock.now() == T0
    clock.at = T0 + timedelta(seconds=1)
    assert clock.now() == clock.at
    assert clock.jumps == 0


def test_a_large_step_back_is_believed() -> None:
    clock = SetClock()
    clock.now()
    clock.at -= timedelta(days=365)
    assert clock.now() == clock.at
    assert clock.jumps == 1
    assert clock.receipt() == clock.at
    assert clock.receipt() > clock.at, "no two receipts at one time"
