"""The largest modified gradient, whatever the update is."""

from __future__ import annotations

from functools import partial

from curriculum.measure.metric import Metric
from curriculum.tasks.control.curves import MODIFIED, largest

METRIC = Metric("X7", "largest modified gradient", "", partial(largest, rule=MODIFIED), exploratory=True, order=60)
