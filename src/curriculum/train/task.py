"""The interface of a task: a model, its data and its losses, written for one seed in plain PyTorch.

The least is `build`, `data` and `losses`; all else has a default that suits a model with inputs and labels. A task is trained as a
stack of S seeds, which `Ensemble` makes of what stands here; a task that knows a faster way for the whole stack is `Stacked` too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from curriculum.config.settings import Settings, TaskSettings
from curriculum.errors import Problem
from curriculum.sheet.bounds import NONNEGATIVE, UNBOUNDED, Bounds
from curriculum.sheet.document import Dopesheet, Phase
from curriculum.sheet.schedule import RATE, Schedule
from curriculum.train.batch import INPUTS, LABELS, Batch, Tensors
from curriculum.train.faults import MisuseError
from curriculum.train.optimizers import COLUMNS
from curriculum.train.probes import Observation, Picture, Probe
from curriculum.train.samples import INDEX, SAMPLING, TRAIN, chosen, in_epochs, read_splits
from curriculum.train.scores import Score
from curriculum.train.streams import generator

if TYPE_CHECKING:
    from collections.abc import Iterable

Question = tuple[str, tuple[str, ...]]  # what is asked, and the ids of the measures that answer it
STABLE: Question = ("more stable training (fewer, smaller loss spikes, less fluctuation)", ("H1a", "H1b", "H2"))


class Task(ABC):
    """A task for one model and one seed.

    `terms` are the loss terms in order, each weighed by the sheet's column of the same name. `controls` are the other columns that
    the task reads: the smallest and the largest value of each, both allowed, and as a third number, if there is one, the value where
    a sheet has no such column. Those that depend on the settings are set in `__init__`.

    `scores` are the numbers by which models are judged beside their loss: `"higher"` or `"lower"` says what is better, or a `Score`.

    `actions` are the actions that the task handles itself. `needs` names the action whose capture a term depends on, under the same
    name: before it fires the term is absent. Columns in `integers` are read as whole numbers, rounded. Those in `switches` are off
    where they are 0, so that what only they need can be left out: `"name" in batch.on` tells whether one is on.

    `measures` names the measures by which runs are compared; a `Metric` of your own may stand among them. `hypotheses` says what is
    judged, by the measures' ids; without any, each score and the stability of training are. `plots` names the figures that draw what
    is special to this task; a function of your own may stand among them. `film` names what moves in its video. `passes` is how often
    `observe` runs a model on each input: where that is more than once, fewer models are observed at a time.
    """

    settings_type: ClassVar[type[Settings]] = TaskSettings
    version: ClassVar[int] = 1
    terms: ClassVar[tuple[str, ...]]
    controls: Mapping[str, Sequence[float]] = {}
    scores: ClassVar[Mapping[str, str | Score]] = {}
    batch_size: ClassVar[int] = 64
    probe_every: ClassVar[int] = 10
    actions: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[Mapping[str, str]] = {}
    integers: tuple[str, ...] = ()
    switches: ClassVar[tuple[str, ...]] = ()
    measures: ClassVar[tuple[Any, ...]] = ("draw_up", "spikes", "fluctuation")
    hypotheses: ClassVar[Mapping[str, Question]] = {}
    examine_every: ClassVar[int] = 0
    plots: ClassVar[tuple[Any, ...]] = ()
    film: ClassVar[str] = "latents"
    passes: int = 1

    def __init__(self, settings: Any):
        self.settings = settings

    @abstractmethod
    def build(self) -> nn.Module:
        """Build the model of one seed, with the weights that PyTorch's generator gives now."""

    @abstractmethod
    def losses(self, model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Compute the active terms of one model on one batch, each a scalar, unweighted.

        `batch.inputs` and `batch.labels` are the samples, `batch.sheet["name"]` is the value of a column at this step. Where arms with
        batches of different size train together, the smaller ones are filled up with zeros, and `batch["real"]` `[B]` marks the
        samples that count.
        """

    def data(self) -> Mapping[str, Any]:
        """Give the data: `train` and `test`, each a pair of inputs `[N, ...]` and labels `[N, ...]`, or inputs alone.

        They are arrays or tensors. Each part but `train` is a probe; the first of them is followed over all steps.
        """
        return {}

    @cached_property
    def splits(self) -> Mapping[str, tuple[Tensor, Tensor | None]]:
        """The data as tensors; empty for a task that draws its own batches. Raises `InputError` for what cannot be used."""
        return read_splits(self.data()) if type(self).data is not Task.data else {}

    def check(self, sheet: Dopesheet) -> Iterable[Problem]:
        """Find problems of a sheet with this task, apart from unknown columns and actions."""
        return ()

    def warnings(self, schedule: Schedule) -> Iterable[str]:
        """Find what a schedule asks for that can be trained, but is most likely not meant."""
        return ()

    def batches(self, schedule: Schedule, steps: range, seeds: Sequence[int]) -> Tensors:
        """Draw the batches of some steps of one phase: tensors `[C, S, ...]` by name.

        By default, each seed goes through the training data in a new order every epoch; a task that is `Sampling` chooses instead.
        A pure function: the same steps and seeds give the same batches, whatever was drawn before.
        """
        inputs, _ = self.splits[TRAIN]
        size = min(getattr(self.settings, "batch_size", None) or self.batch_size, len(inputs))
        if not isinstance(self, Sampling):
            return {INDEX: in_epochs(seeds, steps, size, len(inputs))}
        drawn = np.empty((len(steps), len(seeds), size), dtype=np.int64)
        for row, step in enumerate(steps):
            sheet = {**self.defaults(), **schedule.at(step)}
            for place, seed in enumerate(seeds):
                drawn[row, place] = chosen(self.sample(generator(seed, SAMPLING, step), sheet, size), size, len(inputs))
        return {INDEX: torch.from_numpy(drawn)}

    def gather(self, drawn: Tensors) -> Tensors:
        """Turn what was drawn for one step into tensors `[S, ...]`: indices into the samples that they stand for."""
        if INDEX not in drawn:
            return drawn
        inputs, labels = self.splits[TRAIN]
        found = {INPUTS: inputs[drawn[INDEX]]} if labels is None else {INPUTS: inputs[drawn[INDEX]], LABELS: labels[drawn[INDEX]]}
        return {**drawn, **found}

    def column(self, schedule: Schedule, name: str, steps: range) -> NDArray[np.float64]:
        """Read a column at some steps, or its default where the sheet does not have it: `[C]`."""
        if name not in schedule.properties:
            return np.full(len(steps), self.defaults()[name])
        return schedule.column(name)[steps.start : steps.stop]

    def defaults(self) -> dict[str, float]:
        """Give the values of the controls that a sheet need not have."""
        return {name: float(entry[2]) for name, entry in self.controls.items() if len(entry) > 2}

    def bounds_of(self, column: str) -> Bounds:
        """Give the smallest and the largest value that a column may have, in a sheet or on the path of a retarget."""
        if column in self.controls:
            low, high, *_ = self.controls[column]
            return float(low), float(high)
        return NONNEGATIVE if column == RATE or column in self.terms else COLUMNS.get(column, UNBOUNDED)

    def capture(self, action: str, model: nn.Module) -> dict[str, Tensor]:
        """Handle an action: return the references captured from one model, by name."""
        return {}

    def observe(self, model: nn.Module, inputs: Tensor) -> Observation:
        """Run one model on inputs `[N, ...]`."""
        return Observation(model(inputs))

    def probes(self) -> tuple[Probe, ...]:
        """Give the probes of this task."""
        return tuple(
            Probe(name, f"the {name} data", inputs, frozenset({"final"} if place else {"loss", "final"}), self.probe_every, labels)
            for place, (name, (inputs, labels)) in enumerate(own for own in self.splits.items() if own[0] != TRAIN)
        )

    def validation(self, phase: Phase) -> Tensor:
        """Return the inputs `[N, ...]` on which the end of a phase is evaluated."""
        return self.probes()[0].inputs

    @property
    def classifies(self) -> bool:
        """Whether the labels are the numbers of classes."""
        labels = self.splits[TRAIN][1] if self.splits else None
        return labels is not None and labels.ndim == 1 and not labels.is_floating_point()

    @property
    def error_unit(self) -> str:
        """What the error on a probe is measured in."""
        return "cross-entropy" if self.classifies else "MSE"

    def error(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Compute the error of one model's outputs `[N, ...]`, a scalar: cross-entropy for classes, else the mean squared error.

        Without labels, the outputs are compared with the inputs.
        """
        if self.classifies:
            return nn.functional.cross_entropy(outputs, labels.long())
        return nn.functional.mse_loss(outputs, labels.to(outputs.dtype))

    def score(self, outputs: Tensor, labels: Tensor) -> Mapping[str, Any]:
        """Compute the scores of one model's outputs `[N, ...]`, each a number; without this method, `accuracy` is known."""
        return {"accuracy": (outputs.argmax(-1) == labels).float().mean()}

    def probe_loss(self, observation: Observation, probe: Probe) -> Tensor:
        """Compute the error on a probe, from a stack's observation: `[S]`."""
        wanted = (probe.inputs if probe.labels is None else probe.labels).to(observation.outputs.device)
        return torch.stack([self.error(outputs, wanted) for outputs in observation.outputs])

    def probe_scores(self, observation: Observation, probe: Probe) -> dict[str, Tensor]:
        """Compute the scores on a probe, from a stack's observation: `[S]` by name."""
        if not self.scores:
            return {}
        wanted = (probe.inputs if probe.labels is None else probe.labels).to(observation.outputs.device)
        found = [self.score(outputs, wanted) for outputs in observation.outputs]
        return {name: torch.tensor([_number(name, own) for own in found], dtype=torch.float32) for name in self.scores}

    def picture(self) -> Picture | None:
        """Return the picture of the task's latent space, if it has one."""
        return None

    def point_colors(self, inputs: Tensor) -> NDArray[np.float32]:
        """Give the color in which each input of the picture is drawn: RGB `[N, 3]` in 0 to 1."""
        return np.full((len(inputs), 3), 0.4, dtype=np.float32)

    def to(self, device: torch.device) -> Self:
        """Give this task with every tensor of it, also inside dicts and lists, on a device."""
        _ = self.splits
        if device.type == "cpu":
            return self
        moved = copy(self)
        for name, value in vars(self).items():
            moved.__dict__[name] = _moved(value, device)
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


def _number(name: str, scores: Any) -> float:
    if not isinstance(scores, Mapping) or name not in scores:
        found = f"a dict of {', '.join(map(repr, scores))}" if isinstance(scores, Mapping) else type(scores).__name__
        raise MisuseError("score", f"return a dict with {name!r}, not {found}")
    try:
        return float(scores[name])
    except (TypeError, ValueError, RuntimeError):
        raise MisuseError("score", f"{name!r} must be one number, not {scores[name]!r:.80}") from None


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _moved(item, device) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_moved(item, device) for item in value))
    return type(value)(_moved(item, device) for item in value) if type(value) in (list, tuple) else value


