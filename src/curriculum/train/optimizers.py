"""Adam for a stack of models, with a learning rate for each."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from curriculum.config.settings import Adam

Moments = Mapping[str, Tensor]
MEAN, SQUARE = "mean", "square"


def init(parameters: Tensor) -> dict[str, Tensor]:
    """Start for parameters `[S, P]`: the running means of the gradient and of its square, each `[S, P]`, are 0."""
    return {name: torch.zeros_like(parameters) for name in (MEAN, SQUARE)}


def update(parameters: Tensor, gradient: Tensor, moments: Moments, lr: Tensor, step: int, settings: Adam) -> None:
    """Move parameters `[S, P]` by one step of Adam, and the moments with them; both change in place.

    `lr` is `[S, 1]`, `step` counts from 1. Source: Kingma & Ba 2015, in the form of `torch.optim.Adam`.
    """
    beta1, beta2 = settings.betas
    mean, square = moments[MEAN], moments[SQUARE]
    mean.lerp_(gradient, 1 - beta1)
    square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    # The bias corrections are multiplied out of the tensors, which saves a pass over them.
    correction = (1 - beta2**step) ** 0.5
    root = square.sqrt().add_(settings.eps * correction)
    parameters.addcmul_(torch.div(mean, root), lr, value=-correction / (1 - beta1**step))
