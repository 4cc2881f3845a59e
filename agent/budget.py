"""How often a home may be interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import exp, log
from typing import Any, Final

DAY_S: Final = 86400.0
_HALF_LIFE_DAYS: Final = 14.0
_LEAST: Final = 2.0  # tokens that any home may save up


class Budget:
    """A token bucket whose size depends on how much there is to say in the home.

    `per_day` tokens come in a day and one goes for a suggestion. At most

        capacity = min(burst, max(2, per_day / demand))

    can be saved up, where the demand is the number of findings a day, shown or not, faded with a half-life
    of two weeks. So a home where hardly anything is found hears of all on the day when two things go wrong,
    and one where something is found every day hears one thing in 1 / `per_day` days. Two can always be
    saved up: with one, each false hunch would deafen the home for the next days.

    Memory: five numbers, and one for each (detector, entity) that was ever found.

    Parameters
    ----------
    per_day: suggestions a day, on average.
    burst: how many a quiet home may save up, at most.

    >>> from datetime import UTC, timedelta
    >>> budget, start = Budget(per_day=0.5, burst=3.0), datetime(2024, 3, 4, tzinfo=UTC)
    >>> budget.tick(start)
    >>> budget.balance(start), budget.balance(start + timedelta(days=10))
    (3.0, 3.0)
    >>> for day in range(10):
    ...     budget.note("dwell", "light.hall", start + timedelta(days=day), start + timedelta(days=day))
    >>> budget.balance(start + timedelta(days=10))
    2.0
    """

    def __init__(self, per_day: float, burst: float) -> None:
        self.per_day = per_day
        self.burst = burst
        self._fade = log(2.0) / (_HALF_LIFE_DAYS * DAY_S)
        self._tokens = burst
        self._paid_at: float | None = None
        self._found = 0.0  # faded to `_found_at`
        self._found_at = 0.0
        self._noted: dict[tuple[str, str], float] = {}  # since when the last finding was abnormal
        self._since: float | None = None

    def tick(self, at: datetime) -> None:
        """Take note of the time. The clock may have been set back: nobody has to wait for it."""
        now = at.timestamp()
        if self._since is None or now < self._since:
            self._since = now
        if self._paid_at is None or now < self._paid_at:
            self._paid_at = now

    def note(self, detector: str, entity_id: str, abnormal_since: datetime, at: datetime) -> None:
        """Count a finding, whatever becomes of it; the same abnormal stretch counts once."""
        since, now = abnormal_since.timestamp(), at.timestamp()
        if self._noted.get((detector, entity_id)) != since:
            self._noted[detector, entity_id] = since
            self._found, self._found_at = 1.0 + self._found * self._kept(now), now

    def balance(self, at: datetime) -> float:
        """Return how many tokens there are."""
        if self._paid_at is None:
            return self._tokens
        now = at.timestamp()
        saved = self._tokens + max(0.0, now - self._paid_at) / DAY_S * self.per_day
        demand = self.demand(at)
        capacity = max(_LEAST, self.per_day / demand) if demand > 0.0 else self.burst
        return min(self.burst, capacity, saved)

    def pay(self, price: float, at: datetime) -> None:
        """Take tokens out."""
        self._tokens, self._paid_at = self.balance(at) - price, at.timestamp()

    def demand(self, at: datetime) -> float:
        """Return the findings a day: n / (T + 1 day), both faded."""
        now = at.timestamp()
        watched = max(0.0, now - (now if self._since is None else self._since))
        faded_days = (1.0 - exp(-self._fade * watched)) / self._fade / DAY_S
        return self._found * self._kept(now) / (faded_days + 1.0)

    def _kept(self, now: float) -> float:
        return exp(-self._fade * max(0.0, now - self._found_at))

    def forget(self, entity_id: str) -> None:
        """Drop an entity."""
        self._noted = {k: since for k, since in self._noted.items() if k[1] != entity_id}

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {
            "tokens": self._tokens,
            "paid_at": self._paid_at,
            "found": [self._found, self._found_at],
            "noted": [[*key, since] for key, since in self._noted.items()],
            "since": self._since,
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict`."""
        self._tokens, self._paid_at, self._since = data["tokens"], data["paid_at"], data["since"]
        self._found, self._found_at = data["found"]
        self._noted = {(d, e): since for d, e, since in data["noted"]}
