"""What follows from what in a simulated home with planted goals, and association rules as baselines."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence

from devices.simulated_goals import GoalTruth, Key, Planted
from devices.simulator import family
from latent_goals.actions import can_follow, verb_of

HORIZON_S = 900.0
Pair = tuple[Key, Key]


class Judge:
    """Knows what follows from what in a simulated home."""

    def __init__(self, truth: GoalTruth) -> None:
        self.truth = truth
        self._follows: dict[Key, set[Key]] = defaultdict(set)
        for habit in family().habits:
            keys = [(s.entity_id, told(s.entity_id, s.state, s.level)) for s in habit.steps]
            self._join(keys)
        for planted in truth.planted:
            self._join([*planted.firsts, self._told(planted)])
        self._home = {e.entity_id for e in family().entities}
        self._caused = {self._told(p): p.firsts[0] for p in truth.planted if p.firsts[0][0] in self._home}

    def _told(self, planted: Planted) -> Key:
        entity_id, state = planted.follow
        return entity_id, "dim" if entity_id.endswith("_ceiling") else told(entity_id, state, None)

    def _join(self, keys: Sequence[Key]) -> None:
        for key in keys:
            self._follows[key] |= set(keys) - {key}

    def right(self, pair: Pair) -> bool:
        """Whether one follows from the other, directly or through one more."""
        first, follow = pair
        direct = self._follows[first]
        return follow in direct or any(follow in self._follows[k] for k in direct)

    def is_life(self, pair: Pair) -> bool:
        """Whether it is only about things of the home, and what was planted to follow them."""
        return all(self._caused.get(key, key)[0] in self._home for key in pair)

    def found(self, pairs: set[Pair]) -> tuple[list[str], list[str]]:
        found, missed = [], []
        for planted in self.truth.planted:
            follow = self._told(planted)
            ok = any((first, follow) in pairs for first in planted.firsts)
            (found if ok else missed).append(f"{planted.name} ({planted.probability:.2f})")
        return found, missed


def told(entity_id: str, state: str, level: int | None) -> str:
    return verb_of(entity_id, state, {} if level is None else {"brightness": level}) or state


def rules(done: dict[Key, list[float]], days: float, measure: str) -> set[Pair]:
    """Return association rules: confidence of 0.75, or lift of 3 with a confidence of 0.5; support of 5."""
    found = set()
    windows = days * 86400 / HORIZON_S
    follows = {key: times for key, times in done.items() if can_follow(key[0])}
    for first, times in done.items():
        starts = [t for i, t in enumerate(times) if i == 0 or t - times[i - 1] > HORIZON_S]
        if len(starts) < 5 or len(starts) > 24 * days:
            continue
        for follow, at in follows.items():
            if follow[0] == first[0]:
                continue
            k = sum(bisect_right(at, t + HORIZON_S) > bisect_left(at, t) for t in starts)
            confidence, usual = k / len(starts), len(at) / windows
            good = confidence >= 0.75 if measure == "confidence" else confidence >= max(0.5, 3.0 * usual)
            if k >= 5 and good:
                found.add((first, follow))
    return found
