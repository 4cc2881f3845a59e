"""The routines of a home: what was proposed, accepted or refused, and what is being carried out now.

Mined -> proposal -> accepted -> it is time -> asks, or acts -> its steps, one by one
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any, Final

from agent.docket import Docket
from agent.moments import Moments
from agent.policy import Policy, is_harmless, may_run_unasked
from agent.requests import Adopt, Dismiss, Mined
from agent.routine_corrections import CorrectionBook
from agent.routine_entry import Entry, Off
from agent.routine_questions import Questions
from agent.routine_steps import Steps
from agent.routine_upkeep import Upkeep
from agent.routine_wording import is_time, proposal
from agent.suggestions import (
    Kind,
    Mode,
    Output,
    RoutineNews,
    Severity,
    Standing,
    Status,
    Suggestion,
    Verdict,
)
from devices.context import Context
from devices.events import StateChange, Tick
from devices.state import HomeState
from routines.chains import Turn
from routines.matching import Firing, Matcher, SunTimes
from routines.routine import Routine
from routines.usage import Usage

NEAR: Final = 0.6
"""Jaccard index of the steps from which a routine is the same as one that was refused."""
DECLINED: Final = 3
"""How many more "no" than "yes" retire a routine."""


class RoutineBook:
    """Proposes what was mined, one at a time, and carries out what was accepted.

    What a resident refused isn't proposed again, nor what is nearly the same; nor what an automation
    does already. In a trial (a backtest) a proposal counts as accepted, to ask each time.

    Memory: the routines that were ever proposed, and the steps that are due.
    """

    def __init__(
        self, docket: Docket, home: HomeState, policy: Policy, moments: Moments, sun: SunTimes
    ) -> None:
        self.docket = docket
        self.home = home
        self.policy = policy
        self.entries: dict[str, Entry] = {}
        self.corrected = CorrectionBook(docket, home, policy, self.entries)
        self.upkeep = Upkeep(docket, policy, self.entries)
        self.usage = Usage()
        self._questions = Questions(
            docket, home, policy, self.entries, self.corrected.corrections, moments=moments
        )
        self._matcher = Matcher((), sun=sun)
        self._steps = Steps(home)

    # -- what is offered --------------------------------------------------------------------------

    def mined(self, event: Mined, context: Context) -> list[Output]:
        """Propose the best of what was found; keep what is known up to date."""
        out: list[Output] = []
        for routine in event.routines:
            known = self.entries.get(routine.id)
            if known is not None and known.standing is Standing.PROPOSED:
                known.routine = routine  # the newest numbers, under the id that was proposed
            elif known is not None and known.accepted:
                if not self._waits():
                    out += self.corrected.follow(known.routine, routine, event.at, context)
            elif known is None and routine.id not in event.covered:
                out += self._found(routine, event.at, context)
        return out

    def _found(self, routine: Routine, at: datetime, context: Context) -> list[Output]:
        """Propose a routine that isn't nearly the same as another, or more of the same."""
        trial = self.policy.config.trial
        like = [e for e in self.entries.values() if e.routine.similarity(routine) >= NEAR]
        part = [e for e in self.entries.values() if e.accepted and routine.outgrows(e.routine)]
        if not all(e in part for e in like) or (self._waits() and not trial):
            return []
        if routine.is_limit and not may_run_unasked(routine, self.home):
            return []  # to be asked at each use whether it may end later is worse than ending it
        if part and not trial:
            return self.corrected.grow(part[0].routine, routine, at, context)
        return self._propose(routine, at, context) if self.policy.may_propose(routine, at) else []

    def _waits(self) -> bool:
        return any(a.suggestion.kind is Kind.ROUTINE_PROPOSED for a in self.docket.alive.values())

    def _propose(self, routine: Routine, at: datetime, context: Context) -> list[Output]:
        mode = Mode.ACT if may_run_unasked(routine, self.home) else Mode.ASK
        self.entries[routine.id] = Entry(routine, Standing.PROPOSED, mode)
        suggestion = proposal(routine, mode, at, self.policy.deliver_at(at, context, Severity.INFO))
        out: list[Output] = [suggestion, RoutineNews(routine, Standing.PROPOSED, mode, at)]
        if self.policy.config.trial:
            return [*out, *self._stand(self.entries[routine.id], Standing.ACCEPTED, at, mode=Mode.ASK)]
        self.docket.open(suggestion)
        return out

    def answered(self, suggestion: Suggestion, verdict: Verdict, at: datetime) -> list[Output]:
        """Carry out a resident's answer to a proposal. Silence refuses nothing: it may come again."""
        entry = self.entries.get(suggestion.context_key)
        if entry is None:
            return []
        if self.corrected.asked(suggestion):
            return [o for a in self.corrected.answered(suggestion, verdict, at) for o in self.adopt(a)]
        if self.upkeep.asked(suggestion):
            gone = self.upkeep.answered(suggestion, verdict, at)
            return [] if gone is None else self.dismiss(gone)
        if verdict is Verdict.ACCEPTED:
            return self._stand(entry, Standing.ACCEPTED, at)
        if verdict is Verdict.IGNORED:
            del self.entries[suggestion.context_key]
            return []
        return self._stand(entry, Standing.REJECTED, at)

    def adopt(self, event: Adopt) -> list[Output]:
        """Take a routine on as a resident wants it, whatever it was before."""
        out = self._close(event.replaces or event.routine.id, event.at, "changed")
        if event.replaces is not None and (old := self.entries.pop(event.replaces, None)) is not None:
            out += self._stand(old, Standing.RETIRED, event.at, why="changed")
        known = self.entries.get(event.routine.id)
        if known is not None and known.routine != event.routine:
            self.corrected.restart(event.routine.id)
        mode = event.mode if is_harmless(event.routine, self.home) else Mode.ASK
        entry = Entry(event.routine, Standing.PROPOSED, mode, event.elsewhere)
        if known is not None:
            entry.off = known.off
        self.entries[event.routine.id] = entry
        return out + self._stand(entry, Standing.ACCEPTED, event.at)

    def dismiss(self, event: Dismiss) -> list[Output]:
        """Let a routine go, for good."""
        entry = self.entries.get(event.routine_id)
        if entry is None:
            return []
        standing = Standing.RETIRED if entry.standing is Standing.ACCEPTED else Standing.REJECTED
        out = self._close(event.routine_id, event.at, event.why)
        return out + self._stand(entry, standing, event.at, why=event.why)

    def heard(self, suggestion: Suggestion, verdict: Verdict, at: datetime) -> list[Output]:
        """Learn from the answer to a routine's question, or from an undo of what it did."""
        entry = self.entries.get(suggestion.context_key)
        if entry is None:
            return []
        if verdict is Verdict.INTENTIONAL:
            return self.dismiss(Dismiss(at, suggestion.context_key, "not wanted"))
        if verdict is Verdict.UNDONE:
            return self._decline(entry, at, undone=True)
        if verdict is Verdict.ACCEPTED:
            entry.declined = max(0, entry.declined - 1)
        out = self._watched(self._questions.judge(suggestion, verdict, at))
        return out + (self._decline(entry, at, undone=False) if verdict is Verdict.REJECTED else [])

    def _decline(self, entry: Entry, at: datetime, *, undone: bool) -> list[Output]:
        """Count a no. What is undone and would do with a step less, or later, is offered so instead."""
        entry.declined += 1
        if entry.declined < DECLINED or (undone and self.corrected.mends(entry)):
            return []
        return self.dismiss(Dismiss(at, entry.routine.id, f"declined {DECLINED} times"))

    def _stand(
        self, entry: Entry, standing: Standing, at: datetime, *, mode: Mode | None = None, why: str = ""
    ) -> list[Output]:
        entry.standing, entry.mode, entry.rests = standing, mode or entry.mode, False
        entry.elsewhere = entry.elsewhere and entry.accepted
        if entry.accepted:
            entry.needed = at
        else:
            entry.off = Off.NO
            self.corrected.restart(entry.routine.id)
        self._watch()
        return [entry.news(at, why), *(self._outgrown(entry.routine, at) if entry.accepted else ())]

    def _outgrown(self, routine: Routine, at: datetime) -> Iterator[Output]:
        """Retire what has become part of a routine."""
        for entry in self.entries.values():
            if entry.accepted and routine.outgrows(entry.routine):
                yield from self._stand(entry, Standing.RETIRED, at, why=f"part of {routine.name}")

    def _watch(self) -> None:
        self._matcher.watch([e.routine for e in self.entries.values() if e.ours])

    def _watched(self, out: list[Output]) -> list[Output]:
        """Return what has happened, after having taken note of what it means for who runs what."""
        if any(isinstance(o, RoutineNews) for o in out):
            self._watch()
        return out

    def _close(self, routine_id: str, at: datetime, why: str, *kinds: Kind) -> list[Output]:
        about = [
            a.suggestion
            for a in self.docket.alive.values()
            if a.suggestion.detector == "routine" and a.suggestion.context_key == routine_id
        ]
        return [self.docket.close(s, Status.RESOLVED, at, why) for s in about if not kinds or s.kind in kinds]

    # -- what residents make of it ----------------------------------------------------------------

    def asks_or_does(self, first: str, items: Collection[tuple[str, str]]) -> str | None:
        """Return why these states need no question of their own when a thing is used."""
        for entry in self.entries.values():
            if entry.accepted and entry.routine.covers(first, items):
                return f"a routine does it: {entry.routine.name}"
        moved = {entity_id for entity_id, _ in items}
        for alive in self.docket.alive.values():
            s = alive.suggestion
            if s.kind is Kind.ROUTINE and moved & {a.entity_id for a in s.actions}:
                return f"a routine has just asked: {s.title}"
        return None

    def served(self, change: StateChange) -> bool:
        """Whether a resident who ends what was done takes nothing back: it was adjusted, or used as ever."""
        return self.corrected.adjusted(change.entity_id) or self.usage.is_usual(change)

    def observe(self, change: StateChange, zone: tzinfo) -> list[Output]:
        """Take in what may correct a step that was taken: a light dimmed, a switch put back."""
        out: list[Output] = []
        if change.domain == "automation":
            out += self._watched(self.upkeep.automation(change))
        if change.old != change.new:
            self._steps.done(change.entity_id, change.new)
        usual = self.usage.is_usual(change)
        self.usage.observe(change, learns=self.policy.may_learn)
        for entry, turn in self.corrected.observe(change, zone, usual=usual):
            if turn is Turn.RETURNED:
                entry.declined = max(0, entry.declined - 1)
            elif entry.elsewhere:  # a reversal of what we did ourselves has its suggestion
                out += self._decline(entry, change.received_at, undone=True)
        return out

    # -- what is carried out ----------------------------------------------------------------------

    def step(self, event: StateChange | Tick, context: Context) -> list[Output]:
        """Return what a change or a tick starts, and the steps that are due."""
        out: list[Output] = []
        if isinstance(event, Tick):
            due = self._steps.due(event.at)
            self.corrected.commanded(due)
            self.corrected.settle(event.at)
            out += [*due, *self._offers(event.at, context)]
        elif self._questions.open:
            out += self._watched(self._questions.done_by_hand(event))
        at = event.at if isinstance(event, Tick) else event.received_at
        for firing in self._matcher.step(event, self.home, context):
            out += self._fire(firing, at, context)
        return out

    def _offers(self, at: datetime, context: Context) -> list[Output]:
        """Return what is to change: a step, or that a routine is no longer needed."""
        out = [] if self._waits() else self.corrected.propose(at, context)
        if self.policy.config.trial:
            return out  # nobody answers: silence speaks against nothing
        out += self._watched(self.upkeep.rest(at))
        return out if self._waits() else out + self.upkeep.propose(at, context)

    def _fire(self, firing: Firing, at: datetime, context: Context) -> list[Output]:
        entry = self.entries[firing.routine.id]
        if not self.policy.may_run(entry.routine) or self._questions.spared(entry, at, context):
            return []
        closed = self._watched(self._questions.unanswered(firing.routine.id, at))
        closed += self._close(firing.routine.id, at, "asked anew", Kind.ROUTINE)
        suggestion = is_time(firing, Mode.ASK if entry.asks else Mode.ACT, at)
        self.docket.open(suggestion)
        if not entry.asks:
            commands = self.docket.act(suggestion, self.home, at)
            return [*closed, suggestion, *self.paced(suggestion, commands, at)]
        self._questions.ask(suggestion, at, context)
        return [*closed, suggestion]

    def paced(self, suggestion: Suggestion, commands: Iterable[Output], at: datetime) -> list[Output]:
        """Return the commands of the steps that are due at once, and keep the others for their time."""
        now = self._steps.begin(suggestion, commands, at)
        self._questions.open.pop(suggestion.context_key, None)
        self.corrected.begin(suggestion, now, at)
        return [*now]

    def cancel(self, suggestion_id: str) -> None:
        """Leave out the steps of a suggestion that are still to come: it was taken back."""
        self._steps.cancel(suggestion_id)
        self.corrected.taken_back(suggestion_id)

    # -- keeping ----------------------------------------------------------------------------------

    def forget(self, entity_id: str, at: datetime) -> list[Output]:
        """Drop the routines that an entity is part of, and its steps."""
        out: list[Output] = []
        for routine_id in self._about(entity_id):
            out += self._drop(routine_id, at, f"{entity_id} was forgotten")
        self._steps.forget(entity_id)
        self.usage.forget(entity_id)
        self._watch()
        return out

    def rename(self, old: str, new: str, at: datetime) -> list[Output]:
        """Carry routines over to an entity's new id: they get new ids, too. Proposals may come again."""
        out: list[Output] = []
        for routine_id in self._about(old):
            entry = self.entries[routine_id]
            was = entry.standing
            routine = entry.routine.renamed(old, new)
            self.corrected.rename(entry.routine, routine)
            out += self._drop(routine_id, at, f"{old} is called {new} now")
            if was is not Standing.PROPOSED:
                self.entries[routine.id] = kept = replace(entry, routine=routine, elsewhere=False, off=Off.NO)
                if was is Standing.ACCEPTED:
                    out += self._stand(kept, was, at)
        self._steps.rename(old, new)
        self.usage.rename(old, new)
        self._watch()
        return out

    def _about(self, entity_id: str) -> list[str]:
        return [i for i, e in self.entries.items() if e.routine.concerns(entity_id)]

    def _drop(self, routine_id: str, at: datetime, why: str) -> list[Output]:
        entry = self.entries.pop(routine_id)
        self.corrected.forget(routine_id)
        if entry.standing not in {Standing.PROPOSED, Standing.ACCEPTED}:
            return []
        news = RoutineNews(entry.routine, Standing.RETIRED, entry.mode, at, why)
        return [*self._close(routine_id, at, why), news]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "entries": [entry.to_dict() for entry in self.entries.values()],
            "due": self._steps.to_list(),
            "asked": self._questions.open,
            "matcher": self._matcher.to_dict(),
            "corrected": self.corrected.to_dict(),
            "usage": self.usage.to_dict(),
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self.entries.clear()
        for body in data["entries"]:
            entry = Entry.from_dict(body)
            self.entries[entry.routine.id] = entry
        self._steps.load(data["due"])
        self._questions.open = dict(data["asked"])
        self._watch()
        self._matcher.load(data["matcher"])
        self.corrected.load(data["corrected"])
        self.usage.load(data["usage"])
