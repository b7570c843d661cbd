"""One step of training: losses and gradients, the mark of what is not finite, the update. State changes in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from curriculum.config.settings import Optimizer
from curriculum.train import freeze, optimizers
from curriculum.train.batch import Batch
from curriculum.train.ensemble import Ensemble
from curriculum.train.stack import Layout
from curriculum.train.stretch import Now


@dataclass(frozen=True)
class Moving:
    """What changes in place at each step: the weights `flat` `[S, P]`, with a view of each, and the optimizer's `moments`.

    `trained` is the part of `flat` that the optimizer moves.
    """

    flat: Tensor
    moments: Mapping[str, Tensor]
    parameters: Mapping[str, Tensor]
    trained: Tensor
    tiny: Tensor

    @classmethod
    def of(cls, layout: Layout, flat: Tensor, moments: Mapping[str, Tensor]) -> Moving:
        """Take copies of the weights and moments of a state."""
        own = flat.clone()
        trained = own[:, : layout.trained]
        return cls(own, {name: value.clone() for name, value in moments.items()}, layout.views(own), trained, freeze.tiny_of(trained))


def take_step(
    models: Ensemble, moving: Moving, batch: Batch, now: Now, step: int | Tensor, settings: Optimizer, marked: Tensor, skips: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Do step number `step`, counted from 1; give its terms `[S, K]`, the total `[S]`, and the mark `[S]` after it."""
    found = models.gradients(moving.parameters, batch, now.weights, now.keys)
    total = torch.linalg.vecdot(found.terms, now.weights)
    marked = freeze.mark(marked, total, found.gradient, moving.tiny)
    rate = freeze.held(now.rates, marked, found.gradient)
    if skips:
        optimizers.update_finite(moving.trained, found.gradient, moving.moments, rate, step, settings, now.moved, marked.isfinite())
    else:
        optimizers.update(moving.trained, found.gradient, moving.moments, rate, step, settings, now.moved, now.bias)
    freeze.take_over(moving.parameters, found.buffers, marked)
    return found.terms, total, marked
