"""What residents do, as items that can be mined, and what happens around them that may be a cue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from devices.events import NOT_A_STATE, Origin, StateChange

SETTLE_S: Final = 60.0
"""For this long after an action further reports of its entity tell what it asked for: a ramp, a slider."""

NO_TARGETS: Final[Mapping[str, float]] = MappingProxyType({})

_ON_OFF: Final = frozenset({"on", "off"})
_OPEN_CLOSED: Final = frozenset({"open", "closed"})
_ANY: Final[frozenset[str]] = frozenset()

COMMANDABLE: Final[Mapping[str, frozenset[str]]] = MappingProxyType({
    "climate": _ANY,
    "cover": _OPEN_CLOSED,
    "fan": _ON_OFF,
    "humidifier": _ON_OFF,
    "input_boolean": _ON_OFF,
    "input_select": _ANY,
    "light": _ON_OFF,
    "lock": frozenset({"locked", "unlocked"}),
    "media_player": frozenset({"on", "off", "playing", "paused", "idle"}),
    "scene": frozenset({"on"}),
    "script": frozenset({"on"}),
    "select": _ANY,
    "switch": _ON_OFF,
    "vacuum": frozenset({"cleaning"}),  # it returns by itself
    "valve": _OPEN_CLOSED,
})  # fmt: skip
"""The states that a resident can ask for, by domain; none named: any."""

# On the way to a state that has been asked for: what is asked for counts.
_HEADING: Final[Mapping[str, str]] = {
    "opening": "open", "closing": "closed", "locking": "locked", "unlocking": "unlocked",
    "buffering": "playing", "standby": "off",
}  # fmt: skip

# Numbers that a command takes along, under the attribute that reports them.
_TARGETS: Final[Mapping[str, tuple[str, ...]]] = {
    "climate": ("temperature", "target_temp_low", "target_temp_high"),
    "cover": ("current_position",),
    "fan": ("percentage",),
    "humidifier": ("humidity",),
    "light": ("brightness", "color_temp_kelvin"),
    "media_player": ("volume_level",),
    "valve": ("current_position",),
}
_FULL: Final[Mapping[str, float]] = {
    "brightness": 255.0, "current_position": 100.0, "humidity": 100.0, "percentage": 100.0,
    "volume_level": 1.0,
}  # fmt: skip
_FAHRENHEIT_FROM: Final = 45.0  # nobody heats a room to 45 °C
_LEVELLESS: Final = frozenset({"off", "closed"})
_CUES: Final = frozenset({"alarm_control_panel", "binary_sensor", "device_tracker", "person"})
_NO_CUE: Final = frozenset({
    "battery", "battery_charging", "connectivity", "plug", "power", "problem", "tamper", "update",
})  # fmt: skip
_ONLY_ON: Final = frozenset({"motion", "moving", "occupancy", "presence", "sound", "vibration"})


class Item(NamedTuple):
    """A state that an entity was given: the alphabet of habits. `bucket`: about how bright, far, warm."""

    entity_id: str
    state: str
    bucket: str = ""  # "25%", "20°"; empty where there is no such number

    @property
    def domain(self) -> str:
        """The part of the entity id before the dot."""
        return self.entity_id.partition(".")[0]


class Seen(NamedTuple):
    """A state, and the number that goes with it: how bright, how far, how warm."""

    state: str
    name: str = ""
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a resident did. `targets`: numbers asked for, by Home Assistant's attribute."""

    at: float  # epoch seconds
    item: Item
    targets: Mapping[str, float] = field(default_factory=lambda: NO_TARGETS, hash=False)


class Signal(NamedTuple):
    """Something that happened in the home and may be a cue: a door opened, somebody arrived."""

    at: float  # epoch seconds
    item: Item


