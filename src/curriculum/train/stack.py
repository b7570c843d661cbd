"""S seeds of one task as one stack of tensors `[S, ...]`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import pad

from curriculum.train.task import REAL, Observation, Stacked, Task, Tensors

Result = TypeVar("Result")
SAMPLES_AT_ONCE = 2**15  # models x inputs in `observe`: few enough to stay in a processor's cache
EXAMINED_AT_ONCE = 16  # models in `examine`, where each may work through a few thousand samples


@dataclass(frozen=True)
class Layout:
    """Where each parameter of one model stands in a flat vector `[P]`."""

    shapes: Mapping[str, tuple[int, ...]]

    @property
    def size(self) -> int:
        return sum(self._sizes())

    def _sizes(self) -> Iterator[int]:
        for shape in self.shapes.values():
            yield int(torch.Size(shape).numel())

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Split `[..., P]` into a view for each parameter `[..., *shape]`."""
        parts = torch.split(flat, list(self._sizes()), dim=-1)
        named = zip(self.shapes.items(), parts, strict=True)
        return {name: part.view(*part.shape[:-1], *shape) for (name, shape), part in named}


def initial_parameters(task: Task, seeds: Sequence[int], device: str = "cpu") -> tuple[Layout, Tensor]:
    """Build the models of all seeds; return their layout and their parameters as `[S, P]`, on a device.

    The one place that touches PyTorch's global generator: each model is built right after
    `torch.manual_seed(seed)` on the CPU, and the generator is put back as it was.
    """
    rows = []
    with torch.random.fork_rng(devices=[]):
        for seed in seeds:
            torch.manual_seed(seed)
            model = task.build()
            rows.append(nn.utils.parameters_to_vector(model.parameters()).detach())
    layout = Layout({name: tuple(parameter.shape) for name, parameter in model.named_parameters()})
    return layout, torch.stack(rows).to(device)


