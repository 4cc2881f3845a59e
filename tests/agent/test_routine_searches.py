"""Searches for routines: what is proposed, and what a search that comes to nothing leaves as it was."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agent.errors import StoreError
from agent.ha_socket import HomeAssistantError
from agent.mining import Job, MiningError
from agent.requests import Forget, Mined
from agent.routine_keeper import MINED
from agent.suggestions import Standing
from routines.rendering import automation_of
from routines.routine import Step
from tests.agent.keeping import LAMP, Kept
from tests.agent.toys import T0


def test_what_an_automation_does_already_is_not_proposed(kept: Kept) -> None:
    kept.there.manual = [{**automation_of(LAMP), "alias": "Welcome"}]
    asyncio.run(kept.keeper.offer(Mined(T0, (LAMP,), {"text": "1 proposed"})))
    assert kept.keeper.entries == {}
    (found,) = kept.engine.store.journal("mined")
    assert found["covered"] == {LAMP.id: "Welcome"}
    (said,) = (s.value for s in kept.engine.store.settings() if s.key == MINED)
    assert said["text"] == "1 proposed"


def test_nothing_is_proposed_while_the_automations_are_not_known(kept: Kept) -> None:
    kept.there.trouble = HomeAssistantError("down")
    asyncio.run(kept.keeper.offer(Mined(T0, (LAMP,))))
    assert kept.keeper.entries == {}
    kept.there.trouble = None
    asyncio.run(kept.keeper.offer(Mined(T0, (LAMP,))))
    assert kept.standing is Standing.PROPOSED


@pytest.mark.parametrize("trouble", [MiningError("the child was killed"), TimeoutError()])
def test_a_search_that_fails_changes_nothing_and_the_next_one_goes_on(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    async def mine(_job: Job) -> Mined:
        if trouble.args or not found:
            raise trouble
        return found.pop()

    found: list[Mined] = []
    monkeypatch.setattr("agent.routine_keeper.mine_in_child", mine)
    kept.made()
    before = kept.engine.pipeline.to_dict()
    asyncio.run(kept.keeper.mine())
    assert kept.engine.pipeline.to_dict() == before
    assert kept.standing is Standing.ACCEPTED
    found.append(Mined(T0, (replace(LAMP, steps=(Step("fan.bath", "on"),)),)))
    trouble.args = ()
    asyncio.run(kept.keeper.mine())
    assert [e.standing for e in kept.keeper.entries.values()] == [Standing.ACCEPTED, Standing.PROPOSED]


def test_nothing_found_keeps_what_runs_and_says_what_was_looked_at(kept: Kept) -> None:
    kept.made()
    asyncio.run(kept.keeper.offer(Mined(T0, (), {"text": "0 proposed"})))
    kept.engine.commit()
    assert kept.standing is Standing.ACCEPTED
    (said,) = (s.value for s in kept.engine.store.settings() if s.key == MINED)
    assert said["text"] == "0 proposed"


def test_what_is_found_while_the_disk_is_full_is_proposed_once_there_is_room(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_batch: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(kept.engine.store, "append", full)
        with pytest.raises(StoreError):  # which the daemon says once, and goes on
            asyncio.run(kept.keeper.offer(Mined(T0, (LAMP,))))
    assert kept.engine.store.routines() == []
    kept.engine.commit()
    assert [(d.id, d.status) for d in kept.engine.store.routines()] == [(LAMP.id, "proposed")]


def test_a_renamed_entity_takes_its_automation_along(kept: Kept) -> None:
    kept.made()
    kept.take(Forget(T0, "light.hall", renamed_to="light.entrance"))
    new = LAMP.renamed("light.hall", "light.entrance")
    assert kept.there.made == {new.id: new}
    assert [(i, e.elsewhere) for i, e in kept.keeper.entries.items()] == [(new.id, True)]


def test_a_forgotten_entity_takes_its_automation_with_it(kept: Kept) -> None:
    kept.made()
    kept.take(Forget(T0, "light.hall"))
    assert kept.there.made == {}
    assert kept.keeper.entries == {}
