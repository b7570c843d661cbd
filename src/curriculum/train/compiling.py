"""What training asks of compiled code: many steps in one call. How it is made is not training's business."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from curriculum.config.settings import Optimizer
from curriculum.train.ensemble import Ensemble
from curriculum.train.state import State
from curriculum.train.step import Moving
from curriculum.train.stretch import Plan, Stretch


@dataclass(frozen=True)
class Steps:
    """What C steps gave: `terms` `[C, S, K]`, `totals` `[C, S]`, and the marks `[C, S]` after each.

    `before` `[C, S, P]` are the weights before each step, where they were asked for.
    """

    terms: Tensor
    totals: Tensor
    marks: Tensor
    before: Tensor | None


class Compiled(Protocol):
    """The steps of one kind of stretch as compiled code."""

    def longest(self) -> int:
        """Say how many steps to do in one call, so that it takes neither long nor much memory."""
        ...

    def run(self, moving: Moving, plan: Plan, stretch: Stretch, steps: range, unmarked: Tensor, marked: Tensor) -> Steps:
        """Do some steps, moving `moving` in place."""
        ...


class Compiler(Protocol):
    """Finds compiled code for a stretch."""

    def find(self, models: Ensemble, state: State, plan: Plan, stretch: Stretch, settings: Optimizer, weights: bool) -> Compiled | None:
        """Give compiled code for the steps of a stretch, None where they are to be done one by one.

        With `weights`, it also gives the weights before each step.
        """
        ...


def joined(moving: Moving) -> list[Tensor]:
    """List the tensors that a step changes, but for the mark."""
    return [moving.flat, *(moving.moments[name] for name in sorted(moving.moments))]


def split(found: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split `[C, S, K + 2]` into terms `[C, S, K]`, totals `[C, S]` and marks `[C, S]`."""
    terms, total, mark = torch.split(found, [found.shape[-1] - 2, 1, 1], -1)
    return terms, total.squeeze(-1), mark.squeeze(-1)
