from __future__ import annotations

import json

import pytest

from hunches.company import Company

HALL, DOOR, RADIO = "binary_sensor.hall", "binary_sensor.door", "media_player.radio"
HOUR = 3600.0


def lived(hours: int = 200) -> Company:
    """Return a home whose door goes with the hall, and whose radio plays whenever it likes."""
    company = Company()
    for hour in range(hours):
        at = HOUR * hour
        company.heard(HALL, at)
        for minute in range(0, 60, 15):
            company.heard(RADIO, at + 60.0 * minute)
        grade = company.grade(DOOR, {HALL: 5.0, RADIO: 300.0}, {}, at)
        company.learn_one(DOOR, {HALL: 5.0, RADIO: 300.0}, {}, grade, at)
    return company


def test_only_company_that_is_not_always_there_counts() -> None:
    company, at = lived(), 200 * HOUR
    near, radio = company._odds(DOOR, at)[HALL], company._odds(DOOR, at)[RADIO]
    # the hall is within a minute of 1/60 of all time and was so 200 times of 200, so that its odds ratio is
    # (200 + 5 / 60) (1 - 1 / 60) / (1 / 60 (205 - 200 - 5 / 60)) = 2401; for half an hour, half of all time,
    # (200 + 5 / 2) (1 - 1 / 2) / (1 / 2 (205 - 200 - 5 / 2)) = 81; it never came afterwards
    assert near == pytest.approx([2401.0, 81.0, 0.0, 0.0], rel=0.05)
    # the radio is within half an hour of 95% of all time, the most that a rate may be
    # (200 + 4.75) * 0.05 / (0.95 * (205 - 204.75)) = 43
    assert radio == pytest.approx([0.0, 43.1, 0.0, 0.0], rel=0.05)
    assert company.usual(DOOR, at) == (HALL, 1.0)
    assert company.grade(DOOR, {HALL: 5.0}, {}, at) == 5
    assert company.grade(DOOR, {}, {}, at) == 0
    assert company.grade(DOOR, {"light.cellar": 5.0}, {}, at) == 1
    assert company.share(DOOR, 2) < 0.02


def test_the_closer_the_better() -> None:
    company, at = lived(), 200 * HOUR
    close, far, gone = ({HALL: seconds} for seconds in (40.0, 400.0, 4000.0))
    assert company.grade(DOOR, close, {}, at) > company.grade(DOOR, far, {}, at)
    assert company.grade(DOOR, far, {}, at) > company.grade(DOOR, gone, {}, at) == 0


def test_before_and_after_are_not_the_same() -> None:
    company, at = lived(), 200 * HOUR
    assert company.grade(DOOR, {}, {HALL: 5.0}, at) == 1  # the hall always came first


def test_an_entity_without_usual_company_misses_none() -> None:
    company = Company()
    for hour in range(100):
        company.heard(RADIO, HOUR * hour)
        heard = {RADIO: 9.0} if hour % 4 == 0 else {"light.cellar": 9.0}
        grade = company.grade(DOOR, heard, {}, HOUR * hour + 1800)
        company.learn_one(DOOR, heard, {}, grade, HOUR * hour + 1800)
    assert company.grade(DOOR, {"light.attic": 9.0}, {}, 100 * HOUR) >= 1
    assert company.share(HALL, 5) > 0.9  # nothing is known of the hall: the home's share


def test_who_was_heard_before() -> None:
    company = Company()
    for entity_id, at in ((HALL, 100.0), (RADIO, 500.0), (DOOR, 900.0)):
        company.heard(entity_id, at)
    assert company.since(1000.0, 600.0) == {DOOR: 100.0, RADIO: 500.0}
    assert list(company.since(1000.0, 600.0)) == [DOOR, RADIO]


def test_bounded_restored_forgotten_and_renamed() -> None:
    company = lived(20)
    for i in range(2000):
        company.learn_one(DOOR, {f"light.n{i}": 9.0, HALL: 9.0}, {}, 5, HOUR * (20 + i / 10))
    assert len(json.dumps(company.to_dict()["around"][DOOR])) < 8000
    assert company.usual(DOOR, 220 * HOUR) is not None
    other = Company()
    other.load(json.loads(json.dumps(company.to_dict())))
    assert other.to_dict() == company.to_dict()
    company.rename(HALL, "binary_sensor.corridor")
    assert HALL not in json.dumps(company.to_dict())
    assert company.grade(DOOR, {"binary_sensor.corridor": 9.0}, {}, 220 * HOUR) == 5
    company.forget("binary_sensor.corridor")
    assert "corridor" not in json.dumps(company.to_dict())


def test_what_was_learned_fades() -> None:
    company = Company(half_life_days=10.0)
    for day in range(30):
        company.learn_one(DOOR, {HALL: 9.0}, {}, 5, day * 86400.0)
    for day in range(60, 100):
        company.learn_one(DOOR, {}, {}, 0, day * 86400.0)
    assert company.share(DOOR, 0) > 0.8
