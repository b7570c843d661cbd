"""Compare runs: measures by seed, their effects and verdicts, and how the schedules differ.

What comes out is plain data; tables, JSON and figures are made from it elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curriculum import plugins, stats, verdicts
from curriculum.errors import InputError
from curriculum.metrics import Metric
from curriculum.runfolder import Run
from curriculum.schedule import RATE, Schedule
from curriculum.sheetdiff import SheetDiff, diff_sheets
from curriculum.traces import common_strides, final_error, trace
from curriculum.verdicts import SmallestEffect, Verdict
from curriculum.windows import Mask, first_step, intervals, long_enough, per_thousand, windows

SCHEMA = 1
USABLE = ("finished", "diverged", "interrupted")

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
    metrics = _metrics_of(runs[0])
    schedules = [run.schedule for run in runs]
    parts = windows(schedules)
    strides = common_strides(runs)
    values: dict[tuple[str, str], dict[str, tuple[float, ...]]] = {}
    variants: dict[tuple[str, int], dict[str, tuple[float, ...]]] = {}
    for done, run in enumerate(runs):
        for index in range(len(run.seeds)):
            own = trace(run, index, strides)
            for metric in metrics:
                for window in _windows_of(metric, parts):
                    _add(values, (metric.id, window), run, _or_worst(run, index, metric.compute(own, parts[window]), metric))
                for number, options in enumerate(metric.variants if len(run.seeds) > 1 else ()):
                    found = metric.compute(own, parts[metric.window], **options)
                    _add(variants, (metric.id, number), run, _or_worst(run, index, found, metric))
            watch(sum(len(earlier.seeds) for earlier in runs[:done]) + index + 1)
    measures = [
        Figure(metric.id, metric.title, metric.unit, metric.effect, metric.better, window, values[metric.id, window])
        for metric in metrics
        for window in _windows_of(metric, parts)
    ]
    if len({len(schedule) for schedule in schedules}) > 1:
        measures += [_per_thousand(figure, parts) for figure in measures if figure.id in {m.id for m in metrics if m.counts}]
    final = [
        Figure(
            "final",
            f"final error on {probe.title}",
            runs[0].look.error_unit,
            "ratio",
            "lower",
            "last 5% of steps",
            {run.name: tuple(_or_worst(run, i, 10 ** final_error(run, probe.name, i)) for i in range(len(run.seeds))) for run in runs},
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
    gates = [gate for figure in measures if figure.id in gated for gate in _gates(figure, gated[figure.id])]
    exploratory = [figure for figure in measures if figure.id in further and figure.id not in gated]
    measures = [figure for figure in measures if figure.id not in further and figure.id not in gated]
    judged_over = {metric.id: metric.window for metric in metrics}
    primary = [figure for figure in measures if figure.window == judged_over[figure.id]]
    guards = [verdicts.correct([guard], smallest)[0] for guard in _estimates(runs, final)]
    judged = verdicts.correct(_estimates(runs, primary), smallest) if long_enough(schedules) else []
    judged = [replace(v, caveats=tuple(_caveats(runs, v, guards, variants, primary))) for v in judged]
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
        explored=tuple(verdicts.explore(_estimates(runs, exploratory))),
        gates=tuple(gates),
        questions=runs[0].look.hypotheses,
        hypotheses=_hypotheses(judged, runs[0].look.hypotheses),
        smallest=smallest,
        tails=tuple(_tail(f, name) for f in primary for name, own in f.values.items() if len(own) > 1 and f.effect != "share"),
        last_losses={run.name: _last_losses(run) for run in runs},
        sheets={run.name: diff_sheets(runs[0].sheet, run.sheet, max(len(runs[0].schedule), len(run.schedule))) for run in runs[1:]},
        notes=(*_notes(runs, strides[0]), *_unmeasured(primary, schedules)),
    )


def _metrics_of(run: Run) -> list[Metric]:
    found: list[Metric] = [plugins.find("metrics", name).METRIC for name in run.look.measures]
    return sorted(found, key=lambda metric: metric.order)


def _per_thousand(figure: Figure, parts: Mapping[str, Mask]) -> Figure:
    """Give counts per 1,000 steps of their window, as a window of its own: it is shown, not judged."""
    values = {name: tuple(per_thousand(value, parts[figure.window]) for value in own) for name, own in figure.values.items()}
    return replace(figure, unit=f"{figure.unit} per 1,000 steps", window=f"{figure.window}, per 1,000 steps", values=values)


def _gates(figure: Figure, limit: float | None) -> Iterator[Gate]:
    """Count the seeds of each run that pass a gate; what is missing or diverged does not."""
    assert limit is not None
    sign = 1 if figure.better == "lower" else -1
    for name, own in figure.values.items():
        passed = sum(sign * value <= sign * limit for value in own)
        worst = sign * max((sign * value for value in own if not math.isnan(value)), default=math.nan)
        yield Gate(figure.id, figure.title, figure.unit, figure.better, limit, name, passed, len(own), worst)


def _tail(figure: Figure, name: str) -> Tail:
    sign = 1 if figure.better == "lower" else -1
    worst, tenth = stats.tail(sign * np.array(figure.values[name]))
    return Tail(figure.id, name, sign * worst, sign * tenth)


def _windows_of(metric: Metric, parts: dict[str, Any]) -> list[str]:
    return [window for window in parts if window == metric.window or metric.windowed]


def _add(table: dict[Any, dict[str, tuple[float, ...]]], key: Any, run: Run, value: float) -> None:
    row = table.setdefault(key, {})
    row[run.name] = (*row.get(run.name, ()), value)


def _or_worst(run: Run, index: int, value: float, metric: Metric | None = None) -> float:
    """Replace the value of a seed that diverged: it is never dropped, it ranks worst."""
    if not _diverged(run, index):
        return value
    lower = metric is None or metric.better == "lower"
    if metric is not None and metric.effect == "share":
        return 1.0 if lower else 0.0
    return math.inf if lower else 0.0 if metric is not None and metric.effect in verdicts.SCALED else -math.inf


def _diverged(run: Run, index: int) -> bool:
    return run.seeds[index] in run.diverged


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


def _shared_seeds(first: Run, other: Run) -> list[int]:
    """List the seeds that pair: those in both runs."""
    return [seed for seed in first.seeds if seed in other.seeds]


def _estimates(runs: Sequence[Run], figures: Sequence[Figure]) -> list[Verdict]:
    """Estimate every figure for the first run against each other one, where both have enough seeds."""
    found = []
    first = runs[0]
    for other in runs[1:]:
        shared = _shared_seeds(first, other)
        if min(len(first.seeds), len(other.seeds)) < verdicts.FEWEST or 0 < len(shared) < verdicts.FEWEST:
            continue
        if max(_diverged_share(first), _diverged_share(other)) > verdicts.DIVERGED_SHARE:
            continue
        for figure in figures:
            a = np.array([figure.values[first.name][first.seeds.index(seed)] for seed in shared or first.seeds])
            b = np.array([figure.values[other.name][other.seeds.index(seed)] for seed in shared or other.seeds])
            if np.isnan(a).any() or np.isnan(b).any():
                continue
            estimate = verdicts.estimate(a, b, figure.effect, paired=bool(shared))
            pairs = verdicts.effects(a, b, figure.effect) if shared else np.empty(0)
            names = (first.name, other.name)
            made = verdicts.to_verdict(figure.id, figure.title, figure.effect, figure.better, names, estimate, pairs, len(runs) > 2)
            found.append(made)
    return found


def _diverged_share(run: Run) -> float:
    return len(run.diverged) / len(run.seeds)


def _caveats(
    runs: Sequence[Run], verdict: Verdict, guards: Sequence[Verdict], variants: dict[Any, Any], primary: Sequence[Figure]
) -> list[str]:
    """Qualify a verdict: what it cost, how often it happened, and whether it holds for other settings of the measure."""
    caveats = []
    figure = next(figure for figure in primary if figure.id == verdict.id)
    if verdict.effect in ("share", "time"):
        pair = [run for run in runs if run.name in (verdict.first, verdict.other)]
        caveats.append(" and ".join(f"{_happened(run, figure)} of {len(run.seeds)} in {run.name}" for run in pair))
    if verdict.verdict == verdicts.SUPPORTED:
        costs = [guard for guard in guards if guard.other == verdict.other and guard.verdict == verdicts.CONTRADICTED]
        if costs:
            worst = max(costs, key=lambda guard: guard.value)
            caveats.append(f"at the cost of a final error x{worst.value:.2f}")
    first, other = (next(run for run in runs if run.name == name) for name in (verdict.first, verdict.other))
    for (metric, _), values in variants.items():
        if metric == verdict.id:
            figure = Figure(metric, verdict.title, "", verdict.effect, verdict.better, "whole", values)
            again = _estimates([first, other], [figure])
            if again and again[0].estimate.value * verdict.estimate.value < 0:
                return [*caveats, "depends on the window"]
    return caveats


def _happened(run: Run, figure: Figure) -> int:
    """Count the seeds of a run for which it holds, or has happened by the run's last step."""
    own = figure.values[run.name]
    return sum(value == 1 if figure.effect == "share" else value <= run.schedule.last_step for value in own)


