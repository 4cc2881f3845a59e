"""The home's own past, as far as it matters for goals: who did what when, and what was counted in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from latent_goals.actions import can_be_told, can_follow
from latent_goals.association import Tally, tally
from latent_goals.occasions import Occasions
from latent_goals.slots import Key, Pair
from latent_goals.timelines import DAY_S, Activity, Happened, Timeline

_LEAST_OCCASIONS: Final = 3
_LEAST_COUNT: Final = 3  # times that something must have followed to be looked at
_OFTEN: Final = 24.0  # a day: what happens more often implies nothing
_GROWTH: Final = 0.15  # share of new occasions after which a first action is judged again
_MOST_NEW: Final = 20  # and number of them
_MOST_VALUES: Final = 24


class Past:
    """Timelines of all that can be a first action or follow one, and the tallies of pairs that come close.

    A first action is judged again when it has happened a seventh as often again, so that each is looked at
    a logarithmic number of times; in a steady state after every twenty occasions.

    Memory: `size` actions a thing, 96 bits a day, and the tallies of the pairs that came close, `partners`
    a first action at most. To judge one costs O(occasions · things), and O(occasions · controls) for each
    pair that comes close.
    """

    def __init__(self, *, horizon_s: int, size: int, keep_days: int, partners: int) -> None:
        self.horizon_s = horizon_s
        self.size = size
        self.keep_days = keep_days
        self.partners = partners
        self.timelines: dict[str, Timeline] = {}
        self.activity = Activity()
        self.tallies: dict[Key, dict[str, dict[str, Tally]]] = {}  # first action -> thing -> what it is told
        self._seen: Counter[Key] = Counter()  # times that a first action happened, ever
        self._judged: dict[Key, int] = {}  # how many of them when it was judged last
        self._now = 0

    # -- what happens -------------------------------------------------------------------------------

    def last(self, entity_id: str) -> Happened | None:
        """Return what a thing was told last."""
        known = self.timelines.get(entity_id)
        return known.log[-1] if known is not None and known.log else None

    def add(self, entity_id: str, happened: Happened) -> None:
        """Remember an action."""
        self._now = max(self._now, happened.at)
        timeline = self.timelines.get(entity_id)
        if timeline is None:
            timeline = self.timelines[entity_id] = Timeline(self.size)
        timeline.add(happened)
        if happened.by_resident:
            self._seen[entity_id, happened.verb] += 1

    def tick(self, now: int) -> None:
        """Let time pass."""
        self._now = max(self._now, now)

    def age(self) -> None:
        """Forget what is older than is kept."""
        self.activity.drop_before(self._now // DAY_S - self.keep_days)
        for timeline in self.timelines.values():
            timeline.drop_before(self._now - self.keep_days * DAY_S)

    # -- what follows from what ---------------------------------------------------------------------

    def due(self) -> list[Key]:
        """Return the first actions that are worth judging (again)."""
        return sorted(key for key, seen in self._seen.items() if self._is_due(key, seen))

    def _is_due(self, key: Key, seen: int) -> bool:
        known = self._judged.get(key, 0)
        return seen >= _LEAST_OCCASIONS and seen - known >= min(_MOST_NEW, max(1.0, _GROWTH * known))

    def judge(self, first: Key) -> None:
        """Count what follows a first action."""
        self._judged[first] = self._seen[first]
        cases = self.occasions(first)
        found: dict[str, dict[str, Tally]] = {}
        if len(cases.cases) >= _LEAST_OCCASIONS and not self._too_often(first):
            for entity_id, verb in self._close(first, cases):
                counted = self._tally(cases, (entity_id, verb))
                if counted.is_close:
                    found.setdefault(entity_id, {})[verb] = counted
        self.tallies.pop(first, None)
        if found:
            self.tallies[first] = found

    def occasions(self, first: Key) -> Occasions:
        """Return the occasions of a first action that are over."""
        timeline = self.timelines.get(first[0]) or Timeline(1)
        return Occasions(timeline, first[1], self.activity, self._now, self.horizon_s)

    def tally(self, pair: Pair) -> Tally:
        """Return the counts of a pair, also of one that never came close."""
        known = self.tallies.get(pair[0], {}).get(pair[1][0], {}).get(pair[1][1])
        return known or self._tally(self.occasions(pair[0]), pair[1])

    def pairs(self) -> Iterator[tuple[Pair, Tally]]:
        """Yield the pairs that come close."""
        for first, things in sorted(self.tallies.items()):
            for entity_id, verbs in sorted(things.items()):
                for verb, counted in sorted(verbs.items()):
                    yield (first, (entity_id, verb)), counted

    def tests(self) -> int:
        """Return how many pairs there are to be tested."""
        follow_ups = sum(len({h.verb for h in t.log}) for e, t in self.timelines.items() if can_follow(e))
        return max(1, len(self._judged) * follow_ups)

    def keys(self) -> list[Key]:
        """Return the first actions that have been judged."""
        return sorted(self._judged)

    def background(self, key: Key) -> tuple[int, int]:
        """Return how often a thing was told something by the resident, and in how many active windows."""
        timeline = self.timelines.get(key[0])
        told = sum(h.verb == key[1] and h.by_resident for h in timeline.log) if timeline else 0
        return told, max(1, self.activity.windows())

    def comes_with(self, one: Key, other: Key) -> float:
        """Return the share of a first action's occasions that come within the horizon after another's."""
        cases, before = self.occasions(one).cases, self.timelines.get(other[0])
        if not cases or before is None:
            return 0.0
        after = sum(before.first(other[1], case.at - self.horizon_s, case.at) is not None for case in cases)
        return after / len(cases)

    def _tally(self, cases: Occasions, follow: Key) -> Tally:
        timeline = self.timelines.get(follow[0]) or Timeline(1)
        counted = tally(cases, timeline, follow[1])
        counted.values = counted.values[-_MOST_VALUES:]
        return counted

    def _too_often(self, first: Key) -> bool:
        times = [h.at for h in self.timelines[first[0]].log if h.verb == first[1]]
        return len(times) > _OFTEN * max(1.0, (times[-1] - times[0]) / DAY_S)

    def _close(self, first: Key, cases: Occasions) -> list[Key]:
        """Return what followed often enough to be looked at, the most frequent first."""
        count: Counter[Key] = Counter()
        for entity_id, timeline in self.timelines.items():
            if entity_id != first[0] and can_follow(entity_id):
                for case in cases.cases:
                    if after := timeline.between(case.at, case.at + self.horizon_s):
                        count.update(
                            {(entity_id, h.verb) for h in after if h.by_resident and can_be_told(h.verb)}
                        )
        close = [key for key, n in count.items() if n >= _LEAST_COUNT]
        return sorted(close, key=lambda key: (-count[key], key))[: self.partners]

    # -- keeping ------------------------------------------------------------------------------------

    def forget(self, entity_id: str) -> None:
        """Drop a thing and all that was counted of it."""
        self.timelines.pop(entity_id, None)
        for of in (self._seen, self._judged, self.tallies):
            for key in [key for key in of if key[0] == entity_id]:
                del of[key]
        for things in self.tallies.values():
            things.pop(entity_id, None)

    def rename(self, old: str, new: str) -> None:
        """Carry a thing over to its new id."""
        if old not in self.timelines:
            return
        timeline = self.timelines[old]
        of: tuple[dict[Key, Any], ...] = (self._seen, self._judged, self.tallies)
        kept = [{verb: table[e, verb] for e, verb in table if e == old} for table in of]
        things = [(tallies, tallies[old]) for tallies in self.tallies.values() if old in tallies]
        self.forget(new)
        self.forget(old)
        self.timelines[new] = timeline
        for table, verbs in zip(of, kept, strict=True):
            table.update({(new, verb): value for verb, value in verbs.items()})
        for tallies, verbs in things:
            tallies[new] = verbs

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "timelines": {e: [list(h) for h in t.log] for e, t in sorted(self.timelines.items())},
            "activity": self.activity.to_dict(),
            "seen": [[*key, n] for key, n in sorted(self._seen.items())],
            "judged": [[*key, n] for key, n in sorted(self._judged.items())],
            "tallies": [[*first, *follow, counted.to_dict()] for (first, follow), counted in self.pairs()],
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._now = 0  # the next tick says it
        self.timelines = {e: self._timeline(log) for e, log in data["timelines"].items()}
        self.activity.load(data["activity"])
        self._seen = Counter({(e, verb): n for e, verb, n in data["seen"]})
        self._judged = {(e, verb): n for e, verb, n in data["judged"]}
        self.tallies = {}
        for first, verb, entity_id, told, body in data["tallies"]:
            of = self.tallies.setdefault((first, verb), {}).setdefault(entity_id, {})
            of[told] = Tally.from_dict(body)

    def _timeline(self, log: list[list[Any]]) -> Timeline:
        timeline = Timeline(self.size)
        timeline.log = [Happened(*h) for h in log]
        timeline.times = [h.at for h in timeline.log]
        return timeline
