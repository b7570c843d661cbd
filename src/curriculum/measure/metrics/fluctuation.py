"""H2, how much the probe error fluctuates from step to step: dispersion across time (Chan et al. 2020)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import inside

BLOCK = 200  # steps
FEWEST = 20  # differences in a block, below which its quartiles say nothing


def fluctuation(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the mean over blocks of the interquartile range of y(t+1) - y(t), in dex."""
    marked = inside(trace.steps, window)
    both = marked[:-1] & marked[1:]
    if not both.any():
        return float("nan")
    change = np.diff(trace.y)
    first = trace.steps[:-1]
    block = (first - first[both][0]) // BLOCK
    fewest = min(FEWEST, max(4, BLOCK // trace.stride // 2))
    spreads = []
    for number in np.unique(block[both]):
        values = change[both & (block == number)]
        if len(values) >= fewest:
            low, high = np.percentile(values, [25, 75])
            spreads.append(high - low)
    return float(np.mean(spreads)) if spreads else float("nan")


METRIC = Metric(
    "H2",
    f"loss fluctuation (blocks of {BLOCK} steps)",
    "dex",
    fluctuation,
    windowed=True,
    needs=f"enough recorded steps in one block of {BLOCK}",
    order=3,
)
