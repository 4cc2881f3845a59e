"""A simulated flat in town with one person; 20 entities."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from devices.simulated_plan import (
    WEEKEND,
    WORKDAYS,
    Anchor,
    Casual,
    Curve,
    Cycle,
    Entity,
    Habit,
    HomePlan,
    Hours,
    Load,
    MotionLight,
    Person,
    Room,
    Scheduled,
    Stay,
    Step,
    entity,
    plain,
)

FRIDGE: Final = Cycle("82", "1", 1000.0, 2300.0)


def climate_pair(area: str) -> tuple[Entity, Entity]:
    """Return the two sensors of a room's climate device."""
    device = f"{area}_climate"
    title = area.replace("_", " ").capitalize()
    return (
        entity("temperature", device, area, name=f"{title} temperature"),
        entity("humidity", device, area, name=f"{title} humidity"),
    )


def climate_curves(areas: tuple[str, ...], every_s: float) -> dict[str, Curve | Cycle | Load]:
    """Return how those sensors move, read about every `every_s`."""
    found: dict[str, Curve | Cycle | Load] = {}
    for n, area in enumerate(areas):
        found[f"sensor.{area}_climate_temperature"] = Curve(20.0 + n % 3 * 0.4, 0.9, 17.0, 0.06, every_s)
        found[f"sensor.{area}_climate_humidity"] = Curve(46.0 + n % 4, 3.0, 6.0, 0.3, every_s)
    return found


# ---------------------------------------------------------------------------------------- apartment


def apartment() -> HomePlan:
    """Return a flat in town: 20 entities, Alex, who works in an office and irons on Wednesday and Sunday."""
    return HomePlan(
        name="apartment",
        entities=_apartment_entities(),
        rooms=(
            Room("bedroom", "light.bedroom_light"),
            Room(
                "bathroom", "light.bathroom_light", "binary_sensor.bathroom_motion_occupancy", windowless=True
            ),
            Room("kitchen", "light.kitchen_light", keeps_light=0.1),
            Room("living_room", "light.living_room_light", "binary_sensor.living_room_motion_occupancy", 0.9),
            Room("hallway", None, "binary_sensor.hallway_motion_occupancy"),
        ),
        people=(_alex(),),
        guest=guest_of("bedroom", "bathroom", "hallway"),
        front_door="binary_sensor.front_door_contact",
        habits=_alex_habits(),
        casual=(
            Casual("binary_sensor.fridge_door_contact", "kitchen", 0.75, 22.0),
            Casual("binary_sensor.balcony_door_contact", "living_room", 0.22, 260.0, (7.0, 23.0)),
            Casual("switch.coffee_maker", "kitchen", 0.12, 900.0, (9.0, 18.0), WEEKEND),
            Casual("media_player.tv", "living_room", 0.12, 3000.0, (18.0, 23.0)),
        ),
        automations=(
            MotionLight("binary_sensor.hallway_motion_occupancy", "light.hallway_light"),
            Scheduled("climate.thermostat", "heat", 6.0),
            Scheduled("climate.thermostat", "off", 22.75),
        ),
        sensors=MappingProxyType(
            {**climate_curves(("living_room",), 330.0), "sensor.fridge_power": FRIDGE},
        ),
    )


def _apartment_entities() -> tuple[Entity, ...]:
    return (
        plain("person.alex", "home", "home"),
        *(
            entity("light", f"{area}_light", area)
            for area in ("living_room", "kitchen", "bedroom", "bathroom", "hallway")
        ),
        entity("switch", "coffee_maker", "kitchen"),
        entity("switch", "iron", "living_room"),
        plain("media_player.tv", "living_room", "off", device_class="tv"),
        plain("media_player.kitchen_radio", "kitchen", "off", device_class="speaker"),
        entity("contact", "front_door", "hallway"),
        entity("contact", "balcony_door", "living_room"),
        entity("contact", "fridge_door", "kitchen"),
        *(entity("occupancy", f"{area}_motion", area) for area in ("living_room", "bathroom", "hallway")),
        *climate_pair("living_room"),
        entity("power", "fridge", "kitchen", name="Fridge power"),
        entity("climate", "thermostat", "living_room", temperature=20.5, hvac_modes=("off", "heat")),
    )


def _alex() -> Person:
    return Person(
        name="alex",
        bedroom="bedroom",
        bathroom="bathroom",
        hall="hallway",
        workday=Hours(6.65, 7.95, 17.6, 23.1),
        weekend=Hours(8.6, 13.0, 16.5, 23.8, goes=0.7, jitter_h=0.5),
        stays=(
            Stay("living_room", (2.0, 4.0, 7.0), 22.0),
            Stay("kitchen", (4.0, 3.0, 3.0), 7.0),
            Stay("bathroom", (2.0, 1.0, 1.0), 5.0),
            Stay("bedroom", (1.0, 1.0, 0.5), 6.0),
        ),
        entity_id="person.alex",
        evening_out=0.35,
    )


def _alex_habits() -> tuple[Habit, ...]:
    kitchen, living, radio = "light.kitchen_light", "light.living_room_light", "media_player.kitchen_radio"
    return (
        Habit(
            "morning_coffee",
            "alex",
            (
                Step(kitchen, "on"),
                Step("switch.coffee_maker", "on", 40.0),
                Step(radio, "playing", 55.0),
                Step("switch.coffee_maker", "off", 1500.0),
            ),
            Anchor.WAKE,
            0.3,
            WORKDAYS,
            regularity=0.92,
        ),
        Habit(
            "leaving",
            "alex",
            (Step(radio, "off"), Step(kitchen, "off", 15.0)),
            Anchor.LEAVE,
            -0.08,
            WORKDAYS,
            regularity=0.9,
            jitter_h=0.01,
        ),
        Habit(
            "film",
            "alex",
            (Step("media_player.tv", "playing"), Step(living, "on", 35.0, 64)),
            Anchor.CLOCK,
            20.5,
            frozenset({1, 4, 5}),
            regularity=0.8,
            jitter_h=0.2,
        ),
        Habit(
            "ironing",
            "alex",
            (Step("switch.iron", "on"), Step("switch.iron", "off", 1100.0)),
            Anchor.CLOCK,
            18.75,
            frozenset({2, 6}),
            regularity=0.85,
            jitter_h=0.25,
        ),
        Habit(
            "bedtime",
            "alex",
            (
                Step("media_player.tv", "off"),
                Step(living, "off", 25.0),
                Step("light.bedroom_light", "on", 60.0),
            ),
            Anchor.BED,
            -0.4,
            regularity=0.9,
        ),
    )


def guest_of(bedroom: str, bathroom: str, hall: str) -> Person:
    """Return a visitor who sleeps in `bedroom`."""
    return Person(
        name="guest",
        bedroom=bedroom,
        bathroom=bathroom,
        hall=hall,
        workday=Hours(8.9, 11.0, 16.0, 24.3, goes=0.5, jitter_h=0.6),
        weekend=Hours(9.3, 11.0, 16.0, 24.6, goes=0.5, jitter_h=0.6),
        stays=(
            Stay("living_room", (3.0, 5.0, 6.0), 20.0),
            Stay("kitchen", (4.0, 3.0, 3.0), 8.0),
            Stay(bathroom, (2.0, 1.0, 1.0), 7.0),
        ),
        entity_id=None,
    )
