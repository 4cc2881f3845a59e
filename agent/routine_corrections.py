"""Routines that change themselves: what residents make of their runs, offered as a change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Final

from agent.docket import Docket
from agent.policy import Policy
from agent.requests import Adopt
from agent.routine_wording import another_time, delivered, more_steps, rewording
from agent.suggestions import Command, Mode, Output, Severity, Standing, Suggestion, Verdict
from devices.context import Context
from devices.events import Origin, StateChange
from devices.state import HomeState
from routines.actions import seen_of
from routines.chains import Turn
from routines.correction import Corrections
from routines.rewriting import Change, Rewrite, rewrite
from routines.routine import AtTime, OnState, Routine, Step

if TYPE_CHECKING:
    from agent.routine_entry import Entry

SHIFTED_MIN: Final = 15
"""Minutes by which a habit's time must have shifted, at least, to ask whether the routine should follow."""
_SOON: Final = timedelta(minutes=1)
"""How late Home Assistant may be with a step."""
_REFUSED: Final = 20


class CorrectionBook:
    """Notes the runs of accepted routines, whoever carries them out, and says which should change, and how.

    Memory: that of `Corrections`, and the last `_REFUSED` refusals of each routine.
    """

    def __init__(self, docket: Docket, home: HomeState, policy: Policy, entries: Mapping[str, Entry]) -> None:
        self.docket = docket
        self.home = home
        self.policy = policy
        self.entries = entries
        self.corrections = Corrections(self._kept)
        self._refused: dict[str, list[str]] = {}

    def _kept(self, routine_id: str) -> None:
        """Note that a run was let be: where nothing was asked, this is what a yes would be."""
        entry = self.entries.get(routine_id)
        if entry is not None and entry.mode is Mode.ACT:
            entry.declined = max(0, entry.declined - 1)

    # -- what is carried out ----------------------------------------------------------------------

    def begin(self, suggestion: Suggestion, commands: Iterable[Command], at: datetime) -> None:
        """Note that Inkling carries a routine out, and the steps that it takes at once."""
        entry = self.entries.get(suggestion.context_key)
        if entry is not None:
            entry.needed = at
        if entry is not None and self.policy.may_learn:
            self.corrections.begin(entry.routine, suggestion.id, at)
            self.commanded(commands)

    def commanded(self, commands: Iterable[Command]) -> None:
        """Note that Inkling takes steps."""
        for command in commands:
            self._commanded(command)

    def _commanded(self, command: Command) -> None:
        entry = self.entries.get(self.corrections.routine_of(command.suggestion_id) or "")
        known = self.home.get(command.entity_id)
        if entry is None or known is None:
            return
        for step in entry.routine.steps:
            if (step.entity_id, step.state) == (command.entity_id, command.state):
                self.corrections.take(entry.routine, step, known.state, command.at)

    def _automated(self, change: StateChange, zone: tzinfo) -> None:
        """Note that Home Assistant takes a step, maybe the first of a run."""
        at, seen = change.received_at, seen_of(change.entity_id, change.new, change.attributes)
        for entry in self.entries.values():
            if not entry.elsewhere or entry.standing is not Standing.ACCEPTED:
                continue
            routine = entry.routine
            for step in routine.steps:
                if (step.entity_id, step.state) != (change.entity_id, seen.state):
                    continue
                if not self.corrections.expects(routine, step, at):
                    if not _is_due(routine, step, at, self.home, zone):
                        continue
                    entry.needed = at
                    self.corrections.begin(routine, f"{routine.id} {at.isoformat()}", at)
                self.corrections.take(routine, step, change.old or "", at)

    # -- what residents make of it ----------------------------------------------------------------

    def observe(self, change: StateChange, zone: tzinfo, *, usual: bool) -> list[tuple[Entry, Turn]]:
        """Take a change in, `usual` as the end of a use; return the routines it takes back, or restores."""
        learns = self.policy.may_learn
        if change.origin is Origin.AUTOMATION and change.trains and learns:
            self._automated(change, zone)
        if not self.corrections.follows(change.entity_id):
            return []
        known = self.home.get(change.entity_id)
        if change.retained or known is None or change.new != known.state:
            return []
        by = change.origin if learns else Origin.UNKNOWN  # of a guest, nothing is learned
        seen = seen_of(change.entity_id, known.state, known.attributes)
        told = self.corrections.observe(change.entity_id, seen, by, change.received_at, usual=usual)
        return [(entry, turn) for routine_id, turn in told if (entry := self.entries.get(routine_id))]

    def taken_back(self, suggestion_id: str) -> None:
        """Note that what was done for a suggestion was undone."""
        self.corrections.taken_back(suggestion_id)

    # -- what is offered --------------------------------------------------------------------------

    def settle(self, at: datetime) -> None:
        """Let time pass."""
        self.corrections.settle(at)

    def propose(self, at: datetime, context: Context) -> list[Output]:
        """Offer the next change of a routine that its residents keep making."""
        ready = self.corrections.ready
        if not ready or not self.policy.may_ask(at):
            return []
        entry = self.entries.get(ready.pop(0))
        offer = self.offer(entry) if entry is not None else None
        if entry is None or offer is None or not self.policy.may_propose(offer.routine, at):
            return []
        asked = rewording(entry.routine, offer, self.home, at, context.local.tzinfo)
        asked = delivered(asked, self.policy.deliver_at(at, context, Severity.INFO))
        self.docket.open(asked)
        return [asked]

    def follow(self, before: Routine, found: Routine, at: datetime, context: Context) -> list[Output]:
        """Ask whether a routine should follow a habit that has another time now, as in another season."""
        was, now = before.trigger, found.trigger
        if not (isinstance(was, AtTime) and isinstance(now, AtTime)) or self.policy.config.trial:
            return []
        if was.apart(now.minute) <= max(SHIFTED_MIN, now.early_min + now.late_min):
            return []
        return self._ask(another_time(before, found, at), found, context)

    def grow(self, before: Routine, found: Routine, at: datetime, context: Context) -> list[Output]:
        """Ask whether a routine should do what has turned out to be part of its habit."""
        return self._ask(more_steps(before, found, at), found, context)

    def _ask(self, asked: Suggestion, found: Routine, context: Context) -> list[Output]:
        at, refused = asked.raised_at, self._refused.get(asked.context_key, ())
        if asked.evidence["rewrite"]["key"] in refused or not self.policy.may_propose(found, at):
            return []
        asked = delivered(asked, self.policy.deliver_at(at, context, Severity.INFO))
        self.docket.open(asked)
        return [asked]

    def offer(self, entry: Entry) -> Rewrite | None:
        """Return the change of a routine that is likeliest to be kept, if any is worth a question."""
        routine = entry.routine
        found = rewrite(routine, self.corrections, self._refused.get(routine.id, ()))
        taken = found is not None and found.routine.id != routine.id and found.routine.id in self.entries
        return None if taken or entry.standing is not Standing.ACCEPTED else found

    def mends(self, entry: Entry) -> bool:
        """Whether a routine that is put back would be kept with a step less, or later."""
        offer = self.offer(entry)
        return offer is not None and offer.change in {Change.DROP, Change.DELAY}

    def asked(self, suggestion: Suggestion) -> bool:
        """Whether a suggestion is an offer to change a routine."""
        return "rewrite" in suggestion.evidence

    def answered(self, suggestion: Suggestion, verdict: Verdict, at: datetime) -> list[Adopt]:
        """Return the change that a resident has agreed to; what is refused isn't offered again."""
        was = suggestion.context_key
        if verdict is Verdict.ACCEPTED:
            after = Routine.from_dict(suggestion.evidence["routine"])
            return [Adopt(at, after, self.entries[was].mode, replaces=was if after.id != was else None)]
        if verdict is not Verdict.IGNORED:
            refused = self._refused.setdefault(was, [])
            refused.append(suggestion.evidence["rewrite"]["key"])
            del refused[:-_REFUSED]
        return []

    def adjusted(self, entity_id: str) -> bool:
        """Whether a resident has adjusted what a step did to an entity."""
        return self.corrections.adjusted(entity_id)

    @property
    def revision(self) -> int:
        """Counts the changes of `records`."""
        return self.corrections.revision

    def records(self) -> dict[str, Any]:
        """Return how the runs of each routine went, for other processes."""
        last = {i: e.needed.isoformat() for i, e in self.entries.items() if e.accepted and e.needed}
        return {i: {**asdict(of), "last": last.get(i)} for i, of in self.corrections.records.items()}

    # -- keeping ----------------------------------------------------------------------------------

    def restart(self, routine_id: str) -> None:
        """Forget what was kept: the routine is another one now."""
        self.corrections.restart(routine_id)
        self._refused.pop(routine_id, None)

    def forget(self, routine_id: str) -> None:
        """Drop a routine."""
        self.corrections.forget(routine_id)
        self._refused.pop(routine_id, None)

    def rename(self, old: Routine, new: Routine) -> None:
        """Carry on with a routine under its new id."""
        self.corrections.rename(old, new)
        self._refused.pop(old.id, None)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {"runs": self.corrections.to_dict(), "refused": self._refused}

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self.corrections.load(data["runs"])
        self._refused = {routine_id: list(keys) for routine_id, keys in data["refused"].items()}


def _is_due(routine: Routine, step: Step, at: datetime, home: HomeState, zone: tzinfo) -> bool:
    """Whether a step may have been taken by the routine's automation: its trigger came so long ago."""
    trigger, begun = routine.trigger, at - timedelta(seconds=step.delay_s)
    if isinstance(trigger, OnState):
        cue = home.get(trigger.entity_id)
        return cue is not None and abs(begun - cue.since) <= _SOON and _is_reached(cue.state, trigger.state)
    if isinstance(trigger, AtTime):
        local = begun.astimezone(zone)
        return trigger.apart(local.hour * 60 + local.minute) <= 1
    return True  # nobody else here knows when the sun does what


def _is_reached(state: str, wanted: str) -> bool:
    return state != "home" if wanted == "not_home" else state == wanted
