"""Slots: which room a thing is in, what kind of thing it is, and what a step takes from the first action."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final

from devices.state import HomeState
from latent_goals.association import Counts, Tally
from latent_goals.goal import Pattern
from latent_goals.occasions import ANY

Key = tuple[str, str]  # an entity id and what it is told
Pair = tuple[Key, Key]

_VALUE_OF: Final[Mapping[str, str]] = {
    "light": "brightness",
    "climate": "temperature",
    "humidifier": "humidity",
    "fan": "percentage",
    "cover": "current_position",
    "media_player": "media_content_type",
}
"""Which attribute of a domain is the level, the temperature, the media that is carried over."""
_WIDTH: Final[Mapping[str, float]] = {
    "brightness": 13.0, "temperature": 0.5, "humidity": 5.0, "percentage": 5.0, "current_position": 5.0,
}  # fmt: skip
"""How far apart two values are that count as the same: a twentieth of their range."""
_MADE_OF: Final = frozenset({
    "light", "lights", "lamp", "switch", "plug", "tv", "door", "window", "sensor", "binary", "motion",
    "contact", "front", "back", "main", "left", "right", "upper", "lower", "ceiling", "floor", "wall", "my",
    "the", "smart", "home", "house", "device", "zigbee", "wifi", "hue", "shelly", "tasmota", "esp",
})  # fmt: skip
"""Words that say what a thing is, which one of several, or who made it: no rooms."""
_SUPPORTED: Final = 3  # times that something must have followed in a room for it to speak for others
_CONTRADICTS: Final = 0.05  # a room that does so as rarely by chance isn't like the others


def areas(home: HomeState) -> dict[str, str]:
    """Return the room of each thing that has one.

    It is the attribute `area_id` or `area`, where that is told. Else it is the longest beginning of its
    object id, in whole words, that a thing of another domain shares, with something left to name the thing:
    `light.living_room_lamp` and `media_player.living_room_tv` are in "living_room". A beginning of words
    that are no rooms ("light", "front", a maker) means nothing, and a name that no other domain shares means
    no room: what isn't known generalises to nothing.

    O(entities · words).
    """
    told, domains = {}, defaultdict(set)
    for entity_id in home:
        known = home.get(entity_id)
        area = None if known is None else known.attributes.get("area_id") or known.attributes.get("area")
        if isinstance(area, str):
            told[entity_id] = area.strip().lower().replace(" ", "_")[:64]
        for beginning in _beginnings(entity_id):
            domains[beginning].add(entity_id.partition(".")[0])
    found = dict(told)
    for entity_id in home:
        if entity_id in told:
            continue
        shared = next((b for b in _beginnings(entity_id) if len(domains[b]) > 1), None)
        if shared is not None:
            found[entity_id] = shared
    return found


def _beginnings(entity_id: str) -> list[str]:
    """Return the beginnings of an object id that could name a room, the longest first.

    >>> _beginnings("light.living_room_lamp"), _beginnings("media_player.tv"), _beginnings("light.hue_lamp_3")
    (['living_room', 'living'], [], [])
    """
    words = entity_id.partition(".")[2].split("_")
    found = ["_".join(words[:n]) for n in range(len(words) - 1, 0, -1) if words[n - 1] not in _MADE_OF]
    return [] if words[0] in _MADE_OF or words[0].isdigit() or len(words[0]) < 3 else found


def kind_of(entity_id: str, home: HomeState) -> str:
    """Return what is common to like things of different rooms: domain and device class."""
    device_class = home.device_class(entity_id)
    domain = entity_id.partition(".")[0]
    return f"{domain}.{device_class}" if device_class else domain


def general(key: Key, home: HomeState) -> Pattern:
    """Return an action as that of a kind of thing in any room."""
    return Pattern(kind_of(key[0], home), key[1], any_room=True)


def value_of(entity_id: str, attributes: Mapping[str, Any]) -> float | str | None:
    """Return the level, temperature or media that a thing is set to, where it has one.

    >>> value_of("light.hall", {"brightness": 64}), value_of("switch.iron", {"brightness": 64})
    (64.0, None)
    """
    name = attribute_of(entity_id)
    value = attributes.get(name) if name is not None else None
    if value is None:
        return None  # the usual case
    if isinstance(value, str):
        return value[:64]
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def attribute_of(entity_id: str) -> str | None:
    """Return the name of the attribute that holds the value of such a thing."""
    return _VALUE_OF.get(entity_id.partition(".")[0])


def binding(first: str, follow: str, values: Sequence[tuple[Any, Any]]) -> tuple[float | str | None, bool]:
    """Return what a step is set to, and whether that is taken over from the first action.

    It is, where both things have the same attribute, the first one was set to different values, and the
    other one got the same in four of five cases. Else it is the median, or the most common text.

    >>> binding("light.a", "light.b", [(40.0, 41.0), (200.0, 198.0), (90.0, 90.0), (60.0, 60.0)])
    (75.0, True)
    >>> binding("media_player.tv", "light.b", [("movie", 60.0), ("movie", 66.0)])
    (63.0, False)
    """
    got = [f for _, f in values if f is not None]
    if not got:
        return None, False
    numbers = [f for f in got if isinstance(f, float)]
    usual = float(median(numbers)) if len(numbers) * 2 > len(got) else None
    text = Counter(f for f in got if isinstance(f, str)).most_common(1)
    both = [(a, f) for a, f in values if a is not None and f is not None]
    name = attribute_of(follow)
    same = sum(_alike(name, a, f) for a, f in both)
    carried = (
        name == attribute_of(first) and len({a for a, _ in both}) > 1 and same * 5 >= 4 * len(both) >= 12
    )
    return (usual if usual is not None else text[0][0] if text else None), carried


def _alike(name: str | None, one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= _WIDTH.get(name or "", 0.0)
    return bool(one == other)


class Pooled:
    """The evidence for one pair of kinds, from all rooms that have both.

    A room whose own counts would be as low by chance in less than one of twenty cases, were it like all of
    them together, contradicts; it is left out, and of the counts as well.
    """

    def __init__(self, rooms: Mapping[str, Tally]) -> None:
        self.rooms = dict(rooms)
        self.contradicting: list[str] = []
        while len(self.rooms) > 1 and (worst := self._worst()) is not None:
            self.contradicting.append(worst)
            del self.rooms[worst]
        self.tally = Tally({ANY: Counts()}, [], [], [])
        for tally in self.rooms.values():
            self.tally.add(tally.copy())

    def generalises(self, least: float) -> bool:
        """Whether at least two rooms show it, each often enough to speak for others."""
        strong = [t.all for t in self.rooms.values() if t.all.k >= _SUPPORTED]
        return sum(counts.k >= least * counts.n for counts in strong) >= 2

    def _worst(self) -> str | None:
        """Return the room that fits least, if any doesn't: each is compared with all the others."""
        found: tuple[float, str] | None = None
        for room, tally in self.rooms.items():
            others = [t.all for r, t in self.rooms.items() if r != room]
            n, k = sum(c.n for c in others), sum(c.k for c in others)
            tail = lower_tail(tally.all.k, tally.all.n, (k + 1) / (n + 2))
            if tail < _CONTRADICTS and (found is None or tail < found[0]):
                found = (tail, room)
        return found[1] if found else None


def lower_tail(k: int, n: int, p: float) -> float:
    """Return P(K <= k) of n trials with probability p. O(k).

    >>> round(lower_tail(0, 3, 0.9), 4), round(lower_tail(3, 3, 0.9), 4)
    (0.001, 1.0)
    """
    term, total = (1.0 - p) ** n, 0.0
    for i in range(k + 1):
        total += term
        term *= (n - i) / (i + 1) * p / (1.0 - p)
    return min(1.0, total)


def rooms_of(pairs: Iterable[Pair], rooms: Mapping[str, str]) -> dict[Pair, str]:
    """Return the room of each pair whose two things are in one."""
    return {(a, f): rooms[a[0]] for a, f in pairs if a[0] in rooms and rooms[a[0]] == rooms.get(f[0])}
