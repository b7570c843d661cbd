"""The systems on their way, each steered by the network as it was at the step of the frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from curriculum.draw.film import Look
from curriculum.draw.motion import snapshots_of, task_of
from curriculum.errors import InputError
from curriculum.store.reader import Run
from curriculum.tasks.control.drawing import Stage
from curriculum.tasks.control.drawing.cartpole import CartPoleStage
from curriculum.tasks.control.drawing.guidance import GuidanceStage
from curriculum.tasks.control.drawing.quantum import QuantumStage
from curriculum.tasks.control.systems.cartpole import CartPole
from curriculum.tasks.control.systems.guidance import Guidance
from curriculum.tasks.control.systems.quantum import Quantum
from curriculum.tasks.control.task import ControlTask

STARTS = 6  # of the test states
PLAYED, HELD = 50, 15  # frames in which a way is shown from its start to its end, and then its end
FEWEST = 6 * (PLAYED + HELD)  # frames of a video
AT_ONCE = 64  # networks


class Steering:
    """Test states of some runs, steered anew at every frame: a way begins every few frames, and ends with the last one."""

    note = ""
    classes: tuple[int, ...] = ()

    def __init__(self, runs: Sequence[Run], seed_indices: Sequence[int], look: Look, all_seeds: bool):
        """Open the runs. Raises `InputError` for runs without snapshots, and for what a system on its way does not have."""
        if look.dims is not None:
            raise InputError(f"the video of the task {runs[0].task_name!r} shows no latent space: remove --dims")
        if all_seeds:
            raise InputError(f"the video of the task {runs[0].task_name!r} shows one seed of each run: choose it with --seed")
        self.runs, self.seed_indices = runs, seed_indices
        self.snapshots = [snapshots_of(run) for run in runs]

    def steps(self, run: int) -> NDArray[np.int64]:
        return self.snapshots[run].steps

    def frames(self, steps: Sequence[int]) -> Sequence[int]:
        """Show steps again where they are too few for a few ways from start to end."""
        return [step for step in steps for _ in range(-(-FEWEST // len(steps)))]

    def panels(self, frames: Sequence[Sequence[int]]) -> list[Stage]:
        found = [self._stage(place, own) for place, own in enumerate(frames)]
        limit = max(stage.reach() for stage in found)
        for stage in found:
            stage.limit = limit
        return found

    def _stage(self, place: int, frames: Sequence[int]) -> Stage:
        task = task_of(self.runs[place])
        assert isinstance(task, ControlTask)
        distinct, rows = np.unique(np.asarray(frames), return_inverse=True)
        stored = self.snapshots[place].select(distinct.tolist(), self.seed_indices[place])
        parts = []
        for first in range(0, len(distinct), AT_ONCE):
            part = {name: torch.from_numpy(np.ascontiguousarray(value[first : first + AT_ONCE])) for name, value in stored.items()}
            parts.append(task.steered(part, task.tested[:STARTS]).numpy())
        states = np.concatenate(parts)[rows]
        times = moments(len(frames), task.system.steps)
        return _stage_of(task, states, times)


FILM = Steering


def moments(frames: int, steps: int) -> NDArray[np.int64]:
    """Say how many of `steps` steps a system has gone at each of some frames: each way is played and held, and the last frame holds."""
    place = (np.arange(frames) - frames) % (PLAYED + HELD)
    return np.minimum(np.round(place / PLAYED * steps), steps).astype(np.int64)


def _stage_of(task: ControlTask, states: NDArray[np.float32], times: NDArray[np.int64]) -> Stage:
    system = task.system
    if isinstance(system, CartPole):
        return CartPoleStage(states, times, system.dt, length=2 * system.settings.half_length)
    if isinstance(system, Guidance):
        return GuidanceStage(states, times, system.dt, drivers=system.drivers)
    assert isinstance(system, Quantum)
    goal = system.basis[system.settings.target - 1] ** 2
    return QuantumStage(states, times, system.dt, places=system.places.numpy(), goal=goal.astype(np.float32))
