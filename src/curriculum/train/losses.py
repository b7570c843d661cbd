"""The losses of a stretch: gathered step by step where they are computed, and told of once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from curriculum.train.events import Chunk, Diverged, Emitter, Retarget, StepMetrics
from curriculum.train.freeze import Death, deaths
from curriculum.train.state import State
from curriculum.train.stretch import Plan


class Losses:
    """Gathers the losses of a stretch that begins at a state. `trained` is the number of steps that moved any seed."""

    def __init__(self, state: State, plan: Plan):
        self.state = state
        self.plan = plan
        self.trained = 0
        self.deaths: list[Death] = []
        self._terms: list[Tensor] = []
        self._totals: list[Tensor] = []
        self._marks: list[Tensor] = []

    def add(self, terms: Tensor, total: Tensor, marked: Tensor) -> None:
        """Take the losses of the next step: terms `[S, K]`, total `[S]`, and the mark `[S]` after it."""
        self._terms.append(terms)
        self._totals.append(total)
        self._marks.append(marked)

    def event(self, n: int, step: int) -> StepMetrics:
        """Make the event of the last step for arm number `n`; a seed that diverged has NaN."""
        arm = self.state.arms[n]
        alive = self._marks[-1][arm.rows].isfinite()
        total = torch.where(alive, self._totals[-1][arm.rows], torch.nan)
        own = {name: torch.where(alive, self._terms[-1][arm.rows, self.plan.active.index(name)], torch.nan) for name in self.plan.own[n]}
        return StepMetrics(step, total, own, arm.schedule)

    def tell(self, emitters: Sequence[Emitter], flat: Tensor) -> list[list[Retarget]]:
        """Emit which seeds diverged, and the losses of all steps with the weights `flat` `[S, P]` after them; return what hooks ask for.

        Where the last seed diverged, the steps from there on are left out: nothing was trained in them.
        """
        asked: list[list[Retarget]] = [[] for _ in self.state.arms]
        if not self._totals:
            return asked
        terms, totals, marks = (torch.stack(rows).cpu() for rows in (self._terms, self._totals, self._marks))
        first, arms, alive = self.state.step, self.state.arms, marks.isfinite()
        self.deaths = list(deaths(self.state.alive.cpu(), alive, first, self.plan.active, terms, totals))
        for death in self.deaths:
            n, seed = self._seed_of(death.row)
            emitters[n](Diverged(death.step, seed, death.term, arms[n].schedule.phase_at(death.step)))
        self.trained = int(alive.any(1).sum())
        if not self.trained:
            return asked
        totals = torch.where(alive, totals, torch.nan)[: self.trained]
        terms = torch.where(alive[..., None], terms, torch.nan)[: self.trained]
        last = first + self.trained - 1
        for n, (arm, emit) in enumerate(zip(arms, emitters, strict=True)):
            own = {name: terms[:, arm.rows, self.plan.active.index(name)] for name in self.plan.own[n]}
            asked[n] += emit(Chunk(last, first, arm.seeds, totals[:, arm.rows], own, arm.schedule, flat[arm.rows]))
        return asked

    def reason(self) -> str:
        """Say in a sentence why the last seed diverged."""
        last = self.deaths[-1]
        n, seed = self._seed_of(last.row)
        phase = self.state.arms[n].schedule.phase_at(last.step)
        seeds = len(self.state.alive)
        left = "" if seeds == 1 else f"; it was the last of {seeds} seeds"
        return f"{last.term} is not finite at step {last.step}, phase {phase.name!r}, seed {seed}{left}"

    def _seed_of(self, row: int) -> tuple[int, int]:
        """Find the number of the arm that a row of the stack belongs to, and its seed."""
        n = next(n for n, arm in enumerate(self.state.arms) if row < arm.rows.stop)
        return n, self.state.arms[n].seeds[row - self.state.arms[n].rows.start]
