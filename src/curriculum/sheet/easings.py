"""Easings and spaces: how a property moves from one key to the next, and on which scale.

An easing maps normalised time u in [0, 1] to progress in [0, 1]. `EASINGS` is the table of them; a
line added there is a timing that sheets can name. The velocity and acceleration of each are known
in closed form, so that a property can be retargeted on its way without a jump in its motion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

Array = NDArray[np.float64]
Curve = Callable[[Array], Array]


@dataclass(frozen=True)
class Easing:
    """Progress over normalised time, with its first and second derivative in u.

    Each is a function of u `[N]` to `[N]`. `monotone` promises that progress never falls and stays
    within [0, 1], which keeps a property between its keys.
    """

    progress: Curve
    velocity: Curve
    acceleration: Curve
    monotone: bool = True


def polynomial(*coefficients: float) -> Easing:
    """Build an easing from the coefficients of 1, u, u^2, ..."""
    curve = Polynomial(coefficients)
    return Easing(curve, curve.deriv(), curve.deriv(2))


def cubic_bezier(x1: float, y1: float, x2: float, y2: float) -> Easing:
    """Build the easing that CSS calls `cubic-bezier(x1, y1, x2, y2)`.

    The curve runs from (0, 0) to (1, 1) with the control points (x1, y1) and (x2, y2); time is its
    x and progress its y. Source: CSS Easing Functions Level 1.
    """
    x = Polynomial([0, 3 * x1, 3 * (x2 - 2 * x1), 1 + 3 * (x1 - x2)])
    y = Polynomial([0, 3 * y1, 3 * (y2 - 2 * y1), 1 + 3 * (y1 - y2)])
    dx, dy, ddx, ddy = x.deriv(), y.deriv(), x.deriv(2), y.deriv(2)
    # Where a control point sits on an end, dx is 0 there and so is dy: the limit of dy/dx is
    # approached from just inside.
    inside = 1e-9

    def velocity(u: Array) -> Array:
        s = np.clip(_solve_increasing(x, dx, u), inside, 1 - inside)
        return np.asarray(dy(s) / dx(s))

    def acceleration(u: Array) -> Array:
        s = _solve_increasing(x, dx, u)
        slope = dx(s)
        # Where time stands still the acceleration is infinite; no path can be taken over with that.
        steep = np.abs(slope) < 1e-6
        slope = np.where(steep, 1.0, slope)
        return np.where(steep, 0.0, (ddy(s) * slope - dy(s) * ddx(s)) / slope**3)

    monotone = 0 <= y1 <= 1 and 0 <= y2 <= 1
    bounds = (0.0, 1.0) if monotone else (-np.inf, np.inf)  # rounding must not leave the range
    return Easing(lambda u: np.clip(y(_solve_increasing(x, dx, u)), *bounds), velocity, acceleration, monotone)


def _solve_increasing(x: Polynomial, dx: Polynomial, u: Array) -> Array:
    """Solve x(s) = u for s in [0, 1] to full precision, x rising: Newton kept inside a bracket."""
    u = np.asarray(u, dtype=np.float64)
    grid = np.linspace(0, 1, 129)
    s, low, high = np.interp(u, x(grid), grid), np.zeros_like(u), np.ones_like(u)
    unsolved = np.arange(u.size)
    for _ in range(100):
        at, target = s[unsolved], u[unsolved]
        miss = x(at) - target
        low[unsolved] = np.where(miss < 0, at, low[unsolved])
        high[unsolved] = np.where(miss > 0, at, high[unsolved])
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = at - miss / dx(at)
        inside = (newton > low[unsolved]) & (newton < high[unsolved])
        moved = np.where(inside, newton, (low[unsolved] + high[unsolved]) / 2)
        s[unsolved] = np.where(miss == 0, at, moved)
        unsolved = unsolved[(miss != 0) & (np.abs(moved - at) > 4e-16)]
        if not unsolved.size:
            break
    return s


def _zero(u: Array) -> Array:
    return np.zeros_like(u)


EASINGS: dict[str, Easing] = {
    "minjerk": polynomial(0, 0, 0, 10, -15, 6),  # rest to rest; Flash & Hogan 1985
    "linear": polynomial(0, 1),
    "step-end": Easing(lambda u: np.where(u < 1, 0.0, 1.0), _zero, _zero),
    "step-start": Easing(lambda u: np.where(u > 0, 1.0, 0.0), _zero, _zero),
    "cosine": Easing(
        lambda u: (1 - np.cos(np.pi * u)) / 2,
        lambda u: np.pi * np.sin(np.pi * u) / 2,
        lambda u: np.pi**2 * np.cos(np.pi * u) / 2,
    ),
    "ease": cubic_bezier(0.25, 0.1, 0.25, 1),
    "ease-in": cubic_bezier(0.42, 0, 1, 1),
    "ease-out": cubic_bezier(0, 0, 0.58, 1),
    "ease-in-out": cubic_bezier(0.42, 0, 0.58, 1),
}
ALIASES = {"step": "step-end"}
DEFAULT_TIMING = "minjerk"


@dataclass(frozen=True)
class Space:
    """The scale on which a property moves evenly: `into` it and back `out`."""

    into: Curve
    out: Curve
    positive: bool = False


SPACES: dict[str, Space] = {
    "linear": Space(lambda v: v, lambda y: y),
    "log": Space(np.log, np.exp, positive=True),
}
DEFAULT_SPACE = "linear"


def minimum_jerk_quintic(y0: float, v0: float, a0: float, y1: float, duration: float) -> Polynomial:
    """Find the minimum-jerk path from a state of motion to rest at `y1`.

    `v0` and `a0` are the velocity and acceleration per step and per step^2; the result is a
    polynomial in normalised time u = steps / duration. Source: the quintic whose value, velocity
    and acceleration are given at both ends (c3, c4, c5 of its linear system, solved).
    """
    c1, c2, rise = v0 * duration, a0 * duration**2 / 2, y1 - y0
    c3 = 10 * rise - 6 * c1 - 3 * c2
    c4 = -15 * rise + 8 * c1 + 3 * c2
    c5 = 6 * rise - 3 * c1 - c2
    return Polynomial([y0, c1, c2, c3, c4, c5])