def actions_of(changes: Iterable[StateChange], *, include_unknown: bool = False) -> list[Action]:
    """Return what residents asked for, in time order, from changes whose `old` the fold has set.

    Of live changes by a resident (or by nobody knows whom) the ones into a state that can be commanded,
    and those of a number alone that reach another bucket: a light dimmed, a setpoint raised. Left out are
    groups, whose members tell the same, and what a scene or script that a resident started did.

    >>> from devices.events import utc
    >>> at = utc("2024-03-01T18:00:00+00:00")
    >>> dimmed = StateChange("light.hall", "on", at, at, "off", {"brightness": 64}, Origin.PERSON)
    >>> actions_of([dimmed])
    [Action(at=1709316000.0, item=Item(entity_id='light.hall', state='on', bucket='25%'), \
targets={'brightness': 64.0})]
    """
    reader = _Reader(include_unknown=include_unknown)
    for change in changes:
        reader.read(change)
    return sorted(reader.actions, key=lambda a: a.at)


def signals_of(changes: Iterable[StateChange]) -> list[Signal]:
    """Return what may be a cue, in time order: doors both ways, motion begun, people who come and go.

    >>> from devices.events import utc
    >>> at = utc("2024-03-01T18:00:00+00:00")
    >>> [signal.item.state for signal in signals_of([StateChange("person.ada", "work", at, at, "home")])]
    ['not_home']
    """
    return sorted(_signals(changes), key=lambda s: s.at)


def bucket_of(name: str, value: float) -> str:
    """Return a coarse name for a target, the same every night: a quarter of full, two degrees.

    The quarters are centred on the levels that people choose, so that none of these lies at a border.

    >>> bucket_of("brightness", 40), bucket_of("volume_level", 0.3), bucket_of("temperature", 21.5)
    ('25%', '25%', '20°')
    """
    if (full := _FULL.get(name)) is not None:
        return f"{25 * max(0, min(4, round(4 * value / full)))}%"
    width = 4 if value > _FAHRENHEIT_FROM else 2
    return f"{int(value // width) * width}°"


def bucket_width(name: str, value: float) -> float:
    """Return how far a bucket of `bucket_of` reaches, in the target's unit.

    >>> bucket_width("brightness", 102.0), bucket_width("temperature", 21.5)
    (63.75, 2.0)
    """
    if (full := _FULL.get(name)) is not None:
        return full / 4
    return 4.0 if value > _FAHRENHEIT_FROM else 2.0


def share_of_full(name: str, value: float) -> float | None:
    """Return how much of full a target is; None where there is no full.

    >>> share_of_full("brightness", 102.0), share_of_full("temperature", 21.5)
    (0.4, None)
    """
    full = _FULL.get(name)
    return None if full is None else value / full


def main_target(entity_id: str) -> str:
    """Return the name of the number that an entity's states are about; "" where there is none.

    >>> main_target("light.hall"), main_target("switch.radio")
    ('brightness', '')
    """
    return _TARGETS.get(entity_id.partition(".")[0], ("",))[0]


def seen_of(entity_id: str, state: str, attributes: Mapping[str, Any]) -> Seen:
    """Return what an entity shows, in the words in which it would have been asked for.

    >>> seen_of("light.hall", "on", {"brightness": 102})
    Seen(state='on', name='brightness', value=102.0)
    >>> seen_of("cover.den", "closing", {})
    Seen(state='closed', name='', value=None)
    """
    domain = entity_id.partition(".")[0]
    asked = _asked_for(domain, state)
    targets, name = _targets_of(domain, asked, attributes), main_target(entity_id)
    return Seen(asked, name, targets[name]) if name in targets else Seen(asked)


