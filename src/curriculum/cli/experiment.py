"""`curriculum experiment`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curriculum.cli.compare import compare_and_print, measured, store_and_print, tables_of
from curriculum.cli.completion import experiment_names
from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.cli.launching import Block, Detach, LauncherConfig, LauncherName, PlanOnly, Workers
from curriculum.cli.options import AcceptCode, CompileOption, DeviceOption, Overrides, with_options
from curriculum.cli.study_text import print_study, too_few, undecidable
from curriculum.cli.train import train_open
from curriculum.console import put, put_json, put_table, say
from curriculum.errors import InputError

if TYPE_CHECKING:
    from curriculum.measure.comparison import Comparison
    from curriculum.runner.arms import Study
    from curriculum.runner.plan import Plan
    from curriculum.store.reader import Run

MOST_SEEDS = 256  # of each arm, if --max-seeds does not say otherwise
MOST_NAMED = 4  # arms, beyond which the progress bar counts them


@guarded
def run_experiment(
    name: Annotated[str, typer.Argument(metavar="EXPERIMENT", autocompletion=experiment_names, help="A path, or a name in configs/.")],
    seed: Annotated[
        str | None,
        typer.Option("--seed", "--seeds", metavar="SEEDS", help="The seeds of every arm, such as 0:8. Default: those of the file."),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Train only this many steps.")] = None,
    device: DeviceOption = None,
    compiled: CompileOption = None,
    overrides: Overrides = None,
    accept_changed_code: AcceptCode = False,
    until_decided: Annotated[
        bool, typer.Option("--until-decided", help="Add seeds until every measure that is judged is decided, or --max-seeds is reached.")
    ] = False,
    max_seeds: Annotated[
        int | None,
        typer.Option("--max-seeds", min=1, help=f"The most seeds of each arm with --until-decided. Default: {MOST_SEEDS}."),
    ] = None,
    launcher: LauncherName = None,
    launcher_config: LauncherConfig = None,
    workers: Workers = None,
    plan: PlanOnly = False,
    detach: Detach = False,
    block: Block = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and print what would be trained and judged.")] = False,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Train all arms of an experiment and compare them.

    The arms train together as one stack, as far as they share task, optimizer and number of steps. Finished arms are not retrained.
    More seeds than before are trained as further blocks.

    With --until-decided, the number of seeds doubles from look to look. Each look may spend a part of the allowed error, so that all of
    them together find a false difference in at most 5% of experiments.

    With a launcher, the experiment is cut into blocks of seeds, each of which trains in a process of its own: on this machine, on a Ray
    cluster or under Slurm. The same command again skips what is done, resumes what was cut off and retries what failed.

    If the experiment has a 'command', that trains each seed of each arm in a process of its own, such as a script of yours that
    calls curriculum.track().

    Examples:

      curriculum experiment smooth-vs-stepped

      curriculum experiment smooth-vs-stepped --dry-run

      curriculum experiment smooth-vs-stepped --seeds 1000:1064 --runs runs/again

      curriculum experiment smooth-vs-stepped --seeds 0:16 --until-decided --max-seeds 128

      curriculum experiment study.yaml --seeds 0:512 --launcher local --workers 8

      curriculum experiment study.yaml --seeds 0:512 --launcher slurm --launcher-config cluster.yaml

      curriculum experiment study.yaml --seeds 0:512 --workers 8 --plan
    """
    if max_seeds is not None and not until_decided:
        raise InputError("--max-seeds belongs to --until-decided: add it, or use --seeds")
    from curriculum.runner.commands import has_command

    if has_command(name):
        if steps is not None or device is not None:
            raise InputError("--steps and --device are for tasks: this experiment trains by its own command")
        if accept_changed_code:
            raise InputError("--accept-changed-code is for tasks: comparisons say where the script of a run has changed")
        if until_decided:
            raise InputError("--until-decided is for tasks: this experiment trains by its own command")
        if launcher not in (None, "local") or launcher_config is not None or plan or detach or block is not None:
            raise InputError("this experiment trains by its own command: its processes run on this machine, as many as --workers says")
        _run_commands(name, seed, workers, overrides or [], dry_run, runs, as_json)
        return
    launched = launcher is not None or launcher_config is not None or workers is not None or plan or detach
    if block is not None and (launched or dry_run or until_decided or seed is not None):
        raise InputError("--block names the seeds itself and trains them here: it cannot be combined with --seeds, launchers and plans")
    if until_decided and launched:
        raise InputError("--until-decided cannot be combined with a launcher: its looks wait for each other")
    if until_decided:
        if accept_changed_code:
            raise InputError("--accept-changed-code cannot be combined with --until-decided: seeds are never added by other code")
        _grow(name, seed, steps, with_options(overrides, device, compiled), max_seeds or MOST_SEEDS, dry_run, runs, as_json)
        return
    from curriculum.runner.experiment_file import plan_study

    study = plan_study(
        name,
        runs,
        overrides=with_options(overrides, device, compiled),
        seeds=block or seed,
        steps=steps,
        accept_changed_code=accept_changed_code,
    )
    if block is not None:
        _train_block(study, runs)
        return
    from curriculum.cli.launching import cut_for, launcher_settings, print_blocks, train_launched
    from curriculum.cli.launching import detach as go_on_in_background

    settings = launcher_settings(study, launcher, launcher_config, workers, plan)
    if detach and (settings is None or settings.name == "inline"):
        raise InputError("--detach needs a launcher: add --launcher local, for example")
    if dry_run:
        print_study(study, as_json)
        return
    for warning in undecidable(study):
        say(f"warning: {warning}")
    if settings is None:
        found = train_study(study)
    else:
        command = _command(name, with_options(overrides, device, compiled), steps, accept_changed_code, runs)
        sized, workplace = cut_for(study, settings, command)
        study = sized.study
        if plan:
            print_blocks(sized, workplace, command, as_json)
            return
        if detach:
            go_on_in_background(study.folder, sys.argv[1:])
            return
        found = train_launched(study, settings, workplace, command) if workplace else train_study(study)
    compare_and_print(found, runs, as_json, baseline=study.baseline, primary=study.record.primary, tables=tables_of(study.folder))


