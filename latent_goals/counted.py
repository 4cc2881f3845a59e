"""What was counted in which context, in bounded memory."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from devices.counting import Row, pack, unpack


class Counts:
    """A row for each context; the context learned least recently goes first.

    Memory: `max_contexts` rows of `max_values` values.

    >>> counts = Counts(max_contexts=2, max_values=8)
    >>> for context in "abac":
    ...     counts.add(context, "lamp", 1.0)
    >>> counts.get("a").total, counts.get("b")
    (2.0, None)
    """

    __slots__ = ("_rows", "max_contexts", "max_values")

    def __init__(self, *, max_contexts: int, max_values: int) -> None:
        self.max_contexts = max_contexts
        self.max_values = max_values
        self._rows: dict[Hashable, Row] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, context: Hashable) -> Row | None:
        """Return what was counted in a context."""
        return self._rows.get(context)

    def add(self, context: Hashable, value: Hashable, weight: float) -> None:
        """Count a value in a context."""
        row = self._rows.pop(context, None) or Row()
        self._rows[context] = row  # the last to go from now on
        row.add(value, weight)
        if len(row.weights) > self.max_values:
            row.drop()
        if len(self._rows) > self.max_contexts:
            del self._rows[next(iter(self._rows))]

    def scale(self, factor: float) -> None:
        """Multiply all weights."""
        for row in self._rows.values():
            row.scale(factor)

    def to_list(self) -> list[Any]:
        """Return a JSON-serialisable snapshot."""
        return [[pack(context), row.to_list()] for context, row in self._rows.items()]

    def load(self, data: Sequence[Any]) -> None:
        """Restore from `to_list`."""
        self._rows = {unpack(context): Row.from_list(row) for context, row in data}
