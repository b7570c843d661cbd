"""Bring back the task of a stored run, so that its weights can be used again."""

from __future__ import annotations

from curriculum import config as configs
from curriculum import plugins
from curriculum.errors import InputError, RunError
from curriculum.runfolder import Run
from curriculum.task import Task, make_task, settings_of


def task_of(run: Run) -> Task:
    """Make the task that a stored run was trained on. The hooks that its config names are not imported.

    Raises `RunError` where the run's own config cannot be read.
    """
    try:
        config = configs.load(run.config_text, str(run.config_path), settings_of, plugins.names("tasks"))
    except InputError as error:
        raise RunError(f"the run {run.path} is damaged: {error}") from error
    return make_task(config)
