"""How well a latent map shows the world: what is measured of the latents `[N, L]` of all its states."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.trace import Trace
from curriculum.measure.windows import inside

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

UNFOLDED_R2, UNFOLDED_FOLD = 0.95, 0.03
NEIGHBOURS = 12
MOST_RANKED = 700  # states whose neighbours are ranked: all pairs are


def map_at_end(trace: Trace, window: NDArray[np.bool_]) -> Array | None:
    """Read the latents `[N, L]` of the window's last map; None where there is none, or it has numbers that are not finite."""
    places = np.flatnonzero(inside(trace.motion_steps, window))
    return finite_map(trace.latents[places[-1]]) if places.size else None


def curve_at_end(trace: Trace, name: str, window: NDArray[np.bool_]) -> tuple[Array, Array] | None:
    """Read the window's last value of a curve, and the map of the same step; None where one of them is missing."""
    steps, values = trace.curves.get(name, (np.empty(0, dtype=np.int64), np.empty(0)))
    common = inside(steps, window) & np.isin(steps, trace.motion_steps)
    if not common.any():
        return None
    place = int(np.flatnonzero(common)[-1])
    latents = finite_map(trace.latents[np.searchsorted(trace.motion_steps, steps[place])])
    return None if latents is None else (np.asarray(values[place], dtype=np.float64), latents)


def finite_map(latents: Array) -> Array | None:
    """Give a map back, or None where a number of it is not finite: its seed diverged."""
    return latents if np.isfinite(latents).all() else None


def affine_r2(latents: Array, linear: Array) -> Array:
    """Compute R^2 of each coordinate `[T]` as an affine function of the latents: 1 for an affine copy of the world."""
    design = np.column_stack([latents, np.ones(len(latents))])
    weights, *_ = np.linalg.lstsq(design, linear, rcond=None)
    missed = ((linear - design @ weights) ** 2).sum(0)
    return np.asarray(1 - missed / ((linear - linear.mean(0)) ** 2).sum(0))


def cell_jacobians(latents: Array, cells: Whole) -> Array:
    """Compute the Jacobian of the map at each lattice cell by forward differences: `[C, 2, L]`."""
    corner, below, right = latents[cells.T]
    return np.stack([below - corner, right - corner], 1)


def fold(latents: Array, cells: Whole) -> float:
    """Compute the share of cells whose orientation is the rarer one; NaN where latents or cells are not flat."""
    if latents.shape[1] != 2 or not len(cells):
        return float("nan")
    positive = np.linalg.det(cell_jacobians(latents, cells)) > 0
    return float(min(positive.mean(), 1 - positive.mean()))


def condition(latents: Array, cells: Whole) -> float:
    """Compute the median ratio of the singular values of the cells' Jacobians: 1 is isotropic, above 5 a dimension is dead."""
    if latents.shape[1] < 2 or not len(cells):
        return float("nan")
    values = np.linalg.svd(cell_jacobians(latents, cells), compute_uv=False)
    return float(np.median(values[:, 0] / np.maximum(values[:, 1], np.finfo(float).tiny)))


def edge_lengths(latents: Array, edges: Whole) -> Array:
    """Measure each edge `[E]` in the latent space."""
    return np.asarray(np.linalg.norm(latents[edges[:, 0]] - latents[edges[:, 1]], axis=1))


def unfolded(latents: Array, linear: Array, cells: Whole, r2: float = UNFOLDED_R2, most_folded: float = UNFOLDED_FOLD) -> bool:
    """Tell whether a map is unfolded: its worse coordinate is affine in the latents, and hardly a cell is turned over."""
    flat = fold(latents, cells)
    return bool(affine_r2(latents, linear).min() > r2 and (np.isnan(flat) or flat < most_folded))


def trustworthiness(near: Array, latents: Array, neighbours: int = NEIGHBOURS) -> float:
    """Compute how far those that are neighbours in the map are neighbours in the world: 1 where all are.

    With the two swapped it is continuity. Source: Venna & Kaski 2001. Where there are many states, every second or
    third is taken, and so on.
    """
    every = -(-len(near) // MOST_RANKED)
    near, latents = near[::every], latents[::every]
    count = len(near)
    if count < 3 * neighbours:
        return float("nan")
    ranks = np.argsort(_order(near), 1)
    chosen = _order(latents)[:, 1 : neighbours + 1]
    beyond = np.take_along_axis(ranks, chosen, 1) - neighbours
    worst = count * neighbours * (2 * count - 3 * neighbours - 1) / 2
    return float(1 - beyond[beyond > 0].sum() / worst)


def _order(points: Array) -> Whole:
    """List for each point all points by their distance, itself first: `[N, N]`."""
    apart = ((points[:, None] - points[None]) ** 2).sum(-1)
    np.fill_diagonal(apart, -1)
    return np.asarray(np.argsort(apart, axis=1, kind="stable"))
