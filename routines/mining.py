"""Mining: from what was done to routines that would have helped, with an account of everything dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Final

from devices.context import Calendar
from devices.events import StateChange
from routines.conditions import infer
from routines.guard import benjamini_hochberg
from routines.habits import Habit, Habits, overlap
from routines.history import History
from routines.naming import name_of
from routines.routine import Evidence, Routine
from routines.triggers import proposals, sun_times
from routines.validation import ASK_FIRST, BY_ITSELF, Outcome, Score, backtest, score

MOST_DAYS: Final = 28
"""Of the last days, at most so many are held out; a third of them all where there are fewer."""

FALSE_SHARE: Final = 0.01
"""Of habits that pass the guard, at most this share may be chance (Benjamini-Hochberg)."""

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
    include_unknown: bool = False,
    progress: Progress | None = None,
) -> MiningResult:
    """Find routines in a home's changes, in the order in which they came.

    Habits are mined, and triggers and conditions chosen, on the first days; the last ones decide what is
    worth proposing, by a backtest with the same matcher that runs the routine later. `include_unknown`:
    changes whose origin isn't known count as a person's. Nothing here is random.
    """
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
        held_out = min(MOST_DAYS, len(days) // 3)
        if len(days) < 6 or not self.whole.actions:
            return MiningResult((), self.counts)
        self.split = self.whole.day_start(days[-held_out])
        self.progress("reading", 0.1)
        self.fit = History(self.whole.until(self.split), self.whole.calendar, include_unknown=include_unknown)
        self.count(held_out_days=held_out)
        habits = self.habits()
        self.progress("triggers", 0.5)
        chosen = list(self.choose(habits))
        self.progress("backtest", 0.8)
        routines = self.prove(chosen)
        self.count(proposed=len(routines))
        return MiningResult(tuple(routines), self.counts)

    def count(self, **counts: Any) -> None:
        self.counts = replace(self.counts, **counts)

    # ------------------------------------------------------------------------------------ habits

    def habits(self) -> list[Habit]:
        """Return habits that chance doesn't explain, each action in one of them."""
        finder = Habits(self.fit)
        seeds = finder.pairs()
        found: list[Habit] = []
        parts = 0
        for seed in [*seeds, *finder.runs()]:
            if any(overlap(seed, habit) > 0.5 for habit in found):
                parts += 1
                continue
            found.append(finder.with_ends(finder.grow(seed)))
        q_values = benjamini_hochberg([h.p for h in found], finder.tests)
        kept = [h for h, q in zip(found, q_values, strict=True) if q <= FALSE_SHARE]
        self.q = {h.items: q for h, q in zip(found, q_values, strict=True)}
        self.count(candidates=finder.tests, coincidences=finder.tests - parts - len(kept), parts=parts)
        return kept

    # ---------------------------------------------------------------------------------- triggers

    def choose(self, habits: Sequence[Habit]) -> Iterator[tuple[Habit, Routine]]:
        """Yield each habit with the trigger that would have saved most while it was learned."""
        options = [(h, r) for h in habits for r in proposals(self.fit, h)]
        start = self.whole.day_start(self.fit.days[0])
        outcomes = self.test(self.fit, [r for _, r in options], start)
        options = [(h, self.conditioned(r, outcomes.get(id(r), []))) for h, r in options]
        outcomes = self.test(self.fit, [r for _, r in options], start)
        for habit in habits:
            best = _best([(r, score(outcomes.get(id(r), []))) for h, r in options if h is habit])
            if best is None:
                self.count(no_trigger=self.counts.no_trigger + 1)
            else:
                yield habit, best

    def conditioned(self, routine: Routine, outcomes: Sequence[Outcome]) -> Routine:
        """Return a routine without the occasions on which it wasn't wanted, where a rule tells them."""
        moments = [self.fit.moment(o.firing.at.timestamp(), followed=o.won) for o in outcomes]
        return replace(routine, conditions=infer(moments, routine.conditions))

    def test(
        self, history: History, routines: Sequence[Routine], since: datetime
    ) -> dict[int, list[Outcome]]:
        found: dict[int, list[Outcome]] = {}
        sun = sun_times(history) if history.calendar.sun_times(since.date()) is not None else None
        for o in backtest(history.changes, history.actions, history.calendar, routines, since, sun=sun):
            found.setdefault(id(o.firing.routine), []).append(o)
        return found

    # ------------------------------------------------------------------------------------- proof

    def prove(self, chosen: Sequence[tuple[Habit, Routine]]) -> list[Routine]:
        outcomes = self.test(self.whole, [r for _, r in chosen], self.split)
        proven: list[tuple[float, Routine]] = []
        for habit, routine in chosen:
            result = score(outcomes.get(id(routine), []))
            finished = self.finished(habit, routine, result)
            if result.sure <= ASK_FIRST:
                self.count(unproven=self.counts.unproven + 1)
                self.missed(finished)
                continue
            proven.append((result.worth(ASK_FIRST), finished))
        return [r for _, r in sorted(proven, key=lambda one: (-one[0], one[1].id))]

    def finished(self, habit: Habit, routine: Routine, result: Score) -> Routine:
        clock = self.whole.clock
        dates = sorted({date.fromordinal(clock(t)[0]).isoformat() for t in habit.starts})
        evidence = Evidence(
            dates=tuple(dates),
            opportunities=0,
            p=habit.p,
            q=self.q[habit.items],
            wins=result.wins,
            losses=result.losses,
            missed=0,
            held_out=(
                self.split.astimezone(self.whole.calendar.zone).date().isoformat(),
                date.fromordinal(self.whole.days[-1]).isoformat(),
            ),
        )
        return replace(routine, name=name_of(routine, self.whole.names), evidence=evidence)

    def missed(self, routine: Routine) -> None:
        """Keep the nearest miss for the explanation."""
        e = routine.evidence
        if not self.counts.nearest:
            self.counts = replace(self.counts, nearest=f"{routine.name} ({e.wins}:{e.losses})")


def _best(options: Sequence[tuple[Routine, Score]]) -> Routine | None:
    """Return what would have saved most, counting a loss as dearly as the mode allows that it reaches."""
    for price in (BY_ITSELF, ASK_FIRST):
        worth = [(s.worth(price), r) for r, s in options if s.sure > price]
        if worth:
            return max(worth, key=lambda one: one[0])[1]
    return None


__all__ = ["UTC", "Accounting", "MiningResult", "mine"]
