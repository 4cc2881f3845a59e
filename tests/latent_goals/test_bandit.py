from __future__ import annotations

import json
from functools import partial
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latent_goals.arm import Arm
from latent_goals.bandit import RARELY, GoalBandit
from latent_goals.decision import Decision, Outcome, Reason

X = {"daypart": "evening"}
YES, NO = Outcome.ACCEPTED, Outcome.REJECTED


class Draw(Random):
    """A generator whose next numbers are known; 0 shows whatever may be shown."""

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.value, self.drawn = value, 0

    def random(self) -> float:
        self.drawn += 1
        return self.value


def show(bandit: GoalBandit, outcome: Outcome, arm: str = "a") -> Decision:
    """Show an arm, whatever the bandit thinks, and answer."""
    decision = bandit.decide(arm, X, Draw())
    decision = Decision(arm, X, True, 0.5, 0.5, decision.reason, showing=decision.showing)
    bandit.show_one(decision)
    bandit.learn_one(decision, outcome)
    return decision


def live(bandit: GoalBandit, rng: Random, n: int, p_yes: float, arm: str = "a") -> int:
    shown = 0
    for _ in range(n):
        decision = bandit.decide(arm, X, rng)
        if decision.show:
            shown += 1
            bandit.show_one(decision)
            bandit.learn_one(decision, YES if rng.random() < p_yes else NO)
    return shown


def test_an_unknown_arm_is_tried() -> None:
    # P(v > 0) = 1/2 under Beta(1, 1), twice that is certain
    decision = GoalBandit().decide("a", X, Random(1))
    assert (decision.show, decision.p_show, decision.p_better) == (
        True,
        pytest.approx(1.0),
        pytest.approx(0.5),
    )
    assert decision.reason is Reason.OPEN


def test_propensity_is_the_probability_of_what_was_done() -> None:
    # one rejection counts twice: Beta(1, 3), P(p > 1/2) = 1/8, twice that is 1/4; one in vain: its square
    bandit = GoalBandit(make_arm=partial(Arm, hazard=0.0), patience=1.0)
    show(bandit, NO)
    shown, silent = bandit.decide("a", X, Draw(0.06)), bandit.decide("a", X, Draw(0.07))
    assert (shown.show, shown.propensity) == (True, pytest.approx(1 / 16))
    assert (silent.show, silent.propensity) == (False, pytest.approx(15 / 16))


def test_rejected_twice_it_is_quiet_and_says_why() -> None:
    bandit = GoalBandit()
    show(bandit, NO)
    assert not bandit.explain("a", X)["quiet"]
    show(bandit, NO)
    report = bandit.explain("a", X)
    assert report["quiet"]
    assert (report["shown"], report["answers"]) == (2, {"reject": 2})
    assert report["p_worse_than_silence"] > report["limit"] == 0.9
    assert report["mean_value"] < 0
    assert report["why"].startswith("after 2 showings (2 reject) it is worse than silence")
    assert bandit.decide("a", X, Draw(0.01)).reason is Reason.SUPPRESSED


def test_ignored_for_long_it_is_quiet() -> None:
    bandit = GoalBandit()
    for _ in range(4):
        show(bandit, Outcome.IGNORED)
    assert bandit.explain("a", X)["quiet"]


def test_an_undo_takes_back_more_than_the_acceptance() -> None:
    bandit = GoalBandit()
    decision = show(bandit, YES)
    before = bandit.decide("a", X, Draw()).p_better
    bandit.learn_one(decision, Outcome.UNDONE)
    assert bandit.decide("a", X, Draw()).p_better < 0.5 < before


def test_a_withdrawn_showing_teaches_nothing() -> None:
    bandit = GoalBandit()
    show(bandit, Outcome.WITHDRAWN)
    report = bandit.explain("a", X)
    assert (report["unanswered"], report["mean_value"], report["answers"]) == (0, 0.0, {})


@pytest.mark.parametrize("seed", range(5))
def test_a_good_arm_that_turns_bad_is_suppressed_within_eight_showings(seed: int) -> None:
    bandit, rng = GoalBandit(), Random(seed)
    assert live(bandit, rng, 1000, p_yes=0.95) > 900
    assert live(bandit, rng, 100, p_yes=0.0) <= 8


@pytest.mark.parametrize("seed", range(5))
def test_an_unwanted_arm_is_shown_a_few_times_in_a_thousand(seed: int) -> None:
    assert live(GoalBandit(), Random(seed), 1000, p_yes=0.0) <= 6


def test_a_second_chance_comes_rarely_and_ever_more_so_but_never_not_at_all() -> None:
    bandit = GoalBandit()
    for _ in range(2):
        show(bandit, NO)
    rates = []
    for _ in range(3):
        decision = bandit.decide("a", X, Draw())
        assert (decision.show, decision.reason) == (True, Reason.SECOND_CHANCE)
        rates.append(decision.propensity)
        bandit.show_one(decision)
        bandit.learn_one(decision, NO)
    assert 0.01 > rates[0] > rates[1] == rates[2] == RARELY


