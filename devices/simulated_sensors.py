"""How the numbers of a simulated home move: daily curves, duty cycles, what a plug draws."""

from __future__ import annotations

import math
from random import Random

from devices.simulated_plan import Curve, Cycle, Load


class Readings:
    """The readings of one sensor, from a random stream of its own."""

    def __init__(self, spec: Curve | Cycle | Load, rng: Random) -> None:
        self.spec = spec
        self._rng = rng
        self._drift = 0.0
        self._high = False

    def first_s(self) -> float:
        """Return how long after the start the first reading comes, so that sensors don't march in step."""
        return self._rng.uniform(0.0, 600.0)

    def next(self, hour: float, *, active: bool) -> tuple[str, float]:
        """Return the value at a local hour and the seconds until the next one.

        `active`: whether what the sensor depends on (a switch, the heating) is on.
        """
        spec = self.spec
        if isinstance(spec, Curve):
            return self._curve(spec, hour)
        if isinstance(spec, Cycle):
            return self._cycle(spec, active=active)
        watts = spec.watts * self._rng.uniform(0.96, 1.04) if active else 0.0
        return f"{watts:.0f}", self._rng.uniform(50.0, 90.0)

    def _curve(self, spec: Curve, hour: float) -> tuple[str, float]:
        self._drift = 0.95 * self._drift + self._rng.gauss(0.0, spec.noise)
        value = spec.base + spec.swing * math.cos((hour - spec.peak_hour) * math.pi / 12) + self._drift
        return f"{round(value, spec.digits) + 0.0:g}", spec.every_s * self._rng.uniform(0.85, 1.15)

    def _cycle(self, spec: Cycle, *, active: bool) -> tuple[str, float]:
        self._high = active and not self._high
        length = spec.on_s if self._high else spec.off_s
        return spec.high if self._high else spec.low, length * self._rng.lognormvariate(0.0, 0.12)
