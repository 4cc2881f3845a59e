"""The questions that routines ask, and whether it was right to ask them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from agent.docket import Docket
from agent.moments import Moments, outcome_of
from agent.policy import Policy
from agent.routine_entry import Entry
from agent.suggestions import Mode, Output, Status, Suggestion, Verdict
from devices.context import Context
from devices.events import StateChange
from devices.state import HomeState
from latent_goals.decision import Outcome
from routines.correction import Corrections


class Questions:
    """Follows the open question of each routine. It was right if a resident said yes, or did most of it.

    Memory: one suggestion id a routine.
    """

    def __init__(
        self,
        docket: Docket,
        home: HomeState,
        policy: Policy,
        entries: Mapping[str, Entry],
        corrections: Corrections,
        *,
        moments: Moments,
    ) -> None:
        self.docket = docket
        self.home = home
        self.policy = policy
        self.entries = entries
        self.corrections = corrections
        self.moments = moments
        self.open: dict[str, str] = {}  # routine -> its suggestion

    def ask(self, suggestion: Suggestion, at: datetime, context: Context) -> None:
        """Follow a question that has just been put."""
        self.open[suggestion.context_key] = suggestion.id
        self.moments.told(suggestion.id, at, context)

    def spared(self, entry: Entry, at: datetime, context: Context) -> bool:
        """Whether it isn't asked for once: at this time nobody answers. In a trial nobody could."""
        asks = entry.asks and not self.policy.config.trial
        return asks and self.moments.spares(entry.routine.id, at, context)

    def judge(self, suggestion: Suggestion, verdict: Verdict, at: datetime) -> list[Output]:
        """Note what became of a question; one that was right wakes a routine that rests."""
        if suggestion.mode is not Mode.ASK or not self.policy.may_learn:
            return []
        by_hand = verdict is Verdict.IGNORED and 2 * self._done(suggestion) > len(suggestion.actions)
        if verdict is not Verdict.ACCEPTED:  # else what becomes of the run tells
            self.corrections.asked(suggestion.context_key, by_hand=by_hand)
        outcome = Outcome.BY_HAND if by_hand else outcome_of(verdict)
        self.moments.heard(suggestion.id, outcome, suggestion.context_key)
        wanted = by_hand or verdict is Verdict.ACCEPTED
        return self.entries[suggestion.context_key].judged(at, wanted=wanted)

    def unanswered(self, routine_id: str, at: datetime) -> list[Output]:
        """Give up a question that nobody answered before the next."""
        alive = self.docket.alive.get(self.open.pop(routine_id, ""))
        return [] if alive is None else self.judge(alive.suggestion, Verdict.IGNORED, at)

    def done_by_hand(self, change: StateChange) -> list[Output]:
        """Withdraw questions that a resident has answered by doing it."""
        out: list[Output] = []
        for routine_id, suggestion_id in list(self.open.items()):
            alive = self.docket.alive.get(suggestion_id)
            if alive is None:
                del self.open[routine_id]
            elif self._done(alive.suggestion) == len(alive.suggestion.actions):
                del self.open[routine_id]
                at, why = change.received_at, "done by hand"
                out.append(self.docket.close(alive.suggestion, Status.RESOLVED, at, why))
                out += self.judge(alive.suggestion, Verdict.IGNORED, at)
        return out

    def _done(self, suggestion: Suggestion) -> int:
        """Return how many of its actions are so already."""
        known = ((self.home.get(a.entity_id), a.state) for a in suggestion.actions)
        return sum(entity is not None and entity.state == state for entity, state in known)
