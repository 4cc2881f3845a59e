"""A home whose days are written down by hand, played as the pipeline plays it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from devices.context import Calendar, Occupancy
from devices.events import Origin, StateChange, Tick
from devices.state import HomeState
from latent_goals.goal import Finding, Goal, Implied, Proposed, Retired, Withdrawn
from latent_goals.goals import Goals

MONDAY = datetime(2024, 1, 8, tzinfo=UTC)
CALENDAR = Calendar(ZoneInfo("UTC"), 52.5, 13.4)
MINUTE = timedelta(minutes=1)
REST = {"cover": "closed", "lock": "locked", "alarm_control_panel": "armed_away", "person": "not_home"}

Act = tuple[float, str, str] | tuple[float, str, str, Mapping[str, Any]]
"""Hour of the day, entity, state, attributes."""


class Life:
    """Goals in a home, and what they found."""

    def __init__(
        self, goals: Goals | None = None, *, origin: Origin = Origin.PHYSICAL, levels: bool = False
    ) -> None:
        self.levels = levels  # whether changes of attributes alone are heard, too
        self.goals = goals or Goals()
        self.home = HomeState()
        self.found: list[Finding] = []
        self.origin = origin
        self.at = MONDAY

    def begin(self, entities: Iterable[str], **attributes: Any) -> Life:
        """Report everything at rest."""
        for entity_id in entities:
            state = REST.get(entity_id.partition(".")[0], "off")
            self.step(StateChange(entity_id, state, self.at, self.at, attributes=attributes))
        return self

    def step(self, event: StateChange | Tick) -> list[Finding]:
        at = event.at if isinstance(event, Tick) else event.received_at
        self.at = at
        context = CALENDAR.context(at.replace(second=0, microsecond=0), Occupancy.HOME)
        if isinstance(event, StateChange):
            event = self.home.apply(event)
            if event.old == event.new and not self.levels:
                return []
        found = []
        if isinstance(event, Tick) or event.trains or self.levels:
            found = list(self.goals.score_one(event, self.home, context))
        self.goals.learn_one(event, self.home, context)
        self.found += found
        return found

    def act(
        self, entity_id: str, state: str, at: datetime, origin: Origin | None = None, **attributes: Any
    ) -> list[Finding]:
        caused = origin or self.origin
        return self.step(StateChange(entity_id, state, at, at, attributes=attributes, origin=caused))

    def days(
        self, n: int, day: Callable[[int, Random], Iterable[Act]], *, seed: int = 1, start: int = 0
    ) -> Life:
        """Live through days of acts, with a tick a minute."""
        rng = Random(seed)
        for number in range(start, start + n):
            begin = MONDAY + timedelta(days=number)
            acts = sorted(day(number, rng), key=lambda a: a[0])
            ticks = [begin + MINUTE * i for i in range(1440)]
            events: list[tuple[datetime, Any]] = [(t, None) for t in ticks]
            events += [(begin + timedelta(hours=a[0]), a) for a in acts]
            for at, act in sorted(events, key=lambda e: e[0]):
                if act is None:
                    self.step(Tick(at))
                else:
                    self.act(act[1], act[2], at, **(act[3] if len(act) > 3 else {}))
        return self

    def snapshot(self) -> str:
        return json.dumps(self.goals.to_dict(), sort_keys=True)

    def reloaded(self, goals: Goals) -> Life:
        other = Life(goals, origin=self.origin)
        other.goals.load(orjson.loads(orjson.dumps(self.goals.to_dict())))
        other.home.load(json.loads(json.dumps(self.home.to_dict())))
        other.at = self.at
        return other

    # -- what was found -------------------------------------------------------------------------

    @property
    def proposed(self) -> list[Goal]:
        return [f.goal for f in self.found if isinstance(f, Proposed)]

    @property
    def implied(self) -> list[Implied]:
        return [f for f in self.found if isinstance(f, Implied)]

    @property
    def withdrawn(self) -> list[Withdrawn]:
        return [f for f in self.found if isinstance(f, Withdrawn)]

    @property
    def retired(self) -> list[Retired]:
        return [f for f in self.found if isinstance(f, Retired)]

    def pairs(self) -> set[tuple[str, str]]:
        """Return the entities of which one was said to imply the other."""
        goals = self.goals.established.values()
        return {(a[0], f[0]) for goal in goals for a, f in self.goals.serves(goal, self.home)}


def usual(rng: Random) -> list[Act]:
    """Return somebody who is about all day and uses other things."""
    return [
        (hour + rng.random(), "binary_sensor.hall_door", "on" if n % 2 else "off", {"device_class": "door"})
        for n, hour in enumerate(range(7, 23))
    ]


def use(entity_id: str, hour: float, hours: float, **attributes: Any) -> list[Act]:
    active = {"cover": "open", "media_player": "playing", "lock": "unlocked"}.get(
        entity_id.partition(".")[0], "on"
    )
    rest = REST.get(entity_id.partition(".")[0], "off")
    return [(hour, entity_id, active, attributes), (hour + hours, entity_id, rest, {})]
