"""Who caused a change: a person, a hand at the device, an automation, or ourselves."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from devices.commands import target_state
from devices.events import NOT_A_STATE, Origin, Source, StateChange
from devices.expectations import Expectation, Expectations, met
from devices.provenance_rules import BY_HAND, HELPERS, OPPOSITE, POLLED, READ_ONLY, entities_of

HaContext = tuple[str, str | None, str | None]
"""Home Assistant's context of an event: (id, parent id, user id)."""
Verdict = tuple[Origin, float]
"""An origin and the confidence in it, 0 to 1."""

_NOBODY: Final[Verdict] = (Origin.UNKNOWN, 0.0)
_OURS: Final[Verdict] = (Origin.AGENT, 0.99)
_HAND: Final[Verdict] = (Origin.PHYSICAL, 0.8)
_COMMANDED: Final[Verdict] = (Origin.UNKNOWN, 0.5)  # by software, but who told it can't be known
_LATE: Final = 0.8  # factor on the confidence when only entity, state and time tie a change to a command
_ANSWER: Final = timedelta(seconds=30)  # Home Assistant's answer to a call of ours
_ECHO: Final = timedelta(seconds=2)
_SET_WINDOW: Final = timedelta(seconds=5)
_MAX_OWN_CALLS: Final = 256


@dataclass(slots=True)
class _Action:
    """What is known of one context id."""

    parent: str | None
    user: str | None
    seen: datetime
    ours: bool = False
    runs: str | None = None  # the automation or script that runs in it
    calls: int = 0
    rounds: int = 1  # how often it may move one entity that follows
    moved: dict[tuple[str, Source], int] = field(default_factory=dict)


@dataclass(slots=True)
class _OwnCall:
    """A service call of ours; `bound` is the context that it was taken for before the answer came."""

    domain: str
    service: str
    entities: tuple[str, ...]
    expectations: list[Expectation]
    at: datetime
    bound: str | None = None

    def is_the(self, domain: str, service: str, entities: tuple[str, ...], now: datetime) -> bool:
        same = self.domain == domain and self.service == service and self.entities == entities
        return same and now - self.at < _ANSWER


@dataclass(slots=True)
class _View:
    """The last that one source said of an entity."""

    state: str
    verdict: Verdict
    context_id: str | None
    usual: Verdict  # when nothing asked for the change


