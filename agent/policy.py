"""Whether a finding may interrupt: the budget, quiet hours, modes, and what residents have answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final

from agent.budget import Budget
from agent.requests import Control, HomeMode, Permit
from agent.suggestions import Severity, Suggestion, Verdict
from devices.context import Context, Occupancy
from devices.events import utc
from devices.state import HomeState
from hunches.detector import Hunch
from routines.routine import Routine
from routines.validation import BY_ITSELF

CRITICAL_CLASSES: Final = frozenset({"moisture", "smoke", "gas", "carbon_monoxide", "safety", "problem"})
"""Device classes whose hunches never wait for a budget or for the morning."""
ENTRY_CLASSES: Final = frozenset({"door", "garage_door", "garage", "opening", "lock", "gate"})
"""Ways into the home: urgent at night and when nobody is there."""
FREEZING: Final = ("freez", "congel", "gefrier", "diepvries")
"""What the names of freezers hold: thawing food can't wait."""
SAFE_DOMAINS: Final = frozenset({"light", "fan", "media_player", "humidifier"})
"""What a glob may permit Inkling to act on. A switch may be an oven: such a thing has to be named itself."""
NEVER_UNASKED: Final = frozenset({
    "alarm_control_panel", "climate", "lock", "siren", "valve", "water_heater",
})  # fmt: skip
"""What a routine may not move unless it is asked each time."""

TIGHTEN: Final = 0.5
"""What a rejection adds to the bar of (detector, entity), in -log10 p; an acceptance takes half back."""
LOWEST_BAR: Final = -0.5
"""How far acceptances can lower it. Below zero a hunch costs the budget half."""


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """The resident's settings. `per_day`: unasked hunches a home may get on average."""

    per_day: float = 0.5
    burst: float = 3.0  # how many a quiet home may save up; a home with more to say than `per_day` none
    quiet_hours: tuple[time, time] | None = (time(22, 30), time(7, 0))
    exclude_entities: tuple[str, ...] = ()  # globs
    exclude_detectors: tuple[str, ...] = ()
    warmup: timedelta = timedelta(0)  # only learn for this long after the first event
    fdr: float | None = None  # strict: only what is news for this home at this rate of false discoveries
    act: tuple[str, ...] = ()  # what may be done unasked: "light.*", "dwell:switch.iron"
    trial: bool = False  # routines and goals count as accepted, to ask each time (a backtest)


_NOT_AS_USUAL: Final = frozenset({HomeMode.VACATION, HomeMode.GUEST})
_STEPS: Final = {
    Verdict.REJECTED: TIGHTEN,
    Verdict.UNDONE: TIGHTEN,
    Verdict.ACCEPTED: -TIGHTEN / 2,
    Verdict.IGNORED: TIGHTEN / 10,  # silence says little
}


class Decision(StrEnum):
    """What becomes of a finding."""

    SHOW = "show"
    HOLD = "hold"  # the budget is spent: shown later if it is still true then
    DROP = "drop"


