"""What another policy would have brought, from the log of this one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from latent_goals.decision import REWARDS, Decision, Outcome, Value
from latent_goals.empirical_likelihood import interval

Target = Callable[[str, Mapping[str, Value]], float]
"""A policy to be evaluated: the probability with which it shows an arm in a context."""


class NoSupportError(ValueError):
    """The log can't tell: the target shows where the logging policy never would have."""


@dataclass(frozen=True, slots=True)
class Logged:
    """One opportunity: what was done, with which probability, and what it brought (silence brings 0)."""

    arm: str
    x: Mapping[str, Value] = field(hash=False)
    show: bool
    propensity: float  # of what was done
    reward: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.propensity <= 1.0:
            raise ValueError(f"a propensity is in (0, 1], not {self.propensity!r}: {self.arm}")
        if not self.show and self.reward:
            raise ValueError(f"silence brings nothing, not {self.reward!r}: {self.arm}")

    @property
    def p_show(self) -> float:
        """The probability with which the logging policy would have shown the arm."""
        return self.propensity if self.show else 1.0 - self.propensity

    @classmethod
    def of(cls, decision: Decision, *outcomes: Outcome) -> Logged:
        """Return the record of a decision and, if it was shown, what became of it (an undo comes second)."""
        known = [REWARDS[o] for o in outcomes if o in REWARDS]
        if decision.show and not known:
            raise ValueError(f"no outcome: {decision.arm}")
        return cls(decision.arm, decision.x, decision.show, decision.propensity, sum(known))


@dataclass(frozen=True, slots=True)
class Estimate:
    """An expected reward for each opportunity, with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a target policy would have brought for each opportunity, and what the logged one brought."""

    n: int
    logged: Estimate  # by the policy that was running
    ips: Estimate
    snips: Estimate
    dr: Estimate
    gain: Estimate  # of the target over the logged policy, doubly robust
    effective_n: float  # records that the weights leave: (Σ w)² / Σ w²
    largest_weight: float
    clipped: int  # records

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        names = ("logged", "ips", "snips", "dr", "gain")
        estimates = {k: [e.value, e.low, e.high] for k in names if (e := getattr(self, k))}
        rest = {k: getattr(self, k) for k in ("n", "effective_n", "largest_weight", "clipped")}
        return rest | estimates


@dataclass(frozen=True, slots=True)
class _Weighted:
    """A record as the target sees it: its weight, that of a showing, the reward expected of a showing."""

    reward: float
    show: bool
    p_target: float
    w: float
    w_show: float
    expected: float


