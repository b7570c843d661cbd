"""Rehearse a training before step 0: call everything of a user's task once, so that a mistake in it costs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from curriculum.config.settings import Config
from curriculum.errors import CurriculumError, InputError
from curriculum.sheet.schedule import Schedule
from curriculum.train.ensemble import Ensemble, Gradients
from curriculum.train.faults import MisuseError, explained, place_of
from curriculum.train.probes import Probe
from curriculum.train.state import State, initial_state
from curriculum.train.stretch import draw, read_plan
from curriculum.train.task import Task

MODELS = 2  # in the stack that is rehearsed with


def rehearse(task: Task, schedule: Schedule, config: Config[Any, Any]) -> None:
    """Build models, and compute their losses, captures, probes, scores and exhibits before training: of one, and then of a stack.

    Raises `InputError` with the file and line of the user's code where anything fails or gives what cannot be used.
    """
    # A fault that one model has as well reads better there than in a stack.
    _rehearse(task, schedule, config, False, "tried before training; nothing was stored")
    if config.stack != "off":
        _rehearse(task, schedule, config, True, "tried before training, where it works for a single model; nothing was stored")


def _rehearse(task: Task, schedule: Schedule, config: Config[Any, Any], stacked: bool, when: str) -> None:
    seeds = (*config.seeds, *(seed for seed in (0, 1) if seed not in config.seeds))[: MODELS if stacked else 1]
    with torch.random.fork_rng(devices=[]), _explaining(task, "to build a model", when):
        state = initial_state(task, [(schedule, seeds)], config.optimizer)
        models = Ensemble(task, stacked)
    parameters = state.layout.views(state.flat.clone())
    with _explaining(task, "to compute the losses", when):
        _check_losses(task, models, state, config, parameters)
    for probe in task.probes():
        with _explaining(task, f"to run the model on {probe.title}", when):
            seen = models.observe(parameters, probe.inputs)
        with _explaining(task, f"to compute error and scores on {probe.title}", when):
            _check_finite({"error": task.probe_loss(seen, probe)}, "error", probe)
            _check_finite(task.probe_scores(seen, probe), "score", probe)
    with _explaining(task, "to examine and exhibit a model", when):
        if task.examine_every:
            models.examine(parameters)
        models.exhibit(parameters)
        task.fixed()


@contextmanager
def _explaining(task: Task, what: str, when: str) -> Iterator[None]:
    """Turn whatever fails into an `InputError` that names the user's code; `what` says what was tried, where no line of theirs is known."""
    try:
        yield
    except (Exception, SystemExit) as error:
        found = explained(error, task, when, InputError)
        if found is error and isinstance(error, CurriculumError):
            raise
        if found is error:
            message = " ".join(str(error).split())[:300].rstrip(".")
            found = InputError(f"{place_of(task)}: it failed {what}: {type(error).__name__}: {message} ({when})")
        raise found from error


def _check_finite(found: Mapping[str, Tensor], method: str, probe: Probe) -> None:
    for name, values in found.items():
        if not values.isfinite().all():
            value = float(values[~values.isfinite()][0])
            raise MisuseError(method, f"{name!r} is {value} on {probe.title}, for a model as it was built")


def first_losses(
    task: Task, models: Ensemble, state: State, config: Config[Any, Any], parameters: dict[str, Tensor]
) -> tuple[tuple[str, ...], Gradients]:
    """Compute the losses and gradients of the first step, with every term that ever has weight; give also their names."""
    schedule = state.arms[0].schedule
    captured: dict[str, Tensor] = {}
    for name in dict.fromkeys(name for _, name in schedule.actions if name in task.actions):
        captured |= models.capture(name, parameters)
    state = replace(state, arms=(replace(state.arms[0], references=captured),))
    stretch = draw(task, state)
    plan = read_plan(task, state.arms, stretch.steps, 0, config.optimizer, torch.device("cpu"))
    ever = tuple(
        name
        for name in task.terms
        if name in schedule.properties and schedule.column(name).any() and (name not in task.needs or task.needs[name] in captured)
    )
    plan, now = replace(plan, active=ever), plan.at(0)
    batch = plan.batch(task.gather(stretch.batch(0)), now)
    return ever, models.gradients(parameters, batch, torch.ones(len(state.flat), len(ever)), now.keys)


def _check_losses(task: Task, models: Ensemble, state: State, config: Config[Any, Any], parameters: dict[str, Tensor]) -> None:
    ever, found = first_losses(task, models, state, config, parameters)
    for name, values in zip(ever, found.terms.unbind(1), strict=True):
        if not values.isfinite().all():
            raise MisuseError("losses", f"{name!r} is {float(values[~values.isfinite()][0])} at step 0")
