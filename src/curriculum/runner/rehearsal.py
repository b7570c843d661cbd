"""Rehearse a training before step 0: call everything of a user's task once, so that a mistake in it costs nothing."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from curriculum.config.settings import Config
from curriculum.errors import InputError
from curriculum.sheet.schedule import Schedule
from curriculum.train.ensemble import Ensemble
from curriculum.train.faults import MisuseError, explained
from curriculum.train.state import State, initial_state
from curriculum.train.stretch import draw, read_plan
from curriculum.train.task import Task

MODELS = 2  # that are rehearsed with: what works for one need not work for a stack


def rehearse(task: Task, schedule: Schedule, config: Config) -> None:  # type: ignore[type-arg]
    """Build two models, and compute their losses, captures, probes, scores and exhibits before training.

    Raises `InputError` with the file and line of the user's code where anything fails or gives what cannot be used.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            _rehearse(task, schedule, config)
    except (Exception, SystemExit) as error:
        found = explained(error, task, " (tried before training; nothing was stored)", InputError)
        if found is error:
            raise
        raise found from error


def _rehearse(task: Task, schedule: Schedule, config: Config) -> None:  # type: ignore[type-arg]
    seeds = (*config.seeds, *(seed for seed in (0, 1) if seed not in config.seeds))[:MODELS]
    state = initial_state(task, [(schedule, seeds)], config.optimizer)
    models = Ensemble(task, config.stack == "auto")
    parameters = state.layout.views(state.flat.clone())
    probes = task.probes()
    for probe in probes:
        seen = models.observe(parameters, probe.inputs)
        found = {"error": task.probe_loss(seen, probe), **task.probe_scores(seen, probe)}
        for name, values in found.items():
            if not values.isfinite().all():
                method = "error" if name == "error" else "score"
                raise MisuseError(
                    method, f"{name!r} is {float(values[~values.isfinite()][0])} on {probe.title}, for a model as it was built"
                )
        if "loss" in probe.uses and not seen.outputs.isfinite().all():
            raise MisuseError("build", f"the outputs are not finite on {probe.title}, for a model as it was built")
    _losses(task, models, state, config, parameters)
    if task.examine_every:
        models.examine(parameters)
    models.exhibit(parameters)
    task.fixed()


def _losses(task: Task, models: Ensemble, state: State, config: Config, parameters: dict[str, Tensor]) -> None:  # type: ignore[type-arg]
    """Compute the losses of the first step, with every term that ever has weight."""
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
    found = models.gradients(parameters, plan.batch(task.gather(stretch.batch(0)), now), torch.ones(len(state.flat), len(ever)), now.keys)
    for name, values in zip(ever, found.terms.unbind(1), strict=True):
        if not values.isfinite().all():
            raise MisuseError("losses", f"{name!r} is {float(values[~values.isfinite()][0])} at step 0")
