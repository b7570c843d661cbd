"""Execute plans: train them as one stack, and store the results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from curriculum.blame import blame
from curriculum.compiled.stretches import Compiling, Decision, Mode
from curriculum.config.settings import Config
from curriculum.draw.figures import draw_run
from curriculum.errors import CurriculumError, DivergedError, InputError, RunError
from curriculum.runner.arithmetic import arithmetic
from curriculum.runner.background import Background
from curriculum.runner.keeper import Keeper
from curriculum.runner.opening import Stack, open_stack
from curriculum.runner.own import draw_own
from curriculum.runner.plan import Plan, plan
from curriculum.runner.session import Result, Session
from curriculum.runner.signals import Signals
from curriculum.sheet.document import Dopesheet
from curriculum.store.blocks import run_of
from curriculum.store.joining import join
from curriculum.store.names import FIGURES, free_name
from curriculum.store.reader import Run
from curriculum.train.events import PreStep, StepMetrics
from curriculum.train.hooks import Hook, definition
from curriculum.train.loop import train


def execute(
    checked: Plan,
    path: Path | None,
    *,
    argv: Sequence[str] = (),
    watch: Iterable[Hook] = (),
    figures: bool = True,
) -> Result:
    """Train a plan; store it in a run folder at `path`, or nowhere if that is None.

    An unfinished run of the same plan at `path` is resumed. `watch` are read-only hooks. Raises `DivergedError` if every
    seed diverged, after storing the steps up to there.
    """
    return execute_all([checked], [path], argv=argv, watch=watch, figures=figures)[0]


def execute_all(
    plans: Sequence[Plan], paths: Sequence[Path | None], *, argv: Sequence[str] = (), watch: Iterable[Hook] = (), figures: bool = True
) -> list[Result]:
    """Train several plans as one stack; each is stored as `execute` stores one.

    Raises `InputError` before anything is written unless the plans have the same task, optimizer, device, threads, `stack` and
    number of steps. `watch` receive the events of the first plan.
    """
    return train_stack(open_stack(plans, paths, argv), watch=watch, figures=figures)


def train_stack(
    stack: Stack,
    *,
    watch: Iterable[Hook] = (),
    figures: bool = True,
    signals: Signals | None = None,
    apart: bool = False,
    tell: Callable[[str], None] = lambda message: None,
) -> list[Result]:
    """Train an opened stack to its end and close it; `watch` receive the events of the first plan, `tell` what should be shown.

    Blocks are joined to their runs, unless they are trained `apart`: then whoever trains the others does that. If `signals`, which
    the caller has entered, request a stop, a checkpoint is stored before `KeyboardInterrupt` is raised.
    """
    try:
        with closing(Background(stack.flush)) as background:
            results = _train_and_close(stack, watch, signals, background, tell)
    finally:
        stack.release()
    return [_finished(result, checked, figures, apart) for result, checked in zip(results, stack.plans, strict=True)]


def join_and_draw(path: Path, checked: Plan) -> None:
    """Join blocks that were trained apart to the run at `path`, and draw its figures where something was added."""
    if join(path).added or not (path / FIGURES).is_dir():
        _draw(Run(path), checked)


def _finished(result: Result, checked: Plan, figures: bool, apart: bool) -> Result:
    """Join what was trained in blocks, and draw the figures of the run: the result of a block is that of its run then."""
    if result.run is None or (apart and run_of(result.run.path) is not None):
        return result
    owner = run_of(result.run.path) or result.run.path
    join(owner)
    run = Run(owner)
    if figures:
        _draw(run, checked)
    return replace(result, run=run)


def _draw(run: Run, checked: Plan) -> None:
    if run.manifest.get("files"):
        draw_run(run)
        draw_own(run, checked.own.figures)


def _train_and_close(
    stack: Stack, watch: Iterable[Hook], signals: Signals | None, background: Background, tell: Callable[[str], None]
) -> list[Result]:
    began = time.perf_counter()
    first, state, watch = stack.plans[0], stack.state, list(watch)
    records = [checked.config.record for checked in stack.plans]
    every, interval = min(record.checkpoint_every for record in records), min(record.checkpoint_seconds for record in records)
    sessions: list[Session] = []
    try:
        for checked, folder, checkpoint, arm in zip(stack.plans, stack.folders, stack.checkpoints, state.arms, strict=True):
            sessions.append(Session(checked, folder, checkpoint, state, arm, () if sessions else watch, background))
        keeper = Keeper(sessions, background, every, interval, signals)
        with arithmetic(first.config.threads, stack.flush):
            emitters = [session.emit for session in sessions]
            kept = keeper if any(stack.folders) else None
            if stack.at_once is not None:
                tell(f"computing {stack.at_once} of {len(state.flat)} models at a time: more would take over {first.config.stack_memory}")
            compiler = compiler_of(_way(stack, watch), stack.plans, tell, signals, stack.decided, stack.decide)
            state = train(first.task, state, first.config.optimizer, emitters, kept, first.stacked, compiler, stack.at_once)
        for session, arm in zip(sessions, state.arms, strict=True):
            session.keep(state, arm)
        background.wait()
        seconds = time.perf_counter() - began
        with ThreadPoolExecutor(len(sessions), initializer=torch.set_flush_denormal, initargs=(stack.flush,)) as pool:
            return list(pool.map(Session.close, sessions, [state] * len(sessions), state.arms, [seconds] * len(sessions)))
    except BaseException as raised:
        error = _explained(raised, stack.plans)
        for session in sessions:
            session.abandon(_status_after(error), error)
        for folder in stack.folders[len(sessions) :]:
            if folder is not None:
                with suppress(RunError):
                    folder.update(status=_status_after(error), error=str(error) or type(error).__name__)
        if error is raised:
            raise
        raise error from raised


def _way(stack: Stack, watch: Sequence[Hook]) -> Mode:
    """Say how a stack is trained: not compiled where a hook looks at each step, which its folders then say.

    Raises `InputError` where a run that was begun compiled is watched in this way.
    """
    looking = [hook for checked in stack.plans for hook in checked.hooks] + list(watch)
    if stack.compile == "off" or not any(hook.on in (PreStep, StepMetrics) and hook.steps is None for hook in looking):
        return stack.compile
    if stack.state.step and (stack.compile == "on" or True in stack.decided.values()):
        raise InputError("this run was begun by compiled steps, which a hook cannot look at one by one: leave that hook out")
    for folder in stack.folders:
        if folder is not None:
            folder.update(compile="off")
    return "off"


def compiler_of(
    way: Mode,
    plans: Sequence[Plan],
    tell: Callable[[str], None] = lambda message: None,
    signals: Signals | None = None,
    decided: Mapping[str, Decision] | None = None,
    decide: Callable[[str, Decision], None] = lambda kind, decision: None,
) -> Compiling | None:
    """Make what compiles the steps of a stack, as was `decided` when they were first trained; what is new is told to `decide`."""

    def stop_where_asked() -> None:
        if signals is not None and signals.stopping:
            signals.answer("while a training step was being compiled")

    if way == "off":
        return None
    return Compiling(way, plans[0].config.threads, [checked.schedule for checked in plans], tell, stop_where_asked, decided, decide)


def _explained(error: BaseException, plans: Sequence[Plan]) -> BaseException:
    """Give the line of a user's code that is at fault; else name a run's hooks in an error that nothing explains.

    What a hook did to the process may show only later.
    """
    if isinstance(error, CurriculumError) or not isinstance(error, Exception | SystemExit):
        return error
    if where := blame(error, [type(checked.task).__module__ for checked in plans]):
        return CurriculumError(f"training failed: {where}")
    names = dict.fromkeys(definition(hook.call).__qualname__ for checked in plans for hook in checked.hooks)
    if not names or isinstance(error, OSError | SystemExit):
        return error
    why = f"{type(error).__name__}: {error}"
    return CurriculumError(f"training failed with {why}. It may be caused by one of the hooks {', '.join(names)}: try without them")


def _status_after(error: BaseException) -> str:
    if isinstance(error, DivergedError):
        return "diverged"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


def run(
    config: str | Path | Config[Any, Any],
    dopesheet: str | Path | Dopesheet,
    *,
    hooks: Iterable[Hook] = (),
    overrides: Iterable[str] = (),
    seeds: str | int | Sequence[int] | None = None,
    steps: int | None = None,
    name: str | None = None,
    folder: str | Path | None = None,
) -> Result:
    """Train one schedule.

    `config` and `dopesheet` are paths, names of shipped files, or objects. With `folder`, the run is stored
    there under `name`, or under a name derived from the sheet. Without `folder`, nothing is written. `steps` limits
    the number of steps.

    Raises `InputError` before step 0 with every error found, `DivergedError` if every seed diverged.
    """
    checked = plan(config, dopesheet, overrides=overrides, hooks=hooks, seeds=seeds, steps=steps)
    if folder is None or name is not None:
        return execute(checked, None if folder is None else Path(folder) / str(name))
    return train_stack(open_stack([checked], [Path(folder) / Path(checked.sheet.source).stem], numbered=True))[0]


def new_path(folder: Path, name: str | None, checked: Plan) -> Path:
    """Give the path of a new run: by its name, or by the sheet's and a number."""
    return folder / (name if name is not None else free_name(folder, Path(checked.sheet.source).stem))
