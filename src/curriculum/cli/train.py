"""`curriculum train`, and how any command trains."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curriculum.cli.completion import config_names, run_names, sheet_names
from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.cli.options import AcceptCode, CompileOption, DeviceOption, Overrides, with_options
from curriculum.console import losses_text, put, put_json, say
from curriculum.find_file import DEFAULT_CONFIG

if TYPE_CHECKING:
    from curriculum.errors import InputError
    from curriculum.runner.growing import Growth
    from curriculum.runner.plan import Plan
    from curriculum.runner.session import Result
    from curriculum.store.reader import Run


@guarded
def train(
    dopesheet: Annotated[
        str | None,
        typer.Option(
            "--dopesheet", "-d", metavar="SHEET", autocompletion=sheet_names, help="The schedule: a path, or the name of a sheet."
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            "-c",
            metavar="CONFIG",
            autocompletion=config_names,
            help="What to train: a path, or the name of a config. Default: default.yaml.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="The name of the run. Default: the name of the sheet and a number.")
    ] = None,
    seed: Annotated[
        str | None, typer.Option("--seed", "--seeds", metavar="SEEDS", help="One seed, such as 3, or several, such as 0:8.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Train only this many steps.")] = None,
    device: DeviceOption = None,
    compiled: CompileOption = None,
    overrides: Overrides = None,
    accept_changed_code: AcceptCode = False,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", autocompletion=run_names, help="Resume this unfinished run.")
    ] = None,
    fork: Annotated[
        str | None,
        typer.Option("--fork", metavar="RUN", autocompletion=run_names, help="Copy this run up to --at, and continue as a new run."),
    ] = None,
    at: Annotated[
        int | None, typer.Option("--at", min=0, metavar="STEP", help="The step from which the sheet of a fork may differ.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and print what would be trained.")] = False,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Train one schedule and store the run.

    An interrupted run resumes from its last checkpoint, with --resume or with the same command and the same --name. The result
    is bit-identical to that of an uninterrupted run. If the seeds of a run that exists are not all those of --seeds, the missing
    ones are trained as a further block and joined. A fork copies another run up to step --at and continues with a sheet
    that is the same up to there.

    Examples:

      curriculum train --dopesheet smooth.csv --name runA

      curriculum train --dopesheet smooth.csv --config ex-1.6 --seed 3

      curriculum train --dopesheet my.csv --set task.hidden=32 --steps 50

      curriculum train --dopesheet my.csv --set optimizer.on_nonfinite=skip

      curriculum train --dopesheet my.csv --dry-run

      curriculum train --resume runA

      curriculum train --dopesheet smooth.csv --name runA --seeds 0:16

      curriculum train --fork runA --at 5000 --dopesheet edited.csv --name runA-edited
    """
    _check_options(dopesheet, name, resume, fork, at, accept_changed_code)
    from curriculum.runner.opening import is_unfinished
    from curriculum.store.blocks import seeds_text
    from curriculum.store.names import check_name, check_new
    from curriculum.store.shelf import find_run
    from curriculum.store.waiting import waiting

    if name is not None:
        check_name(name)
        if fork is not None and not is_unfinished(runs / name):
            check_new(runs / name)
    from curriculum.runner.execute import new_path
    from curriculum.runner.growing import Growth, grow, unfinished_parts
    from curriculum.runner.plan import plan, plan_of
    from curriculum.runner.user_hooks import find_hook, load_hook

    # Without a name, whoever makes a folder first has the name that it was to have, and the next one a number.
    numbered = name is None and resume is None

    def wanted(checked: Plan) -> Path:
        return runs / Path(checked.sheet.source).stem

    changes = with_options(overrides, device, compiled)
    given: dict[str, Any] = {"config": config, "dopesheet": dopesheet, "overrides": changes, "seeds": seed, "steps": steps}
    given["load"] = find_hook if dry_run else load_hook  # a dry run executes no code of the user's
    if resume is not None:
        stored = find_run(resume, runs)
        if not unfinished_parts(stored):
            raise _nothing_left(stored)
        own_plans = [
            (replace(plan_of(own, **given), accepts_changed_code=accept_changed_code), own.path) for own in unfinished_parts(stored)
        ]
        parts = tuple(own_plans)
        growth, checked = Growth(stored.path, parts, stored.seeds), parts[0][0]
    elif fork is not None:
        from curriculum.runner.fork import check_fork, make_fork

        stored = find_run(fork, runs)
        checked = plan_of(stored, **given)
        path = new_path(runs, name, checked)
        check_fork(stored, at or 0, checked)
        if not dry_run and (numbered or not is_unfinished(path)):
            path, begun = make_fork(stored, at or 0, checked, wanted(checked) if numbered else path, sys.argv, numbered)
            numbered = False
            say(begun)
        growth = Growth(path, ((checked, path),))
    else:
        assert dopesheet is not None
        checked = replace(plan(**{**given, "config": config or DEFAULT_CONFIG}), accepts_changed_code=accept_changed_code)
        path = new_path(runs, name, checked)
        growth = Growth(path, ((checked, path),)) if numbered else grow(checked, path)
    for warning in checked.warnings:
        say(f"warning: {warning}")
    if dry_run:
        if checked.config.hooks:
            say("note: a dry run does not import hooks; it only checks their events and modules")
        _print_plan(checked, growth, as_json)
        return
    if growth.stored and not growth.parts:
        _already(growth, as_json)
        return
    for own, path in growth.parts:
        if path != growth.run:
            say(f"{growth.run}: training seeds {seeds_text(own.seeds)} as the block {path.name}")
        (result,) = train_open(
            [own],
            [wanted(own) if numbered else path],
            title=lambda paths: paths[0].name,
            again=lambda paths: _resume_command(growth.run if growth.stored else paths[0], runs),
            numbered=numbered,
        )
    assert result.run is not None
    path = result.run.path
    for note in waiting(result.run):
        say(f"note: {note}")
    losses = {term: float(values.nanquantile(0.5)) for term, values in result.losses.items()}
    if as_json:
        document = {"run": path.name, "path": str(path), "status": result.status, "seconds": round(result.seconds, 3), "losses": losses}
        lost = {str(s): why for s, why in result.diverged.items()}
        skipped = {str(s): own.model_dump() for s, own in result.skipped.items()}
        put_json({**document, "seeds": list(result.run.seeds), "diverged": lost, "skipped": skipped})
        return
    for own_seed, why in result.diverged.items():
        say(f"warning: seed {own_seed} diverged: {why}")
    for own_seed, updates in result.skipped.items():
        say(f"warning: seed {own_seed} {updates.text(len(checked.schedule))}")
    median = " (median over seeds)" if len(growth.seeds) > 1 else ""
    grown = f"; {len(result.run.seeds)} seeds in all" if result.run.manifest.get("blocks") else ""
    put(f"{path}: {len(checked.schedule):,} steps in {result.seconds:.1f} s{grown}")
    put(f"last losses{median}: {losses_text(losses)}")
    put(f"figures: {path / 'figures'}")


