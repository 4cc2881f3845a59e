"""What is made to go wrong in a recorded home: one fault at a time, in the half that wasn't learned."""

from __future__ import annotations

import random
import statistics
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from benchmarks._homes import DAY, HOUR, MINUTE, Home, Stay, episodes, quantile
from devices.events import StateChange

MIN_STAYS = 10  # in the first half, for an entity to be forgotten
MIN_EPISODES = 15  # the same, to be at an odd hour
MIN_DAYS = 3  # whole local days recorded in the first half, to have daily events or readings
REGULAR = 0.9  # share of the first half's days on which something daily happens
WINDOW = 75 * MINUTE  # ± around the usual time


@dataclass(frozen=True)
class Fault:
    """What an entity doesn't say (after `since`, up to `until`), and what it says instead."""

    kind: str
    entity_id: str
    since: datetime
    until: datetime
    said: tuple[tuple[datetime, str], ...]
    abnormal_at: datetime  # from when a careful neighbour would wonder
    heard: tuple[datetime, datetime]  # when a hunch counts
    about: frozenset[str]  # a hunch about any of these is right
    what: str = ""

    def inject(self, home: Home, since: datetime) -> list[StateChange]:
        """Return the changes from `since` until a hunch doesn't count any more, with the fault in them."""
        like = home.by_entity[self.entity_id][-1]  # the first of a simulation has no origin
        part = [
            c
            for c in home.part(since, self.heard[1])
            if c.entity_id != self.entity_id or not self.since < c.changed_at <= self.until
        ]
        part += [replace(like, new=state, changed_at=at, received_at=at) for at, state in self.said]
        return sorted(part, key=lambda c: c.changed_at)

    def __str__(self) -> str:
        return f"{self.kind}{self.what and ' '}{self.what} {self.entity_id}"


Faults = list[Fault]


def left(home: Home, n: int, rng: random.Random) -> Faults:
    """Hold a state that normally ends within the hour for max(1 h, 5 x its 99th percentile)."""
    eligible = []
    for entity_id, stays in sorted(home.of.items()):
        past = [s.seconds for s in stays if s.end < home.middle]
        if len(past) >= MIN_STAYS and quantile(past, 0.99) <= 3600:
            eligible.append((entity_id, quantile(past, 0.99)))
    home.eligible["left"] = f"{len(eligible)} of {len(home.of)}"

    def one() -> Fault | None:
        entity_id, p99 = rng.choice(eligible)
        held = timedelta(seconds=max(3600.0, 5 * p99))
        begun = [
            s for s in home.of[entity_id] if s.end > s.start >= home.middle and s.start + held < home.end
        ]
        if not begun:
            return None
        stay = rng.choice(begun)
        end, rest = stay.start + held, home.rest_of(entity_id, stay.state)
        return Fault(
            "left", entity_id, stay.start, end, ((end, rest),), stay.start + timedelta(seconds=p99),
            (stay.start, end), frozenset({entity_id}),
        )  # fmt: skip

    return draw(n, one) if eligible else []


def odd(home: Home, n: int, rng: random.Random) -> Faults:
    """Activate something for a minute at an hour when it never is."""
    never: list[tuple[str, list[int]]] = []
    for entity_id, stays in sorted(home.of.items()):
        begun = episodes([s.start for s in stays if s.start < home.middle])
        hours = {t.astimezone(home.zone).hour for t in begun}
        if len(begun) >= MIN_EPISODES and len(hours) < 24:
            never.append((entity_id, sorted(set(range(24)) - hours)))
    home.eligible["odd"] = f"{len(never)} of {len(home.of)}"

    def one() -> Fault | None:
        entity_id, hours = rng.choice(never)
        day = home.middle + timedelta(days=rng.randrange(max(1, int(home.days))))
        hour = rng.choice(hours)
        local = day.astimezone(home.zone).replace(hour=hour, minute=0, second=0, microsecond=0)
        at = (local + timedelta(seconds=rng.randrange(3540))).astimezone(home.middle.tzinfo)
        if not home.middle < at < home.end - HOUR or near_a_stay(home.of[entity_id], at):
            return None
        state = home.of[entity_id][0].state
        end, rest = at + MINUTE, home.rest_of(entity_id, state)
        said = ((at, state), (end, rest))
        return Fault("odd", entity_id, at, at, said, at, (at, end + 15 * MINUTE), frozenset({entity_id}))

    return draw(n, one) if never else []


def near_a_stay(stays: Sequence[Stay], at: datetime) -> bool:
    return any(s.start - 2 * MINUTE <= at <= s.end + MINUTE for s in stays)


