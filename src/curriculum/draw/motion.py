"""Bring back the task of a stored run, so that its weights can be used again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from curriculum import plugins
from curriculum.config import yaml as configs
from curriculum.config.settings import Settings
from curriculum.errors import InputError, RunError
from curriculum.store.names import STEPS
from curriculum.store.reader import Run
from curriculum.store.snapshots import Snapshots
from curriculum.train.ensemble import Ensemble
from curriculum.train.task import Task


def task_of(run: Run) -> Task:
    """Make the shipped task that a stored run was trained on. Neither code of a user's nor the hooks in its config are imported.

    Raises `InputError` for a task of a user's, `RunError` where the run's own config cannot be read.
    """
    name = run.manifest["task"]["name"]
    if "source" in run.manifest["task"]:
        raise InputError(
            f"the run {run.name!r} cannot be animated: a video needs the code of its task, {name!r}, and only that of shipped tasks is "
            f"executed to look at a stored run. Its figures are in {run.figure('').as_posix()}"
        )

    def settings_of(named: str) -> type[Settings]:
        settings: type[Settings] = plugins.shipped("task", named).settings_type
        return settings

    try:
        config = configs.load(run.config_text, str(run.config_path), settings_of, plugins.names("task"))
        task: Task = plugins.shipped("task", name)(config.task)
    except InputError as error:
        raise RunError(f"the run {run.path} is damaged: {error}") from error
    return task


TRACKED = "tracked"  # the moving picture of what a training loop of a user's own looked at
LATENTS = "latents"  # the moving picture of a task that brings none of its own


def film_of(run: Run) -> str:
    """Give the name of a run's moving picture, without importing code of a user's."""
    if run.tracked:
        return TRACKED
    task = run.manifest["task"]["name"]
    if task not in plugins.shipped_names("task") or not run.has_latents:
        return LATENTS  # which says what such a run lacks
    name: str = plugins.shipped("task", task).film
    return name


def snapshots_of(run: Run) -> Snapshots:
    """Give the snapshots of a run. Raises `InputError` where none were stored."""
    if not run.records_snapshots:
        raise InputError(
            f"the run {run.name!r} has no snapshots, from which its moving picture is made: train it again with "
            "--set record.snapshot_every=N, which stores the weights of every N-th step"
        )
    return run.snapshots


class Motion:
    """How the points of a task's picture moved through a run's latent space, at the `steps` that are stored.

    They are read where the run recorded them, else computed from its snapshots. Raises `InputError` where nothing moves in a
    latent space, or no snapshots are stored.
    """

    def __init__(self, run: Run):
        if not run.has_latents:
            raise InputError(
                f"the run {run.name!r} has no moving picture: its task {run.task_name!r} has no latent space. "
                f"Its figures are in {run.figure('').as_posix()}; `curriculum compare` shows how runs differ"
            )
        self.run = run
        self.task = task_of(run)
        picture = self.task.picture()
        if picture is None:
            raise InputError(f"{run.path} has no picture that moves: its task {run.manifest['task']['name']} has none")
        self.picture = picture
        self._recorded = f"latents.{self.picture.probe}" if self.picture.probe else ""
        if self._recorded not in run.traces:
            self._recorded = ""
        self.steps: NDArray[np.int64] = run.traces[f"{self._recorded}.{STEPS}"] if self._recorded else snapshots_of(run).steps

    @property
    def dimensions(self) -> int:
        return int(self.latents([int(self.steps[0])], 0, [0]).shape[-1])

    def latents(self, steps: Sequence[int], seed_index: int, points: Sequence[int] | None = None) -> NDArray[np.float32]:
        """Give the latents `[F, N, L]` of one seed at some of the `steps`, of all points or some."""
        distinct, rows = np.unique(np.asarray(steps), return_inverse=True)
        if self._recorded:
            found = self.run.traces[self._recorded][np.searchsorted(self.steps, distinct), seed_index]
            found = found if points is None else found[:, list(points)]
        else:
            stored = self.run.snapshots.select(distinct.tolist(), seed_index)
            parameters = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in stored.items()}
            inputs = self.picture.inputs if points is None else self.picture.inputs[list(points)]
            latents = Ensemble(self.task).observe(parameters, inputs).latents
            assert latents is not None
            found = latents.numpy()
        return np.asarray(found[rows], dtype=np.float32)
