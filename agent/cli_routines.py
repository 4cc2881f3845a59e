"""`inkling routines …`: what was found, what runs, and the resident's word on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

import typer

from agent.cli_answers import NOTED, open_store, wait_for
from agent.cli_output import (
    ConfigOption,
    JsonOption,
    NotFoundError,
    evidence_rows,
    out,
    print_json,
    progress,
    table,
    told,
)
from agent.clock import Clock
from agent.database import Access
from agent.errors import InklingError
from agent.mining import Job, mine_store
from agent.place import place_of
from agent.records import Document
from agent.requests import Adopt, Dismiss, request_to_dict
from agent.routine_keeper import MINED
from agent.routine_record import Runs, briefly, how, in_words, routine_runs, tally, total, who
from agent.settings import load_settings
from agent.store import Store
from agent.suggestions import Mode, Standing
from routines.naming import name_of
from routines.rendering import UnrenderableError, blueprint_of, yaml_of
from routines.routine import AtTime, Routine

routines = typer.Typer(help="Routines: find, list, accept, edit and export them.", no_args_is_help=True)
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The routine's id, or enough of its start.")]

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SETS: Final = {"weekdays": tuple(range(5)), "weekends": (5, 6), "daily": ()}
_CURRENT: Final = (Standing.PROPOSED, Standing.ACCEPTED)


def _find(store: Store, prefix: str) -> Document:
    found = [d for d in store.routines() if d.id.startswith(prefix)]
    if not found:
        raise NotFoundError(f"no routine {prefix}", hint="inkling routines list --all shows all of them")
    if len(found) > 1:
        raise NotFoundError(
            f"{prefix} could be any of {', '.join(d.id for d in found[:5])}", hint="give more of the id"
        )
    return found[0]


def _routine(document: Document) -> Routine:
    return Routine.from_dict(document.body["routine"])


def _public(document: Document, runs: Runs) -> dict[str, Any]:
    body = document.body
    more = {
        "status": document.status,
        "mode": body["mode"],
        "why": body["why"],
        **who(document),
        "runs": tally(of) | {"last": of.get("last")} if (of := runs.get(document.id)) else None,
    }
    return {**body["routine"], **more, "since": document.created_at.isoformat()}


@routines.command("list", epilog="Example: `inkling routines list --all --json`")
@told
def list_command(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Rejected and retired ones too.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what is proposed and what runs; nothing to list says why."""
    with open_store(config) as store:
        found = [d for d in store.routines() if everything or d.status in _CURRENT]
        report, runs = _report(store), routine_runs(store)
    if as_json:
        listed = [_public(d, runs) for d in found]
        print_json({"routines": listed, "last_search": report, "runs": total(runs)})
    elif found:
        rows = [
            (d.id, d.status, how(d), _record(_routine(d)), briefly(runs.get(d.id)), _routine(d).name)
            for d in found
        ]
        table("Routines", ("id", "status", "how", "right", "ran", "what"), rows)
        if runs:
            out.print(f"All routines so far: {in_words(total(runs))}.")
        out.print("Answer with: inkling routines accept|reject|edit ID")
    elif report is None:
        out.print("No routines, and no search so far: the daemon searches each night; "
                  "inkling routines mine does it now.")  # fmt: skip
    else:
        out.print(f"No routines. The last search ({report['at'][:16]}): {report['text']}.")


def _report(store: Store) -> dict[str, Any] | None:
    return next((s.value for s in store.settings() if s.key == MINED), None)


def _record(routine: Routine) -> str:
    e = routine.evidence
    return f"{e.wins} of {e.wins + e.losses}" if e.held_out is not None else "too new to tell"


