"""What figures of many seeds show: bands of the error and of scores, draw-up profiles, and the speed of the latents' drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.drift import speed_throughout
from curriculum.measure.metrics.draw_up import draw_up
from curriculum.measure.trace import common_strides, error_curves, scores_of, trace
from curriculum.measure.windows import inside, windows
from curriculum.store.reader import Run

Array = NDArray[np.float64]
BAND = (10, 50, 90)  # percentiles over seeds
PROFILE = (25, 50, 100, 150, 200, 300, 400, 500)  # steps to look back


@dataclass(frozen=True)
class Curves:
    """The curves of one run, over the seeds that did not diverge.

    `error` `[3, F]` is the error (10%, median and 90% over seeds) at `steps` `[F]`; `rise` `[3, W]` the largest rise
    within `lags` `[W]` steps, in dex; `speed` `[3, G]` that of the drift per step at `motion_steps` `[G]`, empty without
    latents. `scores` has the steps `[F]` and values `[3, F]` of each score, by its title and unit.
    """

    steps: NDArray[np.int64]
    error: Array
    lags: NDArray[np.int64]
    rise: Array
    motion_steps: NDArray[np.int64]
    speed: Array
    scores: dict[str, tuple[NDArray[np.int64], Array]]


def curves(runs: Sequence[Run]) -> list[Curves]:
    """Compute the curves of runs that are compared with each other, in their order."""
    whole = windows([run.schedule for run in runs])["whole"]
    strides = common_strides(runs)
    return [_curves_of(run, whole, strides) for run in runs]


def percentiles(values: Array) -> Array:
    """Compute the percentiles over seeds of values `[F, S]`: `[3, F]`, of the seeds that have one; NaN where none has."""
    whole = ~np.isnan(values).all(axis=1)
    found = np.full((len(BAND), len(values)), np.nan)
    if whole.any():
        found[:, whole] = np.nanpercentile(values[whole], BAND, axis=1)
    return found


def _curves_of(run: Run, whole: NDArray[np.bool_], strides: tuple[int, int]) -> Curves:
    kept = [index for index, seed in enumerate(run.seeds) if seed not in run.diverged] or list(range(len(run.seeds)))
    steps, dex = error_curves(run)
    rises, speeds, at = [], [], np.arange(0)
    for index in kept:
        own = trace(run, index, strides)
        counted = inside(own.steps, whole)
        rises.append([draw_up(own.y, max(1, lag // own.stride))[counted].max() if counted.any() else np.nan for lag in PROFILE])
        if (moved := speed_throughout(own)) is not None:
            at = moved[0]
            speeds.append(moved[1])
    return Curves(
        steps=steps,
        error=10 ** np.percentile(dex[:, kept], BAND, axis=1),
        lags=np.asarray(PROFILE),
        rise=np.percentile(rises, BAND, axis=0),
        motion_steps=at,
        speed=np.percentile(speeds, BAND, axis=0) if speeds else np.empty((len(BAND), 0)),
        scores={
            f"{own.title}{f' ({own.shown.unit})' if own.shown.unit else ''}": (
                own.steps,
                percentiles(own.values[:, kept]),
            )
            for own in scores_of(run)
            if len(own.steps)
        },
    )
