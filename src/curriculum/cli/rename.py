"""`curriculum rename`."""

from __future__ import annotations

from typing import Annotated

import typer

from curriculum.cli.completion import run_and_experiment_names
from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.console import put, put_json, say


@guarded
def rename(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN", autocompletion=run_and_experiment_names, help="The name or path of a run, of an arm, or of an experiment."
        ),
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The new name.")],
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Rename a run or an experiment.

    Updates what refers to the old name: comparisons, the runs that were trained as one stack with it, and the experiment that it is
    an arm of. The run can be verified and resumed as before.

    Examples:

      curriculum rename runA warmup-long

      curriculum rename smooth-vs-stepped/smooth gentle
    """
    from curriculum.store.renaming import rename as rename_run

    found = rename_run(name, new, runs)
    if as_json:
        put_json({"from": str(found.before), "to": str(found.path), "comparisons": list(found.comparisons), "notes": list(found.notes)})
    else:
        put(f"renamed {found.before} to {found.path}")
        if found.comparisons:
            put(f"updated the comparison{'' if len(found.comparisons) == 1 else 's'} {', '.join(found.comparisons)}")
    for note in found.notes:
        say(f"note: {note}")
