"""A real Home Assistant with a broker of its own, on free loopback ports."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from tests.broker import BrokerOptions, Mosquitto
from tests.e2e.client import HomeAssistantClient
from tests.e2e.devices import FakeDevice
from tests.e2e.install import Installation
from tests.process import Server, free_port

TEMPLATES = Path(__file__).with_name("templates")


class HomeAssistant(HomeAssistantClient):
    """One Home Assistant in a folder: owner, token, MQTT, statestream, helpers, a template light."""

    statestream = "statestream"

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.config_dir = folder / "config"
        self.broker = Mosquitto(folder / "broker", BrokerOptions())
        self.mqtt_port = self.broker.port
        self.release = installation.name
        self.version = installation.release.version
        self.port = free_port()
        super().__init__(f"http://127.0.0.1:{self.port}")
        self._write_config(stored_http=self.release != "2024.3")
        self._server = Server(installation.run_command(self.config_dir), folder / "home-assistant.log")

    @property
    def database(self) -> Path:
        """The recorder's database."""
        return self.config_dir / "home-assistant_v2.db"

    def start(self) -> None:
        """Start the broker where it isn't running, then Home Assistant; return when it takes MQTT states."""
        if not self.broker.running:
            self.broker.start()
        self._server.start()
        if not self.token:
            self._server.wait_until("onboarding", lambda: self._answers("/api/onboarding"), 100)
            self.create_owner("Owner")
        self._server.wait_until("state RUNNING", self._is_running, 100)
        self._server.wait_until("MQTT connection", self._has_mqtt, 60)

    def stop(self) -> None:
        """Stop Home Assistant, which then writes what it has recorded; the broker stays."""
        self._server.stop(grace_s=60)

    def kill(self) -> None:
        """End Home Assistant at once."""
        self._server.kill()

    def close(self) -> None:
        """Stop both."""
        self.stop()
        self.broker.close()

    def log_tail(self) -> str:
        """Return the end of Home Assistant's log."""
        return self._server.log_tail()

    def device(self, component: str, object_id: str, **options: Any) -> FakeDevice:
        """Return a device for a `with` block, known to Home Assistant while it runs; `options` as there."""
        return FakeDevice(self.broker, component, object_id, **options)

    def _answers(self, path: str) -> Any:
        try:
            return self.rest("GET", path)
        except (OSError, ValueError):
            return None

    def _is_running(self) -> bool:
        config = self._answers("/api/config")
        return config is not None and config["state"] == "RUNNING"

    def _has_mqtt(self) -> bool:
        entries = self._answers("/api/config/config_entries/entry") or []
        return any(entry["domain"] == "mqtt" and entry["state"] == "loaded" for entry in entries)

    def _write_config(self, *, stored_http: bool) -> None:
        (self.config_dir / ".storage").mkdir(parents=True)
        http = f"http:\n  server_host: 127.0.0.1\n  server_port: {self.port}"
        text = (TEMPLATES / "configuration.yaml").read_text()
        text = text.replace("@HTTP@", "" if stored_http else http)
        light = (TEMPLATES / f"light_{self.release[:4]}.yaml").read_text()
        (self.config_dir / "configuration.yaml").write_text(text.replace("@LIGHT@", light))
        for name, empty in (("automations", "[]"), ("scripts", "{}"), ("scenes", "[]")):
            (self.config_dir / f"{name}.yaml").write_text(empty + "\n")
        # Only the owner is left to onboard: the other steps start integrations that want the internet.
        self._store("onboarding", {"done": ["core_config", "analytics", "integration"]}, version=4)
        self._store("core.network", {"configured_adapters": ["lo"]})  # mDNS stays on this machine
        # In place before the first start: mqtt_statestream gives up for good where there is no entry yet.
        self._store("core.config_entries", {"entries": [_mqtt_entry(self.mqtt_port)]})
        if stored_http:
            # Given as YAML, newer releases try `http` for five minutes and then fall back to port 8123.
            settings = {"stable": _http_settings(self.port), "pending": None, "yaml_migration_done": True}
            self._store("http", settings, version=3)

    def _store(self, key: str, data: dict[str, Any], version: int = 1) -> None:
        document = {"version": version, "minor_version": 1, "key": key, "data": data}
        (self.config_dir / ".storage" / key).write_text(json.dumps(document))


def _mqtt_entry(port: int) -> dict[str, Any]:
    return {
        "entry_id": secrets.token_hex(16),
        "version": 1,
        "minor_version": 1,
        "domain": "mqtt",
        "title": "127.0.0.1",
        "data": {
            "broker": "127.0.0.1",
            "port": port,
            "discovery": True,
            "discovery_prefix": "homeassistant",
        },
        "options": {},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "unique_id": None,
        "disabled_by": None,
    }


def _http_settings(port: int) -> dict[str, Any]:
    return {
        "server_host": ["127.0.0.1"],
        "server_port": port,
        "cors_allowed_origins": [],
        "login_attempts_threshold": -1,
        "ip_ban_enabled": False,
        "ssl_profile": "intermediate_v6",
        "use_x_frame_options": True,
        "created_at": "2026-11-01T00:00:00+00:00",
        "error": None,
        "error_message": None,
    }
