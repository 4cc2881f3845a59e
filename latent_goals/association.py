"""Whether one action implies another: more than the hour, the day and all other traffic explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from math import exp, lgamma, log
from typing import Any, Final

from latent_goals.occasions import ANY, APART, QUARTER_S, Occasion, Occasions
from latent_goals.timelines import DAY_S, Happened, Timeline

_AT_ONCE_S: Final = 1  # a group and its members, a scene
_LEAST_COUNT: Final = 3
_LEAST_RATE: Final = 0.4
_PRIOR: Final = 1.0  # windows that the background of all traffic is worth


@dataclass(slots=True)
class Counts:
    """How often something followed a first action, and how often it would have anyway.

    With n occasions, k followed, and c the share of the compared windows in which it came anyway, the rate
    without the first action is shrunk to the background f of all traffic, that with it to the rate without:

        p₀ = (m · c + f) / (m + 1)          p₁ = (k + p₀) / (n + 1)

    `p_value` is the probability of k or more of n where the first action means nothing. How often it would
    come then is as uncertain as a uniform prior and the compared windows leave it, so that is the tail of a
    beta-binomial distribution with parameters 1 + m · c and 1 + m · (1 - c). What happens within a quarter of
    a day isn't independent: m is the number of quarters that those windows lie in, and k of n are scaled down
    to the quarters that the occasions lie in.

    `p_shifted` is the same for the days on which the first action didn't happen within an hour (four
    horizons) of the time at all, with the share of them on which the other came within that hour. Dusk, a
    late supper, somebody sleeping in: what brings both about shifts from day to day, so that days without the
    first action at the time are days without the other, too. But when the first is left out for once, the
    other still comes.

    >>> counts = Counts(n=12, k=11, quarters=12, expected=1.2, compared=12, controls=30)
    >>> counts.shifted, counts.without, counts.clear = 9.6, 12, 8
    >>> round(counts.base(0.05), 2), round(counts.probability(0.05), 2)
    (0.1, 0.85)
    >>> counts.p_value() < 1e-6, counts.p_shifted() > 0.1
    (True, True)
    """

    n: int = 0
    k: int = 0
    quarters: int = 0  # of days, in which the occasions lie
    expected: float = 0.0  # of the compared occasions, on how many it would have come anyway
    compared: int = 0  # occasions that have anything to be compared with
    controls: int = 0  # quarters of other days in which that lies
    shifted: float = 0.0  # of those with days entirely without the first action: on how many it came around
    without: int = 0  # those occasions
    clear: int = 0  # quarters in which those days lie

    def add(self, other: Counts) -> None:
        """Pool with other counts."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def base(self, background: float) -> float:
        """Return p₀: how likely it comes at these hours without the first action."""
        rate = self.expected / self.compared if self.compared else background
        return (self.controls * rate + _PRIOR * background) / (self.controls + _PRIOR)

    def probability(self, background: float) -> float:
        """Return p₁: how likely it follows."""
        return (self.k + _PRIOR * self.base(background)) / (self.n + _PRIOR)

    def p_value(self) -> float:
        """Return the probability of as many by coincidence."""
        return self._tail(self.expected, self.compared, self.controls)

    def p_shifted(self) -> float:
        """Return the probability of as many where something else brings both about around the time."""
        return self._tail(self.shifted, self.without, self.clear)

    def _tail(self, came: float, of: int, quarters: int) -> float:
        if not of:
            return 1.0
        k, came = self.k * self.quarters // max(1, self.n), quarters * came / of
        return beta_binomial_tail(k, self.quarters, 1.0 + came, 1.0 + quarters - came)


