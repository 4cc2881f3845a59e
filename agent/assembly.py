"""Puts the pipeline together from settings: the one list of what runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from agent.pipeline import Pipeline
from agent.policy import Policy
from agent.settings import Settings, SettingsError
from devices.context import Calendar
from hunches.conflict import Conflict
from hunches.detector import Detector
from hunches.dwell import Dwell
from hunches.level import Level
from hunches.missing import Missing
from hunches.silent import Silent
from hunches.timing import Timing
from latent_goals.goals import Goals

DETECTORS: Final[dict[str, type[Detector]]] = {
    d.name: d for d in (Dwell, Timing, Missing, Silent, Conflict, Level)
}


def build_calendar(settings: Settings) -> Calendar:
    """Return the home's clock and sun."""
    home = settings.home
    return Calendar(ZoneInfo(home.time_zone or "UTC"), home.latitude, home.longitude)


def build_pipeline(
    settings: Settings, *, trial: bool = False, include_unknown: bool | None = None
) -> Pipeline:
    """Return an untaught pipeline; `trial`: what is proposed counts as accepted, to ask each time.

    `include_unknown`: changes whose origin nobody knows count as the residents' (default: the setting's).

    Raises SettingsError for parameters that a detector doesn't have.
    """
    config = replace(settings.hunches.policy(), warmup=timedelta(days=settings.warmup_days), trial=trial)
    if include_unknown is None:
        include_unknown = settings.routines.include_unknown(known=settings.home_assistant.configured)
    goals = Goals(include_unknown=include_unknown, prior=settings.goals.load_prior())
    return Pipeline(build_calendar(settings), _build_detectors(settings), Policy(config), goals)


def _build_detectors(settings: Settings) -> list[Detector]:
    parameters = settings.hunches.detectors
    if unknown := sorted(set(parameters) - set(DETECTORS)):
        raise SettingsError(
            f"hunches.detectors: no detector called {', '.join(unknown)}",
            hint=f"there are {', '.join(DETECTORS)}",
        )
    detectors = []
    for name, make in DETECTORS.items():
        try:
            detectors.append(make(**parameters.get(name, {})))
        except (TypeError, ValueError) as err:
            raise SettingsError(f"hunches.detectors.{name}: {err}") from err
    return detectors
