"""Compare runs: line them up, measure them, judge the differences, and describe what was found.

What comes out is plain data; tables, JSON and figures are made from it elsewhere. Runs are known by their place in it, the
first being measured against each of the others; names are only shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from curriculum.measure.gaps import gaps
from curriculum.measure.judging import Hypothesis, judge
from curriculum.measure.measuring import Gate, Measured, Tail, measure, tails
from curriculum.measure.pairing import ComparedRun, line_up
from curriculum.measure.verdicts import SmallestEffect, Verdict
from curriculum.measure.windows import Mask, intervals
from curriculum.sheet.diff import SheetDiff, diff_sheets
from curriculum.sheet.schedule import RATE
from curriculum.store.reader import Run

SCHEMA = 2


@dataclass(frozen=True)
class Comparison:
    """Two or more runs side by side; the first is measured against each of the others.

    What is listed by run is in the order of `runs`; `effects` of measures and `sheets` begin with the second one. Verdicts and
    hypotheses say by `other`, gates and tails by `run`, which of `runs` they are about.
    """

    runs: tuple[ComparedRun, ...]
    first_step: int
    windows: dict[str, tuple[tuple[int, int], ...]]
    mean_lr: dict[str, tuple[float, ...]]
    final: tuple[Measured, ...]
    measures: tuple[Measured, ...]
    verdicts: tuple[Verdict, ...]
    guards: tuple[Verdict, ...]
    exploratory: tuple[Measured, ...]
    explored: tuple[Verdict, ...]
    hypotheses: tuple[Hypothesis, ...]
    gates: tuple[Gate, ...]
    tails: tuple[Tail, ...]
    smallest: SmallestEffect
    last_losses: tuple[dict[str, float], ...]
    sheets: tuple[SheetDiff, ...]
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(run.name for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        """Turn the comparison into plain values; numbers that do not exist become null, infinite ones "inf"."""
        plain: dict[str, Any] = _plain({"schema": SCHEMA, **asdict(self)})
        for section in ("verdicts", "guards", "explored"):
            for row, verdict in zip(plain[section], getattr(self, section), strict=True):
                row["sentence"] = verdict.sentence(self.names)
        return plain


def compare(runs: Sequence[Run], smallest: SmallestEffect | None = None, watch: Callable[[int], None] = lambda done: None) -> Comparison:
    """Measure runs of one task side by side, and judge the differences where there are enough seeds.

    `watch` is told how many seeds are measured. Raises `InputError` for fewer than two runs, runs that are not over, or
    runs that cannot be paired: of different tasks, models or probes.
    """
    lineup = line_up(runs)
    smallest = smallest or SmallestEffect()
    found = measure(runs, lineup.pairings, watch)
    judged = judge(found, lineup, runs[0].look.hypotheses, smallest)
    return Comparison(
        runs=lineup.runs,
        first_step=found.first_step,
        windows={name: tuple(intervals(mask)) for name, mask in found.windows.items()},
        mean_lr={name: tuple(_mean_lr(run, mask) for run in runs) for name, mask in found.windows.items()},
        final=found.final,
        measures=found.measures,
        verdicts=judged.verdicts,
        guards=judged.guards,
        exploratory=found.exploratory,
        explored=judged.explored,
        hypotheses=judged.hypotheses,
        gates=found.gates,
        tails=tuple(tails(found.measures)),
        smallest=smallest,
        last_losses=tuple(_last_losses(run) for run in runs),
        sheets=tuple(diff_sheets(runs[0].sheet, run.sheet, max(len(runs[0].schedule), len(run.schedule))) for run in runs[1:]),
        notes=(*lineup.notes, *gaps(found, lineup.runs)),
    )


def _mean_lr(run: Run, mask: Mask) -> float:
    """Compute the mean learning rate of a run in a window; NaN where the window is empty."""
    return float(run.schedule.column(RATE)[: len(mask)][mask].mean()) if mask.any() else math.nan


def _last_losses(run: Run) -> dict[str, float]:
    """Read the losses of the last step as they were logged, the median over seeds."""
    rows = run.metrics[run.metrics["step"] == run.metrics["step"].max()]
    medians = {name: float(rows[name].median()) for name in ("total", *run.terms)}
    return {name: value for name, value in medians.items() if math.isfinite(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value
