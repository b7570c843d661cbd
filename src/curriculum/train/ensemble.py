"""A task's functions of one model, made into functions of a stack of models `[S, ...]`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from curriculum.errors import unknown
from curriculum.train.batch import Batch, Tensors
from curriculum.train.faults import MisuseError
from curriculum.train.noise import Noise
from curriculum.train.probes import Observation
from curriculum.train.stack import one_by_one
from curriculum.train.task import Directed, Stacked, Task

Result = TypeVar("Result")
SAMPLES_AT_ONCE = 2**15  # models x inputs x passes in `observe`: few enough to stay in a processor's cache
EXAMINED_AT_ONCE = 16  # models in `examine`, where each may work through a few thousand samples


def models_at_once(task: Task, inputs: Tensor) -> int:
    """Say of how many models `observe` runs each call on inputs `[N, ...]`."""
    return max(1, SAMPLES_AT_ONCE // (len(inputs) * task.passes))


class _Caller(nn.Module):
    """Lets `functional_call` run any function of a model, not only its forward."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(self.model, *args)


@dataclass(frozen=True)
class Gradients:
    """What a stack's losses give: `terms` `[S, K]`, the gradient `[S, P]`, and the model's buffers after them, each `[S, ...]`."""

    terms: Tensor
    gradient: Tensor
    buffers: Tensors


