"""The steps of routines that come later: each at its time, unless it is taken back or was done meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from agent.suggestions import Command, Output, Suggestion
from devices.events import utc
from devices.state import HomeState

_LATE: Final = timedelta(minutes=10)
"""A step that is due for longer is left out: we weren't running."""


class Steps:
    """Keeps commands for their time. Memory: the steps that are due."""

    def __init__(self, home: HomeState) -> None:
        self.home = home
        self._due: list[tuple[datetime, Command]] = []

    def begin(self, suggestion: Suggestion, commands: Iterable[Output], at: datetime) -> list[Command]:
        """Return the commands of the steps that are due at once, and keep the others."""
        now: list[Command] = []
        for command, action in zip(commands, suggestion.actions, strict=False):
            assert isinstance(command, Command)
            due = max(suggestion.raised_at, at) + timedelta(seconds=action.delay_s)
            if due <= at:
                now.append(command)
            else:
                self._due.append((due, replace(command, at=due)))
        return now

    def due(self, at: datetime) -> list[Command]:
        """Return the commands whose time has come, but for what is so already."""
        if not self._due:
            return []
        due = [command for when, command in self._due if when <= at]
        self._due = [(when, command) for when, command in self._due if when > at]
        return [
            replace(c, at=at)
            for c in due
            if at - c.at <= _LATE and (known := self.home.get(c.entity_id)) and known.state != c.state
        ]

    def done(self, entity_id: str, state: str) -> None:
        """Leave out what has been done before its time, also if that doesn't last: it was served."""
        if self._due:
            self._due = [(when, c) for when, c in self._due if (c.entity_id, c.state) != (entity_id, state)]

    def cancel(self, suggestion_id: str) -> None:
        """Leave out the steps of a suggestion that are still to come: it was taken back."""
        self._due = [(when, c) for when, c in self._due if c.suggestion_id != suggestion_id]

    def forget(self, entity_id: str) -> None:
        """Drop an entity."""
        self._due = [(when, c) for when, c in self._due if c.entity_id != entity_id]

    def rename(self, old: str, new: str) -> None:
        """Carry an entity over to its new id."""
        self._due = [(when, replace(c, entity_id=new) if c.entity_id == old else c) for when, c in self._due]

    def to_list(self) -> list[list[Any]]:
        """Return a JSON-serialisable snapshot."""
        return [[when.isoformat(), command.to_dict()] for when, command in self._due]

    def load(self, data: Sequence[Sequence[Any]]) -> None:
        """Restore from `to_list`."""
        self._due = [(utc(when), Command.from_dict(command)) for when, command in data]
