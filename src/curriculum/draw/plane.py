"""The plane in which latents move in a video: its two axes, the same at every step, and its limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curriculum.draw.film import Look
from curriculum.draw.plots.finals import OUTGROWN
from curriculum.draw.plots.latents import MOST_PLAIN, Limits, limits, squared
from curriculum.measure.geometry import PrincipalAxes, principal_axes

HELD = 0.95  # of the frames, in which every point is within the limits
FITTED = 64  # steps, over a whole run, from which principal axes are found


@dataclass(frozen=True)
class Plane:
    """The two axes along which a run's latents are shown, with their titles: two dimensions, or of principal axes the first two."""

    titles: tuple[str, str]
    dims: tuple[int, int] = (0, 1)
    axes: PrincipalAxes | None = None

    def of(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give where latents `[..., L]` are on the plane: `[..., 2]`."""
        found = latents if self.axes is None else self.axes.project(latents)
        return found[..., list(self.dims)]


def plane_of(
    read: Callable[[Sequence[int]], NDArray[np.float32]], steps: NDArray[np.int64], look: Look, circles: Sequence[float] = ()
) -> Plane:
    """Choose the plane in which a run's latents are shown, the same at every step; `read` gives them `[F, N, L]` at some `steps`.

    It is that of the dimensions that are asked for, else of the first two. Of more than three, it is that of the first two principal
    axes over the whole run, unless circles say that the task has a plane of its own in mind.
    """
    size = read([int(steps[0])]).shape[-1]
    if look.dims is not None or size <= MOST_PLAIN or circles:
        x, y = look.dims or (0, 1)
        return Plane((f"z{x}", f"z{y}"), (x, y))
    sampled = steps[np.unique(np.linspace(0, len(steps) - 1, FITTED).astype(int))]
    found = principal_axes(read(sampled.tolist()))
    first, second = found.titles()
    return Plane((first, second), axes=found)


def boxes_over(latents: Sequence[NDArray[np.float32]], circles: Sequence[float]) -> list[Limits]:
    """Find square limits for each run's latents `[F, N, 2]`: the same for all, unless some have grown far beyond others.

    They hold every point of nearly all frames: the first transients must not shrink the rest.
    """
    reach = [np.stack([_most(z, -1), _most(z, 1)]) for z in latents]
    own = [limits([ends], circles) for ends in reach]
    spans = [max(high - low for low, high in box) for box in own]
    if max(spans) > OUTGROWN * min(spans):
        return [squared(box) for box in own]
    shared = squared(limits(reach, circles))
    return [shared] * len(latents)


def _most(latents: NDArray[np.float32], sign: int) -> NDArray[np.float64]:
    """Give how far `[2]` points reach along an axis, or against it, in all but a few of the frames."""
    reach = np.nan_to_num(sign * latents.astype(np.float64), nan=-np.inf, posinf=-np.inf, neginf=-np.inf).max(axis=1)
    return np.asarray(sign * np.quantile(reach, HELD, axis=0, method="higher"))
