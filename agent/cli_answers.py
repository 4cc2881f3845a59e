"""`inkling suggestions …`: what was suggested, why, and the resident's answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from agent.cli_output import (
    ConfigOption,
    JsonOption,
    NotFoundError,
    ago,
    evidence_rows,
    out,
    parse_span,
    print_json,
    table,
    told,
)
from agent.clock import Clock
from agent.database import Access
from agent.engine import GOALS, POLICY
from agent.errors import InklingError
from agent.policy import Policy
from agent.records import StoredSuggestion
from agent.settings import load_settings
from agent.store import Store
from agent.suggestions import Mode, Status, Verdict

answers = typer.Typer(help="List, show and answer suggestions.", no_args_is_help=True)

_ALIVE: Final = (Status.OPEN, Status.SNOOZED)
_WAIT_S: Final = 5.0
NOTED: Final = "Noted. The daemon isn't running; it will carry this out when it starts (inkling run)."
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The suggestion's id, or enough of its start.")]


def open_store(config: Any, access: Access = Access.READ) -> Store:
    """Open the database that the settings name; there must be one."""
    settings = load_settings(config)
    return Store.open(settings.store.url, access=access, create=False)


def find(store: Store, prefix: str) -> StoredSuggestion:
    """Return the one suggestion whose id starts so."""
    found = store.find_suggestions(prefix)
    if not found:
        raise NotFoundError(
            f"no suggestion {prefix}", hint="inkling suggestions list --all shows all of them"
        )
    if len(found) > 1:
        some = ", ".join(s.suggestion.id for s in found[:5])
        raise NotFoundError(f"{prefix} could be any of {some}", hint="give more of the id")
    return found[0]


@answers.command("list", epilog="Example: `inkling suggestions list --all --json`")
@told
def list_command(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Answered and expired ones too.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what is waiting for an answer."""
    with open_store(config) as store:
        found = store.suggestions(() if everything else _ALIVE, limit=limit)
        if as_json:
            print_json([s.to_dict() for s in found])
        elif found:
            now = Clock().now()
            rows = [
                (s.suggestion.id, s.status.value, ago(s.suggestion.raised_at, now), s.suggestion.title)
                for s in found
            ]
            table("Suggestions", ("id", "status", "raised", "what"), rows)
            if any(s.status in _ALIVE for s in found):
                out.print("Answer with: inkling suggestions accept|reject|snooze|intentional ID")
        else:
            stats = store.stats()
            out.print(
                f"Nothing needs you. ({stats.events:,} events of {stats.entities} entities watched, "
                f"{stats.suggestions} suggestions so far; inkling suggestions list --all shows them)"
            )