def _hypotheses(judged: Sequence[Verdict], questions: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Sum up each hypothesis for each run that the first is measured against."""
    return {
        other: {
            name: verdicts.hypothesis([verdict.verdict for verdict in judged if verdict.other == other and verdict.id.startswith(name)])
            for name in questions
        }
        for other in dict.fromkeys(verdict.other for verdict in judged)
    }


def _describe(run: Run) -> dict[str, Any]:
    keep = ("status", "sheet", "created", "steps", "seeds", "diverged")
    return {"name": run.name, "path": str(run.path.resolve()), **{key: run.manifest.get(key) for key in keep}}


def _last_losses(run: Run) -> dict[str, float]:
    """Read the losses of the last step as they were logged, the median over seeds."""
    rows = run.metrics[run.metrics["step"] == run.metrics["step"].max()]
    medians = {name: float(rows[name].median()) for name in ("total", *run.terms)}
    return {name: value for name, value in medians.items() if math.isfinite(value)}


def _notes(runs: Sequence[Run], stride: int) -> list[str]:
    first, notes = runs[0], []
    for run in runs[1:]:
        if run.manifest["hashes"].get("sheet") == first.manifest["hashes"].get("sheet"):
            notes.append(f"the sheets of {first.name} and {run.name} are identical")
        if len(run.schedule) != len(first.schedule):
            notes.append(
                f"{first.name} has {len(first.schedule):,} steps and {run.name} {len(run.schedule):,}: "
                "stability is measured at the steps both have, the final error at each run's own end"
            )
        if run.manifest["hashes"].get("training") != first.manifest["hashes"].get("training"):
            notes.append(f"{first.name} and {run.name} were trained with different configs: the sheets are not all that differs")
        notes += _pairing_notes(first, run)
    for run in runs:
        if run.status != "finished":
            ended = "diverged" if run.status == "diverged" else "was interrupted"
            notes.append(f"{run.name} {ended} after {run.trained_steps:,} of its {run.manifest['steps']:,} steps")
        if run.diverged:
            lost = ", ".join(map(str, run.diverged))
            notes.append(f"{run.name}: {len(run.diverged)} of {len(run.seeds)} seeds diverged and rank worst (seed {lost})")
        if _diverged_share(run) > verdicts.DIVERGED_SHARE:
            notes.append(f"more than {verdicts.DIVERGED_SHARE:.0%} of the seeds of {run.name} diverged: nothing else is tested")
    if stride > 1:
        notes.append(f"the error is compared every {stride} steps: what is faster is not seen")
    return notes


def _unmeasured(primary: Sequence[Figure], schedules: Sequence[Schedule]) -> Iterator[str]:
    if not long_enough(schedules):
        yield "the steps that all runs have end before the first phase does: what is measured is the first descent, and is not tested"
    missing = [figure.id for figure in primary if any(math.isnan(value) for own in figure.values.values() for value in own)]
    if missing:
        yield f"not measured, since there are too few steps: {', '.join(missing)}"


def _pairing_notes(first: Run, other: Run) -> list[str]:
    shared = _shared_seeds(first, other)
    fewest = min(len(first.seeds), len(other.seeds))
    if fewest < verdicts.FEWEST or 0 < len(shared) < verdicts.FEWEST:
        pairs = f"{len(shared)} shared seed{'' if len(shared) == 1 else 's'}"
        return [
            f"too few seeds to test: {pairs} of {first.name} and {other.name}, at least {verdicts.FEWEST} are needed; "
            "this describes the runs and proves nothing"
        ]
    if not shared:
        return [f"{first.name} and {other.name} have no seed in common: they are compared unpaired, which needs larger effects"]
    left = len(set(first.seeds) | set(other.seeds)) - len(shared)
    return [f"{left} seeds of {first.name} and {other.name} have no partner and are left out of the tests"] if left else []


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value
