"""One device, one entity: each change comes out once, whichever sources report it, in any order."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from devices.events import NO_ATTRIBUTES, NOT_A_STATE, Source, StateChange

MAX_RECENT: Final = 64
_PRUNE_EVERY: Final = 8  # a power of two: so many changes may outstay the window, to save looking at the time
_RANK: Final = {source: rank for rank, source in enumerate(Source)}  # 0 is the best
_LABELS: Final = Source.HOME_ASSISTANT  # the source that is worth waiting for: it alone has contexts
_SURE: Final = 0.9  # an origin of this confidence needs no better label
_MEASURED: Final = ("sensor.", "number.")  # sources may differ in unit and rounding
_NAMES: Final = (
    "friendly_name", "device_class", "state_class", "unit_of_measurement", "icon", "supported_features",
)  # fmt: skip


@dataclass(slots=True)
class _View:
    """What one source said last, and the next accepted change that it hasn't told yet."""

    state: str
    attributes: Mapping[str, Any]
    cursor: int
    session: int


@dataclass(slots=True)
class _Entity:
    """The accepted changes of the last seconds: `recent[0]` has the number `base`, released are < `out`."""

    sole: Source | None
    last: StateChange
    recent: list[StateChange]
    base: int = 0
    out: int = 1
    due: list[datetime] = field(default_factory=list)  # of those that are held
    views: dict[Source, _View] = field(default_factory=dict)
    names: Mapping[str, Any] = field(default_factory=dict)  # the best source's
    named: tuple[Mapping[str, Any], Mapping[str, Any]] = (NO_ATTRIBUTES, NO_ATTRIBUTES)  # without and with
    standby: StateChange | None = None  # a measurement of a source that isn't the best

    @property
    def end(self) -> int:
        return self.base + len(self.recent)


