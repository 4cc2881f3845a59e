"""What other homes lend, and what they give away."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from devices.context import Calendar
from devices.events import Origin, StateChange, utc
from latent_goals.association import Counts
from latent_goals.goals import Goals, rates_of
from latent_goals.prior import UNIVERSE, Prior, build_prior
from latent_goals.privacy import laplace
from tests.latent_goals.lives import Life

HOMES = [{"light=dim": 0.2, "switch=on": 0.1}, {"light=dim": 0.4}, {"light=dim": 0.3, "light.odd=on": 0.9}]


def test_rates_are_means_over_the_homes_that_have_it() -> None:
    prior = build_prior(HOMES, None, least_homes=2)
    assert prior.follow_ups == {"light=dim": 0.3}  # one home alone speaks for nobody
    assert (prior.homes, prior.epsilon) == (3.0, None)


def test_a_class_that_is_not_known_goes_by_its_domain() -> None:
    prior = Prior({"cover=closed": 0.1, "cover.garage=closed": 0.2})
    rates = [
        prior.rate("cover.garage", "closed"),
        prior.rate("cover.awning", "closed"),
        prior.rate("fan", "on"),
    ]
    assert rates == [0.2, 0.1, None]


def test_a_file_comes_back_as_it_was() -> None:
    prior = build_prior(HOMES, None, least_homes=1)
    assert Prior.from_dict(json.loads(json.dumps(prior.to_dict()))) == prior


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"format": "inkling-goal-prior/2", "follow_ups": {}, "homes": 1}, "not a goal prior"),
        ({"format": "inkling-goal-prior/1", "follow_ups": {"light=on": 1.5}, "homes": 1}, "from 0 to 1"),
    ],
)
def test_other_files_are_refused(body: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Prior.from_dict(body)


def test_a_recording_gives_rates() -> None:
    at = utc("2024-01-08T08:00:00+00:00")
    changes = [StateChange("light.desk", "off", at, at)]
    for n in range(20):  # every half hour on or off: ten of twenty active quarter hours switch it on
        then = at + timedelta(minutes=30 * (n + 1))
        state = "off" if n % 2 else "on"
        changes.append(StateChange("light.desk", state, then, then, origin=Origin.PHYSICAL))
    assert rates_of(changes, Calendar(ZoneInfo("UTC"))) == {"light=on": 0.5, "light=off": 0.5}


def test_other_homes_move_the_background_until_the_own_is_known() -> None:
    counts = Counts(n=0, k=0)
    assert counts.probability(0.3) == pytest.approx(0.3)
    life = Life(Goals(prior=Prior({"light=on": 0.3}))).begin(("light.desk",))
    assert life.goals._establishing.background(("light.desk", "on"), life.home) == pytest.approx(
        96 * 0.3 / 97
    )


class Recorded:
    """A source of noise that adds none, and notes what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, float]] = []

    def __call__(self, values: Sequence[float], scale: float) -> list[float]:
        self.calls.append((len(values), scale))
        return list(values)


def test_everything_that_is_published_gets_the_noise_that_it_needs() -> None:
    noise = Recorded()
    prior = build_prior(HOMES * 200, 2.0, noise=noise, most=4)
    # counts and the number of homes: sensitivity 4 + 1 at half of epsilon; sums: 4
    assert sorted(noise.calls) == sorted([(len(UNIVERSE) + 1, 5.0), (len(UNIVERSE), 4.0)])
    assert prior.epsilon == 2.0
    assert prior.rate("light", "dim") == pytest.approx(0.3)


def test_a_home_counts_for_so_much_at_most() -> None:
    loud = dict.fromkeys(UNIVERSE, 5.0)
    prior = build_prior([loud], None, most=4, least_homes=1)
    assert list(prior.follow_ups.values()) == [1.0] * 4


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan")])
def test_a_privacy_loss_must_be_positive(epsilon: float) -> None:
    with pytest.raises(ValueError, match="privacy loss"):
        build_prior(HOMES, epsilon, noise=Recorded())


def test_privacy_needs_a_source_of_noise() -> None:
    with pytest.raises(ValueError, match="noise"):
        build_prior(HOMES, 1.0)


def test_opendp_noise_has_the_scale_that_was_asked_for() -> None:
    pytest.importorskip("opendp")
    drawn = laplace([0.0] * 4000, 3.0)
    assert 2.5 < sum(abs(x) for x in drawn) / len(drawn) < 3.5  # the mean of |Laplace(3)| is 3
