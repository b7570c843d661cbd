"""The color task: an autoencoder learns RGB colors through a narrow bottleneck.

The sheet decides which colors it sees (`data-hues`, `data-vibrancies`) and how its latent space is
shaped (the `reg-` terms). Colors that have only begun to appear weigh less in the loss, so that
they do not shock the optimizer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from curriculum.errors import Problem, nearest
from curriculum.sheet.document import Dopesheet, Phase
from curriculum.sheet.schedule import Schedule
from curriculum.tasks.color import by_hand
from curriculum.tasks.color.colors import (
    BATCH,
    HUES,
    Array,
    bias,
    cube,
    hsv_grid,
    insertions,
    primary_focus,
    rgb,
    sampling_weights,
    scaled,
    uniforms_of,
    vivid,
)
from curriculum.tasks.color.model import SEPARATE_EPS, ColorAutoencoder, ColorSettings, DataName
from curriculum.train.batch import REAL, Batch, Tensors
from curriculum.train.probes import Observation, Picture, Probe
from curriculum.train.task import Task

NAMES_LISTED = 20  # in an error, of what may be many
WEIGHED_AT_ONCE = 4  # steps whose sampling weights are computed together: few enough to stay in a processor's cache
NO_WEIGHT = 1e-6  # a batch whose focus sums to less is weighed evenly


class ColorTask(Task):
    """An autoencoder that learns colors through a bottleneck of a few dimensions."""

    settings_type = ColorSettings
    version = 1
    terms = ("loss-recon", "reg-separate", "reg-planar", "reg-norm", "reg-anchor")
    controls = {"data-hues": (0, 1), "data-vibrancies": (0, 1)}
    actions = ("anchor",)
    needs = {"reg-anchor": "anchor"}
    measures = (
        *("draw_up", "spikes", "fluctuation", "drift_jerk", "jitter"),
        *("mean_draw_up", "spike_score", "von_neumann", "path_length", "peak_speed"),
        *("rise_time", "detrended", "procrustes", "sparc", "unrecovered"),
        *("unit_norm", "planarity", "hue_coherence", "winding", "hue_order", "anchoring"),
    )
    hypotheses = {
        "H1": ("more stable training (fewer, smaller loss spikes)", ("H1a", "H1b")),
        "H2": ("lower loss variance", ("H2",)),
        "H3": ("smoother evolution of the latent space", ("H3a", "H3b")),
    }

    settings: ColorSettings

    def __init__(self, settings: ColorSettings):
        super().__init__(settings)
        hsv = hsv_grid()
        self.colors = {"primary": rgb(vivid(6)), "full": rgb(hsv), "rgb": cube(8), "hues": rgb(vivid(HUES)), "g5": cube(5)}
        self.bias = bias(hsv[:, 1], hsv[:, 2])
        self.vibrancy = hsv[:, 1] * hsv[:, 2]
        self.primary_focus = primary_focus(hsv[:, 0])

    def build(self) -> nn.Module:
        return ColorAutoencoder(self.settings.hidden, self.settings.latent_dim, self.settings.normalize_bottleneck)

    def check(self, sheet: Dopesheet) -> Iterator[Problem]:
        """Find the phases without data, and the columns that are missing to sample the data of a phase."""
        known = self.settings.phases
        rows = {row.phase: row for row in reversed(sheet.rows)}
        names = list(dict.fromkeys(phase.name for phase in sheet.phases))
        for name in names:
            if not name:
                message = f"the sheet has no phase at step 0: add a PHASE column that starts with one of {_listed(known)}"
                yield sheet.problem(message, cell="PHASE")
            elif name not in known:
                guess = nearest(name, known)
                meant = f", did you mean {guess!r}?" if guess else ""
                lists = f"the sheet's phases are {_listed(names)}, the config's task.phases are {_listed(known)}"
                yield sheet.problem(f"the phase {name!r} has no data{meant} ({lists})", rows[name], "PHASE")
            elif known[name].train == "full":
                for column in self.controls:
                    if column not in sheet.properties:
                        yield sheet.problem(f"no column {column!r}: the phase {name!r} needs it to sample colors")

    def batches(self, schedule: Schedule, steps: range, seeds: Sequence[int]) -> Tensors:
        """Draw batches: `colors` `[C, S, B, 3]`, and each sample's `shares` `[C, S, B]` of a per-sample term.

        A batch is drawn before the events of its step, so by the focus of the step before.
        """
        if self._data(schedule.phase_at(steps[0])) == "primary":
            colors = self.colors["primary"].expand(len(steps), len(seeds), -1, -1)
            return {"colors": colors, "shares": torch.full(colors.shape[:-1], 1 / colors.shape[-2])}
        earlier = sum(
            min(phase.end + 1, steps[0]) - phase.start
            for phase in schedule.phases
            if phase.start < steps[0] and self._data(phase) == "full"
        )
        uniforms = np.stack([uniforms_of(seed, earlier, len(steps)) for seed in seeds], axis=1)
        before = np.maximum(np.asarray(steps) - 1, 0)
        controls = np.stack([schedule.column(name)[before] for name in self.controls], axis=1)
        distinct, which = np.unique(controls, axis=0, return_inverse=True)
        chosen = np.empty(uniforms.shape, dtype=np.int64)
        focus = np.empty(uniforms.shape)
        for first in range(0, len(distinct), WEIGHED_AT_ONCE):
            hues, vibrancies = np.hsplit(distinct[first : first + WEIGHED_AT_ONCE], 2)
            all_focus = scaled(self.vibrancy, vibrancies) * scaled(self.primary_focus, hues)
            edges = np.cumsum(sampling_weights(all_focus * self.bias), axis=-1)
            edges /= edges[:, -1:]
            for index, (own_focus, own_edges) in enumerate(zip(all_focus, edges, strict=True), first):
                rows = np.flatnonzero(which == index)
                chosen[rows] = insertions(own_edges, uniforms[rows])
                focus[rows] = own_focus[chosen[rows]]
        # An embedding looks rows up in a third of the time that indexing takes.
        return {"colors": nn.functional.embedding(torch.from_numpy(chosen), self.colors["full"]), "shares": self._shares(focus)}

    def _data(self, phase: Phase) -> DataName:
        return self.settings.phases[phase.name].train

    def _shares(self, focus: Array) -> Tensor:
        """Turn the focus of the chosen colors `[..., B]` into their shares of a term.

        A term is the mean over the batch of weight x loss. The weights sum to 1 or average 1, so the shares
        are a B-th of the focus's share, or that itself.
        """
        total = focus.sum(axis=-1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where(total < NO_WEIGHT, 1 / BATCH, focus / total)
        if self.settings.sample_weighting == "sum":
            shares /= BATCH
        return torch.from_numpy(shares.astype(np.float32))

    def losses(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        assert isinstance(model, ColorAutoencoder)
        colors, shares = batch["colors"], batch["shares"]
        z = model.encode(colors)
        terms = {}
        for name in batch.active:
            if name == "loss-recon":
                terms[name] = (shares * (model.decoder(z) - colors).square().mean(-1)).sum()
            elif name == "reg-norm":
                terms[name] = (shares * (z.norm(dim=-1) - 1).square()).sum()
            elif name == "reg-planar":
                terms[name] = (shares * z[:, 2:].square().sum(-1)).sum()
            elif name == "reg-separate":
                plane = z[:, :2]
                apart = (plane[:, None] - plane[None]).square().sum(-1)
                real = batch[REAL] if REAL in batch else torch.ones(len(z), dtype=torch.bool, device=z.device)
                others = ~torch.eye(len(z), dtype=torch.bool, device=z.device) & real & real[:, None]
                terms[name] = torch.where(others, 1 / (apart + SEPARATE_EPS), 0.0).sum() / real.sum() ** 2
            elif name == "reg-anchor":
                terms[name] = (model.encode(self.colors["primary"]) - batch.references["anchor"]).square().mean()
        return terms

    def stacked_gradients(self, parameters: Tensors, batch: Batch, weights: Tensor) -> tuple[Tensor, list[Tensor]]:
        return by_hand.gradients(parameters, batch, weights, self.colors["primary"], self.settings.normalize_bottleneck)

    def stacked_observe(self, parameters: Tensors, inputs: Tensor) -> Observation:
        return by_hand.observe(parameters, inputs, self.settings.normalize_bottleneck)

    def capture(self, action: str, model: nn.Module) -> dict[str, Tensor]:
        assert isinstance(model, ColorAutoencoder)
        return {"anchor": model.encode(self.colors["primary"])}

    def observe(self, model: nn.Module, inputs: Tensor) -> Observation:
        assert isinstance(model, ColorAutoencoder)
        latents = model.encode(inputs)
        return Observation(model.decoder(latents), latents)

    def exhibit(self, model: nn.Module) -> dict[str, Tensor]:
        """Give the latents of the vivid hues and of the primaries, which show whether they form a circle."""
        assert isinstance(model, ColorAutoencoder)
        return {"latents.hues": model.encode(self.colors["hues"]), "latents.prim": model.encode(self.colors["primary"])}

    def validation(self, phase: Phase) -> Tensor:
        return self.colors[self.settings.phases[phase.name].validate_on]

    def probes(self) -> tuple[Probe, ...]:
        return (
            Probe("hues", "36 vivid hues", self.colors["hues"], frozenset({"loss", "final"})),
            Probe("grid", "8 x 8 x 8 RGB grid", self.colors["rgb"], frozenset({"final"}), every=10),
            Probe("prim", "6 primaries and secondaries", self.colors["primary"]),
            Probe("g5", "5 x 5 x 5 RGB grid", self.colors["g5"], frozenset({"motion"}), every=10),
        )

    def probe_loss(self, observation: Observation, probe: Probe) -> Tensor:
        """Compute the unweighted mean squared error of the colors: `[S]`."""
        return (observation.outputs - probe.inputs.to(observation.outputs.device)).square().mean((-2, -1))

    def picture(self) -> Picture:
        primaries = torch.cdist(self.colors["primary"], self.colors["rgb"]).argmin(1)
        return Picture(self.colors["rgb"], circles=(1.0,), traced=tuple(primaries.tolist()))

    def point_colors(self, inputs: Tensor) -> NDArray[np.float32]:
        return np.asarray(inputs.numpy(), dtype=np.float32)


TASK = ColorTask


def _listed(names: Collection[str]) -> str:
    more = f" and {len(names) - NAMES_LISTED} more" if len(names) > NAMES_LISTED else ""
    return ", ".join(repr(name) for name in islice(names, NAMES_LISTED)) + more
