"""The interface of a task: a model, its data and its loss terms, written for one seed in plain PyTorch.

A task is one file in `tasks/`. It is trained as a stack of S seeds, which `ensemble` makes of what
stands here; a task that knows a faster way for the whole stack is `Stacked` too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from curriculum import plugins
from curriculum.config.settings import Config, Settings
from curriculum.errors import Problem
from curriculum.sheet.bounds import NONNEGATIVE, UNBOUNDED, Bounds
from curriculum.sheet.document import Dopesheet, Phase
from curriculum.sheet.schedule import RATE, Schedule

Tensors = Mapping[str, Tensor]
REAL = "real"  # in a batch, marks the samples that are not there only to fill it up


@dataclass(frozen=True)
class Probe:
    """A fixed set of inputs `[N, ...]` on which models are compared; never sampled.

    `uses` lists its purposes: `loss` (followed over all steps; one probe), `final` (the error at the end) and
    `motion` (how its latents move; one probe). It is evaluated every `every` steps.
    """

    name: str
    title: str
    inputs: Tensor
    uses: frozenset[str] = frozenset()
    every: int = 1


@dataclass(frozen=True)
class Observation:
    """The results of a model on some inputs: `outputs` `[N, ...]` and `latents` `[N, L]`.

    Of a stack of models, each has the axis `[S, ...]` in front.
    """

    outputs: Tensor
    latents: Tensor


@dataclass(frozen=True)
class Picture:
    """What a task's latent space is shown with: inputs `[N, ...]`, each a point.

    `circles` are the radii of circles about the origin, drawn where the task wants the latents to be. `edges` `[E, 2]` are
    pairs of points that are joined by a line. Where `targets` `[N, 2]` say where the points truly are, a plane of latents is
    turned and reflected to lie as they do: two runs are then shown the same way round. `probe` names the probe with these
    inputs, if there is one: where its motion is recorded, no weights are needed for the picture. `traced` are the points whose
    paths are drawn of every seed.
    """

    inputs: Tensor
    circles: tuple[float, ...] = ()
    edges: Tensor | None = None
    targets: Tensor | None = None
    probe: str | None = None
    traced: tuple[int, ...] = ()


class Task(ABC):
    """A task for one model and one seed.

    `terms` are the loss terms in order, each weighed by the sheet's column of the same name.
    `controls` are the other columns that the task reads, `actions` the actions that it handles
    itself. `needs` names the action whose capture a term depends on, under
    the same name: before it fires the term is absent. Columns in `integers` are read as whole numbers, rounded.
    `bounds` are the smallest and the largest value of columns, both allowed; those that depend on the settings are set
    in `__init__`. Without an entry, the learning rate and the weights of terms are at least 0, and controls are unbounded.

    `measures` names the modules in `metrics/` by which runs are compared, and `hypotheses` says what is judged, by the
    letters with which the measures' ids begin. `error_unit` is the unit of `probe_loss`, `plots` names the modules
    in `plots/` that draw what is special to this task.
    """

    settings_type: ClassVar[type[Settings]]
    version: ClassVar[int]
    terms: ClassVar[tuple[str, ...]]
    controls: ClassVar[tuple[str, ...]] = ()
    actions: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[Mapping[str, str]] = {}
    integers: ClassVar[tuple[str, ...]] = ()
    bounds: Mapping[str, Bounds] = {}
    measures: ClassVar[tuple[str, ...]] = ()
    hypotheses: ClassVar[Mapping[str, str]] = {}
    error_unit: ClassVar[str] = "MSE"
    examine_every: ClassVar[int] = 0
    plots: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def __init__(self, settings: Settings):
        """Prepare the task's data from its settings."""

    @abstractmethod
    def build(self) -> nn.Module:
        """Build the model of one seed, with the weights that PyTorch's generator gives now."""

    @abstractmethod
    def check(self, sheet: Dopesheet) -> list[Problem]:
        """Find problems of a sheet with this task, apart from unknown columns and actions."""

    @abstractmethod
    def batches(self, schedule: Schedule, steps: range, seeds: Sequence[int]) -> Tensors:
        """Draw the batches of some steps of one phase: tensors `[C, S, ...]` by name.

        A pure function: the same steps and seeds give the same batches, whatever was drawn before.
        """

    @abstractmethod
    def losses(self, model: nn.Module, batch: Tensors, references: Tensors, active: Sequence[str]) -> dict[str, Tensor]:
        """Compute the `active` terms of one model on one batch, each a scalar, unweighted.

        Where arms with batches of different size train together, the smaller ones are filled up with zeros, and
        `batch["real"]` `[B]` marks the samples that count.
        """

    def bounds_of(self, column: str) -> Bounds:
        """Give the smallest and the largest value that a column may have, in a sheet or on the path of a retarget."""
        weight = column == RATE or column in self.terms
        return self.bounds.get(column, NONNEGATIVE if weight else UNBOUNDED)

    def capture(self, action: str, model: nn.Module) -> dict[str, Tensor]:
        """Handle an action: return the references captured from one model, by name."""
        return {}

    @abstractmethod
    def observe(self, model: nn.Module, inputs: Tensor) -> Observation:
        """Run one model on inputs `[N, ...]`."""

    @abstractmethod
    def validation(self, phase: Phase) -> Tensor:
        """Return the inputs `[N, ...]` on which the end of a phase is evaluated."""

    @abstractmethod
    def probes(self) -> tuple[Probe, ...]:
        """Give the probes of this task."""

    @abstractmethod
    def probe_loss(self, observation: Observation, inputs: Tensor) -> Tensor:
        """Compute the error on a probe, from a stack's observation: `[S]`."""

    @abstractmethod
    def picture(self) -> Picture:
        """Return the picture of the task's latent space."""

    @abstractmethod
    def point_colors(self, inputs: Tensor) -> NDArray[np.float32]:
        """Give the color in which each input is drawn: RGB `[N, 3]` in 0 to 1."""

    def to(self, device: torch.device) -> Self:
        """Give this task with every tensor of it, also inside dicts and lists, on a device."""
        if device.type == "cpu":
            return self
        moved = copy(self)
        for name, value in vars(self).items():
            setattr(moved, name, _moved(value, device))
        return moved

    def examine(self, model: nn.Module) -> dict[str, Tensor]:
        """Compute what else is followed of one model over the steps, every `examine_every` of them (0: none).

        Gives curves by name. Noise comes from tensors that the task has prepared, never from the generators that
        training uses.
        """
        return {}

    def exhibit(self, model: nn.Module) -> dict[str, Tensor]:
        """Compute what measures and pictures need of one model at the end of a run: arrays by name."""
        return {}

    def fixed(self) -> dict[str, Tensor]:
        """Give what measures and pictures need and no model changes: arrays by name."""
        return {}


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _moved(item, device) for key, item in value.items()}
    return type(value)(_moved(item, device) for item in value) if type(value) in (list, tuple) else value


@runtime_checkable
class Stacked(Protocol):
    """A task with faster functions for a whole stack than mapping and differentiating those of one model."""

    def stacked_gradients(
        self, parameters: Tensors, batch: Tensors, references: Tensors, active: Sequence[str], weights: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Compute terms `[S, K]` and gradients, as `ensemble.differentiate` does."""
        ...

    def stacked_observe(self, parameters: Tensors, inputs: Tensor) -> Observation:
        """Run a stack of models on inputs `[N, ...]`: outputs `[S, N, ...]` and latents `[S, N, L]`."""
        ...


def settings_of(name: str) -> type[Settings]:
    """Give the settings that the task of this name takes."""
    settings: type[Settings] = plugins.find("task", name).settings_type
    return settings


def make_task(config: Config[Any]) -> Task:
    """Make the task that a config names."""
    task: Task = plugins.find("task", config.task.name)(config.task)
    return task
