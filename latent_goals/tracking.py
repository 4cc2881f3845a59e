"""What is going on: goals that the resident has begun, what of them is done and what is left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any, Final, NamedTuple, Self

from devices.context import Context
from devices.events import NOT_A_STATE, StateChange
from devices.state import EntityState, HomeState
from latent_goals.actions import DIM, verb_of
from latent_goals.goal import Action, Goal, Implied, Pattern, Step, Withdrawn
from latent_goals.implications import Edge
from latent_goals.occasions import contexts_of
from latent_goals.slots import Key, attribute_of, kind_of, value_of
from latent_goals.timelines import on_the_clock
from latent_goals.trigger import Trigger

_REVERSIBLE: Final = frozenset({"light", "switch", "fan", "humidifier", "media_player", "input_boolean"})
_SETPOINTS: Final = frozenset({"lower", "raise"})
_SHORTEST: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Left:
    """A step that is left to do, bound to a thing."""

    entity_id: str
    verb: str
    value: float | str | None
    probability: float
    step: Pattern
    entry: Pattern  # what implied it


@dataclass(frozen=True, slots=True)
class Open:
    """A goal that the resident has begun."""

    goal_id: str
    room: str  # empty where the goal isn't one of any room
    at: float  # epoch seconds
    first: Key
    threshold: float
    left: tuple[Left, ...] = ()
    put_back: bool = False

    @property
    def occasion(self) -> str:
        """What it is known by."""
        return f"{self.goal_id}/{int(self.at)}{'/' if self.room else ''}{self.room}"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        left = tuple(
            Left(**{**s, "step": Pattern(**s["step"]), "entry": Pattern(**s["entry"])}) for s in data["left"]
        )
        return cls(**{**data, "first": tuple(data["first"]), "left": left})


@dataclass(slots=True)
class Known:
    """What the tracker goes by: goals and associations as they were learned."""

    goals: dict[str, Goal] = field(default_factory=dict)
    edges: dict[tuple[Pattern, Pattern], Edge] = field(default_factory=dict)
    entries: dict[Pattern, list[str]] = field(default_factory=dict)  # ids of the goals that begin so
    rooms: dict[str, str] = field(default_factory=dict)
    bound: dict[tuple[Key, Pattern], tuple[str, ...]] = field(default_factory=dict)
    """The things of a room that something of any room follows in, where the room has shown it."""

    def index(self) -> None:
        """Find the goals by their entries again."""
        self.entries = {}
        for goal_id, goal in sorted(self.goals.items()):
            for entry in goal.entries:
                self.entries.setdefault(entry, []).append(goal_id)


Findings = list[Implied | Withdrawn]


class Moment(NamedTuple):
    """Something that happens to a thing, and in what circumstances."""

    event: StateChange
    verb: str  # what the thing was told
    home: HomeState
    context: Context
    begins: bool  # whether a resident did it, or a sensor that something may follow from


class Tracker:
    """Follows the goals that have been begun. It changes nothing: it returns what they become.

    A goal begins when one of its entries happens and something is left to do that is likely enough, can be
    done, and isn't left to do for another goal already. What gets done, by whomever, leaves the list; a
    further entry may add to it. With nothing left, or when the first action is taken back, it is withdrawn.
    """

    def __init__(self, trigger: Trigger, known: Known) -> None:
        self.trigger = trigger
        self.known = known

    def change(self, now: Moment, open_: tuple[Open, ...]) -> tuple[Findings, tuple[Open, ...]]:
        """Return what an action means, and what is open after it."""
        at, entity_id = now.event.received_at.timestamp(), now.event.entity_id
        before = {one.occasion: one for one in open_}
        alive = [self._progress(one, (entity_id, now.verb)) for one in self.expire(open_, at)]
        if now.begins:
            for pattern in _patterns(entity_id, now.verb, now.home):
                for goal_id in self.known.entries.get(pattern, ()):
                    self._enter(self.known.goals[goal_id], pattern, now, alive)
        findings: Findings = []
        for one in alive:
            old = before.get(one.occasion)
            if one.left != (old.left if old else ()) or (one.put_back and one.left):
                findings.append(self._finding(one, now.home))
        return findings, tuple(one for one in alive if not one.put_back)

    def expire(self, open_: tuple[Open, ...], at: float) -> tuple[Open, ...]:
        """Return what is still open at a time."""
        goals = self.known.goals
        return tuple(o for o in open_ if o.goal_id in goals and at - o.at <= goals[o.goal_id].horizon_s)

    def pairs(self, goal: Goal, entry: Pattern, home: HomeState) -> Iterator[tuple[Key, Key]]:
        """Yield what an entry of a goal implies, thing by thing in all the rooms that it is for."""
        rooms = self.known.rooms if entry.any_room else {entry.target: ""}
        for entity_id, room in sorted(rooms.items()):
            if entry.any_room and kind_of(entity_id, home) != entry.target:
                continue
            first = (entity_id, entry.verb)
            for step in goal.steps:
                edge = self.known.edges.get((entry, step.pattern))
                if edge is not None and room not in edge.except_rooms:
                    yield from (
                        (first, (f, step.pattern.verb)) for f in self._bind(step.pattern, first, room, home)
                    )

    # -- beginning and going on ---------------------------------------------------------------------

    def _progress(self, one: Open, key: Key) -> Open:
        """Tick off what was done, by whomever."""
        entity_id, verb = key
        if entity_id == one.first[0] and verb != one.first[1] and entity_id.partition(".")[0] in _REVERSIBLE:
            return replace(one, put_back=True)
        return replace(one, left=tuple(s for s in one.left if (s.entity_id, s.verb) != key))

    def _enter(self, goal: Goal, entry: Pattern, now: Moment, alive: list[Open]) -> None:
        """Begin a goal, or add to one that has begun."""
        entity_id = now.event.entity_id
        room = self.known.rooms.get(entity_id, "") if entry.any_room else ""
        if entry.any_room and not room:
            return
        index = next((n for n, o in enumerate(alive) if (o.goal_id, o.room) == (goal.id, room)), None)
        others = {(s.entity_id, s.verb) for n, o in enumerate(alive) if n != index for s in o.left}
        threshold = self.trigger.threshold(now.context)
        likely = [
            s
            for s in self._steps(goal, entry, now, room)
            if s.probability >= threshold and (s.entity_id, s.verb) not in others
        ]
        if index is not None:
            known = {(s.entity_id, s.verb) for s in alive[index].left}
            more = tuple(s for s in likely if (s.entity_id, s.verb) not in known)
            alive[index] = replace(alive[index], left=alive[index].left + more)
        elif likely:
            at = now.event.received_at.timestamp()
            begun = Open(goal.id, room, at, (entity_id, entry.verb), round(threshold, 3), tuple(likely))
            alive.append(begun)

    def _steps(self, goal: Goal, entry: Pattern, now: Moment, room: str) -> Iterator[Left]:
        """Yield what the entry implies and is not done yet, bound to the things of the room."""
        event, daylight = now.event, now.context.daylight
        at = on_the_clock(event.received_at, now.context)
        circumstances = contexts_of(at, dark=None if daylight is None else not daylight)
        for step in (*goal.steps, Step(goal.first)):
            edge = self.known.edges.get((entry, step.pattern))
            if edge is None or room in edge.except_rooms:
                continue
            value = value_of(event.entity_id, event.attributes) if step.carried else step.value
            probability = self.trigger.probability(edge.tally, edge.background, circumstances)
            verb = step.pattern.verb
            for entity_id in self._bind(step.pattern, (event.entity_id, entry.verb), room, now.home):
                if _can_be_done(now.home.get(entity_id), entity_id, verb, value):
                    yield Left(entity_id, verb, value, round(probability, 3), step.pattern, entry)

    def _bind(self, step: Pattern, first: Key, room: str, home: HomeState) -> tuple[str, ...]:
        if not step.any_room:
            return (step.target,)
        shown = self.known.bound.get((first, step))
        if shown is not None:
            return shown
        there = (e for e, r in self.known.rooms.items() if r == room and e != first[0])
        of_kind = tuple(sorted(e for e in there if kind_of(e, home) == step.target))
        if len(of_kind) < 2:
            return of_kind
        roles = self._roles(step)
        return tuple(e for e in of_kind if self._role(e) in roles) or of_kind

    def _roles(self, step: Pattern) -> set[str]:
        """Return what the things are called that follow in the rooms that have shown it."""
        return {self._role(e) for (_, of), things in self.known.bound.items() if of == step for e in things}

    def _role(self, entity_id: str) -> str:
        """Return a thing's name without its room: `light.office_ceiling` is the "ceiling" of its room."""
        name = entity_id.partition(".")[2]
        return name.removeprefix(self.known.rooms.get(entity_id, "")).strip("_")

    # -- saying so ----------------------------------------------------------------------------------

    def _finding(self, one: Open, home: HomeState) -> Implied | Withdrawn:
        if one.put_back:
            return Withdrawn(one.goal_id, one.occasion, f"{one.first[0]} was put back")
        if not one.left:
            return Withdrawn(one.goal_id, one.occasion, "all of it has been done")
        goal = self.known.goals[one.goal_id]
        slowest = max(
            (edge.tally.delays for s in one.left if (edge := self.known.edges.get((s.entry, s.step)))),
            key=max, default=[0],
        )  # fmt: skip
        lasts = max(_SHORTEST, timedelta(seconds=max(slowest)))
        return Implied(
            goal=goal,
            occasion=one.occasion,
            actions=tuple(_action(s, home) for s in one.left),
            probability=min(s.probability for s in one.left),
            threshold=one.threshold,
            evidence=self._evidence(one),
            lasts=min(lasts, timedelta(seconds=goal.horizon_s)),
        )

    def _evidence(self, one: Open) -> dict[str, Any]:
        steps = []
        for s in one.left:
            edge = self.known.edges.get((s.entry, s.step))
            if edge is not None:
                counts = edge.tally.all
                without = round(counts.base(edge.background), 3)
                steps.append(
                    {"entity_id": s.entity_id, "state": s.verb, "probability": s.probability, "k": counts.k,
                     "n": counts.n, "without": without}
                )  # fmt: skip
        return {"first": {"entity_id": one.first[0], "state": one.first[1]}, "steps": steps, "room": one.room}


def _can_be_done(known: EntityState | None, entity_id: str, verb: str, value: float | str | None) -> bool:
    if known is None or known.state in NOT_A_STATE:
        return False
    if verb in _SETPOINTS:
        now = known.attributes.get("temperature")
        if not isinstance(now, int | float) or not isinstance(value, float):
            return False
        return now > value if verb == "lower" else now < value
    return verb_of(entity_id, known.state, known.attributes) != verb


def _action(left: Left, home: HomeState) -> Action:
    name, known = attribute_of(left.entity_id), home.get(left.entity_id)
    attributes: dict[str, Any] = {}
    if left.value is not None and name is not None and left.verb not in {"off", "closed"}:
        value = left.value
        attributes[name] = round(value) if isinstance(value, float) and name != "temperature" else value
    state = "on" if left.verb == DIM else left.verb
    if left.verb in _SETPOINTS and known is not None:
        state = known.state
    return Action(left.entity_id, state, attributes)


def _patterns(entity_id: str, verb: str, home: HomeState) -> tuple[Pattern, Pattern]:
    return Pattern(entity_id, verb), Pattern(kind_of(entity_id, home), verb, any_room=True)