def models_at_once(inputs: Tensor) -> int:
    """Say of how many models `observe` runs each call on inputs `[N, ...]`."""
    return max(1, SAMPLES_AT_ONCE // len(inputs))


def join_batches(parts: Sequence[Tensors]) -> dict[str, Tensor]:
    """Join the batches `[C, S, B, ...]` of several arms along S.

    Where they differ in size, along B or a later axis, smaller ones are filled up with zeros, and `real` `[C, S, B]`
    marks the samples that are none of these.
    """
    if len(parts) == 1:
        return dict(parts[0])
    joined = {name: _join([part[name] for part in parts]) for name in parts[0]}
    samples = [next(iter(part.values())).shape[:3] for part in parts]
    if len({shape[2] for shape in samples}) > 1:
        joined[REAL] = _join([torch.ones(shape, dtype=torch.bool) for shape in samples])
    return joined


def _join(values: Sequence[Tensor]) -> Tensor:
    """Join tensors `[C, S, ...]` along S, each filled up with zeros to the largest of them in every later axis."""
    largest = [max(sizes) for sizes in zip(*(value.shape[2:] for value in values), strict=True)]
    filled = []
    for value in values:
        missing = [size - own for size, own in zip(largest, value.shape[2:], strict=True)]
        # `pad` wants the last axis first, each with what is missing before and behind.
        filled.append(pad(value, [amount for size in reversed(missing) for amount in (0, size)]) if any(missing) else value)
    return torch.cat(filled, 1)


class _Caller(nn.Module):
    """Lets `functional_call` run any function of a model, not only its forward."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(self.model, *args)


class Ensemble:
    """A task's functions of one model, made into functions of a stack of models."""

    def __init__(self, task: Task):
        self.task = task
        # Asking this of a protocol costs as much as a few tensor operations: not once a step.
        self._stacked = task if isinstance(task, Stacked) else None
        with torch.random.fork_rng(devices=[]):
            self._caller = _Caller(task.build())

    @property
    def by_hand(self) -> bool:
        """Whether the task finds its own gradients, so that no graph need be recorded."""
        return self._stacked is not None

    def gradients(
        self, parameters: Tensors, batch: Tensors, references: Tensors, active: Sequence[str], weights: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Compute the loss terms of a stack, and the gradients of their weighted sum.

        `parameters` and `batch` are `[S, ...]`, `weights` `[S, K]` for the K `active` terms. Returns the terms
        `[S, K]`, unweighted, and for each parameter its gradient `[S, ...]`.
        """
        if not active:
            # No term has any weight at this step: nothing pulls.
            return weights.new_empty(weights.shape), [torch.zeros_like(value) for value in parameters.values()]
        compute = self._stacked.stacked_gradients if self._stacked else self.differentiate
        return compute(parameters, batch, references, active, weights)

    def differentiate(
        self, parameters: Tensors, batch: Tensors, references: Tensors, active: Sequence[str], weights: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Do what `gradients` does from the task's losses alone: vmap forward, autograd back."""

        def terms_of_one(model: nn.Module, own_batch: Tensors, own_references: Tensors) -> Tensor:
            found = self.task.losses(model, own_batch, own_references, active)
            return torch.stack([found[name] for name in active])

        leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
        terms = self._each(terms_of_one, leaves, dict(batch), dict(references))
        found = torch.autograd.grad((terms * weights).sum(), list(leaves.values()), allow_unused=True, materialize_grads=True)
        return terms.detach(), list(found)

    def capture(self, action: str, parameters: Tensors) -> dict[str, Tensor]:
        """Handle an action for every model of a stack: references `[S, ...]` by name."""
        with torch.no_grad():
            return self._each(lambda model: self.task.capture(action, model), parameters)

    def observe(self, parameters: Tensors, inputs: Tensor) -> Observation:
        """Run a stack of models `[S, ...]` on the same inputs `[N, ...]`, some hundred at a time."""
        inputs = inputs.to(next(iter(parameters.values())).device)
        outputs, latents = [], []
        stack = len(next(iter(parameters.values())))
        models = models_at_once(inputs)
        with torch.no_grad():
            for start in range(0, stack, models):
                part = {name: value[start : start + models] for name, value in parameters.items()}
                seen = self._stacked.stacked_observe(part, inputs) if self._stacked else self.observe_each(part, inputs)
                outputs.append(seen.outputs)
                latents.append(seen.latents)
        return Observation(torch.cat(outputs), torch.cat(latents))

    def observe_each(self, parameters: Tensors, inputs: Tensor) -> Observation:
        """Do what `observe` does from what the task does for one model."""
        return Observation(*self._each(lambda model: _fields(self.task.observe(model, inputs)), parameters))

    def examine(self, parameters: Tensors) -> dict[str, Tensor]:
        """Compute a task's further curves for a stack of models `[M, ...]`, some at a time: each `[M, ...]`."""
        stack = len(next(iter(parameters.values())))
        parts = []
        with torch.no_grad():
            for start in range(0, stack, EXAMINED_AT_ONCE):
                parts.append(self._each(self.task.examine, {n: v[start : start + EXAMINED_AT_ONCE] for n, v in parameters.items()}))
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def exhibit(self, parameters: Tensors) -> dict[str, Tensor]:
        """Compute what is shown of each model of a stack at the end: arrays `[S, ...]` by name."""
        with torch.no_grad():
            return self._each(self.task.exhibit, parameters)

    def _each(self, function: Callable[..., Result], parameters: Tensors, *args: Any) -> Result:
        """Call `function(model, *args)` for each model of a stack, all of `args` being `[S, ...]` too."""

        def one(own: Tensors, *own_args: Any) -> Result:
            named = {f"model.{name}": value for name, value in own.items()}
            result: Result = functional_call(self._caller, named, (function, *own_args))
            return result

        mapped: Result = torch.vmap(one)(dict(parameters), *args)
        return mapped


def _fields(observation: Observation) -> tuple[Tensor, Tensor]:
    return observation.outputs, observation.latents
