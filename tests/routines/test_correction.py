"""What becomes of the steps that a routine took, where that ends, and what is offered for it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.events import Origin
from routines.absorption import absorption, endings, more_often_than_not
from routines.actions import Seen
from routines.chains import LATER, MAX_PATH, Turn
from routines.correction import RECENT, Corrections, Record
from routines.rewriting import Change, rewrite
from routines.routine import OnState, Routine, Step, Target

T0 = datetime(2024, 5, 6, 18, 0, tzinfo=UTC)
LAMP = Step("light.den", "on", targets=(Target("brightness", 255.0, 255.0, 255.0, 9),))
PLAIN = Step("light.den", "on")
RADIO = Step("switch.radio", "on", 120.0)
DEN = Routine("Den", OnState("binary_sensor.den_door", "on"), (LAMP, RADIO))
ON, OFF = Seen("on"), Seen("off")


def level(value: float) -> Seen:
    return Seen("on", "brightness", value)


class Home:
    """A routine that runs once a day at `T0`, with the day's corrections in minutes after that."""

    def __init__(self, routine: Routine = DEN) -> None:
        self.routine = routine
        self.corrections = Corrections()
        self.day = -1

    def run(self, step: Step, *moves: tuple[float, Seen] | tuple[float, Seen, Origin]) -> list[Turn]:
        """Carry one step out; return what the corrections that follow say of the run."""
        self.begin(step)
        told = [turn for move in moves for turn in self.see(step.entity_id, *move)]
        self.corrections.settle(self.at(12 * 60))
        return told

    def begin(self, *steps: Step, before: str = "off") -> None:
        self.day += 1
        self.corrections.begin(self.routine, f"run {self.day}", self.at(0))
        for step in steps:
            self.corrections.take(self.routine, step, before, self.at(0))

    def see(self, entity_id: str, minutes: float, seen: Seen, by: Origin = Origin.PERSON) -> list[Turn]:
        return [turn for _, turn in self.corrections.observe(entity_id, seen, by, self.at(minutes))]

    def at(self, minutes: float) -> datetime:
        return T0 + timedelta(days=self.day, minutes=minutes)

    def paths(self, step: Step) -> list[list[str]]:
        """Return each day's path, as levels, or states where they have no level."""
        return [[n.level or n.state for n in e.path] for e in self.corrections.ended(self.routine, step)]

    @property
    def record(self) -> Record:
        return self.corrections.records.get(self.routine.id, Record())


# -- the chain ----------------------------------------------------------------------------------------


def test_absorption_by_hand() -> None:
    # a: 4 walks pass; to b twice, to c once, kept once. N(a) = 2 + 1 + 1 + 1 = 5
    # b: 2 walks pass; to c once, kept once.              N(b) = 1 + 1 + 1 = 3
    # c: 2 walks end there.                               N(c) = 2 + 1 = 3, all of them kept
    # B[b, c] = 1/3, B[b, b] = 2/3
    # B[a, a] = 2/5, B[a, b] = 2/5 x 2/3 = 4/15, B[a, c] = 1/5 + 2/5 x 1/3 = 1/3
    ends = absorption(["ab", "abc", "ac", "a"])
    assert ends["a"] == pytest.approx({"a": 2 / 5, "b": 4 / 15, "c": 1 / 3})
    assert ends["b"] == pytest.approx({"a": 0.0, "b": 2 / 3, "c": 1 / 3})
    assert ends["c"] == pytest.approx({"a": 0.0, "b": 0.0, "c": 1.0})
    assert endings(ends["a"], "a") == "c"


