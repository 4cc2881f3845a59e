"""How routines went, for people: what was kept, changed or undone, and which questions were right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from agent.engine import RUNS
from agent.records import Document
from agent.store import Store
from agent.suggestions import Mode, Standing
from routines.rendering import automation_id

_COUNTS: Final = ("kept", "changed", "undone", "by_hand", "unwanted")
Runs = Mapping[str, Mapping[str, Any]]


def routine_runs(store: Store) -> Runs:
    """Return how the runs and questions of each routine went, as the daemon last wrote it."""
    return next((s.value for s in store.settings() if s.key == RUNS), {})


def tally(*records: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sums of records, and what they come to.

    A win is a run that was let be, or a question that a resident answered by doing it; a loss a run that was
    changed or undone, or a question that was refused or ignored. (A question answered "yes" leads to a run.)

    >>> tally({"kept": 17, "changed": 1, "undone": 1})["win_to_loss"]
    8.5
    """
    counts = {name: sum(int(of.get(name, 0)) for of in records) for name in _COUNTS}
    wins = counts["kept"] + counts["by_hand"]
    losses = counts["changed"] + counts["undone"] + counts["unwanted"]
    return {
        **counts,
        "ran": counts["kept"] + counts["changed"] + counts["undone"],
        "wins": wins,
        "losses": losses,
        "win_to_loss": round(wins / losses, 2) if losses else None,
    }


def total(runs: Runs) -> dict[str, Any]:
    """Return what the records of all routines come to, of those that were let go, too."""
    return tally(*runs.values())


def in_words(of: Mapping[str, Any]) -> str:
    """Return a tally as a sentence's part.

    >>> in_words(tally({"kept": 17, "changed": 1, "undone": 1, "unwanted": 2}))
    'ran 19 times: 17 kept, 1 changed, 1 undone; 2 questions not wanted; 17:4 is 4.2:1'
    """
    parts = [f"ran {of['ran']} times: {of['kept']} kept, {of['changed']} changed, {of['undone']} undone"]
    if of["by_hand"]:
        parts.append(f"{of['by_hand']} questions answered by doing it")
    if of["unwanted"]:
        parts.append(f"{of['unwanted']} questions not wanted")
    if of["losses"]:
        parts.append(f"{of['wins']}:{of['losses']} is {of['wins'] / of['losses']:.1f}:1")
    return "; ".join(parts)


def briefly(of: Mapping[str, Any] | None) -> str:
    """Return how often a routine ran, and was reversed, for a table."""
    if of is None:
        return ""
    sums = tally(of)
    return f"{sums['ran']} times" + (f", {sums['undone']} reversed" if sums["undone"] else "")


def who(document: Document) -> dict[str, Any]:
    """Return who runs a routine: Home Assistant, by which automation, or Inkling; None where nobody does."""
    body = document.body
    there = bool(body.get("elsewhere"))
    runs_in = "home_assistant" if there else "inkling"
    return {
        "runs_in": runs_in if document.status == Standing.ACCEPTED else None,
        "automation": automation_id(document.id) if there else None,
        "rests": bool(body.get("rests")),
        "switched_off": body.get("off") == "resident",
    }


def how(document: Document) -> str:
    """Return who runs a routine and whether it asks, in words."""
    by = who(document)
    asks = "runs by itself" if document.body["mode"] == Mode.ACT else "asks each time"
    if by["switched_off"]:
        return f"switched off in Home Assistant ({by['automation']})"
    if by["rests"]:
        asks = "asks before it runs by itself again: not needed for long"
    if by["runs_in"] is None:
        return asks
    return f"{asks}, in Home Assistant ({by['automation']})" if by["automation"] else f"{asks}, in Inkling"


def counted(documents: Iterable[Document], runs: Runs) -> dict[str, Any]:
    """Return how many routines there are, and their record, for `inkling status`."""
    statuses = [d.status for d in documents]
    of = {s.value: statuses.count(s) for s in (Standing.ACCEPTED, Standing.PROPOSED)}
    return {**of, **total(runs)}
