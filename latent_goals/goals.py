"""Latent goals: what a first action implies, noticed as it happens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final

from devices.context import Calendar, Context, Occupancy
from devices.events import NOT_A_STATE, Origin, StateChange, Tick
from devices.state import HomeState
from latent_goals.actions import can_be_first, can_follow, is_activity, verb_of
from latent_goals.establishing import Establishing
from latent_goals.goal import Finding, Goal, Proposed, Retired
from latent_goals.implications import Rules
from latent_goals.past import Past
from latent_goals.prior import Prior
from latent_goals.slots import Key, value_of
from latent_goals.timelines import DAY_S, Happened, on_the_clock
from latent_goals.tracking import Known, Moment, Open, Tracker
from latent_goals.trigger import Cost, Trigger

_STARTS_AT: Final = 4 * 3600  # the home's clock: when what has been learned is gone through once a day
_NOT_PEOPLE: Final = frozenset({Origin.AGENT, Origin.AUTOMATION})


class Goals:
    """Learns what a first action implies, proposes that, and says so when it happens.

    1. For each first action A (somebody uses a thing, a door moves, somebody comes or goes) and each
       follow-up F (something that can be done for the resident) the occasions of A on which F came within
       the horizon are counted, and compared with the same time on other days of the kind when somebody was
       about and A didn't happen (`Counts`): that two things happen in the evening is no evidence.
    2. Pairs of kinds of things in the same room are pooled over rooms (`Pooled`), so that one goal serves
       every room but those that contradict.
    3. What passes a false discovery rate over all pairs, is likely enough to be worth saying, and much
       likelier than without A, is believed (`believed`); what belongs together becomes one goal with several
       steps (`chains`).
    4. When a goal begins, `Trigger` says whether it is worth saying so now, and `Tracker` what is left to do.

    Only what residents do counts, and nothing that happens while an automation or a command of ours brings
    the follow-up about. Each first action is judged again as its occasions grow, once a day at most, one a
    tick from four in the morning on, so that no moment is long.

    Memory: `size` actions and the tallies of at most `partners` follow-ups a thing; 96 bits a day.
    Complexity: a change costs O(goals that it begins or is a step of); a tick O(1), at night that of judging
    one first action (`Past`).

    Parameters
    ----------
    horizon_min: time within which something follows, minutes.
    include_unknown: count changes of which nobody knows who caused them as the resident's.
    annoyance: what a wrong suggestion costs, in accepted ones.
    interruption: what any suggestion costs, in the same unit: a number or a function of the context.
    prior: what is known of other homes (`latent_goals.prior`).
    fdr: share of false discoveries, among all pairs, that is accepted.
    keep_days: days that count.

    >>> goals = Goals()
    >>> goals.name, len(goals.established)
    ('goals', 0)

    References
    ----------
    Bouma, G. (2009). Normalized (pointwise) mutual information in collocation extraction. GSCL.
    Mantel, N. and Haenszel, W. (1959). Statistical aspects of the analysis of data from retrospective studies
    of disease. JNCI 22 (matched comparison).
    Benjamini, Y. and Hochberg, Y. (1995). Controlling the false discovery rate. JRSS B 57.
    """

    name: ClassVar[str] = "goals"

    def __init__(
        self,
        *,
        horizon_min: float = 15.0,
        include_unknown: bool = False,
        annoyance: float = 2.0,
        interruption: Cost = 0.0,
        prior: Prior | None = None,
        fdr: float = 0.05,
        keep_days: int = 120,
    ) -> None:
        if horizon_min <= 0.0 or keep_days < 1:
            raise ValueError(f"horizon_min and keep_days must be positive: {horizon_min}, {keep_days}")
        self.include_unknown = include_unknown
        self._past = Past(horizon_s=round(horizon_min * 60), size=400, keep_days=keep_days, partners=24)
        self._known = Known()
        trigger = Trigger(annoyance=annoyance, interruption=interruption)
        rules = Rules(fdr=fdr, least_probability=trigger.threshold_at(0.0))
        self._establishing = Establishing(self._past, self._known, rules, prior)
        self._tracker = Tracker(trigger, self._known)
        self._open: tuple[Open, ...] = ()
        self._news: list[Proposed | Retired] = []
        self._day = 0  # the last one on which what has been learned was gone through
        self._queue: list[Key] = []

    @property
    def established(self) -> Mapping[str, Goal]:
        """The goals that are believed, by id."""
        return self._known.goals

    def serves(self, goal: Goal, home: HomeState) -> list[tuple[Key, Key]]:
        """Return which action implies which in a goal, thing by thing in all the rooms that it is for."""
        return [pair for entry in goal.entries for pair in self._tracker.pairs(goal, entry, home)]

    def rates(self, home: HomeState) -> dict[str, float]:
        """Return how often the resident does what a prior speaks of, in a quarter hour when he is about."""
        return self._establishing.rates(home)

    # -- scoring ----------------------------------------------------------------------------------

    def score_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> Iterable[Finding]:
        """Return what has been established (at a tick), and what an action implies."""
        if isinstance(event, Tick):
            return list(self._news)
        if not self._known.goals or (verb := self._verb(event)) is None:
            return ()
        moment = Moment(event, verb, home, context, self._begins(event))
        return self._tracker.change(moment, self._open)[0]

    def _verb(self, event: StateChange) -> str | None:
        """Return what a thing was told just now, or None where that is nothing new."""
        if event.old is None or event.new in NOT_A_STATE:
            return None
        verb = verb_of(event.entity_id, event.new, event.attributes)
        last = self._past.last(event.entity_id)
        if verb is None or last is None or last.verb not in {verb, "lower", "raise"}:
            return verb
        return self._setpoint(event, verb, last)

    def _setpoint(self, event: StateChange, verb: str, last: Happened) -> str | None:
        """Tell a heating that was turned up or down from one that says the same again."""
        if event.domain != "climate" or event.old != event.new:
            return None if last.verb == verb else verb
        now = value_of(event.entity_id, event.attributes)
        if not isinstance(now, float) or not isinstance(last.value, float) or now == last.value:
            return None
        return "lower" if now < last.value else "raise"

    def _begins(self, event: StateChange) -> bool:
        """Whether something may follow from it: a resident did it, just now."""
        if event.retained or event.origin in _NOT_PEOPLE:
            return False
        if event.by_resident or self.include_unknown:
            return True
        return not can_follow(event.entity_id)  # doors and people don't move by themselves

    # -- learning ---------------------------------------------------------------------------------

    def learn_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> None:
        """Learn from an action; at a tick, go on with what is to be judged."""
        if isinstance(event, Tick):
            self._tick(event.at, home, context)
            return
        followed = can_be_first(event.entity_id, event.attributes)
        if followed and event.entity_id not in self._past.timelines:
            self._first_heard(event, context)
        if (verb := self._verb(event)) is None:
            return
        begins = self._begins(event)
        if self._known.goals:
            self._open = self._tracker.change(Moment(event, verb, home, context, begins), self._open)[1]
        at = on_the_clock(event.received_at, context)
        if begins and (followed or is_activity(event)):
            self._past.activity.add(at)
        if followed:
            self._past.add(event.entity_id, self._happened(event, verb, at, context, by=begins))

    def _first_heard(self, event: StateChange, context: Context) -> None:
        """Note the state that a thing was in before anything was learned of it."""
        state = event.new if event.old is None else event.old
        verb = verb_of(event.entity_id, state, event.attributes)
        if verb is not None:
            at = on_the_clock(event.received_at, context) - (event.old is not None)
            self._past.add(event.entity_id, self._happened(event, verb, at, context, by=False))

    def _happened(self, event: StateChange, verb: str, at: int, context: Context, *, by: bool) -> Happened:
        dark = None if context.daylight is None else not context.daylight
        return Happened(at, verb, by, dark, value_of(event.entity_id, event.attributes))

    def _tick(self, at: datetime, home: HomeState, context: Context) -> None:
        now = on_the_clock(at, context)
        self._past.tick(now)
        self._news = []
        if self._open:
            self._open = self._tracker.expire(self._open, at.timestamp())
        if self._queue:
            self._past.judge(self._queue.pop())
            if not self._queue:
                self._news = self._establishing.conclude(home)
        elif (now - _STARTS_AT) // DAY_S > self._day:
            self._day = (now - _STARTS_AT) // DAY_S
            self._past.age()
            self._queue = self._past.due()[::-1]

    # -- keeping ----------------------------------------------------------------------------------

    def forget(self, entity_id: str) -> None:
        """Drop all that was learned about an entity."""
        self._past.forget(entity_id)
        self._queue = [key for key in self._queue if key[0] != entity_id]
        self._news = []
        self._open = tuple(o for o in self._open if entity_id != o.first[0])
        self._open = tuple(o for o in self._open if all(s.entity_id != entity_id for s in o.left))
        self._establishing.forget(entity_id)

    def rename(self, old: str, new: str) -> None:
        """Carry what was learned over to an entity's new id; what has begun is let go."""
        self._past.rename(old, new)
        self._queue = [(new if e == old else e, verb) for e, verb in self._queue]
        self._news, self._open = [], ()
        self._establishing.rename(old, new)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "past": self._past.to_dict(),
            "established": self._establishing.to_dict(),
            "open": [one.to_dict() for one in self._open],
            "day": self._day,
            "queue": [list(key) for key in self._queue],
            "news": [_said(finding) for finding in self._news],
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._past.load(data["past"])
        self._establishing.load(data["established"])
        self._open = tuple(Open.from_dict(one) for one in data["open"])
        self._day = data["day"]
        self._queue = [(entity_id, verb) for entity_id, verb in data["queue"]]
        goals = self._known.goals
        self._news = [
            Proposed(goals[goal_id]) if why is None else Retired(goal_id, why)
            for goal_id, why in data["news"]
        ]


def _said(finding: Proposed | Retired) -> list[str | None]:
    return [finding.goal.id, None] if isinstance(finding, Proposed) else [finding.goal_id, finding.why]


def rates_of(
    changes: Iterable[StateChange], calendar: Calendar, *, include_unknown: bool = False
) -> dict[str, float]:
    """Return the rates of one home from its recording, for `latent_goals.prior.build_prior`."""
    goals, home = Goals(include_unknown=include_unknown), HomeState()
    for change in changes:
        folded = home.apply(change)
        goals.learn_one(folded, home, calendar.context(folded.received_at, Occupancy.HOME))
    return goals.rates(home)
