"""The same as `gradient_noise`, of the encoder alone."""

from __future__ import annotations

from functools import partial

from curriculum.measure.metric import Metric
from curriculum.tasks.e2c.metrics.gradient_noise import noise_ratio

_compute = partial(noise_ratio, modules=("encoder",))
METRIC = Metric(
    "X12",
    "encoder gradient noise, re-sampled over re-parameterized",
    "",
    _compute,
    windowed=False,
    better="higher",
    exploratory=True,
    order=36,
)
