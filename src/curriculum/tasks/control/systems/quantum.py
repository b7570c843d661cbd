"""A quantum particle in a box, moved from its lowest states to a higher one by a field.

Source: Schnell & Thuerey 2024. The Hamiltonian is H(c) = -d2/dx2 + c x on [0, 2], without a factor of one half; the step is that of
Crank & Nicolson (1947), which keeps the norm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from curriculum.config.settings import Settings
from curriculum.tasks.control.systems import RUNNING, Array, System

TARGET = "target"
LENGTH = 2.0  # of the box


class QuantumSettings(Settings):
    """What can be set of the particle in a box."""

    points: int = Field(32, ge=8, le=256, description="number of grid points inside the box")
    steps: int = Field(128, ge=2, le=1000, description="number of steps that are unrolled at most")
    dt: float = Field(0.0625, gt=0, le=1, description="duration of a step")
    target: int = Field(3, ge=1, description="number of the eigenstate to be reached, from 1 on, where a sheet has no column target")
    widths: tuple[int, int] = Field((60, 60), description="channels of the network's two convolutions")

    @field_validator("target")
    @classmethod
    def _exists(cls, target: int, info: ValidationInfo) -> int:
        if target > info.data.get("points", target):
            raise ValueError(f"a box with {info.data['points']} points has the eigenstates 1 to {info.data['points']}")
        return target


class Linear(NamedTuple):
    """What a step's derivative needs: the factors of its matrix, and where the state was in its middle."""

    factors: Tensor
    pivots: Tensor
    middle: Tensor


class Quantum(System):
    """The state is the real and then the imaginary part at each point. The control is the strength of the field."""

    own = RUNNING
    summed = True
    unit = "1 - probability of the target, summed over the steps"
    controls = 1

    def __init__(self, settings: QuantumSettings):
        self.settings = settings
        self.steps, self.dt, points = settings.steps, settings.dt, settings.points
        self.size = 2 * points
        self.columns = {TARGET: (1, points, settings.target)}
        self.integers = (TARGET,)
        width = LENGTH / (points + 1)
        self.places = torch.arange(1, points + 1, dtype=torch.float64) * width
        beside = torch.diag(torch.ones(points - 1, dtype=torch.float64), 1)
        self.energy = (2 * torch.eye(points, dtype=torch.float64) - beside - beside.T) / width**2
        grid = np.arange(1, points + 1)
        self.basis = np.sqrt(2 / (points + 1)) * np.sin(np.outer(grid, grid) * math.pi / (points + 1))  # eigenstates [N, points]

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        return np.concatenate([rng.standard_normal((count, 2)), rng.uniform(0, 2 * math.pi, (count, 2))], axis=-1)

    def start(self, drawn: Array, columns: Mapping[str, Array]) -> Array:
        """Superpose the two lowest eigenstates, with random amplitudes and phases."""
        amplitudes = drawn[..., :2] * np.exp(1j * drawn[..., 2:])
        amplitudes /= np.linalg.norm(amplitudes, axis=-1, keepdims=True)
        state = amplitudes @ self.basis[:2]
        return np.concatenate([state.real, state.imag], axis=-1)

    def _matrix(self, control: Tensor) -> Tensor:
        """Give I + i dt/2 H(c) for controls `[..., 1]`: complex `[..., points, points]`."""
        energy, places = (own.to(control.device, control.dtype) for own in (self.energy, self.places))
        real = torch.eye(len(places), dtype=control.dtype, device=control.device)
        imaginary = self.dt / 2 * (energy + torch.diag_embed(control * places))
        return torch.complex(real.expand_as(imaginary), imaginary)

    def _complex(self, state: Tensor) -> Tensor:
        return torch.complex(*state.chunk(2, -1))

    def step(self, state: Tensor, control: Tensor) -> Tensor:
        # (I - iaH) (I + iaH)^-1 = 2 (I + iaH)^-1 - I, so one solution is enough.
        before = self._complex(state)
        after = 2 * torch.linalg.solve(self._matrix(control), before) - before
        return torch.cat([after.real, after.imag], -1)

    def linearize(self, states: Tensor, controls: Tensor) -> Linear:
        factors, pivots, _ = torch.linalg.lu_factor_ex(self._matrix(controls))
        return Linear(factors, pivots, torch.linalg.lu_solve(factors, pivots, self._complex(states).unsqueeze(-1)).squeeze(-1))

    def pull(self, linear: Linear, step: int, gradient: Tensor) -> tuple[Tensor, Tensor]:
        own = self._complex(gradient)
        back = torch.linalg.lu_solve(linear.factors[step], linear.pivots[step], own.unsqueeze(-1), adjoint=True).squeeze(-1)
        by_state = 2 * back - own
        # Of the step by the control: -2 (I + iaH)^-1 (ia x) times the state in the middle.
        moved = self.places.to(gradient.device, gradient.dtype) * linear.middle[step]
        by_control = self.dt * (back.conj() * moved).imag.sum(-1, keepdim=True)
        return torch.cat([by_state.real, by_state.imag], -1), by_control

    def aim(self, sheet: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Give the eigenstate to be reached, of norm 1: `[..., 1, points]`."""
        basis = torch.from_numpy(self.basis).to(like.device, like.dtype)
        return basis[sheet[TARGET].round().long() - 1].unsqueeze(-2)

    def error(self, states: Tensor, aim: Tensor) -> Tensor:
        """Compute 1 - the probability of the target."""
        real, imaginary = states.chunk(2, -1)
        return 1 - (real * aim).sum(-1).square() - (imaginary * aim).sum(-1).square()

    def error_gradient(self, states: Tensor, aim: Tensor) -> Tensor:
        return torch.cat([-2 * (half * aim).sum(-1, keepdim=True) * aim for half in states.chunk(2, -1)], -1)