class Fusion:
    """Merges the reports of several sources into one sequence of changes for each entity.

    All sources see the same changes of an entity in the same order, each with a delay of its own. So
    accepted changes are kept for `window`, and each source has a cursor into them: a report is the earliest
    accepted change after the cursor with the same state, else it is news and accepted. Earliest, because a
    view's embedding that is greedy never lies behind the true one; so as long as one source reports
    everything, a source that lags, drops out or misses changes never makes a change count twice.

    - A change whose origin isn't sure waits up to `hold` for Home Assistant's report, if that is connected
      and has reported the entity before, and later changes of the entity queue behind it.
    - Attributes count once: updates between changes are taken from the best connected source that reports
      the entity, names and classes always from the best that ever gave them. Repeats pass as they are.
    - Measurements (`sensor`, `number`) are taken from the best connected source alone, since sources may
      differ in unit and rounding; the others stand by.
    - Retained values that differ from what a better or a live source says are out of date, and ignored.

    Order: `received_at` never decreases within an entity. Between entities changes come out in the order of
    their release, so one that was held follows others that were received up to `hold` later.

    Parameters
    ----------
    hold
        How long a change may wait for Home Assistant's context.
    window
        The longest delay between two sources' reports of one change.

    Memory: for each entity at most 64 changes of the last `window`, one view a source. Time: O(1) with one
    source, O(changes in the window) with several.

    >>> from devices.events import utc
    >>> t = utc("2024-01-01T08:00:00+00:00")
    >>> def heard(state: str, source: Source) -> StateChange:
    ...     return StateChange("light.hall", state, t, t, source=source)
    >>> fusion = Fusion()
    >>> story = [("off", Source.NATIVE), ("off", Source.STATESTREAM), ("on", Source.NATIVE),
    ...          ("off", Source.NATIVE), ("on", Source.STATESTREAM), ("off", Source.STATESTREAM)]
    >>> [out.new for state, source in story for out in fusion.offer(heard(state, source), t)]
    ['off', 'on', 'off']
    """

    def __init__(
        self, *, hold: timedelta = timedelta(seconds=0.4), window: timedelta = timedelta(seconds=10)
    ) -> None:
        self.hold = hold
        self.window = window
        self._entities: dict[str, _Entity] = {}
        self._session: dict[Source, int] = dict.fromkeys(Source, 0)
        self._down: set[Source] = set()
        self._heap: list[tuple[datetime, str]] = []

    # -- sources ----------------------------------------------------------------------------------

    def source_up(self, source: Source) -> None:
        """Say that a source is connected; every source is until it is said to be down."""
        self._down.discard(source)

    def source_down(self, source: Source, now: datetime) -> list[StateChange]:
        """Say that a source is gone, so that nothing waits for it any longer."""
        self._down.add(source)
        self._session[source] += 1
        out: list[StateChange] = []
        for e in self._entities.values():
            if e.due and source is _LABELS:
                e.due = [now] * len(e.due)
                out += self._flush(e, now)
            if (spare := e.standby) is not None and self._best(e) is spare.source:
                e.standby = None
                if spare.received_at >= e.last.received_at and spare.new != e.last.new:
                    out += self._accept(e, e.views[spare.source], spare, now)
        return out

    def sole_source(self, entity_id: str) -> Source | None:
        """Return the source of an entity that only one has ever reported."""
        e = self._entities.get(entity_id)
        return None if e is None else e.sole

    # -- changes ----------------------------------------------------------------------------------

    def offer(self, change: StateChange, now: datetime) -> list[StateChange]:
        """Take in what a source reports; return what can go on."""
        e = self._entities.get(change.entity_id)
        if e is None:
            self._entities[change.entity_id] = _Entity(change.source, change, [change])
            return [change]
        if e.sole is change.source:
            if change.new != e.last.new:
                recent = e.recent
                recent.append(change)
                if not len(recent) & (_PRUNE_EVERY - 1):
                    self._prune(e, change.received_at)
                e.out = e.base + len(recent)
            e.last = change
            return [change]
        if e.sole is not None:
            e.views[e.sole] = _View(e.last.new, e.last.attributes, e.end, self._session[e.sole])
            e.names = _names(e.last.attributes)
            e.sole = None
        return self._merge(e, change, now)

    def release(self, now: datetime) -> list[StateChange]:
        """Return the held changes whose time is up."""
        out: list[StateChange] = []
        while self._heap and self._is_due(self._heap[0][0], now):
            _, entity_id = heapq.heappop(self._heap)
            if (e := self._entities.get(entity_id)) is not None:
                out += self._flush(e, now)
        return out

    def next_release(self) -> datetime | None:
        """Return when `release` has something to do at the earliest."""
        while self._heap:
            due, entity_id = self._heap[0]
            e = self._entities.get(entity_id)
            if e is not None and e.due:
                return due
            heapq.heappop(self._heap)
        return None

    def _is_due(self, due: datetime, now: datetime) -> bool:
        return not now < due <= now + self.hold  # later still: our clock has been set back

    def forget(self, entity_id: str) -> None:
        """Drop an entity; what is held of it is dropped too."""
        self._entities.pop(entity_id, None)

    # -- several sources --------------------------------------------------------------------------

    def _merge(self, e: _Entity, change: StateChange, now: datetime) -> list[StateChange]:
        source = change.source
        view = e.views.get(source)
        session = self._session[source]
        if view is None:
            view = e.views[source] = _View("", NO_ATTRIBUTES, e.base, session)
        elif view.session == session and view.state == change.new:
            return self._again(e, view, change)
        view.session, view.state = session, change.new
        before, view.attributes = view.attributes, change.attributes
        self._learn_names(e, change)
        if change.retained:
            return self._snapshot(e, view, change, now)
        told = (n for n in range(max(view.cursor, e.base), e.end) if self._same(e, n, change))
        if (at := next(told, None)) is not None:
            view.cursor = at + 1
            return self._confirm(e, at, change, now)
        if change.new == e.last.new:  # it tells of a change that is long known
            view.attributes, view.cursor = before, e.end
            return self._again(e, view, change)
        if change.entity_id.startswith(_MEASURED) and self._best(e) is not source:
            e.standby = change
            return []
        return self._accept(e, view, change, now)

    def _again(self, e: _Entity, view: _View, change: StateChange) -> list[StateChange]:
        """Take in a repeat, or attributes that changed within a state."""
        repeat = change.attributes is view.attributes or change.attributes == view.attributes
        view.attributes = change.attributes
        if change.new != e.last.new or (repeat and change.retained):
            return []
        if repeat:
            attributes = e.last.attributes
        elif self._best(e) is change.source:
            self._learn_names(e, change)
            attributes = self._attributes(e, change)
        else:
            return []  # an echo of what the best source says
        made = replace(change, attributes=attributes, received_at=self._received(e, change))
        if e.due:  # the change itself is held: its attributes go with it
            e.last = e.recent[-1] = replace(e.last, attributes=attributes)
            return []
        e.last = made
        return [made]

    def _snapshot(self, e: _Entity, view: _View, change: StateChange, now: datetime) -> list[StateChange]:
        """Take in what a source held when it connected."""
        if change.new == e.last.new:
            view.cursor = e.end
            if self._best(e) is not change.source or e.due or change.attributes == e.last.attributes:
                return []
            received_at = self._received(e, change)
            e.last = replace(change, attributes=self._attributes(e, change), received_at=received_at)
            return [e.last]
        told = [n for n in range(max(view.cursor, e.base), e.end) if self._same(e, n, change)]
        if told:
            view.cursor = told[-1] + 1  # it lags
            return []
        if self._vouched(e, change):
            view.cursor = max(view.cursor, e.base)
            return []
        return self._accept(e, view, change, now)

    def _vouched(self, e: _Entity, change: StateChange) -> bool:
        """Whether a better or a live source stands for the state known, against a retained one."""
        newer = change.source is _LABELS and change.changed_at > e.last.changed_at
        for source, view in e.views.items():
            if source is change.source or not self._connected(source, view) or view.state != e.last.new:
                continue
            if _RANK[source] < _RANK[change.source] or not (e.last.retained or newer):
                return True
        return False

    def _same(self, e: _Entity, number: int, change: StateChange) -> bool:
        known = e.recent[number - e.base]
        return known.new == change.new and abs(known.received_at - change.received_at) <= self.window

    def _confirm(self, e: _Entity, number: int, change: StateChange, now: datetime) -> list[StateChange]:
        """Take in another report of an accepted change; better evidence counts while it is held."""
        if number < e.out:
            return []
        known = e.recent[number - e.base] = _best_of(e.recent[number - e.base], change)
        if number == e.end - 1:
            e.last = known
        if change.source is not _LABELS and known.confidence < _SURE:
            return []
        for held in range(number - e.out + 1):
            e.due[held] = now
        return self._flush(e, now)

    def _accept(self, e: _Entity, view: _View, change: StateChange, now: datetime) -> list[StateChange]:
        received_at = self._received(e, change)
        attributes = self._attributes(e, change)
        if received_at is not change.received_at or attributes is not change.attributes:
            change = replace(change, received_at=received_at, attributes=attributes)
        e.last, e.standby = change, None
        e.recent.append(change)
        self._prune(e, received_at)
        view.cursor = e.end
        due = now + self.hold if self._waits(e, change) else now
        if not e.due and due <= now:
            e.out = e.end
            return [change]
        e.due.append(due)
        if due > now:
            heapq.heappush(self._heap, (due, change.entity_id))
        return self._flush(e, now)

    def _received(self, e: _Entity, change: StateChange) -> datetime:
        """Return a time of receipt that never decreases, unless our clock was set back for good."""
        last = e.last.received_at
        return last if change.received_at < last <= change.received_at + self.window else change.received_at

    def _waits(self, e: _Entity, change: StateChange) -> bool:
        label = e.views.get(_LABELS)
        unsure = change.source is not _LABELS and not change.retained and change.confidence < _SURE
        return unsure and label is not None and self._connected(_LABELS, label)

    def _flush(self, e: _Entity, now: datetime) -> list[StateChange]:
        n = 0
        while n < len(e.due) and self._is_due(e.due[n], now):
            n += 1
        first = e.out - e.base
        out = e.recent[first : first + n]
        del e.due[:n]
        e.out += n
        return out

    def _prune(self, e: _Entity, now: datetime) -> None:
        """Forget released changes that no report can mean any more; the newest stays."""
        most = min(len(e.recent) - 1, e.out - e.base)
        n = min(most, MAX_RECENT // 2 if len(e.recent) >= MAX_RECENT else 0)
        while n < most and abs(e.recent[n].received_at - now) > self.window:
            n += 1
        del e.recent[:n]
        e.base += n

    # -- attributes -------------------------------------------------------------------------------

    def _connected(self, source: Source, view: _View) -> bool:
        return source not in self._down and view.session == self._session[source]

    def _best(self, e: _Entity) -> Source | None:
        """Return the best connected source that knows a state of the entity."""
        known = (s for s, v in e.views.items() if v.state not in NOT_A_STATE and self._connected(s, v))
        return min(known, key=_RANK.__getitem__, default=None)

    def _learn_names(self, e: _Entity, change: StateChange) -> None:
        better = all(_RANK[change.source] <= _RANK[source] for source in e.views)
        found = _names(change.attributes)
        if better and found != e.names:
            e.names = {**e.names, **found}
            e.named = (NO_ATTRIBUTES, NO_ATTRIBUTES)
        elif not better and any(key not in e.names for key in found):
            e.names = {**found, **e.names}

    def _attributes(self, e: _Entity, change: StateChange) -> Mapping[str, Any]:
        """Return a report's attributes under the best source's names; the same object for the same input."""
        if change.attributes is not e.named[0]:
            same = all(change.attributes.get(key) == value for key, value in e.names.items())
            e.named = (change.attributes, change.attributes if same else {**change.attributes, **e.names})
        return e.named[1]


def _names(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: attributes[key] for key in _NAMES if key in attributes}


def _best_of(known: StateChange, other: StateChange) -> StateChange:
    """Join two reports of one change: the surer origin, the better source's attributes, the first's times."""
    better = _RANK[other.source] < _RANK[known.source]
    surer = other if (other.confidence, better) > (known.confidence, not better) else known
    low, high = (known, other) if better else (other, known)
    return replace(
        known,
        origin=surer.origin,
        confidence=surer.confidence,
        attributes={**low.attributes, **high.attributes},
        source=high.source,
        context_id=high.context_id or low.context_id,
    )
