"""Make the task that a config names."""

from __future__ import annotations

from typing import Any

from curriculum import plugins
from curriculum.config.settings import Config, Settings
from curriculum.errors import InputError
from curriculum.outside import Folders
from curriculum.train.declared import check_class, check_declared
from curriculum.train.faults import explained
from curriculum.train.task import Task


def settings_of(name: str, near: Folders = ()) -> type[Settings]:
    """Give the settings that the task of this name takes; a relative file is looked for in the working folder, then `near`."""
    kind: type[Task] = plugins.find("task", name, near)
    check_class(kind)
    return kind.settings_type


def make_task(config: Config[Any, Any], near: Folders = ()) -> Task:
    """Make the task that a config names. Raises `InputError` with the file and line where its class or its data are at fault."""
    kind: type[Task] = plugins.find("task", config.task.name, near)
    check_class(kind)
    try:
        task = kind(config.task)
        _ = task.splits
    except (Exception, SystemExit) as error:
        raise explained(error, kind, kind=InputError) from error
    check_declared(task)
    return task
