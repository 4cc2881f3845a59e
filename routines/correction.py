"""What residents make of what routines do: run by run, step by step, until it is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from devices.events import NOT_A_STATE, Origin, utc
from routines.actions import SETTLE_S, Seen, main_target
from routines.chains import Chain, Ended, Turn
from routines.routine import Routine, Step

RECENT: Final = 10
"""How many of the last runs of a step count: what residents want changes."""


@dataclass(slots=True)
class Record:
    """How the runs of a routine went: every step kept, or one of them changed, or put back.

    And of the questions that led to no run: those that were right, and those that were not wanted.
    """

    kept: int = 0
    changed: int = 0
    undone: int = 0
    by_hand: int = 0
    unwanted: int = 0


@dataclass(slots=True)
class Run:
    """One time that a routine was carried out. `until`: its last step has been taken by then."""

    id: str
    until: datetime
    chains: dict[str, Chain] = field(default_factory=dict)  # by entity
    taken: list[str] = field(default_factory=list)  # keys of steps
    kept: bool = False
    changed: bool = False
    undone: bool = False


class Corrections:
    """Follows what routines did until the residents leave it alone.

    A run is begun with `begin`, its steps are noted with `take`, the changes of their entities with
    `observe`; `settle` lets time pass. Kept is what isn't touched for half an hour, what lasts until
    something else (an automation, the next run) moves the entity, and what a resident ends after its time
    (`Chain`). What is kept how often, `routines.rewriting` weighs.

    Complexity: O(open runs) a change. Memory: the last `RECENT` chains of each step of each routine, one
    open run and three counts a routine.

    >>> from routines.routine import OnState, Target
    >>> full = Step("light.den", "on", targets=(Target("brightness", 255.0, 255.0, 255.0, 9),))
    >>> den, corrections = Routine("Den", OnState("binary_sensor.den", "on"), (full,)), Corrections()
    >>> at = utc("2024-03-04T18:00:00+00:00")
    >>> corrections.begin(den, "run 1", at)
    >>> corrections.take(den, full, "off", at)
    >>> dimmed = Seen("on", "brightness", 102.0)
    >>> corrections.observe("light.den", dimmed, Origin.PERSON, at + timedelta(minutes=1))
    []
    >>> corrections.settle(at + timedelta(minutes=31))
    >>> corrections.ready == [den.id]
    True
    >>> [tuple(node) for node in corrections.ended(den, full)[0].path]
    [('on', ''), ('on', '50%')]
    """

    def __init__(self, on_kept: Callable[[str], None] = lambda _routine_id: None) -> None:
        self._on_kept = on_kept  # told the routine of each run that was let be
        self._runs: dict[str, Run] = {}  # by routine
        self._ended: dict[str, dict[str, list[Ended]]] = {}  # by routine and step, oldest first
        self.records: dict[str, Record] = {}
        self.revision = 0  # counts the changes of `records`
        self.ready: list[str] = []  # routines of which something new is known

    # -- what the routine does --------------------------------------------------------------------

    def begin(self, routine: Routine, run_id: str, at: datetime) -> None:
        """Note that a routine is being carried out; what it did the last time has served."""
        self._finish(routine.id)
        last = max(step.delay_s for step in routine.steps) + SETTLE_S
        self._runs[routine.id] = Run(run_id, at + timedelta(seconds=last))

    def expects(self, routine: Routine, step: Step, at: datetime) -> bool:
        """Whether a step belongs to the run that has begun: it hasn't been taken there yet."""
        run = self._runs.get(routine.id)
        return run is not None and at <= run.until and key_of(step) not in run.taken

    def take(self, routine: Routine, step: Step, before: str, at: datetime) -> None:
        """Note that a step is taken now, and the state that it replaces."""
        run = self._runs.get(routine.id)
        if run is None:
            return
        self._end(routine.id, step.entity_id)
        main = main_target(step.entity_id)
        target = next((t.median for t in step.targets if t.name == main), None)
        run.taken.append(key_of(step))
        run.chains[step.entity_id] = Chain(step.entity_id, key_of(step), step.state, before, at, target)

    def routine_of(self, run_id: str) -> str | None:
        """Return the id of the routine that an open run is of."""
        return next((r for r, run in self._runs.items() if run.id == run_id), None)

    # -- what the resident makes of it ------------------------------------------------------------

    def follows(self, entity_id: str) -> bool:
        """Whether a change of an entity matters."""
        return bool(self._runs) and any(entity_id in run.chains for run in self._runs.values())

    def adjusted(self, entity_id: str) -> bool:
        """Whether a resident has adjusted what a step did: to end it then isn't to put it back."""
        if not self._runs:
            return False  # the usual case
        chains = (run.chains.get(entity_id) for run in self._runs.values())
        return any(chain is not None and chain.changed and not chain.put_back for chain in chains)

    def observe(
        self, entity_id: str, seen: Seen, by: Origin, at: datetime, *, usual: bool = False
    ) -> list[tuple[str, Turn]]:
        """Take in what an entity shows and who did it; return whose runs that takes back or restores.

        `usual`: it ends a use that was as long as others.
        """
        told: list[tuple[str, Turn]] = []
        self.settle(at)
        if seen.state in NOT_A_STATE:
            return told
        for routine_id, run in self._runs.items():
            chain = run.chains.get(entity_id)
            if chain is None:
                continue
            turn = chain.observe(seen, by, at, usual=usual)
            if turn in {Turn.OVER, Turn.LOST}:
                self._end(routine_id, entity_id, known=turn is Turn.OVER)
            elif turn in {Turn.REVERSED, Turn.RETURNED} and run.undone is not (turn is Turn.REVERSED):
                run.undone = turn is Turn.REVERSED  # once a run, however many steps are put back
                self._note(routine_id)
                told.append((routine_id, turn))
        return told

    def taken_back(self, run_id: str) -> None:
        """Note that a whole run was undone by a tap or a command, if not by hand already."""
        routine_id = self.routine_of(run_id)
        if routine_id is not None and not self._runs[routine_id].undone:
            del self._runs[routine_id]
            self._record(routine_id).undone += 1

    # -- endings ----------------------------------------------------------------------------------

    def settle(self, at: datetime) -> None:
        """Let time pass: what has been left alone is kept."""
        for routine_id, run in list(self._runs.items()):
            for entity_id in [e for e, chain in run.chains.items() if at >= chain.until]:
                self._end(routine_id, entity_id)
            if not run.chains and at >= run.until:
                self._finish(routine_id)

    def _end(self, routine_id: str, entity_id: str, *, known: bool = True) -> None:
        run = self._runs[routine_id]
        chain = run.chains.pop(entity_id, None)
        if chain is None or not known:
            return
        kept = self._ended.setdefault(routine_id, {}).setdefault(chain.step, [])
        kept.append(chain.ended())
        del kept[:-RECENT]
        run.changed |= chain.changed
        run.kept |= not chain.changed
        self._note(routine_id)

    def _note(self, routine_id: str) -> None:
        if routine_id not in self.ready:
            self.ready.append(routine_id)

    def _finish(self, routine_id: str) -> None:
        """End a run, and count how it went."""
        run = self._runs.get(routine_id)
        if run is None:
            return
        for entity_id in list(run.chains):
            self._end(routine_id, entity_id)
        del self._runs[routine_id]
        if run.undone:
            self._record(routine_id).undone += 1
        elif run.changed:
            self._record(routine_id).changed += 1
        elif run.kept:
            self._record(routine_id).kept += 1
            self._on_kept(routine_id)

    def asked(self, routine_id: str, *, by_hand: bool) -> None:
        """Note a question that led to no run: residents did it themselves, or didn't want it."""
        record = self._record(routine_id)
        if by_hand:
            record.by_hand += 1
        else:
            record.unwanted += 1

    def _record(self, routine_id: str) -> Record:
        self.revision += 1
        return self.records.setdefault(routine_id, Record())

    def ended(self, routine: Routine, step: Step) -> list[Ended]:
        """Return what became of a step lately, oldest first; what has just been put back counts."""
        key = key_of(step)
        known = list(self._ended.get(routine.id, {}).get(key, ()))
        run = self._runs.get(routine.id)
        chain = run.chains.get(step.entity_id) if run is not None else None
        if chain is not None and chain.step == key and chain.put_back:
            known = [*known, chain.ended()][-RECENT:]
        return known

    # -- keeping ----------------------------------------------------------------------------------

    def restart(self, routine_id: str) -> None:
        """Forget what became of a routine's steps: it is another one now, or gone. Its record stays."""
        self._finish(routine_id)
        self._ended.pop(routine_id, None)

    def forget(self, routine_id: str) -> None:
        """Forget a routine."""
        self.restart(routine_id)
        if self.records.pop(routine_id, None) is not None:
            self.revision += 1

    def rename(self, old: Routine, new: Routine) -> None:
        """Carry what is known of a routine over, after an entity of it was renamed."""
        self._runs.pop(old.id, None)
        keys = {key_of(was): key_of(now) for was, now in zip(old.steps, new.steps, strict=True)}
        if (ended := self._ended.pop(old.id, None)) is not None:
            self._ended[new.id] = {keys[key]: of for key, of in ended.items() if key in keys}
        if (record := self.records.pop(old.id, None)) is not None:
            self.records[new.id] = record
            self.revision += 1

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "runs": {
                routine_id: {
                    **asdict(run),
                    "until": run.until.isoformat(),
                    "chains": [chain.to_dict() for chain in run.chains.values()],
                }
                for routine_id, run in self._runs.items()
            },
            "ended": {
                routine_id: {key: [e.to_dict() for e in of] for key, of in steps.items()}
                for routine_id, steps in self._ended.items()
            },
            "records": {routine_id: asdict(record) for routine_id, record in self.records.items()},
            "ready": self.ready,
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self._runs = {}
        for routine_id, run in data["runs"].items():
            chains = {c["entity_id"]: Chain.from_dict(c) for c in run["chains"]}
            self._runs[routine_id] = Run(**{**run, "until": utc(run["until"]), "chains": chains})
        self._ended = {
            routine_id: {key: [Ended.from_dict(e) for e in of] for key, of in steps.items()}
            for routine_id, steps in data["ended"].items()
        }
        self.records = {routine_id: Record(**record) for routine_id, record in data["records"].items()}
        self.ready = list(data["ready"])
        self.revision += 1


def key_of(step: Step) -> str:
    """Return what names a step among those of a routine."""
    return f"{step.entity_id}={step.state}"
