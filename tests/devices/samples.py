"""Payloads as real systems send them, and short forms of what came out."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from devices.decoder import Decoder
from devices.events import StateChange, utc

FIXTURES = Path(__file__).parent / "fixtures"
NOW = utc("2024-03-01T12:00:00+00:00")


def fixture(name: str) -> Any:
    """Return a JSON fixture."""
    return json.loads((FIXTURES / name).read_text(encoding="utf-8"))


def raw(payload: Any) -> bytes:
    """Return a payload's bytes: texts as they are, all else as JSON."""
    return (payload if isinstance(payload, str) else json.dumps(payload)).encode()


def hear(
    decoder: Decoder, topic: str, payload: Any, at: datetime = NOW, *, retained: bool = False
) -> list[StateChange]:
    """Decode one message, which must be handled and good."""
    assert decoder.handles(topic), topic
    bad = sum(decoder.bad.values())
    changes = decoder.decode(topic, raw(payload), at, retained)
    assert sum(decoder.bad.values()) == bad, (topic, payload)
    return changes


def one(
    decoder: Decoder, topic: str, payload: Any, at: datetime = NOW, *, retained: bool = False
) -> StateChange:
    """Decode one message that says one thing."""
    (change,) = hear(decoder, topic, payload, at, retained=retained)
    return change


def said(changes: list[StateChange]) -> dict[str, str]:
    """Return what changes say, by entity."""
    return {change.entity_id: change.new for change in changes}
