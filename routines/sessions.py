"""Cutting a stream of actions into sessions: stretches in which a resident was busy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from math import exp, log
from typing import Final

from routines.actions import Action

GAP_BOUNDS_S: Final = (1800.0, 3600.0)
LONGEST_S: Final = 14400.0
_GESTURE_S: Final = 60.0


def sessions(
    actions: Iterable[Action], *, gap_s: float | None = None, longest_s: float = LONGEST_S
) -> list[list[Action]]:
    """Cut actions in time order where nothing happened for longer than the home's own gap.

    A session that still lasts longer than `longest_s`, as in a home where somebody is always busy, is cut in
    two at its longest pause, and its parts again.

    Parameters
    ----------
    gap_s: seconds; by default `session_gap_s` of the actions.
    longest_s: seconds from the first to the last action of a session.

    Complexity: O(n log n), and O(n) for each level of cutting long sessions.

    >>> from routines.actions import Item
    >>> day = [Action(at, Item("light.hall", "on")) for at in (0.0, 20.0, 50.0, 9000.0, 9030.0)]
    >>> [[action.at for action in session] for session in sessions(day)]
    [[0.0, 20.0, 50.0], [9000.0, 9030.0]]
    """
    actions = list(actions)
    gap = session_gap_s(actions) if gap_s is None else gap_s
    found: list[list[Action]] = []
    for action in actions:
        if found and action.at - found[-1][-1].at <= gap:
            found[-1].append(action)
        else:
            found.append([action])
    return [part for session in found for part in _parts(session, longest_s)]


def session_gap_s(actions: Sequence[Action], bounds: tuple[float, float] = GAP_BOUNDS_S) -> float:
    """Return the pause that tells two sessions of this home apart, in seconds.

    Pauses over a minute (shorter ones are the steps of one gesture) are of two kinds: minutes within a
    session, hours between two. The border θ on y = ln pause is Otsu's: the largest variance between both.

        θ = argmax w₀(θ) · w₁(θ) · (μ₁(θ) - μ₀(θ))²        w: share, μ: mean of the y at or below, above θ

    halfway between the two pauses at it, kept within `bounds`: shorter ones would cut through routines that
    wait for an oven or an iron, longer ones would join a morning with its noon.

    Complexity: O(n log n).

    >>> from routines.actions import Item
    >>> round(session_gap_s([Action(at, Item("light.hall", "on")) for at in (0, 300, 900, 30000)]))
    3600

    References
    ----------
    Otsu, N. (1979). A threshold selection method from gray-level histograms. IEEE Transactions on Systems,
    Man, and Cybernetics 9(1).
    """
    pauses = sorted(log(b.at - a.at) for a, b in pairwise(actions) if b.at - a.at > _GESTURE_S)
    least, most = bounds
    if not pauses or pauses[0] == pauses[-1]:
        return most
    total, n = sum(pauses), len(pauses)
    best, border = -1.0, pauses[-1]
    for i, below in enumerate(accumulate(pauses[:-1]), start=1):
        if pauses[i - 1] == pauses[i]:
            continue
        apart = i * (n - i) * ((total - below) / (n - i) - below / i) ** 2
        if apart > best:
            best, border = apart, (pauses[i - 1] + pauses[i]) / 2
    return min(most, max(least, exp(border)))


def _parts(session: list[Action], longest_s: float) -> list[list[Action]]:
    """Cut a session at its longest pauses until no part is too long."""
    done: list[list[Action]] = []
    left = [session]
    while left:
        part = left.pop()
        if part[-1].at - part[0].at <= longest_s:
            done.append(part)
            continue
        cut = max(range(1, len(part)), key=lambda i: part[i].at - part[i - 1].at)
        left += [part[cut:], part[:cut]]
    return done
