"""The largest combined gradient, whatever the update is."""

from __future__ import annotations

from functools import partial

from curriculum.measure.metric import Metric
from curriculum.tasks.control.curves import COMBINED, largest

METRIC = Metric("X8", "largest combined gradient", "", partial(largest, rule=COMBINED), exploratory=True, order=61)
