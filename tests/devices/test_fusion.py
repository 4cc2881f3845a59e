"""Each change once, in order, with the best origin: whatever the sources do."""

from __future__ import annotations

import random
import timeit
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.events import Origin, Source, StateChange, utc
from devices.fusion import MAX_RECENT, Fusion

T0 = utc("2024-03-01T18:00:00+00:00")
WS, STREAM, NATIVE = Source.HOME_ASSISTANT, Source.STATESTREAM, Source.NATIVE


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


class Home:
    """Feeds a `Fusion` and keeps what comes out."""

    def __init__(self) -> None:
        self.fusion = Fusion()
        self.out: list[StateChange] = []

    def hears(self, source: Source, state: str, s: float, entity: str = "light.hall", **fields: Any) -> int:
        fields.setdefault("changed_at", at(s))
        change = StateChange(entity, state, received_at=at(s), source=source, **fields)
        return self.keep(self.fusion.release(at(s))) + self.keep(self.fusion.offer(change, at(s)))

    def keep(self, out: Sequence[StateChange]) -> int:
        self.out += out
        return len(out)

    def connected(self, *sources: Source, state: str = "off", entity: str = "light.hall") -> Home:
        for source in sources:
            self.hears(source, state, 0, entity, retained=True)
        return self

    @property
    def states(self) -> list[str]:
        """The states in order, without repeats."""
        kept: list[str] = []
        for change in self.out:
            if not kept or kept[-1] != change.new:
                kept.append(change.new)
        return kept


# -- counting once ------------------------------------------------------------------------------------


