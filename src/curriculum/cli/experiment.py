"""`curriculum experiment`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curriculum.cli.compare import compare_and_print
from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.cli.options import DeviceOption, Overrides, with_device
from curriculum.cli.study_text import print_study, undecidable
from curriculum.cli.train import train_open
from curriculum.console import put, put_json, put_table, say
from curriculum.errors import InputError

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
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Of an experiment with a command: processes at a time. Default: as many as cores."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and print what would be trained and judged.")] = False,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Train all arms of an experiment and compare them.

    The arms train together as one stack, as far as they share task, optimizer and number of steps. Finished arms are not retrained.
    More seeds than before are trained as further blocks.

    If the experiment has a 'command', that trains each seed of each arm in a process of its own, such as a script of yours that
    calls curriculum.track().

    Examples:

      curriculum experiment smooth-vs-stepped

      curriculum experiment smooth-vs-stepped --dry-run

      curriculum experiment smooth-vs-stepped --seeds 1000:1064 --runs runs/again

      curriculum experiment study.yaml --workers 2
    """
    from curriculum.runner.commands import has_command

    if has_command(name):
        if steps is not None or device is not None:
            raise InputError("--steps and --device are for tasks: this experiment trains by its own command")
        _run_commands(name, seed, workers, overrides or [], dry_run, runs, as_json)
        return
    if workers is not None:
        raise InputError("--workers is for experiments with a command: the arms of this one train together as one stack")
    from curriculum.runner.experiment_file import plan_study

    study = plan_study(name, runs, overrides=with_device(overrides, device), seeds=seed, steps=steps)
    if dry_run:
        print_study(study, as_json)
        return
    for warning in undecidable(study):
        say(f"warning: {warning}")
    compare_and_print(train_study(study), runs, as_json, baseline=study.baseline, primary=study.record.primary)


def _run_commands(name: str, seed: str | None, workers: int | None, overrides: list[str], dry_run: bool, runs: Path, as_json: bool) -> None:
    """Train the arms of an experiment by its command, and compare them."""
    from curriculum.cli.progress import Bar
    from curriculum.runner.commands import plan_commands, run_commands

    study = plan_commands(name, runs, overrides=overrides, seeds=seed)
    left = {arm: sum(job.arm == arm for job in study.jobs) for arm in study.names}
    if dry_run:
        arms = [
            {"name": arm, "path": str(path), "sheet": sheet, "seeds": len(study.seeds), "left": left[arm]}
            for arm, path, sheet in zip(study.names, study.paths, study.sheets, strict=True)
        ]
        if as_json:
            put_json({"arms": arms, "seeds": list(study.seeds), "command": list(study.jobs[0].command) if study.jobs else None})
            return
        rows = [[str(value) for value in arm.values()] for arm in arms]
        put_table(["arm", "run", "sheet", "seeds", "left to train"], rows, f"Arms of {study.folder.name}", right=[3, 4])
        if study.jobs:
            put(f"first command: {shlex.join(study.jobs[0].command)}")
        return
    for arm, path in zip(study.names, study.paths, strict=True):
        if not left[arm]:
            say(f"{path} is already finished")
    with Bar(f"training {', '.join(study.names)}", max(1, len(study.jobs)), "seed") as bar:
        found = run_commands(study, workers, bar.update)
    compare_and_print(found, runs, as_json, baseline=study.baseline, primary=study.record.primary)


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
