"""Weights counted by value, and hashable keys in JSON: what the models of several domains stand on."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
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

    def add_each(self, values: Iterable[Hashable], weight: float, most: int) -> None:
        """Add weight to each value; the one with the least weight goes wherever there are too many."""
        weights = self.weights
        for value in values:
            weights[value] = weights.get(value, 0.0) + weight
            self.total += weight
            if len(weights) > most:
                self.drop()

    def drop(self) -> Hashable:
        """Drop the value with the least weight, of equals the oldest, and return it."""
        value = min(self.weights, key=self.weights.__getitem__)
        self.total -= self.weights.pop(value)
        return value

    def scale(self, factor: float) -> None:
        """Multiply all weights."""
        self.weights = {v: w * factor for v, w in self.weights.items()}
        self.total *= factor

    def to_list(self) -> list[Any]:
        """Return a JSON-serialisable snapshot."""
        return [self.total, [[pack(v), w] for v, w in self.weights.items()]]

    @classmethod
    def from_list(cls, data: Sequence[Any]) -> Self:
        """Rebuild from `to_list`."""
        row = cls()
        row.total, row.weights = data[0], {unpack(v): w for v, w in data[1]}
        return row


def pack(value: Hashable) -> Any:
    """Return a hashable as JSON: tuples and frozensets are tagged lists, what JSON can't carry is refused."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, tuple):
        return {"tuple": [pack(v) for v in value]}
    if isinstance(value, frozenset):
        return {"set": sorted((pack(v) for v in value), key=repr)}
    raise TypeError(f"no JSON form for {value!r}: use str, numbers, None, and tuples or frozensets of them")


def unpack(value: Any) -> Hashable:
    """Return what was packed."""
    if isinstance(value, Mapping):
        ((kind, parts),) = value.items()
        made = (unpack(v) for v in parts)
        return tuple(made) if kind == "tuple" else frozenset(made)
    return value  # type: ignore[no-any-return]
