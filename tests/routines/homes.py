"""Small homes written by hand, for the tests of mining."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from devices.context import Calendar
from devices.events import Origin, StateChange

ZONE = ZoneInfo("Europe/Berlin")
CALENDAR = Calendar(ZONE, 52.5, 13.4)
MONDAY = datetime(2024, 2, 5)  # noqa: DTZ001 - local

Event = tuple[datetime, str, str]


def at(day: int, hour: float, seconds: float = 0.0) -> datetime:
    """Return a local hour of the day that is so many after Monday, in UTC."""
    local = MONDAY + timedelta(days=day, hours=hour, seconds=seconds)
    return local.replace(tzinfo=ZONE).astimezone(UTC)


def changes(events: Iterable[Event], origin: Origin = Origin.PHYSICAL) -> list[StateChange]:
    """Return the changes that events bring about; what is so already does nothing. All begin switched off."""
    ordered = sorted(events)
    states = {entity_id: "off" for _, entity_id, _ in ordered}
    start = ordered[0][0] - timedelta(minutes=1)
    found = [_change(e, start, s, None, origin) for e, s in states.items()]
    for when, entity_id, state in ordered:
        if (old := states[entity_id]) != state:
            found.append(_change(entity_id, when, state, old, origin))
            states[entity_id] = state
    return found


def _change(entity_id: str, when: datetime, state: str, old: str | None, origin: Origin) -> StateChange:
    kind = {"device_class": "door"} if entity_id.startswith("binary_sensor.") else {}
    return StateChange(entity_id, state, when, when, old, kind, origin, 1.0)


def noise(rng: Random, days: int, entities: Iterable[str]) -> list[Event]:
    """Return switching at random: each thing once or twice a day, for some minutes."""
    events = []
    for entity_id in entities:
        for day in range(days):
            for _ in range(rng.randint(0, 2)):
                on = at(day, rng.uniform(7.0, 22.5))
                events += [
                    (on, entity_id, "on"),
                    (on + timedelta(minutes=rng.uniform(1, 90)), entity_id, "off"),
                ]
    return events


def mornings(rng: Random, days: int) -> list[Event]:
    """Return a habit: on workdays about seven the kitchen light, the coffee maker and the radio."""
    events = []
    for day in range(days):
        if day % 7 >= 5 or rng.random() < 0.1:
            continue
        start = rng.gauss(7.0, 0.15)
        for n, entity_id in enumerate(("light.kitchen", "switch.coffee", "media_player.radio")):
            events.append((at(day, start, 40.0 * n + rng.uniform(0, 15)), entity_id, "on"))
            events.append((at(day, start + rng.uniform(0.6, 2.0)), entity_id, "off"))
    return events
