"""What is remembered of things and of pairs of them: when each is active, and how often they met."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hunches.avoidance import Meetings, share_of_avoiders
from hunches.costates import BINS, BURST_S, DAY_S, HourShares, all_days, together_s
from hunches.roles import HOUSEHOLD, Role, linked, matters, prior_of
from hunches.shapley import shapley

GRACE_S: Final = 60.0
"""Shorter stays and overlaps count for nothing: the last one out closes the door behind them."""
_MAX_KIN: Final = 50  # pairs of a kind that are asked for the share of avoiders, each way

RoleOf = Callable[[str], Role | None]


@dataclass(slots=True)
class Met:
    """How often two things met (faded, as of a day), and how long they were together at most."""

    n: float = 0.0
    longest: float = 0.0
    day: float = 0.0


class Pairs:
    """Hour shares of each thing, and the meetings of those that have met.

    λ = E · (1 / L_a + 1 / L_b) is how often independent stays of mean length L (half an hour at least) would
    meet to be together for E seconds in all.

    Memory: 53 numbers and at most `partners` meetings for each thing, beside those with the household; one
    that has met more is judged only with those.
    """

    def __init__(self, *, partners: int, half_life_days: float) -> None:
        self.partners = partners
        self.half_life_days = half_life_days
        self.past: dict[str, HourShares] = {}
        self._met: dict[str, dict[str, Met]] = {}  # both ways, one record

    def __contains__(self, who: str) -> bool:
        return who in self.past

    def add(self, who: str, at: float) -> None:
        """Begin to watch a thing."""
        self.past[who] = HourShares(at, half_life_days=self.half_life_days)

    def met(self, one: str, other: str) -> Met | None:
        """Return the meetings of two things, if any."""
        return self._met.get(one, {}).get(other)

    def learn_meeting(self, one: str, other: str, lasted: float, at: float) -> None:
        """Count a meeting."""
        known = self.met(one, other)
        if known is None:
            if self._is_full(one, other):
                return
            known = Met(day=at / DAY_S)
            self._met.setdefault(one, {})[other] = self._met.setdefault(other, {})[one] = known
        known.n = 1.0 + self._faded(known, at)
        known.day, known.longest = at / DAY_S, max(known.longest, lasted)

    def _is_full(self, one: str, other: str) -> bool:
        """Whether a first meeting of two would go unnoticed."""
        if one in HOUSEHOLD or other in HOUSEHOLD:
            return False
        most = max(len(self._met.get(one, ())), len(self._met.get(other, ())))
        return most >= self.partners + len(HOUSEHOLD)

    def _faded(self, met: Met, at: float) -> float:
        return met.n * float(0.5 ** (max(0.0, at / DAY_S - met.day) / self.half_life_days))

    # -- what chance would do -----------------------------------------------------------------------

    def meetings(self, one: str, other: str, at: float, role_of: RoleOf) -> Meetings | None:
        """Return what is known of a pair, or None where it means nothing together or is nothing rare."""
        first, second = role_of(one), role_of(other)
        if first is None or second is None:
            return None
        if not matters(first, second) or (self.met(one, other) is None and self._is_full(one, other)):
            return None
        had = self._had(one, other, at)
        if had > self._at_most(one, other):
            return None
        if linked(first, second):
            return Meetings(
                self._expected(one, other, at, by_day=False), had, self._avoiders(first, second, at, role_of)
            )
        return Meetings(self._expected(one, other, at, by_day=True), had, prior_of(first, second))

    def _had(self, one: str, other: str, at: float) -> float:
        met = self.met(one, other)
        return self._faded(met, at) if met else 0.0

    def _expected(self, one: str, other: str, at: float, *, by_day: bool) -> float:
        a, b = self.past[one], self.past[other]
        days = min(a.watched_days(at), b.watched_days(at))
        return self._visits(a, b) * together_s(a.shares(at), b.shares(at), days, by_day=by_day)

    def _visits(self, a: HourShares, b: HourShares) -> float:
        return 1.0 / max(a.mean_s, BURST_S) + 1.0 / max(b.mean_s, BURST_S)

    def _at_most(self, one: str, other: str) -> float:
        """Return half of the most meetings that could be expected: with more had there is no conflict."""
        a, b = self.past[one], self.past[other]
        return 0.5 * self._visits(a, b) * min(a.total_s, b.total_s)

    def _avoiders(self, first: Role, second: Role, at: float, role_of: RoleOf) -> float:
        of: dict[str, list[str]] = {first.name: [], second.name: []}
        for who, past in self.past.items():
            role = role_of(who) if past.n > 0.0 else None
            if role is not None and role.name in of:
                of[role.name].append(who)
        kin = [
            (self._expected(one, other, at, by_day=False), self._had(one, other, at))
            for one in sorted(of[first.name])[:_MAX_KIN]
            for other in sorted(of[second.name])[:_MAX_KIN]
        ]
        return share_of_avoiders(kin, prior_of(first, second))

    def contributions(
        self, pair: tuple[str, str], seen: Meetings, at: float, role_of: RoleOf
    ) -> dict[str, float]:
        """Return how much of a pair's score comes from which circumstance."""
        roles = [role for who in pair if (role := role_of(who)) is not None]
        by_day = not linked(roles[0], roles[1])
        shares = {who: self.past[who].shares(at) for who in pair}
        usual = sum(p.share(at) for p in self.past.values()) / len(self.past)

        def expected(known: frozenset[str]) -> float:
            of = [shares[who] if who in known else [usual] * BINS for who in pair]
            if "hour" not in known:
                of = [[sum(all_days(s)) / 24.0] * BINS for s in of]
            return together_s(of[0], of[1], 1.0, by_day=by_day)

        everything = frozenset({"hour", *pair})
        meetings_a_second = seen.expected / max(1e-9, expected(everything))

        def value(known: frozenset[str]) -> float:
            if "together before" not in known:
                return 0.0  # nothing is odd as long as nobody knows that they never are
            return Meetings(meetings_a_second * expected(known), seen.had, seen.avoiders).score

        players = ("together before", "hour", *pair)
        return {k: round(v, 3) for k, v in shapley(players, value).items()}

    # -- keeping ------------------------------------------------------------------------------------

    def forget(self, who: str) -> None:
        """Drop a thing and its meetings."""
        self.past.pop(who, None)
        for other in self._met.pop(who, {}):
            self._met[other].pop(who, None)

    def rename(self, old: str, new: str) -> None:
        """Carry a thing over to its new id."""
        past, met = self.past[old], self._met.get(old, {})
        self.forget(new)
        self.forget(old)
        self.past[new] = past
        for other, known in met.items():
            if other != new:
                self._met.setdefault(new, {})[other] = self._met.setdefault(other, {})[new] = known

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        met = [[a, b, m.n, m.longest, m.day] for a, of in self._met.items() for b, m in of.items() if a < b]
        return {"past": {e: s.to_dict() for e, s in self.past.items()}, "met": sorted(met)}

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self.past, self._met = {}, {}
        for who, body in data["past"].items():
            self.add(who, 0.0)
            self.past[who].load(body)
        for a, b, *numbers in data["met"]:
            self._met.setdefault(a, {})[b] = self._met.setdefault(b, {})[a] = Met(*numbers)
