"""What a resident does next, given what was done before, when, and what is on."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from itertools import chain, repeat
from math import log
from operator import mul, sub
from typing import Any, Final

from devices.counting import Row
from latent_goals.circumstances import View, X, features, history_of, open_of, sensors_on, views
from latent_goals.confidence import Confidence
from latent_goals.counted import Counts
from latent_goals.feasible import Feasible, Parse, entity_and_state
from latent_goals.habits import firsts, habits
from latent_goals.lifts import Ladder
from latent_goals.pool import Pool
from latent_goals.prediction import Prediction, likeliest
from latent_goals.regression import Regression
from latent_goals.weighing import Column, Weights

Event = tuple[X, Hashable]


CONCENTRATION: Final = 4.0  # imagined events of the coarser context in each finer one
UNSEEN: Final = 0.5  # imagined events of each known action
PRIOR_EVENTS: Final = 16.0  # of this home, that other homes' experience is worth
RECENT: Final = 1.0 - 1.0 / 50.0  # a lately frequent action: what each event keeps of the one before it
ECHO: Final = 0.9  # the same within the history, which may be another home's
NOVEL: Final = 1.0 - 1.0 / 128.0  # the same for how often something is done for the first time
RESCALE: Final = 1e12  # weights start over before floats lose precision

# Mean and precision of the weights before anything is learned: the pool and the regression share, lifts count
# a little; habits of no action in particular learn faster.
FIRST_WEIGHTS: Final = {"": (0.1, 20.0), "pool": (0.6, 20.0), "regression": (0.4, 20.0), "~": (0.0, 8.0)}


class NextAction:
    """Probability of each known action to be the next, learned online.

    Counts in many contexts are blended by a log-linear model whose weights are learned with them:

        P(a | x) = (1 - ν) p(a) + ν / K      p(a) ∝ p₀(a) · P(on | a) · exp Σ_c w_c lift_c(a)

    - p₀: how often the home does a; with a prior, other homes' P(a | x) counts as 16 of its events;
    - the contexts c: the last 1 to 3 actions; the pause before the action with the last 1 to 3; hour (shared
      with the hours beside), hour of the week, and that with the last action; each other feature; the set of
      what is on; sensors that are on; what was frequent lately, or in the history given;
    - lift_c: how much likelier c makes a than the coarser context around c does (`Ladder`);
    - a regression on what was done of late, each action adding its part (`Regression`), is one more column;
    - habits that hold for all actions, as contexts of lift 1: what was done n actions ago; the entity of the
      last action, of those before, and any that is on, after a pause of such a length; what others do and
      this home never did, with such a device as is here or not (`habits.py`);
    - P(on | a): whether a's entity is on when a happens (`Feasible`): what is on can only go off;
    - w_c: conditional logit with a prior and shrinking steps (`Weights`);
    - ν: how often something new is done of late; the K known actions share it.

    How sure to be of the likeliest is then corrected by what came true (`Confidence`).

    `fit` learns from many homes what is common, and how far to trust each context in a new one.

    Counts fade: an event is worth half after `half_life` events. Memory is bounded: of `max_contexts`
    contexts with at most 64 values, and of an eighth as many features and 512 actions of the regression, the
    least recently used goes, of `max_actions` actions the least frequent. An event costs O(actions + values
    in some forty contexts and features), twice that with a prior.

    Parameters
    ----------
    half_life: number of events after which one counts half.
    max_contexts: contexts kept.
    max_actions: actions kept.
    parse: returns the entity and the state of an action, or None; by default those of a pair, or of text such
        as "light.desk:on" (`entity_and_state`). Entities are what `x["open"]` holds; an action of none is
        always possible.

    >>> model = NextAction()
    >>> for day in range(20):
    ...     for history, y in ((), "door"), (("door",), "lamp"), (("door", "lamp"), "tv"):
    ...         model.learn_one({"history": history, "hour": 18}, y)
    >>> p = model.predict_proba_one({"history": ("door",), "hour": 18})
    >>> max(p, key=p.get), p["lamp"] > 0.9, round(sum(p.values()), 9)
    ('lamp', True, 1.0)

    References
    ----------
    Cleary, J. and Witten, I. (1984). Data compression using adaptive coding and partial string matching. IEEE
    Transactions on Communications 32(4) (contexts of several orders).
    Mattern, C. (2012). Mixing strategies in data compression. Data Compression Conference.
    Rasch, K. (2014). An unsupervised recommender system for smart homes. J. Ambient Intell. Smart Environ.
    6(1).
    """

    def __init__(
        self,
        *,
        half_life: float = 20_000.0,
        max_contexts: int = 16_384,
        max_actions: int = 2_048,
        parse: Parse = entity_and_state,
    ) -> None:
        if half_life <= 0.0 or max_contexts < 1 or max_actions < 2:
            raise ValueError(f"half_life {half_life}, max_contexts {max_contexts}, max_actions {max_actions}")
        self.half_life = half_life
        self.max_contexts = max_contexts
        self.max_actions = max_actions
        self.prior: NextAction | None = None  # what other homes do
        self._parse = parse
        self._growth = 2.0 ** (1.0 / half_life)
        self._unit = 1.0  # weight of an event now
        self._actions = Row()
        self._recent_unit = 1.0
        self._recent = Row()
        self._counts = Counts(max_contexts=max_contexts, max_values=64)
        self._feasible = Feasible(parse)
        self._pool = Pool()
        self._weights = Weights(FIRST_WEIGHTS)
        self._confidence = Confidence()
        self._regression = Regression(max_features=max(max_contexts // 8, 1), max_actions=512)
        self._new, self._events = 0.5, 1.0  # first times, and events, of late
        self._latest: tuple[X, Prediction] | None = None  # learning what was just predicted is half the work

    def predict_proba_one(self, x: X) -> dict[Hashable, float]:
        """Return the probability of each known action to be the next; they sum to 1."""
        prediction = self._predict(x)
        self._latest = (dict(x), prediction)
        keep, share = self._novelty(prediction.p)
        if prediction.likeliest is None:
            return {action: keep * value + share for action, value in prediction.p.items()}
        top, sure, second = prediction.likeliest
        sure, second = keep * sure + share, keep * second + share
        corrected = self._confidence.apply(sure, second)
        if corrected != sure:
            left = (1.0 - corrected) / (1.0 - sure)
            keep, share = left * keep, left * share
        found = {action: keep * value + share for action, value in prediction.p.items()}
        found[top] = corrected
        return found

    def learn_one(self, x: X, y: Hashable) -> None:
        """Learn that `y` was done in circumstances `x`."""
        found = self._latest[1] if self._latest and self._latest[0] == x else self._predict(x)
        self._latest = None
        if found.likeliest is not None:
            keep, share = self._novelty(found.p)
            top, sure, _ = found.likeliest
            self._confidence.learn_one(keep * sure + share, hit=top == y)
        if y in found.p:
            self._pool.learn_one(found.base, found.ballots, y, self._unit)
            self._weights.learn_one(found.p, found.columns, y)
        self._regression.learn_one(found.odds, found.features, found.scores, y)
        self._new = NOVEL * self._new + (y not in found.p)
        self._events = NOVEL * self._events + 1.0
        self._count(x, y, found.views)

    def fit(self, streams: Iterable[Iterable[Event]]) -> NextAction:
        """Learn from other homes' streams of (x, y), and return itself; its own counts stay."""
        self.prior, self._latest = self.prior or self._empty(), None
        for stream in streams:
            home, events = self.newcomer(), list(stream)
            for x, y in events:
                home.learn_one(x, y)
            self._adopt(home)  # what one home teaches of weights, the next one knows
            for x, y in events:
                self.prior.learn_one(x, y)
        return self

    def newcomer(self) -> NextAction:
        """Return a model of a home unknown so far, with the same prior; it is shared, not copied."""
        home = self._empty()
        home.prior = self.prior
        home._adopt(self)
        return home

    def _novelty(self, p: Mapping[Hashable, float]) -> tuple[float, float]:
        """Return what known actions keep of their probability, and what each gets for being new."""
        novel = self._new / self._events
        return 1.0 - novel, novel / max(len(p), 1)

    def _adopt(self, other: NextAction) -> None:
        self._weights, self._pool = other._weights.copy(), other._pool.copy()
        self._new, self._events = other._new, other._events
        self._confidence = other._confidence.copy()

    def _empty(self) -> NextAction:
        return NextAction(
            half_life=self.half_life,
            max_contexts=self.max_contexts,
            max_actions=self.max_actions,
            parse=self._parse,
        )

    def _predict(self, x: X) -> Prediction:
        base, within, present = self._base(x), list(views(x)), list(features(x))
        if not base:
            return Prediction({}, {}, {}, [], [], within, present, {}, None)
        odds = self._feasible.odds_of(base, open_of(x))
        seen = [(view, *self._look_up(view)) for view in within]
        ballots = [(view.kind, weights, total) for view, weights, total in seen if total > 0.0]
        echo = _echo(x, self._unit)
        if echo.total > 0.0:
            ballots.append(("history", echo.weights, echo.total))
        columns: list[Column] = [("pool", self._pool.lifts(base, ballots, self._unit))]
        columns += self._columns(x, base, seen)
        scores = self._regression.scores(present)
        lifts = map(sub, map(scores.get, base, repeat(0.0)), map(log, base.values()))
        columns.append(("regression", dict(zip(base, lifts, strict=True))))
        possible = map(mul, base.values(), odds.values())
        p = self._weights.apply(dict(zip(base, possible, strict=True)), columns)
        return Prediction(p, base, odds, ballots, columns, within, present, scores, likeliest(p))

    def _base(self, x: X) -> dict[Hashable, float]:
        """Return how often each action happens, whatever the circumstances."""
        own, unit = self._actions.weights, self._unit
        others = self.prior.predict_proba_one(x) if self.prior else {}
        history = history_of(x)
        if others or not own.keys() >= set(history):
            own = dict.fromkeys((*own, *others, *history), 0.0) | own
        if not others:
            unseen = UNSEEN * unit
            total = self._actions.total + unseen * len(own)
            return {a: (n + unseen) / total for a, n in own.items()}
        m, least = PRIOR_EVENTS * unit, 0.01 / len(own)
        base = {a: n + m * (others.get(a, 0.0) + least) for a, n in own.items()}
        total = sum(base.values())
        return {a: value / total for a, value in base.items()}

    def _columns(
        self,
        x: X,
        base: Mapping[Hashable, float],
        seen: Iterable[tuple[View, Mapping[Hashable, float], float]],
    ) -> list[Column]:
        ladder = Ladder(base, concentration=CONCENTRATION * self._unit)
        columns: list[Column] = [
            (view.kind, ladder.lift(view.kind, weights, total, view.within)) for view, weights, total in seen
        ]
        columns.append(("sensors", self._sensors(x, ladder)))
        columns += self._lately(x, base)
        groups = chain(habits(x, self._feasible), firsts(base, self._actions.weights))
        columns += [(f"~{name}", {a: 1.0 for a in actions if a in base}) for name, actions in groups]
        return [column for column in columns if column[1]]

    def _look_up(self, view: View) -> tuple[Mapping[Hashable, float], float]:
        """Return the counts of a context, which may lie between two that were counted."""
        if len(view.shares) == 1:
            row = self._counts.get(view.shares[0][0])
            return (row.weights, row.total) if row else ({}, 0.0)
        mixed = Row()
        for key, share in view.shares:
            row = self._counts.get(key)
            if row:
                for action, weight in row.weights.items():
                    mixed.add(action, share * weight)
        return mixed.weights, mixed.total

    def _sensors(self, x: X, ladder: Ladder) -> dict[Hashable, float]:
        """Return the sum of the lifts by each sensor that is on."""
        lifts: dict[Hashable, float] = {}
        for sensor in sensors_on(x, self._feasible.actions_on):
            row = self._counts.get(("on", sensor))
            if row:
                for action, lift in ladder.lift("sensors", row.weights, row.total).items():
                    lifts[action] = lifts.get(action, 0.0) + lift
        return lifts

    def _lately(self, x: X, base: Mapping[Hashable, float]) -> list[Column]:
        """Return the lifts of what was frequent lately, and in the history."""
        unit, recent = self._recent_unit, self._recent
        ladder, echo = Ladder(base, concentration=CONCENTRATION * unit), _echo(x, unit)
        return [
            ("lately", ladder.lift("lately", recent.weights, recent.total)),
            ("history", ladder.lift("history", echo.weights, echo.total)),
        ]

    def _count(self, x: X, y: Hashable, within: Iterable[View]) -> None:
        self._unit *= self._growth
        self._recent_unit /= RECENT
        if max(self._unit, self._recent_unit) > RESCALE:
            self._rescale()
        unit = self._unit
        for view in within:
            for key, share in view.spread or view.shares:
                self._counts.add(key, y, share * unit)
        for sensor in sensors_on(x, self._feasible.actions_on):
            self._counts.add(("on", sensor), y, unit)
        self._feasible.learn_one(y, open_of(x))
        self._recent.add(y, self._recent_unit)
        self._actions.add(y, unit)
        if len(self._actions.weights) > self.max_actions:
            self._forget(self._actions.drop())

    def _forget(self, action: Hashable) -> None:
        self._feasible.forget(action)
        self._recent.total -= self._recent.weights.pop(action, 0.0)

    def _rescale(self) -> None:
        self._actions.scale(1.0 / self._unit)
        self._counts.scale(1.0 / self._unit)
        self._recent.scale(1.0 / self._recent_unit)
        self._unit = self._recent_unit = 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot; actions must be str, numbers, None or tuples of them."""
        return {
            "units": [self._unit, self._recent_unit],
            "actions": self._actions.to_list(),
            "recent": self._recent.to_list(),
            "counts": self._counts.to_list(),
            "feasible": self._feasible.to_list(),
            "pool": self._pool.to_dict(),
            "regression": self._regression.to_dict(),
            "weights": self._weights.to_dict(),
            "novelty": [self._new, self._events],
            "confidence": self._confidence.to_list(),
            "prior": self.prior.to_dict() if self.prior else None,
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._unit, self._recent_unit = data["units"]
        self._actions = Row.from_list(data["actions"])
        self._recent = Row.from_list(data["recent"])
        self._counts.load(data["counts"])
        self._feasible.load(data["feasible"])
        self._pool.load(data["pool"])
        self._regression.load(data["regression"])
        self._weights.load(data["weights"])
        self._latest = None
        self._new, self._events = data["novelty"]
        self._confidence = Confidence()
        if "confidence" in data:
            self._confidence.load(data["confidence"])
        self.prior = None
        if data["prior"] is not None:
            self.prior = self._empty()
            self.prior.load(data["prior"])


def _echo(x: X, unit: float) -> Row:
    """Return how often each action is in the history, the latest most."""
    echo = Row()
    for action in reversed(history_of(x)):
        echo.add(action, unit)
        unit *= ECHO
    return echo
