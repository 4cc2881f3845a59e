"""Probability of a value in a context, backed off to coarser contexts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import log
from typing import Any, Final, Self

CONCENTRATIONS: Final = (1.0, 8.0, 64.0, 512.0)


class BackOff:
    """Categorical distributions in nested contexts, each with the next coarser one as its Dirichlet prior.

        p_0(v) = (n_0(v) + m / K) / (n_0 + m)                K: values known
        p_l(v) = (n_l(v) + m · p_{l-1}(v)) / (n_l + m)       l = 1, 2, ...: finer and finer contexts
        p(v)   = (1 - ν) · p_L(v)  for a known value,  ν for all unknown ones together

    ν = (N₁ + ½) / (N + 1) is Good and Turing's estimate, from the values seen once (N₁). How far contexts
    differ from one another is the home's to say: the concentration m is the one of 1, 8, 64 and 512 that
    has predicted best so far (prequential likelihood). Weights fade: the caller gives events growing weights
    and the weight of an event now, `unit`; the memory of how well m did fades with them.

    Memory: `max_contexts` contexts a level, the least recently used goes first; of `max_values` values the
    one with the least weight goes. `p` is O(levels), `learn_one` O(levels · 4).

    Parameters
    ----------
    max_contexts: how many contexts are kept.
    max_values: how many values a context keeps.

    >>> hour = BackOff()
    >>> for day in range(20):
    ...     hour.learn_one(((), "coffee"), 7); hour.learn_one(((), "lamp"), 21)
    >>> hour.p(((), "coffee"), 7) > 0.9, hour.p(((), "coffee"), 21) < 0.1, hour.p(((), "tea"), 7) > 0.4
    (True, True, True)

    References
    ----------
    MacKay, D. J. C. and Peto, L. C. B. (1995). A hierarchical Dirichlet language model. Natural Language
    Engineering 1(3).
    Good, I. J. (1953). The population frequencies of species. Biometrika 40.
    Dawid, A. P. (1984). Statistical theory: the prequential approach. J. R. Stat. Soc. A 147.
    """

    __slots__ = ("_losses", "_n", "_once", "_rows", "_times", "max_contexts", "max_values")

    def __init__(self, *, max_contexts: int = 4096, max_values: int = 512) -> None:
        self.max_contexts = max_contexts
        self.max_values = max_values
        self._rows: dict[Hashable, Row] = {}
        self._times: dict[Hashable, int] = {}  # how often each known value was learned, whatever its age
        self._once = 0  # how many of them once only
        self._n = 0
        self._losses = [0.0] * len(CONCENTRATIONS)  # nats of each concentration, fading like the counts

    def __len__(self) -> int:
        return len(self._rows)

    def values(self) -> int:
        """Return how many values are known."""
        return len(self._times)

    def knows(self, value: Hashable) -> bool:
        """Return whether a value was ever learned, and not dropped."""
        return value in self._times

    def weight(self, context: Hashable, value: Hashable) -> float:
        """Return the weight of a value in a context."""
        row = self._rows.get(context)
        return row.weights.get(value, 0.0) if row else 0.0

    def p_new(self) -> float:
        """Return the probability that the next value is one never seen."""
        return (self._once + 0.5) / (self._n + 1.0)

    def p(self, contexts: Sequence[Hashable], value: Hashable, unit: float = 1.0) -> float:
        """Return the probability of a value; `contexts` from coarse to fine, the first the same for all."""
        new = self.p_new()
        if value not in self._times:
            return new
        m = CONCENTRATIONS[self._losses.index(min(self._losses))] * unit
        rows, known = self._rows, len(self._times)
        root = rows.get(contexts[0])
        p = (root.weights.get(value, 0.0) + unit / known) / (root.total + unit) if root else 1.0 / known
        for context in contexts[1:]:
            row = rows.get(context)
            if row is not None:
                p = (row.weights.get(value, 0.0) + m * p) / (row.total + m)
        return (1.0 - new) * p

    def learn_one(self, contexts: Sequence[Hashable], value: Hashable, unit: float = 1.0) -> None:
        """Count a value of weight `unit` in each of the contexts."""
        times = self._times.get(value, 0)
        if times:
            self._judge(contexts, value, unit)
        self._times[value] = times + 1
        self._once += (times == 0) - (times == 1)
        self._n += 1
        for context in contexts:
            row = self._rows.pop(context, None) or Row()
            self._rows[context] = row  # now the last to go
            row.add(value, unit)
            if len(row.weights) > self.max_values:
                self._drop(context, row)
        while len(self._rows) > self.max_contexts:
            del self._rows[next(iter(self._rows))]

    def _judge(self, contexts: Sequence[Hashable], value: Hashable, unit: float) -> None:
        """Charge each concentration with the probability that it gave to a value, known to be a known one."""
        rows = [row for row in map(self._rows.get, contexts[1:]) if row is not None]
        root = self._rows.get(contexts[0])
        if root is None or not rows:
            return  # all would pay the same
        p_root = (root.weights.get(value, 0.0) + unit / len(self._times)) / (root.total + unit)
        pairs = [(row.weights.get(value, 0.0), row.total) for row in rows]
        for i, concentration in enumerate(CONCENTRATIONS):
            p, m = p_root, concentration * unit
            for n, total in pairs:
                p = (n + m * p) / (total + m)
            self._losses[i] -= unit * log(p)

    def _drop(self, context: Hashable, row: Row) -> None:
        """Drop the least value of a context; from all there is to know, where the context is that of all."""
        value = row.drop()
        if context == ():
            times = self._times.pop(value)
            self._once -= times == 1
            self._n -= times

    def scale(self, factor: float) -> None:
        """Multiply all weights, when the unit starts over."""
        for row in self._rows.values():
            row.scale(factor)
        self._losses = [loss * factor for loss in self._losses]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        rows = [[pack(c), row.to_list()] for c, row in self._rows.items()]
        times = [[pack(v), n] for v, n in self._times.items()]
        return {"rows": rows, "times": times, "losses": list(self._losses)}

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._rows = {unpack(c): Row.from_list(row) for c, row in data["rows"]}
        self._times = {unpack(v): n for v, n in data["times"]}
        self._once = sum(n == 1 for n in self._times.values())
        self._n = sum(self._times.values())
        self._losses = list(data["losses"])


class Row:
    """The weights of a context's values, and their sum."""

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
    if isinstance(value, dict):
        ((kind, parts),) = value.items()
        made = (unpack(v) for v in parts)
        return tuple(made) if kind == "tuple" else frozenset(made)
    return value  # type: ignore[no-any-return]