def test_absorption_of_a_walk_to_and_fro_by_hand() -> None:
    # One walk a b a b. N(a) = 2 + 0 + 1 = 3: to b 2/3, kept 1/3. N(b) = 1 + 1 + 1 = 3: to a 1/3, kept 2/3.
    # N = (I - Q)^-1 = 1/(1 - 2/9) [[1, 2/3], [1/3, 1]] = 9/7 [[1, 2/3], [1/3, 1]]
    # B[a, a] = 9/7 x 1/3 = 3/7, B[a, b] = 9/7 x 2/3 x 2/3 = 4/7
    assert absorption(["abab"])["a"] == pytest.approx({"a": 3 / 7, "b": 4 / 7})


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=8), max_size=20))
def test_a_walk_ends_somewhere(paths: list[list[int]]) -> None:
    ends = absorption(paths, extra=[6])
    assert ends[6][6] == 1.0  # never seen: taken for kept
    for row in ends.values():
        assert sum(row.values()) == pytest.approx(1.0)
        assert all(-1e-12 <= p <= 1.0 + 1e-12 for p in row.values())


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), min_size=1, max_size=10))
def test_one_more_walk_that_ends_there_makes_it_likelier(paths: list[list[int]]) -> None:
    start, end = paths[0][0], paths[0][-1]
    before, after = absorption(paths), absorption([*paths, [start, end] if start != end else [start]])
    assert after[start][end] >= before[start][end] - 1e-12


def test_the_posterior_by_hand() -> None:
    assert more_often_than_not(0, 0) == 0.5  # nothing known
    # Beta(6, 3): P(share > 1/2) = P(at most 5 heads in 8) = 1 - (28 + 8 + 1)/256
    assert more_often_than_not(5, 7) == pytest.approx(219 / 256)


# -- what counts as what ------------------------------------------------------------------------------


def test_dimmed_and_left_alone_is_kept() -> None:
    home = Home()
    assert home.run(LAMP, (1, level(102))) == []
    assert home.run(LAMP, (1, level(153)), (6, level(64))) == []
    assert home.run(LAMP) == []
    assert home.paths(LAMP) == [["on", "50%"], ["on", "50%", "25%"], ["on"]]
    assert home.record == Record(kept=1, changed=2)


def test_the_stops_of_a_slider_are_one() -> None:
    home = Home()
    home.run(LAMP, (1, level(200)), (1.1, level(150)), (1.2, level(60)))
    home.run(LAMP, (1, level(60)), (1.5, level(250)))  # and back: nothing was changed
    assert home.paths(LAMP) == [["on", "25%"], ["on"]]


def test_a_device_on_its_way_corrects_nothing() -> None:
    home = Home()
    ramp = [(n / 60, level(25.5 * n), Origin.PHYSICAL) for n in range(1, 11)]
    home.run(LAMP, *ramp)
    home.run(PLAIN, (0.01, ON, Origin.AUTOMATION), (0.05, level(180), Origin.PHYSICAL))
    home.run(PLAIN, (0.01, level(180), Origin.AGENT), (3, level(64), Origin.PHYSICAL))
    assert home.paths(LAMP) == [["on"], ["on"], ["on", "25%"]]


def test_a_number_hardly_moved_is_as_it_was() -> None:
    home = Home()
    home.run(LAMP, (1, level(235)))  # 92%: 20 of the 25 that count
    warm = Step("climate.den", "heat", targets=(Target("temperature", 21.0, 21.0, 21.0, 9),))
    home.run(warm, (1, Seen("heat", "temperature", 20.5)))
    home.run(warm, (1, Seen("heat", "temperature", 20.0)))  # the same two degrees, and yet a correction
    assert home.paths(LAMP) == [["on"]]
    assert home.paths(warm) == [["heat"], ["heat", "20°"]]


def test_put_back_at_once_is_a_reversal_once_a_run() -> None:
    home = Home()
    home.begin(LAMP, RADIO)
    assert home.see("light.den", 1, OFF) == [Turn.REVERSED]
    assert home.see("switch.radio", 2, OFF) == []
    home.corrections.settle(home.at(300))
    assert home.record == Record(undone=1)


def test_what_has_served_may_be_ended() -> None:
    home = Home()
    assert home.run(LAMP, (11, OFF)) == []  # after its time
    assert home.run(LAMP, (1, level(102)), (5, OFF)) == []  # used, at another level
    assert home.run(LAMP, (5, OFF, Origin.AUTOMATION)) == []  # something else
    assert home.paths(LAMP) == [["on"], ["on", "50%"], ["on"]]
    assert home.record == Record(kept=2, changed=1)


