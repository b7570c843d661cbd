"""Compile the steps of stretches, where that is wanted and pays."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from curriculum.compiled.cache import UnbuiltError, UnusableError, found_or_built
from curriculum.compiled.library import Library
from curriculum.compiled.trace import Traced, inputs_of, shapes, trace
from curriculum.config.settings import Optimizer
from curriculum.errors import InputError
from curriculum.sheet.schedule import Schedule
from curriculum.train.compiling import Steps, joined, split
from curriculum.train.ensemble import Ensemble
from curriculum.train.freeze import first_mark
from curriculum.train.state import State
from curriculum.train.step import Moving, take_step
from curriculum.train.stretch import LONGEST, Plan, Stretch
from curriculum.train.task import Task

WEIGHT_BYTES = 64 * 2**20  # of weights that one call gives, one set for each step
CALL_SECONDS = 0.25  # between two calls a signal is heard, and a checkpoint can be made
FEWEST = 5_000  # steps that may pay by themselves: below, `auto` does not even trace one
# How much a compiled step may differ from the same step as it is, more than rounding does: its losses relative to the largest, and where
# it moves the weights. The second is coarse, since Adam makes a step of full length of a gradient that is nothing but rounding.
COMPARED, AGREEING, MOVED_APART = 2, 1e-3, 0.05
# Seconds that compiled code saves for each operation of a step, and for each number that one gives; seconds that building takes, and
# takes more for each operation. They are set so that `auto` rather leaves a gain than makes a loss.
CALL_SAVES, NUMBER_SAVES = 4e-6, 1e-10
BUILDING, CALL_BUILDS = 20.0, 0.05
MARGIN = 1.5

NOT_WORTH_IT = "compiling it would take longer than it saves"

# `held` compiles what was compiled before and nothing else: so a fork is trained as the run was whose steps it goes on from.
Mode = Literal["auto", "on", "off", "held"]
Decision = bool | str  # True: compiled; else why not

_BUILT: dict[int, tuple[weakref.ref[Task], dict[Hashable, CompiledSteps]]] = {}


def _built_for(task: Task) -> dict[Hashable, CompiledSteps]:
    """Give what this process has built for a task already; a trace takes longer than many steps."""
    kept = _BUILT.get(id(task))
    if kept is None or kept[0]() is not task:
        for key in [key for key, (known, _) in _BUILT.items() if known() is None]:
            del _BUILT[key]
        kept = _BUILT[id(task)] = weakref.ref(task), {}
    return kept[1]


class CompiledSteps:
    """The steps of a stretch as a library; `traced` is what it was built from, for the data of its task."""

    def __init__(self, library: Library, traced: Traced, settings: Optimizer, weights: bool):
        self._library, self._constants, self._settings, self._weights = library, traced.constants, settings, weights
        size = traced.carried[0].numel() * 4
        self._most = max(1, min(LONGEST, WEIGHT_BYTES // size)) if weights else LONGEST
        self._each = 0.0

    def longest(self) -> int:
        if not self._each:
            return min(self._most, 10)  # which times them
        return max(1, min(self._most, int(CALL_SECONDS / self._each)))

    def run(self, moving: Moving, plan: Plan, stretch: Stretch, steps: range, unmarked: Tensor, marked: Tensor) -> Steps:
        began = time.perf_counter()
        references = [plan.references[name] for name in sorted(plan.references)]
        changing = joined(moving)
        given = [*changing, marked, unmarked, *references, *self._constants, *inputs_of(plan, stretch, steps, self._settings)]
        found = self._library.run([value.contiguous() for value in given])
        for kept, value in zip(changing, found, strict=False):
            kept.copy_(value)
        rest = found[len(changing) + 1 :]
        self._each = (time.perf_counter() - began) / len(steps)
        return Steps(*split(rest[0]), rest[1] if self._weights else None)


class Compiling:
    """Compiles steps for a training: wherever that is possible (`on`), or where it is known to pay (`auto`).

    Whether it pays is estimated from the step itself and the `schedules`, never from a clock or from what is stored: the same training
    takes the same way wherever it runs, and so gives the same bits. Whether a compiler can build a step depends on the machine, though:
    `decide` is told of each kind of steps how it is trained, before the first of them is, and a training that is resumed or replayed holds
    to what was `decided`. `tell` is told what takes long, and what cannot be compiled; `meanwhile` is called while the compiler works, and
    may raise.
    """

    def __init__(
        self,
        mode: Mode,
        threads: int,
        schedules: Sequence[Schedule],
        tell: Callable[[str], None],
        meanwhile: Callable[[], None] = lambda: None,
        decided: Mapping[str, Decision] | None = None,
        decide: Callable[[str, Decision], None] = lambda kind, decision: None,
    ):
        self.mode, self.threads, self.schedules, self.tell, self.meanwhile = mode, threads, schedules, tell, meanwhile
        self.decided, self.decide = dict(decided or {}), decide
        self._found: dict[Hashable, CompiledSteps | None] = {}
        self._said: set[str] = set()

    def find(
        self, models: Ensemble, state: State, plan: Plan, stretch: Stretch, settings: Optimizer, weights: bool
    ) -> CompiledSteps | None:
        if not plan.active:
            return None  # nothing pulls, which needs no code
        kind, alike = _kind(state, plan, stretch), _alike(models.task, self.schedules, stretch.steps.start)
        # Where the length of a phase decides, another one with the same steps may be long enough.
        phases = [] if self.mode == "on" else [schedule.phase_at(stretch.steps.start).start for schedule in self.schedules]
        name = hashlib.sha256(repr((kind, phases)).encode()).hexdigest()[:16]
        if name not in self.decided and (self.mode == "held" or (self.mode == "auto" and alike < FEWEST)):
            return None
        if (name, weights) not in self._found:
            self._found[name, weights] = self._held_or_decided(name, kind, alike, models, state, plan, stretch, settings, weights)
        return self._found[name, weights]

    def _held_or_decided(
        self,
        name: str,
        kind: Hashable,
        alike: int,
        models: Ensemble,
        state: State,
        plan: Plan,
        stretch: Stretch,
        settings: Optimizer,
        weights: bool,
    ) -> CompiledSteps | None:
        known = self.decided.get(name)
        if isinstance(known, str):
            self._leave(known)
            return None
        built, whole = _built_for(models.task), (kind, weights, settings.model_dump_json(), self.threads)
        if whole in built and (known or self.mode == "on"):
            found: CompiledSteps | None = built[whole]
        else:
            try:
                least = alike if self.mode == "auto" and not known else None
                found = self._make(least, models, state, plan, stretch, settings, weights)
                # Once it was used, it is not asked again: where a training has come to, rounding may grow in two steps.
                if found is not None and not known and not _agree(found, models, state, plan, stretch, settings):
                    raise UnbuiltError("it gives other numbers once it is compiled")
            except UnusableError as error:
                # Not compiled, it would have other bits than after an interruption, when this may be repaired.
                raise InputError(f"this run trains by compiled code: {error}; or train another with --compile off") from error
            except UnbuiltError as error:
                if known:
                    raise InputError(
                        f"this run was begun by compiled code, but here its step cannot be compiled: {error}; go on where it was begun, or "
                        "train another with --compile off"
                    ) from error
                self._settle(name, str(error))
                return None
        if found is not None:
            built[whole] = found
        if not known:
            self._settle(name, NOT_WORTH_IT if found is None else True)
        return found

    def _settle(self, name: str, decision: Decision) -> None:
        self.decided[name] = decision
        self.decide(name, decision)
        if isinstance(decision, str):
            self._leave(decision)

    def _make(
        self, least: int | None, models: Ensemble, state: State, plan: Plan, stretch: Stretch, settings: Optimizer, weights: bool
    ) -> CompiledSteps | None:
        """Build the steps, unless so few of them are alike (`least`, where that is to be asked) that it would not pay."""
        if state.flat.device.type != "cpu":
            raise UnbuiltError("only training on the CPU can be")
        if not models.stacked:
            raise UnbuiltError("with stack: off, the models are trained one after the other")
        if models.at_once is not None:
            raise UnbuiltError("its models are computed in groups to save memory, which stack: on avoids")
        if not has_compiler():
            raise UnusableError("no C++ compiler was found: install g++")
        try:
            traced = trace(models, state, plan, stretch, settings)
        except Exception as error:  # whatever PyTorch raises for what it cannot trace
            raise UnbuiltError(f"{type(error).__name__}: {(str(error).strip() or 'no reason given').splitlines()[0]}") from error
        if least is not None and least * saved(traced) < MARGIN * building(traced):
            return None
        described = {
            "carried": shapes(traced.carried),
            "fixed": shapes((*traced.fixed, *traced.constants)),
            "per_step": shapes(traced.per_step),
            "weights": weights,
            "threads": self.threads,
        }
        library = found_or_built(traced.text, described, lambda: self.tell(_announced(traced)), self.meanwhile)
        return CompiledSteps(library, traced, settings, weights)

    def _leave(self, why: str) -> None:
        if why != NOT_WORTH_IT and why not in self._said:
            self._said.add(why)
            self.tell(f"the training step cannot be compiled, and is trained as it is: {why}")


def _announced(traced: Traced) -> str:
    return f"compiling a training step of {traced.calls:,} operations; it is kept for other runs"


def has_compiler() -> bool:
    """Tell whether there is a C++ compiler on this machine."""
    named = os.environ.get("CXX")
    return any(shutil.which(name) is not None for name in ([named] if named else ["g++", "clang++"]))


def way_of(mode: Mode) -> Mode:
    """Say how to begin a training here: as its config says, but not compiled without a compiler."""
    return mode if mode == "off" or has_compiler() else "off"


def saved(traced: Traced) -> float:
    """Estimate the seconds that compiled code saves at each step."""
    return CALL_SAVES * traced.calls + NUMBER_SAVES * traced.numbers


def building(traced: Traced) -> float:
    """Estimate the seconds that building takes."""
    return BUILDING + CALL_BUILDS * traced.calls


def _kind(state: State, plan: Plan, stretch: Stretch) -> Hashable:
    """Say of what kind the steps of a stretch are: those of one kind are traced to the same graph."""
    described = [(name, value.dtype, value.shape[1:]) for name, value in sorted(stretch.batches.items())]
    references = [(name, value.dtype, value.shape) for name, value in sorted(plan.references.items())]
    on = tuple(sorted(plan.on.items()))
    return plan.active, plan.columns, on, tuple(described), tuple(references), tuple(state.flat.shape)


def _alike(task: Task, schedules: Sequence[Schedule], step: int) -> int:
    """Count the steps of the phase of a step at which the same terms and switches count."""
    alike = np.ones(len(schedules[0]), dtype=bool)
    for schedule in schedules:
        phase = schedule.phase_at(step)
        alike[: phase.start] = False
        alike[phase.end + 1 :] = False
        for name in (*task.terms, *task.switches):
            if name in schedule.properties:
                on = schedule.column(name)[: len(alike)] != 0
                alike &= on == on[step]
    return int(alike.sum())


def _agree(found: CompiledSteps, models: Ensemble, state: State, plan: Plan, stretch: Stretch, settings: Optimizer) -> bool:
    """Tell whether the first steps of a stretch give the same, up to rounding, compiled and as they are."""
    steps = stretch.steps[:COMPARED]
    skips = settings.on_nonfinite == "skip"
    plain, fast = (Moving.of(state.layout, state.flat, state.moments) for _ in range(2))
    unmarked = marked = first_mark(state.alive)
    theirs = found.run(fast, plan, stretch, steps, unmarked, marked)
    for n, step in enumerate(steps):
        now = plan.at(step)
        batch = plan.batch(models.task.gather(stretch.batch(step)), now)
        terms, _, marked = take_step(models, plain, batch, now, step + 1, settings, unmarked if skips else marked, skips)
        if not torch.allclose(
            theirs.terms[n], terms, rtol=AGREEING, atol=AGREEING * float(terms.nan_to_num(0, 0, 0).abs().max()), equal_nan=True
        ):
            return False
    moved = (plain.flat - state.flat).nan_to_num(0, 0, 0).norm()
    return bool((plain.flat - fast.flat).nan_to_num(0, 0, 0).norm() <= MOVED_APART * moved + 1e-12)
