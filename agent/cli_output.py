"""How the command line speaks: tables for people, JSON for scripts, errors that say what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final, ParamSpec, TypeVar

import orjson
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from agent.errors import InklingError

EXIT_NOT_FOUND: Final = 3
EXIT_UNHEALTHY: Final = 4

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Settings file (default: inkling.toml if it exists)."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]

P = ParamSpec("P")
R = TypeVar("R")


class NotFoundError(InklingError):
    """What was asked for isn't there."""

    exit_code = EXIT_NOT_FOUND


def print_json(value: Any) -> None:
    """Print one JSON document to stdout."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def told(function: Callable[P, R]) -> Callable[P, R]:
    """Turn an InklingError into one clear message and its exit code; JSON where the command prints JSON."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except InklingError as error:
            if kwargs.get("as_json") is True:
                print_json(error.to_dict())
            else:
                err.print(f"[red]error:[/red] {error.message}", markup=True)
                if error.hint:
                    err.print(f"  {error.hint}")
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt:
            raise typer.Exit(130) from None

    return wrapper


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, or nothing but its title where there are no rows."""
    grid = Table(*columns, title=title, title_justify="left", header_style="bold", show_header=any(columns))
    for row in rows:
        grid.add_row(*row)
    out.print(grid)


@contextmanager
def progress(label: str, total: float | None) -> Iterator[Callable[..., None]]:
    """Show a progress bar on stderr (nothing where it isn't a terminal); yields `show(done, total=None)`."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done, total=None: bar.update(task, completed=done, total=total)


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago something was, for people.

    >>> from datetime import UTC, datetime, timedelta
    >>> ago(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 3, 5, tzinfo=UTC))
    '3 h 5 min ago'
    """
    seconds = int((now - at).total_seconds())
    return f"in {_span(-seconds)}" if seconds < 0 else f"{_span(seconds)} ago"


def _span(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 172_800:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86400} days"


def evidence_rows(evidence: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a suggestion's evidence as (what, value) for people: seconds as spans, lists in words.

    >>> evidence_rows({"n": 180, "median_s": 279, "longest": [{"seconds": 1186, "ended": "2026-03-12"}]})
    [('n', '180'), ('median', '4 min'), ('longest', '19 min (2026-03-12)')]
    >>> evidence_rows({"contributions": {"kind_of_day": 0.5, "hour": -0.25}})
    [('contributions', 'kind of day +0.50, hour -0.25')]
    """
    rows = []
    for key, value in evidence.items():
        name, text = key.replace("_", " "), str(value)
        if key.endswith("_s") and isinstance(value, int | float):
            name, text = key.removesuffix("_s").replace("_", " "), _span(int(value))
        elif isinstance(value, list):
            text = ", ".join(_in_words(item) for item in value)
        elif isinstance(value, Mapping):
            text = ", ".join(f"{k.replace('_', ' ')} {_signed(v)}" for k, v in value.items())
        rows.append((name, text))
    return rows


def _in_words(item: Any) -> str:
    if isinstance(item, Mapping) and set(item) == {"seconds", "ended"}:
        return f"{_span(int(item['seconds']))} ({str(item['ended'])[:16]})"
    if isinstance(item, Mapping) and "title" in item:
        return str(item["title"])  # another entity of the same message
    return str(item)


def _signed(value: Any) -> str:
    return f"{value:+.2f}" if isinstance(value, float) else str(value)


def parse_span(text: str) -> timedelta:
    """Parse "90s", "45m", "12h", "3d" or "2w".

    >>> parse_span("3d").days
    3
    """
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800}
    number, unit = text[:-1], text[-1:].lower()
    try:
        span = timedelta(seconds=float(number) * units[unit])
    except (KeyError, ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is not a time span; write 90s, 45m, 12h, 3d or 2w") from error
    if span <= timedelta(0):
        raise typer.BadParameter("a time span must be longer than nothing")
    return span


def parse_time(text: str) -> datetime:
    """Parse an ISO date or time; without a zone it is UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is not a date; write 2024-05-01 or 2024-05-01T18:30+02:00"
        ) from error
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