class Provenance:
    """Classifies changes from the facts that Home Assistant and our own commands give.

    Home Assistant's context says who called a service, but a device keeps a call's context for 5 s, so a
    hand at the switch 2 s after a command carries the caller's. Hence: **one action per context**. Every
    service call lays down an expectation (entity, target state, until); the first change that meets it is
    the command's, and a different change in the same context is a hand. A call within an automation lays
    down its own, so on - delay - off in one context is all the automation's. Each source (WebSocket,
    statestream, native topics) sees the same change once, so each may meet an expectation once.

    In order of preference for a change with a context: ours -> AGENT; an automation or script runs in it, or
    it has a parent -> AUTOMATION (also when a person started that by hand: see `evidence`); a user ->
    PERSON, or AUTOMATION for the users that are no persons; a call by nobody (HomeKit, Assist) -> UNKNOWN;
    nothing -> an expectation of the entity that is still open (a device that answered late, a cover that
    arrived), else PHYSICAL. Without a context: an open expectation, else what the decoder found.

    Parameters
    ----------
    non_persons
        Ids of users that are software ("Supervisor", Node-RED's own user, …).
    dedicated_user
        Whether our token belongs to a user of our own; if so every action of that user is ours.
    keep, max_contexts
        How long, and how many, contexts are remembered.

    Memory: one view an entity and source, `max_contexts` contexts and commanded entities. Time: O(1).

    >>> from devices.events import utc
    >>> t = utc("2024-01-01T08:00:00+00:00")
    >>> who = Provenance()
    >>> who.service_called(("c1", None, "anna"), "light", "turn_on", {"entity_id": "light.hall"}, t)
    >>> def heard(state: str, at: datetime) -> StateChange:
    ...     return StateChange("light.hall", state, at, at, source=Source.HOME_ASSISTANT)
    >>> who.classify(heard("on", t), context=("c1", None, "anna"), now=t)
    (<Origin.PERSON: 'person'>, 0.95)
    >>> later = t + timedelta(seconds=2)
    >>> who.classify(heard("off", later), context=("c1", None, "anna"), now=later)
    (<Origin.PHYSICAL: 'physical'>, 0.8)
    """

    def __init__(
        self,
        *,
        non_persons: Iterable[str] = (),
        dedicated_user: bool = False,
        keep: timedelta = timedelta(hours=1),
        max_contexts: int = 4096,
    ) -> None:
        self.own_user: str | None = None
        self.non_persons = set(non_persons)
        self.dedicated_user = dedicated_user
        self.keep = keep
        self.max_contexts = max_contexts
        self._contexts: OrderedDict[str, _Action] = OrderedDict()
        self._expected = Expectations(max_contexts)
        self._views: dict[tuple[str, Source], _View] = {}
        self._own: OrderedDict[int, _OwnCall] = OrderedDict()
        self._handles = 0

    # -- facts ------------------------------------------------------------------------------------

    def own_call(self, domain: str, service: str, data: Mapping[str, Any], now: datetime) -> int:
        """Say that we are about to call a service; the handle is for `own_result` or `own_failed`."""
        entities = entities_of(data)
        made = [self._expected.add(e, self._target(e, service, data, now), now) for e in entities]
        self._handles += 1
        self._own[self._handles] = _OwnCall(domain, service, entities, made, now)
        if len(self._own) > _MAX_OWN_CALLS:
            self._own.popitem(last=False)
        return self._handles

    def own_result(self, handle: int, context_id: str, now: datetime) -> None:
        """Say which context Home Assistant gave to our call."""
        call = self._own.pop(handle, None)
        if call is not None:
            if call.bound not in {None, context_id} and (wrong := self._contexts.get(call.bound or "")):
                wrong.ours = False  # somebody made the same call at the same moment
            self._bind(call, context_id, now)

    def own_failed(self, handle: int) -> None:
        """Say that our call was refused, so nothing will come of it."""
        if (call := self._own.pop(handle, None)) is not None:
            for entity_id in call.entities:
                self._expected.discard(entity_id, call.expectations)

    def service_called(
        self, context: HaContext, domain: str, service: str, data: Mapping[str, Any], now: datetime
    ) -> None:
        """Take in a `call_service` event."""
        action = self._action(context, now)
        action.calls += 1
        entities = entities_of(data)
        for call in self._own.values():
            if call.bound is None and call.is_the(domain, service, entities, now) and self._ours(context):
                self._bind(call, context[0], now)
                return
        if not entities:  # an area or a label: who belongs to it isn't said
            action.rounds = max(action.rounds, action.calls)
        for entity_id in entities:
            target = self._target(entity_id, service, data, now)
            self._expected.add(entity_id, target, now, context_id=context[0])
            mine = sum(e.context_id == context[0] for e in self._expected.of(entity_id, now))
            action.rounds = max(action.rounds, mine)

    def automation_triggered(self, context: HaContext, entity_id: str, now: datetime) -> None:
        """Take in an `automation_triggered` or `script_started` event."""
        self._action(context, now).runs = entity_id

    def expect(
        self, entity_id: str, target: str | None, now: datetime, until: datetime | None = None
    ) -> None:
        """Say that we commanded a device outside Home Assistant (on its own topics)."""
        self._expected.add(entity_id, target, now, until=until)

    def command_seen(self, entity_id: str, target: str | None, now: datetime) -> None:
        """Say that a command passed by on MQTT (`…/set`); the echo of one that is known is left alone."""
        if not any(not e.met and now - e.at < _ECHO for e in self._expected.of(entity_id, now)):
            self._expected.add(entity_id, target, now, until=now + _SET_WINDOW, seen_only=True)

    def forget(self, entity_id: str) -> None:
        """Drop what is known of an entity."""
        self._expected.forget(entity_id)
        for source in Source:
            self._views.pop((entity_id, source), None)

    # -- the question -----------------------------------------------------------------------------

    def classify(self, change: StateChange, *, context: HaContext | None, now: datetime) -> Verdict:
        """Return who caused a change. Feed every change of a source, in the source's own order."""
        if context is None and change.entity_id.startswith("sensor."):
            return change.origin, change.confidence  # a measurement: nobody's action, and most of the traffic
        key = (change.entity_id, change.source)
        view = self._views.get(key)
        context_id = context[0] if context is not None else None
        if view is None:
            verdict = self._judge(change, context, now)
            self._views[key] = _View(change.new, verdict, context_id, _unasked(change))
            return verdict
        if context is None and change.entity_id not in self._expected and self._plain(view, change):
            view.state, view.verdict = change.new, view.usual
            return view.usual
        within = (
            self._expected.of(change.entity_id, now) if context is None else view.context_id == context_id
        )
        if within and view.state == change.new:
            return view.verdict  # attributes only, within one action
        verdict = _NOBODY if view.state in NOT_A_STATE else self._judge(change, context, now)
        view.state, view.verdict, view.context_id = change.new, verdict, context_id
        return verdict

    def evidence(self, context_id: str) -> str:
        """Describe the chain of contexts behind a change: "automation.dusk, run by a person"."""
        said: list[str] = []
        at: str | None = context_id
        while at is not None and len(said) < 8 and (action := self._contexts.get(at)) is not None:
            if action.ours:
                said.append("by Inkling")
            elif action.runs is not None:
                said.append(action.runs)
            if action.user is not None and not action.ours:
                who = "software" if action.user in self.non_persons else "a person"
                said.append(f"run by {who}" if said else f"by {who}")
            at = action.parent if action.parent != at else None
        return ", ".join(said)

    # -- how it is decided ------------------------------------------------------------------------

    @staticmethod
    def _plain(view: _View, change: StateChange) -> bool:
        """Whether nothing is to be weighed: most of what sensors say on their own topics."""
        known = view.state not in NOT_A_STATE and change.new not in NOT_A_STATE
        return known and change.confidence == 0 and not change.retained

    def _judge(self, change: StateChange, context: HaContext | None, now: datetime) -> Verdict:
        if change.retained or change.new in NOT_A_STATE:
            return _NOBODY
        expected = self._expected.of(change.entity_id, now)
        if context is not None:
            verdict = self._by_context(context)
            if verdict is not None:
                return self._first_or_hand(change, context, verdict, expected)
        native = _NOBODY if change.source is Source.HOME_ASSISTANT else (change.origin, change.confidence)
        if native[0] is Origin.PHYSICAL and native[1] >= 0.9:
            return native  # the device says that a hand was at its switch
        if expected:
            if (hit := met((e for e in expected if not e.seen_only), change)) is not None:
                origin, confidence = self._of(hit)
                return origin, confidence * _LATE
            if native[1] <= _COMMANDED[1] and met((e for e in expected if e.seen_only), change) is not None:
                return _COMMANDED
        return native if native[1] > 0 else _unasked(change)

    def _by_context(self, context: HaContext) -> Verdict | None:
        """Return what the context says by itself; None: nothing, so nobody called anything."""
        context_id, parent, user = context
        action = self._contexts.get(context_id)
        if action is not None and action.ours:
            return _OURS
        if action is not None and action.runs is not None:
            return Origin.AUTOMATION, 0.99
        if user is not None:
            if user == self.own_user:
                return (Origin.AGENT, 0.9) if self.dedicated_user else (Origin.PERSON, 0.85)
            return (Origin.AUTOMATION, 0.9) if user in self.non_persons else (Origin.PERSON, 0.95)
        if parent is not None:
            return Origin.AUTOMATION, 0.9
        return _COMMANDED if action is not None and action.calls else None

    def _first_or_hand(
        self, change: StateChange, context: HaContext, verdict: Verdict, expected: list[Expectation]
    ) -> Verdict:
        """Keep to one action per context: the first change that meets the command is the command's."""
        if verdict is not _OURS and self._ours(context):  # our call's answer may still be on its way
            ours = (e for e in expected if e.context_id is None and not e.seen_only)
            if met(ours, change) is not None:
                return _OURS
        by_hand = change.domain in BY_HAND
        mine = [e for e in expected if e.context_id == context[0]]
        if mine:
            return verdict if met(mine, change) is not None or not by_hand else _HAND
        # it follows (a template, a group, an area), or `call_service` isn't heard: for administrators only
        action = self._contexts.get(context[0]) or self._action(context, change.received_at)
        key = (change.entity_id, change.source)
        moved = action.moved[key] = action.moved.get(key, 0) + 1
        return verdict if moved <= action.rounds or not by_hand else _HAND

    def _ours(self, context: HaContext) -> bool:
        """Whether a context could be that of a call of ours."""
        return context[1] is None and (self.own_user is None or context[2] in {self.own_user, None})

    def _of(self, expectation: Expectation) -> Verdict:
        if expectation.context_id is None:
            return _OURS
        action = self._contexts.get(expectation.context_id)
        if action is None:
            return _COMMANDED
        return self._by_context((expectation.context_id, action.parent, action.user)) or _COMMANDED

    # -- bookkeeping ------------------------------------------------------------------------------

    def _action(self, context: HaContext, now: datetime) -> _Action:
        context_id, parent, user = context
        action = self._contexts.get(context_id)
        if action is not None:
            action.seen = now
            self._contexts.move_to_end(context_id)
            return action
        action = self._contexts[context_id] = _Action(parent, user, now)
        oldest = next(iter(self._contexts.values()))
        while len(self._contexts) > self.max_contexts or oldest.seen < now - self.keep:
            self._contexts.popitem(last=False)
            oldest = next(iter(self._contexts.values()))
        return action

    def _bind(self, call: _OwnCall, context_id: str, now: datetime) -> None:
        call.bound = context_id
        self._action((context_id, None, self.own_user), now).ours = True
        for expectation in call.expectations:
            expectation.context_id = context_id

    def _target(self, entity_id: str, service: str, data: Mapping[str, Any], now: datetime) -> str | None:
        """Return the state that a service will bring; for a toggle the opposite of what it will be then."""
        if not service.endswith("toggle"):
            return target_state(entity_id.partition(".")[0], service, data)
        expected = self._expected.of(entity_id, now)
        if expected and not expected[-1].met and expected[-1].target is not None:
            return OPPOSITE.get(expected[-1].target)
        for source in Source:  # best first
            if (view := self._views.get((entity_id, source))) is not None:
                return OPPOSITE.get(view.state)
        return None


def _unasked(change: StateChange) -> Verdict:
    """Judge a change that no command asked for."""
    domain = change.domain
    if domain in READ_ONLY:
        return Origin.PHYSICAL, 0.9
    if change.source is not Source.HOME_ASSISTANT:
        return _NOBODY  # somebody may have commanded it where we don't hear it
    if domain in HELPERS:
        return Origin.UNKNOWN, 0.3  # no hand can move these, so software did
    return Origin.PHYSICAL, 0.6 if domain in POLLED else 0.9
