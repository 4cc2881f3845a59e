"""Left on, left open, occupied too long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from heapq import heapify, heappop, heappush
from math import inf, log10
from typing import Any, ClassVar, Final

from devices.context import Context, Daypart, Occupancy
from devices.events import NOT_A_STATE, Origin, StateChange, Tick
from devices.state import HomeState
from devices.wording import clip, duration, name_of
from hunches.detector import Hunch
from hunches.priors import LEAST_PATIENCE_S, Kind, alarm_of, kind_of
from hunches.stays import DAY_S, Stays, share_tails

_NEVER_S: Final = 400 * DAY_S
_RESOLUTION_S: Final = 30.0  # of the due time; a tick is a minute
_ALARM_P: Final = 0.001  # that an alarm of which little is known means nothing
_AGENT: Final = Origin.AGENT  # looked up once: asked at every change


@dataclass(slots=True)
class _Stay:
    """An entity that is in an active state now."""

    state: str
    entered: float  # epoch seconds
    known_since: float  # later than `entered` where the device was unreachable in between
    where: str  # context at entry


class Dwell:
    """Notices a state that is held longer than it ever is in these circumstances.

    The time in an active state (on, open, unlocked, playing, occupied) has a survival function p(d) for
    each entity, daypart of entry, kind of day and occupancy (`Stays`, `Survival`).

    Homes differ in how often a stay is stretched by nothing but a forgotten drawer or a sensor that sticks.
    So what this detector would have got wrong is counted, for the entity (c of n stays) and for the home
    (C of N), and added to the tail:

        ε = (c + a · (C + 1) / (N + N₀)) / (n + a)        score = -log10(p(d) + ε)

    Ten stays don't tell how heavy their tail is; others of their class in the home do (`share_tails`).

    A hunch is raised when p + ε <= `p_max`, the stay outlasts the patience of its `Kind` and, by `margin`,
    the longest so far but for a stray or two (`Stays`), and there are at least `min_stays`. It is solved
    for when that will be, by a heap that holds each entity at most once.

    An alarm (`alarm_of`: water, smoke, gas …) is judged from its first event on, after a minute: until it has
    been on `alarm_stays` times, by the prior of its class, p = 0.001. Then its own past counts as for
    everything else: a sensor under a dripping plant becomes quiet.

    Memory: for each entity at most 29 histograms of at most 89 bins, and one heap entry. A change costs
    O(1), once a day O(entities), a tick O(1), and O(entities) when something is due.

    Parameters
    ----------
    p_max: largest tail probability that is worth a hunch.
    min_stays: stays that an entity needs before it is judged.
    backing: stays that a coarser context is worth in a finer one.
    entity_trust: stays that an entity needs to be trusted beyond its home (a).
    home_trust: stays that a home needs to be trusted beyond the average home (N₀).
    class_weight: stays that the average home is worth in the tail of a class (b).
    margin: how many times the longest stay must be exceeded.
    alarm_stays: times on (faded weight) from which an alarm's own past counts.
    patience: factor on the patience of every kind; smaller speaks sooner.
    half_life_days: time in which what was learned loses half its weight.
    lasts_h: hours that a hunch stays worth saying.

    >>> from devices.context import Occupancy
    >>> from devices.events import utc
    >>> t = utc("2024-03-01T08:00:00+00:00")
    >>> here, home, dwell = Context(t, t, Occupancy.HOME, True), HomeState(), Dwell()
    >>> for i in range(80):  # a light that is on for two minutes, every five
    ...     at, state = t + timedelta(minutes=5 * (i // 2) + 2 * (i % 2)), ("on", "off")[i % 2]
    ...     dwell.learn_one(home.apply(StateChange("light.hall", state, at, at)), home, here)
    >>> at += timedelta(minutes=9)
    >>> dwell.learn_one(home.apply(StateChange("light.hall", "on", at, at)), home, here)
    >>> list(dwell.score_one(Tick(at + timedelta(minutes=30)), home, here))
    []
    >>> [h.title for h in dwell.score_one(Tick(at + timedelta(minutes=50)), home, here)]
    ['Hall has been on for 50 min; in 40 times it was never on longer than 2 min.']

    References
    ----------
    Klein, J. P. and Moeschberger, M. L. (2003). Survival Analysis. Springer.
    """

    name: ClassVar[str] = "dwell"

    def __init__(  # noqa: PLR0913 - one model's parameters, all by keyword
        self,
        *,
        p_max: float = 0.005,
        min_stays: int = 8,
        backing: float = 20.0,
        entity_trust: float = 15.0,
        home_trust: float = 1000.0,
        class_weight: float = 3.0,
        margin: float = 1.5,
        alarm_stays: float = 4.0,
        patience: float = 1.0,
        half_life_days: float = 60.0,
        lasts_h: float = 12.0,
    ) -> None:
        self.p_max = p_max
        self.min_stays = min_stays
        self.backing = backing
        self.entity_trust = entity_trust
        self.home_trust = home_trust
        self.class_weight = class_weight
        self.margin = margin
        self.alarm_stays = alarm_stays
        self.patience = patience
        self.half_life_days = half_life_days
        self.lasts = timedelta(hours=lasts_h)
        self._past: dict[str, Stays] = {}
        self._now: dict[str, _Stay] = {}
        self._heap: list[tuple[float, str]] = []
        self._queued: set[str] = set()
        self._home_stays = self._home_surprises = 0.0
        self._home_day: float | None = None
        self._relevant: dict[str, bool] = {}

    # -- scoring ----------------------------------------------------------------------------------

    def score_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> Iterable[Hunch]:
        """Return the stays that have become too long by now. Only a tick can tell."""
        if isinstance(event, StateChange) or not self._heap:
            return ()
        at = event.at.timestamp()
        if self._heap[0][0] > at:
            return ()
        due = sorted(entity_id for when, entity_id in self._heap if when <= at)
        return [h for e in due if (h := self._judge(e, at, home, context)) is not None]

    def _judge(self, entity_id: str, at: float, home: HomeState, context: Context) -> Hunch | None:
        stay, kind = self._now.get(entity_id), _kind(entity_id, home)
        known = home.get(entity_id)
        if stay is None or kind is None or known is None or known.state != stay.state:
            return None
        if at < self._due(entity_id, stay, kind):
            return None
        past, lasted = self._past.get(entity_id), at - stay.known_since
        zone = context.local.tzinfo
        p, longest, words = _ALARM_P, 0.0, ""
        evidence: dict[str, Any] = {"n": past.count if past is not None else 0}
        if past is not None and not self._is_new_alarm(past, kind):
            p, longest = past.p(stay.where, lasted) + self._doubt(past), past.usual_s
            words = f"; in {past.count} {kind.noun} it was {past.never_longer(kind.adjective)}"
            contributions = past.contributions(stay.where, lasted)
            evidence = {**past.evidence(stay.where, zone), "contributions": contributions}
        has = f"detected {kind.alarm}" if kind.alarm is not None else f"been {kind.adjective}"
        since = datetime.fromtimestamp(stay.entered, zone).isoformat(timespec="seconds")
        numbers = {"lasted_s": round(lasted), "p": float(f"{p:.3g}"), "p_max": self.p_max}
        return Hunch(
            detector=self.name,
            entity_id=entity_id,
            context_key=f"{stay.state}|{stay.where.partition('|')[0]}",
            score=-log10(p),
            threshold=-log10(self.p_max),
            title=clip(f"{name_of(entity_id, home)} has {has} for {duration(lasted)}{words}."),
            evidence={"since": since, **numbers, **evidence},
            raised_for=stay.state,
            abnormal_since=datetime.fromtimestamp(stay.known_since + longest, UTC),
            lasts=self.lasts,
            remedy=kind.rest,
            short=f"{kind.alarm or kind.adjective} for {duration(lasted)}",
        )

    def _is_new_alarm(self, past: Stays | None, kind: Kind) -> bool:
        return kind.alarm is not None and (past is None or past.weight < self.alarm_stays)

    def _due(self, entity_id: str, stay: _Stay, kind: Kind) -> float:
        """Return when the stay becomes a hunch, in epoch seconds; infinity: it never does."""
        past = self._past.get(entity_id)
        if self._is_new_alarm(past, kind):
            return stay.known_since + self.patience * kind.patience_s
        if past is None or (past.count < self.min_stays and kind.alarm is None):
            return inf
        allowed = self.p_max - self._doubt(past)
        low = max(self.patience * kind.patience_s, self.margin * past.usual_s)
        if allowed <= 0.0 or past.p(stay.where, _NEVER_S) > allowed:
            return inf
        if past.p(stay.where, low) <= allowed:
            return stay.known_since + low
        high = _NEVER_S
        while high - low > _RESOLUTION_S:
            middle = (low + high) / 2
            low, high = (middle, high) if past.p(stay.where, middle) > allowed else (low, middle)
        return stay.known_since + high

    def _doubt(self, past: Stays) -> float:
        """Return how often a stay of this entity surprises for nothing."""
        home = (self._home_surprises + 1.0) / (self._home_stays + self.home_trust)
        return (past.surprises + self.entity_trust * home) / (past.weight + self.entity_trust)

    # -- learning ---------------------------------------------------------------------------------

    def learn_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> None:
        """Learn the stay that a change ends, and follow the one that it begins."""
        if isinstance(event, Tick):
            if self._heap and self._heap[0][0] <= event.at.timestamp():
                self._advance(event.at.timestamp(), home)
            return
        relevant = self._relevant.get(event.entity_id)
        if relevant is None:
            relevant = self._relevant[event.entity_id] = kind_of(event.domain, None) is not None
        if relevant:
            self._follow(event, home, context)

    def _follow(self, change: StateChange, home: HomeState, context: Context) -> None:
        entity_id, at = change.entity_id, change.changed_at.timestamp()
        stay = self._now.get(entity_id)
        if change.new in NOT_A_STATE:
            if stay is not None:
                stay.known_since = max(stay.known_since, at)
            return
        if stay is not None:
            if change.new == stay.state:
                return
            del self._now[entity_id]
            if change.origin is not _AGENT and at >= stay.entered and change.trains:
                self._learn(entity_id, stay, at, home)
        kind = _kind(entity_id, home)
        if kind is None or change.new not in kind.active:
            return
        self._now[entity_id] = _Stay(change.new, at, at, _where(context))
        if entity_id not in self._queued:
            self._queue(at + self.patience * kind.patience_s, entity_id)

    def _learn(self, entity_id: str, stay: _Stay, at: float, home: HomeState) -> None:
        past = self._past.get(entity_id)
        if past is None:
            past = self._past[entity_id] = Stays(
                first=at, backing=self.backing, half_life_days=self.half_life_days
            )
        lasted = at - stay.entered
        self._fade(at / DAY_S, home)
        self._home_stays += 1.0
        stray = lasted > self.patience * LEAST_PATIENCE_S and self._was_surprise(
            entity_id, stay, lasted, home
        )
        if stray:
            past.surprises += 1.0
            self._home_surprises += 1.0
        past.learn_one(lasted, stay.where, at, stray=stray)

    def _was_surprise(self, entity_id: str, stay: _Stay, lasted: float, home: HomeState) -> bool:
        past, kind = self._past[entity_id], _kind(entity_id, home)
        return (
            kind is not None
            and kind.alarm is None  # is right to surprise
            and lasted > self.patience * kind.patience_s
            and past.count >= self.min_stays // 2
            and past.p(stay.where, lasted) < self.p_max
        )

    def _fade(self, day: float, home: HomeState) -> None:
        if self._home_day is None:
            self._home_day = day
        elif day - self._home_day >= 1.0:
            factor = 0.5 ** ((day - self._home_day) / self.half_life_days)
            self._home_stays *= factor
            self._home_surprises *= factor
            for past in self._past.values():
                past.surprises *= factor
            share_tails(self._past, home.device_class, self.class_weight)
            self._home_day = day

    def _advance(self, at: float, home: HomeState) -> None:
        """Drop what is settled or said, and set the next time for the others."""
        while self._heap and self._heap[0][0] <= at:
            entity_id = heappop(self._heap)[1]
            self._queued.discard(entity_id)
            stay, kind, known = self._now.get(entity_id), _kind(entity_id, home), home.get(entity_id)
            if stay is None or kind is None or known is None:
                continue
            if known.state != stay.state:  # unreachable: nobody can vouch for the time
                stay.known_since = max(stay.known_since, at)
            due = self._due(entity_id, stay, kind)
            if due > at:
                patient_until = stay.known_since + self.patience * kind.patience_s
                self._queue(max(patient_until, min(due, at + DAY_S)), entity_id)

    def _queue(self, when: float, entity_id: str) -> None:
        self._queued.add(entity_id)
        heappush(self._heap, (when, entity_id))

    # -- keeping ----------------------------------------------------------------------------------

    def forget(self, entity_id: str) -> None:
        """Drop all that was learned about an entity."""
        self._past.pop(entity_id, None)
        self._now.pop(entity_id, None)
        self._relevant.pop(entity_id, None)
        if entity_id in self._queued:
            self._queued.discard(entity_id)
            self._heap = [item for item in self._heap if item[1] != entity_id]
            heapify(self._heap)

    def rename(self, old: str, new: str) -> None:
        """Carry what was learned over to an entity's new id."""
        if old == new:
            return
        when = next((w for w, e in self._heap if e == old), None)
        past, stay = self._past.get(old), self._now.get(old)
        self.forget(old)
        if past is not None:
            self._past[new] = past
        if stay is not None:
            self._now[new] = stay
        if when is not None and new not in self._queued:
            self._queue(when, new)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "past": {e: p.to_dict() for e, p in self._past.items()},
            "now": {e: [s.state, s.entered, s.known_since, s.where] for e, s in self._now.items()},
            "queue": [list(item) for item in sorted(self._heap)],
            "home": [self._home_stays, self._home_surprises, self._home_day],
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._past = {
            e: Stays.from_dict(p, backing=self.backing, half_life_days=self.half_life_days)
            for e, p in data["past"].items()
        }
        self._now = {e: _Stay(*s) for e, s in data["now"].items()}
        self._heap = [(when, entity_id) for when, entity_id in data["queue"]]
        self._queued = {entity_id for _, entity_id in self._heap}
        self._home_stays, self._home_surprises, self._home_day = data["home"]
        self._relevant = {}


def _kind(entity_id: str, home: HomeState) -> Kind | None:
    return _kind_of(entity_id, home.device_class(entity_id))


@lru_cache(maxsize=4096)
def _kind_of(entity_id: str, device_class: str | None) -> Kind | None:
    domain = entity_id.partition(".")[0]
    return kind_of(domain, device_class) or alarm_of(domain, device_class)


def _where(context: Context) -> str:
    return _path(context.daypart, "weekend" if context.weekend else "weekday", context.occupancy)


@cache
def _path(daypart: Daypart, day: str, occupancy: Occupancy) -> str:
    return f"{daypart}|{day}|{occupancy}"