@answers.command("show", epilog="Example: `inkling suggestions show 3fa9c1`")
@told
def show_command(suggestion_id: IdArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show one suggestion with its evidence."""
    with open_store(config) as store:
        explain(store, suggestion_id, as_json=as_json)


def _answer(suggestion_id: str, verdict: Verdict, config: Any, *, as_json: bool, **more: Any) -> None:
    with open_store(config, Access.INBOX) as store:
        found = find(store, suggestion_id)
        if not _can_be(verdict, found):
            raise InklingError(
                f"suggestion {found.suggestion.id} is {found.status.value}: too late to {verdict.value} it",
                hint="inkling suggestions list shows what can be answered",
            )
        body = {"suggestion_id": found.suggestion.id, "verdict": verdict.value, **more}
        item = store.inbox_put("feedback", body, Clock().now())
        carried_out = wait_for(store, item)
        now = find(store, found.suggestion.id)
        commands = store.commands(found.suggestion.id)
    if as_json:
        print_json({**now.to_dict(), "carried_out": carried_out})
        return
    if not carried_out:
        out.print(NOTED)
        return
    out.print(f"{now.suggestion.title}\n→ {now.status.value}")
    if commands and verdict in {Verdict.ACCEPTED, Verdict.UNDONE}:
        last = commands[-1]
        out.print(f"  {last.entity_id} → {last.state}")
    if verdict is Verdict.ACCEPTED and commands:
        out.print(f"  take it back with: inkling suggestions undo {now.suggestion.id}")


def _can_be(verdict: Verdict, found: StoredSuggestion) -> bool:
    alive = found.status in _ALIVE
    if verdict is not Verdict.UNDONE:
        return alive
    return found.status is Status.ACCEPTED or (alive and found.suggestion.mode is Mode.ACT)


def wait_for(store: Store, item: int) -> bool:
    """Wait a little for the daemon to carry out a request; return whether it has."""
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        if not store.inbox_pending(item):
            return True
        time.sleep(0.05)
    return False


@answers.command("accept", epilog="Example: `inkling suggestions accept 3fa9c1`")
@told
def accept_command(
    suggestion_id: IdArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Accept: do what it proposes."""
    _answer(suggestion_id, Verdict.ACCEPTED, config, as_json=as_json)


@answers.command("reject", epilog="Example: `inkling suggestions reject 3fa9c1`")
@told
def reject_command(
    suggestion_id: IdArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Reject: not now, and a higher bar from now on."""
    _answer(suggestion_id, Verdict.REJECTED, config, as_json=as_json)


@answers.command("intentional", epilog="Example: `inkling suggestions intentional 3fa9c1`")
@told
def intentional_command(
    suggestion_id: IdArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Not a problem: never again for this entity in these circumstances."""
    _answer(suggestion_id, Verdict.INTENTIONAL, config, as_json=as_json)


@answers.command("snooze", epilog="Example: `inkling suggestions snooze 3fa9c1 --for 2h`")
@told
def snooze_command(
    suggestion_id: IdArgument,
    span: Annotated[str, typer.Option("--for", help="How long: 45m, 2h, 1d.")] = "1h",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say it again later, if it is still true then."""
    seconds = parse_span(span).total_seconds()
    _answer(suggestion_id, Verdict.SNOOZED, config, as_json=as_json, snooze_s=seconds)


@answers.command("undo", epilog="Example: `inkling suggestions undo 3fa9c1`")
@told
def undo_command(suggestion_id: IdArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Take back what accepting did."""
    _answer(suggestion_id, Verdict.UNDONE, config, as_json=as_json)


def explain(store: Store, prefix: str, *, as_json: bool) -> None:
    """Print a suggestion: the counts and times behind it, the comparison, what answers have changed."""
    found = find(store, prefix)
    commands = store.commands(found.suggestion.id)
    answered = _answers(store, found.suggestion.entity_id)
    effects = policy_of(store).effects(found.suggestion.entity_id)
    goal = goal_effects(store).get(found.suggestion.context_key)
    body = found.to_dict() | {
        "commands": [{"entity_id": c.entity_id, "state": c.state, "at": c.at.isoformat()} for c in commands],
        "your_answers": answered,
        "effects": effects,
        "goal": goal,
    }
    if as_json:
        print_json(body)
        return
    s = found.suggestion
    out.print(f"[bold]{s.title}[/bold]", markup=True)
    fate = found.status.value + (f" ({found.why})" if found.why else "")
    rows = [
        ("status", fate),
        ("raised", s.raised_at.isoformat(timespec="seconds")),
        ("entity", s.entity_id),
        (
            "detector",
            f"{s.detector}: surprise {s.score:.2f}, raised at {s.threshold:.2f} (-log10 of the probability)",
        ),
        ("compared with", s.context_key),
        *((f"  {name}", text) for name, text in evidence_rows(s.evidence)),
        *(("done", f"{c.entity_id} → {c.state} at {c.at.isoformat(timespec='seconds')}") for c in commands),
        *(("would do", f"{a.entity_id} → {a.state}") for a in s.actions if not commands),
    ]
    rows += [("you answered", f"{a['answer']} on {a['at'][:16]} to: {a['to']}") for a in answered]
    changed = effect_rows(effects)
    table("", ("", ""), [*rows, *answer_rows(goal), *changed])
    if changed:
        out.print(f"Take back what your answers changed with: inkling trust reset {s.entity_id}")


def policy_of(store: Store) -> Policy:
    """Return what answers have changed, as the daemon last wrote it."""
    policy = Policy()
    for setting in store.settings():
        if setting.key == POLICY:
            policy.load(setting.value)
    return policy


def goal_effects(store: Store) -> Mapping[str, Any]:
    """Return what answers have changed, by goal, as the daemon last wrote it."""
    return next((s.value for s in store.settings() if s.key == GOALS), {})


def answer_rows(known: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return what answers have taught about a goal, as (what, value) for people."""
    if not known:
        return []
    silent = known.get("not_asked")
    last = [("not asked", f"{silent['why']} ({silent['at']})")] if silent else []
    if not known["shown"]:
        return last
    answers = ", ".join(f"{n} x {outcome}" for outcome, n in known["answers"].items()) or "none yet"
    rows = [("shown", f"{known['shown']} times; answers: {answers}")]
    rows += [("worse than silence", f"with a probability of {known['p_worse_than_silence']:.2f}")]
    return [*rows, *([("quiet because", known["why"])] if known["quiet"] else []), *last]


def effect_rows(effects: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the effects of answers as (what, value) for people."""
    acts = [
        (f"acts unasked ({d})", "yes" if said else "no: asks") for d, said in effects["acts_unasked"].items()
    ]
    silences = [(f"not a problem ({d})", context) for d, context in effects["silenced"]]
    bars = [
        (f"bar ({d})", f"{bar:+.2f}: {'more' if bar > 0 else 'less'} surprise needed")
        for d, bar in effects["raised_bar"].items()
    ]
    return [*acts, *silences, *bars]


def _answers(store: Store, entity_id: str) -> list[dict[str, str]]:
    """Return how suggestions about an entity were answered before: what its present bar comes from."""
    about = {
        s.suggestion.id: s.suggestion for s in store.suggestions() if s.suggestion.entity_id == entity_id
    }
    return [
        {"at": entry["at"], "answer": entry["verdict"], "to": about[entry["suggestion_id"]].title}
        for entry in store.journal("feedback")
        if entry["suggestion_id"] in about
    ]
