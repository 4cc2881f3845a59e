"""Words for titles: names, durations and dates as a resident would say them."""

from __future__ import annotations

from typing import Final

from devices.state import HomeState

MAX_TITLE: Final = 255  # Home Assistant's limit of a state
_MAX_NAME: Final = 80


def name_of(entity_id: str, home: HomeState) -> str:
    """Return the friendly name, or one made from the entity id; topics' names_with_underscores are spelt out.

    >>> name_of("light.hall_lamp", HomeState())
    'Hall lamp'
    """
    known = home.get(entity_id)
    name = (known.name if known else None) or ""
    words = (name.strip() or entity_id.partition(".")[2]).replace("_", " ").split()
    spelt = " ".join(words) or entity_id
    return clip(spelt[:1].upper() + spelt[1:], _MAX_NAME)


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