def _check_options(
    dopesheet: str | None, name: str | None, resume: str | None, fork: str | None, at: int | None, accept_changed_code: bool
) -> None:
    from curriculum.errors import InputError

    if resume is not None and (fork is not None or name is not None):
        raise InputError(f"--resume cannot be combined with {'--fork' if fork is not None else '--name'}: a run resumes under its own name")
    if (fork is None) != (at is None):
        raise InputError("a fork needs both --fork RUN and --at STEP")
    if fork is not None and accept_changed_code:
        raise InputError("--accept-changed-code is for runs that resume: a fork is trained by the code that its run was trained by")
    if dopesheet is None and resume is None:
        raise InputError("no sheet given: pass one with --dopesheet, as in: curriculum train --dopesheet smooth.csv")


def _nothing_left(stored: Run) -> InputError:
    from curriculum.errors import InputError

    more = (
        " (it was created with --steps; use --fork to continue it as a new run)"
        if stored.manifest.get("sheet_steps", 0) > stored.manifest["steps"]
        else ""
    )
    return InputError(f"{stored.path} is {stored.status}: it has no steps left to train{more}")


def _already(growth: Growth, as_json: bool) -> None:
    """Say that a run has all seeds that were asked for; join blocks that were copied into it or left behind."""
    from curriculum.store.blocks import seeds_text
    from curriculum.store.joining import join
    from curriculum.store.reader import Run
    from curriculum.store.waiting import waiting

    found = join(growth.run)
    run = Run(growth.run)
    if found.added:
        say(f"{growth.run}: joined the seeds {seeds_text(found.added)}")
    for note in waiting(run):
        say(f"note: {note}")
    if as_json:
        document = {"run": run.path.name, "path": str(run.path), "status": run.shown_status, "seeds": list(run.seeds)}
        put_json({**document, "diverged": {str(seed): why for seed, why in run.diverged.items()}})
    else:
        put(f"{growth.run} is already {run.shown_status} with {len(run.seeds)} seed(s): there is nothing to train")