class OffPolicy:
    """Inverse propensity scores, their self-normalised form, and the doubly robust estimator.

    With the probabilities p_i of the logged action and π_i of the same under the target, w_i = π_i / p_i:

        IPS   = 1/n Σ w_i r_i
        SNIPS = Σ w_i r_i / Σ w_i
        DR    = 1/n Σ (π_i(show) q_i + w_i (r_i - q_i))        q_i: the reward to be expected, 0 of silence

    q_i is the mean reward of the arm's earlier showings in the log, shrunk to that of all and to zero. As it
    comes from before record i, IPS and DR are free of bias also if the logging policy was learning. SNIPS has
    a bias of O(1/n); `clip` gives all of them one: weights above it are cut off, which draws showings that
    the log hardly has towards nothing (towards q in DR). The intervals don't include it, so it is off unless
    asked for, and the number of cut weights is told.

    Intervals are by empirical likelihood (`interval`) for the mean of w (r - θ) in SNIPS, of the summands in
    the others. A normal interval would be too short and off to one side where a few large weights carry the
    estimate, and have no length where the log has no showing that the target would make. Here unseen rewards,
    anywhere in `rewards`, with the largest weight that a showing could have had, count as possible.

    O(n) for the estimates, some hundred times that for an interval.

    Parameters
    ----------
    rewards: the least and the largest that a showing can bring.
    clip: the largest weight.
    level: of the intervals.

    >>> log = [Logged("a", {}, i % 2 == 0, 0.5, (i % 4 - 1.0) * (i % 2 == 0)) for i in range(400)]
    >>> result = OffPolicy(rewards=(-1.0, 1.0)).evaluate(log, lambda arm, x: 1.0)
    >>> result.ips.value, result.effective_n, result.ips.low < 0.0 < result.ips.high
    (0.0, 200.0, True)

    References
    ----------
    Swaminathan, A. and Joachims, T. (2015). The self-normalized estimator for counterfactual learning. NIPS.
    Dudík, M., Erhan, D., Langford, J. and Li, L. (2014). Doubly robust policy evaluation and optimization.
    Statistical Science 29(4).
    Karampatziakis, N., Langford, J. and Mineiro, P. (2020). Empirical likelihood for contextual bandits.
    NeurIPS.
    """

    def __init__(
        self,
        *,
        rewards: tuple[float, float] = (min(REWARDS.values()), max(REWARDS.values())),
        clip: float | None = None,
        level: float = 0.95,
    ) -> None:
        if not (rewards[0] <= 0.0 <= rewards[1] and rewards[0] < rewards[1]):
            raise ValueError(f"rewards lie around silence's, not in {rewards}")
        if (clip is not None and clip <= 0.0) or not 0.0 < level < 1.0:
            raise ValueError(f"out of range: {clip=} {level=}")
        self.rewards = rewards
        self.clip = clip
        self.level = level

    def evaluate(self, log: Iterable[Logged], target: Target) -> Evaluation:
        """Return the estimates of what the target would bring; NoSupportError: nobody can tell."""
        rows, clipped = self._weigh(log, target)
        weights = [r.w for r in rows]
        squares = sum(w * w for w in weights)
        plain = [r.w * r.reward for r in rows]
        robust = [_robust(r) for r in rows]
        return Evaluation(
            n=len(rows),
            logged=self._mean([r.reward for r in rows], [self.rewards]),
            ips=self._mean(plain, self._extremes(rows, lambda r, reward: r.w_show * reward)),
            snips=self._ratio(rows),
            dr=self._mean(robust, self._extremes(rows, _robust_shown)),
            gain=self._mean(
                [d - r.reward for d, r in zip(robust, rows, strict=True)],
                self._extremes(rows, lambda r, reward: _robust_shown(r, reward) - reward),
            ),
            effective_n=sum(weights) ** 2 / squares if squares else 0.0,
            largest_weight=max(weights),
            clipped=clipped,
        )

    def _weigh(self, log: Iterable[Logged], target: Target) -> tuple[list[_Weighted], int]:
        rows, clipped, unsupported = [], 0, 0
        model = _Expected()
        for record in log:
            if not self.rewards[0] <= record.reward <= self.rewards[1]:
                raise ValueError(f"a reward of {record.reward} is not in {self.rewards}: {record.arm}")
            p_target = target(record.arm, record.x)
            if not 0.0 <= p_target <= 1.0:
                raise ValueError(f"the target's probability is {p_target!r}: {record.arm}")
            unsupported += p_target > 0.0 and record.p_show <= 0.0
            w_show = p_target / record.p_show if record.p_show > 0.0 else 0.0
            w = w_show if record.show else (1.0 - p_target) / record.propensity
            if self.clip is not None:
                clipped += w > self.clip
                w, w_show = min(w, self.clip), min(w_show, self.clip)
            rows.append(
                _Weighted(record.reward, record.show, p_target, w, w_show, model.predict_one(record.arm))
            )
            if record.show:
                model.learn_one(record.arm, record.reward)
        if not rows:
            raise ValueError("the log is empty")
        if unsupported:
            raise NoSupportError(
                f"{unsupported} of {len(rows)} times the target may show where the logging policy couldn't"
            )
        return rows, clipped

    def _extremes(
        self, rows: Sequence[_Weighted], summand: Callable[[_Weighted, float], float]
    ) -> list[tuple[float, float]]:
        """Return what any record could have contributed, had it been a showing with any reward."""
        return [(summand(r, self.rewards[0]), summand(r, self.rewards[1])) for r in rows]

    def _mean(self, summands: Sequence[float], possible: Sequence[tuple[float, float]]) -> Estimate:
        ends = [v for pair in possible for v in pair] + list(summands)
        least, most = min(ends), max(ends)
        estimate = sum(summands) / len(summands)
        low, high = interval(
            lambda theta: ([s - theta for s in summands], least - theta, most - theta),
            estimate,
            (least, most),
            len(summands),
            self.level,
        )
        return Estimate(estimate, low, high)

    def _ratio(self, rows: Sequence[_Weighted]) -> Estimate:
        total = sum(r.w for r in rows)
        estimate = sum(r.w * r.reward for r in rows) / total if total else 0.0
        most = max(max(r.w, r.w_show) for r in rows)
        low, high = interval(
            lambda theta: (
                [r.w * (r.reward - theta) for r in rows],
                most * (self.rewards[0] - theta),
                most * (self.rewards[1] - theta),
            ),
            estimate,
            self.rewards,
            len(rows),
            self.level,
        )
        return Estimate(estimate, low, high)


def _robust(row: _Weighted) -> float:
    return _robust_shown(row, row.reward) if row.show else row.p_target * row.expected


def _robust_shown(row: _Weighted, reward: float) -> float:
    return row.p_target * row.expected + row.w_show * (reward - row.expected)


class _Expected:
    """The reward to be expected of an arm: its mean, shrunk to that of all arms, shrunk to zero."""

    def __init__(self) -> None:
        self._all = [0.0, 0.0]
        self._arms: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])

    def predict_one(self, arm: str) -> float:
        everywhere = self._all[0] / (self._all[1] + 2.0)
        total, n = self._arms.get(arm, (0.0, 0.0))
        return (total + 2.0 * everywhere) / (n + 2.0)

    def learn_one(self, arm: str, reward: float) -> None:
        for sums in (self._all, self._arms[arm]):
            sums[0] += reward
            sums[1] += 1.0
