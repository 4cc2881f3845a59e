"""The circumstances of a moment: local time, daylight, and whether anybody is home or awake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from astral import Observer
from astral.sun import sun

from devices.events import NOT_A_STATE, StateChange, utc


class Daypart(StrEnum):
    """Quarter of the local day."""

    NIGHT = "night"  # 00 to 06
    MORNING = "morning"  # 06 to 12
    AFTERNOON = "afternoon"  # 12 to 18
    EVENING = "evening"  # 18 to 24


class Occupancy(StrEnum):
    """Who is there, as far as the home can tell."""

    HOME = "home"
    AWAY = "away"
    ASLEEP = "asleep"


_SUN_DAYS: Final = 400  # remembered: who looks back over a year does so many times
_DAYPARTS: Final = (Daypart.NIGHT, Daypart.MORNING, Daypart.AFTERNOON, Daypart.EVENING)


@dataclass(frozen=True, slots=True)
class Context:
    """A moment in the home's own terms."""

    at: datetime  # aware UTC
    local: datetime  # the same moment on the home's clock
    occupancy: Occupancy
    daylight: bool | None  # None where the home's place is unknown

    @property
    def hour(self) -> float:
        """Local hour as a number, 0 <= hour < 24."""
        return self.local.hour + self.local.minute / 60 + self.local.second / 3600

    @property
    def weekday(self) -> int:
        """Monday is 0."""
        return self.local.weekday()

    @property
    def weekend(self) -> bool:
        """Saturday or Sunday."""
        return self.local.weekday() >= 5

    @property
    def daypart(self) -> Daypart:
        """Quarter of the local day."""
        return _DAYPARTS[self.local.hour // 6]


class Calendar:
    """Turns UTC into the home's local circumstances. Coordinates in degrees; None: no daylight known."""

    def __init__(self, zone: ZoneInfo, latitude: float | None = None, longitude: float | None = None) -> None:
        self.zone = zone
        self.latitude = latitude
        self.longitude = longitude
        self._observer = None if latitude is None or longitude is None else Observer(latitude, longitude)
        self._sun: dict[date, tuple[datetime, datetime] | bool | None] = {}

    def context(self, at: datetime, occupancy: Occupancy) -> Context:
        """Return the context of a moment."""
        local = at.astimezone(self.zone)
        return Context(at, local, occupancy, self.daylight(at, local.date()))

    def daylight(self, at: datetime, day: date) -> bool | None:
        """Whether the sun is up; polar day and night included."""
        times = self.sun_times(day)
        return times if isinstance(times, bool) or times is None else times[0] <= at < times[1]

    def sun_times(self, day: date) -> tuple[datetime, datetime] | bool | None:
        """Return sunrise and sunset of a local day; whether it is up all day; None where that is unknown."""
        if self._observer is None:
            return None
        if day not in self._sun:
            if len(self._sun) > _SUN_DAYS:
                self._sun.clear()
            self._sun[day] = self._sun_times(day)
        return self._sun[day]

    def _sun_times(self, day: date) -> tuple[datetime, datetime] | bool | None:
        try:
            times = sun(self._observer, day, tzinfo=self.zone)  # type: ignore[arg-type]
        except ValueError as err:  # the sun doesn't rise or set on this day
            return "above" in str(err)
        return times["sunrise"], times["sunset"]


_INDOOR_SIGNS: Final = frozenset({"motion", "occupancy", "presence"})
_DOORS: Final = frozenset({"door", "garage_door", "opening"})


class OccupancyTracker:
    """Infers home, away or asleep from what the home has, best evidence first.

    1. `alarm_control_panel`: armed_away, armed_vacation -> away; armed_night -> asleep;
    2. `person`, else `device_tracker`: all away -> away (a person without a phone is "unknown", not away);
    3. otherwise motion and doors: nothing moved for `away_after` since a door last closed -> away.
    At home, in the night hours, with nothing switched or moved for `asleep_after`: asleep.

    Memory: one state for each tracked entity.
    """

    def __init__(
        self,
        *,
        away_after: timedelta = timedelta(minutes=90),
        asleep_after: timedelta = timedelta(minutes=40),
        night: tuple[int, int] = (22, 9),
    ) -> None:
        self.away_after = away_after
        self.asleep_after = asleep_after
        self.night = night
        self._alarm: str | None = None
        self._people: dict[str, str] = {}
        self._trackers: dict[str, str] = {}
        self._last_motion: datetime | None = None
        self._last_door: datetime | None = None
        self._last_activity: datetime | None = None
        self._moving: set[str] = set()

    def observe(self, change: StateChange) -> None:
        """Take a change (with `old` set by the fold) into account."""
        domain, new = change.domain, change.new
        if new in NOT_A_STATE:
            return  # what comes back as it was is a repeat, and never gets here
        if domain == "alarm_control_panel":
            self._alarm = new
        elif domain == "person":
            self._people[change.entity_id] = new
        elif domain == "device_tracker":
            self._trackers[change.entity_id] = new
        elif change.trains:
            self._activity(change, domain)

    def _activity(self, change: StateChange, domain: str) -> None:
        kind = change.device_class
        if kind in _INDOOR_SIGNS:
            self._last_motion = self._last_activity = change.changed_at
            if change.new == "on":
                self._moving.add(change.entity_id)
            else:
                self._moving.discard(change.entity_id)
        elif kind in _DOORS:
            self._last_door = self._last_activity = change.changed_at
        elif change.by_resident and domain not in {"sensor", "number"}:
            self._last_activity = change.changed_at

    def occupancy(self, at: datetime, local: datetime) -> Occupancy:
        """Return the state of the household at a moment. Pure."""
        if self._alarm in {"armed_away", "armed_vacation"}:
            return Occupancy.AWAY
        if self._alarm == "armed_night":
            return Occupancy.ASLEEP
        tracked = _known(self._people) or _known(self._trackers)
        if tracked:
            if "home" not in tracked:
                return Occupancy.AWAY
        elif self._left(at):
            return Occupancy.AWAY
        return Occupancy.ASLEEP if self._quiet_night(at, local) else Occupancy.HOME

    def _left(self, at: datetime) -> bool:
        if self._last_motion is None or self._last_door is None or self._moving:
            return False
        return self._last_motion <= self._last_door + timedelta(minutes=2) and (
            at - max(self._last_motion, self._last_door) >= self.away_after
        )

    def _quiet_night(self, at: datetime, local: datetime) -> bool:
        start, end = self.night
        if not (local.hour >= start or local.hour < end) or self._moving:
            return False
        return self._last_activity is not None and at - self._last_activity >= self.asleep_after

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "alarm": self._alarm,
            "people": self._people,
            "trackers": self._trackers,
            "moving": sorted(self._moving),
            "last": [t and t.isoformat() for t in (self._last_motion, self._last_door, self._last_activity)],
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self._alarm = data["alarm"]
        self._people, self._trackers = dict(data["people"]), dict(data["trackers"])
        self._moving = set(data["moving"])
        self._last_motion, self._last_door, self._last_activity = (
            utc(t) if t else None for t in data["last"]
        )


def _known(states: Mapping[str, str]) -> set[str]:
    return set(states.values()) - NOT_A_STATE
