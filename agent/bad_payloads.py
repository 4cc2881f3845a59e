"""Payloads that can't be read: said once a topic, counted for `inkling status`, and dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import structlog

from agent.records import Setting
from devices.decoders import Router
from devices.discovery import DiscoveryIndex

log = structlog.get_logger()

SETTING: Final = "bad_payloads"  # of the whole home, in the database
_WORST: Final = 5
_HINT: Final = "dropped; is it another program's topic, or a device's firmware that Inkling doesn't know?"


class BadPayloads:
    """Watches the decoders' counts. Memory: one entry a bad topic, of which decoders count 1000 at most."""

    def __init__(self, router: Router, index: DiscoveryIndex, keep: Callable[[Setting], None]) -> None:
        self.own: Counter[str] = Counter()  # on Inkling's own topics
        self._router = router
        self._index = index
        self._keep = keep
        self._told: set[str] = set()
        self._kept = -1

    def not_understood(self, topic: str, payload: bytes, why: str) -> None:
        """Note an answer or a command that says nothing that we know."""
        if topic in self.own or len(self.own) < 1000:
            self.own[topic] += 1
        if self.own[topic] == 1:
            self._told.add(topic)
            log.warning("not understood", topic=topic, payload=payload[:64], why=why)

    def report(self) -> None:
        """Log topics that are newly bad, and keep the counts: called every minute."""
        counts = self._router.bad() + self._index.bad + self.own
        for topic in counts.keys() - self._told:
            self._told.add(topic)
            log.warning("unreadable payload", topic=topic, why=self._router.why_bad(topic), hint=_HINT)
        if counts.total() != self._kept:
            self._kept = counts.total()
            self._keep(Setting("*", SETTING, _summary(counts)))


def _summary(counts: Counter[str]) -> dict[str, Any] | None:
    if not counts:
        return None
    return {"payloads": counts.total(), "topics": len(counts), "worst": dict(counts.most_common(_WORST))}
