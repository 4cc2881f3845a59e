"""`inkling import`, `record`, `backtest` and `forget`: what is known of the home's past."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import orjson
import typer

from agent.assembly import build_calendar, build_pipeline
from agent.backtest import Backtest, backtest
from agent.cli_answers import open_store
from agent.cli_output import ConfigOption, JsonOption, out, parse_time, print_json, progress, table, told
from agent.clock import Clock
from agent.engine import Engine
from agent.errors import InklingError
from agent.importers import Tally, load_into, read_recorder_db, read_recording, write_recording
from agent.mining import NightlyMiner
from agent.place import Place, find_place
from agent.settings import Settings, load_settings
from agent.store import Store
from agent.ticker import Ticker
from devices.events import StateChange


@told
def import_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A recording (.jsonl[.gz]), Home Assistant's home-assistant_v2.db, or 'history': its API.",
        ),
    ],
    *,
    since: Annotated[str | None, typer.Option(metavar="DATE", help="Only what is newer.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn from the past: a recording, the recorder's database or Home Assistant's history.

    Importing twice adds nothing. The daemon must be stopped meanwhile.

    Example: `inkling import ~/homeassistant/home-assistant_v2.db`
    """
    settings = load_settings(config)
    start = parse_time(since) if since else None
    with Store.open(settings.store.url, synchronous=settings.store.synchronous) as store:
        tally = Tally()
        with progress("importing", None) as show:
            loaded = load_into(store, _shown(_source(source, start, settings, tally), tally, show))
        place = learn(store, settings)
        stats = store.stats()
    if as_json:
        counts = {"read": tally.read, "bad": tally.bad, "new": loaded.new, "duplicates": loaded.duplicates}
        where = {"time_zone": place.zone, "time_zone_from": place.source.value}
        print_json(counts | {"events": stats.events, "entities": stats.entities} | where)
        return
    out.print(
        f"{loaded.new:,} changes imported, {loaded.duplicates:,} were known, {tally.bad:,} unreadable; "
        f"the home now has {stats.events:,} events of {stats.entities} entities."
    )
    out.print(f"Habits are learned in {place.in_words()}.")
    if not loaded.new + loaded.duplicates:
        out.print("Nothing was found: is this the right file, and does --since leave something?")


def _shown(
    changes: Iterable[StateChange], tally: Tally, show: Callable[[float, float | None], None]
) -> Iterator[StateChange]:
    for count, change in enumerate(changes):
        if count % 1000 == 0:
            show(tally.done, tally.total or None)
        yield change


def _source(source: str, since: datetime | None, settings: Settings, tally: Tally) -> Iterator[StateChange]:
    if source == "history":
        from agent.history import read_history  # noqa: PLC0415 - Home Assistant's client takes half a second

        def show(done: int, total: int) -> None:
            tally.done, tally.total = done, total

        past = asyncio.run(read_history(settings.home_assistant, Clock().now(), since, show))
        tally.read = len(past)
        return iter(past)
    path = Path(source)
    if not path.is_file():
        raise InklingError(f"no file {source}", hint="give a recording, home-assistant_v2.db, or 'history'")
    if path.suffix == ".db":
        return read_recorder_db(path, since, tally)
    changes = read_recording(path, tally)
    return (c for c in changes if since is None or c.changed_at >= since)


def learn(store: Store, settings: Settings) -> Place:
    """Learn the whole log anew, in order of time, and keep the result as a snapshot; return where it was."""
    place = asyncio.run(find_place(settings, store))
    engine = Engine(store, build_pipeline(settings), Ticker(timedelta(seconds=max(60.0, settings.tick_s))))
    engine.locate(place.calendar)
    with progress("learning", store.stats().events) as show:
        engine.relearn(show)
    engine.snapshot(Clock().now())
    return place


