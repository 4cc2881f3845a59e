"""Whether a goal may be shown now: a bandit in which every arm plays against silence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field
from random import Random
from typing import Any, Final

from latent_goals.arm import Arm, Rewards
from latent_goals.decision import REWARDS, Decision, Outcome, Reason, Value

_TRIAL_FAILED: Final = 2  # failed second chances that a failed trial is like


@dataclass(slots=True)
class _Trial:
    """Whether enough of an arm's first showings were accepted."""

    yes: int = 0
    misses: int = 0  # those done by hand are neither: they were right
    passed: bool = False
    failed: bool = False

    def fails(self, outcome: Outcome, enough: tuple[int, int]) -> bool:
        """Count an outcome, and return whether it ends the trial badly."""
        if self.passed or self.failed or outcome is Outcome.BY_HAND:
            return False
        accepted = outcome is Outcome.ACCEPTED
        self.yes += accepted - (outcome is Outcome.UNDONE and self.yes > 0)
        self.misses += not accepted
        self.passed, self.failed = self.yes >= enough[0], self.misses >= enough[1]
        return self.failed


@dataclass(slots=True)
class _Record:
    """One arm."""

    arm: Arm
    shown: int = 0
    pending: list[int] = field(default_factory=list)  # showings without an answer
    chances: int = 0  # second chances that it failed, less its good outcomes since
    answers: dict[str, int] = field(default_factory=dict)
    trial: _Trial = field(default_factory=_Trial)


