"""Adam for a stack of models, with a learning rate for each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from curriculum.config.settings import Adam


@dataclass(frozen=True)
class AdamState:
    """Running means of the gradient and of its square, each `[S, P]`, after `steps` updates.

    The tensors are updated in place: a run owns one such state.
    """

    mean: Tensor
    square: Tensor


def initial_state(parameters: Tensor) -> AdamState:
    """Start with nothing seen, for parameters `[S, P]`."""
    return AdamState(torch.zeros_like(parameters), torch.zeros_like(parameters))


def update(parameters: Tensor, gradient: Tensor, state: AdamState, lr: Tensor, step: int, settings: Adam) -> None:
    """Move parameters `[S, P]` by one step of Adam, in place.

    `lr` is `[S, 1]`, `step` counts from 1. Source: Kingma & Ba 2015, in the form of `torch.optim.Adam`.
    """
    beta1, beta2 = settings.betas
    state.mean.lerp_(gradient, 1 - beta1)
    state.square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    # The bias corrections are multiplied out of the tensors, which saves a pass over them.
    correction = (1 - beta2**step) ** 0.5
    root = state.square.sqrt().add_(settings.eps * correction)
    parameters.addcmul_(torch.div(state.mean, root), lr, value=-correction / (1 - beta1**step))
