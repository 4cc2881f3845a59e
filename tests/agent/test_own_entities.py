from __future__ import annotations

from agent.own_entities import OwnEntities


def row(entity_id: str, unique_id: str, platform: str = "mqtt") -> dict[str, str]:
    return {"entity_id": entity_id, "unique_id": unique_id, "platform": platform}


def test_the_ids_that_we_ask_for_are_ours_until_the_registry_says_otherwise() -> None:
    own = OwnEntities("home/inkling", "homeassistant")
    assert "switch.home_inkling_learning" in own
    own.registry(
        [
            row("switch.let_it_learn", "home_inkling_learning"),
            row("switch.home_inkling_learning", "a_heater"),  # taken by somebody else since
            row("switch.fake", "home_inkling_suggesting", platform="demo"),
            {"entity_id": None},
        ]
    )
    assert "switch.let_it_learn" in own
    assert "switch.home_inkling_learning" not in own
    assert "switch.home_inkling_suggesting" in own
    assert "switch.fake" not in own


def test_a_new_id_is_ours_at_once() -> None:
    own = OwnEntities("inkling", "homeassistant")
    assert own.renamed("sensor.inkling_pending", "sensor.hunches")
    assert "sensor.hunches" in own
    assert not own.renamed("light.hall", "light.floor")
