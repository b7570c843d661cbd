"""Plan a run: check everything that can be checked before step 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch

from curriculum import plugins
from curriculum.config import yaml as configs
from curriculum.config.settings import Config, HookSetting
from curriculum.errors import MOST_PROBLEMS, ConfigError, InputError, RunError, SheetError, unknown
from curriculum.find_file import read_config
from curriculum.outside import Folders
from curriculum.play.sheets import load_sheet
from curriculum.runner.inputs import check_sheet, folder_of, load_config, with_seeds
from curriculum.runner.own import NOTHING_OWN, Own, own_of
from curriculum.runner.rehearsal import rehearse
from curriculum.runner.user_hooks import load_hook
from curriculum.sheet.document import Dopesheet, write
from curriculum.sheet.schedule import Schedule, compile_sheet
from curriculum.store.names import CONFIG, SHEET
from curriculum.store.reader import Run
from curriculum.train.events import Action
from curriculum.train.hooks import Hook
from curriculum.train.make import make_task
from curriculum.train.optimizers import columns
from curriculum.train.samples import data_hash
from curriculum.train.task import Task

Result_ = TypeVar("Result_")


@dataclass(frozen=True)
class Source:
    """The file of a user's that a task is in, the SHA-256 of its code as it was imported, and that of its data."""

    path: Path
    sha256: str
    data: str


@dataclass(frozen=True)
class Plan:
    """A fully checked run: nothing in it can be rejected after training has started.

    `source` is where the task comes from, None for one that is shipped; `own` are the measures and figures of a user's that it names.
    A plan that `accepts_changed_code` resumes a run although the code or the data of the task are not what the run began with.
    """

    config: Config[Any, Any]
    task: Task
    sheet: Dopesheet
    sheet_bytes: bytes
    schedule: Schedule
    hooks: tuple[Hook, ...]
    warnings: tuple[str, ...]
    source: Source | None = None
    own: Own = NOTHING_OWN
    accepts_changed_code: bool = False

    @property
    def stacked(self) -> bool:
        """Whether all seeds are computed at once."""
        stacked: bool = self.config.stack != "off"
        return stacked

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.config.seeds


def plan(
    config: str | Path | Config[Any, Any],
    dopesheet: str | Path | Dopesheet,
    *,
    overrides: Iterable[str] = (),
    hooks: Iterable[Hook] = (),
    seeds: str | int | Sequence[int] | None = None,
    steps: int | None = None,
    load: Callable[[HookSetting, Folders], Hook] = load_hook,
    near: Sequence[Path] = (),
    like: Plan | None = None,
) -> Plan:
    """Check everything that can be checked before step 0; `load` loads the hooks that the config names.

    Files are looked for in the working folder, then in the folders `near`; those of a task and of hooks also next to the config. A
    plan of the same task shares that with `like`, and so its data.

    Raises `InputError` (`ConfigError`, `SheetError`) with every error found.
    """
    loaded = load_config(config, overrides, near)
    if seeds is not None:
        loaded = with_seeds(loaded, seeds)
    sheet, data = load_sheet(dopesheet, near)
    places = (*(() if isinstance(config, Config) else folder_of(read_config(config, near)[0])), *near)
    own_hooks = tuple(_at_place(config, overrides, near, index, load, setting, places) for index, setting in enumerate(loaded.hooks))
    all_hooks = (*hooks, *own_hooks)
    for hook in all_hooks:
        if not isinstance(hook, Hook):
            raise InputError(f"{hook!r} is not a hook: decorate the function with @on(EVENT)")
    if loaded.device == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device cuda is not available: PyTorch {torch.__version__} finds no CUDA device; use cpu")
    if like is not None and like.config.task == loaded.task:
        task, source, own = like.task, like.source, like.own
    else:
        found = plugins.source_of(loaded.task.name, places)
        task = make_task(loaded, places)
        source = Source(*found, data_hash(task.splits)) if found else None
        own = own_of(task, (*places, source.path.parent) if source else places)
    _check(sheet, task, all_hooks, loaded)
    schedule = compile_sheet(sheet)
    for hook in hooks:
        _check_hook(hook, schedule)
    for index, hook in enumerate(own_hooks):
        _at_place(config, overrides, near, index, _check_hook, hook, schedule)
    warnings = []
    if steps is not None:
        if steps > len(schedule):
            warnings.append(f"the sheet has only {len(schedule):,} steps, fewer than the {steps:,} requested; training all of them")
        schedule = schedule.truncate(steps)
    if source is not None:  # a shipped task is held to the same by its tests
        rehearse(task, schedule, loaded)
    told = (*warnings, *_warnings(schedule, task))
    return Plan(loaded, task, sheet, data, schedule, all_hooks, told, source, own)


