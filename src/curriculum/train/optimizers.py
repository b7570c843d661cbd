"""Optimizers for a stack of models, with a learning rate for each: `init` makes their state, `update` moves parameters and state.

The state is tensors `[S, P]` by name. Learning rate, weight decay and momentum may differ from model to model and from step to step.
Where updates that are not finite are skipped, the state also counts them, `[S, 1]`: a model's own number of steps is less by these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from curriculum.config.settings import SGD, Adam, AdamW, Optimizer
from curriculum.sheet.bounds import NONNEGATIVE, Bounds
from curriculum.sheet.param_groups import BETA2, DECAY, MOMENTUM

Moments = Mapping[str, Tensor]
MEAN, SQUARE, BUFFER, SKIPPED = "mean", "square", "momentum", "skipped"
BELOW_ONE: Bounds = (0.0, 1 - 2.0**-24)  # the largest number below 1 in float32
COLUMNS: Mapping[str, Bounds] = {DECAY: NONNEGATIVE, MOMENTUM: BELOW_ONE, BETA2: BELOW_ONE}
NO_COLUMNS: Moments = MappingProxyType({})


@dataclass(frozen=True)
class BiasCorrection:
    """What Adam's bias corrections come to at a step: `eps` is added to the root of the mean square, `scale` multiplies their ratio.

    Each is a number for all models, or `[S, 1]`.
    """

    eps: float | Tensor
    scale: float | Tensor


def columns(settings: Optimizer) -> tuple[str, ...]:
    """List the columns of a sheet by which an optimizer's settings can move, beside the learning rate."""
    if isinstance(settings, Adam):
        return (MOMENTUM, BETA2)
    return (DECAY, MOMENTUM, BETA2) if isinstance(settings, AdamW) else (DECAY, MOMENTUM)


def setting(settings: Optimizer, column: str) -> float:
    """Give the value of a column's setting, which holds where a sheet has no such column."""
    if column == DECAY:
        return 0.0 if isinstance(settings, Adam) else settings.weight_decay
    if isinstance(settings, SGD):
        return settings.momentum
    return settings.betas[0 if column == MOMENTUM else 1]


def init(settings: Optimizer, parameters: Tensor) -> dict[str, Tensor]:
    """Start for parameters `[S, P]`: the running means of the gradient and of its square, or its momentum, each `[S, P]`, are 0."""
    found = {name: torch.zeros_like(parameters) for name in ((BUFFER,) if isinstance(settings, SGD) else (MEAN, SQUARE))}
    if settings.on_nonfinite == "skip":
        found[SKIPPED] = torch.zeros(len(parameters), 1, dtype=torch.int64, device=parameters.device)
    return found


def update_finite(
    parameters: Tensor,
    gradient: Tensor,
    moments: Moments,
    lr: Tensor,
    step: int | Tensor,
    settings: Optimizer,
    moved: Moments,
    finite: Tensor,
) -> None:
    """Do what `update` does for the models that are `finite` `[S]`; the others keep their moments, and count a skipped update.

    For the models that are not, `lr` must be 0; their gradient is set to 0.
    """
    kept, skipped = finite.unsqueeze(1), moments[SKIPPED]
    gradient.masked_fill_(~kept, 0.0)
    before = {name: value.clone() for name, value in moments.items() if name != SKIPPED}
    # In float64, so that the bias corrections are rounded as those of whole numbers are.
    update(parameters, gradient, moments, lr, (step - skipped).double(), settings, moved)
    for name, value in before.items():
        moments[name].copy_(torch.where(kept, moments[name], value))
    skipped += ~kept


def update(
    parameters: Tensor,
    gradient: Tensor,
    moments: Moments,
    lr: Tensor,
    step: int | Tensor,
    settings: Optimizer,
    moved: Moments = NO_COLUMNS,
    bias: BiasCorrection | None = None,
) -> None:
    """Move parameters `[S, P]` by one step, and the moments with them; both change in place.

    `lr` is `[S, 1]`, `step` counts from 1, for each model `[S, 1]` or for all. `moved` are the values `[S, 1]` of settings that a
    sheet moves, by the names of `COLUMNS`. Adam's `bias` is computed where it is not given.
    """
    if isinstance(settings, SGD):
        _sgd(parameters, gradient, moments, lr, step, settings, moved)
        return
    if isinstance(settings, AdamW):
        parameters.mul_(1 - lr * moved.get(DECAY, settings.weight_decay))
    _adam(parameters, gradient, moments, lr, step, settings, moved, bias)


def bias_correction(settings: Adam | AdamW, step: int | Tensor, moved: Moments) -> BiasCorrection:
    """Compute Adam's bias corrections at a step that counts from 1; `moved` is that of `update`."""
    beta1, beta2 = _betas(settings, moved)
    # They are multiplied out of the tensors, which saves a pass over them.
    correction = (1 - beta2**step) ** 0.5
    eps = settings.eps * correction if settings.eps_placement == "torch" else settings.eps
    return BiasCorrection(eps, -correction / (1 - beta1**step))


def _betas(settings: Adam | AdamW, moved: Moments) -> tuple[float | Tensor, float | Tensor]:
    return moved.get(MOMENTUM, settings.betas[0]), moved.get(BETA2, settings.betas[1])


def _adam(
    parameters: Tensor,
    gradient: Tensor,
    moments: Moments,
    lr: Tensor,
    step: int | Tensor,
    settings: Adam | AdamW,
    moved: Moments,
    bias: BiasCorrection | None,
) -> None:
    """Do a step of Adam. Source: Kingma & Ba 2015, in the form of `torch.optim.Adam`; for AdamW, Loshchilov & Hutter 2019.

    With `eps` where Keras puts it, it is the "epsilon hat" of their section 2.
    """
    beta1, beta2 = _betas(settings, moved)
    mean, square = moments[MEAN], moments[SQUARE]
    mean.lerp_(gradient, 1 - beta1)
    if isinstance(beta2, Tensor):
        square.mul_(beta2).addcmul_(gradient * (1 - beta2), gradient)
    else:
        square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    bias = bias or bias_correction(settings, step, moved)
    eps, scale = bias.eps, bias.scale
    root = square.sqrt().add_(eps.to(square.dtype) if isinstance(eps, Tensor) else eps)
    if not isinstance(scale, Tensor):
        parameters.addcmul_(torch.div(mean, root), lr, value=scale)
    elif isinstance(step, int):
        parameters.addcmul_(torch.div(mean, root), lr * scale)
    else:
        # In the order in which a number scales above, which gives the same bits.
        parameters.addcmul_(torch.div(mean, root).mul_(scale.to(mean.dtype)), lr)


def _sgd(parameters: Tensor, gradient: Tensor, moments: Moments, lr: Tensor, step: int | Tensor, settings: SGD, moved: Moments) -> None:
    """Do a step of stochastic gradient descent, with momentum in the form of `torch.optim.SGD`."""
    decay, momentum = moved.get(DECAY, settings.weight_decay), moved.get(MOMENTUM, settings.momentum)
    if isinstance(decay, Tensor) or decay:
        gradient = gradient + decay * parameters
    buffer = moments[BUFFER]
    if not isinstance(step, Tensor) and step == 1:
        buffer.copy_(gradient)
    else:
        buffer.mul_(momentum).add_(gradient)
    direction = gradient + momentum * buffer if settings.nesterov else buffer
    parameters.addcmul_(direction, lr, value=-1.0)
