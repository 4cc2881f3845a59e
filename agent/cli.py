"""The command line: `inkling`. Commands speak JSON with --json; the README lists exit codes."""

from __future__ import annotations

import typer

from agent.cli_answers import answers
from agent.cli_data import backtest_command, forget_command, import_command, record_command
from agent.cli_explain import explain_command
from agent.cli_goals import goals
from agent.cli_prior import prior
from agent.cli_routines import routines
from agent.cli_service import demo_command, doctor_command, mode_command, run_command, status_command
from agent.cli_trust import trust

app = typer.Typer(
    name="inkling",
    help="Learns what is normal in your home, and speaks up only when it is worth it.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command("run")(run_command)
app.command("demo")(demo_command)
app.command("status")(status_command)
app.command("doctor")(doctor_command)
app.command("mode")(mode_command)
app.command("import")(import_command)
app.command("record")(record_command)
app.command("backtest")(backtest_command)
app.command("explain")(explain_command)
app.command("forget")(forget_command)
app.add_typer(answers, name="suggestions")
app.add_typer(routines, name="routines")
app.add_typer(goals, name="goals")
app.add_typer(trust, name="trust")
app.add_typer(prior, name="prior")


def main() -> None:
    """Run the command line."""
    app()