@dataclass(slots=True)
class Tally:
    """The counts of a first action and a follow-up, in all and by circumstances."""

    of: dict[str, Counts]
    delays: list[int]  # seconds, of those that followed
    days: list[int]  # on which it followed, in order
    values: list[tuple[Any, Any]]  # what the first thing was set to, and what the other

    @property
    def all(self) -> Counts:
        """The counts in all circumstances."""
        return self.of[ANY]

    @property
    def is_close(self) -> bool:
        """Whether it follows often enough, in any circumstances, to be worth a closer look."""
        return any(of.k >= _LEAST_COUNT and of.k >= _LEAST_RATE * of.n for of in self.of.values())

    def add(self, other: Tally) -> None:
        """Pool with the tally of another room."""
        for context, counts in other.of.items():
            self.of.setdefault(context, Counts()).add(counts)
        self.delays += other.delays
        self.days = sorted({*self.days, *other.days})
        self.values += other.values

    def copy(self) -> Tally:
        """Return one that shares nothing with this one."""
        of = {context: replace(counts) for context, counts in self.of.items()}
        return Tally(of, list(self.delays), list(self.days), list(self.values))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable form."""
        of = {context: list(astuple(counts)) for context, counts in self.of.items()}
        return {"of": of, "delays": self.delays, "days": self.days, "values": [list(v) for v in self.values]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Tally:
        """Rebuild from `to_dict`."""
        of = {context: Counts(*counts) for context, counts in data["of"].items()}
        return cls(of, list(data["delays"]), list(data["days"]), [(a, f) for a, f in data["values"]])


def tally(of: Occasions, follow: Timeline, verb: str) -> Tally:
    """Count how often a thing was told something within the horizon, by the resident.

    Left out are moments when it was so already, and those when something else than the resident did it.
    What didn't come close isn't compared. O(occasions · controls · log actions).
    """
    found = Tally({ANY: Counts()}, [], [], [])
    quarters: dict[str, set[int]] = {}
    counted: list[Occasion] = []
    for case in of.cases:
        outcome = _outcome(follow, verb, case.at, of.horizon_s)
        if outcome is None:
            continue
        counted.append(case)
        for context in case.contexts:
            counts = found.of.setdefault(context, Counts())
            counts.n += 1
            counts.k += outcome is not _NOT
            quarters.setdefault(context, set()).add(case.at // QUARTER_S)
        if isinstance(outcome, Happened):
            found.delays.append(outcome.at - case.at)
            found.days.append(case.at // DAY_S)
            found.values.append((case.value, outcome.value))
    for context, lie_in in quarters.items():
        found.of[context].quarters = len(lie_in)
    found.days = sorted(set(found.days))
    if found.is_close:
        _compare(found, counted, of, follow, verb)
    return found


def _compare(found: Tally, counted: list[Occasion], of: Occasions, follow: Timeline, verb: str) -> None:
    """Count how often it came at the times that the occasions are compared with, and around them."""
    at_time: dict[str, set[int]] = {}
    around: dict[str, set[int]] = {}
    for case in counted:
        outcomes = {at: _outcome(follow, verb, at, of.horizon_s) for at in of.controls(case.at)}
        came = {at: isinstance(c, Happened) for at, c in outcomes.items() if c is not None}
        shifted = _shifted(case, of, follow, verb)
        for context in case.contexts:
            counts = found.of[context]
            if came:
                counts.expected += sum(came.values()) / len(came)
                counts.compared += 1
                at_time.setdefault(context, set()).update(at // QUARTER_S for at in came)
            if shifted:
                counts.shifted += sum(shifted.values()) / len(shifted)
                counts.without += 1
                around.setdefault(context, set()).update(at // QUARTER_S for at in shifted)
    for context, counts in found.of.items():
        counts.controls = len(at_time.get(context, ()))
        counts.clear = len(around.get(context, ()))


def _shifted(case: Occasion, of: Occasions, follow: Timeline, verb: str) -> dict[int, bool]:
    """Return whether it came around the time on days without the first action; when it could have."""
    found, reach = {}, APART * of.horizon_s
    for at in of.controls(case.at, APART):
        came = any(h.verb == verb and h.by_resident for h in follow.between(at - reach, at + reach))
        if came or _outcome(follow, verb, at, of.horizon_s) is not None:
            found[at] = came
    return found


_NOT: Final = object()


def _outcome(follow: Timeline, verb: str, at: int, horizon_s: int) -> Happened | object | None:
    """Return what followed; None: it could not, or not by the resident: nobody does two things at once."""
    before = follow.verb_at(at + 1)
    if before is None or before == verb:
        return None
    happened = follow.first(verb, at, at + horizon_s)
    if happened is None:
        return _NOT
    return happened if happened.by_resident and happened.at > at + _AT_ONCE_S else None


def npmi(joint: float, first: float, follow: float) -> float:
    """Return the normalised pointwise mutual information, -1 to 1, of two kinds of events.

        log(p(a, f) / (p(a) · p(f))) / -log p(a, f)

    >>> npmi(0.1, 0.1, 0.1), npmi(0.02, 0.1, 0.1) > 0.0, npmi(0.0, 0.1, 0.1)
    (1.0, True, -1.0)

    References
    ----------
    Bouma, G. (2009). Normalized (pointwise) mutual information in collocation extraction. GSCL.
    """
    if joint <= 0.0:
        return -1.0
    if joint >= 1.0:
        return 1.0
    return max(-1.0, min(1.0, log(joint / (first * follow)) / -log(joint)))


def beta_binomial_tail(k: int, n: int, a: float, b: float) -> float:
    """Return P(K >= k) of n trials whose probability has a Beta(a, b) distribution. O(n).

    >>> beta_binomial_tail(0, 5, 1.0, 1.0), round(beta_binomial_tail(5, 5, 1.0, 1.0), 4)
    (1.0, 0.1667)
    """
    if k <= 0:
        return 1.0
    constant = lgamma(a + b) - lgamma(a) - lgamma(b) - lgamma(a + b + n) + lgamma(n + 1)
    return min(
        1.0,
        sum(
            exp(constant + lgamma(a + i) + lgamma(b + n - i) - lgamma(i + 1) - lgamma(n - i + 1))
            for i in range(k, n + 1)
        ),
    )


def benjamini_hochberg(p_values: Sequence[float], tests: int = 0) -> list[float]:
    """Return the q-value of each: the share of false discoveries among those at least as good.

    `tests`: how many were made, where the hopeless ones aren't listed.

    >>> [round(q, 3) for q in benjamini_hochberg([0.01, 0.04, 0.03, 0.5])]
    [0.04, 0.053, 0.053, 0.5]

    References
    ----------
    Benjamini, Y. and Hochberg, Y. (1995). Controlling the false discovery rate. JRSS B 57.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__, reverse=True)
    q_values, least = [1.0] * len(p_values), 1.0
    tests = max(tests, len(p_values))
    for rank, index in enumerate(order):
        least = min(least, p_values[index] * tests / (len(p_values) - rank))
        q_values[index] = least
    return q_values
