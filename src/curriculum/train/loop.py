"""The training loop: state in, events out, state back. No files, no printing.

One stack holds the seeds of one schedule, or of several (*arms*) whose tasks agree. It is trained in stretches, in which only
numbers change. The events of a step come in this order: the batch is drawn; `PhaseStart`; `Action` for each action; `PreStep`;
the update; `StepMetrics`; `PhaseEnd`. `Diverged`, `Skipped` and `Chunk` come at the end of a stretch, before `PhaseEnd`. `Weights` comes
before the update, or, where steps are compiled, for many of them after the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Protocol

from curriculum.config.settings import Optimizer
from curriculum.errors import CurriculumError, DivergedError, InputError
from curriculum.sheet.bounds import check_path
from curriculum.train.ahead import Ahead
from curriculum.train.compiling import Compiler
from curriculum.train.ensemble import Ensemble
from curriculum.train.events import Action, Emitter, PhaseEnd, PhaseStart, Retarget, Retargeted, RunEnd
from curriculum.train.faults import explained, faults_of
from curriculum.train.losses import Losses
from curriculum.train.state import Arm, State
from curriculum.train.stretch import Stretch, read_plan
from curriculum.train.task import Task
from curriculum.train.walk import Walk


class Keeper(Protocol):
    """Stores the state during training."""

    def due(self, step: int) -> bool:
        """Tell whether the state before `step` is to be kept: asked before every step but the first and after the last."""
        ...

    def keep(self, state: State) -> None:
        """Keep a state. What it raises ends the training."""
        ...


def train(
    task: Task,
    state: State,
    settings: Optimizer,
    emitters: Sequence[Emitter],
    keeper: Keeper | None = None,
    stacked: bool = True,
    compiler: Compiler | None = None,
    at_once: int | None = None,
) -> State:
    """Train from a state to the end of its schedules and return the last state; each arm has its emitter.

    With `stacked`, the losses of all models are computed at once, or of `at_once` at a time, else one after the other. The keeper is
    given the states that it asks for, which changes no number. The compiler is asked for code that does many steps at once. Raises
    `DivergedError` when no seed is left that has only finite numbers; the weights are then those before the step at which the last one
    diverged.
    """
    models = Ensemble(task.to(state.flat.device), stacked, at_once)
    steps, due = len(state.arms[0].schedule), keeper.due if keeper else _never
    stretch: Stretch | None = None
    with closing(Ahead(models.task)) as ahead:
        while state.step < steps:
            with faults_of(task, f"at step {state.step:,}"):
                stretch = stretch or ahead.take(state)
                state, stretch = enter(task, models, state, stretch, emitters)
            plan = read_plan(task, state.arms, stretch.steps, state.step, settings, state.flat.device)
            walk = Walk(models, state, plan, stretch, settings, emitters)
            try:
                walk.go(due, compiler, ahead)
            except Exception as error:
                fault = explained(error, task, f"at step {state.step + walk.losses.count:,}")
                if fault is error:
                    raise
                raise fault from error
            finally:  # also where a hook fails or the user stops: what was trained is told of
                for own, more in zip(walk.asked, walk.losses.tell(emitters, walk.moving.flat), strict=True):
                    own += more
            trained = max(walk.losses.trained, 1)
            reached = replace(state, step=state.step + trained, flat=walk.moving.flat, moments=walk.moving.moments, alive=walk.alive)
            with faults_of(task, f"after step {reached.step - 1:,}"):
                state, stretch = leave(task, models, reached, stretch, emitters, walk.losses, walk.asked)
            if state.step < steps and keeper is not None and due(state.step):
                keeper.keep(state)
    for arm, emit in zip(state.arms, emitters, strict=True):
        emit(RunEnd(arm.schedule.last_step, state.parameters(arm)))
    return state


def _never(step: int) -> bool:
    return False


def enter(task: Task, models: Ensemble, state: State, stretch: Stretch, emitters: Sequence[Emitter]) -> tuple[State, Stretch]:
    """Fire the events with which a stretch may begin; return the state and the stretch after them.

    A retarget here changes what the batches of later steps are drawn by, so only the first step is left of the stretch.
    """
    if stretch.steps.start != state.step:
        return state, stretch
    arms = tuple(_open(task, models, state, arm, emit) for arm, emit in zip(state.arms, emitters, strict=True))
    if any(after.schedule is not before.schedule for after, before in zip(arms, state.arms, strict=True)):
        stretch = replace(stretch, steps=range(state.step, state.step + 1))
    return replace(state, arms=arms), stretch


def leave(
    task: Task,
    models: Ensemble,
    state: State,
    stretch: Stretch,
    emitters: Sequence[Emitter],
    losses: Losses,
    asked: Sequence[Sequence[Retarget]],
) -> tuple[State, Stretch | None]:
    """Fire the event with which a stretch may end, and do what its hooks asked for; return what is left of the stretch, if anything.

    Raises `DivergedError` where no seed is left.
    """
    if not bool(state.alive.any()):
        raise DivergedError(f"training diverged: {losses.reason()}")
    last = state.step - 1
    arms = []
    for arm, emit, own in zip(state.arms, emitters, asked, strict=True):
        requests, phase = list(own), arm.schedule.phase_at(last)
        if last == phase.end and emit.wants(PhaseEnd):
            inputs = task.validation(phase)
            seen = models.observe(state.parameters(arm), inputs)
            requests += emit(
                PhaseEnd(last, phase, inputs, seen.outputs.cpu(), None if seen.latents is None else seen.latents.cpu(), arm.schedule)
            )
        arms.append(_retarget(task, arm, last, requests, emit))
    paused = state.step < stretch.steps.stop and not any(asked)
    return replace(state, arms=tuple(arms), stretch=stretch.steps if paused else None), stretch if paused else None


def _open(task: Task, models: Ensemble, state: State, arm: Arm, emit: Emitter) -> Arm:
    """Fire the events with which a step may begin; return the arm after them."""
    step, references = state.step, arm.references
    phase = arm.schedule.phase_at(step)
    requests: list[Retarget] = []
    if phase.start == step:
        requests += emit(PhaseStart(step, phase, arm.schedule))
    for name in arm.schedule.actions_at(step):
        if name in task.actions:
            references = {**references, **models.capture(name, state.parameters(arm))}
        requests += emit(Action(step, name, state.parameters(arm), arm.schedule, references))
    return _retarget(task, replace(arm, references=references), step, requests, emit)


def _retarget(task: Task, arm: Arm, step: int, requests: Iterable[Retarget], emit: Emitter) -> Arm:
    """Apply what hooks asked for at a step; its own values stay, the path leaves from them."""
    for request in requests:
        try:
            schedule = arm.schedule.retarget(request.name, step, request.value, request.duration)
            check_path(schedule, request.name, step, task.bounds_of(request.name))
        except InputError as error:
            raise CurriculumError(f"invalid retarget by a hook at step {step}: {error}") from error
        arm = replace(arm, schedule=schedule)
        emit(Retargeted(step, request.name, request.value, request.duration))
    return arm
