"""How well the latents of colors form the circle of their hues: in the plane of z0 and z1, on the unit circle, in order.

All functions take latents `[N, L]` with L >= 2. Those on hues take the vivid hues in order, hue k at 2 pi k / N, and look at
their angles phi = atan2(z1, z0) about the origin. The textbook circular correlation is not used: it takes angles from their
mean, which even hues do not have, so that it scores a perfect circle by how it happens to be turned.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.trace import Array, Trace

HUES, PRIMARIES, ANCHORS = "latents.hues", "latents.prim", "reference.anchor"  # what a run exhibits at its end


def exhibited(trace: Trace, window: NDArray[np.bool_], *names: str) -> list[Array] | None:
    """Give latents that a run exhibits at its end, each `[N, L]`, as numbers of double precision.

    None where the run has none, where they are not finite, or where nothing is measured at all.
    """
    found = [trace.exhibits[name].astype(np.float64) for name in names if name in trace.exhibits]
    usable = window.any() and len(found) == len(names) and all(np.isfinite(latents).all() for latents in found)
    return found if usable else None


def angles(latents: Array) -> Array:
    """Compute the angle phi = atan2(z1, z0) of each latent, in radians: `[N, L]` to `[N]`."""
    return np.asarray(np.arctan2(latents[:, 1], latents[:, 0]))


def unit_norm_deviation(latents: Array) -> float:
    """Compute sqrt(mean (|z| - 1)^2): how far the latents are from the unit sphere, in latent units."""
    return float(np.sqrt(np.mean((np.linalg.norm(latents, axis=1) - 1) ** 2)))


def out_of_plane(latents: Array) -> float:
    """Compute sqrt(mean of the sum of z_d^2 over d >= 2): how far the latents are from the plane of z0 and z1."""
    return float(np.sqrt((latents[:, 2:] ** 2).sum(axis=1).mean()))


def hue_coherence(latents: Array) -> float:
    """Compute R = max over s = +-1 of |mean exp i(phi - s h)|: 1 where angle and hue differ by one rotation or reflection.

    It is the mean resultant length of phi - s h (Mardia & Jupp 2000, 2.3).
    """
    phi, hues = angles(latents), 2 * np.pi * np.arange(len(latents)) / len(latents)
    return float(max(abs(np.exp(1j * (phi - sense * hues)).mean()) for sense in (1, -1)))


def winding_number(latents: Array) -> int:
    """Count how often the closed path through the hues turns about the origin; negative where it turns clockwise.

    It is the sum of the steps from hue to hue, each taken the short way round, over 2 pi.
    """
    return int(np.rint(_turns(latents).sum() / (2 * np.pi)))


def hues_out_of_order(latents: Array) -> int:
    """Count the steps from hue to hue that do not go onward, in the sense of rotation in which fewer do so.

    0 says that the angles are in cyclic order; how often they go round, the winding number says.
    """
    turns = _turns(latents)
    return int(min((turns <= 0).sum(), (turns >= 0).sum()))


def anchor_drift(latents: Array, anchors: Array) -> float:
    """Compute sqrt(mean |z - a|^2): how far latents are from where they were anchored, `[N, L]` both."""
    return float(np.sqrt(((latents - anchors) ** 2).sum(axis=1).mean()))


def _turns(latents: Array) -> Array:
    """Compute the step of the angle from each hue to the next, and from the last to the first, in [-pi, pi): `[N]`."""
    phi = angles(latents)
    return np.asarray((np.roll(phi, -1) - phi + np.pi) % (2 * np.pi) - np.pi)
