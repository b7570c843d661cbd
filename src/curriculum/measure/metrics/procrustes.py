"""How much the shape of the latents changes from one look to the next, whatever its place, size and turn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.drift import ROWS
from curriculum.measure.metric import Metric
from curriculum.measure.trace import Array, Trace
from curriculum.measure.windows import inside


def disparities(earlier: Array, later: Array) -> Array:
    """Compute the Procrustes disparity of pairs of shapes, `[K, N, L]` both: `[K]`, from 0 (similar) to 1.

    It is the sum of squares that is left between two shapes of unit size after the best translation, scale, rotation and
    reflection: 1 - (sum of the singular values of X'Y)^2 (Gower 1975), as `scipy.spatial.procrustes` gives. Two shapes without
    size are similar.
    """
    return _disparities(_of_unit_size(earlier), _of_unit_size(later))


def _disparities(x: Array, y: Array) -> Array:
    """Compute the disparities of shapes without place and size."""
    fit = np.linalg.svd(x.mT @ y, compute_uv=False).sum(axis=-1)
    points = ~x.any(axis=(1, 2)) & ~y.any(axis=(1, 2))
    return np.where(points, 0.0, np.maximum(1 - fit**2, 0.0))


def procrustes_step(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the mean disparity of neighbouring latents of which both are in the window."""
    marked = inside(trace.motion_steps, window)
    both = marked[:-1] & marked[1:]
    if not both.any() or not np.isfinite(trace.latents[marked]).all():
        return float("nan")
    # Each shape is the later one of a pair and the earlier one of the next: its size is taken once.
    shapes = _of_unit_size(trace.latents)
    return float(_disparities(shapes[:-1][both], shapes[1:][both]).mean())


def _of_unit_size(shapes: Array) -> Array:
    found = np.empty(shapes.shape)
    for first in range(0, len(shapes), ROWS):
        own = shapes[first : first + ROWS]
        apart = own - own.mean(axis=1, keepdims=True)
        size = np.sqrt((apart**2).sum(axis=(1, 2), keepdims=True))
        found[first : first + ROWS] = apart / np.where(size > 0, size, 1.0)
    return found


METRIC = Metric(
    "E8",
    "Procrustes step of the latents",
    "",
    procrustes_step,
    windowed=False,
    exploratory=True,
    needs="consecutive recorded latents in the window",
    latents=True,
    order=13,
)
