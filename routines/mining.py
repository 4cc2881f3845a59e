"""Mining: from what was done to routines that would have helped, with an account of everything dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from typing import Any, Final

from devices.context import Calendar
from devices.events import StateChange
from routines.candidates import candidates
from routines.coincidence import FEW_DAYS, Coincidence
from routines.conditions import infer, kept
from routines.cues import after_cues
from routines.guard import benjamini_hochberg
from routines.habit import Habit, earned, is_walk, overlap, recollect
from routines.habits import Habits
from routines.history import History
from routines.limits import limits
from routines.naming import name_of
from routines.routine import Evidence, OnState, Routine
from routines.runs import Runs
from routines.sessions import sessions
from routines.tried import Tried
from routines.triggers import proposals
from routines.validation import ASK_FIRST, BY_ITSELF, Outcome, backtest

MOST_DAYS: Final = 28
"""Of the last days, at most so many are held out; a third of them all where there are fewer."""

LEAST_DAYS: Final = 6
"""Days begun; with fewer there is nothing to compare with."""

FALSE_SHARE: Final = 0.01
"""Of habits that pass the guard, at most this share may be chance (Benjamini-Hochberg)."""

_PART: Final = 0.5  # of the occurrences, that share an action

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Accounting:
    """What became of everything on the way: an empty result explains itself."""

    events: int = 0
    actions: int = 0  # by a resident, or by nobody knows whom if that was asked for
    signals: int = 0
    days: int = 0
    held_out_days: int = 0
    candidates: int = 0  # looked at
    coincidences: int = 0  # seen often enough, but chance may explain them
    parts: int = 0  # of another habit
    no_trigger: int = 0  # nothing tells when they are wanted
    unproven: int = 0  # too few wins for the losses on the held-out days
    proposed: int = 0
    nearest: str = ""

    def explain(self) -> str:
        """Return one sentence for the resident."""
        text = (
            f"{self.events:,} events on {self.days} days, {self.actions:,} by a person, "
            f"{self.candidates:,} candidates: {self.coincidences:,} may be chance, "
            f"{self.parts:,} are part of another, {self.no_trigger:,} have nothing that tells when, "
            f"{self.unproven:,} didn't prove themselves on the last {self.held_out_days} days, "
            f"{self.proposed:,} proposed"
        )
        return f"{text}. Nearest: {self.nearest}" if self.nearest else text


@dataclass(frozen=True, slots=True)
class MiningResult:
    """Routines, the most useful first, and the account of the others."""

    routines: tuple[Routine, ...] = ()
    accounting: Accounting = field(default_factory=Accounting)


def mine(
    changes: Iterable[StateChange],
    calendar: Calendar,
    *,
    until: datetime | None = None,
    include_unknown: bool = False,
    progress: Progress | None = None,
) -> MiningResult:
    """Find routines in a home's changes, in the order in which they came.

    Habits are mined, and triggers and conditions chosen, on the first days; the last ones decide what is
    worth proposing, by a backtest with the same matcher that runs the routine later. A week is the least.
    `until`: what comes later is left out. `include_unknown`: changes whose origin isn't known count as a
    person's. `progress` is told the stage, and the share that is done. Nothing here is random.
    """
    if until is not None:
        changes = (c for c in changes if c.changed_at < until)
    miner = _Miner(History(changes, calendar, include_unknown=include_unknown), progress or _silent)
    return miner.run(include_unknown=include_unknown)


def _silent(stage: str, share: float) -> None:
    pass


class _Miner:
    def __init__(self, whole: History, progress: Progress) -> None:
        self.whole = whole
        self.progress = progress
        self.counts = Accounting(
            events=whole.events, actions=len(whole.actions), signals=len(whole.signals), days=len(whole.days)
        )

    def run(self, *, include_unknown: bool) -> MiningResult:
        days = self.whole.days
        if len(days) < LEAST_DAYS or not self.whole.actions:
            return MiningResult((), self.counts)
        self.progress("reading", 0.1)
        held_out = 0 if self.early else min(MOST_DAYS, len(days) // 3)
        self.split = self.whole.day_start(days[-held_out] if held_out else days[-1] + 1)
        self.fit = self.whole
        if held_out:
            before = self.whole.until(self.split)
            self.fit = History(before, self.whole.calendar, include_unknown=include_unknown)
        self.count(held_out_days=held_out)
        habits = self.habits()
        self.progress("triggers", 0.5)
        chosen = list(self.choose(habits))
        self.progress("backtest", 0.8)
        routines = self.prove(chosen)
        self.count(proposed=len(routines))
        return MiningResult(tuple(routines), self.counts)

    @property
    def early(self) -> bool:
        """Whether there are too few days to hold any out: then only what is nearly always so is believed."""
        return len(self.whole.days) < FEW_DAYS

    def count(self, **counts: Any) -> None:
        self.counts = replace(self.counts, **counts)

    # ------------------------------------------------------------------------------------ habits

    def habits(self) -> list[Habit]:
        """Return habits that chance doesn't explain, each action in one of them."""
        guard = Coincidence(self.fit)
        runs = Runs(guard)
        finder = Habits(guard, runs)
        sifted = candidates(sessions(self.fit.actions))
        found: list[Habit] = []
        walks: list[Habit] = []
        chance = Habit((), ())  # the rarest of what chance explains
        parts = 0
        for seed in [*finder.pairs(c.items for c in sifted.found), *runs.found]:
            if any(overlap(seed, habit) > _PART for habit in found):
                parts += 1
                continue
            for habit in finder.grown(seed):
                limit = FALSE_SHARE * (len(found) + 1) / guard.tests
                if habit.p <= limit and is_walk(habit):
                    walks.append(habit)
                elif habit.p <= limit:  # what chance explains hides nothing
                    parts += _add(found, habit)
                elif habit.p < chance.p:
                    chance = habit
        for single in after_cues(guard):
            if any(overlap(single, habit) > _PART for habit in [*found, *walks] if len(habit.items) > 1):
                parts += 1
            else:
                found.append(single)
        q_values = benjamini_hochberg([h.p for h in found], guard.tests)
        kept = [(h, q) for h, q in zip(found, q_values, strict=True) if q <= FALSE_SHARE]
        if not kept and (near := min([*found, chance], key=lambda h: h.p)).items:
            steps = " and ".join(f"{i.entity_id} {i.state}" for i in near.items)
            times = len(near.occurrences)
            self.count(nearest=f"{steps}, {times} times; by chance with a probability of {near.p:.2g}")
        self.count(candidates=guard.tests, coincidences=guard.tests - parts - len(kept), parts=parts)
        rest = [(self.whole_of(h), q) for h, q in kept]
        self.q = {id(h): q for h, q in rest}
        return [h for h, _ in rest]

    @cached_property
    def finder(self) -> Habits:
        """Return what finds steps in all of the past."""
        guard = Coincidence(self.whole)
        return Habits(guard, Runs(guard))

    def whole_of(self, habit: Habit) -> Habit:
        """Return a habit with the steps that it has in all of the past.

        When it begins, and what wasn't seen before the held-out days, isn't learned from these.
        """
        since = self.split.timestamp()
        if not self.early:
            more = self.finder.regrown(habit)
            first = tuple(o for o in more.occurrences if max(o.values()) < since)
            if set(habit.items) < set(more.items) == {i for o in first for i in o}:
                habit = replace(more, occurrences=first)
        return earned(habit, self.whole, since, ASK_FIRST)

    # ---------------------------------------------------------------------------------- triggers

    def choose(self, habits: Sequence[Habit]) -> Iterator[Tried]:
        """Yield each habit with the trigger that does best."""
        options = [(h, r) for h in habits for r in proposals(self.fit, h) if not self.early or _begins(r)]
        soon_over = list(limits(self.fit))
        options += soon_over
        start = self.whole.day_start(self.fit.days[0])
        outcomes = self.test(self.fit, [r for _, r in options], start)
        if not self.early:
            options = [(h, c) for h, r in options for c in self.conditioned(h, r, outcomes.get(id(r), []))]
            outcomes.clear()  # a hundred megabytes in a busy year
            outcomes = self.test(self.whole, [r for _, r in options], start)
        for habit in [*habits, *(h for h, _ in soon_over)]:
            tried = [
                Tried.of(h, r, outcomes.get(id(r), []), self.split, early=self.early)
                for h, r in options
                if h is habit
            ]
            if tried:
                yield max(tried, key=Tried.rank)
            else:
                self.count(no_trigger=self.counts.no_trigger + 1)

    def conditioned(self, habit: Habit, routine: Routine, outcomes: Sequence[Outcome]) -> Iterator[Routine]:
        """Yield a routine without the occasions on which it wasn't wanted, where a rule tells them.

        And within the hours and weekdays of its habit, if it has any: too few occasions at others may have
        come yet.
        """
        moments = [self.fit.moment(o.firing.at.timestamp(), followed=o.won) for o in outcomes]
        conditions = infer(moments, routine.conditions)
        yield replace(routine, conditions=conditions)
        if _plain(routine) and not routine.is_limit:
            own = kept([self.fit.moment(t, followed=True) for t in habit.starts])
            if own.after_min is not None and conditions.after_min is None:
                hours = replace(routine.conditions, after_min=own.after_min, before_min=own.before_min)
                conditions = infer(moments, hours)
                yield replace(routine, conditions=conditions)
            if own.weekdays and not conditions.weekdays:
                yield replace(routine, conditions=replace(conditions, weekdays=own.weekdays))

    def test(
        self, history: History, routines: Sequence[Routine], since: datetime
    ) -> dict[int, list[Outcome]]:
        """Return the outcomes of each routine, by its identity."""
        found: dict[int, list[Outcome]] = {}
        for o in backtest(history.changes, history.actions, history.calendar, routines, since):
            found.setdefault(id(o.firing.routine), []).append(o)
        return found

    # ------------------------------------------------------------------------------------- proof

    def prove(self, chosen: Sequence[Tried]) -> list[Routine]:
        """Return what proved itself on the held-out days, the most useful first."""
        routines: list[Routine] = []
        covered: set[tuple[str, float]] = set()
        for tried in sorted(chosen, key=lambda t: (-t.pooled.worth(BY_ITSELF), t.routine.id)):
            routine = self.finished(tried)
            if not tried.proven:
                self.count(unproven=self.counts.unproven + 1)
                self.missed(routine)
            elif len(tried.saved - covered) <= (1.0 - _PART) * len(tried.saved):
                self.count(parts=self.counts.parts + 1)  # others do it already
            else:
                covered |= tried.saved
                routines.append(routine)
        return routines

    def finished(self, tried: Tried) -> Routine:
        """Return a routine with its name and its evidence."""
        whole = self.whole
        habit = recollect(tried.habit, whole)
        dates = sorted({date.fromordinal(whole.clock(t)[0]).isoformat() for t in habit.starts})
        since = self.split.timestamp()
        missed = [
            o
            for o in habit.occurrences
            if min(o.values()) >= since and not any((i.entity_id, t) in tried.saved for i, t in o.items())
        ]
        shown = tried.learned if self.early else tried.proof
        evidence = Evidence(
            dates=tuple(dates),
            opportunities=int(tried.learned.wins + tried.learned.losses),
            p=tried.habit.p,
            q=self.q.get(id(tried.habit), tried.habit.p),
            wins=int(shown.wins),
            losses=int(shown.losses),
            missed=len(missed),
            held_out=None
            if self.early
            else (
                self.split.astimezone(whole.calendar.zone).date().isoformat(),
                date.fromordinal(whole.days[-1]).isoformat(),
            ),
        )
        return replace(tried.routine, name=name_of(tried.routine, whole.names), evidence=evidence)

    def missed(self, routine: Routine) -> None:
        """Keep the nearest miss for the explanation: the first, as they come in order."""
        e = routine.evidence
        if not self.counts.nearest:
            self.count(nearest=f"{routine.name} (right {e.wins} times, not needed {e.losses} times)")


def _plain(routine: Routine) -> bool:
    return isinstance(routine.trigger, OnState)


def _begins(routine: Routine) -> bool:
    """Whether a step begins it: nothing else was learned, so that what it was learned from may prove it."""
    trigger = routine.trigger
    return isinstance(trigger, OnState) and (trigger.entity_id, trigger.state) in routine.items


def _add(found: list[Habit], habit: Habit) -> int:
    """Add a habit unless it meets one that is surer, or instead of those that are less sure."""
    alike = [h for h in found if overlap(habit, h) > _PART or overlap(h, habit) > _PART]
    if any(h.p <= habit.p for h in alike):
        return 1
    for other in alike:
        found.remove(other)
    found.append(habit)
    return len(alike)
