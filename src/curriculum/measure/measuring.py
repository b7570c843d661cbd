"""Measure pairs of runs: the value of each measure for every seed of both, and the effect of the one run against the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from curriculum.measure import stats
from curriculum.measure.effects import COUNT, SCALED, effect
from curriculum.measure.measures import LAST, final_metrics, metrics_of, score_metrics
from curriculum.measure.metric import Metric
from curriculum.measure.pairing import Pairing
from curriculum.measure.trace import Trace, common_strides, trace, untrained
from curriculum.measure.windows import Mask, first_step, long_enough, per_thousand, windows
from curriculum.store.reader import Run

PER_THOUSAND = ", per 1,000 steps"
Values = tuple[tuple[float, ...], tuple[float, ...]]  # of the two runs, by seed


@dataclass(frozen=True)
class Measured:
    """One measure over one window, of the run at the place `first` among the runs and the one at the place `other`.

    `values` are those of the two runs, one for each of their seeds: NaN where there is none, the worst there is for a seed that
    diverged. `value` is the effect of the first against the other, from the seeds that form pairs, or from all where none do: a
    ratio or a difference, as `effect` says, NaN where one of these seeds has no value. `judged` says whether it is judged; else
    it is only shown. `needs` says what a seed without a value may lack; `counts` and
    `smallest` are those of the measure.
    """

    first: int
    other: int
    id: str
    title: str
    unit: str
    effect: str
    better: str
    window: str
    values: Values
    value: float
    judged: bool
    needs: str
    counts: bool = False
    smallest: float | None = None

    @property
    def kind(self) -> str:
        """How the effect is estimated: that of counts is a difference of its own."""
        return COUNT if self.counts and self.effect == "difference" else self.effect

    @property
    def levels(self) -> tuple[float, float]:
        """The level of each run: the median over its seeds that have a value, of counts the mean; NaN where none has."""
        first, other = (self._level(own) for own in self.values)
        return first, other

    def _level(self, own: Sequence[float]) -> float:
        numbers = [value for value in own if not math.isnan(value)]
        return math.nan if not numbers else float(np.mean(numbers) if self.counts else np.median(numbers))


@dataclass(frozen=True)
class Gate:
    """How many of a run's seeds are on the good side of a limit, and the worst value; NaN where none has one."""

    id: str
    title: str
    unit: str
    better: str
    limit: float
    run: int
    passed: int
    of: int
    worst: float


@dataclass(frozen=True)
class Tail:
    """What an average hides, of one measure in a run of a pair: the worst seed, and the mean of the worst tenth."""

    first: int
    other: int
    id: str
    unit: str
    run: int
    worst: float
    worst_tenth: float


@dataclass(frozen=True)
class Measurements:
    """What is measured of a pair of runs at the steps that both have, and of their final errors.

    `windows` mark steps `[T]`; the error is compared every `stride` steps. `measures`, which begin with the scores,
    `exploratory` and `gated` have a row for each measure and window; `variants` are the rows of measures with other settings, by
    id. Where `long_enough` is false, the steps end before the first descent does. `untrained` are the places of the runs that did
    not train in most seeds.
    """

    pairing: Pairing
    windows: dict[str, Mask]
    first_step: int
    long_enough: bool
    untrained: tuple[int, ...]
    stride: int
    final: tuple[Measured, ...]
    measures: tuple[Measured, ...]
    exploratory: tuple[Measured, ...]
    gated: tuple[Measured, ...]
    gates: tuple[Gate, ...]
    variants: dict[str, tuple[Measured, ...]]


@dataclass(frozen=True)
class _Asked:
    """A measure that is asked for over a window, perhaps with other settings."""

    metric: Metric
    window: str
    options: Mapping[str, float] = field(default_factory=dict)


def measure(runs: Sequence[Run], pairing: Pairing, watch: Callable[[], None]) -> Measurements:
    """Measure every seed of the two runs of a pair by their own windows and strides; `watch` is called after each seed."""
    pair = runs[pairing.first], runs[pairing.other]
    schedules = [run.schedule for run in pair]
    parts, strides = windows(schedules), common_strides(pair)
    final, own = final_metrics(pair[0]), [*score_metrics(pair[0]), *metrics_of(pair[0])]
    asked = [_Asked(metric, LAST) for metric in final]
    asked += [_Asked(metric, window) for metric in own for window in (parts if metric.windowed else (metric.window,))]
    if pairing.tested:
        asked += [_Asked(metric, metric.window, options) for metric in own for options in metric.variants]
    found = zip(asked, _values(pair, asked, parts, strides, watch), strict=True)
    rows = [(ask, measured(ask.metric, ask.window, values, pairing)) for ask, values in found]
    if len({len(schedule) for schedule in schedules}) > 1:
        counted = [(ask, row) for ask, row in rows if ask.metric.counts and not ask.options and ask.window in parts]
        rows += [(ask, _per_thousand(row, parts[row.window], pairing)) for ask, row in counted]
    shown = [(ask.metric, row) for ask, row in rows if not ask.options and ask.metric not in final]
    return Measurements(
        pairing=pairing,
        windows=parts,
        first_step=first_step(schedules),
        long_enough=long_enough(schedules),
        untrained=tuple(place for place, run in zip((pairing.first, pairing.other), pair, strict=True) if untrained(run)),
        stride=strides[0],
        final=tuple(row for ask, row in rows if ask.metric in final),
        measures=tuple(row for metric, row in shown if not metric.exploratory and metric.limit is None),
        exploratory=tuple(row for metric, row in shown if metric.exploratory and metric.limit is None),
        gated=tuple(row for metric, row in shown if metric.limit is not None),
        gates=tuple(gate for metric, row in shown if metric.limit is not None for gate in _gates(row, metric.limit)),
        variants={metric.id: tuple(row for ask, row in rows if ask.metric is metric and ask.options) for metric in own},
    )


