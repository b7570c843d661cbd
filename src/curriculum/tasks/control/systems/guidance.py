"""Drivers that herd evaders to the middle of a plane by coming near: guidance by repulsion.

Source: Schnell & Thuerey 2024, with the constants of the authors' released code. There the drivers steer by the sum of the evaders' places,
and evaders farther than 0.5 apart repel each other; both can be set otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from curriculum.config.settings import Settings
from curriculum.tasks.control.systems import RUNNING, Array
from curriculum.tasks.control.systems.jacobian import Small

SOFT = 0.1  # added to every distance
DRIVER_DRAG, EVADER_DRAG = 1.0, 4.0
DRIVERS_APART, EVADERS_AWAY, FLOCK = 0.2, 15.0, 0.2  # strengths of the forces
REST = 0.5  # the distance at which two evaders exert no force on each other
DRIVERS_FROM, FLOCK_FROM, FLOCK_HALF = (3.0, 4.0), (1.0, 2.0), 0.5  # initial radii, and half the side of the flock


class GuidanceSettings(Settings):
    """What can be set of guidance by repulsion."""

    drivers: int = Field(2, ge=1, le=8, description="number of drivers, which the network steers")
    evaders: int = Field(4, ge=1, le=16, description="number of evaders, which flee from the drivers")
    steps: int = Field(60, ge=2, le=1000, description="number of steps that are unrolled at most")
    dt: float = Field(1 / 15, gt=0, le=1, description="duration of a step")
    centre: Literal["sum", "mean"] = Field(
        "sum", description="what drivers steer by: the sum of the evaders' places, as published, or the mean"
    )
    flock: Literal["released", "attracting"] = Field(
        "released", description="force between evaders more than 0.5 apart: they repel each other, as released, or attract"
    )


class Guidance(Small):
    """The state is (places, velocities) of the drivers and then the evaders, each (x, y). The control is two coefficients per driver."""

    own = RUNNING
    unit = "mean square distance"

    def __init__(self, settings: GuidanceSettings):
        self.settings = settings
        self.drivers, self.evaders = settings.drivers, settings.evaders
        self.objects = self.drivers + self.evaders
        self.steps, self.dt = settings.steps, settings.dt
        self.size, self.controls = 4 * self.objects, 2 * self.drivers
        self.share = 1.0 if settings.centre == "sum" else 1 / self.evaders
        self.sign = 1.0 if settings.flock == "released" else -1.0

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        return rng.uniform(0, 1, (count, 2 * self.drivers + 2 + 2 * self.evaders))

    def start(self, drawn: Array, columns: Mapping[str, Array]) -> Array:
        """Drivers stand on a ring, evaders in a square flock nearer to the origin; nothing moves."""
        drivers, flock, evaders = np.split(drawn, [2 * self.drivers, 2 * self.drivers + 2], axis=-1)
        places = [_polar(drivers[..., 2 * k : 2 * k + 2], DRIVERS_FROM) for k in range(self.drivers)]
        centre = _polar(flock, FLOCK_FROM)
        places += [centre + FLOCK_HALF * (2 * evaders[..., 2 * k : 2 * k + 2] - 1) for k in range(self.evaders)]
        joined = np.concatenate(places, axis=-1)
        return np.concatenate([joined, np.zeros_like(joined)], axis=-1)

    def step(self, state: Tensor, control: Tensor) -> Tensor:
        places, speeds = (_pairs(half) for half in state.chunk(2, -1))
        drivers, evaders = places[..., : self.drivers, :], places[..., self.drivers :, :]
        apart, away, flock = self._distances(places)
        radial, turned = _pairs(control).unsqueeze(-2).unbind(-1)
        seen = drivers - self.share * evaders.sum(-2, keepdim=True)
        across = torch.stack([-seen[..., 1], seen[..., 0]], -1)
        pulled = radial * seen + turned * across + (apart.weight[..., None] * apart.vector).sum(-2)
        fled = (away.weight[..., None] * away.vector).sum(-2) + (flock.weight[..., None] * flock.vector).sum(-2)
        forces = torch.cat([pulled - DRIVER_DRAG * speeds[..., : self.drivers, :], fled - EVADER_DRAG * speeds[..., self.drivers :, :]], -2)
        places, speeds = torch.add(places, speeds, alpha=self.dt), torch.add(speeds, forces, alpha=self.dt)
        return torch.cat([places.flatten(-2), speeds.flatten(-2)], -1)

    def _distances(self, places: Tensor) -> tuple[_Pairs, _Pairs, _Pairs]:
        """Find the forces between drivers, from drivers on evaders, and between evaders."""
        drivers, evaders = places[..., : self.drivers, :], places[..., self.drivers :, :]
        apart = _Pairs.between(drivers, drivers, DRIVERS_APART, 0.0)
        away = _Pairs.between(evaders, drivers, EVADERS_AWAY, 0.0)
        # The force (rest / d - 1) / d along the way to the other is (1 - rest / d) / d along the way from it.
        flock = _Pairs.between(evaders, evaders, -self.sign * FLOCK * REST, self.sign * FLOCK)
        return apart, away, flock

    def jacobian(self, states: Tensor, controls: Tensor) -> Tensor:
        m, count, dt = self.drivers, self.objects, self.dt
        places, _ = (_pairs(half) for half in states.chunk(2, -1))
        drivers, evaders = places[..., :m, :], places[..., m:, :]
        apart, away, flock = self._distances(places)
        radial, turned = _pairs(controls).unbind(-1)
        seen = drivers - self.share * evaders.sum(-2, keepdim=True)
        across = torch.stack([-seen[..., 1], seen[..., 0]], -1)
        one = torch.eye(2, dtype=states.dtype, device=states.device)
        turn = one.new_tensor([[0.0, -1.0], [1.0, 0.0]])
        steered = radial[..., None, None] * one + turned[..., None, None] * turn  # [..., m, 2, 2]: of a force by what is seen
        # Of the force on object a by the place of object b: [..., a, 2, b, 2].
        by_place = states.new_zeros(*states.shape[:-1], count, 2, count, 2)
        for rows, columns, pairs in (
            (slice(m), slice(m), apart),
            (slice(m, None), slice(m), away),
            (slice(m, None), slice(m, None), flock),
        ):
            slopes = pairs.slopes()  # [..., a, b, 2, 2]
            by_place[..., rows, :, columns, :] -= slopes.transpose(-3, -2)
            by_place[..., rows, :, rows, :] += torch.diag_embed(slopes.sum(-3).movedim(-3, -1)).movedim((-2, -1), (-4, -2))
        by_place[..., :m, :, :m, :] += torch.diag_embed(steered.movedim(-3, -1)).movedim((-2, -1), (-4, -2))
        by_place[..., :m, :, m:, :] -= self.share * steered.unsqueeze(-2)
        by_control = states.new_zeros(*states.shape[:-1], m, 2, m, 2)
        by_control[..., 0] = torch.diag_embed(seen.movedim(-2, -1)).movedim(-3, -2)
        by_control[..., 1] = torch.diag_embed(across.movedim(-2, -1)).movedim(-3, -2)
        # The next state by state and control, transposed: [..., D + C, D].
        half = 2 * count
        whole = torch.eye(half, dtype=states.dtype, device=states.device)
        drag = torch.diag(torch.tensor([DRIVER_DRAG] * (2 * m) + [EVADER_DRAG] * (half - 2 * m), dtype=states.dtype, device=states.device))
        found = states.new_zeros(*states.shape[:-1], self.size + self.controls, self.size)
        found[..., :half, :half] = whole
        found[..., half : 2 * half, :half] = dt * whole
        found[..., :half, half:] = dt * by_place.flatten(-2).flatten(-3, -2).mT
        found[..., half : 2 * half, half:] = whole - dt * drag
        found[..., 2 * half :, half : half + 2 * m] = dt * by_control.flatten(-2).flatten(-3, -2).mT
        return found

    def aim(self, sheet: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Give the place where the evaders should be."""
        return like.new_zeros(1, 1)

    def error(self, states: Tensor, aim: Tensor) -> Tensor:
        """Compute the mean square of the evaders' coordinates."""
        return (self._evaders(states) - aim).square().mean(-1)

    def error_gradient(self, states: Tensor, aim: Tensor) -> Tensor:
        found = torch.zeros_like(states)
        self._evaders(found).copy_(2 * (self._evaders(states) - aim) / (2 * self.evaders))
        return found

    def _evaders(self, states: Tensor) -> Tensor:
        return states[..., 2 * self.drivers : 2 * self.objects]


