"""Whether a finding may interrupt: the budget, quiet hours, modes, and what residents have answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final

from agent.suggestions import Control, HomeMode, Suggestion, Verdict
from devices.context import Context, Occupancy
from devices.events import utc
from devices.state import HomeState
from hunches.detector import Hunch

URGENT_CLASSES: Final = frozenset({"moisture", "smoke", "gas", "carbon_monoxide", "safety", "problem"})
"""Device classes whose hunches never wait for a budget or for the morning."""
ENTRY_CLASSES: Final = frozenset({"door", "garage_door", "garage", "opening", "lock", "gate"})
"""Ways into the home: urgent at night and when nobody is there."""

TIGHTEN: Final = 0.5
"""What a rejection adds to the bar of (detector, entity), in -log10 p; an acceptance takes half back."""


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """The resident's settings. `per_day`: unasked hunches a home may get on average."""

    per_day: float = 0.5
    burst: float = 1.0  # how many may come at once after a quiet time
    quiet_hours: tuple[time, time] | None = (time(22, 30), time(7, 0))
    exclude_entities: tuple[str, ...] = ()  # globs
    exclude_detectors: tuple[str, ...] = ()
    warmup: timedelta = timedelta(0)  # only learn for this long after the first event


class Decision(StrEnum):
    """What becomes of a finding."""

    SHOW = "show"
    HOLD = "hold"  # the budget is spent: shown later if it is still true then
    DROP = "drop"


