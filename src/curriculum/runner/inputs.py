"""Read the inputs of a run, config and sheet, and check that they fit the task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from curriculum import plugins
from curriculum.config import yaml as configs
from curriculum.config.settings import Config
from curriculum.errors import MOST_PROBLEMS, InputError, Problem
from curriculum.find_file import read_config
from curriculum.sheet.check import check, strange_columns
from curriculum.sheet.document import Dopesheet
from curriculum.train.hooks import Hook
from curriculum.train.make import settings_of
from curriculum.train.task import Task


def load_config(reference: str | Path | Config[Any, Any], overrides: Iterable[str] = (), near: Sequence[Path] = ()) -> Config[Any, Any]:
    """Read a config by its path or name, with overrides `a.b=value`.

    The file of its task is looked for in the working folder, then in that of the config, then `near`.
    """
    if isinstance(reference, Config):
        if list(overrides):
            raise InputError("overrides apply only to a config file; change a Config with model_copy")
        return reference
    source, text = read_config(reference, near)
    return configs.load(text, source, partial(settings_of, near=(*folder_of(source), *near)), plugins.names("task"), overrides)


def folder_of(source: str | Path | Config[Any, Any]) -> tuple[Path, ...]:
    """Give the folder of a file, as what it names is looked for there; none for what is no file."""
    return (Path(source).resolve().parent,) if isinstance(source, str | Path) and Path(source).is_file() else ()


def with_seeds(config: Config[Any, Any], seeds: str | int | Sequence[int]) -> Config[Any, Any]:
    """Replace the seeds of a config: 3, "0:32" or a list."""
    value = list(seeds) if not isinstance(seeds, str | int) else seeds
    try:
        parsed = type(config).model_validate({**config.model_dump(by_alias=True), "seeds": value}, strict=False).seeds
    except ValueError as error:
        reason = str(error.errors()[0]["msg"]) if hasattr(error, "errors") else str(error)
        raise InputError(f"cannot read the seeds {value!r}: {reason.removeprefix('Value error, ')}") from None
    return config.model_copy(update={"seeds": parsed})


def check_sheet(sheet: Dopesheet, task: Task, hooks: Iterable[Hook] = (), moved: Sequence[str] = ()) -> list[Problem]:
    """Find the columns, values and actions of a sheet that do not fit the task and the hooks; at most `MOST_PROBLEMS`.

    `moved` are the columns by which the optimizer's settings can move.
    """
    controls = [*task.controls, *moved]
    actions = [*task.actions, *(hook.name for hook in hooks if hook.name)]
    bounds = {name: task.bounds_of(name) for name in sheet.properties}
    found = list(islice(check(sheet, task.terms, controls, bounds, actions), MOST_PROBLEMS))
    strange = strange_columns(sheet, task.terms, controls)
    others = _tasks_with(set(strange)) if len(strange) > 1 else ()
    hints = [
        sheet.problem(f"this looks like a sheet for the task {other!r}: choose a config of that task with --config") for other in others
    ]
    return [*found, *hints][:MOST_PROBLEMS]


def _tasks_with(columns: set[str]) -> Iterator[str]:
    """Name the tasks that have all these columns; one that cannot be imported has none."""
    for name in plugins.names("task"):
        try:
            task = plugins.find("task", name)
            suits = columns <= {*task.terms, *task.controls}
        except (Exception, SystemExit):
            # Whatever is wrong with another task is no concern of whoever trains this one.
            continue
        if suits:
            yield name
