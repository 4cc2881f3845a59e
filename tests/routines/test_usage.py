"""For how long residents use things, and what that says about an end that comes early."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from devices.events import Origin, StateChange
from routines.fading import SURPRISING, still_worth_asking
from routines.usage import KEPT, MOST_STATES, Usage

T0 = datetime(2024, 5, 6, 10, 0, tzinfo=UTC)
COFFEE = "switch.coffee"


def change(
    entity_id: str, new: str, minutes: float, by: Origin = Origin.PERSON, old: str = ""
) -> StateChange:
    at = T0 + timedelta(minutes=minutes)
    return StateChange(entity_id, new, at, at, old or ("off" if new == "on" else "on"), origin=by)


def use(
    usage: Usage, minutes: float, at: float, by: tuple[Origin, Origin] = (Origin.PERSON, Origin.PHYSICAL)
) -> None:
    usage.observe(change(COFFEE, "on", at, by[0]))
    usage.observe(change(COFFEE, "off", at + minutes, by[1]))


def is_usual(usage: Usage, minutes: float, at: float = 10_000.0) -> bool:
    """Whether an end after so many minutes of what Inkling has switched on is usual."""
    usage.observe(change(COFFEE, "on", at, Origin.AGENT))
    return usage.is_usual(change(COFFEE, "off", at + minutes))


def after(*uses: float) -> Usage:
    usage = Usage()
    for n, minutes in enumerate(uses):
        use(usage, minutes, 500.0 * n)
    return usage


def test_what_is_always_used_shortly() -> None:
    usage = after(3.0, 3.1, 2.9, 3.3, 3.2)
    assert is_usual(usage, 3.0)  # 3.0 and 2.9 were no longer
    assert not is_usual(usage, 2.9)  # but one
    assert is_usual(usage, 60.0)


def test_a_stray_or_too_little_is_no_rule() -> None:
    assert not is_usual(Usage(), 3.0)
    assert not is_usual(after(3.0), 3.0)
    assert not is_usual(after(3.0, *[60.0 + n for n in range(15)]), 5.0)
    two = after(3.0, 3.0, *[60.0] * 18)  # one in ten
    assert is_usual(two, 5.0)


def test_only_what_residents_begin_and_end_is_use() -> None:
    usage = Usage()
    for n, by in enumerate(
        [
            (Origin.AGENT, Origin.PERSON),
            (Origin.AUTOMATION, Origin.PERSON),
            (Origin.PERSON, Origin.AUTOMATION),
            (Origin.UNKNOWN, Origin.PERSON),
        ]
    ):
        use(usage, 3.0, 1000.0 * n, by)
        use(usage, 3.0, 1000.0 * n + 500, by)
    assert usage.to_dict()["lasted"] == {}


def test_guests_teach_nothing() -> None:
    usage = Usage()
    for n in range(5):
        usage.observe(change(COFFEE, "on", 100.0 * n), learns=False)
        usage.observe(change(COFFEE, "off", 100.0 * n + 3), learns=n > 3)
    assert usage.to_dict()["lasted"] == {}


def test_an_outage_in_between_is_no_use() -> None:
    usage = Usage()
    for n in range(3):
        usage.observe(change(COFFEE, "on", 100.0 * n))
        usage.observe(change(COFFEE, "unavailable", 100.0 * n + 1, old="on"))
        usage.observe(change(COFFEE, "off", 100.0 * n + 3))
    assert usage.to_dict()["lasted"] == {}


@pytest.mark.parametrize(("old", "new"), [("off", "on"), ("closed", "open"), ("paused", "playing")])
def test_what_is_put_out_of_rest_at_once_was_wanted(old: str, new: str) -> None:
    usage = Usage()
    entity_id = {"open": "cover.blind", "playing": "media_player.tv"}.get(new, COFFEE)
    for n in range(10):
        usage.observe(change(entity_id, new, 100.0 * n, old=old))
        usage.observe(change(entity_id, old, 100.0 * n + 3, old=new))
    assert not usage.is_usual(change(entity_id, new, 1000.0, old=old))


def test_habits_change() -> None:
    usage = after(*[3.0] * KEPT, *[60.0] * KEPT)
    assert not is_usual(usage, 3.0, 100_000.0)


def test_memory_is_bounded_and_sensors_have_none() -> None:
    usage = Usage()
    for n in range(50):
        usage.observe(change("select.scene", f"scene {n % 25}", n * 10.0, old=f"scene {(n - 1) % 25}"))
        usage.observe(change("binary_sensor.door", "on" if n % 2 else "off", n * 10.0))
    lasted = usage.to_dict()["lasted"]
    assert list(lasted) == ["select.scene"]
    assert len(lasted["select.scene"]) == MOST_STATES


def test_a_snapshot_knows_the_same() -> None:
    usage, again = after(3.0, 3.1), Usage()
    usage.observe(change(COFFEE, "on", 5000.0))
    again.load(json.loads(json.dumps(usage.to_dict())))
    assert again.to_dict() == usage.to_dict()
    assert again.is_usual(change(COFFEE, "off", 5004.0))


def test_a_renamed_entity_keeps_its_past_and_a_forgotten_one_has_none() -> None:
    usage = after(3.0, 3.1, 3.2)
    usage.rename(COFFEE, "switch.espresso")
    usage.observe(change("switch.espresso", "on", 5000.0))
    assert usage.is_usual(change("switch.espresso", "off", 5004.0))
    usage.forget("switch.espresso")
    assert usage.to_dict() == {"lasted": {}, "begun": {}}


# -- fading -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wins", "enough"), [(0, 4), (1, 5), (2, 6), (3, 6), (10, 11)])
def test_how_many_losses_it_takes(wins: int, enough: int) -> None:
    assert still_worth_asking(wins, enough) <= SURPRISING < still_worth_asking(wins, enough - 1)


def test_what_always_wins_is_worth_asking() -> None:
    assert still_worth_asking(30, 0) == pytest.approx(1.0)
    assert still_worth_asking(0, 0) == 1.0
