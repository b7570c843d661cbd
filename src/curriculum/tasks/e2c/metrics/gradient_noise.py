"""How many times the re-sampled gradient is as noisy as the re-parameterized one, on the same weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace

MODULES = ("encoder", "transition", "decoder")


def noise_ratio(trace: Trace, window: NDArray[np.bool_], modules: tuple[str, ...] = MODULES) -> float:
    """Compute the ratio of the traces of the gradients' covariances, of some modules, on the model at the run's end."""
    if not window.any() or "gradient.noise" not in trace.exhibits:
        return float("nan")
    shared, fresh = trace.exhibits["gradient.noise"][:, [MODULES.index(name) for name in modules]].sum(1)
    return float(fresh / shared)


METRIC = Metric(
    "X11", "gradient noise, re-sampled over re-parameterized", "", noise_ratio, windowed=False, better="higher", exploratory=True, order=35
)
