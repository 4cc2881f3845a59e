"""Devices that Home Assistant discovers over MQTT and that answer its commands as real ones do."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho

from tests.broker import Broker, Client
from tests.process import wait_for

# component: what it reports at first, and the state that each command leads to
COMPONENTS: dict[str, tuple[str, dict[str, str]]] = {
    "binary_sensor": ("OFF", {}),
    "cover": ("closed", {"OPEN": "open", "CLOSE": "closed"}),
    "light": ("OFF", {"ON": "ON", "OFF": "OFF"}),
    "lock": ("LOCKED", {"LOCK": "LOCKED", "UNLOCK": "UNLOCKED"}),
    "sensor": ("0", {}),
    "switch": ("OFF", {"ON": "ON", "OFF": "OFF"}),
}


class FakeDevice:
    """One entity of Home Assistant, announced by MQTT discovery, and the device behind it.

    It confirms a command after `delay_s` by reporting the new state, or never where that is None. What its
    resident does by hand is `report`. `own_device`: it is in the device registry, too.
    A `dimmable` light has a brightness, 255 at first, which it keeps while it is off.
    """

    def __init__(
        self,
        broker: Broker,
        component: str,
        object_id: str,
        *,
        device_class: str | None = None,
        delay_s: float | None = 0,
        own_device: bool = False,
        dimmable: bool = False,
    ) -> None:
        self.entity_id = f"{component}.{object_id}"
        self.state, self._leads_to = COMPONENTS[component]
        self.commands: list[str] = []
        self._component = component
        self._object_id = object_id
        self._device_class = device_class
        self._own_device = own_device
        self.brightness = 255 if dimmable else None
        self._delay_s = delay_s
        self._timers: list[threading.Timer] = []
        self._client = Client(broker, f"device-{object_id}")
        self._client.paho.on_message = self._on_command

    @property
    def config(self) -> Mapping[str, Any]:
        """The discovery config, in the form that every Home Assistant takes."""
        config: dict[str, Any] = {
            "name": self._object_id.replace("_", " ").capitalize(),
            "unique_id": f"fake_{self._object_id}",
            "object_id": self._object_id,  # names the entity up to 2025
            "default_entity_id": self.entity_id,  # and since
            "state_topic": f"fake/{self._object_id}",
        }
        if self._leads_to:
            config["command_topic"] = f"fake/{self._object_id}/set"
        if self._device_class:
            config["device_class"] = self._device_class
        if self._own_device:
            config["device"] = {"identifiers": [config["unique_id"]], "name": config["name"]}
        if self.brightness is not None:
            topic = f"fake/{self._object_id}/brightness"
            config |= {"brightness_state_topic": topic, "brightness_command_topic": f"{topic}/set"}
        return config

    def report(self, state: str, *, retain: bool = True) -> None:
        """Report a state, as after a hand at the device."""
        self.state = state
        self._client.paho.publish(f"fake/{self._object_id}", state, qos=1, retain=retain)

    def rest(self, state: str) -> None:
        """Report a state when all commands are confirmed; return when the broker has it."""
        for timer in self._timers:
            timer.join()
        self.state = state
        sent = self._client.paho.publish(f"fake/{self._object_id}", state, qos=1, retain=True)
        sent.wait_for_publish(10)

    def dim(self, brightness: int) -> None:
        """Report a brightness, as after a hand at the dimmer."""
        self.brightness = brightness
        topic = f"fake/{self._object_id}/brightness"
        self._client.paho.publish(topic, str(brightness), qos=1, retain=True)

    def wait_command(self, command: str, timeout_s: float = 15) -> None:
        """Return when a command has arrived."""
        wait_for(f"{self.entity_id} to be told {command}", lambda: command in self.commands, timeout_s)

    def announce(self) -> None:
        """Publish the discovery config and the present state."""
        topic = f"homeassistant/{self._component}/{self._object_id}/config"
        self._client.publish(topic, json.dumps(self.config), retain=True)
        self.report(self.state)
        if self.brightness is not None:
            self.dim(self.brightness)

    def remove(self) -> None:
        """Withdraw the entity from Home Assistant."""
        self._client.publish(f"homeassistant/{self._component}/{self._object_id}/config", "", retain=True)

    def _on_command(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        command = message.payload.decode()
        if message.topic.endswith("/brightness/set"):
            self.dim(int(command))
            return
        self.commands.append(command)
        if self._delay_s is None or command not in self._leads_to:
            return
        timer = threading.Timer(self._delay_s, self.report, (self._leads_to[command],))
        self._timers.append(timer)
        timer.start()

    def __enter__(self) -> Self:
        self._client.connect()
        self._client.subscribe(f"fake/{self._object_id}/set")
        if self.brightness is not None:
            self._client.subscribe(f"fake/{self._object_id}/brightness/set")
        self.announce()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for timer in self._timers:
            timer.cancel()
        self.remove()
        self._client.close()


class ZigbeeLamp:
    """A light as Zigbee2MQTT publishes it: in its inventory, announced to Home Assistant, JSON payloads.

    `name` is Zigbee2MQTT's, `object_id` the one that Home Assistant gives; not `announced`, it knows nothing.
    """

    def __init__(self, broker: Broker, name: str, object_id: str, *, announced: bool = True) -> None:
        self.entity_id = f"light.{object_id}"
        self.topic = f"zigbee2mqtt/{name}"
        self.commands: list[bytes] = []
        self._name = name
        self._object_id = object_id
        self._announced = announced
        self._config_topic = f"homeassistant/light/{object_id}/light/config"
        self._client = Client(broker, f"zigbee-{object_id}")
        self._client.paho.on_message = self._on_command

    def report(self, state: str) -> None:
        """Report ON or OFF, as after a hand at the switch."""
        body = {"state": state, "brightness": 254, "linkquality": 120}
        self._client.paho.publish(self.topic, json.dumps(body), qos=1, retain=True)

    def _on_command(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self.commands.append(message.payload)
        if "state" in (body := json.loads(message.payload)):
            self.report(body["state"])

    def __enter__(self) -> Self:
        features = [
            {"type": "binary", "name": "state", "property": "state", "value_on": "ON", "value_off": "OFF"},
            {"type": "numeric", "name": "brightness", "property": "brightness", "value_max": 254},
        ]
        device = {
            "ieee_address": "0x00158d00045b2a11",
            "friendly_name": self._name,
            "type": "Router",
            "definition": {"exposes": [{"type": "light", "features": features}]},
        }
        config = {
            "name": self._name,
            "schema": "json",
            "brightness": True,
            "brightness_scale": 254,
            "state_topic": self.topic,
            "command_topic": f"{self.topic}/set",
            "unique_id": f"0x00158d00045b2a11_{self._object_id}_zigbee2mqtt",
            "object_id": self._object_id,
            "default_entity_id": self.entity_id,
        }
        self._client.connect()
        self._client.subscribe(f"{self.topic}/set")
        self._client.publish("zigbee2mqtt/bridge/devices", json.dumps([device]), retain=True)
        if self._announced:
            self._client.publish(self._config_topic, json.dumps(config), retain=True)
        self.report("OFF")
        return self

    def __exit__(self, *_: object) -> None:
        for topic in (self._config_topic, "zigbee2mqtt/bridge/devices", self.topic):
            self._client.publish(topic, "", retain=True)
        self._client.close()
