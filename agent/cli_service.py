"""`inkling run`, `demo`, `status`, `doctor` and `mode`."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.bad_payloads import SETTING as BAD_PAYLOADS
from agent.checks import Check, Health, checks
from agent.cli_answers import open_store
from agent.cli_output import (
    EXIT_UNHEALTHY,
    ConfigOption,
    JsonOption,
    ago,
    err,
    out,
    parse_span,
    print_json,
    table,
    told,
)
from agent.clock import Clock
from agent.database import Access
from agent.logs import configure_logging
from agent.requests import HomeMode
from agent.routine_record import counted, in_words, routine_runs
from agent.settings import load_settings
from agent.store import Store
from agent.suggestions import Status


@told
def run_command(config: ConfigOption = None) -> None:
    """Run the daemon: listen, learn, suggest. Ends cleanly on SIGTERM or Ctrl-C.

    Example: `inkling run --config /etc/inkling.toml`
    """
    from agent.daemon import Daemon  # noqa: PLC0415 - the other commands start faster without it

    settings = load_settings(config)
    configure_logging(settings.log)
    with Store.open(settings.store.url, synchronous=settings.store.synchronous) as store:

        async def run() -> None:
            stop = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            await Daemon(settings, store).run(stop)

        asyncio.run(run())


@told
def demo_command(
    *,
    minutes: Annotated[float, typer.Option(min=0.2, help="How long the live evening may take.")] = 1.5,
    seed: Annotated[int, typer.Option(help="Another home life for another number.")] = 7,
    database: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to keep the database (default: a new folder).")
    ] = None,
) -> None:
    """Show the main job with nothing installed: a simulated flat, learned in seconds, then a live evening.

    Example: `inkling demo --minutes 1`
    """
    from agent.demo import run_demo  # noqa: PLC0415 - only the demo needs a broker and a simulator

    path = database or Path(tempfile.mkdtemp(prefix="inkling-demo-")) / "inkling.db"
    configure_logging(load_settings(None).log.model_copy(update={"level": "error"}))
    if not asyncio.run(run_demo(path, timedelta(minutes=minutes), seed=seed)):
        err.print("The evening ended without a hunch: a longer one (--minutes 3) has room for it.")
        raise typer.Exit(1)


@told
def status_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show what the daemon knows and whether it runs.

    Example: `inkling status --json`
    """
    with open_store(config) as store:
        stats = store.stats()
        alive = store.suggestions([Status.OPEN, Status.SNOOZED])
        bad = next((s.value for s in store.settings() if s.key == BAD_PAYLOADS), None)
        running = store.database.has_writer()
        habits = counted(store.routines(), routine_runs(store))
    body: dict[str, Any] = {
        "running": running,
        "database": store.database.name,
        "events": stats.events,
        "entities": stats.entities,
        "suggestions": stats.suggestions,
        "open": len(alive),
        "oldest": stats.oldest and stats.oldest.isoformat(),
        "newest": stats.newest and stats.newest.isoformat(),
        "bytes": stats.bytes,
        "bad_payloads": bad,
        "routines": habits,
    }
    if as_json:
        print_json(body)
        return
    now = Clock().now()
    rows = [
        ("daemon", "running" if running else "not running (inkling run)"),
        ("database", f"{body['database']}, {stats.bytes / 1e6:.1f} MB"),
        ("watched", f"{stats.events:,} events of {stats.entities} entities"),
        (
            "newest event",
            ago(stats.newest, now) if stats.newest else "none yet: is the broker right? (inkling doctor)",
        ),
        ("learning since", stats.oldest.date().isoformat() if stats.oldest else "-"),
        ("suggestions", f"{len(alive)} waiting for an answer, {stats.suggestions} so far"),
    ]
    if habits["accepted"] or habits["proposed"] or habits["wins"] or habits["losses"]:
        text = f"{habits['accepted']} accepted, {habits['proposed']} proposed; {in_words(habits)}"
        rows.append(("routines", text))
    if bad:
        worst = ", ".join(bad["worst"])
        rows.append(("unreadable", f"{bad['payloads']:,} payloads on {bad['topics']} topics: {worst}"))
    table("", ("", ""), rows)


@told
def doctor_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check the settings, the broker, Home Assistant and the database; say what to do.

    Exit code 4 when something is broken. Example: `inkling doctor`
    """
    configure_logging(load_settings(config).log.model_copy(update={"level": "error"}))
    results = asyncio.run(checks(load_settings(config)))
    if as_json:
        print_json(
            [{"check": c.name, "health": c.health.value, "says": c.says, "do": c.advice} for c in results]
        )
    else:
        for c in results:
            out.print(_line(c), markup=True)
    if any(c.health is Health.BROKEN for c in results):
        raise typer.Exit(EXIT_UNHEALTHY)


def _line(c: Check) -> str:
    mark = {
        Health.GOOD: "[green]✓[/green]",
        Health.WARNING: "[yellow]![/yellow]",
        Health.BROKEN: "[red]✗[/red]",
    }
    return f"{mark[c.health]} {c.name}: {c.says}" + (f"\n    {c.advice}" if c.advice else "")


class ModeArgument(StrEnum):
    """What the residents can say about themselves."""

    HOME = "home"
    AWAY = "away"
    VACATION = "vacation"
    GUEST = "guest"


@told
def mode_command(
    mode: Annotated[
        ModeArgument, typer.Argument(help="home, away, vacation (security only) or guest (no learning).")
    ],
    span: Annotated[
        str | None, typer.Option("--for", metavar="SPAN", help="Until then: 12h, 3d, 2w.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell Inkling about guests and holidays, so that they teach it nothing.

    Example: `inkling mode guest --for 3d`
    """
    now = Clock().now()
    until = now + parse_span(span) if span else None
    body = {"mode": HomeMode(mode.value).value, "until": until and until.isoformat()}
    with open_store(config, Access.INBOX) as store:
        store.inbox_put("control", body, now)
    if as_json:
        print_json(body)
    else:
        out.print(f"Mode {mode.value}" + (f" until {until:%Y-%m-%d %H:%M} UTC" if until else ""))
