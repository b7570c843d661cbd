"""The largest regular gradient, whatever the update is."""

from __future__ import annotations

from functools import partial

from curriculum.measure.metric import Metric
from curriculum.tasks.control.curves import REGULAR, largest

METRIC = Metric("X6", "largest regular gradient", "", partial(largest, rule=REGULAR), exploratory=True, order=59)
