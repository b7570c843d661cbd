"""Make batches by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from curriculum.train.batch import Batch, SheetRow, Tensors

NO_KEYS = torch.zeros(8, 2, dtype=torch.int32)  # of noise that no shipped task draws


def batch_of(
    tensors: Tensors, active: Iterable[str], references: Mapping[str, Tensor] | None = None, stack: int = 0, **columns: float
) -> Batch:
    """Make a batch with some columns of a sheet; for a stack of as many models as its tensors have rows, or of one with `stack` 0."""
    device = next(iter(tensors.values())).device
    row = torch.tensor([float(value) for value in columns.values()], device=device)
    values = row.expand(stack, -1) if stack else row
    return Batch(tensors, SheetRow(tuple(columns), values), references or {}, tuple(active))
