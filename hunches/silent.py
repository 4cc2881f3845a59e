"""A device that stopped reporting, is unavailable, or whose battery is going."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush
from math import log10
from typing import Any, ClassVar, Final

from devices.context import Context
from devices.events import NOT_A_STATE, StateChange, Tick
from devices.state import HomeState
from devices.wording import clip, name_of
from hunches.batteries import Battery, level_of
from hunches.detector import Clear, Finding, Hunch
from hunches.outages import Outages
from hunches.priors import kind_of
from hunches.silences import Silences
from hunches.silent_words import Words, battery_words, outage_contributions, outage_words, silence_words

_DAY_S: Final = 86400.0
_LASTS: Final = timedelta(days=3)  # that a hunch stays worth saying
_AGAIN_S: Final = 1800.0  # between two looks at an entity that says nothing
_NETWORK: Final = 1 / 3  # of the home; if more is unavailable, it isn't the devices
_SUSPICIOUS: Final = 0.1  # as rare as this share of what is worth a hunch
_AT_ONCE: Final = 20  # entities that may share `once_in_days`; the more there are, the rarer it has to be
_SPEAKS_UP: Final = frozenset({"binary_sensor", "sensor"})
"""Domains of what reports of itself; a lamp or a plug says nothing as long as nobody uses it."""
_USED: Final = frozenset(
    {"apparent_power", "current", "door", "energy", "garage_door", "gas", "lock", "opening", "plug", "power",
     "running", "volume", "volume_flow_rate", "water", "window"}
)  # fmt: skip
"""Device classes that say the same as long as nobody uses the thing."""
_BATTERY: Final = "battery"
_SILENT: Final = "silent"
_UNAVAILABLE: Final = "unavailable"
_LOW: Final = "low battery"


class Silent:
    """Notices an entity that reports no more although the home around it lives on.

    1. Silence. Its length is measured in the reports that were expected since the last one, given the hour
       and what else reported (`AliveTime`), and in plain time. A hunch is raised when so long a silence, by
       both, comes less often than once in `once_in_days` (`Reporting`). Any report ends it, also one that
       repeats the state. Nothing is said while more than a third of what is followed is suspiciously
       silent: then it is the network, the broker or the daemon.
    2. Outage. An entity that was there and is "unavailable" or "unknown" for `outage_h`, and half as long
       again as ever before; nothing while that holds for more than a third of the home.
    3. Battery. At `low` percent or less (or where a binary battery sensor is on), once, until it is charged
       to `charged`. When it will be empty is said where the slope is clear (`Battery`).

    Memory: for each entity at most 148 numbers and 178 bins, and two heap entries. A change costs O(1), the
    end of a five-minute slot O(entities that reported in it), a tick O(what is due).

    Parameters
    ----------
    once_in_days: how rare a silence has to be for one entity, in a home with up to twenty of them.
    min_reports: slots with a report that an entity needs before it is judged (faded weight).
    min_a_day: the same a day: what reports less is used rarely anyway.
    min_age_days: time since its first report that it needs (for outages: the home's first).
    patience_h: by how much a silence must outlast the longest one so far, hours.
    outage_h: the same for outages.
    low, charged: levels of a battery, percent.
    half_life_days: time in which what was learned loses half its weight.

    >>> Silent().name
    'silent'

    References
    ----------
    See `Reporting` and `Survival`. Cox, D. R. and Isham, V. (1980). Point Processes. Chapman and Hall:
    operational time.
    """

    name: ClassVar[str] = "silent"

    def __init__(  # noqa: PLR0913 - one model's parameters, all by keyword
        self,
        *,
        once_in_days: float = 16.0,
        min_reports: float = 30.0,
        min_a_day: float = 4.0,
        min_age_days: float = 3.0,
        patience_h: float = 1.0,
        outage_h: float = 1.0,
        low: float = 15.0,
        charged: float = 25.0,
        half_life_days: float = 30.0,
    ) -> None:
        self.threshold = log10(once_in_days)
        self.min_a_day = min_a_day
        self.min_age_s = min_age_days * _DAY_S
        self.patience_s = patience_h * 3600.0
        self.outage_s = outage_h * 3600.0
        self.low = low
        self.charged = charged
        self._silences = Silences(
            half_life_days=half_life_days, min_reports=min_reports, patience_s=self.patience_s
        )
        self._outages = Outages()
        self._batteries: dict[str, Battery] = {}
        self._heap: list[tuple[float, str, str]] = []  # when to look, at what, at which entity
        self._queued: set[tuple[str, str]] = set()
        self._said: dict[str, str] = {}  # entity -> what was said
        self._first: float | None = None  # moment of the home

    # -- scoring ----------------------------------------------------------------------------------

    def score_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> Iterable[Finding]:
        """Return what is silent, gone or nearly empty by now, and what no longer is."""
        if isinstance(event, Tick):
            found: list[Finding] = []
            if self._said:
                found += [Clear(self.name, e, why) for e, why in self._over(home)]
            if self._heap and self._heap[0][0] <= event.at.timestamp():
                found += self._due(event.at.timestamp(), home, context)
            return found
        if event.entity_id in self._said:
            why = self._settled(event.entity_id, home)
            return (Clear(self.name, event.entity_id, why),) if why else ()
        if home.device_class(event.entity_id) != _BATTERY or event.new in NOT_A_STATE:
            return ()
        level = level_of(event.new, event.domain)
        if level is None or level > self.low:
            return ()
        return (self._empty_hunch(event, level, home),)

    def _over(self, home: HomeState) -> list[tuple[str, str]]:
        """Return what was said and is no longer true, and why."""
        return [(e, why) for e in sorted(self._said) if (why := self._settled(e, home))]

    def _settled(self, entity_id: str, home: HomeState) -> str:
        what, known = self._said[entity_id], home.get(entity_id)
        if known is None:
            return "is no more"
        if what == _LOW:
            level = level_of(known.state, entity_id.partition(".")[0])
            return "is charged" if level is not None and level >= self.charged else ""
        if what == _UNAVAILABLE:
            return "" if known.state in NOT_A_STATE else "is available again"
        return "reports again" if self._silences.is_alive(entity_id, home) else ""

    def _due(self, at: float, home: HomeState, context: Context) -> list[Hunch]:
        due = sorted((what, entity_id) for when, what, entity_id in self._heap if when <= at)
        found = [
            self._silence(e, at, home, context) if what == _SILENT else self._outage(e, at, home)
            for what, e in due
        ]
        return [h for h in found if h is not None]

    def _silence(self, entity_id: str, at: float, home: HomeState, context: Context) -> Hunch | None:
        if entity_id in self._said or not self._may_judge(entity_id, at, home):
            return None
        known, now = self._silences[entity_id], self._silences.now(entity_id, at)
        score = -log10(known.per_day(now))
        if score < self.threshold:
            return None
        bar = self.threshold + log10(max(1.0, self._silences.judged(self.min_a_day, at) / _AT_ONCE))
        limit = 10.0**-bar
        suspicious: float = 10.0 ** (-self.threshold * _SUSPICIOUS)
        if score < bar or self._silences.is_network(at, home, suspicious):
            return None
        words = silence_words(name_of(entity_id, home), known, now, limit, context.local.tzinfo)
        return self._hunch((entity_id, _SILENT), score, words, at)

    def _may_judge(self, entity_id: str, at: float, home: HomeState) -> bool:
        if not self._silences.is_long(entity_id, at, home) or _is_out(entity_id, home):
            return False
        known = self._silences[entity_id]
        return known.rate(at) >= self.min_a_day and at - known.first >= self.min_age_s

    def _outage(self, entity_id: str, at: float, home: HomeState) -> Hunch | None:
        limit = self._outage_limit(entity_id)
        lasted, longest = self._outages.lasted(entity_id, at), self._outages.longest(entity_id)
        if entity_id in self._said or lasted < limit or not _is_out(entity_id, home):
            return None
        network = len(self._outages) >= 3 and len(self._outages) > _NETWORK * len(home)
        if network or self._first is None or at - self._first < self.min_age_s:
            return None
        score = self.threshold + log10(lasted / limit)
        words = outage_words(name_of(entity_id, home), lasted, longest, limit)
        words.evidence["contributions"] = outage_contributions(score, limit, self.outage_s)
        return self._hunch((entity_id, _UNAVAILABLE), score, words, at)

    def _outage_limit(self, entity_id: str) -> float:
        return max(self.outage_s, 1.5 * self._outages.longest(entity_id))

    def _empty_hunch(self, change: StateChange, level: float, home: HomeState) -> Hunch:
        entity_id, at = change.entity_id, change.received_at.timestamp()
        exact, battery = change.domain == "sensor", self._batteries.get(entity_id)
        days = battery.days_left() if exact and battery else None
        words = battery_words(name_of(entity_id, home), level, self.low, days, exact=exact)
        score = self.threshold + (self.low - level) / max(1.0, self.low)
        return self._hunch((entity_id, _LOW), score, words, at)

    def _hunch(self, about: tuple[str, str], score: float, words: Words, at: float) -> Hunch:
        return Hunch(
            detector=self.name,
            entity_id=about[0],
            context_key=about[1],
            score=score,
            threshold=self.threshold,
            title=clip(words.title),
            evidence={"contributions": {about[1]: round(score, 3)}, **words.evidence},
            raised_for=_SILENT,
            abnormal_since=datetime.fromtimestamp(at, UTC),
            lasts=_LASTS,
            short=words.short,
            group=_SILENT,
            clears_itself=True,
        )

    # -- learning ---------------------------------------------------------------------------------

    def learn_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> None:
        """Learn when entities report, and remember what has been said."""
        if isinstance(event, Tick):
            at = event.at.timestamp()
            for entity_id, _ in self._over(home) if self._said else ():
                self._unsay(entity_id, at)
            if self._heap and self._heap[0][0] <= at:
                self._look(at, home, context)
            if not self._silences.is_now(at):
                self._pass_time(at, context)
            return
        at = event.received_at.timestamp()
        if not self._silences.is_now(at):
            self._pass_time(at, context)
        if event.new in NOT_A_STATE:
            if event.old is not None and event.old not in NOT_A_STATE and not event.retained:
                self._outages.begin(event.entity_id, at)
                self._queue(at + self._outage_limit(event.entity_id), _UNAVAILABLE, event.entity_id)
            return
        if event.entity_id in self._outages:
            self._outages.end(event.entity_id, at)
        if event.trains:
            self._report(event, at, home)

    def _report(self, change: StateChange, at: float, home: HomeState) -> None:
        entity_id, domain, device_class = change.entity_id, change.domain, home.device_class(change.entity_id)
        if device_class == _BATTERY and (level := level_of(change.new, domain)) is not None:
            self._learn_level(entity_id, level, at)
        if domain not in _SPEAKS_UP or device_class in _USED:
            return
        self._silences.report(entity_id, at, people=kind_of(domain, device_class) is not None)
        if entity_id in self._said and self._settled(entity_id, home):
            self._unsay(entity_id, at)

    def _learn_level(self, entity_id: str, level: float, at: float) -> None:
        if entity_id not in self._said and level <= self.low:
            self._said[entity_id] = _LOW
        if entity_id not in self._batteries:
            self._batteries[entity_id] = Battery()
        self._batteries[entity_id].learn_one(level, at / _DAY_S)

    def _unsay(self, entity_id: str, at: float) -> None:
        if self._said.pop(entity_id) == _UNAVAILABLE:
            self._outages.end(entity_id, at)
        if entity_id in self._silences:
            self._queue(at + self.patience_s, _SILENT, entity_id)

    def _pass_time(self, at: float, context: Context) -> None:
        if self._first is None:
            self._first = at
        for entity_id in self._silences.advance(at, context.local.hour):
            self._queue(self._silences[entity_id].first + self.patience_s, _SILENT, entity_id)

    def _look(self, at: float, home: HomeState, context: Context) -> None:
        """Say what is due, and set the next time to look."""
        for hunch in self._due(at, home, context):
            self._said[hunch.entity_id] = hunch.context_key
        while self._heap and self._heap[0][0] <= at:
            _, what, entity_id = heappop(self._heap)
            self._queued.discard((what, entity_id))
            if entity_id in self._said:
                continue  # until it is over
            if what == _UNAVAILABLE:
                self._look_at_outage(entity_id, at, home)
            elif entity_id in self._silences:
                self._silences.take_repeats(entity_id, at, home)
                last = self._silences[entity_id].last.at
                self._queue(max(last + self.patience_s, at + _AGAIN_S), _SILENT, entity_id)

    def _look_at_outage(self, entity_id: str, at: float, home: HomeState) -> None:
        if _is_out(entity_id, home):
            began = at - self._outages.lasted(entity_id, at)
            self._queue(max(began + self._outage_limit(entity_id), at + _AGAIN_S), _UNAVAILABLE, entity_id)
        else:
            known = home.get(entity_id)
            self._outages.end(entity_id, min(at, known.seen_at.timestamp()) if known else at)

    def _queue(self, when: float, what: str, entity_id: str) -> None:
        if (what, entity_id) not in self._queued:
            self._queued.add((what, entity_id))
            heappush(self._heap, (when, what, entity_id))

    # -- keeping ----------------------------------------------------------------------------------

    def forget(self, entity_id: str) -> None:
        """Drop all that was learned about an entity."""
        self._batteries.pop(entity_id, None)
        self._said.pop(entity_id, None)
        self._silences.forget(entity_id)
        self._outages.forget(entity_id)
        self._heap = [item for item in self._heap if item[2] != entity_id]
        heapify(self._heap)
        self._queued = {(what, e) for _, what, e in self._heap}

    def rename(self, old: str, new: str) -> None:
        """Carry what was learned over to an entity's new id."""
        if old == new:
            return
        for found in (self._batteries, self._said):
            _carry(found, old, new)
        self._silences.rename(old, new)
        self._outages.rename(old, new)
        self._heap = [(when, what, new if e == old else e) for when, what, e in self._heap if e != new]
        heapify(self._heap)
        self._queued = {(what, e) for _, what, e in self._heap}

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "silences": self._silences.to_dict(),
            "outages": self._outages.to_dict(),
            "batteries": {e: b.to_dict() for e, b in self._batteries.items()},
            "queue": [list(item) for item in sorted(self._heap)],
            "said": dict(self._said),
            "first": self._first,
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._silences.load(data["silences"])
        self._outages.load(data["outages"])
        self._batteries = {e: Battery.from_dict(b) for e, b in data["batteries"].items()}
        self._heap = [(when, what, e) for when, what, e in data["queue"]]
        self._queued = {(what, e) for _, what, e in self._heap}
        self._said, self._first = dict(data["said"]), data["first"]


def _carry(found: dict[str, Any], old: str, new: str) -> None:
    if old in found:
        found[new] = found.pop(old)


def _is_out(entity_id: str, home: HomeState) -> bool:
    known = home.get(entity_id)
    return known is not None and known.state in NOT_A_STATE