@routines.command("show", epilog="Example: `inkling routines show 3fa9c1`")
@told
def show_command(routine_id: IdArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show a routine with everything that speaks for it."""
    with open_store(config) as store:
        document, runs = _find(store, routine_id), routine_runs(store)
    show(document, runs, as_json=as_json)


def show(document: Document, runs: Runs, *, as_json: bool) -> None:
    """Print a routine with its evidence."""
    if as_json:
        print_json(_public(document, runs))
        return
    routine, body = _routine(document), document.body["routine"]
    out.print(f"[bold]{routine.name}[/bold]", markup=True)
    why = f" ({document.body['why']})" if document.body["why"] else ""
    rows = [("status", document.status + why), ("how", how(document))]
    if document.id in runs:
        rows += [("record", in_words(tally(runs[document.id])))]
    rows += [("trigger", _plain(body["trigger"]))]
    rows += [("step", _plain(s)) for s in body["steps"]]
    rows += [("condition", f"{k} {v}") for k, v in body["conditions"].items() if v not in (None, [], ())]
    table("", ("", ""), [*rows, *evidence_rows(body["evidence"])])


def _plain(body: dict[str, Any]) -> str:
    return ", ".join(f"{k} {v}" for k, v in body.items() if v not in (None, [], 0.0))


@routines.command("accept", epilog="Example: `inkling routines accept 3fa9c1 --ask`")
@told
def accept_command(
    routine_id: IdArgument,
    ask: Annotated[
        bool | None,
        typer.Option("--ask/--run", help="Ask each time, or run by itself (default: as offered)."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make it a routine: an automation in Home Assistant, or carried out by Inkling without it."""
    with open_store(config, Access.INBOX) as store:
        document = _find(store, routine_id)
        mode = Mode(document.body["mode"]) if ask is None else Mode.ASK if ask else Mode.ACT
        _request(store, Adopt(Clock().now(), _routine(document), mode), document.id, as_json=as_json)


@routines.command("reject", epilog="Example: `inkling routines reject 3fa9c1`")
@told
def reject_command(routine_id: IdArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Never propose it again; stop it if it runs, and delete its automation."""
    with open_store(config, Access.INBOX) as store:
        document = _find(store, routine_id)
        _request(store, Dismiss(Clock().now(), document.id, "you said so"), document.id, as_json=as_json)


@routines.command("edit", epilog="Example: `inkling routines edit 3fa9c1 --at 06:40 --skip switch.coffee`")
@told
def edit_command(
    routine_id: IdArgument,
    *,
    at: Annotated[str | None, typer.Option(metavar="HH:MM", help="Run at this local time.")] = None,
    skip: Annotated[list[str] | None, typer.Option(metavar="ENTITY", help="Leave this step out.")] = None,
    days: Annotated[
        str | None, typer.Option(metavar="DAYS", help="weekdays, weekends, daily, or mon,wed,fri.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Call it so.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a routine, and accept it so."""
    with open_store(config, Access.INBOX) as store:
        document = _find(store, routine_id)
        before = _routine(document)
        after = edited(before, at=at, skip=skip or [], days=days, name=name)
        replaces = document.id if after.id != document.id else None
        adopt = Adopt(Clock().now(), after, Mode(document.body["mode"]), replaces=replaces)
        _request(store, adopt, after.id, as_json=as_json)


def edited(
    routine: Routine, *, at: str | None, skip: list[str], days: str | None, name: str | None
) -> Routine:
    """Return the routine as a resident wants it. Raises InklingError for what makes no sense."""
    known = {s.entity_id for s in routine.steps}
    if unknown := sorted(set(skip) - known):
        raise InklingError(
            f"no step concerns {', '.join(unknown)}", hint=f"the steps are {', '.join(sorted(known))}"
        )
    steps = tuple(s for s in routine.steps if s.entity_id not in skip)
    if not steps:
        raise InklingError("no step would be left", hint="inkling routines reject ID lets it go")
    after = replace(routine, steps=steps)
    if at is not None:
        after = replace(after, trigger=AtTime(_minute(at)))
    if days is not None:
        after = replace(after, conditions=replace(after.conditions, weekdays=_weekdays(days)))
    if after == routine and name is None:
        raise InklingError("nothing to change", hint="give --at, --skip, --days or --name")
    return replace(after, name=name or (routine.name if after == routine else name_of(after)))


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    if not (hours.isdigit() and minutes.isdigit() and int(hours) < 24 and int(minutes) < 60):
        raise InklingError(f"{text} is no time of day", hint="write it as 06:40")
    return int(hours) * 60 + int(minutes)


def _weekdays(text: str) -> tuple[int, ...]:
    if text in _SETS:
        return _SETS[text]
    names = [part.strip().lower()[:3] for part in text.split(",")]
    if wrong := [n for n in names if n not in _DAYS]:
        raise InklingError(
            f"no such day: {', '.join(wrong)}", hint="weekdays, weekends, daily, or mon,wed,fri"
        )
    return tuple(sorted({_DAYS.index(n) for n in names}))


@routines.command("export", epilog="Example: `inkling routines export 3fa9c1 --blueprint > breakfast.yaml`")
@told
def export_command(
    routine_id: IdArgument,
    *,
    blueprint: Annotated[bool, typer.Option("--blueprint", help="As a blueprint, to share.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a routine as a Home Assistant automation in YAML, or as a blueprint."""
    with open_store(config) as store:
        routine = _routine(_find(store, routine_id))
    try:
        text = blueprint_of(routine) if blueprint else yaml_of(routine)
    except UnrenderableError as err:
        raise InklingError(f"Home Assistant has no automation for it: {err}") from err
    if as_json:
        print_json({"id": routine.id, "yaml": text})
    else:
        typer.echo(text, nl=False)


@routines.command("mine", epilog="Example: `inkling routines mine --days 60 --dry-run`")
@told
def mine_command(
    *,
    days: Annotated[
        int | None, typer.Option(min=7, max=400, help="How far back (default: the setting).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be found.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search the past for routines now, rather than tonight, and propose the best."""
    settings = load_settings(config)
    options = settings.routines
    with open_store(config, Access.INBOX) as store:
        home = place_of(settings, store).calendar
        job = Job(
            url=settings.store.url,
            until=Clock().now().isoformat(),
            days=days or options.days,
            time_zone=home.zone.key,
            latitude=home.latitude,
            longitude=home.longitude,
            include_unknown=options.include_unknown(known=settings.home_assistant.configured),
        )
        with progress("searching", 1.0) as bar:
            mined = mine_store(job, lambda _stage, share: bar(share))
        body = request_to_dict(mined)
        carried_out = None if dry_run else wait_for(store, store.inbox_put("mined", body, mined.at))
    if as_json:
        print_json({**body, "carried_out": carried_out})
        return
    rows = [(r.id, _record(r), r.name) for r in mined.routines]
    if rows:
        table("Found, the most useful first", ("id", "right", "what"), rows)
    out.print(f"{mined.report['text']}.")
    if carried_out is False:
        out.print(NOTED)
    elif carried_out and rows:
        out.print("The best is proposed, unless an automation does it already: inkling routines list")


def _request(store: Store, event: Adopt | Dismiss, routine_id: str, *, as_json: bool) -> None:
    body = request_to_dict(event)
    carried_out = wait_for(store, store.inbox_put(body["kind"], body, event.at))
    after = next((d for d in store.routines() if d.id == routine_id), None)
    if as_json:
        routine = _public(after, routine_runs(store)) if after else None
        print_json({**body, "carried_out": carried_out, "routine": routine})
    elif not carried_out:
        out.print(NOTED)
    elif after is not None:
        out.print(f"{_routine(after).name}\n→ {after.status}, {how(after)}")
