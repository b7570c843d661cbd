"""The spike score of OLMo 2: the share of errors that are far from those before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import inside

WINDOW = 1000  # steps
SIGMAS = 7


def spike_score(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the share of errors more than 7 standard deviations from the mean of the last 1000 steps, in percent."""
    marked = inside(trace.steps, window)
    lag = max(2, WINDOW // trace.stride)
    if not marked.any() or len(trace.y) <= lag:
        return float("nan")
    error = 10**trace.y
    sums = np.cumsum(np.concatenate([[0.0], error]))
    squares = np.cumsum(np.concatenate([[0.0], error**2]))
    # Of the point at i, the mean and spread are those of the `lag` points before it.
    mean = (sums[lag:-1] - sums[: -lag - 1]) / lag
    spread = np.sqrt(np.maximum((squares[lag:-1] - squares[: -lag - 1]) / lag - mean**2, 0))
    far = np.abs(error[lag:] - mean) > SIGMAS * spread
    counted = marked[lag:]
    return float(100 * far[counted].mean()) if counted.any() else float("nan")


METRIC = Metric(
    7, "E2", f"spike score (share beyond {SIGMAS} sigma)", "%", spike_score, windowed=False, effect="difference", exploratory=True
)
