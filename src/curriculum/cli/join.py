"""`curriculum join`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curriculum.cli.completion import run_names
from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.console import put, put_json, say

if TYPE_CHECKING:
    pass


@guarded
def join_run(
    name: Annotated[str, typer.Argument(metavar="RUN", autocompletion=run_names, help="The name or path of a run.")],
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Join the blocks of seeds in a run that have finished.

    Training does so by itself when a block has finished. This command is for blocks that were copied into the folder
    RUN/blocks, such as the shards of an array job, and for those of a process that was killed while it joined them.

    Examples:

      cp -r other-machine/runs/runA runs/runA/blocks/8-15 && curriculum join runA
    """
    from curriculum.store.blocks import seeds_text
    from curriculum.store.joining import join
    from curriculum.store.reader import Run
    from curriculum.store.shelf import find_run
    from curriculum.store.waiting import waiting

    stored = find_run(name, runs)
    found = join(stored.path)
    run = Run(stored.path)
    for note in waiting(run):
        say(f"note: {note}")
    if as_json:
        put_json({"run": run.name, "path": str(run.path), "added": list(found.added), "seeds": list(run.seeds)})
    elif found.added:
        put(f"{run.path}: joined the seeds {seeds_text(found.added)}; {len(run.seeds)} seed(s) in all")
    else:
        put(f"{run.path}: nothing to join; {found.seeds} seed(s) in all")
