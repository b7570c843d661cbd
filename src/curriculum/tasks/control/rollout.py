"""Unroll a system under a network, and the gradients through it by automatic differentiation: what defines every update rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from curriculum.tasks.control.systems import FINAL, RUNNING, System

COST = "cost-control"


class Path(NamedTuple):
    """A rollout: `states` `[T, ..., B, D]` after each step, and the `controls` `[T, ..., B, C]` that led there."""

    states: Tensor
    controls: Tensor


def gated(x: Tensor, share: Tensor | float) -> Tensor:
    """Let a share of the gradient through, 0 to 1; the value stays."""
    return x.detach() + share * (x - x.detach())


def unroll(
    network: Callable[[Tensor], Tensor],
    system: System,
    start: Tensor,
    steps: int,
    feedback: Tensor | float = 1.0,
    physics: Tensor | float = 1.0,
    within: Tensor | None = None,
) -> Path:
    """Steer states `[B, D]` over some steps. `feedback` and `physics` are the shares of the gradient that flow back.

    The first through the network's input, the second through the simulator's state. Where `within` `[T]` marks the steps of a horizon,
    the states stay as they are after it: another arm's longer way must not overflow here.
    """
    states, controls, state = [], [], start
    for step in range(steps):
        controls.append(network(gated(state, feedback)))
        moved = system.step(gated(state, physics), controls[-1])
        state = moved if within is None else torch.where(within[step], moved, state)
        states.append(state)
    return Path(torch.stack(states), torch.stack(controls))


class Shares(NamedTuple):
    """How much the error of each step counts: for the `final` error, the `running` one and the `cost` of control, each `[T, ...]`."""

    final: Tensor
    running: Tensor
    cost: Tensor


def shares(within: Tensor, system: System, like: Tensor) -> Shares:
    """Find what each step counts for from a mark `[..., T]` of the steps within the horizon."""
    inside = within.to(like.dtype).movedim(-1, 0)
    after = torch.cat([inside[1:], torch.zeros_like(inside[:1])])
    mean = inside / inside.sum(0)
    return Shares(inside - after, inside if system.summed else mean, mean)


def terms(path: Path, system: System, counted: Shares, aim: Tensor) -> dict[str, Tensor]:
    """Compute the terms of a rollout, each `[...]`: the final error, the running one, and the mean square of the controls."""
    errors = system.error(path.states, aim).mean(-1)
    costs = path.controls.square().mean((-2, -1))
    return {
        FINAL: (counted.final * errors).sum(0),
        RUNNING: (counted.running * errors).sum(0),
        COST: (counted.cost * costs).sum(0),
    }
