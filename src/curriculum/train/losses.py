"""The losses of a stretch: gathered step by step where they are computed, and told of once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from curriculum.train.events import Chunk, Diverged, Emitter, Retarget, Skipped, StepMetrics
from curriculum.train.freeze import Death, deaths, skips
from curriculum.train.optimizers import SKIPPED
from curriculum.train.state import State
from curriculum.train.stretch import Plan


class Losses:
    """Gathers the losses of a stretch that begins at a state.

    `trained` is the number of steps before the last seed diverged.
    """

    def __init__(self, state: State, plan: Plan):
        self.state = state
        self.plan = plan
        self.trained = 0
        self.skips = SKIPPED in state.moments
        self.deaths: list[Death] = []
        self._terms: list[Tensor] = []
        self._totals: list[Tensor] = []
        self._marks: list[Tensor] = []
        self._whole: tuple[Tensor, Tensor, Tensor] | None = None

    @property
    def count(self) -> int:
        """The number of steps whose losses were taken."""
        return len(self._whole[0]) if self._whole else len(self._totals)

    def add(self, terms: Tensor, total: Tensor, marked: Tensor) -> None:
        """Take the losses of the next step: terms `[S, K]`, total `[S]`, and the mark `[S]` after it."""
        self._terms.append(terms)
        self._totals.append(total)
        self._marks.append(marked)

    def extend(self, terms: Tensor, totals: Tensor, marks: Tensor) -> None:
        """Take the losses of C steps together, which are then all: terms `[C, S, K]`, totals and marks `[C, S]`."""
        self._terms, self._totals, self._marks = [terms[-1]], [totals[-1]], [marks[-1]]
        self._whole = terms, totals, marks

    def event(self, n: int, step: int) -> StepMetrics:
        """Make the event of the last step for arm number `n`; a seed that diverged has NaN."""
        arm = self.state.arms[n]
        alive = self._known(self._totals[-1], self._marks[-1])[arm.rows]
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
        rows = self._whole or (torch.stack(self._terms), torch.stack(self._totals), torch.stack(self._marks))
        terms, totals, marks = (values.cpu() for values in rows)
        first, arms, finite = self.state.step, self.state.arms, marks.isfinite()
        skipped = ~finite if self.skips else torch.zeros_like(finite)
        if self.skips:
            fresh = self.state.moments[SKIPPED][:, 0].cpu() == 0
            self._name(Skipped, list(skips(fresh, finite, first, self.plan.active, terms, totals)), emitters)
            self.trained = len(totals)
        else:
            self.deaths = list(deaths(self.state.alive.cpu(), finite, first, self.plan.active, terms, totals))
            self._name(Diverged, self.deaths, emitters)
            self.trained = int(finite.any(1).sum())
        if not self.trained:
            return asked
        known = self._known(totals, marks)
        totals = torch.where(known, totals, torch.nan)[: self.trained]
        terms = torch.where(known[..., None], terms, torch.nan)[: self.trained]
        last = first + self.trained - 1
        for n, (arm, emit) in enumerate(zip(arms, emitters, strict=True)):
            own = {name: terms[:, arm.rows, self.plan.active.index(name)] for name in self.plan.own[n]}
            mine = skipped[: self.trained, arm.rows]
            asked[n] += emit(Chunk(last, first, arm.seeds, totals[:, arm.rows], own, arm.schedule, flat[arm.rows], mine))
        return asked

    def _known(self, totals: Tensor, marks: Tensor) -> Tensor:
        """Say which losses `[..., S]` to report: those of seeds that have not diverged, or where updates are skipped, finite ones."""
        return (totals if self.skips else marks).isfinite()

    def _name(self, kind: type[Diverged] | type[Skipped], found: Sequence[Death], emitters: Sequence[Emitter]) -> None:
        for one in found:
            n, seed = self._seed_of(one.row)
            emitters[n](kind(one.step, seed, one.term, self.state.arms[n].schedule.phase_at(one.step)))

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
