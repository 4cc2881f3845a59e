from dataclasses import replace

import orjson
import pytest

from routines.routine import (
    AtSun,
    AtTime,
    Conditions,
    Evidence,
    OnState,
    Routine,
    Step,
    SunEvent,
    Target,
)

KITCHEN = Step("light.kitchen", "on", 0.0, (Target("brightness", 128.0, 100.0, 150.0, 12),))
COFFEE = Step("switch.coffee", "on", 42.0)
MORNING = Routine(
    "Kitchen light and coffee",
    AtTime(410, 12, 15),
    (KITCHEN, COFFEE),
    Conditions(weekdays=(0, 1, 2, 3, 4), after_min=360, before_min=480, occupancy=("home",), dark=True),
    Evidence(("2024-03-04", "2024-03-05"), 3, 0.001, 0.01, 9, 1, 2, ("2024-03-10", "2024-03-17")),
)


@pytest.mark.parametrize(
    "trigger", [AtTime(5, 1, 2), AtSun(SunEvent.SUNSET, -20), OnState("binary_sensor.door", "on")]
)
def test_survives_json(trigger: AtTime | AtSun | OnState) -> None:
    routine = replace(MORNING, trigger=trigger)
    back = Routine.from_dict(orjson.loads(orjson.dumps(routine.to_dict())))
    assert back == routine
    assert back.evidence == routine.evidence
    assert back.id == routine.id


def test_drifting_times_numbers_and_names_keep_the_id() -> None:
    later = replace(MORNING, name="Coffee", trigger=AtTime(430), steps=(COFFEE, replace(KITCHEN, targets=())))
    assert later.id == MORNING.id


@pytest.mark.parametrize(
    "other",
    [
        replace(MORNING, trigger=AtSun(SunEvent.SUNRISE)),
        replace(MORNING, trigger=OnState("binary_sensor.door", "on")),
        replace(MORNING, steps=(KITCHEN,)),
        replace(MORNING, steps=(KITCHEN, replace(COFFEE, state="off"))),
    ],
)
def test_another_start_or_another_step_is_another_routine(other: Routine) -> None:
    assert other.id != MORNING.id


def test_similarity_is_the_jaccard_index_of_the_steps() -> None:
    tea = Step("switch.kettle", "on")
    assert MORNING.similarity(MORNING) == 1.0
    assert MORNING.similarity(replace(MORNING, steps=(KITCHEN, tea))) == pytest.approx(1 / 3)  # 1 of 3 in all
    assert MORNING.similarity(replace(MORNING, steps=(tea,))) == 0.0


def test_what_is_no_routine_is_refused() -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Routine.from_dict({"name": "x"})
    with pytest.raises((KeyError, TypeError, ValueError)):
        Routine.from_dict(MORNING.to_dict() | {"trigger": {"kind": "moon"}})
