"""What Inkling says over MQTT, and how an answer comes back.

    <prefix>/status                    online | offline (last will)
    <prefix>/suggestion/<id>           retained JSON while it can be answered
    <prefix>/suggestion/<id>/set       accept | reject | snooze | undo | intentional
    <prefix>/top/set                   the same for the suggestion on top (Home Assistant's buttons)
    <prefix>/events                    what Home Assistant's event entity fires
    <prefix>/pending, /pending/attributes, /learning, /suggesting, /mode   (+ /set)

Home Assistant finds it by discovery, one retained config a component: the form that 2024.3 and later take.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from agent.docket import Alive
from agent.pipeline import Pipeline
from agent.policy import Policy
from agent.requests import Control, Feedback, HomeMode
from agent.suggestions import Command, Output, Resolution, Status, Suggestion, Update, Verdict
from devices.decoder import Publish

EVENT_TYPES: Final = ("raised", *(s.value for s in Status if s is not Status.OPEN), "failed")
MAX_LISTED: Final = 10  # in the sensor's attributes: the recorder drops sets over 16 kB
_VERDICTS: Final = {v.value: v for v in Verdict if v is not Verdict.IGNORED}


class Delivery:
    """Says each suggestion once, when its time has come, and keeps the retained picture true.

    Pure but for `publish`, which takes a message and returns whether there was a broker to take it.
    """

    def __init__(
        self, pipeline: Pipeline, publish: Callable[[Publish], bool], *, prefix: str, discovery: str
    ) -> None:
        self.pipeline = pipeline
        self.publish = publish
        self.prefix = prefix
        self.discovery = discovery
        self._said: set[str] = set()
        self._answer = re.compile(rf"{re.escape(prefix)}/(?:suggestion/([0-9a-f]{{1,64}})|(\w+))/set")

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """Topic filters on which answers come."""
        p = self.prefix
        topics = (
            f"{p}/suggestion/+/set",
            *(f"{p}/{t}/set" for t in ("top", "learning", "suggesting", "mode")),
        )
        return (*topics, f"{self.discovery}/status")

    def handles(self, topic: str) -> bool:
        """Whether a topic is one of `subscriptions`."""
        return (
            topic.endswith("/set") and topic.startswith(self.prefix)
        ) or topic == f"{self.discovery}/status"

    @property
    def will(self) -> tuple[str, bytes]:
        """The broker's last word for us."""
        return f"{self.prefix}/status", b"offline"

    # -- out --------------------------------------------------------------------------------------

    def announce(self, closed: Iterable[str] = ()) -> None:
        """Say everything that is retained: at every (re)connection and when Home Assistant restarts.

        `closed`: ids whose retained topics may be left over from before an outage.
        """
        for topic, config in discovery_configs(self.prefix, self.discovery).items():
            self._send(topic, config, retain=True)
        self._send(f"{self.prefix}/status", "online", retain=True)
        for suggestion_id in closed:
            if suggestion_id not in self.pipeline.alive:
                self._send(f"{self.prefix}/suggestion/{suggestion_id}", "", retain=True)
        for alive in self.pipeline.alive.values():
            if alive.suggestion.id in self._said:
                self._send_suggestion(alive.suggestion)
        self.switches(self.pipeline.policy)
        self._pending()

    def outputs(self, outputs: Iterable[Output], at: datetime) -> list[str]:
        """Say what a committed batch led to; return the ids of the suggestions that have been said."""
        for output in outputs:
            if isinstance(output, Resolution):
                self._closed(output)
            elif isinstance(output, Update) and output.suggestion.id in self._said:
                self._send_suggestion(output.suggestion)  # in silence: it was an interruption already
                self._pending()
        return self.due(at)

    def failed(self, command: Command, why: str, at: datetime) -> None:
        """Say that an accepted suggestion could not be carried out."""
        body = {"event_type": "failed", "id": command.suggestion_id, "entity_id": command.entity_id}
        self._send(f"{self.prefix}/events", body | {"at": at.isoformat(), "why": why})

    def due(self, at: datetime) -> list[str]:
        """Say what has waited for its time, or for the broker; return the ids of what has been said."""
        fresh = []
        for suggestion in [a.suggestion for a in self.pipeline.alive.values() if self._is_due(a, at)]:
            if self._send(f"{self.prefix}/events", {"event_type": "raised", **suggestion.to_dict()}):
                self._send_suggestion(suggestion)
                fresh.append(suggestion.id)
        if fresh:
            self._said.update(fresh)
            self._pending()
        return fresh

    def restore(self, said: Iterable[str]) -> None:
        """Remember what had been said before a restart."""
        self._said.update(said)

    def switches(self, policy: Policy) -> None:
        """Say the state of the switches and the mode."""
        self._send(f"{self.prefix}/learning", "ON" if policy.learning else "OFF", retain=True)
        self._send(f"{self.prefix}/suggesting", "ON" if policy.suggesting else "OFF", retain=True)
        self._send(f"{self.prefix}/mode", policy.mode.value, retain=True)

    def _is_due(self, alive: Alive, at: datetime) -> bool:
        return (
            alive.suggestion.id not in self._said
            and alive.suggestion.deliver_at <= at
            and alive.snoozed_until is None
        )

    def _closed(self, resolution: Resolution) -> None:
        said = resolution.suggestion_id in self._said
        self._said.discard(resolution.suggestion_id)
        if said or resolution.status is Status.UNDONE:
            self._send(f"{self.prefix}/suggestion/{resolution.suggestion_id}", "", retain=True)
            body = {"event_type": resolution.status.value, "id": resolution.suggestion_id}
            self._send(
                f"{self.prefix}/events", body | {"at": resolution.at.isoformat(), "why": resolution.why}
            )
            self._pending()

    def _send_suggestion(self, suggestion: Suggestion) -> None:
        self._send(f"{self.prefix}/suggestion/{suggestion.id}", suggestion.to_dict(), retain=True)

    def _pending(self) -> None:
        shown = self.pending()
        self._send(f"{self.prefix}/pending", str(len(shown)), retain=True)
        top = shown[0].to_dict() if shown else None
        listed = [
            {"id": s.id, "title": s.title, "entity_id": s.entity_id, "mode": s.mode.value}
            for s in shown[:MAX_LISTED]
        ]
        attributes = {"top": top, "suggestions": listed}
        self._send(f"{self.prefix}/pending/attributes", attributes, retain=True)

    def pending(self) -> list[Suggestion]:
        """Return what the resident has been told and hasn't answered, the newest first."""
        alive = self.pipeline.alive.values()
        said = [a.suggestion for a in alive if a.suggestion.id in self._said]
        return sorted(said, key=lambda s: (s.deliver_at, s.score, s.id), reverse=True)

    def _send(self, topic: str, body: Mapping[str, Any] | str, *, retain: bool = False) -> bool:
        payload = body.encode() if isinstance(body, str) else orjson.dumps(body)
        return self.publish(Publish(topic, payload, retain=retain))

    # -- in ---------------------------------------------------------------------------------------

    def is_home_assistant_birth(self, topic: str, payload: bytes) -> bool:
        """Whether Home Assistant says that it has started, and wants to be told everything again."""
        return topic == f"{self.discovery}/status" and payload == b"online"

    def answer(self, topic: str, payload: bytes, at: datetime) -> Feedback | Control | None:
        """Return what a message on one of `subscriptions` asks for; None where there is nothing to answer.

        Raises ValueError for what can't be understood.
        """
        if topic == f"{self.discovery}/status":
            return None  # Home Assistant goes
        match = self._answer.fullmatch(topic)
        text = payload[:64].decode("utf-8", "replace").strip().lower()
        if match is None:
            raise ValueError("no such topic")
        suggestion_id, name = match.groups()
        if name not in {"top", None}:
            return _control(name, text, at)
        if text not in _VERDICTS:
            raise ValueError(f"not one of {', '.join(_VERDICTS)}")
        if name == "top":
            suggestion_id = self._top(_VERDICTS[text])
        return None if suggestion_id is None else Feedback(suggestion_id, _VERDICTS[text], at)

    def _top(self, verdict: Verdict) -> str | None:
        if verdict is Verdict.UNDONE:
            return self.pipeline.docket.last_done
        pending = self.pending()
        return pending[0].id if pending else None


