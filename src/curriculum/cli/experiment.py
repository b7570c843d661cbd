"""`curriculum experiment`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curriculum.cli.compare import compare_and_print
from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.cli.options import DeviceOption, Overrides, with_device
from curriculum.cli.study_text import print_study, undecidable
from curriculum.cli.train import train_open
from curriculum.console import say

if TYPE_CHECKING:
    from curriculum.runner.arms import Study
    from curriculum.runner.plan import Plan
    from curriculum.store.reader import Run

MOST_NAMED = 4  # arms, beyond which the progress bar counts them


@guarded
def run_experiment(
    name: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="A path, or a name in configs/.")],
    seed: Annotated[
        str | None,
        typer.Option("--seed", "--seeds", metavar="SEEDS", help="The seeds of every arm, such as 0:8. Default: those of the file."),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Train only this many steps.")] = None,
    device: DeviceOption = None,
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and print what would be trained and judged.")] = False,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Train all arms of an experiment and compare them.

    The arms train together as one stack, as far as they share task, optimizer and number of steps. Finished arms are not retrained.

    Examples:

      curriculum experiment smooth-vs-stepped

      curriculum experiment smooth-vs-stepped --dry-run

      curriculum experiment smooth-vs-stepped --seeds 1000:1064 --runs runs/again
    """
    from curriculum.runner.experiment_file import plan_study

    study = plan_study(name, runs, overrides=with_device(overrides, device), seeds=seed, steps=steps)
    if dry_run:
        print_study(study, as_json)
        return
    for warning in undecidable(study):
        say(f"warning: {warning}")
    compare_and_print(train_study(study), runs, as_json, baseline=study.baseline, primary=study.record.primary)


def train_study(study: Study) -> list[Run]:
    """Train the arms of an experiment that are not finished, with a progress bar, and open the runs of all."""
    from curriculum.runner.arms import run_study

    for path, done in zip(study.paths, study.done, strict=True):
        if done:
            say(f"{path} is already finished")

    def train_arms(plans: Sequence[Plan], paths: Sequence[Path]) -> None:
        train_open(
            plans,
            paths,
            title=lambda paths: f"training {', '.join(path.name for path in paths) if len(paths) <= MOST_NAMED else f'{len(paths)} arms'}",
            again=lambda _: "run the same command again",
        )

    return run_study(study, train_arms)
