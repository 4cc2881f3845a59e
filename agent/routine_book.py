"""The routines of a home: what was proposed, accepted or refused, and what is being carried out now.

Mined -> proposal -> accepted -> it is time -> asks, or acts -> its steps, one by one
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from agent.docket import Docket
from agent.policy import Policy, is_harmless, may_run_unasked
from agent.requests import Adopt, Dismiss, Mined
from agent.routine_corrections import CorrectionBook
from agent.routine_wording import is_time, proposal
from agent.suggestions import (
    Command,
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
from devices.events import StateChange, Tick, utc
from devices.state import HomeState
from routines.chains import Turn
from routines.matching import Firing, Matcher, SunTimes
from routines.routine import Routine

NEAR: Final = 0.6
"""Jaccard index of the steps from which a routine is the same as one that was refused."""
DECLINED: Final = 3
"""How many more "no" than "yes" retire a routine."""
_LATE: Final = timedelta(minutes=10)
"""A step that is due for longer is left out: we weren't running."""


@dataclass(slots=True)
class Entry:
    """A routine and what became of it."""

    routine: Routine
    standing: Standing
    mode: Mode
    elsewhere: bool = False  # Home Assistant runs it
    declined: int = 0  # questions answered "no", less those answered "yes"


class RoutineBook:
    """Proposes what was mined, one at a time, and carries out what was accepted.

    What a resident refused isn't proposed again, nor what is nearly the same; nor what an automation
    does already. In a trial (a backtest) a proposal counts as accepted, to ask each time.

    Memory: the routines that were ever proposed, and the steps that are due.
    """

    def __init__(self, docket: Docket, home: HomeState, policy: Policy, sun: SunTimes) -> None:
        self.docket = docket
        self.home = home
        self.policy = policy
        self.entries: dict[str, Entry] = {}
        self.corrected = CorrectionBook(docket, home, policy, self.entries)
        self._matcher = Matcher((), sun=sun)
        self._due: list[tuple[datetime, Command]] = []  # steps that come later
        self._asked: dict[str, str] = {}  # routine -> its suggestion that is open

    # -- what is offered --------------------------------------------------------------------------

    def mined(self, event: Mined, context: Context) -> list[Output]:
        """Propose the best of what was found; keep what is known up to date."""
        out: list[Output] = []
        for routine in event.routines:
            known = self.entries.get(routine.id)
            if known is not None and known.standing is Standing.PROPOSED:
                known.routine = routine  # the newest numbers, under the id that was proposed
            elif (
                routine.id not in event.covered
                and self._is_new(routine)
                and (self.policy.config.trial or not self._waits())
                and self.policy.may_propose(routine, event.at)
            ):
                out += self._propose(routine, event.at, context)
        return out

    def _is_new(self, routine: Routine) -> bool:
        return routine.id not in self.entries and not any(
            entry.routine.similarity(routine) >= NEAR for entry in self.entries.values()
        )

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
        if verdict in {Verdict.REJECTED, Verdict.UNDONE}:
            return self._decline(entry, at, undone=verdict is Verdict.UNDONE)
        if verdict is Verdict.ACCEPTED:
            entry.declined = max(0, entry.declined - 1)
        return []

    def _decline(self, entry: Entry, at: datetime, *, undone: bool) -> list[Output]:
        """Count a no. What is undone and would do with a step less, or later, is offered so instead."""
        entry.declined += 1
        if entry.declined < DECLINED or (undone and self.corrected.mends(entry)):
            return []
        return self.dismiss(Dismiss(at, entry.routine.id, f"declined {DECLINED} times"))

    def _stand(
        self, entry: Entry, standing: Standing, at: datetime, *, mode: Mode | None = None, why: str = ""
    ) -> list[Output]:
        entry.standing, entry.mode = standing, mode or entry.mode
        entry.elsewhere = entry.elsewhere and standing is Standing.ACCEPTED
        if standing is not Standing.ACCEPTED:
            self.corrected.restart(entry.routine.id)
        self._watch()
        return [RoutineNews(entry.routine, standing, entry.mode, at, why, entry.elsewhere)]

    def _watch(self) -> None:
        ours = [
            e.routine for e in self.entries.values() if e.standing is Standing.ACCEPTED and not e.elsewhere
        ]
        self._matcher.watch(ours)

    def _close(self, routine_id: str, at: datetime, why: str, *kinds: Kind) -> list[Output]:
        about = [
            a.suggestion
            for a in self.docket.alive.values()
            if a.suggestion.detector == "routine" and a.suggestion.context_key == routine_id
        ]
        closed = (s for s in about if not kinds or s.kind in kinds)
        return [self.docket.close(s, Status.RESOLVED, at, why) for s in closed]

    # -- what residents make of it ----------------------------------------------------------------

    def observe(self, change: StateChange, zone: tzinfo) -> list[Output]:
        """Take in what may correct a step that was taken: a light dimmed, a switch put back."""
        out: list[Output] = []
        for entry, turn in self.corrected.observe(change, zone):
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
            out += self._steps_due(event.at)
            self.corrected.settle(event.at)
            if not self._waits():
                out += self.corrected.propose(event.at, context)
        elif self._asked:
            out += self._done_by_hand(event)
        at = event.at if isinstance(event, Tick) else event.received_at
        for firing in self._matcher.step(event, self.home, context):
            out += self._fire(firing, at)
        return out

    def _fire(self, firing: Firing, at: datetime) -> list[Output]:
        entry = self.entries[firing.routine.id]
        if not self.policy.may_run(entry.routine):
            return []
        closed = self._close(firing.routine.id, at, "asked anew", Kind.ROUTINE)
        suggestion = is_time(firing, entry.mode, at)
        self.docket.open(suggestion)
        if entry.mode is Mode.ACT:
            commands = self.docket.act(suggestion, self.home, at)
            return [*closed, suggestion, *self.paced(suggestion, commands, at)]
        self._asked[firing.routine.id] = suggestion.id
        return [*closed, suggestion]

    def paced(self, suggestion: Suggestion, commands: Iterable[Output], at: datetime) -> list[Output]:
        """Return the commands of the steps that are due at once, and keep the others for their time."""
        now: list[Command] = []
        begun = suggestion.raised_at
        for command, action in zip(commands, suggestion.actions, strict=False):
            assert isinstance(command, Command)
            due = max(begun, at) + timedelta(seconds=action.delay_s)
            if due <= at:
                now.append(command)
            else:
                self._due.append((due, replace(command, at=due)))
        self._asked.pop(suggestion.context_key, None)
        self.corrected.begin(suggestion, now, at)
        return [*now]

    def _steps_due(self, at: datetime) -> list[Output]:
        if not self._due:
            return []
        due = [command for when, command in self._due if when <= at]
        self._due = [(when, command) for when, command in self._due if when > at]
        now = [
            replace(c, at=at)
            for c in due
            if at - c.at <= _LATE and (known := self.home.get(c.entity_id)) and known.state != c.state
        ]
        self.corrected.commanded(now)
        return [*now]

    def cancel(self, suggestion_id: str) -> None:
        """Leave out the steps of a suggestion that are still to come: it was taken back."""
        self._due = [(when, c) for when, c in self._due if c.suggestion_id != suggestion_id]
        self.corrected.taken_back(suggestion_id)

    def _done_by_hand(self, change: StateChange) -> list[Output]:
        """Withdraw a question that a resident has answered by doing it."""
        out: list[Output] = []
        for routine_id, suggestion_id in list(self._asked.items()):
            alive = self.docket.alive.get(suggestion_id)
            if alive is None:
                del self._asked[routine_id]
            elif all(
                (known := self.home.get(a.entity_id)) is not None and known.state == a.state
                for a in alive.suggestion.actions
            ):
                del self._asked[routine_id]
                why = "done by hand"
                out.append(self.docket.close(alive.suggestion, Status.RESOLVED, change.received_at, why))
        return out

    # -- keeping ----------------------------------------------------------------------------------

    def forget(self, entity_id: str, at: datetime) -> list[Output]:
        """Drop the routines that an entity is part of, and its steps."""
        out: list[Output] = []
        for routine_id in self._about(entity_id):
            out += self._drop(routine_id, at, f"{entity_id} was forgotten")
        self._due = [(when, c) for when, c in self._due if c.entity_id != entity_id]
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
                self.entries[routine.id] = kept = replace(entry, routine=routine, elsewhere=False)
                if was is Standing.ACCEPTED:
                    out += self._stand(kept, was, at)
        self._due = [(when, replace(c, entity_id=new) if c.entity_id == old else c) for when, c in self._due]
        self._watch()
        return out

    def _about(self, entity_id: str) -> list[str]:
        return [i for i, e in self.entries.items() if _concerns(e.routine, entity_id)]

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
            "entries": [
                [e.routine.to_dict(), e.standing.value, e.mode.value, e.elsewhere, e.declined]
                for e in self.entries.values()
            ],
            "due": [[when.isoformat(), c.to_dict()] for when, c in self._due],
            "asked": self._asked,
            "matcher": self._matcher.to_dict(),
            "corrected": self.corrected.to_dict(),
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self.entries.clear()
        for body, standing, mode, *rest in data["entries"]:
            routine = Routine.from_dict(body)
            self.entries[routine.id] = Entry(routine, Standing(standing), Mode(mode), *rest)
        self._due = [(utc(when), Command.from_dict(c)) for when, c in data["due"]]
        self._asked = dict(data["asked"])
        self._watch()
        self._matcher.load(data["matcher"])
        self.corrected.load(data["corrected"])


def _concerns(routine: Routine, entity_id: str) -> bool:
    return entity_id == getattr(routine.trigger, "entity_id", None) or any(
        s.entity_id == entity_id for s in routine.steps
    )
