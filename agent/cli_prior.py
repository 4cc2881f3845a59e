"""`inkling prior build`: what other homes do, as a start for one that has just begun to learn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import orjson
import typer

from agent.assembly import build_calendar
from agent.cli_output import ConfigOption, JsonOption, out, print_json, progress, told
from agent.errors import InklingError
from agent.importers import read_recording
from agent.settings import Settings, load_settings
from latent_goals.goals import rates_of
from latent_goals.prior import build_prior
from latent_goals.privacy import laplace

prior = typer.Typer(help="What is known of other homes, for a new one.", no_args_is_help=True)


@prior.callback()
def _prior() -> None:
    """What is known of other homes, for a new one."""


@prior.command("build", epilog="Example: `inkling prior build homes/*.jsonl.gz --epsilon 1 --to prior.json`")
@told
def build_command(
    recordings: Annotated[
        list[Path], typer.Argument(metavar="RECORDING…", help="Recordings, one a home (.jsonl, .jsonl.gz).")
    ],
    *,
    to: Annotated[Path, typer.Option(metavar="FILE", help="Where to write it.")],
    epsilon: Annotated[
        float | None,
        typer.Option(min=0.001, help="Differential privacy of each home, by OpenDP (pip install opendp)."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pool recordings of homes into a prior: how often residents do what; it names no home.

    With --epsilon the file is ε-differentially private, a whole home being what is protected: it takes some
    dozens of homes before anything is left above the noise. Without it nothing is promised. A home uses it
    by `[goals] prior = "prior.json"`.
    """
    if missing := [str(p) for p in recordings if not p.is_file()]:
        raise InklingError(f"no recording {', '.join(missing)}", hint="inkling record writes one")
    try:
        made = build_prior(_rates(recordings, load_settings(config)), epsilon, noise=laplace)
    except ImportError as err:
        raise InklingError("OpenDP isn't installed", hint='pip install "inkling-home\\[privacy]"') from err
    to.write_bytes(orjson.dumps(made.to_dict(), option=orjson.OPT_INDENT_2))
    if as_json:
        print_json({"file": str(to), **made.to_dict()})
        return
    promise = f"ε = {epsilon} for each home" if epsilon is not None else "no privacy was asked for"
    out.print(f"{len(made.follow_ups)} follow-ups of {len(recordings)} homes written to {to}; {promise}.")


def _rates(recordings: list[Path], settings: Settings) -> Iterator[dict[str, float]]:
    with progress("reading", len(recordings)) as show:
        for n, path in enumerate(recordings, 1):
            changes = sorted(read_recording(path), key=lambda c: c.changed_at)
            unknown = settings.routines.include_unknown(known=any(c.by_resident for c in changes))
            yield rates_of(changes, build_calendar(settings), include_unknown=unknown)
            show(n)
