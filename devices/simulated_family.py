"""A simulated house with a family of four; 120 entities."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from devices.simulated_apartment import FRIDGE, climate_curves, climate_pair, guest_of
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

_ROOMS: Final = (
    "hallway", "kitchen", "living_room", "dining_room", "office", "bathroom", "parents_bedroom",
    "emma_room", "leo_room", "upstairs_bathroom", "laundry", "garage",
)  # fmt: skip
_SEEN: Final = (*_ROOMS, "upstairs_hall", "guest_toilet", "basement")  # rooms with a motion sensor
_LIT: Final = (*_SEEN, "attic")
_MEASURED: Final = (*_ROOMS, "garden", "basement")
_WINDOWS: Final = (
    "kitchen", "living_room", "dining_room", "office", "bathroom", "parents_bedroom", "emma_room", "leo_room",
    "upstairs_bathroom", "attic",
)  # fmt: skip
_COVERS: Final = ("living_room", "parents_bedroom", "emma_room", "leo_room")
_PLUGS: Final = {
    "coffee_maker": ("kitchen", 1150.0),
    "dishwasher": ("kitchen", 900.0),
    "tv_plug": ("living_room", 110.0),
    "office_pc": ("office", 140.0),
    "washing_machine": ("laundry", 480.0),
    "dryer": ("laundry", 750.0),
    "iron": ("laundry", 1900.0),
}


def family() -> HomePlan:
    """Return a house of 120 entities: Anna, Ben, Emma (13) and Leo (8)."""
    return HomePlan(
        name="family",
        entities=_entities(),
        rooms=_rooms(),
        people=(_anna(), _ben(), _emma(), _leo()),
        guest=guest_of("office", "guest_toilet", "hallway"),
        front_door="binary_sensor.front_door_contact",
        habits=(*_parents_habits(), *_childrens_habits()),
        casual=_casual(),
        automations=(
            MotionLight("binary_sensor.hallway_motion_occupancy", "light.hallway_light"),
            MotionLight("binary_sensor.upstairs_hall_motion_occupancy", "light.upstairs_hall_light"),
            MotionLight("binary_sensor.garage_motion_occupancy", "light.garage_light", 240.0),
            Scheduled("light.garden_porch_light", "on", 0.15, from_sunset=True),
            Scheduled("light.garden_porch_light", "off", 23.0),
            Scheduled("light.leo_night_light", "off", 9.0),
            Scheduled("climate.ground_floor", "heat", 5.75),
            Scheduled("climate.ground_floor", "off", 22.5),
            Scheduled("climate.upstairs", "heat", 6.0),
            Scheduled("climate.upstairs", "off", 21.75),
        ),
        left_alone=frozenset(
            {
                "switch.washing_machine",
                "switch.dishwasher",
                "switch.dryer",
                "switch.irrigation",
                "switch.heating_pump",
                "light.leo_night_light",
                "cover.garage_door",
            }
        ),
        sensors=MappingProxyType(
            {
                **climate_curves(_MEASURED, 660.0),
                "sensor.garden_climate_temperature": Curve(9.0, 4.5, 15.0, 0.12, 660.0),
                "sensor.garden_climate_humidity": Curve(74.0, 11.0, 5.0, 0.5, 660.0),
                "sensor.house_power": Curve(420.0, 160.0, 19.0, 45.0, 150.0, 0),
                "sensor.fridge_power": FRIDGE,
                "sensor.freezer_power": Cycle("96", "2", 1300.0, 2900.0),
                "sensor.freezer_probe_temperature": Curve(-18.4, 0.3, 16.0, 0.12, 420.0),
                "switch.heating_pump": Cycle("on", "off", 700.0, 1500.0, needs="climate.ground_floor"),
                **{f"sensor.{name}_power": Load(f"switch.{name}", w) for name, (_, w) in _PLUGS.items()},
            }
        ),
    )


def _entities() -> tuple[Entity, ...]:
    return (
        *(plain(f"person.{name}", "home", "home") for name in ("anna", "ben", "emma", "leo")),
        *(entity("light", f"{area}_light", area) for area in _LIT),
        entity("light", "living_room_floor_lamp", "living_room"),
        entity("light", "office_desk_lamp", "office"),
        entity("light", "anna_lamp", "parents_bedroom"),
        entity("light", "ben_lamp", "parents_bedroom"),
        entity("light", "leo_night_light", "leo_room"),
        entity("light", "garden/porch_light", "garden"),
        entity("light", "garden/terrace_light", "garden"),
        *(entity("occupancy", f"{area}_motion", area) for area in _SEEN),
        *(one for area in _MEASURED for one in climate_pair(area)),
        *(entity("contact", f"{area}_window", area, device_class="window") for area in _WINDOWS),
        entity("contact", "front_door", "hallway"),
        entity("contact", "patio_door", "living_room"),
        entity("contact", "fridge_door", "kitchen"),
        entity("contact", "freezer_door", "garage"),
        entity("lock", "front_door_lock", "hallway"),
        *(entity("cover", f"{area}_blind", area) for area in _COVERS),
        entity("cover", "garage_door", "garage", device_class="garage"),
        *(entity("switch", name, area) for name, (area, _) in _PLUGS.items()),
        *(entity("power", name, area) for name, (area, _) in _PLUGS.items()),
        entity("power", "fridge", "kitchen", name="Fridge power"),
        entity("power", "freezer", "garage", name="Freezer power"),
        entity("temperature", "freezer_probe", "garage", name="Freezer temperature"),
        entity("power", "house", "basement", name="House power"),
        *(entity("water_leak", f"{area}_leak", area) for area in ("kitchen", "bathroom", "laundry")),
        *(entity("smoke", f"{area}_smoke", area) for area in ("kitchen", "upstairs_hall")),
        entity("climate", "ground_floor", "living_room", temperature=20.5, hvac_modes=("off", "heat")),
        entity("climate", "upstairs", "upstairs_hall", temperature=19.5, hvac_modes=("off", "heat")),
        entity("switch", "heating_pump", "basement"),
        entity("switch", "irrigation", "garden"),
        plain("media_player.tv", "living_room", "off", device_class="tv"),
        plain("media_player.kitchen_radio", "kitchen", "off", device_class="speaker"),
        plain("media_player.emma_speaker", "emma_room", "off", device_class="speaker"),
    )


def _rooms() -> tuple[Room, ...]:
    automatic = {"hallway", "upstairs_hall", "garage"}
    keeps = {"living_room": 0.85, "kitchen": 0.3, "dining_room": 0.2, "office": 0.2, "emma_room": 0.3}
    windowless = {"guest_toilet", "basement", "laundry"}
    return tuple(
        Room(
            area,
            None if area in automatic else f"light.{area}_light",
            f"binary_sensor.{area}_motion_occupancy" if area in _SEEN else None,
            keeps.get(area, 0.0),
            area in windowless,
        )
        for area in _LIT
    )


def _stays(own: str, bathroom: str, *, works: bool = False) -> tuple[Stay, ...]:
    work = (Stay("office", (1.0, 3.0, 1.5), 25.0), Stay("laundry", (0.3, 0.8, 0.6), 6.0))
    stores = (Stay("garage", (0.2, 0.5, 0.3), 4.0), Stay("basement", (0.1, 0.4, 0.3), 5.0))
    return (
        Stay("living_room", (1.5, 3.0, 6.0), 24.0),
        Stay("kitchen", (4.0, 3.0, 3.0), 9.0),
        Stay("dining_room", (2.0, 2.0, 1.5), 18.0),
        Stay(bathroom, (2.0, 0.7, 1.0), 6.0),
        Stay("guest_toilet", (0.5, 0.8, 0.8), 4.0),
        Stay(own, (1.0, 1.0 if works else 4.0, 1.0 if works else 3.0), 8.0 if works else 28.0),
        *((*work, *stores, Stay("attic", (0.0, 0.1, 0.0), 9.0)) if works else ()),
    )


def _anna() -> Person:
    return Person(
        "anna", "parents_bedroom", "bathroom", "hallway",
        Hours(6.2, 7.6, 16.4, 22.8), Hours(8.0, 10.5, 13.0, 23.4, goes=0.75, jitter_h=0.4),
        _stays("parents_bedroom", "bathroom", works=True), "person.anna", evening_out=0.15,
    )  # fmt: skip


def _ben() -> Person:
    return Person(
        "ben", "parents_bedroom", "bathroom", "hallway",
        Hours(6.8, 8.3, 17.9, 23.3, goes=0.8), Hours(8.6, 10.5, 13.2, 23.7, goes=0.7, jitter_h=0.4),
        _stays("parents_bedroom", "bathroom", works=True), "person.ben", evening_out=0.15,
    )  # fmt: skip


def _emma() -> Person:
    return Person(
        "emma", "emma_room", "upstairs_bathroom", "upstairs_hall",
        Hours(6.7, 7.5, 15.2, 21.8), Hours(9.3, 13.5, 17.5, 23.2, goes=0.7, jitter_h=0.6),
        _stays("emma_room", "upstairs_bathroom"), "person.emma", 0.5,
    )  # fmt: skip


def _leo() -> Person:
    return Person(
        "leo", "leo_room", "upstairs_bathroom", "upstairs_hall",
        Hours(6.9, 7.6, 14.6, 20.2), Hours(7.6, 14.0, 16.5, 21.0, goes=0.5, jitter_h=0.4),
        _stays("leo_room", "upstairs_bathroom"), "person.leo", 0.0,
    )  # fmt: skip


def _run(entity_id: str, for_s: float) -> tuple[Step, Step]:
    return Step(entity_id, "on"), Step(entity_id, "off", for_s)


def _parents_habits() -> tuple[Habit, ...]:
    lock, radio, kitchen = "lock.front_door_lock", "media_player.kitchen_radio", "light.kitchen_light"
    coffee, tv, living = "switch.coffee_maker", "media_player.tv", "light.living_room_light"
    return (
        Habit(
            "anna_morning", "anna",
            (Step(kitchen, "on"), Step(coffee, "on", 45.0), Step(radio, "playing", 40.0),
             Step(coffee, "off", 1600.0)),
            Anchor.WAKE, 0.3, WORKDAYS, 0.92,
        ),
        Habit("unlock", "anna", (Step(lock, "unlocked"), Step("cover.living_room_blind", "open", 90.0)),
              Anchor.WAKE, 0.22, regularity=0.93, partial=0.0),
        Habit("ben_work", "ben", (Step("switch.office_pc", "on"), Step("light.office_desk_lamp", "on", 25.0)),
              Anchor.BACK, 0.6, WORKDAYS, 0.75, 0.2),
        Habit("ben_drives", "ben",
              (Step("cover.garage_door", "open"), Step("cover.garage_door", "closed", 150.0)),
              Anchor.LEAVE, -0.07, WORKDAYS, 0.9, 0.01, 0.0),
        Habit("washing", "anna", _run("switch.washing_machine", 5400.0),
              Anchor.CLOCK, 17.4, frozenset({0, 3}), 0.85, 0.3),
        Habit("dishes", "ben", _run("switch.dishwasher", 6600.0),
              Anchor.CLOCK, 20.2, regularity=0.8, jitter_h=0.3),
        Habit("ironing", "anna", _run("switch.iron", 1500.0),
              Anchor.CLOCK, 19.2, frozenset({1, 6}), 0.85, 0.25),
        Habit("film", "ben",
              (Step("switch.tv_plug", "on"), Step(tv, "playing", 20.0),
               Step("cover.living_room_blind", "closed", 40.0),
               Step(living, "on", 20.0, 64)),
              Anchor.CLOCK, 20.6, frozenset({2, 4, 5}), 0.8, 0.2),
        Habit("anna_reads", "anna", _run("light.anna_lamp", 1000.0),
              Anchor.BED, -0.45, regularity=0.85),
        Habit("closing_up", "ben",
              (Step(tv, "off"), Step("switch.tv_plug", "off", 15.0), Step(living, "off", 20.0),
               Step(lock, "locked", 45.0)),
              Anchor.BED, -0.3, regularity=0.93),
    )  # fmt: skip


def _childrens_habits() -> tuple[Habit, ...]:
    blind, speaker = "cover.emma_room_blind", "media_player.emma_speaker"
    return (
        Habit("emma_wakes", "emma",
              (Step(blind, "open"), Step(speaker, "playing", 60.0), Step(speaker, "off", 1200.0)),
              Anchor.WAKE, 0.08, WORKDAYS, 0.85, 0.03),
        Habit("emma_homework", "emma", (Step("light.emma_room_light", "on"), Step(speaker, "playing", 45.0)),
              Anchor.BACK, 0.7, WORKDAYS, 0.75, 0.2),
        Habit("emma_bed", "emma", (Step(speaker, "off"), Step(blind, "closed", 30.0)),
              Anchor.BED, -0.25, regularity=0.88),
        Habit("leo_bed", "leo",
              (Step("cover.leo_room_blind", "closed"), Step("light.leo_night_light", "on", 60.0)),
              Anchor.BED, -0.25, regularity=0.92),
        Habit("leo_wakes", "leo",
              (Step("cover.leo_room_blind", "open"), Step("light.leo_night_light", "off", 25.0)),
              Anchor.WAKE, 0.06, regularity=0.93, jitter_h=0.02),
    )  # fmt: skip


def _casual() -> tuple[Casual, ...]:
    return (
        Casual("binary_sensor.fridge_door_contact", "kitchen", 0.6, 20.0),
        Casual("binary_sensor.freezer_door_contact", "garage", 0.5, 30.0),
        Casual("binary_sensor.patio_door_contact", "living_room", 0.14, 300.0, (7.0, 22.5)),
        *(
            Casual(f"binary_sensor.{area}_window_contact", area, 0.08, 700.0, (6.5, 21.0))
            for area in _WINDOWS
            if area != "attic"
        ),
        Casual("switch.office_pc", "office", 0.25, 4000.0, (9.0, 21.0)),
        Casual("light.office_desk_lamp", "office", 0.2, 2400.0, (16.0, 23.0)),
        Casual("light.living_room_floor_lamp", "living_room", 0.1, 5000.0, (17.0, 23.0)),
        Casual("light.ben_lamp", "parents_bedroom", 0.12, 900.0, (20.0, 25.0)),
        Casual("cover.parents_bedroom_blind", "parents_bedroom", 0.08, 7200.0, (7.0, 20.0)),
        Casual("media_player.emma_speaker", "emma_room", 0.25, 2500.0, (12.0, 21.5)),
        Casual("switch.dryer", "laundry", 0.15, 4800.0, (9.0, 20.0)),
        Casual("light.garden_terrace_light", "living_room", 0.05, 3000.0, (19.0, 23.0)),
        Casual("switch.irrigation", "living_room", 0.04, 1200.0, (17.0, 20.0), WEEKEND),
        Casual("switch.coffee_maker", "kitchen", 0.05, 1200.0, (9.0, 17.0)),
    )