class Policy:
    """Decides what may show, and learns from the answers.

    The budget is a token bucket: `per_day` tokens a day, at most `burst` kept, one a shown hunch. Urgent
    hunches neither wait nor pay. "Not a problem" silences (detector, entity, context) for good; a rejection
    raises the bar of (detector, entity) by `TIGHTEN`, an acceptance lowers it by half of that, not below
    the detector's own.

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
        self._tokens = self.config.burst
        self._paid_at: datetime | None = None
        self._excluded: dict[str, bool] = {}
        self._first: datetime | None = None

    @property
    def may_learn(self) -> bool:
        """Whether what happens now is worth learning: not on holiday, not with guests, not switched off."""
        return self.learning and self.mode not in {HomeMode.VACATION, HomeMode.GUEST}

    def decide(self, hunch: Hunch, at: datetime, home: HomeState, context: Context) -> tuple[Decision, str]:
        """Return what becomes of a hunch, and why in a word. Pure."""
        urgent = self.urgent(hunch.entity_id, home, context)
        objection = self._objection(hunch, at, urgent=urgent)
        if objection is not None:
            return Decision.DROP, objection
        if urgent:
            return Decision.SHOW, "urgent: outside the budget"
        if self._balance(at) >= 1.0:
            return Decision.SHOW, "within the budget"
        return Decision.HOLD, "the budget is spent"

    def _objection(self, hunch: Hunch, at: datetime, *, urgent: bool) -> str | None:
        if not self.suggesting:
            return "suggesting is switched off"
        if self._first is None or at - self._first < self.config.warmup:
            return "still getting to know the home"
        if hunch.detector in self.config.exclude_detectors or self._is_excluded(hunch.entity_id):
            return "excluded by the settings"
        if (hunch.detector, hunch.entity_id, hunch.context_key) in self._silenced:
            return "you said that this is not a problem"
        if self.mode is HomeMode.VACATION and not urgent:
            return "vacation: only security hunches"
        if hunch.score < hunch.threshold + self._raised_bar.get((hunch.detector, hunch.entity_id), 0.0):
            return "below the bar that your rejections raised"
        return None

    def urgent(self, entity_id: str, home: HomeState, context: Context) -> bool:
        """Whether a hunch can't wait: water, smoke and gas always, ways in at night or when away."""
        state = home.get(entity_id)
        kind = state.device_class if state else None
        if kind in URGENT_CLASSES:
            return True
        entry = kind in ENTRY_CLASSES or entity_id.startswith("lock.")
        return entry and (context.occupancy is not Occupancy.HOME or self.mode is not HomeMode.HOME)

    def pay(self, at: datetime) -> None:
        """Take a shown hunch off the budget."""
        self._tokens = self._balance(at) - 1.0
        self._paid_at = at

    def deliver_at(self, at: datetime, context: Context, *, urgent: bool) -> datetime:
        """Return when a suggestion raised at `at` may be delivered: then, or when the quiet hours end."""
        if urgent or self.config.quiet_hours is None:
            return at
        start, end = self.config.quiet_hours
        now = context.local.timetz().replace(tzinfo=None)
        quiet = start <= now < end if start <= end else now >= start or now < end
        if not quiet:
            return at
        day = context.local.date() + timedelta(days=1 if now >= end else 0)
        return datetime.combine(day, end, context.local.tzinfo).astimezone(at.tzinfo)

    def answer(self, suggestion: Suggestion, verdict: Verdict) -> None:
        """Learn from an answer."""
        key = (suggestion.detector, suggestion.entity_id)
        bar = self._raised_bar.get(key, 0.0)
        match verdict:
            case Verdict.INTENTIONAL:
                self._silenced.add((*key, suggestion.context_key))
            case Verdict.REJECTED | Verdict.UNDONE:
                self._raised_bar[key] = bar + TIGHTEN
            case Verdict.ACCEPTED:
                self._raised_bar[key] = max(0.0, bar - TIGHTEN / 2)
            case Verdict.IGNORED:
                self._raised_bar[key] = bar + TIGHTEN / 10  # silence says little
            case Verdict.SNOOZED:
                pass

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
        if self._paid_at is not None and at < self._paid_at:
            self._paid_at = at
        if self.mode_until is not None and at >= self.mode_until:
            self.mode, self.mode_until = HomeMode.HOME, None

    def effects(self, entity_id: str) -> dict[str, Any]:
        """Return what answers have changed for an entity, for `inkling explain`."""
        return {
            "silenced": sorted([d, c] for d, e, c in self._silenced if e == entity_id),
            "raised_bar": {d: b for (d, e), b in sorted(self._raised_bar.items()) if e == entity_id and b},
        }

    def forget(self, entity_id: str) -> None:
        """Reset what answers have changed for an entity."""
        self._silenced = {s for s in self._silenced if s[1] != entity_id}
        self._raised_bar = {k: b for k, b in self._raised_bar.items() if k[1] != entity_id}

    def rename(self, old: str, new: str) -> None:
        """Carry answers over to an entity's new id."""
        self._silenced = {(d, new if e == old else e, c) for d, e, c in self._silenced}
        self._raised_bar = {(d, new if e == old else e): b for (d, e), b in self._raised_bar.items()}

    def _balance(self, at: datetime) -> float:
        if self._paid_at is None:
            return self._tokens
        days = max(0.0, (at - self._paid_at).total_seconds() / 86400)
        return min(self.config.burst, self._tokens + days * self.config.per_day)

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
            "tokens": self._tokens,
            "paid_at": self._paid_at and self._paid_at.isoformat(),
            "first": self._first and self._first.isoformat(),
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self.mode = HomeMode(data["mode"])
        self.mode_until = utc(data["mode_until"]) if data["mode_until"] else None
        self.learning, self.suggesting = data["learning"], data["suggesting"]
        self._silenced = {(d, e, c) for d, e, c in data["silenced"]}
        self._raised_bar = {(d, e): b for d, e, b in data["raised_bar"]}
        self._tokens = data["tokens"]
        self._paid_at = utc(data["paid_at"]) if data["paid_at"] else None
        self._first = utc(data["first"]) if data["first"] else None


def matches(entity_id: str, globs: Iterable[str]) -> bool:
    """Whether an entity id matches any of the globs ("light.*", "*_door")."""
    return any(fnmatchcase(entity_id, glob) for glob in globs)
