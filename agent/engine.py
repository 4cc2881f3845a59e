"""The pipeline on top of the store: nothing is said before what led to it is committed.

`take` steps events and collects what is to be written; `commit` writes it in one transaction and then hands
the outputs on. A commit that fails (a full disk) keeps everything for the next try. After a restart,
`restore` replays what the last snapshot doesn't hold, and arrives at the same state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import structlog

from agent.pipeline import Event, Pipeline
from agent.queries import Input
from agent.records import Batch, Document, Setting
from agent.requests import Request, request_from_dict, request_to_dict
from agent.store import Store
from agent.suggestions import (
    Command,
    GoalNews,
    Output,
    Resolution,
    RoutineNews,
    Suggestion,
    Update,
    Weighed,
)
from agent.ticker import Ticker
from devices.context import Calendar
from devices.events import Source, StateChange, Tick, utc

log = structlog.get_logger()

POLICY: Final = "policy"
"""Setting that shows other processes what answers have changed."""
GOALS: Final = "goals"
"""The same, of goals."""
RUNS: Final = "runs"
"""The same, of how the runs of routines went."""
WEIGHED: Final = "weighed"
"""Kind of the journal's entries that say whether a goal was shown, and with which propensity."""
SNAPSHOT_VERSION: Final = 10
"""Counts the forms that a snapshot has had; another one than this is relearned from the log."""
SNAPSHOT_EVENTS: Final = 50_000
"""A snapshot is due after this many events, so that a start replays at most as many."""


