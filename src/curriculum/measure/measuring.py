"""Measure runs: the value of each measure, by run and seed, over each window."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curriculum import plugins
from curriculum.measure import stats, verdicts
from curriculum.measure.metric import Metric
from curriculum.measure.windows import Mask, per_thousand
from curriculum.store.reader import Run

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """One measure over one window: `values` by run, one for each of its seeds, the worst there is for one that diverged."""

    id: str
    title: str
    unit: str
    effect: str
    better: str
    window: str
    values: dict[str, tuple[float, ...]]

    def median(self, run: str) -> float:
        """Give the median over the seeds of a run; NaN where no seed has a number."""
        numbers = [value for value in self.values[run] if not math.isnan(value)]
        return float(np.median(numbers)) if numbers else float("nan")


@dataclass(frozen=True)
class Tail:
    """What an average hides, of one measure in one run: the worst seed, and the mean of the worst tenth."""

    id: str
    run: str
    worst: float
    worst_tenth: float


@dataclass(frozen=True)
class Gate:
    """How many of a run's seeds are on the good side of a limit, and the worst value; NaN where none has one."""

    id: str
    title: str
    unit: str
    better: str
    limit: float
    run: str
    passed: int
    of: int
    worst: float


def metrics_of(run: Run) -> list[Metric]:
    """Find the measures by which a run's task is compared, in their order."""
    found: list[Metric] = [plugins.find("measure", name).METRIC for name in run.look.measures]
    return sorted(found, key=lambda metric: metric.order)


def as_rate(figure: Figure, parts: Mapping[str, Mask]) -> Figure:
    """Give counts per 1,000 steps of their window, as a window of its own: it is shown, not judged."""
    values = {name: tuple(per_thousand(value, parts[figure.window]) for value in own) for name, own in figure.values.items()}
    return replace(figure, unit=f"{figure.unit} per 1,000 steps", window=f"{figure.window}, per 1,000 steps", values=values)


def gates_of(figure: Figure, limit: float | None) -> Iterator[Gate]:
    """Count the seeds of each run that pass a gate; what is missing or diverged does not."""
    assert limit is not None
    sign = 1 if figure.better == "lower" else -1
    for name, own in figure.values.items():
        passed = sum(sign * value <= sign * limit for value in own)
        worst = sign * max((sign * value for value in own if not math.isnan(value)), default=math.nan)
        yield Gate(figure.id, figure.title, figure.unit, figure.better, limit, name, passed, len(own), worst)


def tail_of(figure: Figure, name: str) -> Tail:
    """Give the worst seeds of a run by a measure."""
    sign = 1 if figure.better == "lower" else -1
    worst, tenth = stats.tail(sign * np.array(figure.values[name]))
    return Tail(figure.id, name, sign * worst, sign * tenth)


def windows_of(metric: Metric, parts: dict[str, Any]) -> list[str]:
    """List the windows over which a measure is reported."""
    return [window for window in parts if window == metric.window or metric.windowed]


def add(table: dict[Any, dict[str, tuple[float, ...]]], key: Any, run: Run, value: float) -> None:
    """Add the value of a run's next seed to a row of a table."""
    row = table.setdefault(key, {})
    row[run.name] = (*row.get(run.name, ()), value)


def or_worst(run: Run, index: int, value: float, metric: Metric | None = None) -> float:
    """Replace the value of a seed that diverged: it is never dropped, it ranks worst."""
    if not _diverged(run, index):
        return value
    lower = metric is None or metric.better == "lower"
    if metric is not None and metric.effect == "share":
        return 1.0 if lower else 0.0
    return math.inf if lower else 0.0 if metric is not None and metric.effect in verdicts.SCALED else -math.inf


def _diverged(run: Run, index: int) -> bool:
    return run.seeds[index] in run.diverged
