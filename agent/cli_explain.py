"""`inkling explain ID`: whatever was suggested, why."""

from __future__ import annotations

from typing import Annotated

import typer

from agent import cli_answers, cli_goals, cli_routines
from agent.cli_output import ConfigOption, JsonOption, told
from agent.routine_record import routine_runs


@told
def explain_command(
    what: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The id of a suggestion, a routine or a goal, or enough of its start."
        ),
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a suggestion, a routine or a goal: the counts and times behind it, what your answers changed.

    Example: `inkling explain 3fa9c1`
    """
    with cli_answers.open_store(config) as store:
        routines = [d for d in store.routines() if d.id.startswith(what)]
        goals = [d for d in store.goals() if d.id.startswith(what)]
        if store.find_suggestions(what) or len(routines) + len(goals) != 1:
            cli_answers.explain(store, what, as_json=as_json)
        elif routines:
            cli_routines.show(routines[0], routine_runs(store), as_json=as_json)
        else:
            cli_goals.show(goals[0], cli_answers.goal_effects(store), as_json=as_json)