def test_one_source_passes_as_it_is() -> None:
    home = Home()
    changes = [StateChange("sensor.t", str(n // 2), at(n), at(n), source=NATIVE) for n in range(10)]
    for change in changes:
        assert home.fusion.offer(change, change.received_at) == [change]
    assert home.fusion.next_release() is None


def test_rapid_toggles_seen_late() -> None:
    home = Home().connected(NATIVE, STREAM, WS)
    story = [
        (NATIVE, "on", 1.0), (NATIVE, "off", 1.1), (STREAM, "on", 1.6), (STREAM, "off", 1.7),
        (WS, "on", 1.8), (WS, "off", 1.9),
    ]  # fmt: skip
    for source, state, s in story:
        home.hears(source, state, s)
    assert home.states == ["off", "on", "off"]
    assert len(home.out) == 3


def test_a_source_that_misses_changes() -> None:
    home = Home().connected(NATIVE, WS)
    for s, state in enumerate(["on", "off", "on", "off", "on"], start=1):
        home.hears(NATIVE, state, s)
    home.hears(WS, "on", 6)
    home.hears(NATIVE, "off", 7)
    home.hears(WS, "off", 7.1)
    home.hears(WS, "on", 8)  # the one it missed, or news: it is told again by
    home.hears(NATIVE, "on", 8.1)  # the source that misses nothing
    home.keep(home.fusion.release(at(20)))
    assert home.states == ["off", "on", "off", "on", "off", "on", "off", "on"]


def test_after_the_window_the_same_state_is_news() -> None:
    home = Home().connected(NATIVE, WS)
    home.hears(NATIVE, "on", 1)
    home.hears(NATIVE, "off", 2)
    home.hears(WS, "on", 30)
    assert home.states == ["off", "on", "off", "on"]


def test_entities_are_independent_and_forgotten() -> None:
    home = Home().connected(NATIVE, WS).connected(NATIVE, entity="light.den")
    assert home.hears(NATIVE, "on", 1, "light.den") == 1
    assert home.hears(NATIVE, "on", 1) == 0, "held for Home Assistant"
    home.fusion.forget("light.hall")
    assert home.fusion.next_release() is None
    assert home.fusion.release(at(9)) == []


# -- retained values ----------------------------------------------------------------------------------


def test_retained_values_at_connect_are_no_changes() -> None:
    home = Home()
    home.hears(NATIVE, "on", 1)
    assert home.hears(WS, "on", 2, retained=True, attributes={"friendly_name": "Hall"}) == 1
    assert home.out[-1].attributes == {"friendly_name": "Hall"}
    assert home.hears(STREAM, "on", 3, retained=True) == 0
    assert home.hears(STREAM, "on", 4, retained=True) == 0
    assert home.states == ["on"]


def test_a_retained_value_that_outlived_its_source_is_ignored() -> None:
    home = Home().connected(WS)
    home.hears(WS, "on", 1)
    home.hears(STREAM, "off", 60, retained=True)
    home.hears(NATIVE, "off", 60, retained=True)
    assert home.states == ["off", "on"]
    home.hears(WS, "off", 61)
    home.hears(STREAM, "off", 61.1)
    assert home.states == ["off", "on", "off"]


def test_a_snapshot_that_is_behind_the_device() -> None:
    """Home Assistant connects while it hasn't yet taken in what the device just said."""
    home = Home()
    home.hears(NATIVE, "off", 0)
    home.hears(NATIVE, "on", 60)
    home.hears(WS, "off", 60.1, retained=True, changed_at=at(0))
    home.hears(WS, "on", 60.2)
    assert home.states == ["off", "on"]


def test_a_snapshot_that_knows_better() -> None:
    home = Home().connected(NATIVE)
    assert home.hears(WS, "on", 60, retained=True, changed_at=at(50)) == 1
    assert home.out[-1].retained
    home = Home()
    home.hears(NATIVE, "off", 0)
    assert home.hears(WS, "on", 60, retained=True, changed_at=at(50)) == 1, "newer than what the device said"


def test_a_resync_after_an_outage() -> None:
    home = Home().connected(WS, STREAM)
    home.keep(home.fusion.source_down(WS, at(1)))
    home.keep(home.fusion.source_down(STREAM, at(1)))
    home.fusion.source_up(WS)
    assert home.hears(WS, "on", 60, retained=True) == 1
    home.fusion.source_up(STREAM)
    assert home.hears(STREAM, "on", 61, retained=True) == 0
    home.hears(STREAM, "off", 62)
    home.hears(WS, "off", 62.1)
    assert home.states == ["off", "on", "off"]


# -- attributes, repeats, measurements ----------------------------------------------------------------


def test_attributes_count_once_and_come_from_the_best_source() -> None:
    home = Home().connected(NATIVE, STREAM, WS, state="on")
    n = len(home.out)
    home.hears(NATIVE, "on", 1, attributes={"brightness": 200})
    home.hears(STREAM, "on", 1.1, attributes={"brightness": 201})
    home.hears(WS, "on", 1.2, attributes={"brightness": 201})
    assert [c.attributes for c in home.out[n:]] == [{"brightness": 201}]
    home.keep(home.fusion.source_down(WS, at(2)))
    home.hears(STREAM, "on", 3, attributes={"brightness": 90})
    assert home.out[-1].attributes["brightness"] == 90


def test_repeats_pass_while_they_agree() -> None:
    """Whether a device is silent is told by its repeats."""
    home = Home().connected(NATIVE, WS)
    assert home.hears(NATIVE, "off", 1) == 1
    home.hears(WS, "on", 2)
    assert home.hears(NATIVE, "off", 2.1) == 0, "it lags"
    assert home.states == ["off", "on"]


def test_names_of_the_best_source_stay() -> None:
    home = Home()
    home.hears(NATIVE, "off", 0, attributes={"device_class": "opening", "battery": 90})
    named = {"device_class": "garage_door", "friendly_name": "Garage"}
    home.hears(WS, "off", 0.1, retained=True, attributes=named)
    home.keep(home.fusion.source_down(WS, at(1)))
    home.hears(NATIVE, "on", 2, attributes={"device_class": "opening", "battery": 89})
    assert home.out[-1].attributes == {**named, "battery": 89}


def test_measurements_come_from_the_best_source_alone() -> None:
    home = (
        Home().connected(NATIVE, entity="sensor.t", state="20").connected(WS, entity="sensor.t", state="68")
    )
    assert [c.new for c in home.out] == ["20", "68"]
    for s, (celsius, fahrenheit) in enumerate([("21", "69.8"), ("22", "71.6")], start=1):
        home.hears(NATIVE, celsius, s, "sensor.t")
        home.hears(WS, fahrenheit, s + 0.1, "sensor.t")
    home.hears(NATIVE, "23", 5, "sensor.t")
    home.keep(home.fusion.source_down(WS, at(5.1)))
    assert home.states == ["20", "68", "69.8", "71.6", "23"]
    home.hears(NATIVE, "24", 6, "sensor.t")
    assert home.states[-1] == "24"


# -- holding for the origin ---------------------------------------------------------------------------


def test_the_surest_origin_wins() -> None:
    home = Home().connected(NATIVE, WS)
    assert home.hears(NATIVE, "on", 1, attributes={"brightness": 10}) == 0
    assert home.fusion.next_release() == at(1.4)
    person = {"origin": Origin.PERSON, "confidence": 0.95, "context_id": "c"}
    assert home.hears(WS, "on", 1.05, attributes={"friendly_name": "Hall"}, **person) == 1
    out = home.out[-1]
    assert (out.origin, out.confidence, out.context_id, out.source) == (Origin.PERSON, 0.95, "c", WS)
    assert out.attributes == {"brightness": 10, "friendly_name": "Hall"}
    assert out.received_at == at(1)
    assert home.fusion.next_release() is None


def test_held_changes_go_on_after_a_while_and_in_order() -> None:
    home = Home().connected(NATIVE, WS)
    home.hears(NATIVE, "on", 1)
    home.hears(NATIVE, "off", 1.2, origin=Origin.PHYSICAL, confidence=0.95)  # sure, but it must queue
    assert home.keep(home.fusion.release(at(1.39))) == 0
    assert home.keep(home.fusion.release(at(1.4))) == 2
    assert home.states == ["off", "on", "off"]
    assert home.hears(WS, "on", 1.5) == home.hears(WS, "off", 1.6) == 0


def test_nothing_waits_without_reason() -> None:
    home = Home().connected(NATIVE, STREAM)
    assert home.hears(NATIVE, "on", 1) == 1, "statestream has no context to wait for"
    home.connected(WS, state="on")
    sure = {"origin": Origin.PHYSICAL, "confidence": 0.95}
    assert home.hears(NATIVE, "off", 2, **sure) == 1, "the origin is known"
    assert home.hears(WS, "off", 2.1) == 0
    assert home.hears(WS, "on", 3) == 1, "the best source"
    assert home.hears(NATIVE, "on", 3.1) == 0
    assert home.hears(NATIVE, "off", 4) == 0
    assert home.keep(home.fusion.source_down(WS, at(4.1))) == 1, "nobody left to wait for"
    assert home.hears(NATIVE, "on", 5) == 1


# -- the property -------------------------------------------------------------------------------------

_delays = st.lists(st.floats(0, 9), min_size=12, max_size=12)


@st.composite
def _stories(draw: st.DrawFn) -> tuple[list[tuple[float, str]], dict[Source, tuple[int, list[float]]]]:
    """One true sequence; for each source how many changes it reports before it drops out, and the delays."""
    n = draw(st.integers(1, 12))
    states = [draw(st.sampled_from(["on", "off", "unavailable", "dim"]))]
    while len(states) < n:
        states.append(
            draw(st.sampled_from([s for s in ("on", "off", "unavailable", "dim") if s != states[-1]]))
        )
    gaps = draw(st.lists(st.floats(0.001, 20), min_size=n, max_size=n))
    truth = [(sum(gaps[: k + 1]), state) for k, state in enumerate(states)]
    complete = draw(st.sampled_from([WS, STREAM, NATIVE]))
    sources = {}
    for source in (WS, STREAM, NATIVE):
        reports = n if source is complete else draw(st.integers(0, n))
        sources[source] = (reports, draw(_delays))
    return truth, sources


@given(_stories(), st.booleans(), st.booleans())
def test_any_interleaving_gives_the_true_sequence(
    story: tuple[list[tuple[float, str]], dict[Source, tuple[int, list[float]]]], told: bool, snapshot: bool
) -> None:
    truth, sources = story
    reports: list[tuple[float, int, str, Source | None, Source]] = []
    for source, (count, delays) in sources.items():
        last = 0.0
        for k, (s, state) in enumerate(truth[:count]):
            last = max(last, s + delays[k])  # a source keeps its own order
            reports.append((last, len(reports), state, source, source))
        if count < len(truth) and told:
            reports.append((last + 1e-6, len(reports), "", None, source))
    home = Home()
    if snapshot:
        home.connected(*sources, state="start")
    for s, _, state, source, dropped in sorted(reports, key=lambda r: r[:2]):
        if source is None:
            home.keep(home.fusion.source_down(dropped, at(s)))
        else:
            home.hears(source, state, s)
    home.keep(home.fusion.release(at(1000)))
    changes = [c for k, c in enumerate(home.out) if k == 0 or c.new != home.out[k - 1].new]
    assert [c.new for c in changes] == ["start"] * snapshot + [state for _, state in truth]
    times = [c.received_at for c in home.out]
    assert times == sorted(times)


@given(st.randoms(use_true_random=False))
def test_a_source_that_comes_back_with_a_snapshot(rng: random.Random) -> None:
    """Home Assistant restarts again and again; the device's own topics report everything at once."""
    home, state, expected = Home().connected(NATIVE, WS), "off", ["off"]
    up, s = True, 1.0
    for _ in range(30):
        s += rng.uniform(0.001, 5)
        if rng.random() < 0.3:
            up = not up
            if up:
                home.fusion.source_up(WS)
                home.hears(WS, state, s, retained=True)
            else:
                home.keep(home.fusion.source_down(WS, at(s)))
        else:
            state = "on" if state == "off" else "off"
            expected.append(state)
            home.hears(NATIVE, state, s)
            if up:
                s += rng.uniform(0, 0.5)
                home.hears(WS, state, s)
    home.keep(home.fusion.release(at(s + 10)))
    assert home.states == expected


# -- bounds -------------------------------------------------------------------------------------------


def test_memory_is_bounded() -> None:
    home = Home()
    for n in range(5000):
        home.hears(NATIVE, str(n), 1 + n / 1000, "sensor.power")
    entity = home.fusion._entities["sensor.power"]
    assert len(entity.recent) <= MAX_RECENT
    for n in range(8):
        home.hears(NATIVE, f"x{n}", 100 + n, "sensor.power")
    assert len(entity.recent) <= 8, "what is older than the window goes"


def test_one_source_is_cheap() -> None:
    """At most 2 µs a report on a desktop; ten times that here, for slow machines and shared runners."""
    fusion = Fusion()
    changes = [StateChange(f"sensor.s{n % 50}", str(n), at(n / 100), at(n / 100)) for n in range(5000)]
    best = min(timeit.repeat(lambda: [fusion.offer(c, c.received_at) for c in changes], number=1, repeat=5))
    assert best / len(changes) < 20e-6


@pytest.mark.parametrize("source", list(Source))
def test_any_source_may_be_first(source: Source) -> None:
    home = Home()
    assert home.hears(source, "on", 0) == 1
    for other in Source:
        home.hears(other, "on", 0.1)
    assert home.states == ["on"]
