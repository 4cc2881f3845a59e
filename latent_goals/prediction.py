"""A prediction of the next action, and what it was made from."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from latent_goals.circumstances import View
from latent_goals.pool import Ballot
from latent_goals.weighing import Column


@dataclass(frozen=True, slots=True)
class Prediction:
    """A distribution over the known actions, and what it was made from."""

    p: dict[Hashable, float]
    base: dict[Hashable, float]
    odds: dict[Hashable, float]  # that what is on is, given the action
    ballots: list[Ballot]
    columns: list[Column]
    views: list[View]
    features: list[Hashable]
    scores: dict[Hashable, float]  # by the regression on its own
    likeliest: tuple[Hashable, float, float] | None  # with its probability and the next one's; None of one


def likeliest(p: Mapping[Hashable, float]) -> tuple[Hashable, float, float] | None:
    """Return the likeliest of two actions or more, its probability, and the next one's.

    >>> likeliest({"tea": 0.2, "coffee": 0.7, "milk": 0.1})
    ('coffee', 0.7, 0.2)
    """
    if len(p) < 2:
        return None
    values = list(p.values())
    sure = max(values)
    at = values.index(sure)
    values[at] = -1.0
    return list(p)[at], sure, max(values)
