"""`curriculum tune`."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Annotated

import typer

from curriculum.cli.compare import compare_and_print, tables_of
from curriculum.cli.completion import experiment_names
from curriculum.cli.experiment import train_study
from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.cli.options import CompileOption, DeviceOption, FigureFormat, Figures, Overrides, Width, width_in_inches, with_options
from curriculum.cli.study_text import undecidable
from curriculum.console import put, put_table, say

if TYPE_CHECKING:
    from curriculum.measure.tuned import Search


@guarded
def tune(
    name: Annotated[str, typer.Argument(metavar="EXPERIMENT", autocompletion=experiment_names, help="A path, or a name in configs/.")],
    factor: Annotated[str, typer.Option("--factor", metavar="COLUMN", help="The column of each arm's sheet that is multiplied.")] = "lr",
    grid: Annotated[str, typer.Option("--grid", metavar="FACTORS", help="The factors that every arm is tried with.")] = "0.25,0.5,1,2,4",
    tuning_seeds: Annotated[
        str | None,
        typer.Option(
            "--tuning-seeds", metavar="SEEDS", help="The seeds that are tried. Default: 8, from the one after the experiment's last."
        ),
    ] = None,
    measure: Annotated[
        str | None,
        typer.Option("--measure", metavar="ID", help="Choose by this measure. Default: the first score, else the first final error."),
    ] = None,
    seed: Annotated[
        str | None,
        typer.Option("--seed", "--seeds", metavar="SEEDS", help="The seeds of the comparison, such as 0:32. Default: those of the file."),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Train only this many steps.")] = None,
    device: DeviceOption = None,
    compiled: CompileOption = None,
    overrides: Overrides = None,
    figures: Figures = FigureFormat.png,
    width: Width = None,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Compare the arms of an experiment at each one's best value of a column.

    A schedule that wins only at one learning rate is no win. Every arm is trained with the same factors of its column, on seeds of
    their own. Then each arm is trained with its best factor on the experiment's seeds, and these runs are compared. Finished runs are
    not retrained.

    Examples:

      curriculum tune smooth-vs-stepped --factor lr --grid 0.25,0.5,1,2,4

      curriculum tune smooth-vs-stepped --tuning-seeds 100:104 --seeds 0:16

      curriculum tune smooth-vs-stepped --figures svg --width 3.3in
    """
    from curriculum.cli.progress import Bar
    from curriculum.draw import style
    from curriculum.draw.plots import tuning as plot
    from curriculum.measure.tuned import metric_to_choose_by, search
    from curriculum.runner.provenance import planned_look
    from curriculum.runner.tuning import plan_tuned, plan_tuning
    from curriculum.store.files import write_file

    changes, inches = with_options(overrides, device, compiled), width_in_inches(width)
    tuning = plan_tuning(name, runs, factor, _factors(grid), tuning_seeds=tuning_seeds, overrides=changes, seeds=seed, steps=steps)
    metric_to_choose_by(planned_look(tuning.base.plans[0]), measure)
    for warning in undecidable(tuning.base):
        say(f"warning: {warning}")
    trials = train_study(tuning.trials)
    arms = tuning.base.record.arms
    labels = [arms[name].label or name for name in tuning.arms]
    theme = style.for_print(style.with_runs(style.LIGHT, [arms[name].color for name in tuning.arms]), inches)
    with Bar("measuring", len(trials), "run", patience=2.0) as bar:
        found = search(labels, factor, tuning.grid, trials, measure, bar.update)
    write_file(tuning.folder / "tuning.json", (json.dumps(found.to_json(), indent=2, allow_nan=False) + "\n").encode())
    style.save(plot.draw(found, theme), tuning.folder / f"tuning.{figures.value}")
    if not as_json:
        _print(found)
        put(f"figure and tuning.json: {tuning.folder}")
    for note in found.notes():
        say(f"note: {note}")
    tuned = plan_tuned(tuning, found.factors)
    compare_and_print(
        train_study(tuned),
        runs,
        as_json,
        baseline=tuned.baseline,
        primary=tuned.record.primary,
        tables=tables_of(tuned.folder),
        figures=figures,
        width=inches,
    )


def _factors(text: str) -> list[float]:
    from curriculum.errors import InputError

    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = [math.nan]
    if not all(0 < factor < math.inf for factor in found):
        raise InputError(f"cannot read --grid {text!r}: write factors above 0, as in --grid 0.5,1,2")
    return found


def _print(found: Search) -> None:
    rows = [
        [name, *(f"{value:.3g}{' *' if place == best else ''}" for place, value in enumerate(medians)), f"x{found.grid[best]:g}"]
        for name, medians, best in zip(found.arms, found.medians, found.best, strict=True)
    ]
    header = ["arm", *(f"x{factor:g}" for factor in found.grid), "best"]
    title = f"{found.label}, median of {len(found.seeds)} seeds, with {found.column} times a factor"
    put_table(header, rows, title, right=range(1, len(header)))
