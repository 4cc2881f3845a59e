"""Settings: where they come from, and that each wrong one is named with what it should be."""

from __future__ import annotations

import tomllib
from datetime import time
from pathlib import Path

import pytest
from pydantic import BaseModel

from agent.assembly import build_pipeline
from agent.policy import PolicyConfig
from agent.settings import Settings, SettingsError, load_settings

EXAMPLE = Path(__file__).parents[2] / "deploy/inkling.example.toml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "inkling.toml"


def test_every_setting_has_a_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = load_settings()
    assert (found.mqtt.host, found.mqtt.port, found.store.url) == ("localhost", 1883, "sqlite:///inkling.db")
    assert not found.home_assistant.configured
    assert found.zone.key == "UTC"


def test_the_example_lists_every_setting_with_its_default() -> None:
    assert load_settings(EXAMPLE) == Settings()
    text = EXAMPLE.read_text()
    for name, field in Settings.model_fields.items():
        section = field.default
        if isinstance(section, BaseModel):
            assert f"[{name}]" in text or f"[{name}." in text
            for setting in type(section).model_fields:
                assert f"{setting} = " in text or f"[{name}.{setting}" in text, f"{name}.{setting}"
        elif name != "clock":  # for replays
            assert f"\n{name} = " in text, name


def test_arguments_beat_the_environment_which_beats_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('warmup_days = 1\n[mqtt]\nhost = "file"\nport = 1\nusername = "file"\n')
    monkeypatch.setenv("INKLING_MQTT__HOST", "environment")
    monkeypatch.setenv("INKLING_E2E_HA", "2024.3")  # of others, who begin alike
    found = load_settings(file, warmup_days=3)
    assert (found.mqtt.host, found.mqtt.username, found.warmup_days) == ("environment", "file", 3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[mqtt]\nport = 0", "mqtt.port: Input should be greater than or equal to 1"),
        ('[mqtt]\nhots = "x"', "mqtt.hots: Extra inputs are not permitted"),
        ("[mqtts]\n", "mqtts: Extra inputs are not permitted"),
        ('[mqtt]\ncert_file = "x"', "cert_file and key_file belong together"),
        ('[mqtt]\nprefix = "with space"', "mqtt.prefix: String should match"),
        ('[home]\ntime_zone = "Berlin"', "'Berlin' is not a time zone; use a name like Europe/Berlin"),
        ("[home]\nlatitude = 152", "home.latitude"),
        ("[hunches]\nper_day = -1", "hunches.per_day"),
        ('[hunches]\nquiet_hours = ["25:00", "07:00"]', "hunches.quiet_hours"),
        ("tick_s = 0", "tick_s"),
        ("[store]\nretention_days = 1", "store.retention_days"),
        ("not toml", "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_named(file: Path, text: str, says: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    assert says in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_file_that_is_named_must_be_there(file: Path) -> None:
    with pytest.raises(SettingsError, match="no settings file"):
        load_settings(file)


def test_detectors_parameters(file: Path) -> None:
    file.write_text("[hunches.detectors.dwell]\np_max = 0.01\n")
    build_pipeline(load_settings(file))
    for text, says in (
        ("[hunches.detectors.dwel]\n", "no detector called dwel"),
        ("[hunches.detectors.dwell]\npmax = 1\n", "hunches.detectors.dwell: .*pmax"),
    ):
        file.write_text(text)
        with pytest.raises(SettingsError, match=says):
            build_pipeline(load_settings(file))


@pytest.mark.parametrize("off", ["false", '"off"', '""', "[]"])
def test_quiet_hours_can_be_switched_off(file: Path, off: str) -> None:
    file.write_text(f"[hunches]\nquiet_hours = {off}")
    assert load_settings(file).hunches.quiet_hours is None


def test_the_policys_part(file: Path) -> None:
    file.write_text(
        '[hunches]\nper_day = 2\nquiet_hours = ["23:00", "06:30"]\nexclude_entities = ["light.*"]'
    )
    assert load_settings(file).hunches.policy() == PolicyConfig(2, 3.0, (time(23), time(6, 30)), ("light.*",))


def test_secrets_are_not_shown(file: Path) -> None:
    file.write_text('[mqtt]\npassword = "hush"\n[home_assistant]\nurl = "http://ha"\ntoken = "hush"')
    found = load_settings(file)
    assert "hush" not in repr(found)
    assert found.home_assistant.read_token() == "hush"


def test_a_token_in_a_file_is_read_anew(tmp_path: Path) -> None:
    token = tmp_path / "token"
    found = load_settings(None, home_assistant={"url": "http://ha", "token_file": token}).home_assistant
    assert found.configured
    with pytest.raises(SettingsError, match="token_file can't be read"):
        found.read_token()
    for text in ("first\n", "second\n"):
        token.write_text(text)
        assert found.read_token() == text.strip()


def test_the_example_is_valid_toml_of_its_own() -> None:
    assert set(tomllib.loads(EXAMPLE.read_text())) >= {"mqtt", "store", "hunches", "log"}