def test_a_second_chance_can_be_taken() -> None:
    bandit = GoalBandit()
    for _ in range(3):
        show(bandit, NO)
    for _ in range(3):
        decision = bandit.decide("a", X, Draw())
        bandit.show_one(decision)
        bandit.learn_one(decision, YES)
    assert not bandit.explain("a", X)["quiet"]


def test_it_waits_for_answers() -> None:
    bandit, shown = GoalBandit(most_pending=2), []
    for _ in range(10):
        decision = bandit.decide("a", X, Draw())
        if decision.show:
            bandit.show_one(decision)
            shown.append(decision)
    assert len(shown) == 2
    assert shown[0].p_show > shown[1].p_show  # no answer yet is no good sign
    waiting = bandit.decide("a", X, Draw())
    assert (waiting.p_show, waiting.propensity, waiting.reason) == (0.0, 1.0, Reason.WAITING)
    bandit.learn_one(shown[0], YES)
    assert bandit.decide("a", X, Draw()).show
    assert bandit.explain("a")["unanswered"] == 1


def test_one_answer_settles_one_showing() -> None:
    bandit = GoalBandit()
    first = bandit.decide("a", X, Draw())
    bandit.show_one(first)
    second = bandit.decide("a", X, Draw())
    bandit.show_one(second)
    bandit.learn_one(first, YES)
    bandit.learn_one(first, Outcome.UNDONE)
    assert bandit.explain("a")["unanswered"] == 1


def test_a_costly_moment_needs_a_better_arm() -> None:
    bandit = GoalBandit()
    show(bandit, YES)
    calm, costly = bandit.decide("a", X, Draw()), bandit.decide("a", X, Draw(), cost=0.6)
    assert calm.p_show > costly.p_show > 0.0
    at_night = bandit.decide("a", X, Draw(0.2), cost=0.95)
    assert (at_night.show, at_night.reason) == (False, Reason.COSTLY)


def test_a_little_cost_makes_a_little_difference() -> None:
    """After one refusal, too: no cost from which on nothing is asked at the hour any more."""
    bandit = GoalBandit()
    show(bandit, NO)
    rates = [bandit.decide("a", X, Draw(), cost=c / 50).p_show for c in range(20)]
    assert rates[0] > 0.1
    assert rates[5] > 0.05  # at a cost of a tenth
    assert all(1.0 > after / before > 0.75 for before, after in pairwise(rates))


@pytest.mark.parametrize("record", [6, 30, 200])
def test_after_a_record_of_yeses_no_single_answer_makes_it_quiet(record: int) -> None:
    bandit = GoalBandit()
    shown_and(bandit, *[YES] * record, NO)
    assert bandit.decide("a", X, Draw()).p_show == 1.0


@pytest.mark.parametrize(("refused", "least", "most"), [(0, 1.0, 1.0), (1, 0.5, 1.0), (2, 0.0, 0.3)])
def test_while_an_answer_is_awaited_what_was_refused_before_holds_back(
    refused: int, least: float, most: float
) -> None:
    bandit = GoalBandit()
    shown_and(bandit, *[YES] * 20, *[NO] * refused)
    sure = bandit.decide("a", X, Draw())
    bandit.show_one(sure)
    assert sure.p_show > 0.7
    assert least <= bandit.decide("a", X, Draw()).p_show <= most


def test_bad_in_the_morning_and_good_in_the_evening() -> None:
    bandit = GoalBandit()
    for _ in range(10):
        for daypart, outcome in (("evening", YES), ("morning", NO)):
            decision = Decision("a", {"daypart": daypart}, True, 0.5, 0.5, showing=1)
            bandit.show_one(decision)
            bandit.learn_one(decision, outcome)
    assert bandit.decide("a", {"daypart": "evening"}, Draw(0.9)).show
    assert bandit.decide("a", {"daypart": "morning"}, Draw(0.9)).reason is Reason.SUPPRESSED


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(list(Outcome))), max_size=40),
    st.floats(0.0, 0.99),
    st.integers(0, 9),
)
def test_propensities_and_purity(answers: list[tuple[str, Outcome]], cost: float, seed: int) -> None:
    bandit = GoalBandit()
    for arm, outcome in answers:
        show(bandit, outcome, arm)
    before, rng = bandit.to_dict(), Draw(0.1)
    decision = bandit.decide("a", X, rng, cost=cost)
    assert (bandit.to_dict(), rng.drawn) == (before, 1)
    waits = decision.reason is Reason.WAITING
    assert (0.0 if waits else RARELY * (1.0 - cost)) <= decision.p_show <= 1.0
    assert decision.propensity == (decision.p_show if decision.show else 1.0 - decision.p_show)
    assert Decision.from_dict(json.loads(json.dumps(decision.to_dict()))) == decision
    assert bandit.decide("a", X, Random(seed)) == bandit.decide("a", X, Random(seed))
    json.dumps(bandit.explain("a"))


