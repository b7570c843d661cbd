"""Find how latents are to be looked at: turned to lie as what they stand for, or along their principal axes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


def orientation(latents: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
    """Find the rotation or reflection `[2, 2]` by which latents `[N, 2]` lie most like their targets `[N, 2]`.

    It is multiplied from the right. Source: the orthogonal Procrustes problem (Schoenemann 1966). Where the latents are
    not finite, nothing is turned.
    """
    from scipy.linalg import orthogonal_procrustes

    apart = latents - latents.mean(0)
    if not np.isfinite(apart).all():
        return np.eye(2)
    turn, _ = orthogonal_procrustes(apart.astype(np.float64), targets - targets.mean(0))
    return np.asarray(turn)


class PrincipalAxes(NamedTuple):
    """Where latents vary most: the `center` `[L]`, orthonormal `axes` `[K, L]`, the first along most of the variance.

    `share` `[K]` is how much of the variance lies along each.
    """

    center: NDArray[np.float64]
    axes: NDArray[np.float64]
    share: NDArray[np.float64]

    def project(self, latents: NDArray[Any]) -> NDArray[np.float32]:
        """Give the coordinates `[..., K]` of latents `[..., L]` along the axes, from the center."""
        return np.asarray((latents - self.center) @ self.axes.T, dtype=np.float32)

    def titles(self) -> list[str]:
        """Name the axes, as in `PC 1 (63% of variance)`."""
        return [f"PC {place} ({_percent(share)} of variance)" for place, share in enumerate(self.share, start=1)]


def principal_axes(latents: NDArray[Any], count: int = 2) -> PrincipalAxes:
    """Find the first `count` principal axes of the points of all frames together, so that they stay the same over a run.

    `latents` are `[F, N, L]`: frames, points, dimensions. Points that are not finite are left out. The sign of each axis, which is
    arbitrary, is such that its largest component is positive. There are no more axes than dimensions. Where nothing varies, the axes
    are the first dimensions, and their shares 0. Source: principal component analysis (Pearson 1901; Jolliffe 2002, chapter 1).
    """
    from scipy.linalg import eigh

    size = latents.shape[-1]
    count = min(count, size)
    points, total, scatter = 0, np.zeros(size), np.zeros((size, size))
    # Frame by frame: all of them in double precision at once could take gigabytes.
    for own in _finite(latents):
        points, total = points + len(own), total + own.sum(axis=0)
    center = total / max(points, 1)
    for own in _finite(latents):
        scatter += (own - center).T @ (own - center)
    whole = float(np.trace(scatter))
    if not whole:
        return PrincipalAxes(center, np.eye(count, size), np.zeros(count))
    variances, found = eigh(scatter, subset_by_index=(size - count, size - 1))
    axes = found.T[::-1]
    largest = axes[np.arange(count), np.abs(axes).argmax(axis=1)]
    return PrincipalAxes(center, axes * np.sign(largest)[:, None], np.clip(variances[::-1], 0, None) / whole)


def _finite(latents: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """Give the finite points of each frame in double precision."""
    for own in latents:
        yield own[np.isfinite(own).all(axis=-1)].astype(np.float64)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 or not share else f"{share:.1%}" if share >= 0.001 else "<0.1%"
