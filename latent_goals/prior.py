"""What is known of other homes: how often things of a kind follow an action, and how that is made private."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final, Self

FORMAT: Final = "inkling-goal-prior/1"

Noise = Callable[[Sequence[float], float], list[float]]
"""Adds Laplace noise of a scale to each of some numbers."""

_CLASSES: Final[Mapping[str, tuple[str, ...]]] = {
    "media_player": ("", "tv", "speaker", "receiver"),
    "cover": ("", "blind", "curtain", "garage", "shade", "shutter"),
    "switch": ("", "outlet", "switch"),
}
_VERBS: Final[Mapping[str, tuple[str, ...]]] = {
    "alarm_control_panel": ("armed_away", "armed_home", "armed_night", "disarmed"),
    "climate": ("heat", "cool", "auto", "heat_cool", "off", "lower", "raise"),
    "cover": ("open", "closed"),
    "fan": ("on", "off"),
    "humidifier": ("on", "off"),
    "input_boolean": ("on", "off"),
    "light": ("on", "dim", "off"),
    "lock": ("locked", "unlocked"),
    "media_player": ("playing", "paused", "on", "idle", "off"),
    "switch": ("on", "off"),
}
UNIVERSE: Final = tuple(
    f"{domain}{'.' if kind else ''}{kind}={verb}"
    for domain, verbs in _VERBS.items()
    for kind in _CLASSES.get(domain, ("",))
    for verb in verbs
)
"""What a prior speaks of: a fixed list, so that which of it a home has is no secret given away."""


@dataclass(frozen=True, slots=True)
class Prior:
    """How often a resident does something in fifteen minutes in which somebody is about, in other homes.

    As JSON: `{"format": "inkling-goal-prior/1", "epsilon": 1.0, "homes": 412.3, "follow_ups": {"light=dim":
    0.0123, …}}`. `homes` is how many there were (with noise, too); `follow_ups` are the mean rates of those
    that have such a thing, 0 to 1; `epsilon` is the privacy loss of each home that is in it, null where none
    was promised.
    """

    follow_ups: Mapping[str, float] = field(hash=False)
    homes: float = 0.0
    epsilon: float | None = None

    def rate(self, kind: str, verb: str) -> float | None:
        """Return the rate of a follow-up, of the domain where the class isn't known; None: unheard of."""
        found = self.follow_ups.get(f"{kind}={verb}")
        return self.follow_ups.get(f"{kind.partition('.')[0]}={verb}") if found is None else found

    def to_dict(self) -> dict[str, Any]:
        """Return the content of a prior file."""
        numbers = {"epsilon": self.epsilon, "homes": self.homes}
        return {"format": FORMAT, **numbers, "follow_ups": dict(self.follow_ups)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read the content of a prior file. Raises ValueError for anything else."""
        if data.get("format") != FORMAT:
            raise ValueError(f"not a goal prior: format {data.get('format')!r}")
        rates, homes = data["follow_ups"], data["homes"]
        if not all(isinstance(v, int | float) and 0.0 <= v <= 1.0 for v in rates.values()):
            raise ValueError("rates are from 0 to 1")
        epsilon = data.get("epsilon")
        return cls(
            {str(k): float(v) for k, v in rates.items()},
            float(homes),
            None if epsilon is None else float(epsilon),
        )


def build_prior(
    streams: Iterable[Mapping[str, float]],
    epsilon: float | None,
    *,
    noise: Noise | None = None,
    most: int = 24,
    least_homes: float = 3.0,
) -> Prior:
    """Pool homes into a prior that is ε-differentially private, a home being what is protected.

    `streams` are the rates of one home each (`Goals.rates`). Of each at most `most` count, its highest, cut
    to 0..1, so that adding or removing a home changes the sums of rates by `most` at most, the counts of
    homes that have such a thing by `most`, and the number of homes by 1. Half of ε goes to the sums and half
    to the counts and the number: Laplace noise of scale 2 · most / ε and 2 · (most + 1) / ε on *all* of a
    fixed list of follow-ups. What then seems to be known from fewer than `least_homes`, or from fewer than
    the noise could make up, is left out. `noise(values, scale)` should come from a library whose sampling is
    safe with floating point; without `epsilon` nothing is added and nothing promised.

    Complexity: O(homes · follow-ups).

    >>> build_prior([{"light=dim": 0.1}, {"light=dim": 0.3}], None, least_homes=1.0).rate("light", "dim")
    0.2

    References
    ----------
    Dwork, C. and Roth, A. (2014). The Algorithmic Foundations of Differential Privacy. Now Publishers.
    """
    if epsilon is not None and (noise is None or not isfinite(epsilon) or epsilon <= 0.0):
        raise ValueError("a privacy loss must be positive, and needs a source of noise")
    sums, counts, homes = dict.fromkeys(UNIVERSE, 0.0), dict.fromkeys(UNIVERSE, 0.0), 0.0
    for rates in streams:
        homes += 1.0
        own = sorted(((r, k) for k, r in rates.items() if k in sums and isfinite(r)), reverse=True)[:most]
        for rate, key in own:
            sums[key] += min(1.0, max(0.0, rate))
            counts[key] += 1.0
    least = least_homes
    if epsilon is not None and noise is not None:
        scale = 2.0 * (most + 1) / epsilon
        noisy = noise([*counts.values(), homes], scale)
        sums = dict(zip(UNIVERSE, noise(list(sums.values()), 2.0 * most / epsilon), strict=True))
        counts, homes = dict(zip(UNIVERSE, noisy[:-1], strict=True)), noisy[-1]
        least = max(least_homes, 3.0 * scale)
    means = {k: round(min(1.0, max(0.0, sums[k] / counts[k])), 5) for k in UNIVERSE if counts[k] >= least}
    return Prior(means, round(max(0.0, homes), 1), epsilon)