def test_put_back_and_done_later_was_too_early() -> None:
    home = Home()
    assert home.run(LAMP, (1, OFF), (41, ON)) == [Turn.REVERSED, Turn.RETURNED]
    assert home.run(LAMP, (1, OFF), (3, ON)) == [Turn.REVERSED, Turn.RETURNED]  # a slip
    assert home.run(LAMP, (1, OFF), (130, ON)) == [Turn.REVERSED]  # that is another evening
    assert home.paths(LAMP) == [["on", "off", LATER], ["on", "off", "on"], ["on", "off"]]
    assert home.corrections.ended(DEN, LAMP)[0].value == 41 * 60


def test_what_nobody_knows_who_did_teaches_nothing() -> None:
    home = Home()
    assert home.run(LAMP, (5, level(64), Origin.UNKNOWN)) == []
    assert home.run(LAMP, (5, Seen("unavailable")), (6, level(255), Origin.PHYSICAL)) == []
    assert home.paths(LAMP) == [["on"]]


def test_the_next_run_ends_the_last() -> None:
    home = Home()
    for _ in range(3):
        home.begin(LAMP)
        home.see("light.den", 1, level(102))
    assert home.paths(LAMP) == [["on", "50%"]] * 2
    assert home.corrections.follows("light.den")


def test_an_undo_counts_once_and_teaches_no_step() -> None:
    home = Home()
    home.begin(LAMP)
    home.corrections.taken_back("run 0")
    assert home.record == Record(undone=1)
    home.begin(LAMP)
    home.see("light.den", 1, OFF)
    home.corrections.taken_back("run 1")  # by hand: it is known already
    home.corrections.settle(home.at(300))
    assert home.record == Record(undone=2)
    assert home.paths(LAMP) == [["on", "off"]]


def test_memory_is_bounded() -> None:
    home = Home()
    for _ in range(3 * RECENT):
        home.run(LAMP, *((2.0 * n, level(60 if n % 2 else 130)) for n in range(1, 3 * MAX_PATH)))
    assert len(home.paths(LAMP)) == RECENT
    assert max(map(len, home.paths(LAMP))) <= MAX_PATH


# -- what is offered ----------------------------------------------------------------------------------


def dimmed(home: Home, values: Iterable[float | None], step: Step = LAMP) -> Home:
    for value in values:
        home.run(step, *(() if value is None else ((1, level(value)),)))
    return home


@pytest.mark.parametrize(
    ("values", "times"),
    [
        ([102], None),
        ([102, 102], None),
        ([102, 102, 102], 3),
        ([None, 102, 102, 102], 3),
        ([None, 102, 102, None, 102], None),  # 3 of 5
        ([102, 26, 180], None),  # now so, now so
        ([102, 26, 180, 102, 26, 180, 102, 26, 180], None),
        ([None] * 30 + [102] * 6, None),  # 6 of the last 10
        ([None] * 30 + [102] * 7, 7),
    ],
)
def test_what_is_kept_more_often_than_not_is_offered(values: list[float | None], times: int | None) -> None:
    home = dimmed(Home(), values)
    offer = rewrite(DEN, home.corrections)
    assert (offer and offer.times) == times


def test_the_offer_by_hand() -> None:
    offer = rewrite(DEN, dimmed(Home(), [None, 102, 97, 107]).corrections)
    assert offer is not None
    assert (offer.change, offer.times, offer.of) == (Change.LEVEL, 3, 4)
    assert offer.kept == pytest.approx(3 / 5)  # 3 of 4 runs, and one for the present
    assert offer.present == pytest.approx(2 / 5)
    assert offer.dates == tuple(T0 + timedelta(days=n) for n in (1, 2, 3))
    assert offer.routine == replace(
        DEN, steps=(replace(LAMP, targets=(Target("brightness", 102.0, 97.0, 107.0, 3),)), RADIO)
    )
    assert offer.routine.id == DEN.id


