"""Measure runs: the value of each measure for every seed of every run, and the effects of the first run against the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from curriculum import plugins
from curriculum.measure import stats
from curriculum.measure.effects import SCALED, effect
from curriculum.measure.metric import Metric
from curriculum.measure.pairing import Pairing
from curriculum.measure.trace import Trace, common_strides, scores_of, trace
from curriculum.measure.windows import Mask, first_step, long_enough, per_thousand, windows
from curriculum.store.manifest import OwnMeasureManifest
from curriculum.store.reader import Run

LAST = "last 5% of steps"  # of each run, the window of its scores and final errors
END = "end of training"  # the window of a task's own measures
PER_THOUSAND = ", per 1,000 steps"
OWN_ORDER = 1000  # a task's own measures come after the others
Values = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Measured:
    """One measure over one window.

    `values` are those of each run, one for each of its seeds: NaN where there is none, the worst there is for a seed that
    diverged. `effects` are those of the first run against each run after it, from the seeds that form pairs, or from all
    where none do: a ratio or a difference, as `effect` says, NaN where one of these seeds has no value. `judged` says
    whether its effects are judged; else they are only shown. `needs` says what a seed without a value may lack; `counts` and
    `smallest` are those of the measure.
    """

    id: str
    title: str
    unit: str
    effect: str
    better: str
    window: str
    values: Values
    effects: tuple[float, ...]
    judged: bool
    needs: str
    counts: bool = False
    smallest: float | None = None

    def median(self, run: int) -> float:
        """Compute the median over the seeds of a run that have a value; NaN where none has."""
        numbers = [value for value in self.values[run] if not math.isnan(value)]
        return float(np.median(numbers)) if numbers else math.nan


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
    """What an average hides, of one measure in one run: the worst seed, and the mean of the worst tenth."""

    id: str
    unit: str
    run: int
    worst: float
    worst_tenth: float


@dataclass(frozen=True)
class Measurements:
    """What is measured of some runs at the steps that all of them have, and of their final errors.

    `windows` mark steps `[T]`; the error is compared every `stride` steps. `measures`, which begin with the scores,
    `exploratory` and `gated` have a row for each measure and window; `variants` are the rows of measures with other settings, by
    id. Where `long_enough` is false, the steps end before the first descent does.
    """

    windows: dict[str, Mask]
    first_step: int
    long_enough: bool
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


def measure(runs: Sequence[Run], pairings: Sequence[Pairing], watch: Callable[[int], None]) -> Measurements:
    """Measure every seed of runs of one task; `watch` is told how many seeds are measured."""
    schedules = [run.schedule for run in runs]
    parts, strides = windows(schedules), common_strides(runs)
    final, own = _final_metrics(runs[0]), [*_score_metrics(runs[0]), *metrics_of(runs[0])]
    asked = [_Asked(metric, LAST) for metric in final]
    asked += [_Asked(metric, window) for metric in own for window in (parts if metric.windowed else (metric.window,))]
    if any(pairing.tested for pairing in pairings):
        asked += [_Asked(metric, metric.window, options) for metric in own for options in metric.variants]
    found = zip(asked, _values(runs, asked, parts, strides, watch), strict=True)
    rows = [(ask, measured(ask.metric, ask.window, values, pairings)) for ask, values in found]
    if len({len(schedule) for schedule in schedules}) > 1:
        counted = [(ask, row) for ask, row in rows if ask.metric.counts and not ask.options and ask.window in parts]
        rows += [(ask, _per_thousand(row, parts[row.window], pairings)) for ask, row in counted]
    shown = [(ask.metric, row) for ask, row in rows if not ask.options and ask.metric not in final]
    return Measurements(
        windows=parts,
        first_step=first_step(schedules),
        long_enough=long_enough(schedules),
        stride=strides[0],
        final=tuple(row for ask, row in rows if ask.metric in final),
        measures=tuple(row for metric, row in shown if not metric.exploratory and metric.limit is None),
        exploratory=tuple(row for metric, row in shown if metric.exploratory and metric.limit is None),
        gated=tuple(row for metric, row in shown if metric.limit is not None),
        gates=tuple(gate for metric, row in shown if metric.limit is not None for gate in _gates(row, metric.limit)),
        variants={metric.id: tuple(row for ask, row in rows if ask.metric is metric and ask.options) for metric in own},
    )


def metrics_of(run: Run) -> list[Metric]:
    """Find the measures by which a run's task is compared, in their order, the task's own last."""
    found: list[Metric] = [plugins.shipped("measure", name) for name in run.look.measures]
    found = [metric for metric in found if run.has_latents or not metric.latents]
    return [*sorted(found, key=lambda metric: metric.order), *(_own_metric(own) for own in run.look.own_measures)]


def measured(metric: Metric, window: str, values: Values, pairings: Sequence[Pairing]) -> Measured:
    """Make the row of a measure over a window from its values, with its effects."""
    effects = tuple(effect(*pairing.pick(values), metric.effect, pairing.paired) for pairing in pairings)
    judged = window == metric.window and metric.limit is None
    what = (metric.id, metric.title, metric.unit, metric.effect, metric.better)
    return Measured(*what, window, values, effects, judged, metric.needs, metric.counts, metric.smallest)


def tails(rows: Sequence[Measured]) -> Iterator[Tail]:
    """Find the worst seeds of each run by each measure, where there are several."""
    for row in rows:
        sign = 1 if row.better == "lower" else -1
        for run, own in enumerate(row.values):
            if row.judged and row.effect != "share" and len(own) > 1:
                worst, tenth = stats.tail(sign * np.array(own))
                yield Tail(row.id, row.unit, run, sign * worst, sign * tenth)


def _values(
    runs: Sequence[Run], asked: Sequence[_Asked], parts: Mapping[str, Mask], strides: tuple[int, int], watch: Callable[[int], None]
) -> list[Values]:
    """Compute what is asked of every seed: for each measure, its values by run and seed. One seed is in memory at a time."""
    by_run: list[list[tuple[float, ...]]] = []
    done = 0
    for run in runs:
        by_seed = []
        for index, seed in enumerate(run.seeds):
            own = trace(run, index, strides)
            by_seed.append([_worst(ask.metric) if seed in run.diverged else _value(ask, own, parts) for ask in asked])
            watch(done := done + 1)
        by_run.append(list(zip(*by_seed, strict=True)))
    return list(zip(*by_run, strict=True))


def _value(ask: _Asked, own: Trace, parts: Mapping[str, Mask]) -> float:
    return ask.metric.compute(own, parts.get(ask.window, parts["whole"]), **ask.options)


def _worst(metric: Metric) -> float:
    """Give the value of a seed that diverged: it is never dropped, it ranks worst."""
    if metric.effect == "share":
        return 1.0 if metric.better == "lower" else 0.0
    return math.inf if metric.better == "lower" else 0.0 if metric.effect in SCALED else -math.inf


def _final_metrics(run: Run) -> list[Metric]:
    """Make a measure of the final error on each probe that has one."""
    return [
        Metric(
            order=0,
            id="final",
            title=f"final error on {probe.title}",
            unit=run.look.error_unit,
            compute=partial(_final_error, probe=probe.name),
            windowed=False,
            window=LAST,
            needs="the last steps of the run, where this probe is recorded",
        )
        for probe in run.probes
        if "final" in probe.uses
    ]


def _final_error(trace: Trace, window: Mask, probe: str) -> float:
    return float(10 ** trace.final[probe])


def _score_metrics(run: Run) -> list[Metric]:
    """Make a measure of each score on each probe that has one; on the first of them, its id is the score's name."""
    found: dict[str, Metric] = {}
    for score in scores_of(run):
        place, shown = f"{score.name}.{score.probe.name}", score.shown
        id_ = place if score.name in found else score.name
        found[id_] = Metric(
            order=0,
            id=id_,
            title=score.title,
            unit=shown.unit,
            compute=partial(_score, place=place),
            windowed=False,
            effect="difference",
            better=shown.better,
            window=LAST,
            needs="the last steps of the run, where this score is recorded",
            smallest=shown.smallest,
        )
    return list(found.values())


