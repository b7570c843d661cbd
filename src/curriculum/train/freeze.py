"""Seeds that diverge: each is frozen as it was before the step at which a number of it was not finite, or skips only that update.

That is decided where the numbers are, without waiting for them; which seeds diverged is read once a stretch. A *mark* `[S]` is finite
for a seed as long as all its numbers are: what is not finite stays so in a sum. Where updates are skipped, it is made anew every step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

TINY = 1e-8  # times any finite number, a sum of ten million of which is still finite


@dataclass(frozen=True)
class Death:
    """A seed, by its row of the stack, whose numbers were not finite at a step; `term` is the first that was not."""

    step: int
    row: int
    term: str


def first_mark(alive: Tensor) -> Tensor:
    """Mark the seeds that are `alive` `[S]` at the start of a stretch."""
    return torch.where(alive, 0.0, math.nan)


def tiny_of(trained: Tensor) -> Tensor:
    """Make the vector `[P]` by which a mark is made of gradients like `trained` `[S, P]`."""
    return torch.full_like(trained[0], TINY)


def mark(before: Tensor, total: Tensor, gradient: Tensor, tiny: Tensor) -> Tensor:
    """Go on with a mark by a step's losses `[S]` and gradient `[S, P]`; `tiny` `[P]` is full of `TINY`."""
    return torch.addmv(before, gradient, tiny).add_(total, alpha=TINY)


def held(rate: Tensor, marked: Tensor, gradient: Tensor) -> Tensor:
    """Give the learning rates `[S, 1]`, 0 for a seed that diverged; make its gradient finite in place, so that 0 times it is 0."""
    gradient.nan_to_num_(0.0, 0.0, 0.0)
    return torch.add(rate, marked.unsqueeze(1), alpha=0).nan_to_num_(0.0, 0.0, 0.0)


def take_over(parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], marked: Tensor) -> None:
    """Write the buffers `[S, ...]` that a step changed into `parameters`, but for the seeds that diverged."""
    for name, value in buffers.items():
        alive = marked.isfinite().reshape(-1, *[1] * (value.ndim - 1))
        parameters[name].copy_(torch.where(alive, value, parameters[name]))


def deaths(alive: Tensor, after: Tensor, first: int, active: Sequence[str], terms: Tensor, total: Tensor) -> Iterator[Death]:
    """List the seeds that diverged in a stretch, in the order of their steps.

    `alive` `[S]` says which were alive before its step `first`, `after` `[C, S]` after each. `terms` `[C, S, K]` and `total` `[C, S]` are
    the losses. All are on the CPU.
    """
    before = torch.cat([alive[None], after[:-1]])
    yield from _named(before & ~after, first, active, terms, total)


def skips(fresh: Tensor, finite: Tensor, first: int, active: Sequence[str], terms: Tensor, total: Tensor) -> Iterator[Death]:
    """List the first update that each of the `fresh` seeds `[S]`, which had skipped none, skips in a stretch, in the order of their steps.

    `finite` `[C, S]` says which updates were finite. The other arguments are those of `deaths`.
    """
    yield from _named(fresh & ~finite & ((~finite).cumsum(0) == 1), first, active, terms, total)


def _named(where: Tensor, first: int, active: Sequence[str], terms: Tensor, total: Tensor) -> Iterator[Death]:
    for index, row in torch.nonzero(where).tolist():
        bad = [name for name, value in zip(active, terms[index, row].tolist(), strict=True) if not math.isfinite(value)]
        term = bad[0] if bad else "the gradient" if math.isfinite(total[index, row].item()) else "total"
        yield Death(first + index, row, term)
