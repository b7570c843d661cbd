"""Embed to Control: latent dynamics from images (Watter et al. 2015).

A variational autoencoder sees pairs of images and the action between them, and learns a latent space in which the
world moves locally linearly. The sheet moves the weights of its four terms, the largest action (`max-step`), how the next
latent state is drawn (`rho`: 1 re-parameterized, 0 re-sampled) and over how many steps it predicts (`horizon`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from curriculum.errors import Problem
from curriculum.sheet.bounds import NONNEGATIVE
from curriculum.sheet.document import Dopesheet
from curriculum.sheet.schedule import Schedule
from curriculum.tasks.e2c.dynamics import kl_to_encoding, kl_to_standard, rollout
from curriculum.tasks.e2c.examine import (
    ROWS,
    VARIED,
    fixed_pairs,
    gradient_noise,
    posterior_spread,
    predict,
    prediction_r2,
    step_variance,
)
from curriculum.tasks.e2c.model import E2cModel, E2cSettings, reconstruction_error
from curriculum.tasks.e2c.streams import DATA, FIRST_NOISE, SECOND_NOISE
from curriculum.train.batch import REAL, Batch, SheetRow, Tensors
from curriculum.train.probes import Observation, Picture, Probe
from curriculum.train.streams import generator
from curriculum.train.task import Task

LARGEST, RHO, HORIZON = "max-step", "rho", "horizon"  # the columns beside the terms
LONGEST = 64.0  # steps of a horizon
WITHIN = "within"  # in a batch, marks the steps of the horizon that are not there only to fill it up
PAPER_WEIGHTS = {"loss-recon": 1.0, "loss-predict": 1.0, "kl-prior": 1.0, "kl-transition": 0.25}  # under which gradient noise is measured
PROBE_EVERY = 20
Array = NDArray[np.float64]


class E2cTask(Task):
    """A variational model that learns to see a world, and to predict what its own actions do there."""

    settings_type = E2cSettings
    version = 1
    terms = ("loss-recon", "loss-predict", "kl-prior", "kl-transition")
    controls = {LARGEST: NONNEGATIVE, RHO: (0, 1, 1), HORIZON: (1, LONGEST, 1)}
    integers = (HORIZON,)
    measures = (
        *("unfolded", "time_to_unfold", "step_variance", "unpredicted"),
        *("affine_r2", "worst_r2", "folding", "anisotropy", "edge_variation"),
        *("posterior_spread", "prediction_r2", "step_ratio", "trust", "continuity"),
        *("gradient_noise", "gradient_noise_encoder", "gradient_noise_transition", "gradient_noise_decoder"),
    )
    hypotheses = {
        "M": ("the latent map unfolds more often and sooner", ("M1", "M2")),
        "S": ("the step from one latent state to the next varies less", ("S1",)),
        "P": ("the learned dynamics predict better", ("P1",)),
    }
    error_unit = "nats per image"
    examine_every = 5 * PROBE_EVERY
    plots = ("image_rows", "vector_field")

    settings: E2cSettings

    def __init__(self, settings: E2cSettings):
        super().__init__(settings)
        self.world = settings.world()
        self.atlas = self.world.atlas
        self.states = torch.from_numpy(self.atlas.states.astype(np.float32))
        self.arrows = torch.from_numpy(self.world.arrows().astype(np.float32))
        self.pairs = fixed_pairs(self.world, settings.probe_step, settings.latent_dim)
        self.controls = {**type(self).controls, LARGEST: self.world.bounds}

    def build(self) -> nn.Module:
        return E2cModel(self.settings, self.world)

    def check(self, sheet: Dopesheet) -> list[Problem]:
        return (
            []
            if LARGEST in sheet.properties
            else [sheet.problem(f"no column {LARGEST!r}: a sheet must set the size of the largest action")]
        )

    def batches(self, schedule: Schedule, steps: range, seeds: Sequence[int]) -> Tensors:
        """Draw batches: `states` `[C, S, B, K + 1, P]`, the `actions` between them `[C, S, B, K, A]`, and the noise.

        `noise` `[C, S, B, L]` draws the first latent state, `fresh` `[C, S, B, K, L]` the predicted ones. Data and both kinds of noise
        come from streams of their own, so that none depends on `rho`, on the weights, or on each other.
        """
        bounds, horizons = (self.column(schedule, name, steps) for name in (LARGEST, HORIZON))
        horizons = np.round(horizons).astype(np.int64)
        longest, size, latent = int(horizons.max()), self.settings.batch, self.settings.latent_dim
        states, actions = self._draw(_generators(seeds, DATA, steps), np.repeat(bounds, len(seeds)), longest)
        noise = [own.standard_normal((size, latent), np.float32) for own in _generators(seeds, FIRST_NOISE, steps)]
        fresh = [own.standard_normal((longest, size, latent), np.float32) for own in _generators(seeds, SECOND_NOISE, steps)]
        stack = (len(steps), len(seeds))
        drawn: dict[str, NDArray[Any]] = {
            "states": states,
            "actions": actions,
            "noise": np.stack(noise),
            "fresh": np.stack(fresh).swapaxes(1, 2),
        }
        within = torch.from_numpy(np.arange(longest) < horizons[:, None])
        return {
            **{name: torch.from_numpy(values.astype(np.float32).reshape(*stack, *values.shape[1:])) for name, values in drawn.items()},
            WITHIN: within[:, None, None].expand(*stack, size, longest),
        }

    def _draw(self, generators: list[np.random.Generator], bounds: Array, horizon: int) -> tuple[Array, Array]:
        size = self.settings.batch
        if self.settings.actions == "shifted":
            states, actions = self.world.draw(generators, bounds, size, horizon + 1)
            return states[:, :, 1:], actions[:, :, :-1]
        states, actions = self.world.draw(generators, bounds, size, horizon)
        # The pairs of a batch are independent: moving each action on by one place is a shuffle.
        return states, np.roll(actions, 1, axis=1) if self.settings.actions == "shuffled" else actions

    def losses(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        assert isinstance(model, E2cModel)
        active = batch.active
        images = self.world.render(batch["states"])
        # One call encodes both ends of the pairs, one decodes them: few large products keep a stack of seeds cheap.
        means, log_sigmas = model.encode(images if "kl-transition" in active else images[:, :1])
        mean, log_sigma = means[:, 0], log_sigmas[:, 0]
        latents = [(mean + log_sigma.exp() * batch["noise"])[:, None]]
        within = batch[WITHIN].to(mean.dtype)
        share = _shares((batch[REAL] if REAL in batch else torch.ones_like(within[:, 0])).to(mean.dtype))
        step_shares = share[:, None] * within / within.sum(-1, keepdim=True).clamp_min(1)
        found = {}
        if "kl-prior" in active:
            found["kl-prior"] = (share * kl_to_standard(mean, log_sigma)).sum()
        if "loss-predict" in active or "kl-transition" in active:
            ahead = rollout(model.local, mean, log_sigma, batch["noise"], batch["fresh"], batch.sheet[RHO], batch["actions"])
            latents.append(ahead.samples)
        if "kl-transition" in active:
            apart = kl_to_encoding(ahead.means, ahead.variances, ahead.log_determinants, means[:, 1:], log_sigmas[:, 1:])
            found["kl-transition"] = (step_shares * apart).sum()
        if "loss-recon" in active or "loss-predict" in active:
            decoded = torch.cat(latents, 1)
            errors = reconstruction_error(model.decoder(decoded), images[:, : decoded.shape[1]])
            found["loss-recon"] = (share * errors[:, 0]).sum()
            if "loss-predict" in active:
                found["loss-predict"] = (step_shares * errors[:, 1:]).sum()
        return {name: found[name] for name in active}

    def observe(self, model: nn.Module, inputs: Tensor) -> Observation:
        """See states `[N, P]`: the latents are the posterior's means, the outputs the logits of their reconstruction."""
        assert isinstance(model, E2cModel)
        latents, _ = model.encode(self.world.render(inputs))
        return Observation(model.decoder(latents), latents)

    def probes(self) -> tuple[Probe, ...]:
        uses = frozenset({"loss", "final", "motion"})
        return (Probe("map", f"the map's {len(self.states)} states", self.states, uses, PROBE_EVERY),)

    def probe_loss(self, observation: Observation, probe: Probe) -> Tensor:
        """Compute the mean reconstruction loss in nats per image: `[S]`."""
        return reconstruction_error(observation.outputs, self.world.render(probe.inputs.to(observation.outputs.device))).mean(-1)

    def picture(self) -> Picture:
        flat = self.settings.latent_dim == self.atlas.linear.shape[1] == 2
        targets = torch.from_numpy(self.atlas.linear) if flat else None
        return Picture(self.states, (), torch.from_numpy(self.atlas.edges), targets, "map", self.atlas.corners)

    def point_colors(self, inputs: Tensor) -> NDArray[np.float32]:
        return self.world.colors(inputs.numpy().astype(np.float64))

    def fixed(self) -> dict[str, Tensor]:
        """Give the map's coordinates and lattice, the actions of the vector field, and the images that are shown."""
        atlas = self.atlas
        shown: dict[str, NDArray[Any]] = {
            "map.linear": atlas.linear,
            "map.near": atlas.near,
            "map.edges": atlas.edges,
            "map.cells": atlas.cells,
        }
        images = self._images(self.world.render(torch.stack([self.pairs.before[:ROWS], self.pairs.after[:ROWS]], 1)))
        shown["map.colors"] = self.world.colors(atlas.states)
        return {**{name: torch.from_numpy(array) for name, array in shown.items()}, "arrows.actions": self.arrows, "rows.images": images}

    def examine(self, model: nn.Module) -> dict[str, Tensor]:
        assert isinstance(model, E2cModel)
        return {
            "prediction.r2": prediction_r2(model, self.world, self.pairs),
            "step.variance": step_variance(model, self.world, self.pairs),
            "posterior.sigma": posterior_spread(model, self.world, self.states),
        }

    def exhibit(self, model: nn.Module) -> dict[str, Tensor]:
        """Show a model at the end: images that it reconstructs and predicts, where four actions lead, its gradients' noise."""
        assert isinstance(model, E2cModel)
        latents, _ = model.encode(self.world.render(self.states))
        before, _ = model.encode(self.world.render(self.pairs.before[:ROWS]))
        decoded = model.decoder(torch.stack([before, predict(model, before, self.pairs.actions[:ROWS])], 1))
        return {
            "rows.decoded": self._images(decoded.sigmoid()),
            "map.latents": latents,
            "arrows.moves": torch.stack([predict(model, latents, action.expand(len(latents), -1)) - latents for action in self.arrows]),
            "gradient.noise": gradient_noise(model, self._paper_loss, self.pairs),
        }

    def _paper_loss(self, model: nn.Module, noise: Tensor, fresh: Tensor, rho: float) -> Tensor:
        """Compute the paper's loss on the first fixed pairs, under some noise `[B, L]`."""
        states = torch.stack([self.pairs.before[:VARIED], self.pairs.after[:VARIED]], 1)
        drawn = {
            "states": states,
            "actions": self.pairs.actions[:VARIED, None],
            "noise": noise,
            "fresh": fresh[:, None],
        }
        row = SheetRow((RHO,), noise.new_full((1,), rho))
        found = self.losses(model, Batch({**drawn, WITHIN: noise.new_ones(VARIED, 1)}, row, {}, tuple(PAPER_WEIGHTS)))
        return torch.stack([weight * found[name] for name, weight in PAPER_WEIGHTS.items()]).sum()

    def _images(self, flat: Tensor) -> Tensor:
        """Give flat images `[..., D]` their shape: `[..., frames, size, size]`."""
        return flat.reshape(*flat.shape[:-1], self.world.frames, self.world.size, self.world.size)


TASK = E2cTask


def _generators(seeds: Sequence[int], stream: int, steps: range) -> list[np.random.Generator]:
    return [generator(seed, stream, step) for step in steps for seed in seeds]


def _shares(real: Tensor) -> Tensor:
    return real / real.sum()
