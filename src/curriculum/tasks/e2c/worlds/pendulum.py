"""An inverted pendulum under a torque, seen in two frames.

The state is (angle, angular velocity), the angle 0 where the rod stands upright. Source: the constants of Gym's
Pendulum, integrated by semi-implicit Euler.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from curriculum.config.settings import Settings
from curriculum.sheet.bounds import ABOVE_ZERO, Bounds
from curriculum.tasks.e2c.worlds import Array, Atlas

GRAVITY, MASS, LENGTH, STEP = 10.0, 1.0, 1.0, 0.05
FASTEST = 8.0  # radians per second
STRONGEST = 2.0  # the torque that the world allows
ANGLES, SPEEDS = 24, 9  # of the map's grid
ROD, THICKNESS = 0.45, 2.5  # of the image's side; pixels


class PendulumSettings(Settings):
    """What can be set of the pendulum."""

    size: int = Field(48, ge=8, le=128, description="side length of each of the two frames in pixels")


class Pendulum:
    """The pendulum."""

    frames, action_size = 2, 1
    bounds: Bounds = (ABOVE_ZERO, STRONGEST)

    def __init__(self, settings: PendulumSettings):
        self.size = settings.size
        middle = torch.arange(self.size) + 0.5 - self.size / 2
        self._pixels = torch.stack(torch.meshgrid(middle, middle, indexing="ij"), -1).reshape(-1, 2)

    @cached_property
    def atlas(self) -> Atlas:
        angles = (np.arange(ANGLES) + 0.5) / ANGLES * 2 * np.pi - np.pi
        speeds = np.linspace(-FASTEST, FASTEST, SPEEDS)
        states = np.stack(np.meshgrid(angles, speeds, indexing="ij"), -1).reshape(-1, 2)
        index = np.arange(len(states)).reshape(ANGLES, SPEEDS)
        around, along = np.stack([index, np.roll(index, -1, 0)], -1), np.stack([index[:, :-1], index[:, 1:]], -1)
        linear = np.stack([np.cos(states[:, 0]), np.sin(states[:, 0])], 1)
        near = np.column_stack([linear, states[:, 1] / FASTEST])
        edges = np.concatenate([around.reshape(-1, 2), along.reshape(-1, 2)])
        resting = tuple(int(index[angle, SPEEDS // 2]) for angle in range(0, ANGLES, ANGLES // 4))
        return Atlas(states, edges, np.empty((0, 3), dtype=np.int64), linear, near, resting)

    def draw(self, generators: Sequence[np.random.Generator], bounds: Array, batch: int, horizon: int) -> tuple[Array, Array]:
        uniforms = 2 * np.stack([own.random((2 + horizon, batch)) for own in generators]) - 1
        actions = uniforms[:, 2:].swapaxes(1, 2)[..., None] * np.asarray(bounds)[:, None, None, None]
        paths = np.empty((*uniforms[:, 0].shape, 1 + horizon, 2))
        paths[..., 0, :] = np.stack([uniforms[:, 0] * np.pi, uniforms[:, 1] * FASTEST], -1)
        for step in range(horizon):
            paths[..., step + 1, :] = move(paths[..., step, :], actions[..., step, 0])
        return paths, actions

    def render(self, states: Tensor) -> Tensor:
        """Render the frame before and the frame now, so that a velocity can be seen."""
        angle, speed = states[..., 0], states[..., 1]
        return torch.cat([self._frame(angle - STEP * speed), self._frame(angle)], -1)

    def _frame(self, angle: Tensor) -> Tensor:
        """Render the rod from the centre by each pixel's distance from it: `[...]` to `[..., n * n]`."""
        length = ROD * self.size
        tip = length * torch.stack([-angle.cos(), angle.sin()], -1)[..., None, :]
        pixels = self._pixels.to(angle)
        along = ((pixels * tip).sum(-1, keepdim=True) / length**2).clamp(0, 1)
        distance: Tensor = torch.linalg.vector_norm(pixels - along * tip, dim=-1)
        return (0.5 + THICKNESS / 2 - distance).clamp(0, 1)

    def colors(self, states: Array) -> NDArray[np.float32]:
        """Show the angle as hue, the velocity as lightness."""
        hues, lights = states[:, 0] / (2 * np.pi) % 1, 0.5 + 0.25 * states[:, 1] / FASTEST
        return np.array([colorsys.hls_to_rgb(hue, light, 0.8) for hue, light in zip(hues, lights, strict=True)], dtype=np.float32)

    def arrows(self) -> Array:
        return np.array([[-STRONGEST], [-STRONGEST / 2], [STRONGEST / 2], [STRONGEST]])


def move(states: Array, torques: Array) -> Array:
    """Move states `[..., 2]` by one step under torques `[...]`."""
    angle, speed = states[..., 0], states[..., 1]
    pull = 3 * GRAVITY / (2 * LENGTH) * np.sin(angle) + 3 * torques / (MASS * LENGTH**2)
    speed = np.clip(speed + STEP * pull, -FASTEST, FASTEST)
    return np.stack([angle + STEP * speed, speed], -1)
