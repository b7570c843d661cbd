"""The data of a task as tensors, and which samples of it make up the batch of a step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from curriculum.train.faults import MisuseError
from curriculum.train.streams import generator

TRAIN = "train"
INDEX = "index"  # in what is drawn: which samples of the training data, `[C, S, B]`
EPOCHS, SAMPLING = 11, 12  # streams of random numbers
Splits = Mapping[str, tuple[Tensor, Tensor | None]]


def read_splits(data: Any) -> dict[str, tuple[Tensor, Tensor | None]]:
    """Turn what a task's `data` returns into tensors: `train` and others, each inputs `[N, ...]` and labels `[N, ...]` or None.

    Arrays of whole numbers become int64, but for bytes, and others float32. Raises `InputError` with the split and what is wrong.
    """
    if not isinstance(data, Mapping) or TRAIN not in data or len(data) < 2:
        found = f"the keys {', '.join(map(repr, data))}" if isinstance(data, Mapping) else type(data).__name__
        raise MisuseError("data", f"return a dict with 'train' and 'test', each (inputs, labels) or inputs alone, not {found}")
    splits = {}
    for name, value in data.items():
        inputs, labels = value if isinstance(value, tuple | list) and len(value) == 2 else (value, None)
        splits[str(name)] = _tensor(inputs, f"{name} inputs"), None if labels is None else _tensor(labels, f"{name} labels")
        own, beside = splits[str(name)]
        if beside is not None and len(own) != len(beside):
            raise MisuseError("data", f"the {name} data has {len(own):,} inputs, but {len(beside):,} labels")
    first, first_labels = splits[TRAIN]
    for name, (inputs, labels) in splits.items():
        for kind, one, other in (("inputs", inputs, first), ("labels", labels, first_labels)):
            if (one is None) != (other is None) or (one is not None and other is not None and one.shape[1:] != other.shape[1:]):
                shapes = [None if value is None else list(value.shape[1:]) for value in (one, other)]
                raise MisuseError("data", f"each of the {name} {kind} has the shape {shapes[0]}, but each of the train {kind} {shapes[1]}")
    return splits


def _tensor(value: Any, what: str) -> Tensor:
    try:
        tensor = value.detach().cpu() if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
    except (TypeError, ValueError) as error:
        raise MisuseError("data", f"the {what} cannot be read as an array: {error}") from None
    if not tensor.ndim or not len(tensor):
        raise MisuseError("data", f"the {what} hold no samples: their shape is {list(tensor.shape)}")
    if tensor.is_complex():
        raise MisuseError("data", f"the {what} are complex numbers: give real and imaginary parts as channels")
    if tensor.is_floating_point():
        tensor = tensor.float()
        bad = (~tensor.isfinite()).flatten(1).any(1) if tensor.ndim > 1 else ~tensor.isfinite()
        if bad.any():
            raise MisuseError("data", f"the {what} hold a number that is not finite, first in sample {int(bad.nonzero()[0])}")
        return tensor.contiguous()
    return (tensor if tensor.dtype in (torch.uint8, torch.bool) else tensor.long()).contiguous()


def data_hash(splits: Splits) -> str:
    """Compute the SHA-256 of a task's data: the names, types, shapes and numbers of all its parts."""
    found = hashlib.sha256()
    for name, tensors in splits.items():
        for tensor in tensors:
            if tensor is not None:
                found.update(f"{name} {tensor.dtype} {list(tensor.shape)};".encode())
                found.update(tensor.numpy().tobytes())
    return found.hexdigest()


def in_epochs(seeds: Sequence[int], steps: range, size: int, count: int) -> Tensor:
    """Draw which of `count` samples make up the batches of some steps: `[C, S, B]`.

    Each seed goes through the data in an order that is drawn anew for every epoch. A batch that reaches the end of an epoch goes on
    with the next. A pure function of the seed and the step.
    """
    first, last = steps.start * size, steps.stop * size
    rows = []
    for seed in seeds:
        epochs = range(first // count, (last - 1) // count + 1)
        order = np.concatenate([generator(seed, EPOCHS, epoch).permutation(count) for epoch in epochs])
        begun = epochs.start * count
        rows.append(order[first - begun : last - begun].reshape(len(steps), size))
    return torch.from_numpy(np.stack(rows, axis=1))


def chosen(value: Any, size: int, count: int) -> NDArray[np.int64]:
    """Check the indices `[B]` that a task's `sample` returned. Raises `InputError` unless they are `size` whole numbers below `count`."""
    found = np.asarray(value.cpu() if isinstance(value, Tensor) else value)
    if found.shape != (size,) or found.dtype.kind not in "iu":
        raise MisuseError(
            "sample", f"return {size} whole numbers, the indices of a batch, not {found.dtype} of the shape {list(found.shape)}"
        )
    if len(found) and not (found.min() >= 0 and found.max() < count):
        raise MisuseError(
            "sample", f"return indices of the {count:,} training samples, 0 to {count - 1:,}, not {found.min()} to {found.max()}"
        )
    return found.astype(np.int64)
