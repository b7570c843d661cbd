"""A cart with one to four poles side by side, to be swung up by a force on the cart.

Source: Schnell & Thuerey 2024. The poles do not touch each other, but each moves the cart, and the cart each pole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from curriculum.config.settings import Settings
from curriculum.tasks.control.systems import Array
from curriculum.tasks.control.systems.jacobian import Small

SPREAD = "angle-spread"
MOST_POLES = 4


class CartPoleSettings(Settings):
    """What can be set of the cart-pole."""

    poles: int = Field(1, ge=1, le=MOST_POLES, description="number of poles on the cart")
    steps: int = Field(25, ge=2, le=1000, description="number of steps that are unrolled at most")
    dt: float = Field(0.04, gt=0, le=1, description="duration of a step in seconds")
    gravity: float = Field(9.8, ge=0, description="acceleration of gravity in m/s^2")
    pole_mass: float = Field(0.1, gt=0, description="mass of each pole in kg")
    total_mass: float = Field(1.1, gt=0, description="mass that a force on the cart accelerates, in kg, whatever the number of poles")
    half_length: float = Field(0.5, gt=0, description="half the length of a pole in m")


class CartPole(Small):
    """The state is (x, angles, velocity of x, angular velocities); an angle of 0 is upright. The control is a force in newtons."""

    unit = "1 - cos of the final angle"
    controls = 1

    def __init__(self, settings: CartPoleSettings):
        self.settings = settings
        self.poles, self.steps, self.dt = settings.poles, settings.steps, settings.dt
        self.size = 2 * (1 + self.poles)
        self.columns = {SPREAD: (0, math.pi, math.pi / 6), **{f"pole-{k + 1}": (0, math.inf, 1) for k in range(self.poles)}}
        self.moment = settings.pole_mass * settings.half_length
        # Kept, since compiled code would make each of their numbers anew wherever it adds them.
        self.places_alone = torch.eye(self.size + 1, 1 + self.poles)
        self.speeds_alone = self.places_alone.roll(1 + self.poles, 0)

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        return rng.uniform(-1, 1, (count, self.size))

    def start(self, drawn: Array, columns: Mapping[str, Array]) -> Array:
        """Velocities and the place of the cart are uniform in -1 to 1, angles about pi by `angle-spread`."""
        place, angles, speeds = np.split(drawn, [1, 1 + self.poles], axis=-1)
        return np.concatenate([place, math.pi + columns[SPREAD] * angles, speeds], axis=-1)

    def step(self, state: Tensor, control: Tensor) -> Tensor:
        places, speeds = state.chunk(2, -1)
        speeds = torch.add(speeds, self._accelerations(places, speeds, control), alpha=self.dt)
        return torch.cat([torch.add(places, speeds, alpha=self.dt), speeds], -1)

    def _accelerations(self, places: Tensor, speeds: Tensor, control: Tensor) -> Tensor:
        own, angles, turning = self.settings, places[..., 1:], speeds[..., 1:]
        sin, cos = angles.sin(), angles.cos()
        pull = sin * turning.square()
        force = torch.add(control, pull, alpha=self.moment) / own.total_mass
        turn = (own.gravity * sin - cos * force) / self._inertia(cos)
        cart = torch.add(control, (pull - turn * cos).sum(-1, keepdim=True), alpha=self.moment) / own.total_mass
        return torch.cat([cart, turn], -1)

    def _inertia(self, cos: Tensor) -> Tensor:
        own = self.settings
        return own.half_length * 4 / 3 - own.half_length * own.pole_mass / own.total_mass * cos.square()

    def jacobian(self, states: Tensor, controls: Tensor) -> Tensor:
        own, n = self.settings, self.poles
        places, speeds = states.chunk(2, -1)
        angles, turning = places[..., 1:], speeds[..., 1:]
        sin, cos, inertia = angles.sin(), angles.cos(), self._inertia(angles.cos())
        force = (controls + self.moment * sin * turning.square()) / own.total_mass
        turn = (own.gravity * sin - cos * force) / inertia
        share = self.moment / own.total_mass
        # How a pole's angular acceleration depends on its angle, its speed and the control, and then how the cart's does.
        slope = 2 * own.half_length * own.pole_mass / own.total_mass * sin * cos
        by_angle = (own.gravity * cos + sin * force - share * cos.square() * turning.square() - turn * slope) / inertia
        by_speed = -2 * share * cos * sin * turning / inertia
        by_force = -cos / (own.total_mass * inertia)
        cart_by_angle = share * (cos * turning.square() - by_angle * cos + turn * sin)
        cart_by_speed = share * (2 * sin * turning - by_speed * cos)
        cart_by_force = 1 / own.total_mass - share * (by_force * cos).sum(-1, keepdim=True)
        change = states.new_zeros(*states.shape[:-1], 2 * n + 3, n + 1)
        change[..., 1 : n + 1, 0], change[..., n + 2 : 2 * n + 2, 0], change[..., -1, 0] = (
            cart_by_angle,
            cart_by_speed,
            cart_by_force[..., 0],
        )
        change[..., 1 : n + 1, 1:].diagonal(dim1=-2, dim2=-1).copy_(by_angle)
        change[..., n + 2 : 2 * n + 2, 1:].diagonal(dim1=-2, dim2=-1).copy_(by_speed)
        change[..., -1, 1:] = by_force
        speeds_by = self.dt * change + self.speeds_alone.to(states)
        places_by = self.dt * speeds_by + self.places_alone.to(states)
        return torch.cat([places_by, speeds_by], -1)

    def aim(self, sheet: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Give the weight of each pole's error: `[..., 1, n]`."""
        weights = torch.stack([sheet[f"pole-{k + 1}"] for k in range(self.poles)], -1)
        return weights.unsqueeze(-2).to(like.dtype) / self.poles

    def error(self, states: Tensor, aim: Tensor) -> Tensor:
        """Compute 1 - cos of the angles, averaged over the poles."""
        return (aim * (1 - states[..., 1 : self.poles + 1].cos())).sum(-1)

    def error_gradient(self, states: Tensor, aim: Tensor) -> Tensor:
        found = torch.zeros_like(states)
        found[..., 1 : self.poles + 1] = aim * states[..., 1 : self.poles + 1].sin()
        return found