def measure_only(runs: Sequence[Run], pairing: Pairing, metrics: Sequence[Metric]) -> list[Measured]:
    """Measure every seed of the two runs of a pair by a few measures, each over the window in which it is judged."""
    pair = runs[pairing.first], runs[pairing.other]
    parts, strides = windows([run.schedule for run in pair]), common_strides(pair)
    asked = [_Asked(metric, metric.window) for metric in metrics]
    values = _values(pair, asked, parts, strides, lambda: None)
    return [measured(ask.metric, ask.window, own, pairing) for ask, own in zip(asked, values, strict=True)]


def measure_alone(run: Run, metrics: Sequence[Metric]) -> list[tuple[float, ...]]:
    """Measure every seed of one run, each measure over its window in the run's own schedule; a seed that diverged has the worst value."""
    both = (run, run)
    asked = [_Asked(metric, metric.window) for metric in metrics]
    return _by_seed(run, asked, windows([run.schedule] * 2), common_strides(both), lambda: None) if asked else []


def measured(metric: Metric, window: str, values: Values, pairing: Pairing) -> Measured:
    """Make the row of a measure over a window from its values, with its effect."""
    judged = window == metric.window and metric.limit is None
    what = (pairing.first, pairing.other, metric.id, metric.title, metric.unit, metric.effect, metric.better)
    row = Measured(*what, window, values, math.nan, judged, metric.needs, metric.counts, metric.smallest)
    return replace(row, value=effect(*pairing.pick(values), row.kind, pairing.paired))


def tails(rows: Sequence[Measured]) -> Iterator[Tail]:
    """Find the worst seeds of each run by each measure, where there are several."""
    for row in rows:
        sign = 1 if row.better == "lower" else -1
        for run, own in zip((row.first, row.other), row.values, strict=True):
            if row.judged and row.effect != "share" and len(own) > 1:
                worst, tenth = stats.tail(sign * np.array(own))
                yield Tail(row.first, row.other, row.id, row.unit, run, sign * worst, sign * tenth)


def _values(
    runs: Sequence[Run], asked: Sequence[_Asked], parts: Mapping[str, Mask], strides: tuple[int, int], watch: Callable[[], None]
) -> list[Values]:
    """Compute what is asked of every seed: for each measure, its values by run and seed. One seed is in memory at a time."""
    first, other = (_by_seed(run, asked, parts, strides, watch) for run in runs)
    return list(zip(first, other, strict=True))


def _by_seed(
    run: Run, asked: Sequence[_Asked], parts: Mapping[str, Mask], strides: tuple[int, int], watch: Callable[[], None]
) -> list[tuple[float, ...]]:
    by_seed = []
    for index, seed in enumerate(run.seeds):
        own = trace(run, index, strides)
        by_seed.append([_worst(ask.metric) if seed in run.diverged else _value(ask, own, parts) for ask in asked])
        watch()
    return list(zip(*by_seed, strict=True))


def _value(ask: _Asked, own: Trace, parts: Mapping[str, Mask]) -> float:
    return ask.metric.compute(own, parts.get(ask.window, parts["whole"]), **ask.options)


def _worst(metric: Metric) -> float:
    """Give the value of a seed that diverged: it is never dropped, it ranks worst."""
    if metric.effect == "share":
        return 1.0 if metric.better == "lower" else 0.0
    return math.inf if metric.better == "lower" else 0.0 if metric.effect in SCALED else -math.inf


def _per_thousand(row: Measured, mask: Mask, pairing: Pairing) -> Measured:
    """Give counts per 1,000 steps of their window, as a window of its own: it is shown, not judged."""
    first, other = (tuple(per_thousand(value, mask) for value in own) for own in row.values)
    value = effect(*pairing.pick((first, other)), row.kind, pairing.paired)
    window, unit = f"{row.window}{PER_THOUSAND}", f"{row.unit} per 1,000 steps"
    return replace(row, unit=unit, window=window, values=(first, other), value=value, judged=False)


def _gates(row: Measured, limit: float) -> Iterator[Gate]:
    for run, own in zip((row.first, row.other), row.values, strict=True):
        yield gate(row, limit, run, own)


def gate(of: Measured | Metric, limit: float, run: int, values: Sequence[float]) -> Gate:
    """Count the seeds of a run that pass a gate; what is missing or diverged does not."""
    sign = 1 if of.better == "lower" else -1
    passed = sum(sign * value <= sign * limit for value in values)
    worst = sign * max((sign * value for value in values if not math.isnan(value)), default=math.nan)
    return Gate(of.id, of.title, of.unit, of.better, limit, run, passed, len(values), worst)
