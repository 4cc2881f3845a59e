"""What is worth saying and over the budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from devices.events import StateChange, utc
from devices.wording import clip
from hunches.detector import Hunch

_STALE: Final = timedelta(minutes=10)


class Waiting:
    """Findings that wait for the budget while they are true, one a detector and entity."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], tuple[Hunch, datetime]] = {}  # and when it was found

    def __bool__(self) -> bool:
        return bool(self._held)

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._held

    def hold(self, hunch: Hunch, found_at: datetime) -> None:
        """Keep a finding for later."""
        self._held[hunch.detector, hunch.entity_id] = (hunch, found_at)

    def drop(self, detector: str, entity_id: str) -> None:
        """Forget a finding that is over."""
        self._held.pop((detector, entity_id), None)

    def left(self, change: StateChange) -> None:
        """Forget what an entity's change to another state has settled."""
        self._held = {
            k: held
            for k, held in self._held.items()
            if k[1] != change.entity_id or held[0].raised_for == change.new or held[0].clears_itself
        }

    def take(self, at: datetime) -> Iterator[tuple[Hunch, datetime]]:
        """Take out each finding that is still worth saying, the most surprising first, with its time."""
        for key in sorted(self._held, key=lambda k: (-self._held[k][0].score, k)):
            hunch, found_at = self._held.pop(key)
            if at - hunch.abnormal_since <= hunch.lasts:
                yield hunch, found_at

    def forget(self, entity_id: str) -> None:
        """Drop an entity."""
        self._held = {k: held for k, held in self._held.items() if k[1] != entity_id}

    def to_dict(self) -> list[list[Any]]:
        """Return a JSON-serialisable snapshot."""
        return [[hunch.to_dict(), found_at.isoformat()] for hunch, found_at in self._held.values()]

    def load(self, data: Sequence[Sequence[Any]]) -> None:
        """Restore from `to_dict`."""
        for body, found_at in data:
            self.hold(Hunch.from_dict(body), utc(found_at))


def dated(hunch: Hunch, found_at: datetime, now: datetime, zone: tzinfo | None) -> Hunch:
    """Return a hunch that says when it was true, if that is a while ago."""
    if now - found_at <= _STALE:
        return hunch
    return replace(hunch, title=clip(f"At {found_at.astimezone(zone):%H:%M}: {hunch.title}"))
