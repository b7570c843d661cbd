"""What is examined of a model: how well it predicts, how much the step varies, how noisy its gradients are.

Everything here is computed on fixed pairs of images with fixed noise, so that models differ by their weights alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad

from curriculum.tasks.e2c.dynamics import shift, transform
from curriculum.tasks.e2c.model import E2cModel
from curriculum.tasks.e2c.streams import EVALUATION
from curriculum.tasks.e2c.worlds import World
from curriculum.train.streams import generator

PAIRS = 512  # on which prediction is measured
VARIED = 128  # of them, on which the step's variance is
DRAWS = 64  # of noise for each pair
ROWS = 6  # of them that are shown
VARIANTS = (1.0, 0.0)  # rho: re-parameterized, re-sampled
MODULES = ("encoder", "transition", "decoder")


class Pairs(NamedTuple):
    """Fixed pairs of states with the action between them: `before` and `after` `[M, P]`, `actions` `[M, A]`.

    `noise` and `fresh` `[R, M, L]` are draws for the first `VARIED` of them.
    """

    before: Tensor
    after: Tensor
    actions: Tensor
    noise: Tensor
    fresh: Tensor


def fixed_pairs(world: World, bound: float, latent: int) -> Pairs:
    """Draw the pairs, with actions of at most `bound`, from a generator that training never touches."""
    own = generator(0, EVALUATION, 0)
    states, actions = world.draw([own], np.array([bound]), PAIRS, 1)
    before, after, moves = (torch.from_numpy(values.astype(np.float32)) for values in (states[0, :, 0], states[0, :, 1], actions[0, :, 0]))
    noise = torch.from_numpy(own.standard_normal((2, DRAWS, VARIED, latent), np.float32))
    return Pairs(before, after, moves, noise[0], noise[1])


def prediction_r2(model: E2cModel, world: World, pairs: Pairs) -> Tensor:
    """Compute 1 - sum |m - mu'|^2 / sum |mu - mu'|^2 at z = mu: 0 says "nothing moves", 1 is perfect."""
    mean, _ = model.encode(world.render(pairs.before))
    later, _ = model.encode(world.render(pairs.after))
    predicted = predict(model, mean, pairs.actions)
    return 1 - (predicted - later).square().sum() / (mean - later).square().sum()


def predict(model: E2cModel, latents: Tensor, actions: Tensor) -> Tensor:
    """Move latents `[..., L]` by the learned dynamics under actions `[..., A]`."""
    local = model.local(latents)
    return transform(local.v, local.r, latents) + shift(local, actions)


def step_variance(model: E2cModel, world: World, pairs: Pairs) -> Tensor:
    """Compute the variance over draws of |z' - z|, the mean over pairs, for each of `VARIANTS` on the same weights: `[2]`."""
    mean, log_sigma = model.encode(world.render(pairs.before[:VARIED]))
    sigma = log_sigma.exp()
    latents = mean + sigma * pairs.noise
    local = model.local(latents)
    moved = transform(local.v, local.r, mean.expand_as(latents)) + shift(local, pairs.actions[:VARIED])
    found = []
    for noise in (pairs.noise, pairs.fresh):
        step = moved + transform(local.v, local.r, sigma * noise) - latents
        found.append(torch.linalg.vector_norm(step, dim=-1).var(0).mean())
    return torch.stack(found)


def posterior_spread(model: E2cModel, world: World, states: Tensor) -> Tensor:
    """Compute the mean standard deviation of the posterior over states `[N, P]`."""
    return model.encode(world.render(states))[1].exp().mean()


def gradient_noise(model: E2cModel, loss: Callable[[nn.Module, Tensor, Tensor, float], Tensor], pairs: Pairs) -> Tensor:
    """Compute the trace of the gradient's covariance over draws of noise, weights and pairs being fixed: `[2, 3]`.

    It is given for each of `VARIANTS` and each of `MODULES`. `loss(model, noise, fresh, rho)` is the loss on the first `VARIED`
    pairs under noise `[B, L]`.
    """
    weights = dict(model.named_parameters())
    found = []
    for rho in VARIANTS:
        # Sums of the gradients and of their squares: all the draws at once would not fit into memory.
        totals = {name: torch.zeros_like(value) for name, value in weights.items()}
        squares = {name: value.new_zeros(()) for name, value in weights.items()}

        def of(own: Mapping[str, Tensor], noise: Tensor, fresh: Tensor, rho: float = rho) -> Tensor:
            value: Tensor = functional_call(_Call(model, loss), {f"model.{n}": w for n, w in own.items()}, (noise, fresh, rho))
            return value

        for noise, fresh in zip(pairs.noise, pairs.fresh, strict=True):
            for name, drawn in grad(of)(weights, noise, fresh).items():
                totals[name] = totals[name] + drawn
                squares[name] = squares[name] + drawn.square().sum()
        spread = {name: (squares[name] - totals[name].square().sum() / DRAWS) / (DRAWS - 1) for name in weights}
        found.append(torch.stack([_sum_of(spread, module) for module in MODULES]))
    return torch.stack(found)


def _sum_of(values: Mapping[str, Tensor], module: str) -> Tensor:
    return torch.stack([value for name, value in values.items() if name.startswith(f"{module}.")]).sum()


class _Call(nn.Module):
    """Lets `functional_call` run a function of the model."""

    def __init__(self, model: nn.Module, function: Callable[..., Tensor]):
        super().__init__()
        self.model = model
        self.function = function

    def forward(self, *args: Any) -> Tensor:
        return self.function(self.model, *args)
