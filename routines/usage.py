"""For how long residents use things: a short use is no reversal where short uses are usual."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from devices.events import StateChange, utc
from routines.actions import COMMANDABLE

KEPT: Final = 20
"""Uses that are remembered of each state of an entity: habits change."""
SHARE: Final = 0.1
"""Of them, that have been as short, for one as short to be usual."""
LEAST: Final = 2
"""How many those must be: one may have been a mistake."""
MOST_STATES: Final = 8
_AT_REST: Final = frozenset({"off", "closed", "locked", "idle", "paused", "standby"})


class Usage:
    """Remembers how long residents left on what they had switched on themselves.

    A stay of d seconds that a resident ends is usual where, of the last n ≤ `KEPT` that residents both began
    and ended, at least max(`LEAST`, `SHARE` · n) took no longer than d. States at rest (off, closed) are no
    use: what is put out of them at once was wanted after all.

    Complexity: O(`KEPT`) a question, O(1) a change. Memory: `KEPT` numbers for each of `MOST_STATES` states
    of each entity that can be commanded, and when it began.

    >>> from devices.events import Origin
    >>> usage = Usage()
    >>> def coffee(state, clock):
    ...     at, old = utc(f"2024-03-04T{clock}+00:00"), "off" if state == "on" else "on"
    ...     return StateChange("switch.coffee", state, at, at, old, origin=Origin.PERSON)
    >>> for n, clock in enumerate(("07:00", "07:03", "08:00", "08:02", "09:00")):
    ...     usage.observe(coffee("off" if n % 2 else "on", clock))
    >>> usage.is_usual(coffee("off", "09:04")), usage.is_usual(coffee("off", "09:01"))
    (True, False)
    """

    def __init__(self) -> None:
        self._lasted: dict[str, dict[str, deque[float]]] = {}  # by entity and state, in seconds
        self._begun: dict[str, tuple[str, datetime, bool]] = {}  # state, since when, by a resident?

    def is_usual(self, change: StateChange) -> bool:
        """Whether the stay that a change ends is as short as others were; to be asked before `observe`."""
        begun = self._begun.get(change.entity_id)
        if begun is None or begun[0] != change.old:
            return False
        past = self._lasted.get(change.entity_id, {}).get(begun[0], ())
        seconds = (change.changed_at - begun[1]).total_seconds()
        return sum(s <= seconds for s in past) >= max(LEAST, SHARE * len(past)) if past else False

    def observe(self, change: StateChange, *, learns: bool = True) -> None:
        """Learn from a change; without `learns` (guests) only take note of when the next stay begins."""
        entity_id = change.entity_id
        if change.domain not in COMMANDABLE or change.old == change.new:
            return
        begun = self._begun.pop(entity_id, None)
        if not change.trains:
            return
        if learns and begun is not None and begun[0] == change.old and begun[2] and change.by_resident:
            self._note(entity_id, begun[0], (change.changed_at - begun[1]).total_seconds())
        if change.new not in _AT_REST:
            self._begun[entity_id] = (change.new, change.changed_at, learns and change.by_resident)

    def _note(self, entity_id: str, state: str, seconds: float) -> None:
        states = self._lasted.setdefault(entity_id, {})
        if state in states or len(states) < MOST_STATES:
            states.setdefault(state, deque(maxlen=KEPT)).append(seconds)

    def forget(self, entity_id: str) -> None:
        """Drop an entity."""
        self._lasted.pop(entity_id, None)
        self._begun.pop(entity_id, None)

    def rename(self, old: str, new: str) -> None:
        """Carry an entity over to its new id."""
        self._begun.pop(old, None)
        if (known := self._lasted.pop(old, None)) is not None:
            self._lasted[new] = known

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "lasted": {e: {s: list(of) for s, of in states.items()} for e, states in self._lasted.items()},
            "begun": {e: [state, at.isoformat(), by] for e, (state, at, by) in self._begun.items()},
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self._lasted = {
            e: {s: deque(of, maxlen=KEPT) for s, of in states.items()} for e, states in data["lasted"].items()
        }
        self._begun = {e: (state, utc(at), by) for e, (state, at, by) in data["begun"].items()}
