from __future__ import annotations

import orjson

from hunches.stays import Stays, share_tails

WHERE = "morning|weekday|home"
HOUR_S, DAY_S = 3600.0, 86400.0


def lived(minutes: list[float], strays: list[float] | None = None) -> Stays:
    stays = Stays(first=0.0)
    for i, m in enumerate(minutes):
        stays.learn_one(60.0 * m, WHERE, at=HOUR_S * i)
    for i, m in enumerate(strays or []):
        stays.learn_one(60.0 * m, WHERE, at=HOUR_S * (len(minutes) + i), stray=True)
    return stays


def test_one_or_two_strays_are_not_the_measure_of_what_comes_later() -> None:
    assert lived([1, 2, 5], [600]).usual_s == 300.0
    assert lived([1, 2, 5], [600, 90]).usual_s == 300.0


def test_what_happened_three_times_is_a_habit() -> None:
    assert lived([1, 2, 5], [600, 90, 120]).usual_s == 90 * 60.0
    assert lived([1, 2, 5], [600, 90, 120, 240]).usual_s == 120 * 60.0, "three were at least that long"


def test_a_shorter_stray_than_what_is_usual_changes_nothing() -> None:
    assert lived([1, 2, 500], [60, 70, 80]).usual_s == 500 * 60.0


def test_the_sentence_is_true_with_and_without_strays() -> None:
    assert lived([1, 2, 5]).never_longer("open") == "never open longer than 5 min"
    assert lived([1, 2, 5], [90]).never_longer("open") == "open longer than 5 min only once (1 h 30 min)"
    twice = lived([1, 2, 5], [90, 600]).never_longer("open")
    assert twice == "open longer than 5 min only twice (10 h)"
    assert lived([1, 2, 500], [60]).never_longer("on") == "never on longer than 8 h 20 min"


def test_strays_are_shown_as_evidence_and_survive_a_restart() -> None:
    stays = lived([1, 2, 5], [600])
    assert [x["seconds"] for x in stays.evidence(WHERE, None)["longest"]] == [36000, 300, 120]
    stays.assume(2.5)
    body = orjson.loads(orjson.dumps(stays.to_dict()))
    again = Stays.from_dict(body, backing=stays.backing, half_life_days=stays.half_life_days)
    assert again.to_dict() == stays.to_dict()
    assert again.p(WHERE, 7200.0) == stays.p(WHERE, 7200.0)


def test_a_newcomer_expects_the_tail_of_its_class() -> None:
    """Among timed lights an hour is stranger than among lights that are forgotten now and then."""
    timed, forgotten = [4.0, 5.0, 5.0, 5.5] * 30, [5.0] * 108 + [10, 20, 40, 80, 160, 320] * 2
    p = []
    for like in (timed, forgotten):
        pasts = {f"light.{i}": lived(like) for i in range(4)} | {"light.new": lived([3.0, 4.0, 4.5] * 3)}
        share_tails(pasts, lambda _entity_id: None)
        p.append(pasts["light.new"].p(WHERE, HOUR_S))
    assert p[0] < p[1] / 5


def test_another_class_has_nothing_to_say_and_nobody_is_its_own_witness() -> None:
    alone, among = lived([3.0, 4.0, 4.5] * 3), lived([3.0, 4.0, 4.5] * 3)
    before = alone.p(WHERE, HOUR_S)
    share_tails({"light.new": alone}, lambda _entity_id: None)
    share_tails(
        {"light.new": among, "light.old": lived([5.0] * 100)},
        lambda entity_id: "of its own" if entity_id == "light.old" else None,
    )
    assert alone.p(WHERE, HOUR_S) == among.p(WHERE, HOUR_S) == before


def test_strays_say_nothing_of_the_tail() -> None:
    k, excess = lived([5.0] * 30, [600]).tail_evidence()
    assert k == 2.0  # 31 stays: the longest tenth, without the stray
    assert excess < 0.2