def missed(home: Home, n: int, rng: random.Random) -> Faults:
    """Leave out a daily event, and all that its entity does from 2 h before its time to 6 h after it.

    Daily: on 90% of the first half's days the first (or the last) activation comes within ± 75 min.
    It is abnormal from the latest time of it in the first half (99th percentile), and a hunch counts from
    the usual time until six hours after the window.
    """
    learned, scored = home.local_days(home.start, home.middle), home.local_days(home.middle, home.end)
    eligible: list[tuple[str, int, list[datetime], float, float]] = []
    for entity_id, stays in sorted(home.of.items()):
        starts = [s.start for s in stays]
        for which in (0, -1):
            times = times_of_day(starts, learned, which)
            if not times:
                continue
            usual = statistics.median(times.values())
            if not WINDOW <= usual * HOUR <= DAY - WINDOW:  # goes on all night: first or last of nothing
                continue
            near = {d: t for d, t in times.items() if abs(t - usual) <= WINDOW / HOUR}
            if len(near) < max(MIN_DAYS, REGULAR * len(learned)):
                continue
            actual = times_of_day(starts, scored, which)
            on = [d for d, t in actual.items() if abs(t - usual) <= WINDOW / HOUR]
            if on:
                eligible.append((entity_id, which, on, usual, quantile(list(near.values()), 0.99)))
    home.eligible["missed"] = f"{len({e for e, *_ in eligible})} of {len(home.of)}"

    def one() -> Fault | None:
        entity_id, which, days, usual, latest = rng.choice(eligible)
        day = rng.choice(days)
        since, until = day + usual * HOUR - WINDOW - 2 * HOUR, day + usual * HOUR + WINDOW + 6 * HOUR
        if since < home.middle or until > home.end:
            return None
        begun = home.is_in(entity_id, since)
        said = ((begun.end, home.rest_of(entity_id, begun.state)),) if begun and begun.end < until else ()
        return Fault(
            "missed", entity_id, since, until, said, day + latest * HOUR, (day + usual * HOUR, until),
            frozenset({entity_id}), "last" if which else "first",
        )  # fmt: skip

    return draw(n, one, each=n) if eligible else []


def times_of_day(starts: Sequence[datetime], days: Sequence[datetime], which: int) -> dict[datetime, float]:
    """Return for each day the hours since its start (04:00) of the first or last activation on it."""
    found = {}
    for day in days:
        on = [t for t in starts if day <= t < day + DAY]
        if on:
            found[day] = (on[which] - day) / HOUR
    return found


def silent(home: Home, n: int, rng: random.Random) -> Faults:
    """Let a chatty entity say nothing for 24 hours after a change.

    Chatty: 24 changes (12, where fewer than three entities have 24) on 90% of the first half's days, and in
    the hours that are lost. It is abnormal when the longest silence of the first half is exceeded.
    """
    learned = home.local_days(home.start, home.middle)
    times = {e: [c.changed_at for c in of] for e, of in home.by_entity.items()}
    for least in (24, 12):
        chatty = [
            e for e, of in sorted(times.items())
            if sum(between(of, d, d + DAY) >= least for d in learned) >= max(MIN_DAYS, REGULAR * len(learned))
        ]  # fmt: skip
        if len(chatty) >= 3:
            break
    home.eligible["silent"] = f"{len(chatty)} of {len(times)}"

    def one() -> Fault | None:
        entity_id = rng.choice(chatty)
        of = times[entity_id]
        since = of[rng.randrange(bisect_left(of, home.middle), len(of))]
        if since + DAY > home.end or between(of, since, since + DAY) < least:
            return None
        longest = max(b - a for a, b in pairwise(of[: bisect_left(of, home.middle)]))
        return Fault(
            "silent", entity_id, since, since + DAY, (), since + longest, (since, since + DAY),
            frozenset({entity_id}),
        )  # fmt: skip

    return draw(n, one, each=5) if chatty else []


def between(times: Sequence[datetime], since: datetime, until: datetime) -> int:
    return bisect_left(times, until) - bisect_left(times, since)


def draw(n: int, one: Callable[[], Fault | None], *, each: int | None = None) -> Faults:
    """Draw n faults, or as many as there are; with `each`, different ones, and so many of an entity."""
    faults: Faults = []
    for _ in range(50 * n):
        if len(faults) == n:
            break
        fault = one()
        if fault is None:
            continue
        same = sum(f.entity_id == fault.entity_id for f in faults)
        if each is None or (same < each and fault not in faults):
            faults.append(fault)
    return faults
