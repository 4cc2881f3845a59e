"""How to say that an entity is silent, unavailable or nearly empty."""

from __future__ import annotations

from datetime import datetime, tzinfo
from math import log10
from typing import Any, Final, NamedTuple

from devices.wording import duration
from hunches.reporting import Moment, Reporting
from hunches.shapley import shapley

_DAY_S: Final = 86400.0


class Words(NamedTuple):
    """What a hunch says."""

    title: str
    short: str  # after the entity's name
    evidence: dict[str, Any]


def silence_words(name: str, known: Reporting, now: Moment, limit: float, zone: tzinfo | None) -> Words:
    """Say for how long an entity has said nothing; `limit`: such silences a day that are worth a hunch."""
    at, longest = now.at, known.longest_s
    silent_s, x = at - known.last.at, known.expected(now.counts)
    title = (
        f"{name} has said nothing for {duration(silent_s)}; with as much going on in "
        f"the home, it usually reports in {max(2, round(x))} five-minute stretches of that time"
    )
    if longest < silent_s:
        title += f", and it was never silent for longer than {duration(longest)}"
    evidence = {
        "last_report": datetime.fromtimestamp(known.last.at, zone).isoformat(timespec="minutes"),
        "silent_s": round(silent_s),
        "expected": round(x, 1),
        "silences_a_day": round(known.rate(at), 1),
        "longest_s": round(longest),
        "such_silences_a_day": float(f"{known.per_day(now):.3g}"),
        "at_most_a_day": float(f"{limit:.3g}"),
        "contributions": known.contributions(now),
    }
    return Words(f"{title}.", f"nothing heard for {duration(silent_s)}", evidence)


def outage_words(name: str, lasted: float, longest: float, limit: float) -> Words:
    """Say for how long an entity has been unavailable, of seconds."""
    title = f"{name} has been unavailable for {duration(lasted)}"
    if longest:
        title += f"; it never was for longer than {duration(longest)}"
    evidence = {"lasted_s": round(lasted), "longest_s": round(longest), "limit_s": round(limit)}
    return Words(f"{title}.", f"unavailable for {duration(lasted)}", evidence)


def battery_words(name: str, level: float, low: float, days: float | None, *, exact: bool) -> Words:
    """Say how low a battery is, and in how many days it is empty; `exact`: the level is a number."""
    short = f"battery at {level:g}%" if exact else "battery low"
    title = f"{name}: {short}"
    if days is not None:
        title += f"; at this rate it is empty in about {duration(max(1.0, days) * _DAY_S)}"
    evidence = {"level": level, "low": low, "days_left": None if days is None else round(days, 1)}
    return Words(f"{title}.", short, evidence)


def outage_contributions(score: float, limit: float, least: float) -> dict[str, float]:
    """Return what an outage's length, and longer ones before, add to its score (Shapley values).

    `least`: the limit, in seconds, of an entity that never was unavailable before.
    """

    def value(known: frozenset[str]) -> float:
        if "length of the outage" not in known:
            return 0.0
        return score if "outages before" in known else score + log10(limit / least)

    return {k: round(v, 3) for k, v in shapley(("length of the outage", "outages before"), value).items()}
