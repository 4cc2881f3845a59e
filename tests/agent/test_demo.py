"""The demo, in seconds: the real daemon, an embedded broker, a simulated flat."""

from __future__ import annotations

import asyncio
import gc
from datetime import timedelta
from pathlib import Path

import pytest

from agent.database import Access
from agent.demo import run_demo
from agent.store import Store
from agent.suggestions import Kind, Status


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # amqtt leaves a connection to the collector
def test_a_hunch_is_raised_accepted_and_carried_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "inkling.db"
    assert asyncio.run(run_demo(database, timedelta(seconds=14), seed=7))
    gc.collect()
    told = capsys.readouterr().out
    with Store.open(f"sqlite:///{database}", access=Access.READ) as store:
        kinds = {s.suggestion.kind for s in store.suggestions()}
        accepted = [
            s.suggestion for s in store.suggestions([Status.ACCEPTED]) if s.suggestion.kind is Kind.HUNCH
        ]
        (command,) = store.commands(accepted[0].id)
        after = list(store.events(since=command.at, entities=[command.entity_id]))
    assert (command.entity_id, command.state) == ("light.bathroom_light", "off")
    assert "in " in accepted[0].title, "what it compares with"
    assert after[0].new == "off", "the device obeyed"
    assert {Kind.ROUTINE_PROPOSED, Kind.GOAL} <= kinds
    for said in (
        accepted[0].title[:40],  # the panel breaks longer lines
        f"inkling suggestions accept {accepted[0].id}",
        "Alex taps Accept",
        "Inkling → zigbee2mqtt/bathroom_light/set",
        f"export INKLING_STORE__URL=sqlite:///{database}",
    ):
        assert said in told, said
