"""A routine that is corrected again and again: it offers to change, and is changed with one word."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agent.engine import RUNS, Engine
from agent.pipeline import Pipeline
from agent.requests import Adopt, Control, Feedback, Forget, HomeMode
from agent.store import Store
from agent.suggestions import Command, Kind, Mode, Output, RoutineNews, Standing, Suggestion, Verdict
from agent.ticker import Ticker
from devices.events import Origin
from routines.correction import Record
from routines.routine import AtTime, Routine, Step, Target
from tests.agent.test_routine_book import COMING, RADIO, accepted, answer, home, mined, of, reloaded
from tests.agent.toys import T0, change, tick

DAY = 1440.0
FULL = Step("light.hall", "on", 0.0, (Target("brightness", 255.0, 255.0, 255.0, 9),))
LIT = replace(COMING, steps=(FULL,))
BOTH = replace(COMING, steps=(FULL, replace(RADIO, delay_s=0.0)))
DOOR = "binary_sensor.door"


class Life:
    """A home whose door opens at ten each day, which sets off its routine; then somebody corrects it."""

    def __init__(self, routine: Routine = LIT, *, elsewhere: bool = False) -> None:
        self.pipeline = accepted(home(), routine)
        self.routine, self.by = routine, Origin.AGENT
        if elsewhere:
            self.pipeline.step(Adopt(T0, routine, Mode.ACT, elsewhere=True))
            self.by = Origin.AUTOMATION
        self.day = 0

    @property
    def at(self) -> float:
        return self.day * DAY

    def change(self, entity_id: str, state: str, minutes: float, **more: object) -> list[Output]:
        return self.pipeline.step(change(entity_id, state, self.at + minutes, **more))  # type: ignore[arg-type]

    def come(self) -> list[Output]:
        """Open the door; the steps are carried out."""
        self.day += 1
        for entity_id in ("light.hall", "switch.radio", DOOR):
            self.change(entity_id, "off", -30)
        self.pipeline.step(tick(self.at - 1))
        out = self.change(DOOR, "on", 0)
        told = {c.entity_id: dict(c.targets) for c in of(Command, out)}
        if self.by is Origin.AUTOMATION:
            assert told == {}
            told = {s.entity_id: {t.name: t.median for t in s.targets} for s in self.routine.steps}
        for entity_id, targets in told.items():
            out += self.change(entity_id, "on", 0.01, attributes=targets, origin=self.by)
        return out

    def dim(self, brightness: float, minutes: float = 1.0) -> list[Output]:
        # the state is as it was, so this is no change but for its attributes
        return self.change("light.hall", "on", minutes, attributes={"brightness": brightness})

    def pass_time(self, *minutes: float) -> list[Output]:
        return [o for m in minutes for o in self.pipeline.step(tick(self.at + m))]

    def dimmed_day(self, brightness: float) -> list[Output]:
        self.come()
        return self.dim(brightness) + self.pass_time(20, 40, 41)

    @property
    def record(self) -> Record:
        return self.pipeline.routines.corrected.corrections.records.get(self.routine.id, Record())


@pytest.mark.parametrize("elsewhere", [False, True])
def test_dimmed_three_times_offered_accepted_and_so_from_then_on(*, elsewhere: bool) -> None:
    life = Life(elsewhere=elsewhere)
    assert of(Suggestion, life.dimmed_day(102)) == []
    life.pipeline = reloaded(life.pipeline)
    assert of(Suggestion, life.dimmed_day(102)) == []
    life.come()
    life.dim(102)
    assert of(Suggestion, life.pass_time(30)) == []  # not kept yet
    (offer,) = life.pass_time(31)
    assert isinstance(offer, Suggestion)
    assert (offer.kind, offer.context_key) == (Kind.ROUTINE_PROPOSED, LIT.id)
    assert offer.title == (
        "Hall and radio on when door opens: 3 times you dimmed hall to 40%, and kept it. "
        "Set it to 40% from now on?"
    )
    assert offer.evidence["rewrite"]["dates"] == ["2024-05-07", "2024-05-08", "2024-05-09"]
    assert life.pass_time(32, 33) == []  # once

    life.pipeline = reloaded(life.pipeline)
    out = life.pipeline.step(Feedback(offer.id, Verdict.ACCEPTED, T0 + timedelta(days=3, minutes=40)))
    (news,) = of(RoutineNews, out)  # which has the keeper write the automation again
    target = Target("brightness", 102.0, 102.0, 102.0, 3)
    assert news.routine == replace(LIT, steps=(replace(FULL, targets=(target,)),))
    assert (news.routine.id, news.standing, news.mode, news.elsewhere) == (
        LIT.id, Standing.ACCEPTED, Mode.ACT, False,
    )  # fmt: skip
    life.by = Origin.AGENT
    assert [dict(c.targets) for c in of(Command, life.come())] == [{"brightness": 102.0}]
    life.pass_time(40)
    assert life.record == Record(kept=1, changed=3)
    assert set(life.pipeline.routines.entries) == {LIT.id}


def test_a_correction_is_no_refusal() -> None:
    life = Life()
    for _ in range(6):
        life.come()
        life.dim(102)
        assert life.change("light.hall", "off", 5) == []  # used, and ended
    assert life.pipeline.routines.entries[LIT.id].declined == 0
    assert life.record == Record(changed=5)  # and one that is under way


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_reversal_three_times_lets_it_go(*, elsewhere: bool) -> None:
    life = Life(elsewhere=elsewhere)
    for _ in range(2):
        life.come()
        assert of(RoutineNews, life.change("light.hall", "off", 2)) == []
        assert of(Suggestion, life.pass_time(30, 200)) == []
    life.come()
    (news,) = of(RoutineNews, life.change("light.hall", "off", 2))
    assert (news.standing, news.why) == (Standing.RETIRED, "declined 3 times")
    assert of(Suggestion, life.pass_time(200, 400)) == []
    assert life.record == Record(undone=3)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_of_several_steps_the_one_that_is_put_back_is_left_out(*, elsewhere: bool) -> None:
    life = Life(BOTH, elsewhere=elsewhere)
    for _ in range(2):
        life.come()
        life.change("switch.radio", "off", 2)
        assert of(Suggestion, life.pass_time(30, 200)) == []
    life.come()
    assert of(RoutineNews, life.change("switch.radio", "off", 2)) == []
    (offer,) = of(Suggestion, life.pass_time(3))
    assert offer.title.endswith("3 times you put radio back, and kept it. Leave that out from now on?")
    out = life.pipeline.step(Feedback(offer.id, Verdict.ACCEPTED, T0 + timedelta(days=3, minutes=4)))
    gone, new = of(RoutineNews, out)
    assert (gone.routine.id, gone.standing) == (BOTH.id, Standing.RETIRED)
    assert (new.routine.steps, new.standing) == ((FULL,), Standing.ACCEPTED)
    assert set(life.pipeline.routines.entries) == {new.routine.id}
    assert life.record == Record(undone=3)  # what was lost stays on record


def test_what_is_put_back_again_after_no_to_the_offer_lets_it_go() -> None:
    life = Life(BOTH)
    out: list[Output] = []
    for _ in range(3):
        life.come()
        life.change("switch.radio", "off", 2)
        out = life.pass_time(30)
    answer(life.pipeline, out, Verdict.REJECTED, life.at + 31)
    life.come()
    (news,) = of(RoutineNews, life.change("switch.radio", "off", 2))
    assert news.standing is Standing.RETIRED


@pytest.mark.parametrize("values", [(102, 26, 180), (20, 90, 150, 20, 90, 150), (102, 102, 255, 255)])
def test_now_so_now_so_offers_nothing(values: tuple[float, ...]) -> None:
    life = Life()
    assert [o for value in values for o in of(Suggestion, life.dimmed_day(value))] == []


@pytest.mark.parametrize("verdict", [Verdict.REJECTED, Verdict.INTENTIONAL])
def test_a_refused_change_is_not_offered_again(verdict: Verdict) -> None:
    life = Life()
    out = [o for _ in range(3) for o in life.dimmed_day(102)]
    answer(life.pipeline, out, verdict, life.at + 50)
    life.pipeline = reloaded(life.pipeline)
    assert [o for _ in range(6) for o in of(Suggestion, life.dimmed_day(107))] == []
    assert life.pipeline.routines.entries[LIT.id].routine == LIT
    other = [o for _ in range(12) for o in of(Suggestion, life.dimmed_day(26))]
    assert [o.evidence["rewrite"]["key"] for o in other] == ["light.hall=on level 0%"]


def test_three_times_no_is_never_again_whatever_is_offered() -> None:
    life = Life()
    assert of(Suggestion, [o for _ in range(3) for o in life.dimmed_day(102)])
    life.pipeline.step(Adopt(T0 + timedelta(days=3, hours=2), LIT, Mode.ASK))
    news: list[RoutineNews] = []
    for _ in range(3):
        asked = life.come()
        news += of(RoutineNews, answer(life.pipeline, asked, Verdict.REJECTED, life.at + 1))
    assert [(n.standing, n.why) for n in news] == [(Standing.RETIRED, "declined 3 times")]


def test_one_question_at_a_time() -> None:
    life = Life()
    life.dimmed_day(102)
    life.dimmed_day(102)
    other = mined(life.pipeline, replace(COMING, steps=(Step("fan.bath", "on"),)), minutes=2.5 * DAY)
    assert of(Suggestion, life.dimmed_day(102)) == []
    answer(life.pipeline, other, Verdict.REJECTED, life.at + 60)
    (offer,) = of(Suggestion, life.pass_time(61))
    assert offer.context_key == LIT.id


def test_put_back_and_done_later_is_offered_later_and_is_no_refusal() -> None:
    life = Life()
    out: list[Output] = []
    for _ in range(3):
        life.come()
        life.change("light.hall", "off", 1)
        life.change("light.hall", "on", 41)
        assert life.pipeline.routines.entries[LIT.id].declined == 0
        out += life.pass_time(70, 71)
    (offer,) = of(Suggestion, out)
    assert "3 times you wanted hall on only 41 min later" in offer.title
    assert [a.delay_s for a in offer.actions] == [41 * 60.0]


def test_a_question_that_is_answered_starts_a_run_too() -> None:
    life = Life()
    life.pipeline.step(Adopt(T0, LIT, Mode.ASK))
    asked = life.come()
    answer(life.pipeline, asked, Verdict.ACCEPTED, life.at + 1)
    life.change("light.hall", "on", 1.1, attributes={"brightness": 255}, origin=Origin.AGENT)
    life.pass_time(40)
    assert life.record == Record(kept=1)


def test_home_assistants_other_automations_are_no_runs_of_ours() -> None:
    life = Life(replace(LIT, trigger=AtTime(10 * 60)), elsewhere=True)
    life.day = 1
    life.change("light.hall", "on", -60, origin=Origin.AUTOMATION)  # an hour too early
    life.change("light.hall", "off", -59)
    assert life.record == Record()
    assert not life.pipeline.routines.corrected.corrections.follows("light.hall")
    life.change("light.hall", "on", 0.1, origin=Origin.AUTOMATION)
    assert life.pipeline.routines.corrected.corrections.follows("light.hall")


def test_guests_correct_nothing() -> None:
    life = Life()
    life.pipeline.step(Control(T0, mode=HomeMode.GUEST))
    assert [o for _ in range(4) for o in of(Suggestion, life.dimmed_day(102))] == []
    assert life.record == Record()


def test_an_undo_is_on_record_and_a_forgotten_entity_is_not() -> None:
    life = Life()
    (suggestion,) = of(Suggestion, life.come())
    life.pipeline.step(Feedback(suggestion.id, Verdict.UNDONE, T0 + timedelta(days=1, minutes=2)))
    life.change("light.hall", "off", 2.1, origin=Origin.AGENT)
    life.pass_time(40)
    assert life.record == Record(undone=1)
    record = life.pipeline.routines.corrected.records()[LIT.id]
    assert (record["kept"], record["changed"], record["undone"]) == (0, 0, 1)
    assert record["last"] == (T0 + timedelta(days=1)).isoformat()
    life.pipeline.step(Forget(T0 + timedelta(days=2), "light.hall"))
    assert life.pipeline.routines.corrected.records() == {}


def test_a_replay_comes_to_the_same() -> None:
    def lived() -> Pipeline:
        life = Life(BOTH)
        for value in (102, 26, 102):
            life.dimmed_day(value)
        return life.pipeline

    assert lived().to_dict() == lived().to_dict() == reloaded(lived()).to_dict()


def test_the_log_leads_to_the_same_offer_and_other_processes_see_the_record(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/inkling.db") as store:
        made = Engine(store, home(), Ticker(timedelta(minutes=1)))
        made.take(Adopt(T0, LIT, Mode.ACT))
        for day in (DAY, 2 * DAY, 3 * DAY):
            made.take(change("light.hall", "off", day - 30))
            made.take(change(DOOR, "off", day - 30))
            made.take(change(DOOR, "on", day))
            made.take(change("light.hall", "on", day, attributes={"brightness": 255}, origin=Origin.AGENT))
            made.take(change("light.hall", "on", day + 1, attributes={"brightness": 102}))
            for minutes in range(2, 41):  # live, the scheduler does
                made.advance(T0 + timedelta(minutes=day + minutes))
        made.commit()
        (offer,) = [s for s in store.suggestions() if s.suggestion.kind is Kind.ROUTINE_PROPOSED]
        assert offer.suggestion.evidence["rewrite"]["times"] == 3
        (runs,) = [s.value for s in store.settings() if s.key == RUNS]
        assert [runs[LIT.id][how] for how in ("kept", "changed", "undone")] == [0, 3, 0]
        again = Engine(store, home(), Ticker(timedelta(minutes=1)))
        again.restore()
        assert again.pipeline.to_dict() == made.pipeline.to_dict()