class Policy:
    """Decides what may show, and learns from the answers.

    "Not a problem" silences (detector, entity, context) for good; a rejection raises the bar of (detector,
    entity) by `TIGHTEN`, an acceptance lowers it by half of that; what has been accepted more often than
    rejected costs the budget half. Urgent hunches neither wait for the budget (`Budget`) nor pay. Acting
    unasked has to be allowed.

    Memory: one record for each answered (detector, entity).
    """

    def __init__(self, config: PolicyConfig | None = None) -> None:
        self.config = config or PolicyConfig()
        self.mode = HomeMode.HOME
        self.mode_until: datetime | None = None
        self.learning = True
        self.suggesting = True
        self._silenced: set[tuple[str, str, str]] = set()
        self._raised_bar: dict[tuple[str, str], float] = {}
        self._permits: dict[tuple[str, str], bool] = {}
        self.revision = 0  # counts what answers have changed
        self.budget = Budget(self.config.per_day, self.config.burst)
        self._excluded: dict[str, bool] = {}
        self._first: datetime | None = None

    @property
    def may_learn(self) -> bool:
        """Whether what happens now is worth learning: not on holiday, not with guests, not switched off."""
        return self.learning and self.mode not in _NOT_AS_USUAL

    def decide(self, hunch: Hunch, at: datetime, severity: Severity) -> tuple[Decision, str]:
        """Return what becomes of a hunch, and why in a word. Pure."""
        urgent = severity is not Severity.INFO
        objection = self._objection(hunch, at, urgent=urgent)
        if objection is not None:
            return Decision.DROP, objection
        if urgent:
            return Decision.SHOW, "urgent: outside the budget"
        if self.budget.balance(at) >= self._price(hunch):
            return Decision.SHOW, "within the budget"
        return Decision.HOLD, "the budget is spent"

    def _objection(self, hunch: Hunch, at: datetime, *, urgent: bool) -> str | None:
        if not self.suggesting:
            return "suggesting is switched off"
        if self._too_early(at):
            return "still getting to know the home"
        if hunch.detector in self.config.exclude_detectors or self._is_excluded(hunch.entity_id):
            return "excluded by the settings"
        if (hunch.detector, hunch.entity_id, hunch.context_key) in self._silenced:
            return "you said that this is not a problem"
        if self.mode is HomeMode.VACATION and not urgent:
            return "vacation: only security hunches"
        if hunch.score < hunch.threshold + self._raised_bar.get((hunch.detector, hunch.entity_id), 0.0):
            return "below the bar that your rejections raised"
        if self.config.fdr is not None and not urgent and not _is_news(hunch):
            return "no news for this home"
        return None

    def _too_early(self, at: datetime) -> bool:
        return self._first is None or at - self._first < self.config.warmup

    def severity(self, hunch: Hunch, home: HomeState, context: Context) -> Severity:
        """Return how much a hunch matters: water, smoke, gas and thawing food always, ways in at night."""
        kind = home.device_class(hunch.entity_id)
        if kind in CRITICAL_CLASSES or (kind == "temperature" and _is_freezer(hunch.entity_id, home)):
            return Severity.CRITICAL
        unwatched = context.occupancy is not Occupancy.HOME or self.mode is not HomeMode.HOME
        entry = kind in ENTRY_CLASSES or hunch.entity_id.startswith("lock.")
        return Severity.WARNING if entry and unwatched and not hunch.clears_itself else Severity.INFO

    def pay(self, hunch: Hunch, at: datetime) -> None:
        """Take a shown hunch off the budget."""
        self.budget.pay(self._price(hunch), at)

    def _price(self, hunch: Hunch) -> float:
        """Return what a hunch costs: half where residents have welcomed its like."""
        return 0.5 if self._raised_bar.get((hunch.detector, hunch.entity_id), 0.0) < 0.0 else 1.0

    # -- routines and goals -----------------------------------------------------------------------

    def may_ask(self, at: datetime) -> bool:
        """Whether anything may be proposed now, whatever it is about."""
        return self.suggesting and not self._too_early(at)

    def may_propose(self, routine: Routine, at: datetime) -> bool:
        """Whether a routine may be offered."""
        return self.may_ask(at) and self.may_run(routine)

    def may_run(self, routine: Routine) -> bool:
        """Whether a routine may ask or act now."""
        return self._may("routine", (s.entity_id for s in routine.steps))

    def may_offer(self, entity_ids: Iterable[str], at: datetime) -> bool:
        """Whether a goal that does something to these may be offered now."""
        return self.may_ask(at) and self._may("goal", entity_ids)

    def _may(self, what: str, entity_ids: Iterable[str]) -> bool:
        return (
            self.suggesting
            and self.mode is not HomeMode.VACATION
            and what not in self.config.exclude_detectors
            and not any(self._is_excluded(entity_id) for entity_id in entity_ids)
        )

    # -- acting unasked ---------------------------------------------------------------------------

    def may_act(self, hunch: Hunch) -> bool:
        """Whether a resident has allowed to put this right unasked."""
        if hunch.remedy is None:
            return False
        said = self._permits.get((hunch.detector, hunch.entity_id))
        if said is not None:
            return said
        return any(_permits(pattern, hunch) for pattern in self.config.act)

    def permit(self, event: Permit) -> None:
        """Allow or forbid acting unasked."""
        self.revision += 1
        self._permits[event.detector, event.entity_id] = event.allowed

    def revoke(self, suggestion: Suggestion) -> None:
        """Take back the permission by which something was done that a resident undid."""
        self.revision += 1
        for member in suggestion.members:
            self._permits[suggestion.detector, member.entity_id] = False

    def deliver_at(self, at: datetime, context: Context, severity: Severity) -> datetime:
        """Return when a suggestion raised at `at` may be delivered: then, or when the quiet hours end."""
        if severity is not Severity.INFO or self.config.quiet_hours is None:
            return at
        start, end = self.config.quiet_hours
        now = context.local.timetz().replace(tzinfo=None)
        quiet = start <= now < end if start <= end else now >= start or now < end
        if not quiet:
            return at
        day = context.local.date() + timedelta(days=1 if now >= end else 0)
        return datetime.combine(day, end, context.local.tzinfo).astimezone(at.tzinfo)

    def answer(self, suggestion: Suggestion, verdict: Verdict) -> None:
        """Learn from an answer, for every entity that the suggestion was about."""
        self.revision += 1
        for member in suggestion.members:
            key = (suggestion.detector, member.entity_id)
            if verdict is Verdict.INTENTIONAL:
                self._silenced.add((*key, member.context_key))
            elif verdict in _STEPS:
                bar = self._raised_bar.get(key, 0.0) + _STEPS[verdict]
                self._raised_bar[key] = max(LOWEST_BAR, bar)

    def unasked(self) -> None:
        """Take back the bars that silence has raised so far: nobody was asked."""
        self._raised_bar.clear()

    def control(self, event: Control) -> None:
        """Carry out a resident's instruction."""
        if event.mode is not None:
            self.mode, self.mode_until = event.mode, event.until
        if event.learning is not None:
            self.learning = event.learning
        if event.suggesting is not None:
            self.suggesting = event.suggesting

    def tick(self, at: datetime) -> None:
        """Take note of the time: a mode ends, the warm-up begins. The clock may have been set back."""
        if self._first is None or at < self._first:
            self._first = at
        self.budget.tick(at)
        if self.mode_until is not None and at >= self.mode_until:
            self.mode, self.mode_until = HomeMode.HOME, None

    def effects(self, entity_id: str) -> dict[str, Any]:
        """Return what answers have changed for an entity, for `inkling explain`."""
        return {
            "acts_unasked": {d: said for (d, e), said in sorted(self._permits.items()) if e == entity_id},
            "silenced": sorted([d, c] for d, e, c in self._silenced if e == entity_id),
            "raised_bar": {d: b for (d, e), b in sorted(self._raised_bar.items()) if e == entity_id and b},
        }

    def answered(self) -> list[str]:
        """Return the entities for which answers have changed something."""
        return sorted({s[1] for s in self._silenced} | {k[1] for k in (*self._raised_bar, *self._permits)})

    def forget(self, entity_id: str) -> None:
        """Reset what answers have changed for an entity."""
        self.revision += 1
        self._silenced = {s for s in self._silenced if s[1] != entity_id}
        self._raised_bar = {k: b for k, b in self._raised_bar.items() if k[1] != entity_id}
        self._permits = {k: said for k, said in self._permits.items() if k[1] != entity_id}
        self.budget.forget(entity_id)

    def rename(self, old: str, new: str) -> None:
        """Carry answers over to an entity's new id."""
        self._silenced = {(d, new if e == old else e, c) for d, e, c in self._silenced}
        self._raised_bar = {(d, new if e == old else e): b for (d, e), b in self._raised_bar.items()}
        self._permits = {(d, new if e == old else e): said for (d, e), said in self._permits.items()}

    def _is_excluded(self, entity_id: str) -> bool:
        known = self._excluded.get(entity_id)
        if known is None:
            known = self._excluded[entity_id] = matches(entity_id, self.config.exclude_entities)
        return known

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "mode": self.mode.value,
            "mode_until": self.mode_until and self.mode_until.isoformat(),
            "learning": self.learning,
            "suggesting": self.suggesting,
            "silenced": sorted(map(list, self._silenced)),
            "raised_bar": sorted([d, e, b] for (d, e), b in self._raised_bar.items()),
            "permits": sorted([d, e, said] for (d, e), said in self._permits.items()),
            "budget": self.budget.to_dict(),
            "first": self._first and self._first.isoformat(),
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self.mode = HomeMode(data["mode"])
        self.mode_until = utc(data["mode_until"]) if data["mode_until"] else None
        self.learning, self.suggesting = data["learning"], data["suggesting"]
        self._silenced = {(d, e, c) for d, e, c in data["silenced"]}
        self._raised_bar = {(d, e): b for d, e, b in data["raised_bar"]}
        self._permits = {(d, e): said for d, e, said in data.get("permits", ())}
        self.budget.load(data["budget"])
        self._first = utc(data["first"]) if data["first"] else None


