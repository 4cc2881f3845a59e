"""What every detector shares: the protocol and the finding that it returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol, Self

from devices.context import Context
from devices.events import StateChange, Tick, utc
from devices.state import HomeState


@dataclass(frozen=True, slots=True)
class Hunch:
    """Something out of the ordinary, with what a resident needs to check it.

    `score` and `threshold` are -log10 of a tail probability: 3.0 means one in a thousand.
    """

    detector: str
    entity_id: str
    context_key: str  # the circumstances compared with; feedback silences (entity, detector, context)
    score: float
    threshold: float
    title: str  # one plain sentence, at most 255 characters
    evidence: Mapping[str, Any] = field(hash=False)  # JSON-serialisable: counts, times, the comparison
    raised_for: str  # the state that is abnormal; the hunch withdraws itself when the entity leaves it
    abnormal_since: datetime
    lasts: timedelta  # how long it stays worth saying
    remedy: str | None = None  # the state that would put it right, where the entity can be commanded
    short: str = ""  # the finding in a few words after the entity's name, for one message about several
    group: str = ""  # hunches of one detector and group make one message; empty: of one domain and class
    clears_itself: bool = False  # `raised_for` is no state of the entity: the detector says `Clear`

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable form."""
        body = {name: getattr(self, name) for name in self.__slots__}
        return body | {"abnormal_since": self.abnormal_since.isoformat(), "lasts": self.lasts.total_seconds()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        times = {"abnormal_since": utc(data["abnormal_since"]), "lasts": timedelta(seconds=data["lasts"])}
        return cls(**{**data, **times})


@dataclass(frozen=True, slots=True)
class Clear:
    """What a detector raised with `clears_itself` is over. Means nothing where nothing was raised."""

    detector: str
    entity_id: str
    why: str  # a few words: "reports again"


Finding = Hunch | Clear


class Detector(Protocol):
    """A streaming detector. Score, then learn; scoring changes nothing; time comes with the event.

    The pipeline calls `score_one(event)` then `learn_one(event)` for every change and tick, after the change
    has been folded into `home` (so `change.old` is set and `home.get(change.entity_id).state` is the new
    one). Both must be cheap when nothing is due. Memory is bounded for each entity.
    """

    name: ClassVar[str]

    def score_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> Iterable[Finding]:
        """Return what is out of the ordinary at this event, or no longer so."""
        ...

    def learn_one(self, event: StateChange | Tick, home: HomeState, context: Context) -> None:
        """Learn from a change; only changes with `event.trains` teach, others update what is pending."""
        ...

    def forget(self, entity_id: str) -> None:
        """Drop all that was learned about an entity."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Carry what was learned over to an entity's new id."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        ...

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        ...
