"""Surprise at an action, given what happened before, when, and what is on."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from math import exp, log, log1p, log2
from typing import Any, Final

from devices.counting import Row, pack, unpack
from hunches.backoff import BackOff, Circular, Mixture

X = Mapping[str, Any]
History = tuple[Hashable, ...]
Views = tuple[tuple[Hashable, ...], ...]
ORDER: Final = 2  # longest suffix of the history that is a context of its own
SKIPS: Final = 4  # each of the last actions is a context on its own: residents interleave what they do
LOOKBACK: Final = 16  # actions of the history that count as company
MAX_COMPANIONS: Final = 128  # of an action
LOG2: Final = log(2.0)
BURST: Final = 64  # events; an hour or a device that comes again and again in so many is one occasion
CIRCLES: Final = {"hour": 24}
RESCALE: Final = 1e12  # weights start over before floats lose precision
NOT_CATEGORIES: Final = frozenset({"history", "elapsed_s", "open"})


class ActionSurprise:
    """How much an action looks like a foreign one rather than this home's own, in nats.

    -log p is dear for whatever is rare, and rare is not wrong. So each part of an event is compared with what
    a foreign event would look like: something new with probability ½, else any known value; mixed half and
    half with what the home does anyway (p₀: the part regardless of its context; K values known). A foreign
    event need not be foreign in all its parts: each is so with probability ½.

        s(e) = Σ_part log(½ + ½ q(part) / p(part | context)),  q(v) = ½ p₀(v) + ½ (½ if v is new else ½ / K)

    The parts, p and p₀ by `BackOff`:

    - the action: p(device | history) · p(action | device, its last action). The first is a mixture of the
      last 1 and 2 actions and of each of the last 4 on its own, with weights learned online; a device is the
      first item of a tuple, any other action is its own device;
    - company: an action that never came without b among the last 16 (switching on before switching off) and
      now does, or never with it: q/p = max_b P(b or no b) / P(b or no b | action), at least 1. What is open
      counts as company;
    - each category ("hour", "weekday", …; floats are cut to integers) and whether its own device is open,
      given action and device; half of an hour's count may spread to the hours beside, where that foretells;
    - the time since the last action, in powers of two of seconds, given that one, this one, and both.

    `score_one` gives log(1 + exp s): minus the logarithm of the probability that the event is the home's own,
    at even odds; log 2 when nothing is known. `score_sequence` does the same with the sum of the two largest
    s(e): what doesn't belong is odd where it starts and where the usual goes on.

    A history that ends what was learned (or scored, in a sequence) last is known to be longer than given.
    Everything fades: an event counts half after `half_life` events. Memory is bounded: of `max_contexts`
    contexts a table the least recently used goes, of `max_actions` actions the one with the least weight.
    An event costs O(levels of context + companions of the action).

    Parameters
    ----------
    half_life: number of events after which one counts half.
    max_contexts: contexts kept, each part.
    max_actions: actions kept.

    >>> surprise = ActionSurprise()
    >>> for day in range(30):
    ...     for hour, y in (7, ("lamp", "on")), (7, ("lamp", "off")), (21, ("tv", "on")), (22, ("tv", "off")):
    ...         surprise.learn_one({"hour": hour}, y)
    >>> surprise.score_one({"hour": 21}, ("tv", "on")) < 0.5
    True
    >>> surprise.score_one({"hour": 7}, ("tv", "on")) > 2.0
    True

    References
    ----------
    Jelinek, F. and Mercer, R. L. (1980). Interpolated estimation of Markov source parameters from sparse
    data (the mixture).
    """

    def __init__(
        self, *, half_life: float = 20_000.0, max_contexts: int = 4096, max_actions: int = 512
    ) -> None:
        if half_life <= 0.0 or max_contexts < 1 or max_actions < 2:
            raise ValueError(f"half_life {half_life}, max_contexts {max_contexts}, max_actions {max_actions}")
        self.half_life = half_life
        self.max_contexts = max_contexts
        self.max_actions = max_actions
        self._growth = 2.0 ** (1.0 / half_life)
        self._unit = 1.0
        self._actions = self._mixture(1)
        self._devices = self._mixture(SKIPS)
        self._controls = self._mixture(1)
        self._gaps = self._mixture(2, burst=1)  # each gap is drawn anew
        self._categories: dict[str, Mixture] = {}
        self._with: dict[Hashable, Row] = {}  # action -> its companions
        self._company = Row()  # companions of any action
        self._events = 0.0
        self._recent: History = ()  # what was learned last

    def _mixture(self, n: int, burst: int = BURST) -> Mixture:
        size = {"max_contexts": self.max_contexts, "max_values": self.max_actions}
        return Mixture([BackOff(**size, burst=burst) for _ in range(n)])

    def _category(self, name: str) -> Mixture:
        if name not in CIRCLES:
            return self._mixture(1)
        size = {"max_contexts": self.max_contexts, "max_values": self.max_actions, "burst": BURST}
        return Mixture([BackOff(**size), Circular(CIRCLES[name], **size)])

    def score_one(self, x: X, y: Hashable) -> float:
        """Return the surprise at action `y` in circumstances `x`, in nats."""
        return _softplus(_evidence(self.explain_one(x, y)))

    def explain_one(self, x: X, y: Hashable) -> dict[str, float]:
        """Return log q / p of each part of the surprise, in nats; below 0 is more usual than not."""
        return self._parts(x, _longer(_history(x), self._recent), y)

    def score_sequence(self, events: Sequence[tuple[X, Hashable]]) -> float:
        """Return the surprise at a sequence of events, learning none of them."""
        scores: list[float] = []
        recent: History = ()
        for x, y in events:
            history = _longer(_history(x), recent)
            scores.append(_evidence(self._parts(x, history, y)))
            recent = _recent(history, y)
        return _softplus(sum(sorted(scores)[-2:])) if scores else 0.0

    def learn_one(self, x: X, y: Hashable) -> None:
        """Learn that `y` was done in circumstances `x`."""
        self._unit *= self._growth
        if self._unit > RESCALE:
            self._rescale()
        unit, device, by = self._unit, _device(y), _by(y)
        history = _longer(_history(x), self._recent)
        self._recent = _recent(history, y)
        self._actions.learn_one(((),), y, unit)
        self._devices.learn_one(_views(history), device, unit)
        self._controls.learn_one(_last_control(history, device), y, unit)
        self._meet(x, history, y)
        for name, value in _categories(x, y):
            if name not in self._categories:
                self._categories[name] = self._category(name)
            self._categories[name].learn_one((by, by), value, unit)
        if x.get("elapsed_s") is not None:
            self._gaps.learn_one(_between(history, y), _octave(x["elapsed_s"]), unit)

    def _parts(self, x: X, history: History, y: Hashable) -> dict[str, float]:
        parts, by = {"action": self._action(history, y), "company": self._lonely(x, history, y)}, _by(y)
        for name, value in _categories(x, y):
            if name in self._categories:
                parts[name] = self._ratio(self._categories[name], (by, by), value)
        if x.get("elapsed_s") is not None:
            parts["elapsed_s"] = self._ratio(self._gaps, _between(history, y), _octave(x["elapsed_s"]))
        return parts

    def _action(self, history: History, y: Hashable) -> float:
        """Return log q / p of the action, given the history."""
        device = _device(y)
        p = self._devices.p(_views(history), device, self._unit)
        if device != y and device in self._devices.tables[0]:
            p *= self._controls.p(_last_control(history, device), y, self._unit)
        return log(self._foreign(self._actions, y) / p)

    def _ratio(self, mixture: Mixture, views: Views, value: Hashable) -> float:
        """Return log q / p of a value in a context."""
        return log(self._foreign(mixture, value) / mixture.p(views, value, self._unit))

    def _foreign(self, mixture: Mixture, value: Hashable) -> float:
        """Return the probability of a value if the event were not the home's own."""
        table = mixture.tables[0]
        any_value = 0.5 / len(table) if value in table else 0.5
        return 0.5 * table.p((), value, self._unit) + 0.5 * any_value

    def _lonely(self, x: X, history: History, y: Hashable) -> float:
        """Return the largest log-likelihood ratio of what is, or is not, in an action's company."""
        known, unit = self._with.get(y), self._unit
        if known is None:
            return 0.0
        here, n, events = _company(x, history), self._actions.tables[0].weight(y), self._events
        anyone, own, half = self._company.weights, known.weights, 0.5 * unit
        worst, times, all_times = 1.0, n + unit, events + unit
        for b in here:
            base = (anyone.get(b, 0.0) + half) / all_times
            worst = max(worst, base * times / (own.get(b, 0.0) + half))
        for b, weight in own.items():
            most = times / (n + half - weight)  # if others never had it
            if most > worst and b not in here:
                worst = max(worst, most * (events + half - anyone.get(b, 0.0)) / all_times)
        return log(worst)

    def _meet(self, x: X, history: History, y: Hashable) -> None:
        """Learn the company of an action."""
        self._events = self._events + self._unit
        company = _company(x, history)
        self._with.setdefault(y, Row()).add_each(company, self._unit, MAX_COMPANIONS)
        self._company.add_each(company, self._unit, self.max_actions)
        if len(self._with) > self.max_actions:
            self._with = {a: r for a, r in self._with.items() if a in self._actions.tables[0]}

    def _rescale(self) -> None:
        factor = 1.0 / self._unit
        for mixture in self._mixtures().values():
            mixture.scale(factor)
        for row in (*self._with.values(), self._company):
            row.scale(factor)
        self._events *= factor
        self._unit = 1.0

    def _mixtures(self) -> dict[str, Mixture]:
        own = {"actions": self._actions, "devices": self._devices, "controls": self._controls}
        own["gaps"] = self._gaps
        return own | {f"category {name}": mixture for name, mixture in self._categories.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot; actions must be str, numbers, None or tuples of them."""
        return {
            "unit": self._unit,
            "events": self._events,
            "recent": [pack(y) for y in self._recent],
            "mixtures": {name: mixture.to_dict() for name, mixture in self._mixtures().items()},
            "with": [[pack(a), row.to_list()] for a, row in self._with.items()],
            "company": self._company.to_list(),
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._unit, self._events = data["unit"], data["events"]
        self._recent = tuple(unpack(y) for y in data["recent"])
        names = [n.removeprefix("category ") for n in data["mixtures"] if n.startswith("category ")]
        self._categories = {name: self._category(name) for name in names}
        for name, mixture in self._mixtures().items():
            mixture.load(data["mixtures"][name])
        self._with = {unpack(a): Row.from_list(row) for a, row in data["with"]}
        self._company = Row.from_list(data["company"])


def _history(x: X) -> History:
    return tuple(x.get("history") or ())[-LOOKBACK:]


def _longer(history: History, recent: History) -> History:
    """Return the recent actions where they end with the history, which may have been cut short."""
    return recent if history and recent[-len(history) :] == history else history


def _recent(history: History, y: Hashable) -> History:
    return (*history, y)[-LOOKBACK:]


def _device(y: Hashable) -> Hashable:
    """Return what an action is done to: the first item of a tuple, else the action itself."""
    return y[0] if isinstance(y, tuple) and len(y) > 1 else y


def _by(y: Hashable) -> tuple[Hashable, ...]:
    device = _device(y)
    return (y,) if device == y else (("device", device), y)


def _views(history: History) -> Views:
    """Return the last one and two actions, then the second last, the third last, … on its own."""
    if not history:
        return ((),)
    first = (history[-1],) if len(history) == 1 else (history[-1], history[-2:])
    return (first, *((b,) for b in history[-2 : -SKIPS - 1 : -1]))


def _last_control(history: History, device: Hashable) -> Views:
    last = next((b for b in reversed(history) if _device(b) == device), None)
    return ((device, ("last", device, last)),)


def _company(x: X, history: History) -> dict[Hashable, None]:
    company: dict[Hashable, None] = dict.fromkeys(history)
    for entity in sorted(x.get("open") or (), key=repr):  # a replay can't rely on the order of a set
        company["open", entity] = None
    return company


def _categories(x: X, y: Hashable) -> Iterable[tuple[str, Hashable]]:
    for name, value in x.items():
        if name not in NOT_CATEGORIES and value is not None:
            yield name, int(value) if isinstance(value, float) else value
    if x.get("open") is not None:
        yield "open", _device(y) in x["open"]


def _between(history: History, y: Hashable) -> Views:
    """Return the contexts of a gap: the action that ends it, or the one that it follows, then both."""
    if not history:
        return ((y,),)
    before, both = ("after", history[-1]), ("both", history[-1], y)
    return (y, both), (before, both)


def _octave(seconds: float) -> int:
    return int(log2(1.0 + seconds)) if seconds >= 0.0 else -1


def _evidence(parts: Mapping[str, float]) -> float:
    """Return the log-likelihood ratio where each part is foreign with probability one half."""
    return sum(_softplus(ratio) - LOG2 for ratio in parts.values())


def _softplus(s: float) -> float:
    return max(s, 0.0) + log1p(exp(-abs(s)))