def _score(trace: Trace, window: Mask, place: str) -> float:
    return trace.scores[place]


def _own_metric(own: OwnMeasureManifest) -> Metric:
    """Make a measure of what the task itself measured when training ended."""
    return Metric(
        order=OWN_ORDER,
        id=own.id,
        title=own.title,
        unit=own.unit,
        compute=partial(_exhibited, name=f"measure.{own.id}"),
        windowed=False,
        effect=own.effect,
        better=own.better,
        exploratory=own.exploratory,
        limit=own.limit,
        window=END,
        counts=own.counts,
        needs=own.needs,
        smallest=own.smallest,
    )


def _exhibited(trace: Trace, window: Mask, name: str) -> float:
    return float(trace.exhibits[name]) if name in trace.exhibits else math.nan


def _per_thousand(row: Measured, mask: Mask, pairings: Sequence[Pairing]) -> Measured:
    """Give counts per 1,000 steps of their window, as a window of its own: it is shown, not judged."""
    values = tuple(tuple(per_thousand(value, mask) for value in own) for own in row.values)
    effects = tuple(effect(*pairing.pick(values), row.effect, pairing.paired) for pairing in pairings)
    window, unit = f"{row.window}{PER_THOUSAND}", f"{row.unit} per 1,000 steps"
    return replace(row, unit=unit, window=window, values=values, effects=effects, judged=False)


def _gates(row: Measured, limit: float) -> Iterator[Gate]:
    """Count the seeds of each run that pass a gate; what is missing or diverged does not."""
    sign = 1 if row.better == "lower" else -1
    for run, own in enumerate(row.values):
        passed = sum(sign * value <= sign * limit for value in own)
        worst = sign * max((sign * value for value in own if not math.isnan(value)), default=math.nan)
        yield Gate(row.id, row.title, row.unit, row.better, limit, run, passed, len(own), worst)
