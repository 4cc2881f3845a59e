"""`inkling trust …`: what Inkling may do unasked, and what answers have changed. All of it can be reset."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from agent.cli_answers import NOTED, effect_rows, open_store, policy_of, wait_for
from agent.cli_output import ConfigOption, JsonOption, NotFoundError, out, print_json, table, told
from agent.clock import Clock
from agent.database import Access
from agent.settings import load_settings

trust = typer.Typer(
    help="What Inkling may do unasked, and what your answers have changed.", no_args_is_help=True
)
EntityArgument = Annotated[str, typer.Argument(metavar="ENTITY", help="An entity id: light.hall.")]
DetectorOption = Annotated[
    str, typer.Option("--detector", metavar="NAME", help="What finds it: dwell, missing, conflict …")
]


@trust.command("list", epilog="Example: `inkling trust list --json`")
@told
def list_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List permissions, silences and raised bars."""
    settings = load_settings(config)
    with open_store(config) as store:
        policy = policy_of(store)
    effects = {entity_id: policy.effects(entity_id) for entity_id in policy.answered()}
    if as_json:
        print_json({"act": list(settings.hunches.act), "entities": effects})
        return
    if settings.hunches.act:
        out.print("Allowed by the settings to act unasked: " + ", ".join(settings.hunches.act))
    rows = [(e, what, text) for e, of in effects.items() for what, text in effect_rows(of)]
    if rows:
        table("What you have told Inkling", ("entity", "what", ""), rows)
        out.print("Take it back with: inkling trust reset ENTITY")
    else:
        out.print("Nothing yet: Inkling asks before it does anything, and no answer has changed a bar.")


@trust.command("allow", epilog="Example: `inkling trust allow light.hall`")
@told
def allow_command(
    entity: EntityArgument,
    detector: DetectorOption = "dwell",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let Inkling put this right by itself. It says so, and undoing it takes the permission back."""
    _permit(entity, detector, config, allowed=True, as_json=as_json)


@trust.command("forbid", epilog="Example: `inkling trust forbid light.hall`")
@told
def forbid_command(
    entity: EntityArgument,
    detector: DetectorOption = "dwell",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have Inkling ask again before it does this, whatever the settings allow."""
    _permit(entity, detector, config, allowed=False, as_json=as_json)


def _permit(entity: str, detector: str, config: Any, *, allowed: bool, as_json: bool) -> None:
    body = {"entity_id": entity, "detector": detector, "allowed": allowed}
    says = f"{'May' if allowed else 'Asks before it may'} put {entity} right by itself ({detector})."
    _request("permit", body, says, config, as_json=as_json)


@trust.command("reset", epilog="Example: `inkling trust reset light.hall`")
@told
def reset_command(entity: EntityArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Undo what your answers have changed for an entity: silences, raised bars, permissions."""
    says = f"{entity}: silences, bars and permissions are as they were at first."
    _request("reset", {"entity_id": entity}, says, config, as_json=as_json)


def _request(kind: str, body: dict[str, Any], says: str, config: Any, *, as_json: bool) -> None:
    with open_store(config, Access.INBOX) as store:
        entity_id = str(body["entity_id"])
        if not store.knows(entity_id):
            raise NotFoundError(
                f"no events of {entity_id} so far", hint="entity ids look like light.hall; is it spelt so?"
            )
        carried_out = wait_for(store, store.inbox_put(kind, body, Clock().now()))
    if as_json:
        print_json({**body, "request": kind, "carried_out": carried_out})
    elif carried_out:
        out.print(says)
    else:
        out.print(NOTED)
