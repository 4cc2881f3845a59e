from __future__ import annotations

import json

import pytest

from hunches.company import Company

HALL, DOOR, RADIO = "binary_sensor.hall", "binary_sensor.door", "media_player.radio"
HOUR = 3600.0


def lived(hours: int = 200) -> Company:
    """Return a home whose door goes with the hall, and whose radio plays whenever it likes."""
    company = Company(window_s=900.0)
    for hour in range(hours):
        at = HOUR * hour
        company.heard(HALL, at)
        for minute in range(0, 60, 15):
            company.heard(RADIO, at + 60.0 * minute)
        company.learn_one(DOOR, [HALL, RADIO], at)
    return company


def test_only_company_that_is_not_always_there_counts() -> None:
    company, at = lived(), 200 * HOUR
    worth = company.worth(DOOR, at)
    # the hall is within a quarter of all time, the radio within 95% (the most that a rate may be)
    # q = (200 + 5 / 4) / 205: ln(q (1 - b) / (b (1 - q))) = ln(201.25 / 3.75 * 3) = 5.1
    assert worth[HALL] == pytest.approx(5.1, abs=0.2)
    assert company.usual(DOOR, at) == (HALL, 1.0)
    assert company.grade(DOOR, [HALL], at) == 5
    assert company.grade(DOOR, [], at) == 0
    assert 0 < company.grade(DOOR, ["light.cellar"], at) < 3
    assert company.share(DOOR, 2) < 0.02


def test_an_entity_without_usual_company_misses_none() -> None:
    company = Company(window_s=900.0)
    for hour in range(100):
        company.heard(RADIO, HOUR * hour)
        company.learn_one(DOOR, [RADIO] if hour % 4 == 0 else ["light.cellar"], HOUR * hour + 1800)
    assert company.grade(DOOR, ["light.attic"], 100 * HOUR) >= 1
    assert company.share(HALL, 5) > 0.9  # nothing is known of the hall: the home's share


def test_who_was_heard_before() -> None:
    company = Company(window_s=900.0)
    for entity_id, at in ((HALL, 100.0), (RADIO, 500.0), (DOOR, 900.0)):
        company.heard(entity_id, at)
    assert company.since(1000.0, 600.0) == [DOOR, RADIO]


def test_bounded_restored_forgotten_and_renamed() -> None:
    company = lived(20)
    for i in range(2000):
        company.learn_one(DOOR, [f"light.n{i}", HALL], HOUR * (20 + i / 10))
    assert len(json.dumps(company.to_dict()["around"][DOOR])) < 8000
    assert company.usual(DOOR, 220 * HOUR) is not None
    other = Company(window_s=900.0)
    other.load(json.loads(json.dumps(company.to_dict())))
    assert other.to_dict() == company.to_dict()
    company.rename(HALL, "binary_sensor.corridor")
    assert HALL not in json.dumps(company.to_dict())
    assert company.grade(DOOR, ["binary_sensor.corridor"], 220 * HOUR) == 5
    company.forget("binary_sensor.corridor")
    assert "corridor" not in json.dumps(company.to_dict())


def test_what_was_learned_fades() -> None:
    company = Company(window_s=900.0, half_life_days=10.0)
    for day in range(30):
        company.learn_one(DOOR, [HALL], day * 86400.0)
    for day in range(60, 100):
        company.learn_one(DOOR, [], day * 86400.0)
    assert company.share(DOOR, 0) > 0.8
