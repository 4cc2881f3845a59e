"""Whether to suggest anything at all now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import log
from typing import Final

from devices.context import Context
from latent_goals.association import Tally
from latent_goals.occasions import ANY

Cost = float | Callable[[Context], float]

_BACKING: Final = 4.0  # occasions that the probability of all circumstances is worth in one of them


class Trigger:
    """Says how likely a suggestion would be accepted, and from when on it is worth an interruption.

    The probability is that the resident would do it himself: k of n occasions, shrunk to what happens anyway
    (`Counts.probability`). Each of the circumstances of the moment (workday or weekend, quarter of the day,
    dark or not) has its own, shrunk to that of all of them, p₁, with m = 4:

        p_c = (k_c + m · p₁) / (n_c + m)

    and the one furthest from p₁ (in log odds) counts: circumstances overlap, so to multiply them would count
    the same evidence twice.

    An accepted suggestion is worth 1, a wrong one costs `annoyance`, any one costs the `interruption`, which
    may depend on the moment. It is worth it where p - annoyance · (1 - p) - interruption >= 0, that is from

        p >= (annoyance + interruption) / (annoyance + 1)

    on: from .67 with the default, two right for one wrong at the very least.

    Parameters
    ----------
    annoyance: what a wrong suggestion costs, in accepted ones.
    interruption: what any suggestion costs, in the same unit: a number, or a function of the context.

    Complexity: O(circumstances), of which there are four at a time.

    >>> round(Trigger().threshold_at(0.0), 2), round(Trigger(annoyance=3.0).threshold_at(0.2), 2)
    (0.67, 0.8)
    """

    def __init__(self, *, annoyance: float = 2.0, interruption: Cost = 0.0) -> None:
        if annoyance < 0.0:
            raise ValueError(f"annoyance is a cost, not {annoyance}")
        self.annoyance = annoyance
        self.interruption = interruption

    def threshold(self, context: Context) -> float:
        """Return the least probability that is worth saying now."""
        cost = self.interruption(context) if callable(self.interruption) else self.interruption
        return self.threshold_at(cost)

    def threshold_at(self, cost: float) -> float:
        """Return the least probability at a cost of interruption."""
        return min(1.0, max(0.0, (self.annoyance + cost) / (self.annoyance + 1.0)))

    def probability(self, tally: Tally, background: float, circumstances: Iterable[str]) -> float:
        """Return how likely something follows in these circumstances."""
        usual = tally.all.probability(background)
        found = [usual]
        for name in circumstances:
            counts = tally.of.get(name)
            if counts is not None and name != ANY:
                found.append((counts.k + _BACKING * usual) / (counts.n + _BACKING))
        return max(found, key=lambda p: abs(_logit(p) - _logit(usual)))


def _logit(p: float) -> float:
    p = min(1.0 - 1e-6, max(1e-6, p))
    return log(p / (1.0 - p))
