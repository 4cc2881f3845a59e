"""States that hardly ever go together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from heapq import heapify, heappop, heappush
from math import log10
from typing import Any, ClassVar, Final

from devices.context import Context, Occupancy
from devices.events import NOT_A_STATE, Origin, StateChange, Tick
from devices.state import HomeState
from devices.wording import clip, duration, name_of
from hunches.avoidance import Meetings
from hunches.costates import DAY_S
from hunches.detector import Clear, Finding, Hunch
from hunches.pairs import GRACE_S, Pairs
from hunches.roles import HOUSEHOLD, Role, matters, role_of

_AGENT: Final = Origin.AGENT  # looked up once: asked at every change


@dataclass(slots=True)
class _Stay:
    """A state that holds now."""

    state: str
    since: float  # epoch seconds


@dataclass(frozen=True, slots=True)
class _Found:
    """Two that are together and avoid each other; the first one is named."""

    entity_id: str
    other: str
    meetings: Meetings


class Conflict:
    """Notices two states that go on together although they are hardly ever together.

    Chance alone would bring a and b together for E = Σ_h T_h · a_h · b_h seconds, where a_h is the share of
    hour h in which a holds: it is no conflict that one is a thing of the night and the other of the day.
    How many meetings λ that makes (`Pairs`) and how many N there were says whether the two avoid each other
    (`Meetings`), and so the probability p that a meeting which chance makes comes about. Where that is at
    most `p_max` and they do go on together, it is a hunch.

    What is known of devices goes in as the prior share π of pairs that avoid each other (`roles`): high for
    nobody home or everybody asleep and things that are on or open, even for heating and openings, and low
    for any other two things, for which hours of working days and of weekends are kept apart as well. What
    the home shows of all pairs of a kind moves π: a careful household's lamps are off when they leave.

    Memory: 53 numbers and at most `partners` notes for each entity. A change costs O(what holds now), a tick
    O(1); a pair is judged when it has lasted for `patience`, which takes O(entities of its kinds).

    Parameters
    ----------
    p_max: largest probability that is worth a hunch.
    min_stays: stays that both need.
    min_days: days for which both must have been known.
    patience_min: minutes that they must be together, and 1.25 times as long as ever.
    partners: entities that an entity is remembered to have been together with.
    half_life_days: time in which what was learned loses half its weight.
    lasts_h: hours that a hunch stays worth saying.

    >>> Conflict().name
    'conflict'

    References
    ----------
    See `Meetings`.
    """

    name: ClassVar[str] = "conflict"

    def __init__(
        self,
        *,
        p_max: float = 0.05,
        min_stays: float = 8.0,
        min_days: float = 5.0,
        patience_min: float = 10.0,
        partners: int = 64,
        half_life_days: float = 60.0,
        lasts_h: float = 6.0,
    ) -> None:
        self.p_max = p_max
        self.min_stays = min_stays
        self.min_days = min_days
        self.patience_s = patience_min * 60.0
        self.lasts = timedelta(hours=lasts_h)
        self._pairs = Pairs(partners=partners, half_life_days=half_life_days)
        self._now: dict[str, _Stay] = {}
        self._heap: list[tuple[float, str]] = []  # when who has been in its state for long enough
        self._raised: dict[str, str] = {}  # entity -> the other one
        self._household = Occupancy.HOME

    # -- scoring ----------------------------------------------------------------------------------

    def score_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> Iterable[Finding]:
        """Return the pairs that have lasted for long enough by now, and those that are over."""
        out: list[Finding] = []
        if self._raised:
            out += [Clear(self.name, e, why) for e, why in self._over(home, context)]
        if isinstance(event, Tick) and self._heap and self._heap[0][0] <= event.at.timestamp():
            at = event.at.timestamp()
            out += [self._hunch(f, at, home, context) for f in self._found(at, home, context)]
        return out

    def _over(self, home: HomeState, context: Context) -> Iterator[tuple[str, str]]:
        for entity_id, other in self._raised.items():
            for one in (entity_id, other):
                if not self._holds(one, home, context):
                    yield entity_id, "is on its own again" if one == other else "is back to normal"
                    break

    def _holds(self, who: str, home: HomeState, context: Context) -> bool:
        if who in HOUSEHOLD:
            return context.occupancy.value == who
        known, role = home.get(who), _role(who, home)
        if known is None or role is None:
            return False
        return known.state in role.active or known.state in NOT_A_STATE

    def _found(self, at: float, home: HomeState, context: Context) -> list[_Found]:
        """Return what is due, the oddest partner of each."""
        found: dict[str, _Found] = {}
        for one in sorted(who for when, who in self._heap if when <= at):
            for other, meetings, due in self._conflicts(one, at, home, context):
                named = self._to_name(one, other, home)
                best = found.get(named)
                if due <= at and named not in self._raised and (best is None or meetings.p < best.meetings.p):
                    found[named] = _Found(named, one if named == other else other, meetings)
        return list(found.values())

    def _conflicts(
        self, one: str, at: float, home: HomeState, context: Context
    ) -> Iterator[tuple[str, Meetings, float]]:
        """Yield what one conflicts with, and from when on that is worth saying."""
        stay = self._now.get(one)
        if stay is None or not self._holds(one, home, context):
            return
        for other, theirs in self._now.items():
            began = max(stay.since, theirs.since)
            if other == one or at - began < self.patience_s or not self._holds(other, home, context):
                continue
            meetings = self._judge(one, other, at, home)
            if meetings is not None and meetings.p <= self.p_max:
                met = self._pairs.met(one, other)
                yield other, meetings, began + max(self.patience_s, 1.25 * met.longest if met else 0.0)

    def _to_name(self, one: str, other: str, home: HomeState) -> str:
        """Return the one to put right: never the household or the heating, else the one that joined last."""
        last, first = sorted((one, other), key=lambda who: (-self._now[who].since, who))
        if last in HOUSEHOLD or first in HOUSEHOLD:
            return first if last in HOUSEHOLD else last
        later, before = _role(last, home), _role(first, home)
        if later is None or before is None or "climate" in {later.name, before.name}:
            return first if later and later.name == "climate" else last
        return first if before.rest and not later.rest else last

    def _judge(self, one: str, other: str, at: float, home: HomeState) -> Meetings | None:
        for who in (one, other):
            past = self._pairs.past.get(who)
            if past is None or past.n < self.min_stays or past.watched_days(at) < self.min_days:
                return None
        return self._pairs.meetings(one, other, at, lambda who: _role(who, home))

    # -- the finding --------------------------------------------------------------------------------

    def _hunch(self, found: _Found, at: float, home: HomeState, context: Context) -> Hunch:
        entity_id, other, seen = found.entity_id, found.other, found.meetings
        stay, role = self._now[entity_id], _role(entity_id, home)
        began = max(stay.since, self._now[other].since)
        words = role.words if role else stay.state
        both = [self._pairs.past[e] for e in (entity_id, other)]
        days = round((at - max(p.first for p in both)) / DAY_S)
        since = datetime.fromtimestamp(began, context.local.tzinfo)
        short, lasted = f"{words} while {_words(other, home)}", f"for {duration(at - began)}"
        return Hunch(
            detector=self.name,
            entity_id=entity_id,
            context_key=f"{stay.state}|{other}",
            score=seen.score,
            threshold=-log10(self.p_max),
            title=clip(f"{name_of(entity_id, home)} has been {short} {lasted}; {_comparison(seen, days)}."),
            evidence={
                "with": other,
                "together_since": since.isoformat(timespec="seconds"),
                "together_s": round(at - began),
                "episodes": round(seen.had),
                "episodes_by_chance": round(seen.expected, 1),
                "days": days,
                "stays": [round(p.n) for p in both],
                "shares": [round(p.share(at), 4) for p in both],
                "avoiders": round(seen.avoiders, 3),
                "p": float(f"{seen.p:.3g}"),
                "p_max": self.p_max,
                "contributions": self._pairs.contributions(
                    (entity_id, other), seen, at, lambda who: _role(who, home)
                ),
            },
            raised_for=stay.state,
            abnormal_since=since.astimezone(UTC),
            lasts=self.lasts,
            remedy=role.rest if role else None,
            short=short,
            group=other if other in HOUSEHOLD else "",
            clears_itself=True,
        )

    # -- learning -----------------------------------------------------------------------------------

    def learn_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> None:
        """Follow who is in which state, and learn the stay that a change ends."""
        if isinstance(event, Tick):
            at = event.at.timestamp()
            if context.occupancy is not self._household or "away" not in self._pairs:
                self._follow_household(at, home, context)
            if self._heap and self._heap[0][0] <= at:
                self._advance(at, home, context)
        elif event.new not in NOT_A_STATE and (role := _role(event.entity_id, home)) is not None:
            self._follow(event, role, home, context)
        if self._raised:
            for entity_id, _ in list(self._over(home, context)):
                del self._raised[entity_id]

    def _advance(self, at: float, home: HomeState, context: Context) -> None:
        for found in self._found(at, home, context):
            self._raised[found.entity_id] = found.other
        while self._heap and self._heap[0][0] <= at:
            _, one = heappop(self._heap)
            later = [due for _, _, due in self._conflicts(one, at, home, context) if due > at]
            if later:
                heappush(self._heap, (min(later), one))

    def _follow_household(self, at: float, home: HomeState, context: Context) -> None:
        for who in HOUSEHOLD:
            if who not in self._pairs:
                self._pairs.add(who, at)
        stay = self._end(self._household.value)
        if stay is not None:
            self._learn(self._household.value, at - stay.since, at, home, context)
        self._household = context.occupancy
        if self._household.value in HOUSEHOLD:
            self._begin(self._household.value, self._household.value, at)

    def _follow(self, change: StateChange, role: Role, home: HomeState, context: Context) -> None:
        entity_id, at = change.entity_id, change.changed_at.timestamp()
        if entity_id not in self._pairs:
            self._pairs.add(entity_id, at)
        if change.new in role.active:
            if entity_id in self._now:
                self._now[entity_id].state = change.new
            else:
                self._begin(entity_id, change.new, at)
            return
        stay = self._end(entity_id)
        if stay is not None and change.origin is not _AGENT and change.trains:
            self._learn(entity_id, at - stay.since, at, home, context)

    def _begin(self, who: str, state: str, at: float) -> None:
        self._now[who] = _Stay(state, at)
        heappush(self._heap, (at + self.patience_s, who))

    def _end(self, who: str) -> _Stay | None:
        stay = self._now.pop(who, None)
        if stay is not None:
            self._heap = [x for x in self._heap if x[1] != who]
            heapify(self._heap)
        return stay

    def _learn(self, who: str, lasted: float, at: float, home: HomeState, context: Context) -> None:
        """Learn a stay that ends, and with what else it was together."""
        role = _role(who, home)
        if lasted < GRACE_S or role is None:
            return
        offset = context.local.utcoffset()
        local = at + (offset.total_seconds() if offset else 0.0)
        self._pairs.past[who].learn_one(local - lasted, local)
        for other, theirs in self._now.items():
            overlap, against = min(lasted, at - theirs.since), _role(other, home)
            if overlap >= GRACE_S and against is not None and matters(role, against):
                self._pairs.learn_meeting(who, other, overlap, at)

    # -- keeping ------------------------------------------------------------------------------------

    def forget(self, entity_id: str) -> None:
        """Drop all that was learned about an entity."""
        self._pairs.forget(entity_id)
        self._now.pop(entity_id, None)
        self._heap = [x for x in self._heap if x[1] != entity_id]
        heapify(self._heap)
        self._raised = {e: o for e, o in self._raised.items() if entity_id not in {e, o}}

    def rename(self, old: str, new: str) -> None:
        """Carry what was learned over to an entity's new id."""
        if old == new or old not in self._pairs:
            return
        stay = self._now.get(old)
        heap = [(when, new if who == old else who) for when, who in self._heap if who != new]
        raised = {new if e == old else e: new if o == old else o for e, o in self._raised.items()}
        self._pairs.rename(old, new)
        self._now = {e: s for e, s in self._now.items() if e not in {old, new}}
        self._heap, self._raised = heap, raised
        heapify(self._heap)
        if stay is not None:
            self._now[new] = stay

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "pairs": self._pairs.to_dict(),
            "now": {e: [s.state, s.since] for e, s in self._now.items()},
            "queue": [list(x) for x in sorted(self._heap)],
            "raised": self._raised,
            "household": self._household.value,
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._pairs.load(data["pairs"])
        self._now = {e: _Stay(*s) for e, s in data["now"].items()}
        self._heap = [(when, who) for when, who in data["queue"]]
        self._raised = dict(data["raised"])
        self._household = Occupancy(data["household"])


def _role(who: str, home: HomeState) -> Role | None:
    return HOUSEHOLD[who] if who in HOUSEHOLD else _role_of(who, home.device_class(who))


@lru_cache(maxsize=4096)
def _role_of(entity_id: str, device_class: str | None) -> Role | None:
    return role_of(entity_id.partition(".")[0], device_class)


def _words(who: str, home: HomeState) -> str:
    role = _role(who, home)
    if role is None or who in HOUSEHOLD:
        return role.words if role else who
    return f"{name_of(who, home)} is {role.words}"


def _comparison(seen: Meetings, days: int) -> str:
    had = round(seen.had)
    often = "never happened" if had == 0 else "happened once" if had == 1 else f"happened {had} times"
    by_chance = f", while chance would make it {round(seen.expected)} times" if seen.expected >= 1.5 else ""
    return f"in {days} days that {often}{by_chance}"
