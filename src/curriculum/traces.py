"""Replay a run's snapshots on the task's probes: the curves from which every measure is computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from curriculum import config as configs
from curriculum import plugins
from curriculum.ensemble import Ensemble
from curriculum.errors import InputError, RunError
from curriculum.runfolder import Run
from curriculum.task import Probe, Task, make_task, settings_of

Array = NDArray[np.float64]
LOWEST = 1e-12  # an error below this counts as this, so that its logarithm exists
FINAL_SHARE = 0.05  # of the run's last steps makes its final error
MOTION_STRIDE = 10  # steps from one position of the latents to the next


@dataclass(frozen=True)
class Trace:
    """The curves of one seed of one run.

    `y` `[F]` is log10 of the unweighted error on the main probe at `steps` `[F]`, which are `stride` apart
    (dex; 0.3 is a factor of 2). `latents` `[G, N, L]` are those of the motion probe at `motion_steps` `[G]`.
    `final` is the mean over the run's last 5% of steps of the same logarithm, on each final probe.
    """

    stride: int
    steps: NDArray[np.int64]
    y: Array
    motion_steps: NDArray[np.int64]
    latents: Array
    final: dict[str, float]

    @property
    def motion_stride(self) -> int:
        return int(self.motion_steps[1] - self.motion_steps[0]) if len(self.motion_steps) > 1 else self.stride


def task_of(run: Run) -> Task:
    """Make the task that a stored run was trained on. The hooks that its config names are not imported.

    Raises `RunError` where the run's own config cannot be read.
    """
    try:
        config = configs.load(run.config_text, str(run.config_path), settings_of, plugins.names("tasks"))
    except InputError as error:
        raise RunError(f"the run {run.path} is damaged: {error}") from error
    return make_task(config)


def trace(run: Run, task: Task, seed_index: int, stride: int) -> Trace:
    """Replay one seed of a run at every `stride`-th step.

    Raises `RunError` where the run has no snapshots at these steps.
    """
    ensemble = Ensemble(task)
    probes = {use: [probe for probe in task.probes() if use in probe.uses] for use in ("loss", "final", "motion")}
    steps = run.snapshots.steps[run.snapshots.steps % stride == 0]
    if len(steps) == 0:
        raise RunError(f"the run {run.path} has no snapshots to replay")
    motion_stride = stride * max(1, MOTION_STRIDE // stride)
    motion_steps = steps[steps % motion_stride == 0]
    last = steps[steps >= (1 - FINAL_SHARE) * (steps[-1] + 1)]
    main, motion = probes["loss"][0], probes["motion"][0]
    y = _errors(run, task, ensemble, seed_index, main, steps)
    parameters = _stack(run, motion_steps, seed_index)
    latents = ensemble.observe(parameters, motion.inputs).latents.numpy().astype(np.float64)
    final = {probe.name: float(_errors(run, task, ensemble, seed_index, probe, last).mean()) for probe in probes["final"]}
    return Trace(stride, steps, y, motion_steps, latents, final)


def _stack(run: Run, steps: NDArray[np.int64], seed_index: int) -> dict[str, torch.Tensor]:
    chosen = run.snapshots.select(steps, seed_index)
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in chosen.items()}


def _errors(run: Run, task: Task, ensemble: Ensemble, seed_index: int, probe: Probe, steps: NDArray[np.int64]) -> Array:
    seen = ensemble.observe(_stack(run, steps, seed_index), probe.inputs)
    error = task.probe_loss(seen, probe.inputs).numpy().astype(np.float64)
    return np.log10(np.maximum(error, LOWEST))