class Ensemble:
    """A task's functions of one model, made into functions of a stack of models.

    With `stacked`, all models are computed at once, else one after the other. The losses and gradients are of `at_once` models at a time,
    if that is given and the task does not find its own gradients.
    """

    def __init__(self, task: Task, stacked: bool = True, at_once: int | None = None):
        self.task = task
        # Asking this of a protocol costs as much as a few tensor operations: not once a step.
        self._by_hand = task if isinstance(task, Stacked) and stacked else None
        self._directed = task if isinstance(task, Directed) else None
        self.stacked = stacked
        self.at_once = at_once
        with torch.random.fork_rng(devices=[]):
            model = task.build()
            self._training, self._caller = _Caller(model).train(), _Caller(task.build().eval())
        self._trained = [name for name, value in model.named_parameters() if value.requires_grad]
        self._frozen = [name for name, value in model.named_parameters() if not value.requires_grad]
        self._buffers = [name for name, _ in model.named_buffers()]
        self._kinds = {name: value.dtype for name, value in [*model.named_parameters(), *model.named_buffers()]}

    @property
    def by_hand(self) -> bool:
        """Whether the task finds its own gradients, so that no graph need be recorded."""
        return self._by_hand is not None

    def gradients(self, parameters: Tensors, batch: Batch, weights: Tensor, keys: Tensor) -> Gradients:
        """Compute the loss terms of a stack, and the gradients of their weighted sum.

        `parameters` and the tensors of `batch` are `[S, ...]`, `weights` `[S, K]` for the K active terms, `keys` `[S, 2]` those of the
        noise. The terms are unweighted.
        """
        if not batch.active:
            # No term has any weight at this step: nothing pulls.
            none = torch.zeros(len(weights), sum(parameters[name][0].numel() for name in self._trained), device=weights.device)
            return Gradients(weights.new_empty(weights.shape), none, {})
        if self._by_hand:
            terms, parts = self._by_hand.stacked_gradients(parameters, batch, weights)
            return Gradients(terms, torch.cat([part.flatten(1) for part in parts], 1), {})
        stack = len(weights)
        models = (self.at_once or stack) if self.stacked else 1
        if models >= stack:
            return self.differentiate(parameters, batch, weights, keys)
        groups = [slice(first, min(first + models, stack)) for first in range(0, stack, models)]
        found = [self.differentiate(*_slice(rows, parameters, batch, weights, keys)) for rows in groups]
        buffers = {name: torch.cat([one.buffers[name] for one in found]) for name in found[0].buffers}
        return Gradients(torch.cat([one.terms for one in found]), torch.cat([one.gradient for one in found]), buffers)

    def differentiate(self, parameters: Tensors, batch: Batch, weights: Tensor, keys: Tensor) -> Gradients:
        """Do what `gradients` does from the task's losses alone: forward for each model, autograd back."""
        leaves = {name: parameters[name].detach().requires_grad_() for name in self._trained}
        # Models change their running statistics in place: on copies, which are taken over only where the step is.
        buffers = {name: parameters[name].to(self._kinds[name], copy=True) for name in self._buffers}
        frozen = {name: parameters[name].to(self._kinds[name]) for name in self._frozen}

        def objectives_of_one(model: nn.Module, tensors: Tensors, values: Tensor, references: Tensors, key: Tensor) -> dict[str, Tensor]:
            own = Batch(tensors, batch.sheet.with_values(values), references, batch.active, batch.on)
            with Noise(key):
                return self._checked(self.task.losses(model, own), batch.active)

        given = (dict(batch.tensors), batch.sheet.values_of_all, dict(batch.references), keys)
        if self.stacked:
            objectives = self._each(self._training, objectives_of_one, {**leaves, **frozen, **buffers}, *given)
        else:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(keys[0, 0]) & 0xFFFFFFFF | (int(keys[0, 1]) & 0x7FFFFFFF) << 32)
                objectives = self._each(self._training, objectives_of_one, {**leaves, **frozen, **buffers}, *given)
        terms = torch.stack([objectives[name] for name in batch.active], 1)
        if self._directed:
            gradient = self._direct(self._directed, objectives, leaves, batch)
        else:
            parts = torch.autograd.grad((terms * weights).sum(), list(leaves.values()), allow_unused=True, materialize_grads=True)
            gradient = torch.cat([part.flatten(1) for part in parts], 1)
        return Gradients(terms.detach(), gradient, {name: value.detach().float() for name, value in buffers.items()})

    def _direct(self, task: Directed, objectives: Tensors, leaves: Tensors, batch: Batch) -> Tensor:
        """Let the task make the direction `[S, P]` of the gradient of each objective."""
        found = {}
        for place, (name, value) in enumerate(objectives.items()):
            parts = torch.autograd.grad(
                value.sum(), list(leaves.values()), retain_graph=place < len(objectives) - 1, allow_unused=True, materialize_grads=True
            )
            found[name] = torch.cat([part.flatten(1) for part in parts], 1)

        def of_one(gradients: Tensors, tensors: Tensors, values: Tensor, references: Tensors) -> Tensor:
            own = Batch(tensors, batch.sheet.with_values(values), references, batch.active, batch.on)
            direction = task.direction(gradients, own)
            expected = next(iter(gradients.values())).shape
            if not isinstance(direction, Tensor) or direction.shape != expected:
                shape = list(direction.shape) if isinstance(direction, Tensor) else type(direction).__name__
                raise MisuseError("direction", f"return a tensor of the shape {list(expected)}, as each gradient has, not {shape}")
            return direction

        mapped = (torch.vmap if self.stacked else one_by_one)(of_one)
        direction: Tensor = mapped(found, dict(batch.tensors), batch.sheet.values_of_all, dict(batch.references))
        return direction.detach()

    def _checked(self, found: Any, active: Sequence[str]) -> dict[str, Tensor]:
        """Give what the losses of one model returned, each a scalar. Raises `InputError` where it is anything else."""
        if not isinstance(found, Mapping):
            raise MisuseError("losses", f"return a dict with a scalar for each of {', '.join(active)}, not {type(found).__name__}")
        for name in active:
            if name not in found:
                raise MisuseError("losses", f"{name!r} is missing from what it returned ({', '.join(map(str, found)) or 'an empty dict'})")
        known = (*self.task.terms, *active)
        for name, value in found.items():
            if name not in known and not self._directed:
                raise MisuseError("losses", f"{unknown('term', str(name), list(self.task.terms))}; list it in `terms`")
            if not isinstance(value, Tensor) or value.ndim:
                shape = f"a tensor of the shape {list(value.shape)}" if isinstance(value, Tensor) else f"{value!r:.40}"
                raise MisuseError("losses", f"{name!r} must be a scalar tensor, such as a mean over the batch, not {shape}")
        wanted = found if self._directed else active
        return {name: found[name] for name in wanted}

    def _ready(self, parameters: Tensors) -> Tensors:
        """Give the parameters and buffers of a stack in the types that the model has them in."""
        return {name: value if self._kinds[name] == value.dtype else value.to(self._kinds[name]) for name, value in parameters.items()}

    def capture(self, action: str, parameters: Tensors) -> dict[str, Tensor]:
        """Handle an action for every model of a stack: references `[S, ...]` by name."""
        with torch.no_grad():
            return self._each(self._caller, lambda model: self.task.capture(action, model), self._ready(parameters))

    def observe(self, parameters: Tensors, inputs: Tensor) -> Observation:
        """Run a stack of models `[S, ...]` on the same inputs `[N, ...]`, some hundred at a time."""
        inputs = inputs.to(next(iter(parameters.values())).device)
        seen = []
        stack = len(next(iter(parameters.values())))
        models = models_at_once(self.task, inputs)
        with torch.no_grad():
            for start in range(0, stack, models):
                part = {name: value[start : start + models] for name, value in parameters.items()}
                seen.append(self._by_hand.stacked_observe(part, inputs) if self._by_hand else self.observe_each(part, inputs))
        latents = [one.latents for one in seen if one.latents is not None]
        return Observation(torch.cat([one.outputs for one in seen]), torch.cat(latents) if latents else None)

    def observe_each(self, parameters: Tensors, inputs: Tensor) -> Observation:
        """Do what `observe` does from what the task does for one model."""
        found = self._each(self._caller, lambda model: _fields(self.task.observe(model, inputs)), self._ready(parameters))
        return Observation(found["outputs"], found.get("latents"))

    def examine(self, parameters: Tensors) -> dict[str, Tensor]:
        """Compute a task's further curves for a stack of models `[M, ...]`, some at a time: each `[M, ...]`."""
        stack = len(next(iter(parameters.values())))
        parts = []
        with torch.no_grad():
            for start in range(0, stack, EXAMINED_AT_ONCE):
                own = {name: value[start : start + EXAMINED_AT_ONCE] for name, value in self._ready(parameters).items()}
                parts.append(self._each(self._caller, self.task.examine, own))
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def exhibit(self, parameters: Tensors) -> dict[str, Tensor]:
        """Compute what is shown of each model of a stack at the end: arrays `[S, ...]` by name."""
        with torch.no_grad():
            return self._each(self._caller, self.task.exhibit, self._ready(parameters))

    def _each(self, caller: _Caller, function: Callable[..., Result], parameters: Tensors, *args: Any) -> Result:
        """Call `function(model, *args)` for each model of a stack, all of `args` being `[S, ...]` too."""

        def one(own: Tensors, *own_args: Any) -> Result:
            named = {f"model.{name}": value for name, value in own.items()}
            result: Result = functional_call(caller, named, (function, *own_args))
            return result

        mapped: Result = (torch.vmap if self.stacked else one_by_one)(one)(dict(parameters), *args)
        return mapped


def _fields(observation: Observation) -> dict[str, Tensor]:
    if not isinstance(observation, Observation):
        raise MisuseError("observe", f"return an Observation, not {type(observation).__name__}")
    found = {"outputs": observation.outputs, "latents": observation.latents}
    return {name: value for name, value in found.items() if value is not None}


def _slice(own: slice, parameters: Tensors, batch: Batch, weights: Tensor, keys: Tensor) -> tuple[Tensors, Batch, Tensor, Tensor]:
    """Take some models out of a stack, as a stack of their own."""

    def part(tensors: Tensors) -> dict[str, Tensor]:
        return {name: value[own] for name, value in tensors.items()}

    sheet = batch.sheet.with_values(batch.sheet.values_of_all[own])
    among = {name: tuple(row - own.start for row in rows if own.start <= row < own.stop) for name, rows in batch.on.items()}
    on = {name: rows for name, rows in among.items() if rows}
    cut = replace(batch, tensors=part(batch.tensors), sheet=sheet, references=part(batch.references), on=on)
    return part(parameters), cut, weights[own], keys[own]