def _resume_command(path: Path, runs: Path) -> str:
    where = "" if runs == RUNS or os.environ.get("CURRICULUM_RUNS") == str(runs) else f" --runs {shlex.quote(str(runs))}"
    name = path.relative_to(runs).as_posix() if path.is_relative_to(runs) else str(path)
    return f"curriculum train --resume {shlex.quote(name)}{where}"


def train_open(
    plans: Sequence[Plan],
    paths: Sequence[Path],
    title: Callable[[Sequence[Path]], str],
    again: Callable[[Sequence[Path]], str],
    numbered: bool = False,
    apart: bool = False,
) -> list[Result]:
    """Train plans as one stack with a progress bar.

    `title` names the stack by its paths; `again` gives the command that resumes it after a signal. For `numbered` see
    `open_stack`, for `apart` `train_stack`.
    """
    from curriculum.cli.progress import Bar, training_hook
    from curriculum.errors import CurriculumError, DivergedError
    from curriculum.runner.execute import train_stack
    from curriculum.runner.opening import open_stack
    from curriculum.runner.signals import Signals

    try:
        with Signals() as signals:
            stack = open_stack(plans, paths, sys.argv, numbered)
            paths = [folder.path for folder in stack.folders if folder is not None]
            where = ", ".join(map(str, paths))
            for note in stack.notes:
                say(f"warning: {note}")
            if any(stack.resumed):
                say(f"resuming {where} from step {stack.state.step:,} of {len(plans[0].schedule):,}")
            try:
                with Bar(title(paths), len(plans[0].schedule), "step", done=stack.state.step) as bar:
                    return train_stack(stack, watch=[training_hook(bar)], signals=signals, apart=apart, tell=say)
            except CurriculumError as error:
                if type(error) not in (CurriculumError, DivergedError):
                    raise
                raise type(error)(f"{error}; the steps trained before that are stored in {where}") from error
    except KeyboardInterrupt as error:
        error.args = (f"{error if error.args else 'interrupted'}; stored in {', '.join(map(str, paths))}; to resume: {again(paths)}",)
        raise


def _print_plan(checked: Plan, growth: Growth, as_json: bool) -> None:
    path = growth.run
    document = {
        "run": path.name,
        "path": str(path),
        "task": checked.config.task.name,
        "sheet": checked.sheet.source,
        "steps": len(checked.schedule),
        "seeds": list(checked.seeds),
        "phases": [{"name": p.name, "start": p.start, "end": p.end} for p in checked.schedule.phases],
        "actions": [{"step": step, "name": action} for step, action in checked.schedule.actions],
        "warnings": list(checked.warnings),
    }
    if as_json:
        put_json(document)
        return
    phases = ", ".join(f"{p.name!r} {p.start}-{p.end}" for p in checked.schedule.phases)
    actions = ", ".join(f"{action} at {step}" for step, action in checked.schedule.actions) or "none"
    from curriculum.runner.opening import is_unfinished
    from curriculum.store.blocks import seeds_text

    if any(is_unfinished(own) for _, own in growth.parts):
        put(f"would resume {path}")
    if not growth.parts:
        put(f"{path} is already finished: there is nothing to train")
        return
    if growth.stored and (new := [seed for seed in growth.seeds if seed not in growth.stored]):
        put(f"would add the seeds {seeds_text(new)} to the {len(growth.stored)} of {path}")
    put(f"would train {document['task']} with {checked.sheet.source} into {path}")
    put(f"{len(checked.schedule):,} steps, {len(checked.seeds)} seed(s); phases: {phases}; actions: {actions}")
