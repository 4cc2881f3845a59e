"""State changes and batches for the store's tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.records import Batch
from agent.suggestions import Action, Kind, Mode, Suggestion
from devices.events import Origin, Source, StateChange

T0 = datetime(2024, 3, 1, 18, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def change(entity_id: str = "light.hall", new: str = "on", minutes: float = 0, **more: Any) -> StateChange:
    more.setdefault("attributes", {"friendly_name": entity_id})
    more.setdefault("received_at", at(minutes))
    return StateChange(
        entity_id, new, at(minutes), origin=Origin.PERSON, confidence=0.7, source=Source.STATESTREAM, **more
    )


def batch(changes: Sequence[StateChange], first: int = 1) -> Batch:
    return Batch(changes=[(seq, c, c.old) for seq, c in enumerate(changes, first)])


def many(count: int, first: int = 0) -> list[StateChange]:
    """Return changes of ten lights, one a minute."""
    return [
        change(f"light.l{i % 10}", "on" if i % 20 < 10 else "off", i) for i in range(first, first + count)
    ]


def suggestion(entity_id: str = "light.hall", minutes: float = 0) -> Suggestion:
    return Suggestion(
        Kind.HUNCH, "dwell", entity_id, "It has been on for long", {"n": 212}, (Action(entity_id, "off"),),
        Mode.ASK, 3.4, 3.0, at(minutes), at(minutes + 60), at(minutes), "evening", "on",
    )  # fmt: skip
