"""Seeds that diverge: each is frozen as it was before the step at which a number of it was not finite.

That is decided where the numbers are, without waiting for them: which seeds diverged is read once a stretch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Death:
    """A seed, by its row of the stack, whose numbers were not finite at a step; `term` is the first that was not."""

    step: int
    row: int
    term: str


def finite(total: Tensor, gradient: Tensor) -> Tensor:
    """Tell for each seed whether its loss `[S]` and its gradient `[S, P]` are finite: `[S]`."""
    # The largest magnitude is not finite where any number is not, and takes one pass; 0 times it is 0, or is not a number.
    largest = torch.linalg.vector_norm(gradient, math.inf, dim=1)
    checked: Tensor = largest.mul_(0).add_(total * 0) == 0
    return checked


def deaths(alive: Tensor, after: Tensor, first: int, active: Sequence[str], terms: Tensor, total: Tensor) -> Iterator[Death]:
    """List the seeds that diverged in a stretch, in the order of their steps.

    `alive` `[S]` says which were alive before its step `first`, `after` `[C, S]` after each. `terms` `[C, S, K]` and `total` `[C, S]` are
    the losses. All are on the CPU.
    """
    before = torch.cat([alive[None], after[:-1]])
    for index, row in torch.nonzero(before & ~after).tolist():
        bad = [name for name, value in zip(active, terms[index, row].tolist(), strict=True) if not math.isfinite(value)]
        term = bad[0] if bad else "the gradient" if math.isfinite(total[index, row].item()) else "total"
        yield Death(first + index, row, term)