def is_harmless(routine: Routine, home: HomeState) -> bool:
    """Whether a routine may run by itself at all: locks, doors, alarms and the like never move unasked."""
    return all(
        s.entity_id.partition(".")[0] not in NEVER_UNASKED
        and home.device_class(s.entity_id) not in ENTRY_CLASSES
        for s in routine.steps
    )


def may_run_unasked(routine: Routine, home: HomeState) -> bool:
    """Whether a routine may be offered to run by itself: a harmless one that proved itself."""
    e = routine.evidence
    proven = e.held_out is not None and e.wins >= BY_ITSELF * max(e.losses, 1)
    return proven and is_harmless(routine, home)


def matches(entity_id: str, globs: Iterable[str]) -> bool:
    """Whether an entity id matches any of the globs ("light.*", "*_door")."""
    return any(fnmatchcase(entity_id, glob) for glob in globs)


def _is_news(hunch: Hunch) -> bool:
    """Whether the calibration let it through."""
    return bool(hunch.evidence.get("p_home", 0.0) <= hunch.evidence.get("fdr_level", 1.0))


def _is_freezer(entity_id: str, home: HomeState) -> bool:
    known = home.get(entity_id)
    name = f"{entity_id} {known.name if known else ''}".lower()
    return any(word in name for word in FREEZING)


def _permits(pattern: str, hunch: Hunch) -> bool:
    """Whether a pattern allows to act. A glob means safe domains only; other things must be named."""
    detector, colon, glob = pattern.rpartition(":")
    if colon and detector != hunch.detector:
        return False
    if glob == hunch.entity_id:
        return True
    return hunch.entity_id.partition(".")[0] in SAFE_DOMAINS and fnmatchcase(hunch.entity_id, glob)
