"""The gradients through an unrolled system by the adjoint recursion, for a whole stack of models at once.

It gives what automatic differentiation of `rollout` gives. But the forward pass is shared, what depends on one step alone is computed
for all steps at once, and so are the gradients of the weights.

Source: the recursions of Schnell & Thuerey 2024: `l_t = de_t/dx_t + p A_t' l_{t+1} + f K_t' (B_t' l_{t+1} + dr/dc_t)`, with the Jacobians
A, B of the step by state and control and K of the network, and the shares p and f that flow back through simulator and network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from curriculum.tasks.control.network import Rows, Stack
from curriculum.tasks.control.rollout import Path, Shares
from curriculum.tasks.control.systems import System


class Forward(NamedTuple):
    """A rollout of a stack: the `states` `[T + 1, S, B, D]` from the first on, and each layer of the network `[S, T, B, H]`."""

    states: Tensor
    layers: list[Tensor]

    @property
    def path(self) -> Path:
        return Path(self.states[1:], self.layers[-1].transpose(0, 1))

    def part(self, rows: Rows) -> Forward:
        """Take some models of the stack."""
        return Forward(self.states[:, rows], [layer[rows] for layer in self.layers])


def forward(network: Stack, system: System, start: Tensor, steps: int, within: Tensor | None = None) -> Forward:
    """Steer states `[S, B, D]` over some steps; after those that `within` `[S, T]` marks they stay, as in `unroll`."""
    states, layers = [start], []
    inside = None if within is None else within[..., None, None].unbind(1)
    for step in range(steps):
        layers.append(network.steer(states[-1]))
        moved = system.step(states[-1], layers[-1][-1])
        states.append(moved if inside is None else torch.where(inside[step], moved, states[-1]))
    return Forward(torch.stack(states), [torch.stack(own, 1) for own in zip(*layers, strict=True)])


def steer(network: Stack, system: System, start: Tensor, steps: int) -> Path:
    """Steer states `[S, B, D]` as `forward` does, but keep no layers: on hundreds of test states these would take gigabytes."""
    states, controls = [start], []
    for _ in range(steps):
        controls.append(network.steer(states[-1])[-1])
        states.append(system.step(states[-1], controls[-1]))
    return Path(torch.stack(states[1:]), torch.stack(controls))


class Slopes(NamedTuple):
    """How the loss depends on each state `[T, S, B, D]` and each control `[T, S, B, C]` by itself."""

    by_state: Tensor
    by_control: Tensor

    def part(self, rows: Rows) -> Slopes:
        """Take some models of the stack."""
        return Slopes(self.by_state[:, rows], self.by_control[:, rows])


def slopes(path: Path, system: System, counted: Shares, weights: Sequence[Tensor], aim: Tensor) -> Slopes:
    """Find how the loss depends on the states and controls of a path, under weights `[S]` of the final error, the running one, the cost."""
    count, (final, running, cost) = path.states.shape[-2], weights
    by_error = (counted.final * final + counted.running * running)[..., None, None] / count
    by_cost = (counted.cost * cost)[..., None, None] * 2 / (count * system.controls)
    return Slopes(by_error * system.error_gradient(path.states, aim), by_cost * path.controls)


def gradient(
    network: Stack, system: System, found: Forward, slopes: Slopes, physics: Tensor | None = None, feedback: Tensor | None = None
) -> Tensor:
    """Compute the gradient `[S, P]` of a rollout's loss.

    `physics` and `feedback` `[S]` are the shares that flow back through the simulator's state and the network's input: all of it by
    default. A `feedback` of nothing at all is best given as such, by `modified_gradient`.
    """
    steps, linear = len(slopes.by_state), system.linearize(found.states[:-1], found.path.controls)
    layers = [layer.unbind(1) for layer in found.layers[:-1]]
    adjoint, gradients = slopes.by_state[-1], []
    for step in range(steps - 1, -1, -1):
        back, pulled = system.pull(linear, step, adjoint)
        gradients.append(network.pull([own[step] for own in layers], pulled + slopes.by_control[step]))
        if step:
            through = network.pull_input(gradients[-1][0], found.states[step])
            adjoint = slopes.by_state[step - 1] + _shared(back, physics) + _shared(through, feedback)
    joined = [torch.stack(own[::-1], 1).flatten(1, 2) for own in zip(*gradients, strict=True)]
    return network.pull_weights(found.states[:-1].transpose(0, 1).flatten(1, 2), [own.flatten(1, 2) for own in found.layers], joined)


def modified_gradient(network: Stack, system: System, found: Forward, slopes: Slopes, physics: Tensor | None = None) -> Tensor:
    """Compute what `gradient` does where nothing flows back through the network's input: the network is asked only once."""
    steps, linear = len(slopes.by_state), system.linearize(found.states[:-1], found.path.controls)
    adjoint, by_control = slopes.by_state[-1], []
    for step in range(steps - 1, -1, -1):
        back, pulled = system.pull(linear, step, adjoint)
        by_control.append(pulled + slopes.by_control[step])
        if step:
            adjoint = slopes.by_state[step - 1] + _shared(back, physics)
    layers = [own.flatten(1, 2) for own in found.layers]
    gradients = network.pull(layers, torch.stack(by_control[::-1], 1).flatten(1, 2))
    return network.pull_weights(found.states[:-1].transpose(0, 1).flatten(1, 2), layers, gradients)


def _shared(gradient: Tensor, share: Tensor | None) -> Tensor:
    return gradient if share is None else share[:, None, None] * gradient
