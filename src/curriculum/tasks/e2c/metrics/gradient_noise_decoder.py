"""The same as `gradient_noise`, of the decoder alone."""

from __future__ import annotations

from functools import partial

from curriculum.measure.metric import Metric
from curriculum.tasks.e2c.metrics.gradient_noise import noise_ratio

_compute = partial(noise_ratio, modules=("decoder",))
METRIC = Metric(
    "X14",
    "decoder gradient noise, re-sampled over re-parameterized",
    "",
    _compute,
    windowed=False,
    better="higher",
    exploratory=True,
    order=38,
)
