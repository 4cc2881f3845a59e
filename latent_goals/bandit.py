"""Whether a goal may be shown now: a bandit in which every arm plays against silence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from latent_goals.arm import Arm
from latent_goals.decision import REWARDS, Decision, Outcome, Reason, Value

RARELY: Final = 1e-4
"""The least probability of a showing while no answer is waited for, where an interruption costs nothing."""


@dataclass(slots=True)
class _Record:
    """One arm."""

    arm: Arm
    shown: int = 0
    pending: list[int] = field(default_factory=list)  # showings without an answer
    answers: dict[str, int] = field(default_factory=dict)


class GoalBandit:
    """Thompson sampling of each arm against silence, which tries ever more rarely what was tried in vain.

    An outcome is worth r beside silence (`REWARDS`). `Arm` keeps the posterior of an arm's value v, the
    expected r, by circumstances. Showing it now is worth it if v exceeds the `cost` of an interruption at
    this moment. Thompson sampling shows an arm if a draw from the posterior does so, that is, with the
    probability P(v > cost). As silence is worth 0 for certain, keeping silent teaches nothing; so what is
    more likely worth it than not is shown always, and the rest the more rarely the less likely it is worth
    it, and the oftener it was shown for nothing:

        P(show) = min(1, 2 P(v > cost)) ^ (1 + (f / patience)²)        propensities are exact

    f: showings for nothing (r <= -1/2) since the arm last changed, as long as fewer than `enough` were
    welcome since then. An arm is on trial at first, and again when it may have changed: an early run of luck
    must not keep it up. In n opportunities an unwanted one is shown some log n times: it is never given up
    for good, the least probability being (1 - cost) `RARELY`, so that a log always has something to say.

    Showings without an answer count as if they were ignored, in the search for a change, too; beyond
    `most_pending` there are no more. An arm is said to be suppressed where P(v > 0) < `bound`; nothing
    else hangs on the bound.

    Every showing has to end with an outcome, WITHDRAWN at the latest. UNDONE may follow ACCEPTED.
    Memory: `most_arms` arms; beyond, the one shown longest ago is forgotten, suppressed ones last.
    `decide` takes O(segments) evaluations of the incomplete beta function.

    Parameters
    ----------
    by: features of x, by which an arm's circumstances are told apart.
    bound: probability of being better than silence below which an arm is called suppressed.
    patience: showings for nothing after which an arm on trial is tried with the square of the probability.
    enough: welcome showings that end a trial.
    most_pending: showings of an arm that may be without an answer at a time.
    make_arm: the prior of an arm; `partial(Arm, hazard=0.0)` for one that never changes.
    rewards: what the outcomes are worth.

    >>> bandit, rng = GoalBandit(), Random(1)
    >>> for _ in range(20):
    ...     decision = bandit.decide("film: dim the lights", {"daypart": "evening"}, rng)
    ...     if decision.show:
    ...         bandit.show_one(decision)
    ...         bandit.learn_one(decision, Outcome.REJECTED)
    >>> decision.reason.value, round(decision.p_show, 4), round(decision.p_better, 3)
    ('suppressed', 0.0015, 0.032)
    >>> bandit.explain("film: dim the lights")["why"]
    'after 2 showings (2 reject) it is worse than silence with a probability of 0.97'

    References
    ----------
    Chapelle, O. and Li, L. (2011). An empirical evaluation of Thompson sampling. NIPS.
    Li, L., Chu, W., Langford, J. and Schapire, R. E. (2010). A contextual-bandit approach to personalized
    news article recommendation. WWW.
    """

    def __init__(
        self,
        *,
        by: tuple[str, ...] = ("daypart",),
        bound: float = 0.1,
        patience: float = 1.7,
        enough: int = 4,
        most_pending: int = 2,
        make_arm: Callable[[], Arm] = Arm,
        rewards: Mapping[Outcome, float] = REWARDS,
        most_arms: int = 500,
    ) -> None:
        if not (0.0 < bound < 0.5 and patience > 0.0):
            raise ValueError(f"out of range: {bound=} {patience=}")
        if min(most_pending, most_arms, enough) <= 0:
            raise ValueError(f"out of range: {most_pending=} {most_arms=} {enough=}")
        self.by = by
        self.bound = bound
        self.patience = patience
        self.enough = enough
        self.most_pending = most_pending
        self.most_arms = most_arms
        self.rewards = rewards
        self.make_arm = make_arm
        self._unknown = self._new()
        self._records: dict[str, _Record] = {}

    def __len__(self) -> int:
        return len(self._records)

    def decide(self, arm: str, x: Mapping[str, Value], rng: Random, *, cost: float = 0.0) -> Decision:
        """Return whether to show an arm now. Changes nothing but `rng`, which is drawn from once."""
        record, cell = self._records.get(arm, self._unknown), self._cell(x)
        better = record.arm.tail(cell)
        p_show, reason = self._p_show(record, cell, better, cost)
        show = rng.random() < p_show
        if show and reason is Reason.SUPPRESSED:
            reason = Reason.SECOND_CHANCE
        propensity = p_show if show else 1.0 - p_show
        return Decision(arm, dict(x), show, propensity, p_show, reason, better, cost, record.shown + 1)

    def _p_show(self, record: _Record, cell: str, better: float, cost: float) -> tuple[float, Reason]:
        pending = len(record.pending)
        if pending >= self.most_pending:
            return 0.0, Reason.WAITING
        arm = record.arm.supposing(cell, self.rewards[Outcome.IGNORED], pending) if pending else record.arm
        worth = arm.tail(cell, cost)
        patience = 1.0 + (arm.in_vain(cell, self.enough) / self.patience) ** 2
        p_show = max(min(1.0, 2.0 * worth) ** patience, RARELY * (1.0 - min(1.0, max(0.0, cost))))
        if better < self.bound:
            return p_show, Reason.SUPPRESSED
        if worth >= self.bound:
            return p_show, Reason.OPEN
        return p_show, Reason.WAITING if pending else Reason.COSTLY

    def show_one(self, decision: Decision) -> None:
        """Take note that a decision to show was carried out: an answer is to be waited for."""
        record = self._records.pop(decision.arm, None) or self._new()
        self._records[decision.arm] = record  # the order is that of the last showing
        record.shown = decision.showing
        record.pending = [*record.pending[1 - self.most_pending :], decision.showing]
        if len(self._records) > self.most_arms:
            self._evict()

    def _evict(self) -> None:
        """Forget an arm: rather one that would be tried anyway than one that is known to be unwanted."""
        *others, _ = self._records
        free = next((a for a in others if not self._quiet(self._records[a])), None)
        del self._records[free if free is not None else others[0]]

    def learn_one(self, decision: Decision, outcome: Outcome) -> None:
        """Learn from what became of a showing, whenever that is."""
        record = self._records.get(decision.arm)
        if record is None or not decision.show:
            return  # forgotten meanwhile, or never shown
        if decision.showing in record.pending:
            record.pending.remove(decision.showing)
        reward = self.rewards.get(outcome)
        if reward is None:
            return
        record.answers[outcome.value] = record.answers.get(outcome.value, 0) + 1
        record.arm.learn_one(self._cell(decision.x), reward)

    def explain(self, arm: str, x: Mapping[str, Value] | None = None) -> dict[str, Any]:
        """Return the numbers behind an arm, in the circumstances of x or else where it does best."""
        record = self._records.get(arm, self._unknown)
        cells = [self._cell(x)] if x is not None else list(record.arm.cells) or [""]
        cell = max(cells, key=record.arm.tail)
        better = record.arm.tail(cell)
        quiet = better < self.bound
        return {
            "arm": arm,
            "circumstances": cell,
            "shown": record.shown,
            "unanswered": len(record.pending),
            "answers": dict(record.answers),
            "mean_value": record.arm.mean(cell),
            "p_worse_than_silence": 1.0 - better,
            "limit": 1.0 - self.bound,
            "quiet": quiet,
            "second_chance": self._p_show(record, cell, better, 0.0)[0] if quiet else None,
            "why": _why(record, better) if quiet else "",
        }

    def forget(self, arm: str) -> None:
        """Drop an arm and all that was learned of it."""
        self._records.pop(arm, None)

    def _quiet(self, record: _Record) -> bool:
        return all(record.arm.tail(c) < self.bound for c in record.arm.cells or ("",))

    def _cell(self, x: Mapping[str, Value]) -> str:
        return "|".join(str(x.get(feature, "")) for feature in self.by)

    def _new(self) -> _Record:
        return _Record(self.make_arm())

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "arms": {
                name: {
                    "posterior": r.arm.to_dict(),
                    "shown": r.shown,
                    "pending": list(r.pending),
                    "answers": dict(r.answers),
                }
                for name, r in self._records.items()
            }
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._records = {}
        for name, body in data["arms"].items():
            record = self._records[name] = self._new()
            record.arm.load(body["posterior"])
            record.shown, record.pending = body["shown"], list(body["pending"])
            record.answers = dict(body["answers"])


def _why(record: _Record, better: float) -> str:
    answers = ", ".join(f"{n} {outcome}" for outcome, n in record.answers.items())
    return (
        f"after {record.shown} showings ({answers}) it is worse than silence"
        f" with a probability of {1.0 - better:.2f}"
    )
