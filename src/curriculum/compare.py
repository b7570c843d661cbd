"""Compare runs: final errors, spikes and fluctuation, and how their schedules differ.

What comes out is plain data; tables, JSON and figures are made from it elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curriculum import plugins
from curriculum.errors import InputError
from curriculum.metrics import Metric
from curriculum.runfolder import Run
from curriculum.sheetdiff import SheetDiff, diff_sheets
from curriculum.traces import task_of, trace
from curriculum.windows import RATE, first_step, intervals, windows

SCHEMA = 1
FEWEST_PAIRS = 8
USABLE = ("finished", "diverged", "interrupted")


@dataclass(frozen=True)
class Figure:
    """One measure over one window: `values` by run, one for each of its seeds."""

    id: str
    title: str
    unit: str
    effect: str
    window: str
    values: dict[str, tuple[float, ...]]

    def median(self, run: str) -> float:
        """Give the median over the seeds of a run; NaN where no seed has a number."""
        numbers = [value for value in self.values[run] if math.isfinite(value)]
        return float(np.median(numbers)) if numbers else float("nan")


@dataclass(frozen=True)
class Comparison:
    """Two or more runs side by side; the first is the baseline of the others."""

    runs: tuple[dict[str, Any], ...]
    first_step: int
    windows: dict[str, tuple[tuple[int, int], ...]]
    mean_lr: dict[str, dict[str, float]]
    final: tuple[Figure, ...]
    measures: tuple[Figure, ...]
    last_losses: dict[str, dict[str, float]]
    sheets: dict[str, SheetDiff]
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(run["name"] for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        """Turn the comparison into plain values; numbers that do not exist become null."""
        plain: dict[str, Any] = _nulls({"schema": SCHEMA, **asdict(self)})
        return plain


def compare(runs: Sequence[Run]) -> Comparison:
    """Measure runs of one task side by side.

    Raises `InputError` for fewer than two runs, runs that are not over, or runs of different tasks or probes.
    """
    _check(runs)
    tasks = [task_of(run) for run in runs]
    schedules = [run.schedule for run in runs]
    parts = windows(schedules)
    stride = math.lcm(*(_stride(run) for run in runs))
    traces = {run.name: [trace(run, task, index, stride) for index in range(len(run.seeds))] for run, task in zip(runs, tasks, strict=True)}
    measures = []
    for metric in _metrics():
        for window, mask in parts.items():
            if window == "whole" or metric.windowed:
                values = {name: tuple(metric.compute(one, mask) for one in found) for name, found in traces.items()}
                measures.append(Figure(metric.id, metric.title, metric.unit, metric.effect, window, values))
    final = []
    for probe in (probe for probe in tasks[0].probes() if "final" in probe.uses):
        values = {name: tuple(10 ** one.final[probe.name] for one in found) for name, found in traces.items()}
        final.append(Figure("final", f"final error on {probe.title}", "MSE", "ratio", "last 5% of steps", values))
    rates = {
        window: {run.name: float(run.schedule.column(RATE)[: len(mask)][mask].mean()) if mask.any() else math.nan for run in runs}
        for window, mask in parts.items()
    }
    return Comparison(
        runs=tuple(_describe(run) for run in runs),
        first_step=first_step(schedules),
        windows={name: tuple(intervals(mask)) for name, mask in parts.items()},
        mean_lr=rates,
        final=tuple(final),
        measures=tuple(measures),
        last_losses={run.name: _last_losses(run) for run in runs},
        sheets={run.name: diff_sheets(runs[0].sheet, run.sheet) for run in runs[1:]},
        notes=tuple(_notes(runs, stride)),
    )


def _metrics() -> list[Metric]:
    found: list[Metric] = [plugins.find("metrics", name).METRIC for name in plugins.names("metrics")]
    return sorted(found, key=lambda metric: metric.order)


def _check(runs: Sequence[Run]) -> None:
    if len(runs) < 2:
        raise InputError("a comparison needs two runs or more")
    names = [run.name for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"the run {name!r} is named twice: a comparison needs different runs")
    for run in runs:
        if run.status not in USABLE:
            raise InputError(f"the run {run.name!r} cannot be compared: its status is {run.status!r}")
    first = runs[0]
    for run in runs[1:]:
        if run.task_name != first.task_name:
            raise InputError(
                f"runs of different tasks cannot be compared: {first.name!r} is {first.task_name!r}, {run.name!r} {run.task_name!r}"
            )
        if run.manifest["hashes"].get("probes") != first.manifest["hashes"].get("probes"):
            raise InputError(f"{first.name!r} and {run.name!r} cannot be compared: their probes differ")


def _stride(run: Run) -> int:
    steps = run.snapshots.steps
    return int(steps[1] - steps[0]) if len(steps) > 1 else 1


def _describe(run: Run) -> dict[str, Any]:
    keep = ("status", "sheet", "created", "steps", "seeds", "diverged")
    return {"name": run.name, "path": str(run.path.resolve()), **{key: run.manifest.get(key) for key in keep}}


def _last_losses(run: Run) -> dict[str, float]:
    """Read the losses of the last step as they were logged, the median over seeds."""
    _, values = run.losses(0)
    rows = run.metrics[run.metrics["step"] == run.metrics["step"].max()]
    medians = {name: float(rows[name].median()) for name in values}
    return {name: value for name, value in medians.items() if math.isfinite(value)}


def _notes(runs: Sequence[Run], stride: int) -> list[str]:
    first, notes = runs[0], []
    hashes = [run.manifest["hashes"].get("sheet") for run in runs]
    for run, own in zip(runs[1:], hashes[1:], strict=True):
        if own == hashes[0]:
            notes.append(f"the sheets of {first.name} and {run.name} are identical")
        if len(run.schedule) != len(first.schedule):
            notes.append(
                f"{first.name} has {len(first.schedule):,} steps and {run.name} {len(run.schedule):,}: "
                "stability is measured at the steps both have, the final error at each run's own end"
            )
        if run.config_text != first.config_text:
            notes.append(f"{first.name} and {run.name} were trained with different configs: the sheets are not all that differs")
    notes += [f"{run.name} ended {run.status}" for run in runs if run.status != "finished"]
    if stride > 1:
        notes.append(f"snapshots are compared every {stride} steps: what is faster is not seen")
    shared = set.intersection(*(set(run.seeds) for run in runs))
    if len(shared) < FEWEST_PAIRS:
        pairs = f"{len(shared)} shared seed{'' if len(shared) == 1 else 's'}"
        notes.append(f"too few seeds to test: {pairs}, at least {FEWEST_PAIRS} are needed; this describes the runs and proves nothing")
    return notes


def _nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nulls(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_nulls(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