class _Pairs:
    """Forces `weight * vector` on some objects a from others b, along the `vector` `[..., a, b, 2]` from b to a.

    The weight is `by_square / d^2 + by_one / d`, with the softened distance d; that of an object on itself is 0.
    """

    def __init__(self, vector: Tensor, by_square: float, by_one: float):
        self.vector, self.by_square, self.by_one = vector, by_square, by_one
        square = vector.square().sum(-1)
        self.known = square > 0
        # The root has no derivative at 0, where an object meets itself.
        self.length = torch.where(self.known, square, 1).sqrt()
        self.distance = self.length + SOFT
        inverse = 1 / self.distance
        self.weight = torch.where(self.known, inverse * (by_square * inverse + by_one), 0)

    @classmethod
    def between(cls, objects: Tensor, others: Tensor, by_square: float, by_one: float) -> _Pairs:
        """Find the forces between objects `[..., a, 2]` and others `[..., b, 2]`."""
        return cls(objects.unsqueeze(-2) - others.unsqueeze(-3), by_square, by_one)

    def slopes(self) -> Tensor:
        """Give the derivative of each force by its vector: `[..., a, b, 2, 2]`."""
        inverse = 1 / self.distance
        change = -(2 * self.by_square * inverse + self.by_one) * inverse.square() / self.length
        outer = self.vector.unsqueeze(-1) * self.vector.unsqueeze(-2)
        one = torch.eye(2, dtype=outer.dtype, device=outer.device)
        return self.weight[..., None, None] * one + torch.where(self.known, change, 0)[..., None, None] * outer


def _pairs(values: Tensor) -> Tensor:
    """Take numbers `[..., 2 N]` as pairs `[..., N, 2]`."""
    return values.reshape(*values.shape[:-1], -1, 2)


def _polar(drawn: Array, radii: tuple[float, float]) -> Array:
    """Turn two uniform numbers `[..., 2]` into a place: the angle, and the radius between two others."""
    angle, radius = 2 * math.pi * drawn[..., 0], radii[0] + (radii[1] - radii[0]) * drawn[..., 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
