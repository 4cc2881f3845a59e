"""Nothing acknowledged is lost: the daemon and the broker are killed while a home goes on living."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest

from devices.decoder import Publish
from devices.simulator import HomeName, SimulatedEvent, as_recording_line, simulate
from tests.broker import Broker, Mosquitto
from tests.conftest import MakeBroker
from tests.daemon import (
    TALKATIVE,
    DaemonProcess,
    MakeDaemon,
    Publisher,
    Wire,
    backtest,
    told_by_backtest,
)

KILLS = 5
PAUSE_AFTER_SAVE_S = (0.05, 0.3)  # what the daemon acknowledges meanwhile, a crashed broker sends again


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("home", "count"), [("apartment", 5_000), pytest.param("family", 50_000, marks=pytest.mark.slow)]
)
def test_nothing_acknowledged_is_lost(
    home: HomeName, count: int, tmp_path: Path, make_broker: MakeBroker, make_daemon: MakeDaemon
) -> None:
    life = lived(home, count)
    messages = [Publish(f"inkling/replay/{e.change.entity_id}", as_recording_line(e)) for e in life]
    broker = make_broker(kind=Mosquitto)
    killed = make_daemon("killed", broker, clock="events", **TALKATIVE)
    publish_and_kill(messages, broker, killed, random.Random(count))

    stored = by_entity((c.entity_id, f"{c.changed_at} {c.new}") for c in killed.changes())
    assert stored == by_entity((e.change.entity_id, f"{e.change.changed_at} {e.change.new}") for e in life)

    calm = make_daemon("calm", make_broker(kind=Mosquitto), clock="events", **TALKATIVE)
    undisturbed = Publisher(calm.broker, messages)
    undisturbed.start()
    calm.wait_events(count)
    calm.stop()
    assert killed.suggestions() == calm.suggestions()

    recording = tmp_path / "life.jsonl"
    recording.write_bytes(b"".join(message.payload for message in messages))
    replayed = told_by_backtest(backtest(calm.config, recording))
    assert killed.hunches() == replayed
    assert replayed.count(b"\n") >= 8, "hardly anything was suggested, so hardly anything is proved"


def publish_and_kill(
    messages: Sequence[Publish], broker: Broker, daemon: DaemonProcess, rng: random.Random
) -> None:
    """Publish, and meanwhile kill the daemon five times and the broker once; return when all is stored."""
    count = len(messages)
    moments = sorted(rng.sample(range(count // 50, count), KILLS + 1))
    crash = rng.choice(moments[1:-1])
    publisher = Publisher(broker, messages)
    publisher.start()
    for moment in moments:
        daemon.wait_events(moment)
        if moment == crash:
            crash_broker(broker, publisher, rng)
        else:
            time.sleep(rng.uniform(0.0, 0.02))
            daemon.kill()
            daemon.start()
    publisher.join(120)
    daemon.wait_events(count)
    daemon.wait_ready()
    daemon.stop()


def crash_broker(broker: Broker, publisher: Publisher, rng: random.Random) -> None:
    """Kill the broker after it has saved its sessions, with the publisher paused.

    Paused, because mosquitto acknowledges what it holds in memory: what comes between saving and the crash
    is lost by the broker, and no subscriber can do anything about that. What it sent between saving and the
    crash it sends again, since it restores the older session: that is what is tested here.
    """
    assert isinstance(broker, Mosquitto)
    publisher.pause()
    broker.save()
    time.sleep(rng.uniform(*PAUSE_AFTER_SAVE_S))
    broker.kill()
    broker.start()
    publisher.resume()


def test_no_change_without_a_time_of_its_own_counts_twice(
    make_broker: MakeBroker, make_daemon: MakeDaemon
) -> None:
    """Zigbee2MQTT says ON and OFF without a time, so only the packet tells a new change from an old one.

    The daemon is killed when it has committed what it could not acknowledge: its last words got lost on
    the way to the broker, which sends it all again.
    """
    toggles, unheard = 1_000, 700
    states = [("ON", "OFF")[n % 2] for n in range(3 * toggles)]
    messages = [Publish("zigbee2mqtt/lamp", orjson.dumps({"state": state})) for state in states]
    broker = make_broker(kind=Mosquitto)
    with Wire(broker.port) as wire:
        daemon = make_daemon("toggled", broker, wire.port)
        for start in range(0, len(messages), toggles):
            publish(broker, messages[start : start + 1])
            daemon.wait_events(start + 1)  # else its subscription may get lost
            wire.deaf = True
            publish(broker, messages[start + 1 : start + unheard])
            daemon.wait_events(start + unheard)
            daemon.kill()
            wire.deaf = False
            daemon.start()
            publish(broker, messages[start + unheard : start + toggles])
            daemon.wait_ready()
            daemon.wait_events(start + toggles)
            # Else its last acknowledgements may get lost too: with more than MQTT's receive maximum
            # unacknowledged, the broker would rightly send no more.
            daemon.restart()
        daemon.stop()
    assert [change.new for change in daemon.changes()] == [state.lower() for state in states]
    assert wire.unheard, "every acknowledgement came through"


def publish(broker: Broker, messages: Sequence[Publish]) -> None:
    publisher = Publisher(broker, messages)
    publisher.start()
    publisher.join(60)


def lived(home: HomeName, count: int) -> list[SimulatedEvent]:
    """Return so many events of a home that forgets a lot; no repeats, which aren't stored."""
    start, zone = datetime(2024, 3, 4, tzinfo=UTC), ZoneInfo("Europe/Berlin")
    days = 12
    last: dict[str, tuple[str, object]] = {}
    found = []
    for event in simulate(home, start=start, days=days, seed=11, zone=zone, faults=4 * days).events:
        change = event.change
        if last.get(change.entity_id) != (change.new, change.attributes):
            last[change.entity_id] = change.new, change.attributes
            found.append(event)
    assert len(found) >= count
    return found[:count]


def by_entity(changes: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for entity_id, what in changes:
        found[entity_id].append(what)
    return found
