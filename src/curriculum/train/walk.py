"""A walk through steps of a stretch: one by one, or many at once by compiled code."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from curriculum.config.settings import Optimizer
from curriculum.train import freeze
from curriculum.train.ahead import Ahead
from curriculum.train.compiling import Compiled, Compiler
from curriculum.train.ensemble import Ensemble
from curriculum.train.events import Emitter, PreStep, Retarget, StepMetrics, Weights
from curriculum.train.losses import Losses
from curriculum.train.state import State
from curriculum.train.step import Moving, take_step
from curriculum.train.stretch import Plan, Stretch


class Walk:
    """Goes from a state to the end of a stretch, or to the first step after which something is due or a hook asks for something.

    What changes in place is the walk's own: `moving`, the `losses` so far, the mark `[S]`, and what hooks `asked` for.
    """

    def __init__(self, models: Ensemble, state: State, plan: Plan, stretch: Stretch, settings: Optimizer, emitters: Sequence[Emitter]):
        self.models, self.state, self.plan, self.stretch, self.settings, self.emitters = models, state, plan, stretch, settings, emitters
        self.skips = settings.on_nonfinite == "skip"
        self.moving = Moving.of(state.layout, state.flat, state.moments)
        self.losses = Losses(state, plan)
        self.asked: list[list[Retarget]] = [[] for _ in state.arms]
        self.unmarked = self.marked = freeze.first_mark(state.alive)
        self._metered = [n for n, emit in enumerate(emitters) if emit.wants(StepMetrics)]

    @property
    def alive(self) -> Tensor:
        """Say which seeds have not diverged: `[S]`."""
        return self.state.alive if self.skips else self.marked.isfinite()

    def go(self, due: Callable[[int], bool], compiler: Compiler | None, ahead: Ahead) -> None:
        """Do the steps; by compiled code, the next ones are drawn meanwhile."""
        compiled = self._compiled(compiler) if compiler is not None else None
        if compiled is None:
            self._one_by_one(due)
        else:
            ahead.begin(self.state, self.stretch)
            self._at_once(due, compiled)

    def _compiled(self, compiler: Compiler) -> Compiled | None:
        """Find compiled code, unless a hook looks at each step, which it may use to change the next one."""
        if any(emit.wants(PreStep) for emit in self.emitters) or any(self.emitters[n].at(StepMetrics) is None for n in self._metered):
            return None
        wanted = any(emit.wants(Weights) for emit in self.emitters)
        return compiler.find(self.models, self.state, self.plan, self.stretch, self.settings, wanted)

    def _one_by_one(self, due: Callable[[int], bool]) -> None:
        models, plan, stretch, moving, emitters = self.models, self.plan, self.stretch, self.moving, self.emitters
        views = [(n, arm, moving.flat[arm.rows]) for n, arm in enumerate(self.state.arms)]
        watched = [(n, arm, self.state.layout.views(own), own) for n, arm, own in views if emitters[n].wants(PreStep)]
        weighed = [(n, own.unsqueeze(0)) for n, _, own in views if emitters[n].wants(Weights)]
        asked, marked = self.asked, self.marked
        for step in range(self.state.step, stretch.steps.stop):
            for n, whole in weighed:
                emitters[n](Weights(step, step, whole))
            for n, arm, parameters, own in watched:
                asked[n] += emitters[n](PreStep(step, parameters, own, arm.schedule))
            now = plan.at(step)
            with torch.inference_mode(models.by_hand):  # it takes a fifth off the calls; hooks run outside of it
                batch = plan.batch(models.task.gather(stretch.batch(step)), now)
                before = self.unmarked if self.skips else marked
                terms, total, marked = take_step(models, moving, batch, now, step + 1, self.settings, before, self.skips)
            self.marked = marked
            self.losses.add(terms, total, marked)
            for n in self._metered:
                asked[n] += emitters[n](self.losses.event(n, step))
            if any(asked) or due(step + 1):
                break

    def _at_once(self, due: Callable[[int], bool], compiled: Compiled) -> None:
        first = self.state.step
        most = min(self.stretch.steps.stop, first + compiled.longest())
        stops = {step for n in self._metered for step in self.emitters[n].at(StepMetrics) or ()}
        end = next((step + 1 for step in range(first, most) if step in stops or due(step + 1)), most)
        steps = range(first, end)
        found = compiled.run(self.moving, self.plan, self.stretch, steps, self.unmarked, self.marked)
        self.marked = found.marks[-1]
        if found.before is not None:
            for n, arm in enumerate(self.state.arms):
                if self.emitters[n].wants(Weights):
                    self.emitters[n](Weights(end - 1, first, found.before[:, arm.rows]))
        self.losses.extend(found.terms, found.totals, found.marks)
        for n in self._metered:
            self.asked[n] += self.emitters[n](self.losses.event(n, end - 1))
