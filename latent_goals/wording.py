"""Goals in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from devices.state import HomeState
from devices.wording import clip, spelt_out
from latent_goals.goal import Pattern, Step

_DONE: Final[Mapping[str, str]] = {
    "on": "switch on {}", "off": "switch off {}", "dim": "dim {}", "open": "open {}", "closed": "close {}",
    "locked": "lock {}", "unlocked": "unlock {}", "playing": "start {}", "paused": "pause {}",
    "idle": "stop {}", "lower": "turn down {}", "raise": "turn up {}", "disarmed": "disarm {}",
}  # fmt: skip
_SEEN: Final[Mapping[str, str]] = {
    "on": "{} opens", "off": "{} closes", "home": "{} comes home", "not_home": "{} leaves",
}  # fmt: skip
_CONTEXT: Final[Mapping[str, str]] = {
    "any": "", "dark": " in the dark", "daylight": " in daylight", "workday": " on workdays",
    "weekend": " at weekends", "night": " at night", "morning": " in the morning",
    "afternoon": " in the afternoon", "evening": " in the evening",
}  # fmt: skip
_KINDS: Final[Mapping[str, str]] = {
    "media_player": "the media player", "media_player.tv": "the TV", "media_player.speaker": "the speaker",
    "climate": "the heating", "alarm_control_panel": "the alarm", "cover": "the cover",
    "cover.garage": "the garage door", "input_boolean": "the switch", "light": "the light",
}  # fmt: skip


def title(first: Pattern, steps: tuple[Step, ...], home: HomeState) -> str:
    """Return a goal as one sentence of at most 255 characters."""
    lead = steps[0].evidence
    where = " in any room" if first.any_room else ""
    when = _CONTEXT.get(lead.context, "") if lead else ""
    implied = ", ".join(_doing(s.pattern, home) for s in steps)
    there = " there" if any(s.pattern.any_room for s in steps) else ""
    share = f" ({lead.k} of {lead.n} times)" if lead else ""
    return clip(f"When {_seeing(first, home)}{where}{when}, you {implied}{there}{share}")


def name_of(target: str, home: HomeState) -> str:
    """Return what a thing is called."""
    known = home.get(target)
    return spelt_out(target, known.name if known else None)


def _doing(pattern: Pattern, home: HomeState) -> str:
    what = _kind(pattern.target) if pattern.any_room else name_of(pattern.target, home)
    phrase = _DONE.get(pattern.verb)
    if phrase is None:
        phrase = "set {} to " + pattern.verb.replace("_", " ")
    elif pattern.target.startswith("media_player") and pattern.verb == "off":
        phrase = "stop {}"
    return phrase.format(what)


def _seeing(pattern: Pattern, home: HomeState) -> str:
    if not pattern.target.startswith(("binary_sensor", "person")):
        return f"you {_doing(pattern, home)}"
    what = _kind(pattern.target) if pattern.any_room else name_of(pattern.target, home)
    return _SEEN[pattern.verb].format(what)


def _kind(kind: str) -> str:
    domain, _, device_class = kind.partition(".")
    return _KINDS.get(kind) or _KINDS.get(domain) or f"the {(device_class or domain).replace('_', ' ')}"
