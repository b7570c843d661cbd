"""Control through differentiable physics: a network steers a simulator over many steps, and is trained through all of them.

The sheet moves how the gradient flows back: through the network's input (`feedback`) and through the simulator's state (`physics`);
whether only components are kept whose sign agrees with the regular gradient's (`agree`); and over how many steps (`horizon`).
Source: Schnell & Thuerey 2024, Stabilizing Backpropagation Through Time to Learn Complex Physics.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from curriculum.sheet.schedule import Schedule
from curriculum.tasks.control import adjoint
from curriculum.tasks.control.network import Network, Rows, Stack
from curriculum.tasks.control.rollout import COST, Path, shares, terms, unroll
from curriculum.tasks.control.settings import ControlSettings
from curriculum.tasks.control.systems import FINAL, RUNNING, Array
from curriculum.tasks.control.update import clipped, combine, mixed, sketch
from curriculum.train.batch import Batch, SheetRow, Tensors
from curriculum.train.probes import Observation, Picture, Probe
from curriculum.train.samples import EPOCHS
from curriculum.train.streams import generator
from curriculum.train.task import Task

FEEDBACK, PHYSICS, AGREE, HORIZON, CLIP = "feedback", "physics", "agree", "horizon", "clip"  # the columns of every system
REGULAR = "regular"  # the objective whose gradient is the regular one
START, WITHIN = "start", "within"  # in a batch: the initial states, and a mark of the steps within the horizon
TRAINED, TESTED = 21, 22  # streams of random numbers
SHOWN = 32  # test states whose hidden layer is recorded
TEST_EVERY, MOTION_EVERY = 10, 20


class ControlTask(Task):
    """A network that steers a system, trained through the simulator."""

    settings_type = ControlSettings
    version = 1
    terms = (FINAL, RUNNING, COST)
    controls = {FEEDBACK: (0, 1, 1), PHYSICS: (0, 1, 1), AGREE: (0, 1, 0), CLIP: (0, math.inf, math.inf)}
    switches = (FEEDBACK, AGREE)
    measures = (
        *("time_to_tenth", "gradient_size", "gradient_largest"),
        *("gradient_cosine", "components_kept", "size_regular", "size_modified", "size_combined"),
        *("largest_regular", "largest_modified", "largest_combined", "rotation", "updates_skipped"),
    )
    hypotheses = {
        "B": ("the update ends at a lower test loss, and gets there sooner", ("final", "B1")),
        "G": ("its gradients are smaller, and the largest too", ("G1", "G2")),
    }
    examine_every = 2 * TEST_EVERY
    plots = ("gradient_sizes", "trajectories")
    film = "steering"

    settings: ControlSettings

    def __init__(self, settings: ControlSettings):
        super().__init__(settings)
        self.system = settings.system()
        self.patches = settings.network(self.system).patches
        self.passes = steps = self.system.steps
        self.controls = {**type(self).controls, HORIZON: (1, steps, steps), **self.system.columns}
        self.integers = (HORIZON, *self.system.integers)
        columns = {name: np.array([value]) for name, value in self.defaults().items()}
        tested = self.system.draw(generator(0, TESTED, 0), settings.test_states)
        self.tested = torch.from_numpy(self.system.start(tested, columns).astype(np.float32))

    @property
    def error_unit(self) -> str:
        return self.system.unit

    def build(self) -> nn.Module:
        return self.settings.network(self.system)

    def warnings(self, schedule: Schedule) -> Iterator[str]:
        """Find the steps at which `agree` is asked for where nothing can disagree."""
        steps = range(len(schedule))
        feedback, physics, agree = (self._column(schedule, name, steps) for name in (FEEDBACK, PHYSICS, AGREE))
        idle = np.flatnonzero((agree > 0) & (feedback == 1) & (physics == 1))
        if len(idle):
            where = f"steps {idle[0]:,} to {idle[-1]:,}" if len(idle) > 1 else f"step {idle[0]:,}"
            yield f"agree has no effect at {where}: with feedback and physics at 1, nothing can disagree with the regular gradient"

    def batches(self, schedule: Schedule, steps: range, seeds: Sequence[int]) -> Tensors:
        """Draw batches: the initial states `start` `[C, S, B, D]`, and `within` `[C, S, B, T]`, which marks the steps of the horizon.

        Each seed has training states of its own, and goes through them in the same order in every epoch, unless the config has them
        shuffled.
        """
        settings, size = self.settings, self.settings.batch
        columns = {name: self._column(schedule, name, steps)[:, None, None, None] for name in self.system.columns}
        drawn = np.stack([self.system.draw(generator(seed, TRAINED, 0), settings.train_states) for seed in seeds])
        places = np.arange(steps.start * size, steps.stop * size)
        chosen = np.stack([self._order(seed, places) for seed in seeds], 1).reshape(len(steps), size, len(seeds)).swapaxes(1, 2)
        start = self.system.start(drawn[np.arange(len(seeds))[:, None], chosen], columns)
        horizons = np.round(self._column(schedule, HORIZON, steps)).astype(np.int64)
        within = torch.from_numpy(np.arange(int(horizons.max())) < horizons[:, None])
        return {
            START: torch.from_numpy(start.astype(np.float32)),
            WITHIN: within[:, None, None].expand(len(steps), len(seeds), size, -1),
        }

    def _order(self, seed: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the training states at some places of a seed's endless row of them."""
        count = self.settings.train_states
        if self.settings.order == "fixed":
            return places % count
        first, last = int(places[0]) // count, int(places[-1]) // count
        order = np.concatenate([generator(seed, EPOCHS, epoch).permutation(count) for epoch in range(first, last + 1)])
        return order[places - first * count]

    def _column(self, schedule: Schedule, name: str, steps: range) -> Array:
        """Read a column at some steps, or its default where the sheet does not have it: `[C]`."""
        if name not in schedule.properties:
            return np.full(len(steps), self.defaults()[name])
        return schedule.column(name)[steps.start : steps.stop]

    def losses(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        sheet = batch.sheet
        found = self._terms(model, batch, sheet[FEEDBACK], sheet[PHYSICS])
        objectives = {name: found[name] for name in batch.active}
        if AGREE in batch.on:
            regular = self._terms(model, batch, 1.0, 1.0)
            objectives[REGULAR] = torch.stack([sheet[name] * regular[name] for name in batch.active]).sum()
        return objectives

    def _terms(self, model: nn.Module, batch: Batch, feedback: Tensor | float, physics: Tensor | float) -> dict[str, Tensor]:
        start, within = batch[START], batch[WITHIN][0]
        path = unroll(model, self.system, start, len(within), feedback, physics, within)
        return terms(path, self.system, shares(within, self.system, start), self.system.aim(batch.sheet, start))

    def direction(self, gradients: Tensors, batch: Batch) -> Tensor:
        """Make the update's direction `[P]` of the terms' gradients under the sheet's gates, and of the regular one."""
        own = torch.stack([batch.sheet[name] * gradients[name] for name in batch.active]).sum(0)
        if REGULAR in gradients:
            own = mixed(own, gradients[REGULAR], batch.sheet[AGREE])
        return clipped(own, batch.sheet[CLIP])

    def stacked_gradients(self, parameters: Tensors, batch: Batch, weights: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute terms `[S, K]` and directions of a stack by the adjoint recursion, each gradient only for the models that need it."""
        sheet, start, within, stack = batch.sheet, batch[START], batch[WITHIN][:, 0], len(weights)
        aim, network = self.system.aim(sheet, start), Stack.of(parameters, self.patches)
        found = adjoint.forward(network, self.system, start, within.shape[-1], within)
        counted = shares(within, self.system, start)
        values = terms(found.path, self.system, counted, aim)
        weighed = dict(zip(batch.active, weights.unbind(1), strict=True))
        none = weights.new_zeros(stack)
        slopes = adjoint.slopes(found.path, self.system, counted, [weighed.get(name, none) for name in self.terms], aim)

        def gradient(rows: Rows, physics: Tensor | None, feedback: Tensor | None, closed: bool = False) -> Tensor:
            parts = network.part(rows), self.system, found.part(rows), slopes.part(rows)
            return adjoint.modified_gradient(*parts, physics) if closed else adjoint.gradient(*parts, physics, feedback)

        own = found.states.new_empty(stack, sum(value[0].numel() for value in parameters.values()))
        through = batch.on.get(FEEDBACK, ())
        for group, closed in ((through, False), (tuple(row for row in range(stack) if row not in through), True)):
            if group:
                rows = _rows(group)
                own[rows] = gradient(rows, sheet[PHYSICS][rows], sheet[FEEDBACK][rows], closed)
        if batch.on.get(AGREE):
            rows = _rows(batch.on[AGREE])
            own[rows] = mixed(own[rows], gradient(rows, None, None), sheet[AGREE][rows])
        direction = clipped(own, sheet[CLIP])
        return torch.stack([values[name] for name in batch.active], 1), [direction]

    def observe(self, model: nn.Module, inputs: Tensor) -> Observation:
        """Steer initial states `[N, D]`: the output is the error of each, the latents its last hidden layer at the start."""
        assert isinstance(model, Network)
        return self._seen(unroll(model, self.system, inputs, self.system.steps), model.activations(inputs)[-2])

    def stacked_observe(self, parameters: Tensors, inputs: Tensor) -> Observation:
        network = Stack.of(parameters, self.patches)
        inputs = inputs.expand(len(network.weights[0]), -1, -1)
        return self._seen(adjoint.steer(network, self.system, inputs, self.system.steps), network.steer(inputs)[-2])

    def steered(self, parameters: Tensors, start: Tensor) -> Tensor:
        """Steer initial states `[N, D]` by a stack of models: the states of all steps, with the first, `[S, T + 1, N, D]`.

        What is not finite is NaN, which is not drawn.
        """
        network = Stack.of(parameters, self.patches)
        start = start.expand(len(network.weights[0]), -1, -1)
        with torch.no_grad():
            states = torch.cat([start[None], adjoint.steer(network, self.system, start, self.system.steps).states])
        return torch.where(states.isfinite(), states, torch.nan).transpose(0, 1)

    def _seen(self, path: Path, latents: Tensor) -> Observation:
        errors = self.system.error(path.states, self._published(path.states))
        own = errors[-1] if self.system.own == FINAL else errors.sum(0) if self.system.summed else errors.mean(0)
        return Observation(own, latents)

    def _published(self, like: Tensor) -> Tensor:
        """Give the aim under the columns' defaults."""
        values = self.defaults()
        return self.system.aim(SheetRow(tuple(values), torch.tensor(list(values.values()), device=like.device)), like)

    def probes(self) -> tuple[Probe, ...]:
        """Give the test states, and the first of them, whose hidden layer is recorded."""
        return (
            Probe("test", f"the {len(self.tested)} test states", self.tested, frozenset({"loss", "final"}), TEST_EVERY),
            Probe("hidden", f"the first {SHOWN} test states", self.tested[:SHOWN], frozenset({"motion"}), MOTION_EVERY),
        )

    def probe_loss(self, observation: Observation, probe: Probe) -> Tensor:
        """Compute the mean error over the states: `[S]`."""
        return observation.outputs.mean(-1)

    def examine(self, model: nn.Module) -> dict[str, Tensor]:
        """Find on the first test states how long the regular, the modified and the combined gradient are: `gradient.norms` `[3]`.

        Also their directions as sketches, the cosine of the first two, and the share of components that the combined one keeps.
        """
        start = self.tested[: self.settings.batch][None]
        steps, aim = self.system.steps, self._published(start)
        network = Stack.of({name: value[None] for name, value in model.named_parameters()}, self.patches)
        found = adjoint.forward(network, self.system, start, steps)
        counted = shares(torch.ones(1, steps, device=start.device), self.system, start)
        one = start.new_ones(1)
        weights = [one if name == self.system.own else 0 * one for name in self.terms]
        slopes = adjoint.slopes(found.path, self.system, counted, weights, aim)
        regular = adjoint.gradient(network, self.system, found, slopes)[0]
        modified = adjoint.modified_gradient(network, self.system, found, slopes)[0]
        each = torch.stack([regular, modified, mixed(modified, regular, start.new_ones(()))])
        norms = torch.linalg.vector_norm(each, dim=-1, dtype=torch.float64)
        cosine = (regular.double() * modified.double()).sum() / (norms[0] * norms[1]).clamp_min(torch.finfo(torch.float64).tiny)
        # What is 0 in both, as before a network has learned, is neither kept nor dropped.
        some = (modified != 0) | (regular != 0)
        kept = (combine(modified, regular) != 0).sum() / some.sum().clamp_min(1)
        curves = {"norms": norms.float(), "directions": sketch(each), "cosine": cosine.float(), "kept": kept}
        return {f"gradient.{name}": values for name, values in curves.items()}

    def picture(self) -> Picture:
        return Picture(self.tested[:SHOWN], probe="hidden")

    def point_colors(self, inputs: Tensor) -> NDArray[np.float32]:
        """Color each state by its first number, from blue to orange."""
        first = inputs.flatten(1)[:, 0].numpy().astype(np.float64)
        share = ((first - first.min()) / max(float(np.ptp(first)), 1e-9))[:, None]
        return np.asarray((1 - share) * np.array([0.0, 0.45, 0.7]) + share * np.array([0.9, 0.55, 0.0]), dtype=np.float32)


TASK = ControlTask


def _rows(group: Sequence[int]) -> Rows:
    """Give rows of a stack as a slice where they are neighbours, which copies nothing."""
    first, last = group[0], group[-1]
    return slice(first, last + 1) if len(group) == last + 1 - first else list(group)