def _command(name: str, overrides: Sequence[str], steps: int | None, accept_changed_code: bool, runs: Path) -> list[str]:
    """Give the command that trains a block of an experiment, but for its seeds."""
    changes = [part for one in overrides for part in ("--set", one)]
    limit = [] if steps is None else ["--steps", str(steps)]
    accept = ["--accept-changed-code"] if accept_changed_code else []
    return [sys.executable, "-m", "curriculum", "experiment", name, *changes, *limit, *accept, "--runs", str(runs.resolve())]


def _train_block(study: Study, runs: Path) -> None:
    """Train some seeds of every arm as one block, in the folders that an experiment has for it."""
    from curriculum.launch.drive import train_block
    from curriculum.launch.shared_folder import check_token, end_with_parent

    check_token(os.environ)
    end_with_parent(os.environ)

    def train(block: Study) -> None:
        for numbers in block.stacked_parts:
            _train_arms([block.parts[number][1] for number in numbers], [block.parts[number][2] for number in numbers])

    train_block(study, study.plans[0].seeds, train)
    say(f"{study.folder}: the block is finished")


def _run_commands(name: str, seed: str | None, workers: int | None, overrides: list[str], dry_run: bool, runs: Path, as_json: bool) -> None:
    """Train the arms of an experiment by its command, and compare them."""
    from curriculum.cli.progress import Bar
    from curriculum.runner.commands import plan_commands, run_commands

    study = plan_commands(name, runs, overrides=overrides, seeds=seed)
    left = {arm: sum(job.arm == arm for job in study.jobs) for arm in study.names}
    for warning in too_few(len(study.seeds), max(1, len(study.judged) * (len(study.names) - 1))):
        say(f"warning: {warning}")
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
        if study.judged:
            put(f"judged: {', '.join(f'{name} ({better} is better)' for name, better in study.judged.items())}")
        if study.jobs:
            put(f"first command: {shlex.join(study.jobs[0].command)}")
        return
    for arm, path in zip(study.names, study.paths, strict=True):
        if not left[arm]:
            say(f"{path} is already finished")
    with Bar(f"training {', '.join(study.names)}", max(1, len(study.jobs)), "process") as bar:
        found = run_commands(study, workers, bar.update)
    compare_and_print(found, runs, as_json, baseline=study.baseline, primary=study.record.primary, tables=tables_of(study.folder))


def train_study(study: Study) -> list[Run]:
    """Train the arms of an experiment that are not finished, with a progress bar, and open the runs of all."""
    from curriculum.runner.arms import run_study
    from curriculum.runner.cutting import make_run_folders

    for path, done in zip(study.paths, study.done, strict=True):
        if done:
            say(f"{path} is already finished")

    make_run_folders(study)
    return run_study(study, _train_arms)


def _train_arms(plans: Sequence[Plan], paths: Sequence[Path]) -> None:
    """Train arms as one stack, with a progress bar."""
    from curriculum.store.blocks import run_of, seeds_text

    names = [(run_of(path) or path).name for path in paths]
    what = ", ".join(names) if len(names) <= MOST_NAMED else f"{len(names)} arms"
    block = f", seeds {seeds_text(plans[0].seeds)}" if run_of(paths[0]) else ""
    train_open(plans, paths, title=lambda _: f"training {what}{block}", again=lambda _: "run the same command again", apart=True)


def _grow(
    name: str, seed: str | None, steps: int | None, overrides: list[str], most: int, dry_run: bool, runs: Path, as_json: bool
) -> None:
    """Train and compare an experiment until it is decided, say at each look what is not, and print the last comparison."""
    from curriculum.runner.until_decided import plan_growing, train_until_decided
    from curriculum.store.reader import Run

    growing = plan_growing(name, runs, most, overrides=overrides, seeds=seed, steps=steps)
    study = growing.study
    if dry_run:
        print_study(study, as_json)
        return

    def look(place: int, chosen: list[Run]) -> Comparison:
        found = measured(chosen, baseline=study.baseline, primary=study.record.primary)
        count, names = len(found.undecided), ", ".join(dict.fromkeys(verdict.id for verdict in found.undecided))
        said = f"{count} of {found.tests} tests inconclusive ({names})" if count else "every measure that is judged is decided"
        say(f"look {place + 1} of {len(growing.looks)}, {growing.looks[place].seeds} seeds: {said}")
        return found

    found = train_until_decided(growing, _train_arms, look)
    store_and_print([Run(path) for path in study.paths], found, runs, as_json, tables=tables_of(study.folder))
