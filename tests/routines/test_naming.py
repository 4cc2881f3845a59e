import pytest

from routines.naming import name_of
from routines.routine import AtSun, AtTime, Conditions, OnState, Routine, Step, SunEvent

LAMP = Step("light.hall_lamp", "on")


@pytest.mark.parametrize(
    ("trigger", "conditions", "expected"),
    [
        (AtTime(65), Conditions(weekdays=(5, 6)), "Hall lamp on, weekends about 01:05"),
        (AtSun(SunEvent.SUNSET, -20), Conditions(), "Hall lamp on, 20 min before sunset"),
        (
            AtSun(SunEvent.SUNRISE),
            Conditions(weekdays=(0, 2)),
            "Hall lamp on, Monday and Wednesday at sunrise",
        ),
        (OnState("person.ada", "home"), Conditions(), "Hall lamp on when ada comes home"),
        (
            OnState("person.ada", "not_home"),
            Conditions(dark=True),
            "Hall lamp on when ada leaves in the dark",
        ),
        (
            OnState("binary_sensor.hall_motion", "on"),
            Conditions(),
            "Hall lamp on when hall motion is triggered",
        ),
        (
            OnState("binary_sensor.fridge", "off"),
            Conditions(weekdays=(0, 1, 2, 3, 4), after_min=0, before_min=65),
            "Hall lamp on when fridge closes, weekdays between 00:00 and 01:05",
        ),
        (OnState("switch.tv", "on"), Conditions(), "Hall lamp on when tv goes on"),
    ],
)
def test_triggers_in_words(trigger: OnState, conditions: Conditions, expected: str) -> None:
    assert name_of(Routine("", trigger, (LAMP,), conditions)) == expected


def test_the_residents_names_come_first_and_four_steps_are_enough() -> None:
    steps = (
        Step("light.a", "off"),
        Step("light.b", "off"),
        Step("cover.c", "closed"),
        Step("lock.d", "locked"),
    )
    many = Routine("", AtTime(1380), (*steps, Step("switch.e", "off")))
    names = {"light.a": "Reading lamp", "lock.d": "TV"}
    assert name_of(many, names) == "Reading lamp and b off, c closed, TV locked and 1 more, about 23:00"


def test_the_trigger_itself_is_no_step() -> None:
    steps = (Step("switch.tv", "on"), LAMP)
    assert name_of(Routine("", OnState("switch.tv", "on"), steps)) == "Hall lamp on when tv goes on"
