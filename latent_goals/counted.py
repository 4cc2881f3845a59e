"""What was counted in which context, in bounded memory, and its JSON form."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Self


class Row:
    """Weights of values, and their sum.

    >>> row = Row()
    >>> row.add("on", 2.0); row.add("off", 1.0)
    >>> row.total, row.drop(), row.total
    (3.0, 'off', 2.0)
    """

    __slots__ = ("total", "weights")

    def __init__(self) -> None:
        self.weights: dict[Hashable, float] = {}
        self.total = 0.0

    def add(self, value: Hashable, weight: float) -> None:
        """Add weight to a value."""
        self.weights[value] = self.weights.get(value, 0.0) + weight
        self.total += weight

    def drop(self) -> Hashable:
        """Drop the value with the least weight, of equals the oldest, and return it."""
        value = min(self.weights, key=self.weights.__getitem__)
        self.total -= self.weights.pop(value)
        return value

    def scale(self, factor: float) -> None:
        """Multiply all weights."""
        self.weights = {value: weight * factor for value, weight in self.weights.items()}
        self.total *= factor

    def to_list(self) -> list[Any]:
        """Return a JSON-serialisable snapshot."""
        return [self.total, [[pack(value), weight] for value, weight in self.weights.items()]]

    @classmethod
    def from_list(cls, data: Sequence[Any]) -> Self:
        """Rebuild from `to_list`."""
        row = cls()
        row.total, row.weights = data[0], {unpack(value): weight for value, weight in data[1]}
        return row


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


def pack(value: Hashable) -> Any:
    """Return a hashable as JSON: tuples and frozensets are tagged lists, what JSON can't carry is refused."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, tuple):
        return {"tuple": [pack(part) for part in value]}
    if isinstance(value, frozenset):
        return {"set": sorted((pack(part) for part in value), key=repr)}
    raise TypeError(f"no JSON form for {value!r}: use str, numbers, None, and tuples or frozensets of them")


def unpack(value: Any) -> Hashable:
    """Return what was packed."""
    if isinstance(value, Mapping):
        ((kind, parts),) = value.items()
        made = (unpack(part) for part in parts)
        return tuple(made) if kind == "tuple" else frozenset(made)
    return value  # type: ignore[no-any-return]
