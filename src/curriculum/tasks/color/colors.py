"""The colors of the color task: which there are, how the sheet weighs them, and how they are sampled."""

from __future__ import annotations

import colorsys
import warnings
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

HUES, SATURATIONS, VALUES = 36, 10, 10  # of the full data, a grid in HSV
BATCH = 32
GUIDE = 2**14  # entries of the table that speeds up sampling
GUIDED = 20_000  # values from which on the table is worth its making


def hsv_grid() -> Array:
    """List the colors of the full data: `[3600, 3]`, in HSV."""
    return np.array(list(product(np.arange(HUES) / HUES, np.linspace(0, 1, SATURATIONS), np.linspace(0, 1, VALUES))))


def vivid(count: int) -> Array:
    """List even hues at full saturation and value: `[count, 3]`, in HSV."""
    return np.array([(k / count, 1.0, 1.0) for k in range(count)])


def rgb(hsv: Array) -> Tensor:
    """Convert colors `[N, 3]` from HSV to RGB, all in 0 to 1."""
    return torch.tensor([colorsys.hsv_to_rgb(*color) for color in hsv.tolist()], dtype=torch.float32)


def cube(side: int) -> Tensor:
    """List the RGB colors of an even grid over the color cube: `[side^3, 3]`."""
    axis = np.linspace(0, 1, side)
    return torch.tensor(list(product(axis, axis, axis)), dtype=torch.float32)


def bias(saturation: Array, value: Array) -> Array:
    """Weigh colors against how often HSV repeats them: black and white come once for each hue."""
    return (1 - value) / (HUES * SATURATIONS) + (1 - saturation) * value / HUES + saturation * value


def primary_focus(hue: Array) -> Array:
    """Weigh hues by nearness to a primary or secondary, from 1 on it to 0 halfway between two."""
    degrees = hue * 360
    distance = np.abs(degrees - 60 * np.round(degrees / 60))
    return (np.cos(np.pi * distance / 30) + 1) / 2


def scaled(weights: Array, factor: Array) -> Array:
    """Stretch weights `[N]` of 0 to 1 by each factor `[D, 1]`: `[D, N]`.

    The factor 0 keeps only the very top ones, 0.5 keeps them as they are, 1 makes all 1.
    """
    lowest_in = np.interp(factor, [0, 0.5], [0.99, 0])
    lowest_out = np.interp(factor, [0.5, 1], [0, 1])
    # Half of this does nothing for factors on one side of 0.5: as they move, this takes most of the time to draw batches.
    levels = np.clip((weights - lowest_in) / (1 - lowest_in), 0, 1) if lowest_in.any() else weights
    return lowest_out + (1 - lowest_out) * levels if lowest_out.any() else np.broadcast_to(levels, (len(factor), len(weights)))


def sampling_weights(weights: Array) -> Array:
    """Give the weights `[D, N]` to sample by: the positive ones, or in a row where there are none, with a warning, equal ones."""
    positive = np.maximum(weights, 0)
    empty = ~positive.any(axis=-1)
    if empty.any():
        warnings.warn("no color has a positive weight at this step: all are sampled uniformly", stacklevel=2)
        positive[empty] = 1
    return positive


def uniforms_of(seed: int, batches_before: int, count: int) -> Array:
    """Read the uniforms of some batches of a seed's stream: `[C, B]`."""
    generator = np.random.PCG64(seed)
    generator.advance(batches_before * BATCH)
    return np.random.Generator(generator).random((count, BATCH))


def insertions(edges: Array, values: Array) -> NDArray[np.int64]:
    """Find where values in [0, 1) go into sorted edges that end at 1: `np.searchsorted(side="right")`, faster for many values.

    A table says for each 16384th where the search begins, and nearly always it ends there.
    """
    if values.size < GUIDED:
        return np.searchsorted(edges, values, side="right")
    table = np.searchsorted(edges, np.arange(GUIDE) / GUIDE, side="right")
    found = table[(values * GUIDE).astype(np.int64)]
    flat, wanted = found.reshape(-1), values.reshape(-1)
    short = np.flatnonzero(edges[flat] <= wanted)
    while short.size:
        flat[short] += 1
        short = short[edges[flat[short]] <= wanted[short]]
    return found
