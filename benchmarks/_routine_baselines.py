"""What routines are compared with: association rules, and sequences that are frequent, nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd
from mlxtend.frequent_patterns import association_rules, fpgrowth
from mlxtend.preprocessing import TransactionEncoder

from devices.context import Calendar
from devices.events import StateChange
from devices.state import HomeState
from routines.actions import Action, Item, actions_of
from routines.mining import mine
from routines.prefixspan import PrefixSpan
from routines.routine import OnState, Routine, Step
from routines.sessions import sessions

METHODS = ("ours", "association", "prefixspan")
LIFT, CONFIDENCE = 1.2, 0.5
LEAST_SHARE = 0.05  # of the sessions, or days, that must hold a set or a sequence
GAP_S = 600.0
MOST = 200  # routines; the strongest

Found = list[tuple[float, Routine]]


def propose(
    method: str, changes: Iterable[StateChange], calendar: Calendar, *, include_unknown: bool
) -> Found:
    """Return routines with their rank; more is better."""
    if method == "ours":
        result = mine(changes, calendar, include_unknown=include_unknown)
        return [(-float(n), r) for n, r in enumerate(result.routines)]
    home = HomeState()
    actions = actions_of([home.apply(c) for c in changes], include_unknown=include_unknown)
    cut = sessions(actions)
    if not cut:
        return []
    days = (actions[-1].at - actions[0].at) / 86_400
    return _rules(cut) if method == "association" else _sequences(cut, days)


def _rules(cut: list[list[Action]]) -> Found:
    """Return fpgrowth's sets with their rules: the first item triggers the others."""
    encoder = TransactionEncoder()
    held = [{a.item for a in session} for session in cut]
    frame = pd.DataFrame(encoder.fit(held).transform(held), columns=range(len(encoder.columns_)))
    sets = fpgrowth(frame, min_support=max(LEAST_SHARE, 4 / len(held)), max_len=5)
    if sets.empty:
        return []
    rules = association_rules(sets, metric="confidence", min_threshold=CONFIDENCE)
    rules = rules[rules["lift"] >= LIFT]
    best: dict[frozenset[int], tuple[float, int]] = {}
    for _, rule in rules.iterrows():
        if len(rule["antecedents"]) == 1:
            (first,) = rule["antecedents"]
            whole = rule["antecedents"] | rule["consequents"]
            best[whole] = max(best.get(whole, (0.0, 0)), (rule["confidence"], first))
    ranked = sorted(
        ((rank, first, whole) for whole, (rank, first) in best.items()),
        key=lambda r: (-r[0], r[1], sorted(r[2])),
    )
    names = encoder.columns_
    return [(r, _routine([names[f], *(names[i] for i in sorted(w - {f}))])) for r, f, w in ranked[:MOST]]


def _sequences(cut: list[list[Action]], days: float) -> Found:
    """Return the closed sequences with support enough: the first item triggers the others."""
    least = max(4, math.ceil(LEAST_SHARE * 2 * days))
    timed = [[(a.at, a.item) for a in session] for session in cut]
    found = PrefixSpan(least, GAP_S, 5).closed(timed)
    ranked = sorted(((n, p) for p, n in found.items() if len(p) > 1), key=lambda one: (-one[0], one[1]))
    return [(float(n), _routine(list(p))) for n, p in ranked[:MOST]]


def _routine(items: list[Item]) -> Routine:
    steps = tuple(Step(i.entity_id, i.state) for i in items)
    return Routine("", OnState(items[0].entity_id, items[0].state), steps)