def with_sheet(checked: Plan, sheet: Dopesheet, seeds: Sequence[int] | None = None) -> Plan:
    """Plan the same with another sheet, and perhaps other seeds; of the sheet as many steps are trained as of the plan's.

    Raises `InputError` with every error in the sheet.
    """
    _check(sheet, checked.task, checked.hooks, checked.config)
    schedule = compile_sheet(sheet).truncate(len(checked.schedule))
    for hook in checked.hooks:
        _check_hook(hook, schedule)
    if checked.source is not None:
        rehearse(checked.task, schedule, checked.config)
    return replace(
        checked,
        config=checked.config if seeds is None else with_seeds(checked.config, seeds),
        sheet=sheet,
        sheet_bytes=write(sheet).encode(),
        schedule=schedule,
        warnings=tuple(_warnings(schedule, checked.task)),
    )


def _check(sheet: Dopesheet, task: Task, hooks: Sequence[Hook], config: Config[Any, Any]) -> None:
    problems = [*check_sheet(sheet, task, hooks, columns(config.optimizer)), *islice(task.check(sheet), MOST_PROBLEMS)]
    if problems:
        raise SheetError(problems)


def _at_place(
    config: str | Path | Config[Any, Any],
    overrides: Iterable[str],
    near: Sequence[Path],
    index: int,
    check: Callable[..., Result_],
    *args: Any,
) -> Result_:
    """Call a check of the config's hook number `index`; place what it finds at that hook in the config's file."""
    try:
        return check(*args)
    except InputError as error:
        if isinstance(config, Config):
            raise
        source, text = read_config(config, near)
        raise ConfigError([configs.locate(text, source, overrides, ("hooks", index), str(error))]) from error


def _check_hook(hook: Hook, schedule: Schedule) -> None:
    names = tuple(dict.fromkeys(name for _, name in schedule.actions))
    if hook.on is Action and hook.name not in names:
        raise InputError(f"a hook is registered for an action that the sheet never fires: {unknown('action', str(hook.name), names)}")


def _warnings(schedule: Schedule, task: Task) -> Iterable[str]:
    fired = {name for _, name in schedule.actions}
    for term, action in task.needs.items():
        if term in schedule.properties and schedule.column(term).any() and action not in fired:
            yield f"{term} has a weight, but the action {action!r} never fires: the term is not part of the loss"
    yield from task.warnings(schedule)


def near_of(stored: Run) -> tuple[Path, ...]:
    """Give the folder from which the task of a stored run was named, so that it is found from anywhere."""
    task = stored.manifest["task"]
    file, named = task.get("file"), task.get("named")
    if not isinstance(file, str) or not isinstance(named, str):
        return ()
    place = Path(named.rpartition(":")[0])
    folders = Path(file).parents
    return () if place.is_absolute() or len(place.parts) > len(folders) else (folders[len(place.parts) - 1],)


def plan_of(
    stored: Run,
    *,
    config: str | Path | None = None,
    dopesheet: str | Path | None = None,
    overrides: Iterable[str] = (),
    seeds: str | None = None,
    steps: int | None = None,
    load: Callable[[HookSetting, Folders], Hook] = load_hook,
) -> Plan:
    """Plan a stored run again, from the config and the sheet that it keeps; `load` gets the hooks that its config names.

    What is given is taken instead of what is stored. Raises `RunError` where that is damaged, `InputError` for what is
    wrong in what is given.
    """
    _ = stored.config_text, stored.sheet_bytes  # checked by their hashes
    folder = stored.path.resolve()
    changed = config is not None or dopesheet is not None or bool(list(overrides)) or seeds is not None
    whole = steps or (stored.manifest["steps"] if dopesheet is None else None)
    try:
        return plan(
            config or folder / CONFIG,
            dopesheet or folder / SHEET,
            overrides=overrides,
            seeds=seeds,
            steps=whole,
            load=load,
            near=near_of(stored),
        )
    except InputError as error:
        if changed:
            raise
        raise RunError(f"cannot train the run {stored.path}: {error}") from error
