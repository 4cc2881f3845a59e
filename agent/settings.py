"""Settings: `inkling.toml`, overridden by the environment (INKLING_MQTT__HOST=…)."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from agent.errors import InklingError
from agent.policy import PolicyConfig
from latent_goals.prior import Prior

DEFAULT_FILE: Final = Path("inkling.toml")


class SettingsError(InklingError):
    """The settings can't be used as they are."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HomeSettings(_Section):
    """Where the home is. Taken from Home Assistant where it is connected and this is left out."""

    time_zone: str | None = None
    latitude: float | None = Field(default=None, ge=-90, le=90)
    longitude: float | None = Field(default=None, ge=-180, le=180)

    @field_validator("time_zone")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (ZoneInfoNotFoundError, ValueError) as err:
                raise ValueError(f"{value!r} is not a time zone; use a name like Europe/Berlin") from err
        return value


class MqttSettings(_Section):
    """The broker, and where its device families publish."""

    host: str = "localhost"
    port: int = Field(default=1883, ge=1, le=65535)
    username: str | None = None
    password: SecretStr | None = None
    tls: bool = False
    tls_verify: bool = True
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    client_id: str = Field(default="inkling", min_length=1, max_length=64)
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    keepalive_s: int = Field(default=30, ge=5, le=3600)
    session_expiry_s: int = Field(default=7 * 86400, ge=60, le=0xFFFF_FFFE)
    prefix: str = Field(default="inkling", pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")
    discovery_prefix: str = "homeassistant"
    statestream: str | None = "statestream"
    zigbee2mqtt: str | None = "zigbee2mqtt"
    homie: str | None = "homie"
    tasmota: bool = True
    shelly: bool = True
    shelly_prefixes: tuple[str, ...] = Field(default=(), description="of devices with a custom MQTT prefix")
    esphome: tuple[str, ...] = Field(default=(), description="node names")

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together")
        return self


class HomeAssistantSettings(_Section):
    """Home Assistant's API; without url and token only MQTT is used."""

    url: str | None = None
    token: SecretStr | None = None
    token_file: Path | None = None
    verify_tls: bool = True
    ca_file: Path | None = None
    dedicated_user: bool = Field(
        default=False, description="the token's user is Inkling's alone: all that it does is ours"
    )
    non_person_users: tuple[str, ...] = Field(
        default=(), description="ids of users that are software (Node-RED, a voice assistant)"
    )

    def address(self) -> str:
        """Return the URL; raises SettingsError where there is none."""
        if self.url is None:
            raise SettingsError("home_assistant.url isn't set", hint="http://homeassistant.local:8123, say")
        return self.url

    def read_token(self) -> str:
        """Return the token, read anew from its file each time; raises SettingsError where there is none."""
        if self.token is not None:
            return self.token.get_secret_value()
        if self.token_file is None:
            raise SettingsError(
                "home_assistant.token isn't set", hint="make a long-lived access token in your HA profile"
            )
        try:
            return self.token_file.read_text().strip()
        except OSError as err:
            raise SettingsError(f"home_assistant.token_file can't be read: {err}") from err

    @property
    def configured(self) -> bool:
        """Whether there is something to connect to."""
        return self.url is not None and (self.token is not None or self.token_file is not None)


class StoreSettings(_Section):
    """The database."""

    url: str = "sqlite:///inkling.db"
    synchronous: Literal["normal", "full"] = "normal"
    retention_days: int = Field(default=400, ge=7)


class HunchSettings(_Section):
    """How often Inkling may interrupt, and about what never."""

    per_day: float = Field(default=0.5, ge=0, description="unasked hunches a day, on average")
    burst: float = Field(default=3.0, ge=1, description="how many a quiet home may save up")
    quiet_hours: tuple[time, time] | None = (time(22, 30), time(7, 0))
    fdr: float | None = Field(
        default=None, gt=0, lt=1, description="strict: the share of hunches that may be false, by calibration"
    )
    exclude_entities: tuple[str, ...] = ()
    exclude_detectors: tuple[str, ...] = ()
    act: tuple[str, ...] = Field(
        default=(),
        description='what Inkling may put right unasked: "light.*", "dwell:switch.iron"; '
        "a glob reaches lights, fans, media players and humidifiers only",
    )
    detectors: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="parameters of single detectors, by name"
    )

    @field_validator("quiet_hours", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return None if value in (False, "", "off", []) else value

    def policy(self) -> PolicyConfig:
        """Return the policy's part."""
        return PolicyConfig(
            self.per_day,
            self.burst,
            self.quiet_hours,
            self.exclude_entities,
            self.exclude_detectors,
            fdr=self.fdr,
            act=self.act,
        )


class RoutineSettings(_Section):
    """Routines: what the residents keep repeating."""

    enabled: bool = True
    mine_at: time = Field(default=time(3, 30), description="local time of the nightly search")
    days: int = Field(default=180, ge=7, le=400, description="how far back it looks")
    unknown_origin: Literal["auto", "mine", "ignore"] = Field(
        default="auto",
        description="changes of which nobody knows who made them; auto: mined without Home Assistant's API",
    )

    def include_unknown(self, *, known: bool) -> bool:
        """Whether changes of unknown origin count; `known`: there is a source that knows origins."""
        return not known if self.unknown_origin == "auto" else self.unknown_origin == "mine"


class GoalSettings(_Section):
    """Goals: what a first action implies next."""

    prior: Path | None = Field(default=None, description="what other homes do: inkling prior build makes one")

    def load_prior(self) -> Prior | None:
        """Read the prior; raises SettingsError where it can't be read."""
        if self.prior is None:
            return None
        try:
            return Prior.from_dict(orjson.loads(self.prior.read_bytes()))
        except (OSError, ValueError, KeyError) as err:
            raise SettingsError(f"goals.prior: {self.prior} can't be used: {err}") from err


class LogSettings(_Section):
    """Logging to stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    json_lines: bool = False


class Settings(BaseSettings):
    """All settings; every one has a default that suits a broker on this machine."""

    model_config = SettingsConfigDict(
        env_prefix="INKLING_", env_nested_delimiter="__", extra="forbid", frozen=True
    )
    _file: ClassVar[Path | None] = None

    home: HomeSettings = HomeSettings()
    mqtt: MqttSettings = MqttSettings()
    home_assistant: HomeAssistantSettings = HomeAssistantSettings()
    store: StoreSettings = StoreSettings()
    hunches: HunchSettings = HunchSettings()
    routines: RoutineSettings = RoutineSettings()
    goals: GoalSettings = GoalSettings()
    log: LogSettings = LogSettings()
    tick_s: float = Field(default=60.0, ge=0.05, le=3600)
    clock: Literal["wall", "events"] = Field(
        default="wall", description="events: time follows the messages' own, for replays over a broker"
    )
    warmup_days: float = Field(default=7.0, ge=0, description="learn this long before the first hunch")
    snapshot_minutes: float = Field(default=15.0, gt=0)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments beat the environment, which beats the file."""
        toml = TomlConfigSettingsSource(settings_cls, cls._file)
        return init_settings, env_settings, file_secret_settings, toml

    @property
    def zone(self) -> ZoneInfo:
        """The home's time zone; UTC where nobody said."""
        return ZoneInfo(self.home.time_zone or "UTC")


def load_settings(path: Path | None = None, **overrides: Any) -> Settings:
    """Read settings from a file (default `inkling.toml`, which may be missing) and the environment.

    Raises SettingsError that names each wrong setting and what it should be.
    """
    if path is not None and not path.is_file():
        raise SettingsError(f"no settings file {path}", hint="leave out --config to use the defaults")
    Settings._file = path or DEFAULT_FILE
    try:
        return Settings(**overrides)
    except ValidationError as err:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in err.errors()]
        raise SettingsError(
            f"settings are not valid ({path or DEFAULT_FILE} and INKLING_… variables): " + "; ".join(lines),
            hint="deploy/inkling.example.toml lists every setting",
        ) from err
    except ValueError as err:  # not TOML
        raise SettingsError(f"{path or DEFAULT_FILE} is not valid TOML: {err}") from err
