"""S1, how much the step from one latent state to the next varies with the noise, as the model is trained."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.e2c.maps import curve_at_end, edge_lengths


def step_variance(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the variance of |z' - z| in squared pixels, for the variant that the sheet sets at that step.

    Between the two variants it is linear in rho, as the covariance of z' - z is.
    """
    found = curve_at_end(trace, "step.variance", window)
    if found is None:
        return float("nan")
    (shared, fresh), latents = found
    rho = float(trace.properties["rho"][np.flatnonzero(window)[-1]]) if "rho" in trace.properties else 1.0
    return float((rho * shared + (1 - rho) * fresh) / edge_lengths(latents, trace.fixed["map.edges"]).mean() ** 2)


METRIC = Metric("S1", "variance of the step |z' - z|", "px^2", step_variance, windowed=False, order=23)
