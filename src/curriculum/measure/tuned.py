"""Choose the best factor of each arm by what it reached on the seeds of a search."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curriculum.errors import InputError, unknown
from curriculum.measure.effects import SCALED
from curriculum.measure.measures import Looked, metrics_by_id
from curriculum.measure.measuring import measure_alone
from curriculum.measure.metric import Metric, label
from curriculum.measure.plain import plain_values
from curriculum.store.reader import Run


@dataclass(frozen=True)
class Search:
    """What each arm reached with each factor: `values[arm][factor][seed]`, the worst there is for a seed that diverged.

    `medians` are over seeds; `best` has the place of each arm's best factor in `grid`.
    """

    id: str
    title: str
    unit: str
    better: str
    logarithmic: bool
    column: str
    grid: tuple[float, ...]
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    values: tuple[tuple[tuple[float, ...], ...], ...]
    medians: tuple[tuple[float, ...], ...]
    best: tuple[int, ...]

    @property
    def label(self) -> str:
        return label(self.id, self.title)

    @property
    def factors(self) -> tuple[float, ...]:
        """The best factor of each arm."""
        return tuple(self.grid[place] for place in self.best)

    def to_json(self) -> dict[str, Any]:
        """Turn it into plain values, as a comparison is."""
        found: dict[str, Any] = plain_values(asdict(self))
        return found

    def notes(self) -> list[str]:
        """Say which arms may be better beyond the grid: their best factor is its first or last."""
        ends = {0: "smallest", len(self.grid) - 1: "largest"}
        return [
            f"{arm} is best at the {ends[place]} factor, {self.grid[place]:g}: it may be better beyond; widen --grid"
            for arm, place in zip(self.arms, self.best, strict=True)
            if place in ends
        ]


def search(
    arms: Sequence[str],
    column: str,
    grid: Sequence[float],
    runs: Sequence[Run],
    measure: str | None = None,
    watch: Callable[[int], None] = lambda done: None,
) -> Search:
    """Find the best factor of each arm by a measure: the one that is asked for, else the first score, else the first final error.

    `runs` are those of each arm in turn, in the order of `grid`. Of factors that are equally good, the one nearest to 1 is taken.
    Raises `InputError` for a measure that there is not, or that has no value in any seed of an arm.
    """
    metric = metric_to_choose_by(runs[0], measure)
    sign = 1 if metric.better == "lower" else -1
    found = []
    for done, run in enumerate(runs, start=1):
        found += measure_alone(run, [metric])
        watch(done)
    values = tuple(tuple(found[place * len(grid) : (place + 1) * len(grid)]) for place in range(len(arms)))
    medians = tuple(tuple(float(np.median(own)) for own in arm) for arm in values)
    best = []
    for name, arm in zip(arms, medians, strict=True):
        order = [(math.inf if math.isnan(value) else sign * value, abs(math.log(factor))) for value, factor in zip(arm, grid, strict=True)]
        best.append(order.index(min(order)))
        if not math.isfinite(min(order)[0]):
            raise InputError(f"{name}: {label(metric.id, metric.title)} has no value with any factor: most seeds diverged; widen --grid")
    return Search(
        id=metric.id,
        title=metric.title,
        unit=metric.unit,
        better=metric.better,
        logarithmic=metric.effect in SCALED,
        column=column,
        grid=tuple(grid),
        arms=tuple(arms),
        seeds=runs[0].seeds,
        values=values,
        medians=medians,
        best=tuple(best),
    )


def metric_to_choose_by(run: Looked, measure: str | None = None) -> Metric:
    """Find the measure that is asked for in a run, or in the plan of one: else the first score, else the first final error.

    Raises `InputError` for a measure that there is not.
    """
    known = {id_: metric for id_, metric in metrics_by_id(run).items() if metric.limit is None}
    if measure is None:
        return next(iter(known.values()))
    if measure not in known:
        raise InputError(unknown("measure", measure, list(known)))
    return known[measure]
