"""`curriculum export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from curriculum.cli.completion import run_and_experiment_names
from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.console import put, put_json, say


class ExportFormat(StrEnum):
    """What runs are exported as."""

    csv = "csv"
    tensorboard = "tensorboard"


@guarded
def export(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            autocompletion=run_and_experiment_names,
            help="One or more runs, or the name of an experiment for all its arms.",
        ),
    ],
    form: Annotated[ExportFormat, typer.Option("--format", help="What to write: CSV tables, or event files of TensorBoard.")] = (
        ExportFormat.csv
    ),
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="The folder to write; with several runs, each gets a folder in it. Default: RUN-csv or RUN-tensorboard for each.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export of that name.")] = False,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Export runs for R, spreadsheets and pandas, or for TensorBoard.

    As CSV, a run becomes metrics.csv (the losses of each step and seed), curves.csv (errors and scores, each at its own steps),
    schedule.csv, seeds.csv, and a README.md that says what each column is. For TensorBoard, each seed becomes a run of its own, and
    so does the schedule. Needs the package tensorboard.

    Examples:

      curriculum export runA

      curriculum export smooth-vs-stepped -o tables

      curriculum export runA runB --format tensorboard -o logs
    """
    from curriculum.cli.progress import Bar
    from curriculum.errors import InputError, RunError
    from curriculum.store.event_export import check_tensorboard
    from curriculum.store.experiment import experiment_folder, find_runs
    from curriculum.store.exporting import export as write
    from curriculum.store.exporting import plan_exports
    from curriculum.store.waiting import waiting

    if form == ExportFormat.tensorboard:
        check_tensorboard()
    chosen = find_runs(names, runs)[0]
    together = experiment_folder(names[0], runs) if len(names) == 1 else None
    if not chosen:
        raise InputError(f"{together} has no runs")
    for run in chosen:
        if not run.trained_steps:
            raise RunError("\n".join([f"{run.path} has no trained steps yet: there is nothing to export", *waiting(run)]))
    exports = plan_exports(chosen, form.value, output, None if together is None else together.resolve().name)
    with Bar("exporting", sum(len(run.seeds) for own in exports for run in own.runs.values()), "seed", patience=2.0) as bar:
        written = list(zip(exports, write(exports, form.value, force, bar.update), strict=True))
    for run in chosen:
        for note in waiting(run):
            say(f"note: {run.path}: {note}")
    if as_json:
        put_json(
            [
                {"path": str(own.path), "format": form.value, "runs": [str(run.path) for run in own.runs.values()], "files": files}
                for own, files in written
            ]
        )
        return
    for own, files in written:
        put(f"{own.path}: {len(files)} files of {', '.join(run.name for run in own.runs.values())}")
