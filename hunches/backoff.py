"""Probability of a value in a context, backed off to coarser contexts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import log
from typing import Any, Final

from devices.counting import Row, pack, unpack

CONCENTRATIONS: Final = (1.0, 8.0, 64.0, 512.0)
JUDGED: Final = 4  # every fourth event judges concentrations and trust: learning them can wait


class BackOff:
    """Categorical distributions in nested contexts, each with the next coarser one as its Dirichlet prior.

        p_0(v) = (n(v) + 1 / K) / (n + 1)                    all events; K: values known
        p_l(v) = (n_l(v) + m · p_{l-1}(v)) / (n_l + m)       l = 1, 2, ...: finer and finer contexts
        p(v)   = (1 - ν) · p_L(v)  for a known value,  ν for all unknown ones together

    ν = (N₁ + ½) / (N + 1) is Good and Turing's estimate, from N occasions and the values that came on one
    only (N₁). Events come in bursts and his don't, so an occasion is a value in a block of `burst` events, as
    often as it came there. How far contexts differ from one another is the home's to say: the concentration m
    is the one of 1, 8, 64 and 512 that has predicted best so far (prequential likelihood, of every fourth
    event). Counts fade by growing: the caller gives the weight of an event now, `unit`, which grows from
    event to event.

    Memory: `max_contexts` contexts, of which the least recently learned goes first, with `max_values` values
    each, of which the one with the least weight goes. `p` and `learn_one` are O(levels).

    Parameters
    ----------
    max_contexts: how many contexts are kept.
    max_values: how many values a context keeps.
    burst: events in a block; 1 where each event is drawn anew.

    >>> hour = BackOff()
    >>> for day in range(20):
    ...     hour.learn_one(["coffee"], 7); hour.learn_one(["lamp"], 21)
    >>> hour.p(["coffee"], 7) > 0.9, hour.p(["coffee"], 21) < 0.1, hour.p(["tea"], 7) > 0.4
    (True, True, True)

    References
    ----------
    MacKay, D. J. C. and Peto, L. C. B. (1995). A hierarchical Dirichlet language model. Natural Language
    Engineering 1(3).
    Good, I. J. (1953). The population frequencies of species. Biometrika 40.
    Chao, A. and Jost, L. (2012). Coverage-based rarefaction and extrapolation. Ecology 93 (by occasions).
    Dawid, A. P. (1984). Statistical theory: the prequential approach. J. R. Stat. Soc. A 147.
    """

    __slots__ = (
        "_concentration", "_last", "_losses", "_occasions", "_once", "_root", "_rows", "_total",
        "burst", "max_contexts", "max_values", "n",
    )  # fmt: skip

    def __init__(self, *, max_contexts: int = 4096, max_values: int = 512, burst: int = 1) -> None:
        self.burst = burst
        self.max_contexts = max_contexts
        self.max_values = max_values
        self._root = Row()
        self._rows: dict[Hashable, Row] = {}
        self._occasions: dict[Hashable, int] = {}  # on how many a value was learned, whatever their age
        self._last: dict[Hashable, int] = {}  # the event at which it was learned last
        self._once = 0  # values with one occasion
        self._total = 0  # occasions
        self.n = 0  # events
        self._losses = [0.0] * len(CONCENTRATIONS)  # nats of each concentration, fading like the counts
        self._concentration = self._best()

    def __len__(self) -> int:
        return len(self._occasions)

    def __contains__(self, value: Hashable) -> bool:
        return value in self._occasions

    def weight(self, value: Hashable) -> float:
        """Return the weight of a value in all events."""
        return self._root.weights.get(value, 0.0)

    def p_new(self) -> float:
        """Return the probability that the next value is one never seen."""
        return (self._once + 0.5) / (self._total + 1.0)

    def p(self, contexts: Sequence[Hashable], value: Hashable, unit: float = 1.0) -> float:
        """Return the probability of a value in a context, given with those around it from coarse to fine."""
        root, new = self._root, (self._once + 0.5) / (self._total + 1.0)
        weight = root.weights.get(value)
        if weight is None:
            return new
        p = (weight + unit / len(root.weights)) / (root.total + unit)
        m, known = self._concentration * unit, self._rows.get
        for context in contexts:
            row = known(context)
            if row is not None:
                p = (row.weights.get(value, 0.0) + m * p) / (row.total + m)
        return (1.0 - new) * p

    def learn_one(self, contexts: Sequence[Hashable], value: Hashable, unit: float = 1.0) -> None:
        """Count a value of weight `unit` in each of the contexts."""
        self._learn(self._rows_of(contexts), value, unit)

    def _rows_of(self, contexts: Sequence[Hashable]) -> list[Row]:
        """Return the rows of the contexts, which are the last to go from now on."""
        rows = []
        for context in contexts:
            row = self._rows.pop(context, None) or Row()
            self._rows[context] = row
            rows.append(row)
        while len(self._rows) > self.max_contexts:
            del self._rows[next(iter(self._rows))]
        return rows

    def _learn(self, rows: Sequence[Row], value: Hashable, unit: float) -> None:
        if not self.n % JUDGED and value in self._occasions:
            self._judge(rows, value, unit)
        block = self.n // self.burst
        self.n += 1
        if self._last.get(value) != block:
            self._count(value, block)
        self._root.add(value, unit)
        for row in rows:
            weights = row.weights  # Row.add, without the call
            weights[value] = weights.get(value, 0.0) + unit
            row.total += unit
            if len(weights) > self.max_values:
                row.drop()
        if len(self._occasions) > self.max_values:
            self._forget_value()

    def _count(self, value: Hashable, block: int) -> None:
        """Count an occasion of a value, the first in a block."""
        self._last[value] = block
        times = self._occasions.get(value, 0)
        self._occasions[value] = times + 1
        self._once += (times == 0) - (times == 1)
        self._total += 1

    def _judge(self, rows: Sequence[Row], value: Hashable, unit: float) -> None:
        """Charge each concentration with the probability that it gave to a value, known to be a known one."""
        root = self._root
        p_root = (root.weights[value] + unit / len(root.weights)) / (root.total + unit)
        pairs = [(row.weights.get(value, 0.0), row.total) for row in rows]
        for i, concentration in enumerate(CONCENTRATIONS):
            p, m = p_root, concentration * unit
            for n, total in pairs:
                p = (n + m * p) / (total + m)
            self._losses[i] -= unit * log(p)
        self._concentration = self._best()

    def _best(self) -> float:
        return CONCENTRATIONS[self._losses.index(min(self._losses))]

    def _forget_value(self) -> None:
        value = self._root.drop()
        times = self._occasions.pop(value)
        del self._last[value]
        self._once -= times == 1
        self._total -= times

    def scale(self, factor: float) -> None:
        """Multiply all weights, when the unit starts over."""
        for row in (self._root, *self._rows.values()):
            row.scale(factor)
        self._losses = [loss * factor for loss in self._losses]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        rows = [[pack(c), row.to_list()] for c, row in self._rows.items()]
        known = [[pack(v), times, self._last[v]] for v, times in self._occasions.items()]
        body = {"root": self._root.to_list(), "rows": rows, "known": known}
        return body | {"n": self.n, "losses": list(self._losses)}

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._root = Row.from_list(data["root"])
        self._rows = {unpack(c): Row.from_list(row) for c, row in data["rows"]}
        self._occasions = {unpack(v): times for v, times, _ in data["known"]}
        self._last = {unpack(v): last for v, _, last in data["known"]}
        self._once = sum(times == 1 for times in self._occasions.values())
        self._total = sum(self._occasions.values())
        self.n = data["n"]
        self._losses = list(data["losses"])
        self._concentration = self._best()


class Circular(BackOff):
    """`BackOff` of a number on a circle, such as the hour: half of each event counts for the values beside.

    Parameters
    ----------
    period: values are 0 to period - 1; anything else counts for itself.

    >>> hour = Circular(24)
    >>> for day in range(20):
    ...     hour.learn_one((), 23)
    >>> hour.p((), 0) > 0.2, hour.p((), 1) < 0.1
    (True, True)
    """

    __slots__ = ("period",)

    def __init__(
        self, period: int, *, max_contexts: int = 4096, max_values: int = 512, burst: int = 1
    ) -> None:
        super().__init__(max_contexts=max_contexts, max_values=max_values, burst=burst)
        self.period = period

    def learn_one(self, contexts: Sequence[Hashable], value: Hashable, unit: float = 1.0) -> None:
        """Count a value of weight `unit`, and its neighbours, in each of the contexts."""
        if not isinstance(value, int) or not 0 <= value < self.period:
            super().learn_one(contexts, value, unit)
            return
        rows = self._rows_of(contexts)
        self._learn(rows, value, 0.5 * unit)
        self._learn(rows, (value - 1) % self.period, 0.25 * unit)
        self._learn(rows, (value + 1) % self.period, 0.25 * unit)


class Mixture:
    """Weighted mean of several `BackOff` with other contexts, which one never has to choose from.

        p(v) = Σ_i w_i p_i(v) / Σ_i w_i;   w_i grows by i's share in p of every fourth value

    A value is cheap if any of them explains it. The first one says which values are known.

    >>> mixture = Mixture([BackOff(), BackOff()])
    >>> for i in range(50):
    ...     mixture.learn_one((["right", i % 2], ["no", i % 3]), i % 2)
    >>> mixture.p(((0,), (0,)), 0) > 0.8, mixture.trust[0] > mixture.trust[1]
    (True, True)

    References
    ----------
    Jelinek, F. and Mercer, R. L. (1980). Interpolated estimation of Markov source parameters from sparse
    data. Pattern Recognition in Practice.
    """

    __slots__ = ("tables", "trust")

    def __init__(self, tables: Sequence[BackOff]) -> None:
        self.tables = tables
        self.trust = [1.0] * len(tables)

    def p(self, views: Sequence[Sequence[Hashable]], value: Hashable, unit: float = 1.0) -> float:
        """Return the probability of a value, given the contexts of each, or of the first few."""
        if len(views) == 1:
            return self.tables[0].p(views[0], value, unit)
        total = weight = 0.0
        for table, trust, contexts in zip(self.tables, self.trust, views, strict=False):
            total += trust * table.p(contexts, value, unit)
            weight += trust
        return total / weight

    def learn_one(self, views: Sequence[Sequence[Hashable]], value: Hashable, unit: float = 1.0) -> None:
        """Count a value of weight `unit`, and how much of it each one foretold."""
        if len(views) > 1 and not self.tables[0].n % JUDGED:
            shares = [
                w * t.p(c, value, unit) for t, w, c in zip(self.tables, self.trust, views, strict=False)
            ]
            whole = sum(shares) / unit
            for i, share in enumerate(shares):
                self.trust[i] += share / whole
        for table, contexts in zip(self.tables, views, strict=False):
            table.learn_one(contexts, value, unit)

    def scale(self, factor: float) -> None:
        """Multiply all weights."""
        self.trust = [w * factor for w in self.trust]
        for table in self.tables:
            table.scale(factor)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {"trust": list(self.trust), "tables": [t.to_dict() for t in self.tables]}

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self.trust = list(data["trust"])
        for table, body in zip(self.tables, data["tables"], strict=True):
            table.load(body)