class _Reader:
    """Reads changes one by one; remembers one number and one action an entity."""

    def __init__(self, *, include_unknown: bool) -> None:
        self.actions: list[Action] = []
        self._include_unknown = include_unknown
        self._buckets: dict[str, str] = {}
        self._latest: dict[str, int] = {}  # entity -> index of its last action
        self._items: dict[Item, Item] = {}  # one object for each
        self._running: str | None = None  # context of the scene or script that a resident started

    def read(self, change: StateChange) -> None:
        """Take one change in."""
        domain = change.domain
        state, old = _asked_for(domain, change.new), change.old and _asked_for(domain, change.old)
        if not _can_be_asked(domain, state) or _is_group(change):
            return
        targets = _targets_of(domain, state, change.attributes)
        bucket = _main_bucket(domain, targets)
        before = self._buckets.get(change.entity_id, "")
        if bucket:
            self._buckets[change.entity_id] = bucket
        if change.retained or old is None or old in NOT_A_STATE:
            return
        if state != old or (domain == "scene" and change.new != change.old):
            along = "" if domain == "media_player" else bucket  # told to play, a player is told no volume
            self._add(change, Item(change.entity_id, state, along), targets)
        elif bucket and not self._settle(change, state, bucket, targets) and before not in {"", bucket}:
            self._add(change, Item(change.entity_id, state, bucket), targets)

    def _add(self, change: StateChange, item: Item, targets: Mapping[str, float]) -> None:
        if not (change.by_resident or (self._include_unknown and change.origin is Origin.UNKNOWN)):
            self._latest.pop(change.entity_id, None)
            return
        if change.context_id is not None and change.context_id == self._running:
            return
        if item.domain in {"scene", "script"}:
            self._running = change.context_id
        self._latest[change.entity_id] = len(self.actions)
        item = self._items.setdefault(item, item)
        self.actions.append(Action(change.changed_at.timestamp(), item, targets))

    def _settle(self, change: StateChange, state: str, bucket: str, targets: Mapping[str, float]) -> bool:
        """Take a further report of what has just been done as part of it; return whether it was."""
        index = self._latest.get(change.entity_id)
        if index is None or change.origin in {Origin.AUTOMATION, Origin.AGENT}:
            return False
        last = self.actions[index]
        if last.item.state != state or change.changed_at.timestamp() - last.at > SETTLE_S:
            return False
        plain = last.item.domain == "media_player" and not last.item.bucket
        item = last.item if plain else last.item._replace(bucket=bucket)
        self.actions[index] = replace(last, item=self._items.setdefault(item, item), targets=targets)
        return True


def _is_group(change: StateChange) -> bool:
    return isinstance(change.attributes.get("entity_id"), list | tuple)


def _can_be_asked(domain: str, state: str) -> bool:
    states = COMMANDABLE.get(domain)
    return states is not None and state not in NOT_A_STATE and (not states or state in states)


def _asked_for(domain: str, state: str) -> str:
    if domain == "scene" and state not in NOT_A_STATE:
        return "on"  # the state of a scene is when it was last activated
    return _HEADING.get(state, state)


def _targets_of(domain: str, state: str, attributes: Mapping[str, Any]) -> Mapping[str, float]:
    if state in _LEVELLESS or not attributes:
        return NO_TARGETS
    found = {}
    for name in _TARGETS.get(domain, ()):
        value = attributes.get(name)
        if type(value) is int or type(value) is float:
            found[name] = float(value)
    return found or NO_TARGETS


def _main_bucket(domain: str, targets: Mapping[str, float]) -> str:
    name = _TARGETS.get(domain, ("",))[0]
    return bucket_of(name, targets[name]) if name in targets else ""


def _signals(changes: Iterable[StateChange]) -> Iterator[Signal]:
    items: dict[Item, Item] = {}
    for change in changes:
        domain, kind = change.domain, change.device_class
        if domain not in _CUES or not change.trains or kind in _NO_CUE:
            continue
        state = change.new
        if domain in {"person", "device_tracker"}:
            if "home" not in {change.old, change.new}:
                continue  # from one place to another
            state = "home" if change.new == "home" else "not_home"
        elif kind in _ONLY_ON and state != "on":
            continue
        item = Item(change.entity_id, state)
        yield Signal(change.changed_at.timestamp(), items.setdefault(item, item))
