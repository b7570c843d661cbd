"""How far the error strays from its trend."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import inside

BLOCK = 200  # steps, over which the trend is a straight line
FEWEST = 8  # errors in a block, below which what is left beside a line says little


def detrended_deviation(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the mean over blocks of 200 steps of the standard deviation about the block's least-squares line, in dex."""
    marked = inside(trace.steps, window)
    if not marked.any():
        return float("nan")
    steps, y = trace.steps[marked], trace.y[marked]
    block = (steps - steps[0]) // BLOCK
    spreads = []
    for number in np.unique(block):
        own = block == number
        if own.sum() >= FEWEST:
            t, values = steps[own] - steps[own].mean(), y[own] - y[own].mean()
            left = values - t * (t @ values) / (t @ t)
            # Two numbers of the line are estimated.
            spreads.append(np.sqrt((left @ left) / (len(left) - 2)))
    return float(np.mean(spreads)) if spreads else float("nan")


METRIC = Metric(
    "E7",
    f"detrended deviation (blocks of {BLOCK} steps)",
    "dex",
    detrended_deviation,
    windowed=False,
    exploratory=True,
    needs=f"{FEWEST} recorded steps in one block of {BLOCK}",
    order=12,
)
