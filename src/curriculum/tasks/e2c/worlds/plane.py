"""A square agent that moves on a plane among round obstacles.

The state is the agent's centre (row, column) in pixels, the action its displacement.
Source: Watter et al. 2015; the obstacles are those of Levine et al. 2020 (PCC).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator, model_validator
from torch import Tensor

from curriculum.config.settings import Settings
from curriculum.sheet.bounds import ABOVE_ZERO, Bounds
from curriculum.tasks.e2c.worlds import Array, Atlas, Whole

DISCS = np.array([(20.5, 5.5), (20.5, 13.5), (20.5, 27.5), (20.5, 35.5), (10.5, 20.5), (30.5, 20.5)])  # in an image of 40 x 40
DISC_RADIUS = 2.5
DISC_IMAGE = 40
NEAR = 1e-9  # pixels: positions on a lattice are sums of halves, bounds are read from a smooth path


class PlaneSettings(Settings):
    """What can be set of the plane."""

    size: int = Field(16, ge=4, le=128, description="side length of the image in pixels")
    agent_half: float = Field(1.0, gt=0, description="half the side length of the square agent in pixels")
    obstacles: bool = Field(False, description="six discs, scaled to the image")
    collision: Literal["strict", "lenient"] = Field(
        "strict", description="strict: the agent must not overlap a disc; lenient: it must not cover the center of one"
    )
    positions: Literal["integer", "continuous"] = Field(
        "integer", description="integer: positions on a pixel lattice; continuous: any position, rendered by pixel coverage"
    )

    @field_validator("agent_half")
    @classmethod
    def _fits(cls, half: float, info: ValidationInfo) -> float:
        size = info.data.get("size")
        if size is not None and 2 * half + 1 > size:
            raise ValueError(
                f"an agent of {2 * half:g} x {2 * half:g} pixels cannot move in an image of {size} x {size} (at most {(size - 1) / 2:g})"
            )
        return half

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        if len(Plane(self).lattice) < (2 if self.positions == "integer" else 1):
            raise ValueError("the obstacles leave an agent of this size no room to move")
        return self


class Plane:
    """The plane with its obstacles."""

    frames, action_size = 1, 2

    def __init__(self, settings: PlaneSettings):
        self.size, self.half = settings.size, settings.agent_half
        self.whole = settings.positions == "integer"
        scale = self.size / DISC_IMAGE
        self.discs = DISCS * scale if settings.obstacles else np.empty((0, 2))
        self.radius = DISC_RADIUS * scale
        self.strict = settings.collision == "strict"
        axis: Array = self.half + np.arange(int(self.size - 2 * self.half + NEAR) + 1, dtype=np.float64)
        rows, columns = np.meshgrid(np.arange(len(axis)), np.arange(len(axis)), indexing="ij")
        places = np.stack([rows.ravel(), columns.ravel()], 1)
        self._places = places[self.valid(axis[places])]
        self.lattice: Array = axis[self._places]
        self._index = np.full((len(axis), len(axis)), -1)
        self._index[tuple(self._places.T)] = np.arange(len(self._places))
        self._moves: dict[int, tuple[Whole, Whole]] = {}
        middle = np.stack(np.meshgrid(np.arange(self.size), np.arange(self.size), indexing="ij"), -1).reshape(-1, 1, 2) + 0.5
        covered = (np.hypot(*np.moveaxis(middle - self.discs, -1, 0)) <= self.radius).any(1)
        self._background = torch.from_numpy(covered.astype(np.float32))

    def valid(self, positions: Array) -> NDArray[np.bool_]:
        """Tell which centres `[..., 2]` lie inside the image and clear of obstacles."""
        inside = ((positions >= self.half - NEAR) & (positions <= self.size - self.half + NEAR)).all(-1)
        apart = np.abs(positions[..., None, :] - self.discs) - self.half
        overlap_free = np.hypot(*np.moveaxis(np.maximum(apart, 0), -1, 0)) >= self.radius
        clear = overlap_free if self.strict else (apart > 0).any(-1)
        return np.asarray(inside & clear.all(-1))

    @cached_property
    def atlas(self) -> Atlas:
        below, right = self._neighbours((1, 0)), self._neighbours((0, 1))
        every = np.arange(len(self.lattice))
        pairs = [np.stack([every, other], 1)[other >= 0] for other in (below, right)]
        cells = np.stack([every, below, right], 1)
        corners = tuple(int((self.lattice @ side).argmax()) for side in np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)]))
        upright = self.lattice[:, ::-1] * (1, -1)  # right and up, as the image lies
        return Atlas(self.lattice, np.concatenate(pairs), cells[(cells >= 0).all(1)], upright, self.lattice, corners)

    def _neighbours(self, offset: tuple[int, int]) -> Whole:
        """Give the index of the lattice state at an offset from each, -1 where there is none `[N]`."""
        places = self._places + offset
        known = np.asarray((places >= 0) & (places < len(self._index))).all(-1)
        return np.asarray(np.where(known, self._index[tuple(np.where(np.expand_dims(known, 1), places, 0).T)], -1))

    @cached_property
    def bounds(self) -> Bounds:
        """From the smallest size that leaves some state a move, to the image's side; in pixels."""
        least = next(reach for reach in range(1, self.size) if self.moves(reach)[0].max() > 1) if self.whole else ABOVE_ZERO
        return float(least), float(self.size)

    def moves(self, reach: int) -> tuple[Whole, Whole]:
        """List where one move of at most `reach` per axis can lead from each lattice state.

        Returns how many there are `[N]`, and the states they lead to, one after another `[sum]`; staying is one of them.
        """
        if reach not in self._moves:
            across = range(-reach, reach + 1)
            reached = np.stack([self._neighbours((down, right)) for down in across for right in across], 1)
            self._moves[reach] = ((reached >= 0).sum(1), reached[reached >= 0])
        return self._moves[reach]

    def draw(self, generators: Sequence[np.random.Generator], bounds: Array, batch: int, horizon: int) -> tuple[Array, Array]:
        paths = self._draw_whole(generators, bounds, batch, horizon) if self.whole else self._draw_any(generators, bounds, batch, horizon)
        return paths, np.diff(paths, axis=2)

    def _draw_whole(self, generators: Sequence[np.random.Generator], bounds: Array, batch: int, horizon: int) -> Array:
        """Draw paths on the lattice: a state, and each move among all that are valid."""
        uniforms = np.stack([own.random((1 + horizon, batch)) for own in generators])
        reaches = np.array([_reach(bound) for bound in bounds])
        states = np.empty((len(generators), batch, 1 + horizon), dtype=np.int64)
        states[..., 0] = uniforms[:, 0] * len(self.lattice)
        for reach in np.unique(reaches):
            rows = np.flatnonzero(reaches == reach)
            counts, reached = self.moves(int(reach))
            starts = np.cumsum(counts) - counts
            for step in range(horizon):
                here = states[rows, :, step]
                states[rows, :, step + 1] = reached[starts[here] + (uniforms[rows, step + 1] * counts[here]).astype(np.int64)]
        return self.lattice[states]

    def _draw_any(self, generators: Sequence[np.random.Generator], bounds: Array, batch: int, horizon: int) -> Array:
        """Draw paths of any positions by rejection: a state until it is valid, then each move until it leads to one."""
        paths = np.zeros((len(generators), batch, 1 + horizon, 2))
        low, high = self.half, self.size - self.half
        for step in range(1 + horizon):
            waiting = np.ones((len(generators), batch), dtype=bool)
            while (rows := np.flatnonzero(waiting.any(1))).size:
                # A generator whose batch is complete rests: what it gives must not depend on the others.
                uniforms = np.stack([generators[int(row)].random((batch, 2)) for row in rows])
                moves = (2 * uniforms - 1) * bounds[rows, None, None]
                drawn = low + uniforms * (high - low) if step == 0 else paths[rows, :, step - 1] + moves
                taken = waiting[rows] & self.valid(drawn)
                paths[rows, :, step] = np.where(taken[..., None], drawn, paths[rows, :, step])
                waiting[rows] &= ~taken
        return paths

    def render(self, states: Tensor) -> Tensor:
        """Render by area: a pixel is as bright as the share of it that the agent or an obstacle covers."""
        left = torch.arange(self.size, dtype=states.dtype, device=states.device)
        centre = states[..., None]
        share = (torch.minimum(left + 1, centre + self.half) - torch.maximum(left, centre - self.half)).clamp(0, 1)
        agent = share[..., 0, :, None] * share[..., 1, None, :]
        return torch.maximum(agent.flatten(-2), self._background.to(states))

    def colors(self, states: Array) -> NDArray[np.float32]:
        """Blend four corner colors."""
        corners = np.array([[(0.13, 0.40, 0.95), (0.10, 0.78, 0.55)], [(0.85, 0.22, 0.62), (0.98, 0.78, 0.16)]])
        down, right = (((states - self.half) / max(self.size - 2 * self.half, NEAR)).clip(0, 1)).T[..., None]
        top, bottom = (corners[row, 0] * (1 - right) + corners[row, 1] * right for row in (0, 1))
        return np.asarray(top * (1 - down) + bottom * down, dtype=np.float32)

    def arrows(self) -> Array:
        return np.array([(-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0)])


def _reach(bound: float) -> int:
    return int(np.floor(bound + NEAR))
