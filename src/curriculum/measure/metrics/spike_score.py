"""The spike score of OLMo 2: the share of errors that are far from those before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Array, Trace
from curriculum.measure.windows import inside

WINDOW = 1000  # steps
SIGMAS = 7
ROUNDING = 2 * float(np.finfo(np.float32).eps)  # of an error, as a share of it: curves are recorded in single precision


def moving_moments(values: Array, size: int) -> tuple[Array, Array]:
    """Compute the mean and the standard deviation of each `size` neighbours: `[F]` to twice `[F - size + 1]`.

    Windows of 1, 2, 4, ... values are merged until they make up the size (Chan, Golub & LeVeque 1979). Nothing large is
    subtracted, as differences of running sums would: equal values have exactly themselves as mean, and no deviation.
    """
    count, mean, squares = 0, np.empty(0), np.empty(0)  # of the windows that are built so far
    width, wide_mean, wide_squares = 1, values, np.zeros(len(values))  # of the next power of two
    while True:
        if size & width:
            mean, squares = _merged((count, mean, squares), (width, wide_mean, wide_squares)) if count else (wide_mean, wide_squares)
            count += width
        if count == size:
            return mean, np.sqrt(squares / size)
        wide_mean, wide_squares = _merged((width, wide_mean, wide_squares), (width, wide_mean, wide_squares))
        width *= 2


def _merged(first: tuple[int, Array, Array], second: tuple[int, Array, Array]) -> tuple[Array, Array]:
    """Merge each window of the first size with the one of the second size that begins where it ends."""
    (n, mean, squares), (m, next_mean, next_squares) = first, second
    length = min(len(mean), len(next_mean) - n)
    apart = next_mean[n : n + length] - mean[:length]
    return mean[:length] + apart * (m / (n + m)), squares[:length] + next_squares[n : n + length] + apart**2 * (n * m / (n + m))


def spike_score(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the share of errors more than 7 standard deviations from the mean of the last 1000 steps, in percent.

    One that differs from that mean by no more than rounding is not counted.
    """
    marked = inside(trace.steps, window)
    lag = max(2, WINDOW // trace.stride)
    if not marked.any() or len(trace.y) <= lag:
        return float("nan")
    error = 10**trace.y
    mean, spread = moving_moments(error[:-1], lag)
    far = np.abs(error[lag:] - mean) > np.maximum(SIGMAS * spread, ROUNDING * mean)
    counted = marked[lag:]
    return float(100 * far[counted].mean()) if counted.any() else float("nan")


METRIC = Metric(
    "E2",
    f"spike score (share beyond {SIGMAS} sigma)",
    "%",
    spike_score,
    windowed=False,
    effect="difference",
    exploratory=True,
    needs=f"a step in the window with {WINDOW:,} steps before it",
    order=7,
)
