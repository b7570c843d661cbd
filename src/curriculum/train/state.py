"""The complete state of a training: everything it needs to resume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from curriculum.config.settings import Optimizer
from curriculum.sheet.schedule import Schedule
from curriculum.train import optimizers
from curriculum.train.stack import Layout, initial_parameters
from curriculum.train.task import Task


@dataclass(frozen=True)
class Arm:
    """One schedule and the seeds that follow it; they are the rows `rows` of the stack.

    `references` are what actions captured, each `[S, ...]` for the S seeds of this arm.
    """

    schedule: Schedule
    seeds: tuple[int, ...]
    rows: slice
    references: Mapping[str, Tensor]


@dataclass(frozen=True)
class State:
    """The whole state before step `step`. Nothing in it changes in place.

    `flat` are the parameters of all arms, `[S, P]`, with the models' buffers behind them, `moments` the optimizer's state by name, each
    of the parameters that it moves. `alive` `[S]` is
    False for a seed that diverged. `stretch` are the steps whose batches are drawn together, where `step` lies amid them: a
    training that is resumed here draws the same ones again, and so computes the same bits.
    """

    step: int
    arms: tuple[Arm, ...]
    layout: Layout
    flat: Tensor
    moments: Mapping[str, Tensor]
    alive: Tensor
    stretch: range | None = None

    def parameters(self, arm: Arm) -> dict[str, Tensor]:
        """Name the parameters of an arm, each a view `[S, ...]`."""
        return self.layout.views(self.flat[arm.rows])


def initial_state(task: Task, arms: Sequence[tuple[Schedule, Sequence[int]]], settings: Optimizer, device: str = "cpu") -> State:
    """Build the state before step 0 for some schedules, each with its seeds; all have the same number of steps.

    What is trained is kept on `device`.
    """
    made, first = [], 0
    for schedule, seeds in arms:
        made.append(Arm(schedule, tuple(seeds), slice(first, first + len(seeds)), {}))
        first += len(seeds)
    layout, flat = initial_parameters(task, [seed for _, seeds in arms for seed in seeds], device)
    moments = optimizers.init(settings, flat[:, : layout.trained])
    return State(0, tuple(made), layout, flat, moments, torch.ones(first, dtype=torch.bool, device=device))
