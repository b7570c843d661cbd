"""Check a config and a sheet against a task, run them, and store what comes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from curriculum import config as configs
from curriculum import plugins
from curriculum.background import Background
from curriculum.config import Config
from curriculum.dopesheet import Dopesheet, decode, parse, write
from curriculum.errors import ConfigError, DivergedError, InputError, Problem, RunError, SheetError, unknown
from curriculum.events import Action
from curriculum.hooks import Hook, load_hook
from curriculum.library import CONFIGS, SHEETS, find_file, read_bytes, read_text
from curriculum.plots import draw_run
from curriculum.resume import Stack, open_stack
from curriculum.runfolder import CONFIG, SHEET, Run, free_name
from curriculum.schedule import RATE, Schedule, compile_sheet
from curriculum.session import Keeper, Session, threads
from curriculum.session import Result as Result
from curriculum.signals import Signals
from curriculum.task import Task, make_task, settings_of
from curriculum.trainer import train

Result_ = TypeVar("Result_")


@dataclass(frozen=True)
class Plan:
    """A run, checked in full: nothing in it can be refused once training has begun."""

    config: Config[Any]
    task: Task
    sheet: Dopesheet
    sheet_bytes: bytes
    schedule: Schedule
    hooks: tuple[Hook, ...]
    warnings: tuple[str, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.config.seeds


def load_config(reference: str | Path | Config[Any], overrides: Iterable[str] = ()) -> Config[Any]:
    """Read a config by its path or name, with overrides `a.b=value`."""
    if isinstance(reference, Config):
        if list(overrides):
            raise InputError("overrides go with a config's file; change a Config by its model_copy")
        return reference
    path = find_file(reference, CONFIGS)
    return configs.load(read_text(path), str(path), settings_of, plugins.names("tasks"), overrides)


def load_sheet(reference: str | Path | Dopesheet) -> tuple[Dopesheet, bytes]:
    """Read a sheet by its path or name; also give its bytes."""
    if isinstance(reference, Dopesheet):
        return reference, write(reference).encode()
    path = find_file(reference, SHEETS)
    data = read_bytes(path)
    return parse(decode(data, str(path)), str(path)), data


def plan(
    config: str | Path | Config[Any],
    dopesheet: str | Path | Dopesheet,
    *,
    overrides: Iterable[str] = (),
    hooks: Iterable[Hook] = (),
    seeds: str | int | Sequence[int] | None = None,
    steps: int | None = None,
) -> Plan:
    """Check everything that can be known before step 0.

    Raises `InputError` (`ConfigError`, `SheetError`) with all that was found.
    """
    loaded = load_config(config, overrides)
    if seeds is not None:
        loaded = with_seeds(loaded, seeds)
    sheet, data = load_sheet(dopesheet)
    own_hooks = tuple(_at_place(config, overrides, index, load_hook, setting) for index, setting in enumerate(loaded.hooks))
    all_hooks = (*hooks, *own_hooks)
    for hook in all_hooks:
        if not isinstance(hook, Hook):
            raise InputError(f"{hook!r} is no hook: decorate the function with @on(EVENT)")
    if loaded.device == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device cannot be cuda: PyTorch {torch.__version__} finds no such device here; leave it at cpu")
    task = make_task(loaded)
    problems = [*check_sheet(sheet, task, all_hooks), *task.check(sheet)]
    if problems:
        raise SheetError(problems)
    schedule = compile_sheet(sheet)
    for hook in hooks:
        _check_hook(hook, schedule)
    for index, hook in enumerate(own_hooks):
        _at_place(config, overrides, index, _check_hook, hook, schedule)
    warnings = []
    if steps is not None:
        if steps > len(schedule):
            warnings.append(f"the sheet has only {len(schedule):,} steps, not {steps:,}: all of them are trained")
        schedule = schedule.truncate(steps)
    return Plan(loaded, task, sheet, data, schedule, all_hooks, (*warnings, *_warnings(schedule, task)))


def with_seeds(config: Config[Any], seeds: str | int | Sequence[int]) -> Config[Any]:
    """Replace the seeds of a config: 3, "0:32" or a list."""
    value = list(seeds) if not isinstance(seeds, str | int) else seeds
    try:
        parsed = type(config).model_validate({**config.model_dump(by_alias=True), "seeds": value}, strict=False).seeds
    except ValueError as error:
        reason = str(error.errors()[0]["msg"]) if hasattr(error, "errors") else str(error)
        raise InputError(f"cannot read the seeds {value!r}: {reason.removeprefix('Value error, ')}") from None
    return config.model_copy(update={"seeds": parsed})


def check_sheet(sheet: Dopesheet, task: Task, hooks: Iterable[Hook] = ()) -> list[Problem]:
    """Find the columns and actions of a sheet that the task and the hooks do not know."""
    known = [RATE, *task.terms, *task.controls]
    strange = [name for name in sheet.properties if name not in known]
    problems = [sheet.problem(unknown("property", name, known), None, name) for name in strange]
    for other in plugins.names("tasks"):
        its = plugins.find("tasks", other).TASK
        if len(strange) > 1 and {*strange} <= {*its.terms, *its.controls}:
            problems.append(sheet.problem(f"this looks like a sheet for the task {other!r}: choose a config of that task with --config"))
    if RATE not in sheet.properties:
        problems.append(sheet.problem(f"no column {RATE!r}: a sheet sets the learning rate"))
    elif not problems and not any(term in sheet.properties for term in task.terms):
        problems.append(sheet.problem(f"no loss term: add a column for one of {', '.join(task.terms)}"))
    for row in sheet.rows:
        if row.values.get(RATE, 0.0) < 0:
            problems.append(sheet.problem(f"{RATE}: a learning rate cannot be {row.values[RATE]:g}, below 0", row.line, RATE))
        for name in row.actions:
            answered = [*task.actions, *(hook.name for hook in hooks if hook.name)]
            if name not in answered:
                message = f"no hook answers an action of this sheet: {unknown('action', name, answered)}"
                problems.append(sheet.problem(message, row.line, "ACTION"))
    return problems


def _at_place(config: str | Path | Config[Any], overrides: Iterable[str], index: int, check: Callable[..., Result_], *args: Any) -> Result_:
    """Call a check of the config's hook number `index`; place what it finds at that hook in the config's file."""
    try:
        return check(*args)
    except InputError as error:
        if isinstance(config, Config):
            raise
        path = find_file(config, CONFIGS)
        raise ConfigError([configs.locate(read_text(path), str(path), overrides, ("hooks", index), str(error))]) from error


def _check_hook(hook: Hook, schedule: Schedule) -> None:
    names = tuple(dict.fromkeys(name for _, name in schedule.actions))
    if hook.on is Action and hook.name not in names:
        raise InputError(f"a hook waits for an action that the sheet never fires: {unknown('action', str(hook.name), names)}")


def _warnings(schedule: Schedule, task: Task) -> Iterable[str]:
    fired = {name for _, name in schedule.actions}
    for term, action in task.needs.items():
        if term in schedule.properties and schedule.column(term).any() and action not in fired:
            yield f"{term} has weight, but the action {action!r} never fires: the term stays out of the loss"


def execute(
    checked: Plan,
    path: Path | None,
    *,
    argv: Sequence[str] = (),
    watch: Iterable[Hook] = (),
    figures: bool = True,
) -> Result:
    """Train a plan; store it in a run folder at `path`, or nowhere where that is None.

    An unfinished run of the same plan that is stored there is gone on with. `watch` are hooks that only look on. Raises
    `DivergedError` when no seed is left, after storing what there is.
    """
    return execute_all([checked], [path], argv=argv, watch=watch, figures=figures)[0]


def execute_all(
    plans: Sequence[Plan], paths: Sequence[Path | None], *, argv: Sequence[str] = (), watch: Iterable[Hook] = (), figures: bool = True
) -> list[Result]:
    """Train several plans as one stack; each is stored as `execute` stores one.

    The plans have the same task, optimizer, threads and number of steps. `watch` are told of the first plan's
    events.
    """
    return train_stack(open_stack(plans, paths, argv), watch=watch, figures=figures)


def train_stack(stack: Stack, *, watch: Iterable[Hook] = (), figures: bool = True, signals: Signals | None = None) -> list[Result]:
    """Train an opened stack to its end and close it; `watch` are told of the first plan's events.

    Where `signals`, which the caller has entered, ask to stop, a checkpoint is stored first; then `KeyboardInterrupt` is raised.
    """
    began = time.perf_counter()
    first, state = stack.plans[0], stack.state
    background = Background()
    sessions = [
        Session(checked, folder, checkpoint, state, arm, watch if index == 0 else (), background)
        for index, (checked, folder, checkpoint, arm) in enumerate(
            zip(stack.plans, stack.folders, stack.checkpoints, state.arms, strict=True)
        )
    ]
    record = first.config.record
    keeper = Keeper(sessions, background, record.checkpoint_every, record.checkpoint_seconds, signals)
    try:
        with threads(first.config.threads):
            emitters = [session.emit for session in sessions]
            state = train(first.task, state, first.config.optimizer, emitters, keeper if any(stack.folders) else None)
        for session, arm in zip(sessions, state.arms, strict=True):
            session.keep(state, arm)
        background.wait()
        seconds = time.perf_counter() - began
        with ThreadPoolExecutor(len(sessions)) as pool:
            results = list(pool.map(Session.close, sessions, [state] * len(sessions), state.arms, [seconds] * len(sessions)))
    except BaseException as error:
        # Training changes the state's tensors in place, so they hold the last good weights.
        for session in sessions:
            session.abandon(_status_after(error), state, error)
        raise
    finally:
        background.close()
        stack.release()
    for result in results:
        if result.run and figures:
            draw_run(result.run)
    return results


def _status_after(error: BaseException) -> str:
    if isinstance(error, DivergedError):
        return "diverged"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


def plan_of(
    stored: Run,
    *,
    config: str | Path | None = None,
    dopesheet: str | Path | None = None,
    overrides: Iterable[str] = (),
    seeds: str | None = None,
    steps: int | None = None,
) -> Plan:
    """Plan a stored run again, from the config and the sheet that it keeps; the hooks that its config names are imported.

    What is given is taken instead of what is stored. Raises `RunError` where that is damaged, `InputError` for what is
    wrong in what is given.
    """
    _ = stored.config_text, stored.sheet_bytes  # checked by their hashes
    folder = stored.path.resolve()
    changed = config is not None or dopesheet is not None or bool(list(overrides)) or seeds is not None
    whole = steps or (stored.manifest["steps"] if dopesheet is None else None)
    try:
        return plan(config or folder / CONFIG, dopesheet or folder / SHEET, overrides=overrides, seeds=seeds, steps=whole)
    except InputError as error:
        if changed:
            raise
        raise RunError(f"the run {stored.path} cannot be trained now: {error}") from error


def run(
    config: str | Path | Config[Any],
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

    `config` and `dopesheet` are paths, names of shipped files, or objects. With `folder` the run is stored
    there, under `name` or one made from the sheet's; without it nothing is written. `steps` stops
    early.

    Raises `InputError` with everything that is wrong before step 0, `DivergedError` when no seed is left.
    """
    checked = plan(config, dopesheet, overrides=overrides, hooks=hooks, seeds=seeds, steps=steps)
    return execute(checked, None if folder is None else new_path(Path(folder), name, checked))


def new_path(folder: Path, name: str | None, checked: Plan) -> Path:
    """Give the path of a new run: by its name, or by the sheet's and a number."""
    return folder / (name if name is not None else free_name(folder, Path(checked.sheet.source).stem))