@runtime_checkable
class Sampling(Protocol):
    """A task that chooses which of its training data are in a batch: a curriculum of the data."""

    def sample(self, rng: np.random.Generator, sheet: Mapping[str, float], size: int) -> Any:
        """Choose the training samples of a step: `size` indices. `sheet` has the values of the columns at this step.

        `rng` is made anew from the seed and the step.
        """
        ...


@runtime_checkable
class Stacked(Protocol):
    """A task with faster functions for a whole stack than mapping and differentiating those of one model."""

    def stacked_gradients(self, parameters: Tensors, batch: Batch, weights: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute terms `[S, K]` and gradients, as `Ensemble.differentiate` does; of a task that makes them itself, directions."""
        ...

    def stacked_observe(self, parameters: Tensors, inputs: Tensor) -> Observation:
        """Run a stack of models on inputs `[N, ...]`: outputs `[S, N, ...]` and latents `[S, N, L]`."""
        ...


@runtime_checkable
class Directed(Protocol):
    """A task that makes the update's direction of the gradients itself, such as one that projects conflicting gradients."""

    def direction(self, gradients: Tensors, batch: Batch) -> Tensor:
        """Make the direction `[P]` of one model's update, which takes the place of the gradient.

        `gradients` has the gradient `[P]` of each objective that `losses` returned, unweighted; their weights are in `batch.sheet`.
        Beside the terms, such a task may return further objectives, which are part of no loss.
        """
        ...
