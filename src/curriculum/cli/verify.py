"""`curriculum verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curriculum.cli.completion import run_names
from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.console import put, put_json

if TYPE_CHECKING:
    pass


@guarded
def verify(
    name: Annotated[str, typer.Argument(metavar="RUN", autocompletion=run_names, help="The name or path of a run.")],
    replay: Annotated[int, typer.Option("--replay", min=0, metavar="N", help="Also retrain N steps from a checkpoint, and compare.")] = 0,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Check that a stored run is intact.

    Checks every hash, the number of rows, and the range of steps.

    With --replay N, also retrain N steps, starting at the last checkpoint that has at least N steps after it, and compare
    them bit for bit with everything that was stored. The exit code is 3 if anything differs.

    Examples:

      curriculum verify runA

      curriculum verify runA --replay 500
    """
    from curriculum.errors import DifferenceError, RunError
    from curriculum.store.shelf import find_run
    from curriculum.store.verify import verify_run

    try:
        stored = find_run(name, runs)
    except RunError as error:
        raise DifferenceError(str(error)) from None
    found = verify_run(stored)
    if replay and not found.problems:
        from curriculum.runner.again import replay_steps

        found = found.joined(replay_steps(stored, replay))
    if as_json:
        put_json(found.to_json())
    else:
        for line in found.checked:
            put(line)
    if found.problems:
        raise DifferenceError("\n".join(found.problems))
    if not as_json:
        put(f"{stored.path}: no differences")