class GoalBandit:
    """Thompson sampling of each arm against silence, with suppression and rare second chances.

    An outcome is worth r beside silence (`REWARDS`). `Arm` keeps the posterior of an arm's value v, the
    expected r, by circumstances. Showing it now is worth it if v exceeds the `cost` of an interruption at
    this moment. Thompson sampling shows an arm if a draw from the posterior does so, that is, with the
    probability P(v > cost). As silence is worth 0 for certain, keeping silent teaches nothing; so what is
    more likely worth it than not is shown always:

        P(show) = min(1, 2 P(v > cost))        by the incomplete beta function: propensities are exact

    1. Showings without an answer count as if they were ignored, and beyond `most_pending` there are no more.
    2. Where P(v > 0) < `bound`, the arm is suppressed: P(show) = second_chance · 4^-k · (1 - cost),
       where k counts the second chances that came out badly, less the good outcomes since. In n
       opportunities these are about log₄(1 + 3 n · second_chance) showings: two in a thousand.
    3. An arm is on trial at first: unless enough[0] showings are accepted before enough[1] are not, it
       is suppressed wherever P(v > 0) < 1/2, as if it had failed two second chances. An arm that is accepted
       one time in ten passes in 0.5% of all cases, one accepted seven times in ten fails in 6%.
    4. Where P(v > cost) < `bound`, P(show) is 0.

    So a propensity of showing is 0, or at least 2 `bound`, or that of a second chance. A change in what the
    residents want is found by `Arm`.

    Every showing has to end with an outcome, WITHDRAWN at the latest. UNDONE may follow ACCEPTED.
    Memory: `most_arms` arms; beyond, the one shown longest ago is forgotten, suppressed ones last.
    `decide` takes O(segments) evaluations of the incomplete beta function.

    Parameters
    ----------
    by: features of x, by which an arm's circumstances are told apart.
    bound: probability of being better than silence below which an arm is suppressed.
    second_chance: probability with which a suppressed arm gets its first second chance at an opportunity.
    most_pending: showings of an arm that may be without an answer at a time.
    enough: acceptances that an arm on trial needs, before so many showings that aren't accepted.
    make_arm: the prior of an arm; `partial(Arm, hazard=0.0)` for one that never changes.
    rewards: what the outcomes are worth.

    >>> bandit, rng = GoalBandit(), Random(1)
    >>> for _ in range(20):
    ...     decision = bandit.decide("film: dim the lights", {"daypart": "evening"}, rng)
    ...     if decision.show:
    ...         bandit.show_one(decision)
    ...         bandit.learn_one(decision, Outcome.REJECTED)
    >>> decision.reason.value, decision.p_show, round(decision.p_better, 3)
    ('suppressed', 0.00125, 0.01)
    >>> bandit.explain("film: dim the lights")["why"]
    'after 3 showings (3 reject) it is worse than silence with a probability of 0.99'

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
        second_chance: float = 0.005,
        most_pending: int = 2,
        enough: tuple[int, int] = (4, 5),
        make_arm: Callable[[], Arm] = Arm,
        rewards: Mapping[Outcome, float] = REWARDS,
        most_arms: int = 500,
    ) -> None:
        if not (0.0 < bound < 0.5 and 0.0 <= second_chance <= bound):
            raise ValueError(f"out of range: {bound=} {second_chance=}")
        if min(most_pending, most_arms, *enough) <= 0:
            raise ValueError(f"out of range: {most_pending=} {most_arms=} {enough=}")
        self.by = by
        self.bound = bound
        self.second_chance = second_chance
        self.most_pending = most_pending
        self.enough = enough
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
        if better < self._limit(record):
            chance = self._chance(record) * (1.0 - min(1.0, max(0.0, cost)))
            return (0.0 if pending else chance), Reason.SUPPRESSED
        if pending >= self.most_pending or (pending and self._last_of_trial(record)):
            return 0.0, Reason.WAITING
        ignored = self.rewards[Outcome.IGNORED]
        unanswered = Rewards(pending, pending * ignored, pending * ignored * ignored)
        worth = record.arm.tail(cell, cost, and_also=unanswered)
        if worth >= self.bound:
            return min(1.0, 2.0 * worth), Reason.OPEN
        return 0.0, Reason.WAITING if pending else Reason.COSTLY

    def _limit(self, record: _Record) -> float:
        """Return the probability of being better than silence below which an arm is suppressed."""
        return 0.5 if record.trial.failed else self.bound

    def _last_of_trial(self, record: _Record) -> bool:
        """Whether an answer that is waited for may end an arm's trial."""
        trial = record.trial
        return not trial.passed and trial.misses + len(record.pending) >= self.enough[1]

    def _chance(self, record: _Record) -> float:
        return self.second_chance * 0.25**record.chances

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
        self._try(record, decision, outcome)
        if reward > 0.0:
            record.chances = max(0, record.chances - 1)
        elif decision.reason is Reason.SECOND_CHANCE:
            record.chances += 1

    def _try(self, record: _Record, decision: Decision, outcome: Outcome) -> None:
        """Let an arm pass its trial, or fail it; one that has recovered gets another."""
        if record.trial.failed:
            if record.arm.tail(self._cell(decision.x)) >= self._limit(record):
                record.trial = _Trial()
        elif record.trial.fails(outcome, self.enough):
            record.chances += _TRIAL_FAILED

    def explain(self, arm: str, x: Mapping[str, Value] | None = None) -> dict[str, Any]:
        """Return the numbers behind an arm, in the circumstances of x or else where it does best."""
        record = self._records.get(arm, self._unknown)
        cells = [self._cell(x)] if x is not None else list(record.arm.cells) or [""]
        cell = max(cells, key=record.arm.tail)
        better = record.arm.tail(cell)
        limit = self._limit(record)
        quiet = better < limit
        return {
            "arm": arm,
            "circumstances": cell,
            "shown": record.shown,
            "unanswered": len(record.pending),
            "answers": dict(record.answers),
            "mean_value": record.arm.mean(cell),
            "p_worse_than_silence": 1.0 - better,
            "limit": 1.0 - limit,
            "quiet": quiet,
            "second_chance": self._chance(record) if quiet else None,
            "why": _why(record, better) if quiet else "",
        }

    def forget(self, arm: str) -> None:
        """Drop an arm and all that was learned of it."""
        self._records.pop(arm, None)

    def _quiet(self, record: _Record) -> bool:
        return all(record.arm.tail(c) < self._limit(record) for c in record.arm.cells or ("",))

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
                    "chances": r.chances,
                    "answers": dict(r.answers),
                    "trial": astuple(r.trial),
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
            record.chances, record.answers = body["chances"], dict(body["answers"])
            record.trial = _Trial(*body.get("trial", (0, 0, True)))


def _why(record: _Record, better: float) -> str:
    answers = ", ".join(f"{n} {outcome}" for outcome, n in record.answers.items())
    why = f"after {record.shown} showings ({answers}) it is worse than silence"
    tried = ", and too few of the first were accepted" if record.trial.failed else ""
    return f"{why} with a probability of {1.0 - better:.2f}{tried}"