@settings(deadline=None)
@given(st.lists(st.sampled_from(list(Outcome)), max_size=30), st.integers(0, 99))
def test_goes_on_after_json(answers: list[Outcome], seed: int) -> None:
    bandit, other = GoalBandit(), GoalBandit()
    for outcome in answers:
        show(bandit, outcome)
    other.load(json.loads(json.dumps(bandit.to_dict())))
    for policy in (bandit, other):
        live(policy, Random(seed), 20, p_yes=0.5)
    assert other.to_dict() == bandit.to_dict()


def test_forget() -> None:
    bandit = GoalBandit()
    late = show(bandit, NO)
    bandit.forget("a")
    bandit.forget("nowhere")
    bandit.learn_one(late, NO)
    assert (len(bandit), bandit.to_dict()) == (0, {"arms": {}})


def test_of_too_many_arms_suppressed_ones_are_remembered() -> None:
    bandit = GoalBandit(most_arms=3)
    for _ in range(3):
        show(bandit, NO, "unwanted")
    for arm in "abcde":
        show(bandit, YES, arm)
    assert len(bandit) == 3
    assert bandit.explain("unwanted", X)["quiet"]


def test_refuses_nonsense() -> None:
    for kwargs in ({"bound": 0.5}, {"patience": 0.0}, {"most_pending": 0}, {"enough": 0}):
        with pytest.raises(ValueError, match="range"):
            GoalBandit(**kwargs)


@pytest.mark.parametrize(("yes_in", "least", "most"), [(0, 5, 20), (3, 80, 100)])
def test_a_question_that_is_always_one_too_many_is_dropped(yes_in: int, least: int, most: int) -> None:
    """Done by hand each time, it was right and not needed; one yes in three is reason enough to ask."""
    bandit, rng, shown = GoalBandit(), Random(5), 0
    for _ in range(100):
        decision = bandit.decide("goal", {"daypart": "evening"}, rng)
        if decision.show:
            shown += 1
            bandit.show_one(decision)
            accepted = yes_in and shown % yes_in == 0
            bandit.learn_one(decision, Outcome.ACCEPTED if accepted else Outcome.BY_HAND)
    assert least <= shown <= most


# -- the first showings -------------------------------------------------------------------------------


def shown_and(bandit: GoalBandit, *outcomes: Outcome) -> None:
    for outcome in outcomes:
        show(bandit, outcome)


def test_showings_for_nothing_before_four_acceptances_make_it_rare_though_it_may_be_worth_it() -> None:
    bandit, lenient = GoalBandit(), GoalBandit(patience=50.0)
    for one in (bandit, lenient):
        shown_and(one, YES, *[Outcome.IGNORED] * 4, YES, Outcome.IGNORED)
    patient, decision = (one.decide("a", X, Draw(0.5)) for one in (lenient, bandit))
    assert 0.1 < patient.p_better < 0.5  # Beta(3, 6), about: too unsure for the bound
    assert patient.p_show > 0.2 > 0.02 > decision.p_show
    assert decision.reason is Reason.OPEN


def test_an_arm_that_was_accepted_four_times_is_judged_by_its_worth_alone() -> None:
    bandit = GoalBandit()
    shown_and(bandit, YES, Outcome.IGNORED, YES, Outcome.IGNORED, YES, YES, *[Outcome.IGNORED] * 3, YES)
    assert bandit.decide("a", X, Draw()).p_show > 0.8


def test_what_was_done_by_hand_is_not_for_nothing() -> None:
    by_hand, ignored = GoalBandit(), GoalBandit()
    shown_and(by_hand, *[Outcome.BY_HAND] * 3)
    shown_and(ignored, *[Outcome.IGNORED] * 3)
    assert by_hand.decide("a", X, Draw()).p_show > 10 * ignored.decide("a", X, Draw()).p_show


def test_a_failed_trial_is_made_up_for_by_acceptances() -> None:
    bandit = GoalBandit()
    shown_and(bandit, *[Outcome.IGNORED] * 5)
    assert bandit.decide("a", X, Draw()).p_show < 0.01
    shown_and(bandit, *[YES] * 4)
    assert bandit.decide("a", X, Draw()).reason is Reason.OPEN


@pytest.mark.parametrize("seed", range(20))
def test_what_is_wanted_one_time_in_ten_is_shown_eight_times_at_most(seed: int) -> None:
    assert live(GoalBandit(), Random(seed), 300, p_yes=0.1) <= 8
