"""Routines that are no longer needed: they are put up for retirement, or ask before they act again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from agent.docket import Docket
from agent.policy import Policy
from agent.requests import Dismiss
from agent.routine_entry import GONE, SEASON, Entry, Faded, Off
from agent.routine_wording import delivered, retirement
from agent.suggestions import Mode, Output, Severity, Suggestion, Verdict
from devices.context import Context
from devices.events import StateChange, utc
from routines.fading import SURPRISING
from routines.rendering import PREFIX


class Upkeep:
    """Notices what faded: questions that are no longer welcome, triggers that no longer come.

    - Of a routine that asks, the residents' answers of the last weeks tell whether it is worth a question
      (`routines.fading`). One that runs by itself hides what they would have done: reversals alone tell
      (`RoutineBook`), and that it isn't needed at all.
    - What wasn't needed for a `SEASON` rests: before it acts again it asks, once. Its automation in Home
      Assistant is switched off meanwhile; a resident who switches it on has agreed.
    - What wasn't needed for as long as `GONE` is put up for retirement.

    Complexity: O(routines) a tick. Memory: none but that of the entries.
    """

    def __init__(self, docket: Docket, policy: Policy, entries: Mapping[str, Entry]) -> None:
        self.docket = docket
        self.policy = policy
        self.entries = entries

    # -- time -------------------------------------------------------------------------------------

    def rest(self, at: datetime) -> list[Output]:
        """Let what wasn't needed for a season ask before it acts again."""
        out: list[Output] = []
        for entry in self.entries.values():
            asleep = entry.accepted and entry.mode is Mode.ACT and entry.off is Off.NO and not entry.rests
            if asleep and _unneeded(entry, at) > SEASON:
                entry.rests = True
                out.append(entry.news(at, f"not needed for {SEASON.days} days: asks before it acts again"))
        return out

    def propose(self, at: datetime, context: Context) -> list[Output]:
        """Put up for retirement what has faded most."""
        if not self.policy.may_ask(at):
            return []
        faded = [(f, entry) for entry in self.entries.values() if (f := self.faded(entry, at)) is not None]
        if not faded:
            return []
        found, entry = max(faded, key=lambda f: (f[0].losses, f[1].routine.id))
        deliver_at = self.policy.deliver_at(at, context, Severity.INFO)
        asked = delivered(retirement(entry.routine, found, at, context.local.tzinfo), deliver_at)
        self.docket.open(asked)
        return [asked]

    def faded(self, entry: Entry, at: datetime) -> Faded | None:
        """Return what speaks against a routine, if enough does."""
        if not entry.accepted or entry.off is Off.RESIDENT:
            return None
        if entry.p <= SURPRISING:
            return Faded(*entry.lately(at), entry.p)
        if _unneeded(entry, at) > GONE:
            return Faded(*entry.lately(at), entry.p, entry.needed)
        return None

    # -- answers ----------------------------------------------------------------------------------

    def asked(self, suggestion: Suggestion) -> bool:
        """Whether a suggestion is an offer to retire a routine."""
        return "retire" in suggestion.evidence

    def answered(self, suggestion: Suggestion, verdict: Verdict, at: datetime) -> Dismiss | None:
        """Return what a resident has agreed to; else it begins anew, and so does what speaks against it."""
        entry = self.entries[suggestion.context_key]
        if verdict is Verdict.ACCEPTED:
            return Dismiss(at, entry.routine.id, "not needed any more")
        entry.begin_anew(at)
        return None

    # -- Home Assistant ---------------------------------------------------------------------------

    def automation(self, change: StateChange) -> list[Output]:
        """Take in what became of a routine's automation: it ran, it was switched off or on."""
        unique_id = str(change.attributes.get("id"))
        entry = self.entries.get(unique_id.removeprefix(PREFIX)) if unique_id.startswith(PREFIX) else None
        if entry is None or not entry.accepted:
            return []
        entry.needed = max(filter(None, (entry.needed, _ran(change))), default=None)
        if change.new == "off" and change.new != change.old:
            entry.off = Off.RESTS if entry.rests else Off.RESIDENT
            return [entry.news(change.received_at, "" if entry.rests else "switched off in Home Assistant")]
        if change.new == "on" and entry.off is not Off.NO:
            entry.off = Off.NO
            if entry.rests:  # a resident has switched it on
                entry.rests, entry.needed = False, change.received_at
            return [entry.news(change.received_at)]
        return []


def _unneeded(entry: Entry, at: datetime) -> timedelta:
    return timedelta() if entry.needed is None else at - entry.needed


def _ran(change: StateChange) -> datetime | None:
    """Return when an automation says that it last ran."""
    said = change.attributes.get("last_triggered")
    try:
        at = utc(said) if isinstance(said, str) else None
    except ValueError:
        return None
    return at if at is not None and at <= change.received_at else None
