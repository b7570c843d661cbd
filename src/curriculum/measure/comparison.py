"""Compare runs: measures by seed, their effects and verdicts, and how the schedules differ.

What comes out is plain data; tables, JSON and figures are made from it elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from curriculum.errors import InputError
from curriculum.measure import verdicts
from curriculum.measure.judging import caveats_of, estimates, hypotheses_of
from curriculum.measure.measuring import Figure, Gate, Tail, add, as_rate, gates_of, metrics_of, or_worst, tail_of, windows_of
from curriculum.measure.notes import notes_of, unmeasured
from curriculum.measure.trace import common_strides, final_error, trace
from curriculum.measure.verdicts import SmallestEffect, Verdict
from curriculum.measure.windows import first_step, intervals, long_enough, windows
from curriculum.sheet.diff import SheetDiff, diff_sheets
from curriculum.sheet.schedule import RATE
from curriculum.store.reader import Run

SCHEMA = 1
USABLE = ("finished", "diverged", "interrupted")


@dataclass(frozen=True)
class Comparison:
    """Two or more runs side by side; the first is measured against each of the others."""

    runs: tuple[dict[str, Any], ...]
    first_step: int
    windows: dict[str, tuple[tuple[int, int], ...]]
    mean_lr: dict[str, dict[str, float]]
    final: tuple[Figure, ...]
    measures: tuple[Figure, ...]
    verdicts: tuple[Verdict, ...]
    guards: tuple[Verdict, ...]
    exploratory: tuple[Figure, ...]
    explored: tuple[Verdict, ...]
    gates: tuple[Gate, ...]
    questions: dict[str, str]
    hypotheses: dict[str, dict[str, str]]
    smallest: SmallestEffect
    tails: tuple[Tail, ...]
    last_losses: dict[str, dict[str, float]]
    sheets: dict[str, SheetDiff]
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(run["name"] for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        """Turn the comparison into plain values; numbers that do not exist become null, infinite ones "inf"."""
        plain: dict[str, Any] = _plain({"schema": SCHEMA, **asdict(self)})
        for section in ("verdicts", "guards", "explored"):
            for row, verdict in zip(plain[section], getattr(self, section), strict=True):
                row["sentence"] = verdict.sentence()
        return plain


def compare(runs: Sequence[Run], smallest: SmallestEffect | None = None, watch: Callable[[int], None] = lambda done: None) -> Comparison:
    """Measure runs of one task side by side, and judge the differences where there are enough seeds.

    `watch` is told how many seeds are measured. Raises `InputError` for fewer than two runs, runs that are not over, or
    runs that cannot be paired: of different tasks, models or probes.
    """
    _check(runs)
    smallest = smallest or SmallestEffect()
    metrics = metrics_of(runs[0])
    schedules = [run.schedule for run in runs]
    parts = windows(schedules)
    strides = common_strides(runs)
    values: dict[tuple[str, str], dict[str, tuple[float, ...]]] = {}
    variants: dict[tuple[str, int], dict[str, tuple[float, ...]]] = {}
    for done, run in enumerate(runs):
        for index in range(len(run.seeds)):
            own = trace(run, index, strides)
            for metric in metrics:
                for window in windows_of(metric, parts):
                    add(values, (metric.id, window), run, or_worst(run, index, metric.compute(own, parts[window]), metric))
                for number, options in enumerate(metric.variants if len(run.seeds) > 1 else ()):
                    found = metric.compute(own, parts[metric.window], **options)
                    add(variants, (metric.id, number), run, or_worst(run, index, found, metric))
            watch(sum(len(earlier.seeds) for earlier in runs[:done]) + index + 1)
    measures = [
        Figure(metric.id, metric.title, metric.unit, metric.effect, metric.better, window, values[metric.id, window])
        for metric in metrics
        for window in windows_of(metric, parts)
    ]
    if len({len(schedule) for schedule in schedules}) > 1:
        measures += [as_rate(figure, parts) for figure in measures if figure.id in {m.id for m in metrics if m.counts}]
    final = [
        Figure(
            "final",
            f"final error on {probe.title}",
            runs[0].look.error_unit,
            "ratio",
            "lower",
            "last 5% of steps",
            {run.name: tuple(or_worst(run, i, 10 ** final_error(run, probe.name, i)) for i in range(len(run.seeds))) for run in runs},
        )
        for probe in runs[0].probes
        if "final" in probe.uses
    ]
    rates = {
        window: {run.name: float(run.schedule.column(RATE)[: len(mask)][mask].mean()) if mask.any() else math.nan for run in runs}
        for window, mask in parts.items()
    }
    further = {metric.id for metric in metrics if metric.exploratory}
    gated = {metric.id: metric.limit for metric in metrics if metric.limit is not None}
    gates = [gate for figure in measures if figure.id in gated for gate in gates_of(figure, gated[figure.id])]
    exploratory = [figure for figure in measures if figure.id in further and figure.id not in gated]
    measures = [figure for figure in measures if figure.id not in further and figure.id not in gated]
    judged_over = {metric.id: metric.window for metric in metrics}
    primary = [figure for figure in measures if figure.window == judged_over[figure.id]]
    guards = [verdicts.correct([guard], smallest)[0] for guard in estimates(runs, final)]
    judged = verdicts.correct(estimates(runs, primary), smallest) if long_enough(schedules) else []
    judged = [replace(v, caveats=tuple(caveats_of(runs, v, guards, variants, primary))) for v in judged]
    return Comparison(
        runs=tuple(_describe(run) for run in runs),
        first_step=first_step(schedules),
        windows={name: tuple(intervals(mask)) for name, mask in parts.items()},
        mean_lr=rates,
        final=tuple(final),
        measures=tuple(measures),
        verdicts=tuple(judged),
        guards=tuple(guards),
        exploratory=tuple(exploratory),
        explored=tuple(verdicts.explore(estimates(runs, exploratory))),
        gates=tuple(gates),
        questions=runs[0].look.hypotheses,
        hypotheses=hypotheses_of(judged, runs[0].look.hypotheses),
        smallest=smallest,
        tails=tuple(tail_of(f, name) for f in primary for name, own in f.values.items() if len(own) > 1 and f.effect != "share"),
        last_losses={run.name: _last_losses(run) for run in runs},
        sheets={run.name: diff_sheets(runs[0].sheet, run.sheet, max(len(runs[0].schedule), len(run.schedule))) for run in runs[1:]},
        notes=(*notes_of(runs, strides[0]), *unmeasured(primary, schedules)),
    )


def _check(runs: Sequence[Run]) -> None:
    if len(runs) < 2:
        raise InputError("a comparison needs two runs or more")
    paths = [run.path.resolve() for run in runs]
    for run in runs:
        if paths.count(run.path.resolve()) > 1:
            raise InputError(f"the run {run.name!r} is named twice: a comparison needs different runs")
    names = [run.path.name for run in runs]
    for run in runs:
        if names.count(run.path.name) > 1:
            run.alias = f"{run.path.resolve().parent.name}/{run.path.name}"
    for run in runs:
        if run.status not in USABLE:
            raise InputError(f"the run {run.name!r} cannot be compared: its status is {run.status!r}")
    first = runs[0]
    for run in runs[1:]:
        if run.manifest["task"] != first.manifest["task"]:
            raise InputError(f"runs of different tasks cannot be compared: {first.name!r} is {_task(first)}, {run.name!r} is {_task(run)}")
        if run.manifest["parameters"] != first.manifest["parameters"]:
            raise InputError(
                f"{first.name!r} and {run.name!r} cannot be compared: their models have different parameters "
                f"({_size(first)} and {_size(run)} numbers), so their configs differ in more than numbers"
            )
        if run.manifest["hashes"].get("probes") != first.manifest["hashes"].get("probes"):
            raise InputError(f"{first.name!r} and {run.name!r} cannot be compared: their probes differ")


def _size(run: Run) -> str:
    return f"{sum(math.prod(shape) for shape in run.manifest['parameters'].values()):,}"


def _task(run: Run) -> str:
    return f"{run.task_name!r} version {run.manifest['task'].get('version')}"


def _describe(run: Run) -> dict[str, Any]:
    keep = ("status", "sheet", "created", "steps", "seeds", "diverged")
    return {"name": run.name, "path": str(run.path.resolve()), **{key: run.manifest.get(key) for key in keep}}


def _last_losses(run: Run) -> dict[str, float]:
    """Read the losses of the last step as they were logged, the median over seeds."""
    rows = run.metrics[run.metrics["step"] == run.metrics["step"].max()]
    medians = {name: float(rows[name].median()) for name in ("total", *run.terms)}
    return {name: value for name, value in medians.items() if math.isfinite(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value