class Engine:
    """One home: its pipeline, its log, and the sequence number that orders both.

    `on_outputs` is called after each commit with what the committed events led to, and the time of the last.
    """

    def __init__(
        self,
        store: Store,
        pipeline: Pipeline,
        ticker: Ticker,
        on_outputs: Callable[[Sequence[Output], datetime], None] = lambda _outputs, _at: None,
    ) -> None:
        self.store = store
        self.pipeline = pipeline
        self.ticker = ticker
        self.on_outputs = on_outputs
        self.events = 0  # state changes taken since the start
        self._seq = store.last_seq
        self._snapshot_seq = 0
        self._policy_revision = self._runs_revision = self._goals_revision = 0
        self._zone: str | None = None  # in which the pipeline has learned
        self._batch = Batch()
        self._outputs: list[Output] = []
        self._at: datetime | None = None
        self._logged: datetime | None = None  # the last tick that a replay of the log would have come to

    # -- live -------------------------------------------------------------------------------------

    def take(self, event: StateChange | Request) -> None:
        """Step one event, and the ticks that were due before it."""
        self._zone = self._zone or self.pipeline.calendar.zone.key
        if isinstance(event, StateChange):
            news = self._is_news(event)
            self.advance(event.received_at, logged=news)
            if not news:
                self.pipeline.step(event)  # still says that the device is alive
                return
            self.events += 1
            known = self.pipeline.home.get(event.entity_id)
            self._batch.changes.append((self._next(), event, None if known is None else known.state))
        else:
            self.advance(event.at, logged=True)
            self._batch.journal.append((self._next(), event.at, request_to_dict(event)))
        self._logged = self.ticker.last
        self._step(event, event.received_at if isinstance(event, StateChange) else event.at)

    def advance(self, at: datetime, *, logged: bool = False) -> None:
        """Let time pass. `logged`: up to an event that the log will hold."""
        if not self.ticker.stands(at):
            self._tick(at, logged=logged)
        self._at = at if self._at is None else max(self._at, at)

    def _tick(self, at: datetime, *, logged: bool) -> None:
        """Step the ticks that are due.

        A replay ticks up to the time of each entry of the log. So the log gets an entry of its own where
        that isn't enough: what only time led to, a silence that would look like an outage, what was
        received before the last tick, and where time broke off and where it went on.
        """
        broken = self.ticker.breaks(at)
        if broken or (self.ticker.last is not None and at < self.ticker.last):
            self._log_time()
        for tick in self.ticker.until(at):
            if self._step(tick, tick.at) or self._is_long_silence():
                self._log_time()
        if broken and not logged:
            self._log_time()

    def commit(self, *, inflight: Sequence[tuple[int, bytes]] = (), inbox: Sequence[int] = ()) -> None:
        """Write all that has been taken, and say what follows. Raises StoreError and keeps it all.

        `inflight`: (packet id, digest) of the messages that this commit makes safe; `inbox`: ids of the
        requests that it carries out.
        """
        self._batch.inflight.extend(inflight)
        self._batch.inbox.extend(inbox)
        if self.pipeline.policy.revision != self._policy_revision:
            self._policy_revision = self.pipeline.policy.revision
            self.keep(Setting("*", POLICY, self.pipeline.policy.to_dict()))
        if self.pipeline.goals.revision != self._goals_revision:
            self._goals_revision = self.pipeline.goals.revision
            self.keep(Setting("*", GOALS, self.pipeline.goals.effects()))
        if self.pipeline.routines.corrected.revision != self._runs_revision:
            self._runs_revision = self.pipeline.routines.corrected.revision
            self.keep(Setting("*", RUNS, self.pipeline.routines.corrected.records()))
        if self._batch:
            self.store.append(self._batch)
            self._batch = Batch()
        if self._outputs and self._at is not None:
            outputs, self._outputs = self._outputs, []
            self.on_outputs(outputs, self._at)

    def keep(self, setting: Setting) -> None:
        """Note a setting; written with the next commit."""
        self._batch.settings.append(setting)

    def delivered(self, suggestion_ids: Iterable[str], at: datetime) -> None:
        """Note what has been said; written with the next commit."""
        self._batch.delivered.extend((suggestion_id, at) for suggestion_id in suggestion_ids)

    @property
    def pending(self) -> bool:
        """Whether something has been taken that isn't written yet."""
        return bool(self._batch)

    @property
    def unwritten_packets(self) -> Sequence[tuple[int, bytes]]:
        """Return the (packet id, digest) of messages that have been taken, but not written yet."""
        return self._batch.inflight

    @property
    def unwritten_requests(self) -> Sequence[int]:
        """Return the ids of requests that have been taken, but not written yet."""
        return self._batch.inbox

    def _is_news(self, change: StateChange) -> bool:
        known = self.pipeline.home.get(change.entity_id)
        if known is None or known.state != change.new:
            return True
        if change.received_at < known.seen_at or (change.retained and change.changed_at < known.since):
            return True  # our clock was set back, or a source knows for how long it has been so
        attributes = change.attributes
        return bool(attributes) and attributes is not known.attributes and attributes != known.attributes

    def _step(self, event: Event, at: datetime) -> bool:
        outputs = self.pipeline.step(event)
        if not outputs:
            return False
        for output in outputs:
            match output:
                case Suggestion():
                    self._batch.suggestions.append(output)
                case Update():
                    self._batch.updates.append(output.suggestion)
                case Resolution():
                    self._batch.resolutions.append(output)
                case Command():
                    self._batch.commands.append(output)
                case RoutineNews():
                    self._batch.routines.append(_document(output))
                case GoalNews():
                    self._batch.goals.append(_goal_document(output))
                case Weighed():
                    self._batch.journal.append((self._next(), output.at, _entry(output)))
        self._outputs += outputs
        self._at = at
        return True

    def _log_time(self) -> None:
        if self.ticker.last is not None and self.ticker.last != self._logged:
            self._logged = at = self.ticker.last
            self._batch.journal.append((self._next(), at, {"kind": "tick", "at": at.isoformat()}))

    def _is_long_silence(self) -> bool:
        """Whether an entry after the next tick would be too far from the last one."""
        last, gap = self.ticker.last, self.ticker.max_gap
        if last is None or gap is None or self._logged is None:
            return False
        return last + self.ticker.every - self._logged > gap

    def _next(self) -> int:
        self._seq += 1
        return self._seq

    def locate(self, calendar: Calendar) -> None:
        """Go by another clock and sun from now on. What was learned by the old one is so until a restart."""
        self.pipeline.calendar = calendar
        if self._zone not in {None, calendar.zone.key}:
            log.warning(
                "the home is in another time zone than was thought; restart Inkling to learn its past again",
                learned_in=self._zone,
                zone=calendar.zone.key,
            )

    # -- restart ----------------------------------------------------------------------------------

    def snapshot(self, at: datetime) -> None:
        """Keep the present state, so that the next start need not replay what led to it.

        Nothing is kept while something isn't written yet, or when nothing has happened.
        """
        if self.pending or self._seq == self._snapshot_seq:
            return
        self._log_time()  # or a replay of the log alone would come less far
        self.commit()
        body = {
            "version": SNAPSHOT_VERSION,
            "pipeline": self.pipeline.to_dict(),
            "ticked": self.ticker.last and self.ticker.last.isoformat(),
            "zone": self._zone or self.pipeline.calendar.zone.key,
        }
        self.store.save_snapshot(self._seq, body, at)
        self._snapshot_seq = self._seq

    @property
    def snapshot_due(self) -> bool:
        """Whether a start would have to replay much."""
        return self._seq - self._snapshot_seq >= SNAPSHOT_EVENTS

    def restore(self, progress: Callable[[int], None] | None = None) -> int:
        """Load the newest snapshot and replay what came after it; return how many inputs were replayed.

        A snapshot of another form is learned again, and so is one of another time zone.
        """
        after, zone = 0, self.pipeline.calendar.zone.key
        snapshot = self.store.load_snapshot()
        if snapshot is not None and snapshot[1].get("version") != SNAPSHOT_VERSION:
            log.info("what was learned is of another release: learning it again from the log")
        elif snapshot is not None and snapshot[1].get("zone", zone) != zone:
            was = snapshot[1]["zone"]
            log.warning("what was learned is in another time zone: learning it again", was=was, zone=zone)
        elif snapshot is not None:
            after, body = snapshot
            self.pipeline.load(body["pipeline"])
            self._logged = self.ticker.last = utc(body["ticked"]) if body["ticked"] else None
        self._snapshot_seq = after
        inputs = self.store.tail(after)
        again = snapshot is not None and not after  # what was imported comes again, too
        replayed = self.replay(self._asked(inputs) if again else inputs, progress)
        self._seq = self.store.last_seq
        self._zone = zone if self._seq else None
        self._say_goals()
        return replayed

    def relearn(self, progress: Callable[[int], None] | None = None) -> int:
        """Learn the whole log from nothing, in order of time; the pipeline must be untaught.

        An import brings the past after the present, and has no outages.
        """
        gap, self.ticker.max_gap = self.ticker.max_gap, None
        count = self.replay(self._asked(self.store.by_time()), progress)
        self.ticker.max_gap = gap
        self._seq = self.store.last_seq
        self._zone = self.pipeline.calendar.zone.key
        self._say_goals()
        self.commit()
        return count

    def _asked(self, inputs: Iterable[Input]) -> Iterator[Input]:
        """Yield them, and note where the residents began to be asked: what was imported is before that."""
        asked = False
        for entry in inputs:
            if not asked and not (isinstance(entry, StateChange) and entry.source is Source.RECORDING):
                asked = True
                self.pipeline.unasked()
            yield entry
        if not asked:
            self.pipeline.unasked()

    def _say_goals(self) -> None:
        """Write down the goals that a replay has come to: of those nothing was written as it went."""
        if self.ticker.last is not None:
            said = {document.id: document.status for document in self.store.goals()}
            news = self.pipeline.goals.unsaid(said, self.ticker.last)
            self._batch.goals.extend(map(_goal_document, news))

    def replay(self, inputs: Iterable[Input], progress: Callable[[int], None] | None = None) -> int:
        """Step what the log holds, saying and writing nothing."""
        count = 0
        for count, entry in enumerate(inputs, 1):
            if isinstance(entry, StateChange):
                self._replay_ticks(entry.received_at)
                self.pipeline.step(entry)
            elif entry["kind"] == WEIGHED:
                continue  # what was decided follows from the rest
            elif entry["kind"] == "tick":
                self._replay_ticks(utc(entry["at"]))
            else:
                event = request_from_dict(entry)
                self._replay_ticks(event.at)
                self.pipeline.step(event)
            if progress is not None and count % 1000 == 0:
                progress(count)
        self._logged = self.ticker.last
        return count

    def _replay_ticks(self, at: datetime) -> None:
        for tick in self.ticker.until(at):
            self.pipeline.step(Tick(tick.at))


def _goal_document(news: GoalNews) -> Document:
    return Document(news.goal_id, news.standing.value, news.at, {"goal": news.goal, "why": news.why})


def _entry(weighed: Weighed) -> dict[str, Any]:
    return {"kind": WEIGHED, "suggestion_id": weighed.suggestion_id, **weighed.decision}


def _document(news: RoutineNews) -> Document:
    body = {
        "routine": news.routine.to_dict(),
        "mode": news.mode.value,
        "why": news.why,
        "elsewhere": news.elsewhere,
        "rests": news.rests,
        "off": news.off,
    }
    return Document(news.routine.id, news.standing.value, news.at, body)