def test_what_is_refused_is_not_offered_whatever_the_exact_number() -> None:
    home = dimmed(Home(), [102, 102, 102])
    offer = rewrite(DEN, home.corrections)
    assert offer is not None
    assert rewrite(DEN, dimmed(home, [110] * 5).corrections, {offer.key}) is None


def test_a_step_that_is_put_back_is_left_out_unless_it_is_all() -> None:
    home = Home()
    for _ in range(3):
        home.run(RADIO, (1, OFF))
    offer = rewrite(DEN, home.corrections)
    assert offer is not None
    assert (offer.change, offer.routine.steps, offer.routine.name) == (
        Change.DROP,
        (LAMP,),
        "Den on when den door opens",
    )
    alone = Home(replace(DEN, steps=(RADIO,)))
    for _ in range(3):
        alone.run(RADIO, (1, OFF))
    assert rewrite(alone.routine, alone.corrections) is None


def test_what_is_put_back_counts_before_it_is_known_whether_it_comes_later() -> None:
    home = Home()
    for _ in range(2):
        home.run(RADIO, (1, OFF))
    home.begin(RADIO)
    home.see("switch.radio", 1, OFF)
    offer = rewrite(DEN, home.corrections)
    assert offer is not None
    assert offer.change is Change.DROP


def test_what_comes_later_is_delayed() -> None:
    home = Home()
    for minutes in (38, 40, 45):
        home.run(LAMP, (1, OFF), (minutes, ON))
    offer = rewrite(DEN, home.corrections)
    assert offer is not None
    assert (offer.change, [s.delay_s for s in offer.routine.steps]) == (Change.DELAY, [120.0, 2400.0])
    assert offer.routine.steps[1] == replace(LAMP, delay_s=2400.0)
    scattered = Home()
    for minutes in (11, 40, 110):
        scattered.run(LAMP, (1, OFF), (minutes, ON))
    assert rewrite(DEN, scattered.corrections) is None


def test_another_mode_is_another_state() -> None:
    heat = Step("climate.den", "heat", targets=(Target("temperature", 21.0, 21.0, 21.0, 9),))
    home = Home(replace(DEN, steps=(heat,)))
    for _ in range(3):
        assert home.run(heat, (1, Seen("auto"))) == []
    offer = rewrite(home.routine, home.corrections)
    assert offer is not None
    assert (offer.change, offer.routine.steps) == (Change.STATE, (Step("climate.den", "auto"),))


# -- keeping ------------------------------------------------------------------------------------------

MOVES = st.lists(
    st.tuples(
        st.floats(0.1, 150),
        st.sampled_from([OFF, ON, level(20), level(102), level(180), level(255), Seen("unavailable")]),
        st.sampled_from(list(Origin)),
    ),
    max_size=8,
)


@given(st.lists(MOVES, max_size=6))
def test_a_snapshot_goes_on_as_the_original_would(days: list[list[tuple[float, Seen, Origin]]]) -> None:
    one, other = Home(), Home()
    for moves in days:
        for home in (one, other):
            home.begin(LAMP, RADIO)
        for move in sorted(moves, key=lambda m: m[0]):
            loaded = Corrections()
            loaded.load(json.loads(json.dumps(other.corrections.to_dict())))
            other.corrections = loaded
            assert one.see("light.den", *move) == other.see("light.den", *move)
    assert one.corrections.to_dict() == other.corrections.to_dict()


def test_a_rename_keeps_what_is_known_and_forgetting_does_not() -> None:
    home = dimmed(Home(), [102, 102, 102])
    new = DEN.renamed("light.den", "light.study")
    home.corrections.rename(DEN, new)
    offer = rewrite(new, home.corrections)
    assert offer is not None
    assert offer.step.entity_id == "light.study"
    assert home.corrections.records[new.id] == Record(changed=3)
    home.corrections.restart(new.id)
    assert rewrite(new, home.corrections) is None
    assert new.id in home.corrections.records
    home.corrections.forget(new.id)
    assert home.corrections.records == {}
