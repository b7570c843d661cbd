"""`curriculum verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.console import put, put_json

if TYPE_CHECKING:
    pass


@guarded
def verify(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run.")],
    replay: Annotated[int, typer.Option("--replay", min=0, metavar="N", help="Also train N steps again, from a checkpoint.")] = 0,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Check that a run is what was stored: every hash, the number of rows, the range of steps.

    With --replay it also trains some steps again, from a checkpoint that has as many steps after it, and compares everything that
    was stored of them, bit for bit. Exit code 3 where anything differs.

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
        put(f"{stored.path}: nothing differs")
