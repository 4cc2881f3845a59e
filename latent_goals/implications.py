"""Which associations are believed: one hypothesis a pair, a false discovery rate over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Self

from latent_goals.association import Counts, Tally, benjamini_hochberg, npmi
from latent_goals.goal import Evidence, Pattern
from latent_goals.occasions import ANY
from latent_goals.slots import Key, Pair, Pooled
from latent_goals.timelines import DAY_S

_CONTEXTS: Final = 8  # circumstances, beside all of them, that a pair is tried in


@dataclass(frozen=True, slots=True)
class Rules:
    """What an association needs to be believed, and to be kept."""

    fdr: float = 0.05
    most_p_shifted: float = 0.01
    least_probability: float = 2.0 / 3.0
    least_odds: float = 4.0  # of its following, as a multiple of those without the first action
    least_count: int = 5  # times that it followed
    least_days: int = 4  # on which it did
    kept_probability: float = 0.45
    kept_p: float = 0.05


@dataclass(frozen=True, slots=True)
class Edge:
    """An association that is believed."""

    first: Pattern
    follow: Pattern
    tally: Tally
    context: str
    background: float
    p: float
    q: float
    rooms: tuple[str, ...] = ()  # pooled
    except_rooms: tuple[str, ...] = ()

    @property
    def counts(self) -> Counts:
        """The counts in the circumstances in which it holds."""
        return self.tally.of[self.context]

    @property
    def probability(self) -> float:
        """How likely it follows in these circumstances."""
        return self.counts.probability(self.background)

    def evidence(self, windows: int) -> Evidence:
        """Return what a resident can check; `windows`: how many the home was active in."""
        counts, delays = self.counts, sorted(self.tally.delays)
        with_first, without = self.probability, counts.base(self.background)
        share = counts.n / max(windows, counts.n + 1)
        last = len(delays) - 1
        return Evidence(
            n=counts.n,
            k=counts.k,
            probability=round(with_first, 3),
            without=round(without, 4),
            controls=counts.controls,
            npmi=round(npmi(share * with_first, share, share * with_first + (1.0 - share) * without), 3),
            p=float(f"{self.p:.3g}"),
            q=float(f"{self.q:.3g}"),
            context=self.context,
            first_day=_date(self.tally.days[0]),
            last_day=_date(self.tally.days[-1]),
            days=len(self.tally.days),
            delay_s=(delays[last // 10], delays[last // 2], delays[last * 9 // 10]),
            rooms=self.rooms,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable form."""
        lists = {"rooms": list(self.rooms), "except_rooms": list(self.except_rooms)}
        return {
            "first": list(astuple(self.first)), "follow": list(astuple(self.follow)),
            "tally": self.tally.to_dict(), "context": self.context, "background": self.background,
            "p": self.p, "q": self.q, **lists,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        made = {
            "first": Pattern(*data["first"]), "follow": Pattern(*data["follow"]),
            "tally": Tally.from_dict(data["tally"]),
        }  # fmt: skip
        lists = {name: tuple(data[name]) for name in ("rooms", "except_rooms")}
        return cls(**{**data, **made, **lists})


@dataclass(frozen=True, slots=True)
class Candidate:
    """An association to be judged."""

    first: Pattern
    follow: Pattern
    tally: Tally
    background: float
    rooms: tuple[str, ...] = ()
    except_rooms: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """What it is, as text."""
        return self.first.key, self.follow.key


def believed(
    candidates: Iterable[Candidate], tests: int, rules: Rules, kept: Mapping[tuple[str, str], str]
) -> list[Edge]:
    """Return the associations that hold, the most certain first.

    A pair is tried in all circumstances together; where it isn't likely enough there, in the one of eight in
    which it is least likely a coincidence, and that p-value counts eight times. `tests` is how many pairs
    there are, with those that never came close. What was believed before (`kept`: in which circumstances)
    stays while it is anywhere near.
    """
    judged = [(c, *_hypothesis(c, rules)) for c in candidates]
    q_values = benjamini_hochberg([p for _, _, p in judged], tests)
    found = []
    for (c, context, p), q in zip(judged, q_values, strict=True):
        edge = Edge(c.first, c.follow, c.tally, context, c.background, p, q, c.rooms, c.except_rooms)
        if _holds(edge, rules):
            found.append(edge)
        elif (before := kept.get(c.key, "")) in c.tally.of:
            edge = replace(edge, context=before, p=c.tally.of[before].p_value())
            found += [edge] if _stays(edge, rules) else []
    return sorted(found, key=lambda e: (e.p, e.first.key, e.follow.key))


def _hypothesis(candidate: Candidate, rules: Rules) -> tuple[str, float]:
    counts, background = candidate.tally.all, candidate.background
    if counts.probability(background) >= rules.least_probability:
        return ANY, counts.p_value()
    tried = [
        (of.p_value(), context)
        for context, of in candidate.tally.of.items()
        if of.k >= rules.least_count and of.probability(background) >= rules.least_probability
    ]
    if not tried:
        return ANY, counts.p_value()
    p, context = min(tried)
    return context, min(1.0, p * _CONTEXTS)


def _holds(edge: Edge, rules: Rules) -> bool:
    return (
        edge.q <= rules.fdr
        and edge.counts.p_shifted() <= rules.most_p_shifted
        and edge.counts.k >= rules.least_count
        and len(edge.tally.days) >= rules.least_days
        and edge.probability >= rules.least_probability
        and _odds(edge.probability) >= rules.least_odds * _odds(edge.counts.base(edge.background))
    )


def _odds(probability: float) -> float:
    return probability / max(1e-9, 1.0 - probability)


def _stays(edge: Edge, rules: Rules) -> bool:
    return edge.probability >= rules.kept_probability and edge.p <= rules.kept_p


def in_rooms(
    tallies: Mapping[Pair, Tally],
    rooms: Mapping[Pair, str],
    general: Callable[[Key], Pattern],
    background: Callable[[Key], float],
    rules: Rules,
) -> list[Candidate]:
    """Return associations of kinds of things in the same room, pooled over rooms.

    In a room with several things of a kind the one that fits best speaks for it.
    """
    best: dict[tuple[Pattern, Pattern], dict[str, Pair]] = {}
    for pair, room in rooms.items():
        of = best.setdefault((general(pair[0]), general(pair[1])), {})
        if room not in of or _rate(tallies[pair]) > _rate(tallies[of[room]]):
            of[room] = pair
    found = []
    for (first, follow), of in best.items():
        pooled = Pooled({room: tallies[pair] for room, pair in of.items()})
        if pooled.generalises(rules.least_probability):
            share = sum(background(of[room][1]) for room in pooled.rooms) / len(pooled.rooms)
            names = tuple(sorted(pooled.rooms)), tuple(sorted(pooled.contradicting))
            found.append(Candidate(first, follow, pooled.tally, share, *names))
    return found


def _rate(tally: Tally) -> tuple[float, int]:
    return tally.all.k / max(1, tally.all.n), tally.all.n


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_S, UTC).date().isoformat()
