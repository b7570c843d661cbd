"""Evaluate the probes while training goes on: the curves from which runs are compared."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from curriculum.measure.trace import FINAL_SHARE
from curriculum.runner.background import Background
from curriculum.runner.tapes import PART_BYTES
from curriculum.store.names import STEPS
from curriculum.train.batch import Tensors
from curriculum.train.ensemble import EXAMINED_AT_ONCE, Ensemble, models_at_once
from curriculum.train.events import Weights
from curriculum.train.hooks import Hook
from curriculum.train.probes import Probe
from curriculum.train.stack import Layout
from curriculum.train.stretch import LONGEST
from curriculum.train.task import Task

PROBED_BYTES = 32 * 2**20  # of weights that are kept to be probed together
TRACED_STEPS = 20_000  # a longer run is probed at every second step, or third, and so on


class Prober:
    """Looks at the weights before each update: the curves from which runs are compared.

    The weights of some steps are kept and evaluated together, since a call for each would cost more than the
    training. What is handed on is named `loss.PROBE` `[F, S]`, the unweighted error at the steps `loss.PROBE.steps`,
    `latents.PROBE` `[G, S, N, L]` likewise, and what the task examines by names of its own. An error that is not finite
    is of a seed that diverged.
    """

    def __init__(
        self,
        task: Task,
        layout: Layout,
        seeds: int,
        steps: int,
        sink: Callable[[dict[str, Any]], None],
        background: Background,
        device: str = "cpu",
        stacked: bool = True,
    ):
        self.task = task
        self.layout = layout
        self.sink = sink
        self.background = background
        self.ensemble = Ensemble(task.to(torch.device(device)), stacked)
        self.probes = [probe for probe in task.probes() if probe.uses]
        self.stride = max(1, -(-steps // TRACED_STEPS))
        self.steps = steps
        self._often = self.stride * math.gcd(task.examine_every, *(probe.every for probe in self.probes))
        frames = min(LONGEST, PROBED_BYTES // (seeds * layout.size * 4), -(-steps // self._often))
        self._flat = torch.empty(max(1, frames), seeds, layout.size, device=device)
        self._steps: list[int] = []
        self._spare: list[torch.Tensor] = []  # fresh memory costs more than filling it
        self._found: dict[str, list[Any]] = {}

    def hooks(self) -> list[Hook]:
        return [Hook(Weights, self._weights)]

    def _weights(self, event: Weights) -> None:
        step = -(-event.first // self._often) * self._often
        while step <= event.step:
            place = step // self._often % len(self._flat)
            count = min(len(self._flat) - place, (event.step - step) // self._often + 1)
            own = slice(step - event.first, step - event.first + (count - 1) * self._often + 1, self._often)
            self._flat[place : place + count].copy_(event.flat[own])
            self._steps += range(step, step + count * self._often, self._often)
            step += count * self._often
            if place + count == len(self._flat):
                self._hand_over()

    def _hand_over(self) -> None:
        if self._steps:
            self.background.submit(self._evaluate, self._flat, np.asarray(self._steps, dtype=np.int64))
            self._flat, self._steps = self._spare.pop() if self._spare else torch.empty_like(self._flat), []

    def _evaluate(self, flat: torch.Tensor, own: Any) -> None:
        """Look at the weights of some steps `own`, each at its place in `flat` `[F, S, P]`, which is free after that.

        All F steps of a group have their places, whichever of them are there: where training was interrupted must not
        show in the last bits.
        """
        places = own // self._often % len(flat)
        there = np.zeros(len(flat), dtype=bool)
        there[places] = True
        flat[torch.from_numpy(~there)] = flat[places[0]].clone()
        steps = own[0] + (np.arange(len(flat)) - places[0]) * self._often
        for probe in self.probes:
            every = self.stride * probe.every
            chosen = steps % every == 0
            if probe.uses == {"final"}:
                # It counts only at the end: in the last steps, or in a short run at the last such step.
                chosen &= steps >= min(math.floor((1 - FINAL_SHARE) * self.steps), (self.steps - 1) // every * every)
            self._look(partial(self._observe, probe), models_at_once(self.task, probe.inputs), flat, steps, chosen, there)
        if self.task.examine_every:
            chosen = steps % (self.stride * self.task.examine_every) == 0
            self._look(self.ensemble.examine, EXAMINED_AT_ONCE, flat, steps, chosen, there)
        self._spare.append(flat)
        if sum(array.nbytes for arrays in self._found.values() for array in arrays) >= PART_BYTES:
            self._store()

    def _look(
        self, look: Callable[[Tensors], dict[str, torch.Tensor]], models: int, flat: torch.Tensor, steps: Any, chosen: Any, there: Any
    ) -> None:
        """Call `look` on the weights of the chosen steps, on so many models at once; keep what it gives of those that are there.

        Calls of which no step is there are left out. The others are the same as if all were.
        """
        if not (chosen & there).any():
            return
        kept = (flat if chosen.all() else flat[torch.from_numpy(chosen)]).flatten(0, 1)
        wanted = np.repeat(there[chosen], flat.shape[1])
        found: dict[str, list[Any]] = {}
        for start in range(0, len(kept), models):
            own = wanted[start : start + models]
            if own.any():
                for name, values in look(self.layout.views(kept[start : start + models])).items():
                    found.setdefault(name, []).append(values.cpu().numpy()[own])  # a copy: a model may give its weights themselves
        for name, parts in found.items():
            joined = np.concatenate(parts)
            self._found.setdefault(name, []).append(joined.reshape(-1, flat.shape[1], *joined.shape[1:]))
            self._found.setdefault(f"{name}.{STEPS}", []).append(steps[chosen & there])

    def _observe(self, probe: Probe, parameters: Tensors) -> dict[str, torch.Tensor]:
        found = {}
        with torch.inference_mode():
            seen = self.ensemble.observe(parameters, probe.inputs)
            if probe.uses & {"loss", "final"}:
                found[f"loss.{probe.name}"] = self.task.probe_loss(seen, probe)
                found |= {f"score.{name}.{probe.name}": values for name, values in self.task.probe_scores(seen, probe).items()}
            if "motion" in probe.uses and seen.latents is not None:
                found[f"latents.{probe.name}"] = seen.latents
        return found

    def _store(self) -> None:
        if self._found:
            self.sink({name: np.concatenate(arrays) for name, arrays in self._found.items()})
            self._found = {}

    def flush(self) -> None:
        """Hand on the curves that wait."""
        self._hand_over()
        self.background.submit(self._store)


def probed_alike(task: Task, first: int, second: int, until: int) -> bool:
    """Tell whether runs of `first` and `second` steps are probed at the same steps before `until`, and in the same groups."""
    often = math.gcd(task.examine_every, *(probe.every for probe in task.probes() if probe.uses))
    seldom = max([1, *(probe.every for probe in task.probes() if probe.uses)])

    def grid(steps: int) -> tuple[int, int]:
        stride = max(1, -(-steps // TRACED_STEPS))
        return stride, min(LONGEST, -(-steps // (stride * often)))

    own = grid(first)[0] * seldom
    last = min(min(math.floor((1 - FINAL_SHARE) * steps), (steps - 1) // own * own) for steps in (first, second))
    return first == second or (grid(first) == grid(second) and until <= last)
