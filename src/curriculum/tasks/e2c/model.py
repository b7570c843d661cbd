"""What can be set of the E2C task, and its model. Source: Watter et al. 2015."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn
from torch.nn.functional import softplus

from curriculum.config.settings import Settings
from curriculum.sheet.bounds import allowed
from curriculum.tasks.e2c.dynamics import Local
from curriculum.tasks.e2c.worlds import World
from curriculum.tasks.e2c.worlds.pendulum import Pendulum, PendulumSettings
from curriculum.tasks.e2c.worlds.plane import Plane, PlaneSettings

GAIN = 1.1  # of the orthogonal initial weights
LOG_SIGMA = (-10.0, 4.0)
Widths = tuple[int, ...]


class E2cSettings(Settings):
    """What can be set of the task."""

    name: Literal["e2c"] = Field("e2c", description="latent dynamics from images (Embed to Control)")
    plane: PlaneSettings | None = Field(None, description="an agent that moves on a plane; the default world")
    pendulum: PendulumSettings | None = Field(None, description="an inverted pendulum driven by a torque, instead of the plane")
    latent_dim: int = Field(2, ge=1, le=64, description="dimensions of the latent space")
    encoder: Widths = Field((64, 64), description="widths of the encoder's hidden layers")
    decoder: Widths = Field((64, 64), description="widths of the decoder's hidden layers")
    transition: Widths = Field((32, 32), description="widths of the transition's hidden layers")
    batch: int = Field(64, ge=1, le=4096, description="number of image pairs in a batch")
    actions: Literal["own", "shuffled", "shifted"] = Field(
        "own", description="the action the model receives: that of the pair or, as an ablation, of another pair or of the step before"
    )
    probe_step: float = Field(2.0, description="largest action in the fixed pairs used to compare models")

    @field_validator("pendulum")
    @classmethod
    def _is_one_world(cls, pendulum: PendulumSettings | None, info: ValidationInfo) -> PendulumSettings | None:
        if pendulum and info.data.get("plane"):
            raise ValueError("a task has only one world; remove plane or pendulum")
        return pendulum

    @field_validator("encoder", "decoder", "transition")
    @classmethod
    def _has_widths(cls, widths: Widths) -> Widths:
        if any(not 1 <= width <= 4096 for width in widths):
            raise ValueError("each hidden layer must have 1 to 4096 units")
        return widths

    @field_validator("probe_step")
    @classmethod
    def _can_be_drawn(cls, bound: float, info: ValidationInfo) -> float:
        # Where a world is wrong itself it is missing here, and that is the mistake to tell of.
        if {"plane", "pendulum"} <= info.data.keys():
            low, high = bounds = _world(info.data["plane"], info.data["pendulum"]).bounds
            if not low <= bound <= high:
                raise ValueError(f"the largest action in this world must be {allowed(bounds)}")
        return bound

    def world(self) -> World:
        """Make the world that is named."""
        return _world(self.plane, self.pendulum)


def _world(plane: PlaneSettings | None, pendulum: PendulumSettings | None) -> World:
    if pendulum:
        return Pendulum(pendulum)
    return Plane(plane or PlaneSettings())


class E2cModel(nn.Module):
    """Encoder to mean and log sigma, decoder to logits, transition to v, r, B and o; ReLU between the layers."""

    def __init__(self, settings: E2cSettings, world: World):
        super().__init__()
        latent, pixels, action_size = settings.latent_dim, world.frames * world.size**2, world.action_size
        self.action_shape = (latent, action_size)
        self.heads = [latent, latent, latent * action_size, latent]
        self.encoder = _layers([pixels, *settings.encoder], [2 * latent])
        self.transition = _layers([latent, *settings.transition], [2 * latent, latent * action_size, latent])
        self.decoder = _layers([latent, *settings.decoder], [pixels])

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute mean and log sigma `[..., L]` of images `[..., D]`."""
        mean, log_sigma = self.encoder(images).chunk(2, -1)
        return mean, log_sigma.clamp(*LOG_SIGMA)

    def local(self, latents: Tensor) -> Local:
        """Compute the dynamics at latents `[..., L]`."""
        v, r, action, offset = torch.split(self.transition(latents), self.heads, -1)
        return Local(v, r, action.reshape(*action.shape[:-1], *self.action_shape), offset)


class Layers(nn.Sequential):
    """Linear layers with ReLU between them, computed with features before samples.

    So the gradient of a stack's weights comes out in the order in which the weights are stored, which saves a copy of all of them.
    """

    def forward(self, x: Tensor) -> Tensor:
        hidden = x.reshape(-1, x.shape[-1]).mT
        for layer in self:
            hidden = torch.addmm(layer.bias[:, None], layer.weight, hidden) if isinstance(layer, nn.Linear) else layer(hidden)
        return hidden.mT.reshape(*x.shape[:-1], -1)


def _layers(widths: Sequence[int], heads: Sequence[int]) -> Layers:
    """Stack linear layers with ReLU between them; the last gives several heads side by side, each orthogonal by itself."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in zip(widths, [*widths[1:], sum(heads)], strict=True):
        layer = nn.Linear(fan_in, fan_out)
        blocks = heads if len(layers) == 2 * (len(widths) - 1) else [fan_out]
        for block in torch.split(layer.weight.data, list(blocks)):
            nn.init.orthogonal_(block, GAIN)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    return Layers(*layers[:-1])


def reconstruction_error(logits: Tensor, images: Tensor) -> Tensor:
    """Compute -log p(image) in nats, the pixels being independent Bernoulli variables: `[..., D]` to `[...]`.

    It is the sum over pixels: a mean would make the KL terms D times too strong.
    """
    # PyTorch's own cross-entropy falls apart into a dozen operations for a stack of models: twice the time of this.
    error: Tensor = softplus(logits).sum(-1) - torch.linalg.vecdot(images, logits)
    return error