@told
def record_command(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it (.jsonl.gz).")],
    *,
    since: Annotated[str | None, typer.Option(metavar="DATE", help="From this time on.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="Up to this time.")] = None,
    entity: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Only these entities.")] = None,
    redact: Annotated[
        bool, typer.Option("--redact", help="Replace names by pseudonyms, to share it.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write what the home did as a recording, to replay or to share.

    Example: `inkling record home.jsonl.gz --since 2024-05-01 --redact`
    """
    with open_store(config) as store:
        changes = store.events(
            parse_time(since) if since else None, parse_time(until) if until else None, entity or ()
        )
        count = write_recording(target, changes, redact=redact)
    if as_json:
        print_json({"file": str(target), "changes": count, "redacted": redact})
    else:
        out.print(f"{count:,} changes written to {target}" + (", redacted" if redact else ""))


@told
def backtest_command(
    recordings: Annotated[
        list[Path], typer.Argument(metavar="RECORDING…", help="Recordings (.jsonl, .jsonl.gz).")
    ],
    *,
    config: ConfigOption = None,
    warmup: Annotated[
        float | None,
        typer.Option(metavar="DAYS", min=0, help="Only learn for this long (default: the setting)."),
    ] = None,
    json_to: Annotated[
        Path | None,
        typer.Option("--json", metavar="OUT", help="Write JSON Lines there; - is standard output."),
    ] = None,
) -> None:
    """Replay recordings: what would Inkling have said, with nobody answering?

    One JSON line a suggestion, and a last line {"summary": …}. The same recording gives the same bytes.
    Several recordings are replayed one by one, each a home of its own; their lines name the recording.

    Example: `inkling backtest home.jsonl.gz --warmup 14 --json out.jsonl`
    """
    overrides = {} if warmup is None else {"warmup_days": warmup}
    settings = load_settings(config, **overrides)
    several = len(recordings) > 1
    chunks: list[bytes] = []
    rows: list[tuple[str, ...]] = []
    for path in recordings:
        result = _replay(path, settings)
        if several:
            lines = [{**line, "recording": path.name} for line in result.lines()]
            chunks += [orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines]
        else:
            chunks.append(result.to_json_lines())
        rows += _rows(path, result)
    if json_to is None:
        _show(rows)
    elif str(json_to) == "-":
        typer.get_binary_stream("stdout").write(b"".join(chunks))
    else:
        json_to.write_bytes(b"".join(chunks))


def _replay(path: Path, settings: Settings) -> Backtest:
    if not path.is_file():
        raise InklingError(
            f"no recording {path}", hint="give a .jsonl or .jsonl.gz file; inkling record writes one"
        )
    changes = sorted(read_recording(path), key=lambda c: c.changed_at)
    unknown = settings.routines.include_unknown(known=any(c.by_resident for c in changes))
    pipeline = build_pipeline(settings, trial=True, include_unknown=unknown)
    miner = _miner(settings, include_unknown=unknown)
    with progress(path.name, len(changes)) as show:
        count = 0

        def step(_change: StateChange) -> None:
            nonlocal count
            count += 1
            if count % 2000 == 0:
                show(count)

        return backtest(
            pipeline, changes, tick=timedelta(seconds=settings.tick_s), miner=miner, progress=step
        )


def _miner(settings: Settings, *, include_unknown: bool) -> NightlyMiner | None:
    routines = settings.routines
    if not routines.enabled:
        return None
    return NightlyMiner(
        build_calendar(settings), routines.mine_at, include_unknown=include_unknown, days=routines.days
    )


def _rows(path: Path, result: Backtest) -> list[tuple[str, ...]]:
    s = result.summary()
    rows: list[tuple[str, ...]] = [
        (path.name, line["raised_at"][:16], line["detector"], line["title"], line["status"])
        for line in result.suggestions.values()
    ]
    return [*rows, (path.name, "", "", f"{s['suggestions']} in {s['days']} days, {s['events']:,} events", "")]


def _show(rows: list[tuple[str, ...]]) -> None:
    table("What Inkling would have said", ("recording", "raised", "detector", "what", "became"), rows)


@told
def forget_command(
    entity: Annotated[str | None, typer.Argument(metavar="ENTITY", help="Drop this entity.")] = None,
    *,
    before: Annotated[str | None, typer.Option(metavar="DATE", help="Drop everything older.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove data, and what was learned from it. The daemon must be stopped meanwhile.

    Examples: `inkling forget camera.garden`, `inkling forget --before 2024-01-01`
    """
    if (entity is None) == (before is None):
        raise typer.BadParameter("give either an entity or --before DATE")
    settings = load_settings(config)
    with Store.open(settings.store.url, create=False) as store:
        count = store.forget(entity) if entity else store.forget_before(parse_time(before or ""))
        learn(store, settings)
    if as_json:
        print_json({"forgotten": count, "entity": entity, "before": before})
    else:
        out.print(f"{count:,} events forgotten, and all that was learned from them.")
