"""Replays a recording through the pipeline as if it happened: what would Inkling have said?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from agent.mining import NightlyMiner
from agent.pipeline import Pipeline
from agent.suggestions import Command, GoalNews, Output, Resolution, RoutineNews, Suggestion, Update, Weighed
from agent.ticker import Ticker, with_ticks
from devices.events import StateChange, Tick


@dataclass(slots=True)
class Backtest:
    """What a replay gave. `lines` are the suggestions by time of raising, the last one the summary."""

    events: int = 0
    entities: set[str] = field(default_factory=set)
    first: datetime | None = None
    last: datetime | None = None
    suggestions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def note(self, outputs: Iterable[Output]) -> None:
        """Take down what the pipeline gave."""
        for output in outputs:
            record(self.suggestions, output)

    def lines(self) -> list[dict[str, Any]]:
        """Return one object a suggestion, and a summary. Nothing in it depends on the machine."""
        return [*self.suggestions.values(), {"summary": self.summary()}]

    def summary(self) -> dict[str, Any]:
        """Return counts, and how often the home would have been interrupted."""
        days = (self.last - self.first) / timedelta(days=1) if self.first and self.last else 0.0
        kinds = Counter(s["kind"] for s in self.suggestions.values())
        return {
            "events": self.events,
            "entities": len(self.entities),
            "first": self.first and self.first.isoformat(),
            "last": self.last and self.last.isoformat(),
            "days": round(days, 3),
            "suggestions": len(self.suggestions),
            "kinds": dict(sorted(kinds.items())),
            "detectors": dict(sorted(Counter(s["detector"] for s in self.suggestions.values()).items())),
            "statuses": dict(sorted(Counter(s["status"] for s in self.suggestions.values()).items())),
            "per_day": round(len(self.suggestions) / days, 4) if days else None,
        }

    def to_json_lines(self) -> bytes:
        """Return `lines` as JSON Lines: the same bytes for the same recording and settings."""
        return b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in self.lines())


def backtest(
    pipeline: Pipeline,
    changes: Iterable[StateChange],
    *,
    tick: timedelta = timedelta(minutes=1),
    miner: NightlyMiner | None = None,
    progress: Callable[[StateChange], None] | None = None,
) -> Backtest:
    """Replay changes (oldest first) through an untaught pipeline; nobody answers. `miner` finds routines.

    Suggestions that are still alive at the end stay open, with `resolved_at` null.
    """
    result = Backtest()
    for event in with_ticks(changes, Ticker(tick)):
        if isinstance(event, Tick):
            if miner is not None and (mined := miner.due(event.at)) is not None:
                result.note(pipeline.step(mined))
        else:
            if miner is not None:
                miner.heard(event)
            result.events += 1
            result.entities.add(event.entity_id)
            result.first = result.first or event.received_at
            result.last = event.received_at
            if progress is not None:
                progress(event)
        result.note(pipeline.step(event))
    return result


def record(suggestions: dict[str, dict[str, Any]], output: Output) -> None:
    """Note an output in a table of suggestions by id."""
    match output:
        case Suggestion():
            suggestions.setdefault(
                output.id, output.to_dict() | {"status": "open", "resolved_at": None, "why": ""}
            )
        case Update():
            suggestions[output.suggestion.id] |= output.suggestion.to_dict()
        case Resolution():
            suggestions[output.suggestion_id] |= {
                "status": output.status.value,
                "resolved_at": output.at.isoformat(),
                "why": output.why,
            }
        case Command() | RoutineNews() | GoalNews() | Weighed():
            pass  # nobody accepts in a replay
