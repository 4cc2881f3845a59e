"""The suggestions that can be answered, and what was done that can be taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from agent.suggestions import Action, Command, Member, Mode, Output, Resolution, Status, Suggestion, reopened
from devices.events import NOT_A_STATE, StateChange, utc
from devices.state import HomeState
from hunches.detector import Clear, Hunch

MAX_UNDO: Final = 200
"""How many acted suggestions can still be undone."""
REVERSAL: Final = timedelta(minutes=10)
"""A resident who puts a device back within this time takes our action back."""
JOIN: Final = timedelta(hours=1)
"""What is found within this time of a suggestion of the same group is part of it."""


@dataclass(slots=True)
class Alive:
    """A suggestion that can still be answered."""

    suggestion: Suggestion
    snoozed_until: datetime | None = None
    settled: set[str] = field(default_factory=set)  # members that are back to normal


@dataclass(slots=True)
class Done:
    """What was done for a suggestion, and the states before it."""

    suggestion: Suggestion
    before: tuple[Action, ...]
    at: datetime


class Docket:
    """What lies before the residents. An abnormal stretch of an entity is told once, whatever becomes of it.

    Memory: what is alive, one note for each entity that is abnormal now, and `MAX_UNDO` actions.
    """

    def __init__(self) -> None:
        self.alive: dict[str, Alive] = {}
        self._told: dict[str, dict[str, str]] = {}  # entity -> abnormal state -> detector that clears it
        self._confirmed: set[tuple[str, str]] = set()  # (entity, state) that a resident called abnormal
        self._done: dict[str, Done] = {}

    # -- opening ----------------------------------------------------------------------------------

    def told(self, hunch: Hunch) -> bool:
        """Whether this stretch of the abnormal has had its suggestion."""
        return hunch.raised_for in self._told.get(hunch.entity_id, ())

    def note(self, hunch: Hunch) -> None:
        """Remember that it has been told."""
        self._told.setdefault(hunch.entity_id, {})[hunch.raised_for] = (
            hunch.detector if hunch.clears_itself else ""
        )

    def open(self, suggestion: Suggestion) -> None:
        """Lay a suggestion before the residents."""
        self.alive[suggestion.id] = Alive(suggestion)

    def companion(self, detector: str, group: str, at: datetime) -> Alive | None:
        """Return a suggestion that a finding of the same detector and group belongs to."""
        for alive in self.alive.values():
            s = alive.suggestion
            if s.detector == detector and s.group == group and at - s.raised_at <= JOIN:
                return alive if alive.snoozed_until is None and s.mode is not Mode.ACT else None
        return None

    # -- settling ---------------------------------------------------------------------------------

    def left(self, change: StateChange) -> list[Output]:
        """Take back what an entity's change to another state has settled."""
        if change.new in NOT_A_STATE:
            return []
        entity_id, new = change.entity_id, change.new
        if entity_id in self._told:
            self._forget_told(entity_id, lambda state, clears: not clears and state != new)
        if not self.alive:
            return []  # the usual case
        why = f"became {new} ({change.origin.value})"
        return self._settle(
            entity_id, lambda s, m: not s.clears_itself and m.raised_for != new, change.received_at, why
        )

    def cleared(self, clear: Clear, at: datetime) -> list[Output]:
        """Take back what a detector says is over."""
        told = self._told.get(clear.entity_id)
        if told is None or clear.detector not in told.values():
            return []  # the usual case: nothing was told
        self._forget_told(clear.entity_id, lambda _state, clears: clears == clear.detector)
        return self._settle(
            clear.entity_id, lambda s, _m: s.clears_itself and s.detector == clear.detector, at, clear.why
        )

    def _forget_told(self, entity_id: str, over: Callable[[str, str], bool]) -> None:
        """Forget the stretches, given as abnormal state and detector that clears it, that are over."""
        still = {
            state: clears for state, clears in self._told.pop(entity_id).items() if not over(state, clears)
        }
        if still:
            self._told[entity_id] = still

    def _settle(
        self, entity_id: str, over: Callable[[Suggestion, Member], bool], at: datetime, why: str
    ) -> list[Output]:
        """Settle an entity's part in suggestions; close those of which every part is settled."""
        out: list[Output] = []
        for alive in list(self.alive.values()):
            s = alive.suggestion
            if s.mode is Mode.ACT and not s.clears_itself:
                continue  # our own doing is announced until somebody takes it back
            alive.settled |= {entity_id for m in s.members if m.entity_id == entity_id and over(s, m)}
            if len(alive.settled) == len(s.members):
                out.append(self.close(s, Status.RESOLVED, at, f"{entity_id} {why}"))
        return out

    def expired(self, at: datetime) -> list[Suggestion]:
        """Return what hasn't been answered in time."""
        return [a.suggestion for a in self.alive.values() if at >= a.suggestion.expires_at]

    def woken(self, at: datetime) -> list[Suggestion]:
        """Reopen what was snoozed until now."""
        again = []
        for alive in list(self.alive.values()):
            if alive.snoozed_until is not None and at >= alive.snoozed_until:
                alive.suggestion, alive.snoozed_until = reopened(alive.suggestion, at), None
                again.append(alive.suggestion)
        return again

    def snooze(self, alive: Alive, at: datetime, span: timedelta) -> Resolution:
        """Put a suggestion off."""
        s, alive.snoozed_until = alive.suggestion, at + span
        alive.suggestion = replace(s, expires_at=max(s.expires_at, at + span + timedelta(hours=1)))
        return Resolution(s.id, Status.SNOOZED, at)

    def close(self, suggestion: Suggestion, status: Status, at: datetime, why: str = "") -> Resolution:
        """End the life of a suggestion."""
        self.alive.pop(suggestion.id, None)
        return Resolution(suggestion.id, status, at, why)

    # -- acting -----------------------------------------------------------------------------------

    def act(self, suggestion: Suggestion, home: HomeState, at: datetime) -> list[Output]:
        """Command what a suggestion is for, and remember how it was."""
        alive = self.alive.get(suggestion.id)
        actions = [a for a in suggestion.actions if alive is None or a.entity_id not in alive.settled]
        before = tuple(
            Action(a.entity_id, known.state)
            for a in actions
            if (known := home.get(a.entity_id)) and known.state not in NOT_A_STATE
        )
        if before:
            self._done[suggestion.id] = Done(suggestion, before, at)
            while len(self._done) > MAX_UNDO:
                del self._done[next(iter(self._done))]
        return [Command(suggestion.id, a.entity_id, a.state, at, targets=a.targets) for a in actions]

    def undo(self, suggestion_id: str, at: datetime) -> tuple[Suggestion, list[Output]] | None:
        """Command the states before; None where there is nothing to undo."""
        done = self._done.pop(suggestion_id, None)
        if done is None:
            return None
        back = [Command(suggestion_id, a.entity_id, a.state, at, undo=True) for a in done.before]
        return done.suggestion, [self.close(done.suggestion, Status.UNDONE, at), *back]

    def reversed_by(self, change: StateChange) -> Suggestion | None:
        """Return the suggestion whose action a resident has just taken back by hand."""
        if not self._done or not change.by_resident:
            return None
        for done in reversed(self._done.values()):
            if change.received_at - done.at > REVERSAL:
                return None
            if Action(change.entity_id, change.new) in done.before:
                del self._done[done.suggestion.id]
                return done.suggestion
        return None

    @property
    def last_done(self) -> str | None:
        """The id of the latest suggestion that can be undone."""
        return next(reversed(self._done), None)

    # -- what residents confirmed -----------------------------------------------------------------

    def confirm(self, suggestion: Suggestion) -> None:
        """Note that a resident agreed: how long this stretch lasts is nothing to learn from."""
        self._confirmed |= {(m.entity_id, m.raised_for) for m in suggestion.members}

    def ends_confirmed(self, change: StateChange) -> bool:
        """Whether a change ends a stretch that a resident called abnormal; asked once."""
        if not self._confirmed:
            return False  # the usual case
        stretch = (change.entity_id, change.old or "")
        if stretch not in self._confirmed:
            return False
        self._confirmed.discard(stretch)
        return True

    # -- keeping ----------------------------------------------------------------------------------

    def forget(self, entity_id: str) -> list[Suggestion]:
        """Drop what is known of an entity; return the suggestions about it."""
        self._told.pop(entity_id, None)
        self._confirmed = {c for c in self._confirmed if c[0] != entity_id}
        return [a.suggestion for a in self.alive.values() if a.suggestion.entity_id == entity_id]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "alive": [
                [a.suggestion.to_dict(), a.snoozed_until and a.snoozed_until.isoformat(), sorted(a.settled)]
                for a in self.alive.values()
            ],
            "told": self._told,
            "confirmed": sorted(map(list, self._confirmed)),
            "done": [
                [d.suggestion.to_dict(), [[a.entity_id, a.state] for a in d.before], d.at.isoformat()]
                for d in self._done.values()
            ],
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        for body, snoozed, settled in data["alive"]:
            suggestion = Suggestion.from_dict(body)
            self.alive[suggestion.id] = Alive(suggestion, utc(snoozed) if snoozed else None, set(settled))
        self._told = {e: dict(told) for e, told in data["told"].items()}
        self._confirmed = {(e, state) for e, state in data["confirmed"]}
        for body, before, at in data["done"]:
            suggestion = Suggestion.from_dict(body)
            self._done[suggestion.id] = Done(suggestion, tuple(Action(*a) for a in before), utc(at))
