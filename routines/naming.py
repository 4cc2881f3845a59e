"""What a routine is called: its devices and areas, and when it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from devices.wording import listed, spelt_out
from routines.conditions import WEEKDAYS, WEEKEND
from routines.routine import AtSun, AtTime, OnState, Routine, Step

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_VERBS: Final[Mapping[str, str]] = {
    "not_home": "leaves", "home": "comes home", "playing": "plays", "open": "opens", "closed": "closes",
}  # fmt: skip
_OPENING: Final = (
    "door",
    "window",
    "contact",
    "opening",
    "fridge",
    "freezer",
    "cupboard",
    "drawer",
    "cabinet",
)


def name_of(routine: Routine, names: Mapping[str, str] | None = None) -> str:
    """Return a name of at most four steps and the trigger; `names` are those that the resident gave.

    >>> from routines.routine import Conditions
    >>> coffee = (Step("light.kitchen", "on"), Step("switch.coffee_maker", "on", 40.0))
    >>> name_of(Routine("", AtTime(410), coffee, Conditions(weekdays=(0, 1, 2, 3, 4))))
    'Kitchen and coffee maker on, weekdays about 06:50'
    >>> name_of(Routine("", OnState("binary_sensor.hall_door", "on"), (Step("light.hall", "on"),)))
    'Hall on when hall door opens'
    >>> name_of(Routine("", OnState("light.closet", "on"), (Step("light.closet", "off", 120.0),)))
    'Closet off 2 min after it goes on'
    """
    names = names or {}
    trigger = routine.trigger
    own = (trigger.entity_id, trigger.state) if isinstance(trigger, OnState) else None
    steps = [s for s in routine.steps if (s.entity_id, s.state) != own] or list(routine.steps)
    said = _steps(steps, names)
    return f"{said[:1].upper()}{said[1:]}{_when(routine, names)}"


def entity_name(entity_id: str, names: Mapping[str, str]) -> str:
    """Return what the resident calls an entity, else what its id says."""
    name = spelt_out(entity_id, names.get(entity_id))
    return name if name.isupper() else name[:1].lower() + name[1:]


def _steps(steps: list[Step], names: Mapping[str, str]) -> str:
    groups: list[tuple[str, list[str]]] = []
    for step in steps:
        name = entity_name(step.entity_id, names)
        if groups and groups[-1][0] == step.state:
            groups[-1][1].append(name)
        else:
            groups.append((step.state, [name]))
    parts, left = [], 4
    for state, of in groups:
        if left > 0:
            parts.append(f"{listed(of[:left])} {state}")
        left -= len(of)
    return ", ".join(parts) + (f" and {-left} more" if left < 0 else "")


def _when(routine: Routine, names: Mapping[str, str]) -> str:
    trigger, conditions = routine.trigger, routine.conditions
    days = _days(conditions.weekdays)
    if isinstance(trigger, AtTime):
        return f",{days} about {trigger.minute // 60:02}:{trigger.minute % 60:02}"
    if isinstance(trigger, AtSun):
        offset = f"{abs(trigger.offset_min)} min {'before' if trigger.offset_min < 0 else 'after'} "
        return f",{days} {offset if trigger.offset_min else 'at '}{trigger.event.value}"
    if routine.is_limit:
        return f" {round(max(s.delay_s for s in routine.steps) / 60)} min after it {_verb(trigger)}"
    cue = f" when {entity_name(trigger.entity_id, names)} {_verb(trigger)}"
    hours = ""
    if conditions.after_min is not None and conditions.before_min is not None:
        after, before = conditions.after_min, conditions.before_min
        hours = f" between {after // 60:02}:{after % 60:02} and {before // 60:02}:{before % 60:02}"
    return f"{cue}{',' + days if days else ''}{hours}{' in the dark' if conditions.dark else ''}"


def _verb(trigger: OnState) -> str:
    if trigger.entity_id.startswith("binary_sensor.") and trigger.state in {"on", "off"}:
        if any(word in trigger.entity_id for word in _OPENING):
            return "opens" if trigger.state == "on" else "closes"
        return "is triggered" if trigger.state == "on" else "clears"
    return _VERBS.get(trigger.state, f"goes {trigger.state}")


def _days(weekdays: tuple[int, ...]) -> str:
    if not weekdays:
        return ""
    if weekdays == WEEKDAYS:
        return " weekdays"
    if weekdays == WEEKEND:
        return " weekends"
    return " " + listed([_DAYS[d] for d in weekdays])
