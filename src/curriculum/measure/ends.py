"""What runs ended with, seed by seed: scores, final errors and gates, of a comparison or of a single run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from curriculum.measure.comparison import Comparison
from curriculum.measure.measures import LAST, final_metrics, metrics_of, score_metrics
from curriculum.measure.measuring import Gate, Measured, gate, measure_alone
from curriculum.measure.metric import Metric
from curriculum.store.reader import Run


@dataclass(frozen=True)
class Ended:
    """The values of a score or a final error for the seeds of the run at the place `run`: NaN where there is none.

    A seed that diverged has the worst value there is. Values are in `unit`, and the `better` side is `lower` or `higher`.
    """

    run: int
    title: str
    unit: str
    better: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median over the seeds that have a value; NaN where none has."""
        there = [value for value in self.values if not math.isnan(value)]
        return float(np.median(there)) if there else math.nan

    @property
    def best(self) -> tuple[int, float] | None:
        """The seed with the best value, and that value; None where no seed has one."""
        return self._extreme(min if self.better == "lower" else max)

    @property
    def worst(self) -> tuple[int, float] | None:
        """The seed with the worst value, and that value; None where no seed has one."""
        return self._extreme(max if self.better == "lower" else min)

    def _extreme(self, choose: Callable[..., tuple[int, float]]) -> tuple[int, float] | None:
        there = [(seed, value) for seed, value in zip(self.seeds, self.values, strict=True) if not math.isnan(value)]
        return choose(there, key=lambda own: own[1]) if there else None


@dataclass(frozen=True)
class Ends:
    """What runs ended with: their scores, their final errors, and how many of their seeds pass each gate."""

    scores: tuple[Ended, ...]
    errors: tuple[Ended, ...]
    gates: tuple[Gate, ...]


def ends(runs: Sequence[Run], found: Comparison | None) -> Ends:
    """Find what runs ended with: as the comparison measured it, or of a single run by the same measures.

    Raises `RunError` where a run is damaged, or has no curve yet.
    """
    if found is not None:
        scores = [row for row in (*found.measures, *found.exploratory) if row.window == LAST]
        return Ends(_ended(runs, scores), _ended(runs, found.final), found.gates)
    (run,) = runs
    metrics = [*score_metrics(run), *final_metrics(run), *(metric for metric in metrics_of(run) if metric.limit is not None)]
    values = measure_alone(run, metrics)
    rows = list(zip(metrics, values, strict=True))
    count = len(score_metrics(run))
    own = [_alone(run, metric, of_seeds) for metric, of_seeds in rows if metric.limit is None]
    gates = tuple(gate(metric, metric.limit, 0, of_seeds) for metric, of_seeds in rows if metric.limit is not None)
    return Ends(tuple(own[:count]), tuple(own[count:]), gates)


def _alone(run: Run, metric: Metric, values: tuple[float, ...]) -> Ended:
    return Ended(0, metric.title, metric.unit, metric.better, run.seeds, values)


def _ended(runs: Sequence[Run], rows: Sequence[Measured]) -> tuple[Ended, ...]:
    """Take each run's values of each measure once, in the order of measures and runs: a run may be in several pairs."""
    by_place: dict[tuple[str, int], Ended] = {}
    for row in rows:
        for place, values in zip((row.first, row.other), row.values, strict=True):
            own = Ended(place, row.title, row.unit, row.better, runs[place].seeds, values)
            by_place.setdefault((row.title, place), own)
    titles = list(dict.fromkeys(title for title, _ in by_place))
    return tuple(by_place[title, place] for title in titles for place in range(len(runs)) if (title, place) in by_place)
