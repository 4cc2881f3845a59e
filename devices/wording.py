"""Words that residents read: names, lists and durations as they would say them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from devices.state import HomeState

MAX_TITLE: Final = 255  # Home Assistant's limit of a state
_MAX_NAME: Final = 80


def spelt_out(entity_id: str, given: str | None = None) -> str:
    """Return the given name, or what the entity id says; topics' names_with_underscores are spelt out.

    >>> spelt_out("light.hall_lamp"), spelt_out("light.x", "TV_corner")
    ('hall lamp', 'TV corner')
    """
    name = (given or "").strip() or entity_id.partition(".")[2]
    return clip(" ".join(name.replace("_", " ").split()) or entity_id, _MAX_NAME)


def name_of(entity_id: str, home: HomeState) -> str:
    """Return the friendly name, or one made from the entity id, as a sentence begins with it.

    >>> name_of("light.hall_lamp", HomeState())
    'Hall lamp'
    """
    known = home.get(entity_id)
    name = spelt_out(entity_id, known.name if known else None)
    return name[:1].upper() + name[1:]


def listed(names: Sequence[str]) -> str:
    """Return names as a list is said.

    >>> listed(["coffee"]), listed(["coffee", "radio", "lamp"])
    ('coffee', 'coffee, radio and lamp')
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def duration(seconds: float) -> str:
    """Return a duration in words, rounded so that it reads well.

    >>> [duration(s) for s in (4, 95, 2820, 5400, 36000, 400000)]
    ['4 s', '2 min', '47 min', '1 h 30 min', '10 h', '5 days']
    """
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 10 * 60:
        hours, rest = divmod(minutes, 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    hours = round(seconds / 3600)
    return f"{hours} h" if hours < 48 else f"{round(seconds / 86400)} days"


def clip(text: str, limit: int = MAX_TITLE) -> str:
    """Return a text of at most `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
