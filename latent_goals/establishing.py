"""From counts to goals: what is believed now, and what has changed about that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, replace
from functools import cache, partial
from statistics import fmean
from typing import Any, Final

from devices.state import HomeState
from latent_goals import slots, wording
from latent_goals.association import Tally
from latent_goals.chains import chains, steps_of
from latent_goals.goal import Goal, Pattern, Proposed, Retired, Step
from latent_goals.implications import Candidate, Edge, Rules, believed, in_rooms
from latent_goals.past import Past
from latent_goals.prior import UNIVERSE, Prior
from latent_goals.slots import Key, Pair
from latent_goals.tracking import Known

_PRIOR_WINDOWS: Final = 96.0  # active quarter hours, about two days, that other homes are worth
_MOST_GOALS: Final = 64
_SHOWN: Final = 3  # occasions after which a room speaks for itself


class Establishing:
    """Concludes from the tallies of the past which goals there are, and keeps `Known` up to date.

    Goals are immutable. One that gets further steps is retired, and the larger one proposed in its place:
    what was agreed to is what is done. One that loses steps stays, and those no longer fire.
    """

    def __init__(self, past: Past, known: Known, rules: Rules, prior: Prior | None) -> None:
        self._past = past
        self._known = known
        self._rules = rules
        self._prior = prior

    def background(self, key: Key, home: HomeState) -> float:
        """Return how likely a follow-up is in any active window, of this home and of others."""
        told, windows = self._past.background(key)
        other = self._prior.rate(slots.kind_of(key[0], home), key[1]) if self._prior else None
        if other is not None:
            return min(0.5, (told + _PRIOR_WINDOWS * other) / (windows + _PRIOR_WINDOWS))
        return min(0.5, (told + 0.5) / (windows + 1.0))

    def rates(self, home: HomeState) -> dict[str, float]:
        """Return the mean rate of each follow-up that a prior speaks of, over the things that can do it."""
        of: dict[str, list[float]] = {}
        for entity_id, timeline in sorted(self._past.timelines.items()):
            kind = slots.kind_of(entity_id, home)
            for verb in sorted({h.verb for h in timeline.log}):
                key = next((k for k in (kind, kind.partition(".")[0]) if f"{k}={verb}" in UNIVERSE), None)
                if key is not None:
                    told, windows = self._past.background((entity_id, verb))
                    of.setdefault(f"{key}={verb}", []).append(min(1.0, told / windows))
        return {key: fmean(rates) for key, rates in of.items()}

    def conclude(self, home: HomeState) -> list[Proposed | Retired]:
        """Go through all that has been counted; return what is new."""
        known = self._known
        known.rooms = slots.areas(home)
        tallies = dict(self._past.pairs())
        same_room = self._same_room(tallies, home)
        pooled = tallies | {pair: self._past.tally(pair) for pair in same_room}
        kind, rate = cache(partial(slots.general, home=home)), cache(partial(self.background, home=home))
        of_kinds = in_rooms(pooled, same_room, kind, rate, self._rules)
        candidates = of_kinds + [
            Candidate(Pattern(*a), Pattern(*f), tally, rate(f)) for (a, f), tally in tallies.items()
        ]
        kept = {(a.key, f.key): edge.context for (a, f), edge in known.edges.items()}
        edges = believed(candidates, self._past.tests() + len(of_kinds), self._rules, kept)
        edges = self._without_covered(edges, same_room, home)
        known.edges = {(e.first, e.follow): e for e in edges}
        known.bound = self._bound(pooled, same_room, home)
        return self._renew(home)

    def _same_room(self, tallies: Iterable[Pair], home: HomeState) -> dict[Pair, str]:
        """Return the pairs in one room, of all kinds of pairs that come close in two at least.

        Also those of rooms where it never came: they may contradict.
        """
        rooms = self._known.rooms
        close: dict[tuple[Pattern, Pattern], set[str]] = {}
        for (a, f), room in slots.rooms_of(tallies, rooms).items():
            close.setdefault((slots.general(a, home), slots.general(f, home)), set()).add(room)
        of_kind: dict[tuple[str, str], list[str]] = {}
        for entity_id in sorted(self._past.timelines):
            if entity_id in rooms:
                of_kind.setdefault((rooms[entity_id], slots.kind_of(entity_id, home)), []).append(entity_id)
        return {
            ((one, first.verb), (other, follow.verb)): room
            for first, follow in (pair for pair, found in close.items() if len(found) > 1)
            for (room, kind), ones in of_kind.items()
            if kind == first.target
            for one in ones
            for other in of_kind.get((room, follow.target), ())
            if one != other
        }

    def _without_covered(
        self, edges: list[Edge], same_room: Mapping[Pair, str], home: HomeState
    ) -> list[Edge]:
        """Leave out what a goal of any room says already."""
        general = {(e.first, e.follow): e for e in edges if e.first.any_room}
        covered = set()
        for (a, f), room in same_room.items():
            edge = general.get((slots.general(a, home), slots.general(f, home)))
            if edge is not None and room not in edge.except_rooms:
                covered.add((Pattern(*a), Pattern(*f)))
        return [e for e in edges if (e.first, e.follow) not in covered]

    def _bound(
        self, tallies: Mapping[Pair, Tally], same_room: Iterable[Pair], home: HomeState
    ) -> dict[tuple[Key, Pattern], tuple[str, ...]]:
        """Return which things of a room follow, where the room has shown what does and what doesn't."""
        bound: dict[tuple[Key, Pattern], list[str]] = {}
        for a, f in same_room:
            counts = tallies[a, f].all
            if counts.n >= _SHOWN:
                of = bound.setdefault((a, slots.general(f, home)), [])
                of += [f[0]] if counts.k >= self._rules.kept_probability * counts.n else []
        return {key: tuple(sorted(things)) for key, things in bound.items()}

    # -- goals --------------------------------------------------------------------------------------

    def _renew(self, home: HomeState) -> list[Proposed | Retired]:
        """Compare the goals that there are with those that there should be."""
        known = self._known
        edges = list(known.edges.values())
        old = {goal.first: goal for goal in known.goals.values()}
        goals: dict[str, Goal] = {}
        news: list[Proposed | Retired] = []
        for first, entries in list(chains(edges, self._comes_with, old).items())[:_MOST_GOALS]:
            goal = self._goal(first, entries, steps_of(first, edges), home)
            before = old.get(first)
            if before is not None and _patterns(goal) <= _patterns(before):
                goals[before.id] = self._updated(before, goal)
                continue
            goals[goal.id] = goal if before is None else replace(goal, replaces=before.id)
            news.append(Proposed(goals[goal.id]))
        firsts = {entry for goal in goals.values() for entry in goal.entries}
        gone = [
            Retired(goal_id, "part of another goal" if goal.first in firsts else "it doesn't hold any more")
            for goal_id, goal in known.goals.items()
            if goal_id not in goals
        ]
        known.goals = goals
        known.index()
        return [*gone, *news]

    def _goal(self, first: Pattern, entries: tuple[Pattern, ...], edges: list[Edge], home: HomeState) -> Goal:
        windows = self._past.activity.windows()
        steps = []
        for edge in edges:
            value, carried = slots.binding(first.target, edge.follow.target, edge.tally.values)
            steps.append(Step(edge.follow, value, carried, edge.evidence(windows)))
        exceptions = sorted({room for edge in edges for room in edge.except_rooms})
        return Goal(
            first, tuple(steps), entries, wording.title(first, tuple(steps), home), self._past.horizon_s,
            except_rooms=tuple(exceptions),
        )  # fmt: skip

    def _updated(self, before: Goal, now: Goal) -> Goal:
        """Return a goal with the evidence of today; steps that don't hold any more keep the old one."""
        fresh = {step.pattern: step for step in now.steps}
        steps = tuple(fresh.get(step.pattern, step) for step in before.steps)
        title = now.title if len(fresh) == len(steps) else before.title
        return replace(before, steps=steps, entries=now.entries, title=title, except_rooms=now.except_rooms)

    def _comes_with(self, one: Pattern, other: Pattern) -> float:
        if one.any_room or other.any_room:
            return 1.0 if (other, one) in self._known.edges else 0.0
        return self._past.comes_with((one.target, one.verb), (other.target, other.verb))

    # -- keeping ------------------------------------------------------------------------------------

    def forget(self, entity_id: str) -> None:
        """Drop what is believed of a thing, and with it the goals that it is part of."""
        known = self._known
        known.rooms.pop(entity_id, None)
        known.edges = {k: e for k, e in known.edges.items() if entity_id not in {p.target for p in k}}
        known.goals = {i: g for i, g in known.goals.items() if entity_id not in _targets(g)}
        known.bound = {
            key: left
            for key, things in known.bound.items()
            if key[0][0] != entity_id and (left := tuple(e for e in things if e != entity_id))
        }
        known.index()

    def rename(self, old: str, new: str) -> None:
        """Carry what is believed over to a thing's new id."""
        if new != old:
            self.forget(new)
            self.load(_renamed(self.to_dict(), old, new))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        known = self._known
        return {
            "goals": [g.to_dict() for _, g in sorted(known.goals.items())],
            "edges": [e.to_dict() for e in known.edges.values()],
            "rooms": sorted([e, room] for e, room in known.rooms.items()),
            "bound": sorted(
                [[*key, list(astuple(step)), list(things)] for (key, step), things in known.bound.items()]
            ),
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`, in place: the tracker goes by the same `Known`."""
        known = self._known
        goals = [Goal.from_dict(body) for body in data["goals"]]
        edges = [Edge.from_dict(body) for body in data["edges"]]
        known.goals = {goal.id: goal for goal in goals}
        known.edges = {(edge.first, edge.follow): edge for edge in edges}
        known.rooms = dict(data["rooms"])
        known.bound = {((e, v), Pattern(*step)): tuple(things) for e, v, step, things in data["bound"]}
        known.index()


def _patterns(goal: Goal) -> set[Pattern]:
    return {step.pattern for step in goal.steps}


def _targets(goal: Goal) -> set[str]:
    return {p.target for p in (goal.first, *goal.entries, *_patterns(goal))}


def _renamed(data: Any, old: str, new: str) -> Any:
    """Return JSON in which one text is another."""
    if isinstance(data, Mapping):
        return {k: _renamed(v, old, new) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [_renamed(v, old, new) for v in data]
    return new if data == old else data
