from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson

from agent.budget import Budget

START = datetime(2024, 3, 4, tzinfo=UTC)
DAY = timedelta(days=1)


def budget(per_day: float = 0.5, burst: float = 3.0) -> Budget:
    made = Budget(per_day, burst)
    made.tick(START)
    return made


def busy(per_day: float = 0.5, findings: int = 30) -> Budget:
    made = budget(per_day)
    for day in range(findings):
        made.note("dwell", "light.hall", START + day * DAY, START + day * DAY)
    return made


def test_tokens_come_back_at_the_daily_rate() -> None:
    b = budget()
    for _ in range(3):
        b.pay(1.0, START)
    assert b.balance(START) == 0.0
    assert b.balance(START + 2 * DAY) == 1.0
    assert b.balance(START + 100 * DAY) == 3.0


def test_a_home_with_much_to_say_saves_up_two_at_most() -> None:
    b = busy()
    end = START + 30 * DAY
    assert b.demand(end) > 0.5
    assert b.balance(end) == 2.0
    assert b.balance(end + 200 * DAY) == 3.0, "the demand of long ago is forgotten"


def test_a_finding_counts_once_for_each_time_that_it_became_abnormal() -> None:
    once, thrice = budget(), budget()
    for minutes in (0, 10, 20):
        thrice.note("dwell", "light.hall", START, START + timedelta(minutes=minutes))
    once.note("dwell", "light.hall", START, START)
    assert thrice.demand(START + DAY) == once.demand(START + DAY)


def test_a_small_burst_is_kept_to() -> None:
    assert budget(burst=1.0).balance(START + 9 * DAY) == 1.0


def test_a_clock_that_was_set_back_makes_nobody_wait() -> None:
    b = budget()
    b.pay(3.0, START + 400 * DAY)
    b.tick(START)
    assert b.balance(START + 4 * DAY) == 2.0


def test_a_restart_changes_nothing() -> None:
    b = busy()
    b.pay(1.0, START + 30 * DAY)
    again = Budget(0.5, 3.0)
    again.load(orjson.loads(orjson.dumps(b.to_dict())))
    for days in (30, 31, 33, 60):
        at = START + days * DAY
        assert (again.balance(at), again.demand(at)) == (b.balance(at), b.demand(at))
