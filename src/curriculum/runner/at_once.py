"""Decide how many models of a stack are computed at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from curriculum.config.settings import bytes_of
from curriculum.runner.plan import Plan
from curriculum.runner.rehearsal import first_losses
from curriculum.store.reader import Run
from curriculum.train.ensemble import Ensemble
from curriculum.train.footprint import peak_bytes
from curriculum.train.state import State
from curriculum.train.task import Stacked


def models_at_once(plans: Sequence[Plan], state: State) -> int | None:
    """Say of how many models the losses and gradients are computed at once: None for all.

    With `stack: auto`, that is as many as `stack_memory` has room for. What one model takes is counted at its first step, by the tensors
    that its operations make and not by a clock: the same training takes the same way wherever it runs, and so gives the same bits.
    """
    first = plans[0]
    models = sum(len(checked.seeds) for checked in plans)
    if first.config.stack != "auto" or models == 1 or isinstance(first.task, Stacked):
        return None
    room = bytes_of(first.config.stack_memory) // max(1, *(bytes_of_one(first, state, number) for number in range(len(plans))))
    return None if room >= models else max(1, room)


def bytes_of_one(checked: Plan, state: State, number: int = 0) -> int:
    """Count the bytes that the losses and gradients of one model of an arm take at a time, with every term that ever has weight."""
    arm = state.arms[number]
    flat = state.flat[arm.rows][:1].cpu()
    own = replace(state, step=0, arms=(replace(arm, seeds=arm.seeds[:1], rows=slice(0, 1)),), flat=flat, stretch=range(1))
    models = Ensemble(checked.task)
    return peak_bytes(lambda: first_losses(checked.task, models, own, checked.config, state.layout.views(flat)))


def at_once_of(run: Run) -> int | None:
    """Say how many models of a stored run were computed at once: None for all."""
    count: int | None = run.manifest.get("at_once")
    return count
