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
    _, firsts, counts = np.unique(block[both], return_index=True, return_counts=True)
    values, spreads = change[both], np.full(len(counts), np.nan)
    # Blocks with as many differences are the rows of one array.
    for count in np.unique(counts[counts >= fewest]):
        alike = counts == count
        low, high = np.percentile(values[firsts[alike, None] + np.arange(count)], [25, 75], axis=1)
        spreads[alike] = high - low
    enough = counts >= fewest
    return float(spreads[enough].mean()) if enough.any() else float("nan")


METRIC = Metric(
    "H2",
    f"loss fluctuation (blocks of {BLOCK} steps)",
    "dex",
    fluctuation,
    windowed=True,
    needs=f"enough recorded steps in one block of {BLOCK}",
    order=3,
)
