"""`inkling goals …`: what first actions imply here, which of it is wanted, what another policy would do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from agent.cli_answers import answer_rows, goal_effects, open_store
from agent.cli_output import ConfigOption, JsonOption, NotFoundError, out, print_json, table, told
from agent.engine import WEIGHED
from agent.errors import InklingError
from agent.records import Document
from agent.store import Store
from agent.suggestions import Standing, Status
from latent_goals.decision import REWARDS, Decision, Outcome, Reason
from latent_goals.off_policy import Logged, NoSupportError, OffPolicy

goals = typer.Typer(
    help="Goals: what a first action implies next, and what you made of it.", no_args_is_help=True
)
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The goal's id, or enough of its start.")]

_LEAST: Final = 30  # decisions
_LEAST_SHOWN: Final = 10
_OUTCOMES: Final = {
    Status.ACCEPTED: (Outcome.ACCEPTED,),
    Status.REJECTED: (Outcome.REJECTED,),
    Status.INTENTIONAL: (Outcome.REJECTED,),
    Status.EXPIRED: (Outcome.IGNORED,),
    Status.UNDONE: (Outcome.ACCEPTED, Outcome.UNDONE),
}


@goals.command("list", epilog="Example: `inkling goals list --all --json`")
@told
def list_command(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Goals that don't hold any more, too.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what first actions imply, and whether it is offered or quiet."""
    with open_store(config) as store:
        found = [d for d in store.goals() if everything or d.status == Standing.PROPOSED]
        effects, stats = goal_effects(store), store.stats()
    if as_json:
        print_json([public(d, effects) for d in found])
    elif found:
        table("Goals", ("id", "now", "what"), [(d.id, _now(d, effects), _title(d)) for d in found])
        out.print("Why: inkling explain ID")
    else:
        out.print(f"No goals so far: in {stats.events:,} events of {stats.entities} entities nothing follows "
                  "a first action often enough, and much oftener than without it.")  # fmt: skip


def public(document: Document, effects: Mapping[str, Any]) -> dict[str, Any]:
    """Return a goal and what became of it."""
    body = document.body
    more = {"status": document.status, "why": body["why"], "answers": effects.get(document.id)}
    return {"id": document.id, **body["goal"], **more, "since": document.created_at.isoformat()}


def _title(document: Document) -> str:
    return str(document.body["goal"].get("title", document.body["why"]))


def _now(document: Document, effects: Mapping[str, Any]) -> str:
    known = effects.get(document.id, {})
    return (
        document.status
        if document.status != Standing.PROPOSED
        else "quiet"
        if known.get("quiet")
        else "offered"
    )


@goals.command("show", epilog="Example: `inkling goals show 3fa9c1`")
@told
def show_command(goal_id: IdArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show a goal: the counts behind each step, and why it is quiet if it is."""
    with open_store(config) as store:
        found = [d for d in store.goals() if d.id.startswith(goal_id)]
        if len(found) != 1:
            hint = "inkling goals list --all shows all of them"
            raise NotFoundError(f"{'no' if not found else 'more than one'} goal {goal_id}", hint=hint)
        show(found[0], goal_effects(store), as_json=as_json)


def show(document: Document, effects: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a goal with its evidence."""
    if as_json:
        print_json(public(document, effects))
        return
    out.print(f"[bold]{_title(document)}[/bold]", markup=True)
    rows = [("status", _now(document, effects))]
    for step in document.body["goal"].get("steps", ()):
        name, e = f"{step['pattern']['target']} → {step['pattern']['verb']}", step["evidence"]
        rows.append((name, _evidence(e) if e else ""))
    table("", ("", ""), [*rows, *answer_rows(effects.get(document.id))])


def _evidence(e: Mapping[str, Any]) -> str:
    return (
        f"{e['k']} of {e['n']} times, {e['probability']:.0%}; without the first action {e['without']:.0%} "
        f"({e['controls']} comparisons); NPMI {e['npmi']:.2f}, q {e['q']:.2g}; "
        f"{e['first_day']} to {e['last_day']}"
    )


@goals.command("evaluate", epilog="Example: `inkling goals evaluate --json`")
@told
def evaluate_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Estimate from the log what showing every goal, always, would have brought, against what was done.

    An accepted suggestion is worth 1, an ignored one -1, a rejected one -2, silence 0.
    """
    with open_store(config) as store:
        log = logged(store)
    shown = sum(record.show for record in log)
    if len(log) < _LEAST or shown < _LEAST_SHOWN:
        hint = f"it takes {_LEAST} at the least, {_LEAST_SHOWN} of them shown and answered"
        raise InklingError(f"{len(log)} decisions so far, {shown} of them shown: too few to tell", hint=hint)
    rewards = (min(REWARDS.values()), max(REWARDS.values()))
    try:
        result = OffPolicy(rewards=rewards).evaluate(log, lambda _arm, _x: 1.0).to_dict()
    except NoSupportError as err:
        raise InklingError(f"the log can't tell: {err}") from err
    result |= {"shown": shown, "tells": _tells(result, rewards)}
    if as_json:
        print_json(result)
    else:
        _print_evaluation(result)


def _print_evaluation(result: Mapping[str, Any]) -> None:
    """Print the estimates, the one that the log tells best first, and whether it tells anything."""
    names = {"logged": "what was done", "snips": "always (SNIPS)", "dr": "always (doubly robust)",
             "ips": "always (IPS)", "gain": "gain of always"}  # fmt: skip
    rows = [(names[k], f"{result[k][0]:+.3f}", f"{result[k][1]:+.3f} to {result[k][2]:+.3f}") for k in names]
    table(f"Worth of an opportunity, from {result['n']} of them", ("policy", "value", "95%"), rows)
    count = f"{result['effective_n']:.0f}"
    out.print(f"{result['shown']} were shown; for what always would bring they count as {count}.")
    if not result["tells"]:
        out.print("That is too few to say what always would bring: what is unwanted was hardly ever shown, "
                  "so hardly anything is known of it.")  # fmt: skip


def _tells(result: Mapping[str, Any], rewards: tuple[float, float]) -> bool:
    """Whether the best estimate says anything: its interval is short beside all that is possible."""
    _, low, high = result["snips"]
    return bool(result["effective_n"] >= _LEAST_SHOWN and 4.0 * (high - low) <= rewards[1] - rewards[0])


def logged(store: Store) -> list[Logged]:
    """Return the decisions whose outcome is known."""
    fates = {s.suggestion.id: s for s in store.suggestions()}
    found = []
    for entry in store.journal(WEIGHED):
        body = {k: v for k, v in entry.items() if k not in {"kind", "at", "suggestion_id"}}
        decision, fate = Decision.from_dict(body), fates.get(entry["suggestion_id"])
        if decision.reason is Reason.WAITING and not decision.p_show:
            continue  # no decision: no policy asks again before it was answered
        if not decision.show:
            found.append(Logged.of(decision))
        elif fate is not None:
            by_hand = fate.status is Status.RESOLVED and "done" in fate.why
            outcomes = (Outcome.BY_HAND,) if by_hand else _OUTCOMES.get(fate.status, ())
            if outcomes:
                found.append(Logged.of(decision, *outcomes))
    return found
