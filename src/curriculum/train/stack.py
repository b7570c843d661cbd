"""S seeds of one task as one stack of tensors `[S, ...]`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from curriculum.train.batch import REAL, Tensors
from curriculum.train.faults import MisuseError
from curriculum.train.task import Task


@dataclass(frozen=True)
class Layout:
    """Where each parameter of one model stands in a flat vector `[P]`.

    The first `trained` numbers are what the optimizer moves. Behind them stand the parameters that need no gradient and the model's
    buffers, such as running statistics.
    """

    shapes: Mapping[str, tuple[int, ...]]
    trained: int

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

    Raises `InputError` for a model that cannot be trained.
    """
    rows: dict[int, Tensor] = {}
    with torch.random.fork_rng(devices=[]):
        for seed in dict.fromkeys(seeds):  # arms have the same ones, and some models take long to initialize
            torch.manual_seed(seed)
            model = task.build()
            rows[seed] = _flattened(model)
    shapes = {name: tuple(value.shape) for name, value in [*_trained(model), *_kept(model)]}
    layout = Layout(shapes, sum(value.numel() for _, value in _trained(model)))
    return layout, torch.stack([rows[seed] for seed in seeds]).to(device)


def _trained(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [(name, value) for name, value in model.named_parameters() if value.requires_grad]


def _kept(model: nn.Module) -> list[tuple[str, Tensor]]:
    frozen = [(name, value) for name, value in model.named_parameters() if not value.requires_grad]
    return [*frozen, *model.named_buffers()]


def _flattened(model: Any) -> Tensor:
    if not isinstance(model, nn.Module):
        raise MisuseError("build", f"return a model (torch.nn.Module), not {type(model).__name__}")
    trained = _trained(model)
    if not trained:
        raise MisuseError("build", "the model has no parameters to train")
    for name, value in trained:
        if value.dtype != torch.float32:
            raise MisuseError(
                "build", f"the parameter {name!r} is {str(value.dtype).removeprefix('torch.')}; models are trained in float32"
            )
    return torch.cat([value.detach().cpu().float().reshape(-1) for _, value in [*trained, *_kept(model)]])


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


def one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """Do what `torch.vmap` does by calling the function for one seed after the other."""

    def mapped(*args: Any) -> Any:
        stack = len(_first_tensor(args))
        return _joined([function(*(_row(arg, row) for arg in args)) for row in range(stack)])

    return mapped


def _first_tensor(value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    inner = value.values() if isinstance(value, Mapping) else value
    return next(_first_tensor(item) for item in inner if isinstance(item, Tensor) or len(item))


def _row(value: Any, row: int) -> Any:
    if isinstance(value, Tensor):
        return value[row]
    return {name: _row(item, row) for name, item in value.items()}


def _joined(results: Sequence[Any]) -> Any:
    first = results[0]
    if isinstance(first, Tensor):
        return torch.stack(list(results))
    if isinstance(first, Mapping):
        return {name: _joined([result[name] for result in results]) for name in first}
    return tuple(_joined(list(parts)) for parts in zip(*results, strict=True))