def _control(name: str, text: str, at: datetime) -> Control:
    if name in {"learning", "suggesting"} and text in {"on", "off"}:
        on = text == "on"
        return Control(at, learning=on) if name == "learning" else Control(at, suggesting=on)
    if name == "mode" and text in set(HomeMode):
        return Control(at, mode=HomeMode(text))
    raise ValueError(f"{name} takes {', '.join(HomeMode) if name == 'mode' else 'on, off'}")


def discovery_configs(prefix: str, discovery: str) -> dict[str, dict[str, Any]]:
    """Return Home Assistant's discovery configs by topic.

    `object_id` names the entities on 2024.3, `default_entity_id` on 2026: each ignores the other's.
    """
    node = re.sub(r"[^A-Za-z0-9_-]", "_", prefix)
    components: list[tuple[str, str, dict[str, Any]]] = [
        ("sensor", "pending", {
            "name": "Pending suggestions", "state_topic": f"{prefix}/pending", "icon": "mdi:lightbulb-on",
            "json_attributes_topic": f"{prefix}/pending/attributes", "state_class": "measurement",
        }),
        ("event", "suggestion", {
            "name": "Suggestion", "state_topic": f"{prefix}/events", "event_types": list(EVENT_TYPES),
        }),
        ("select", "mode", {
            "name": "Mode", "state_topic": f"{prefix}/mode", "command_topic": f"{prefix}/mode/set",
            "options": [m.value for m in HomeMode], "entity_category": "config",
        }),
        *(("button", verb, {
            "name": label, "command_topic": f"{prefix}/top/set", "payload_press": verb, "icon": icon,
        }) for verb, label, icon in (
            ("accept", "Accept", "mdi:check"), ("reject", "Reject", "mdi:close"),
            ("snooze", "Snooze", "mdi:alarm-snooze"), ("intentional", "Not a problem", "mdi:hand-okay"),
            ("undo", "Undo", "mdi:undo"),
        )),
        *(("switch", name, {
            "name": name.capitalize(), "state_topic": f"{prefix}/{name}",
            "command_topic": f"{prefix}/{name}/set", "entity_category": "config",
        }) for name in ("learning", "suggesting")),
    ]  # fmt: skip
    shared = {
        "availability_topic": f"{prefix}/status",
        "device": {"identifiers": [node], "name": "Inkling", "manufacturer": "Inkling", "model": "Daemon"},
        "origin": {"name": "Inkling"},
    }
    return {
        f"{discovery}/{platform}/{node}/{key}/config": {
            **config,
            **shared,
            "unique_id": f"{node}_{key}",
            "object_id": f"{node}_{key}",
            "default_entity_id": f"{platform}.{node}_{key}",
        }
        for platform, key, config in components
    }
