"""Compare runs: line them up, measure them, judge the differences, and describe what was found.

What comes out is plain data; tables, JSON and figures are made from it elsewhere. Runs are known by their place in it; names are
only shown. Each pair of runs is measured by itself: which other runs are compared changes nothing but the correction.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculum.errors import InputError, unknown
from curriculum.measure.effects import text
from curriculum.measure.gaps import gaps
from curriculum.measure.judging import Hypothesis, judge
from curriculum.measure.looks import Look, look_of, said
from curriculum.measure.measures import metrics_by_id, primary_ids
from curriculum.measure.measuring import Gate, Measured, Measurements, Tail, measure, tails
from curriculum.measure.metric import label
from curriculum.measure.pairing import ComparedRun, line_up
from curriculum.measure.plain import plain_values
from curriculum.measure.verdicts import INCONCLUSIVE, SmallestEffect, Verdict
from curriculum.measure.windows import Mask, intervals
from curriculum.sheet.diff import SheetDiff, diff_sheets
from curriculum.sheet.schedule import RATE
from curriculum.store.columns import values_of
from curriculum.store.reader import Run

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 3


@dataclass(frozen=True)
class Pair:
    """Two runs that are compared: the one at the place `first` among the runs against the one at the place `other`.

    They are measured from `first_step` on. `windows` are the first and last step of each stretch of each window, and `mean_lr` the
    mean learning rates of the two runs in them; `sheets` say how the sheet of the first differs from the other's.
    """

    first: int
    other: int
    first_step: int
    windows: dict[str, tuple[tuple[int, int], ...]]
    mean_lr: dict[str, tuple[float, float]]
    sheets: SheetDiff


@dataclass(frozen=True)
class Comparison:
    """Two or more runs side by side, in pairs.

    Rows of measures, verdicts, hypotheses and tails say by `first` and `other`, gates and tails also by `run`, which of `runs` they
    are about. `primary` are the ids of the measures that alone are judged, None where all are. `tests` counts the verdicts that are
    corrected together, those of final errors (`guards`) among them. `look` is that at an experiment that grows until it is decided.
    `earlier_looks` are the numbers of seeds with which the same runs were compared before, without planned looks.
    """

    runs: tuple[ComparedRun, ...]
    pairs: tuple[Pair, ...]
    final: tuple[Measured, ...]
    measures: tuple[Measured, ...]
    tests: int
    verdicts: tuple[Verdict, ...]
    guards: tuple[Verdict, ...]
    exploratory: tuple[Measured, ...]
    explored: tuple[Verdict, ...]
    hypotheses: tuple[Hypothesis, ...]
    gates: tuple[Gate, ...]
    tails: tuple[Tail, ...]
    smallest: SmallestEffect
    primary: tuple[str, ...] | None
    look: Look | None
    earlier_looks: tuple[int, ...]
    last_losses: tuple[dict[str, float], ...]
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(run.name for run in self.runs)

    @property
    def level(self) -> str:
        """The level of each interval alone, such as `95%`; at one look of several it is higher."""
        share = 0.95 if self.look is None else 1 - self.look.alpha
        return f"{f'{100 * share:.1f}'.removesuffix('.0')}%"

    @property
    def undecided(self) -> tuple[Verdict, ...]:
        """The verdicts that neither find a difference nor exclude one that matters."""
        return tuple(verdict for verdict in (*self.verdicts, *self.guards) if verdict.verdict == INCONCLUSIVE)

    def __str__(self) -> str:
        """Say what was found: the hypotheses, a sentence for each verdict, the effects of pairs that are not judged, and the notes."""
        lines = []
        for pair in self.pairs:
            between = f"{self.names[pair.first]} against {self.names[pair.other]}"
            here = (pair.first, pair.other)
            lines += [f"{between}: {own.question}: {own.verdict}" for own in self.hypotheses if (own.first, own.other) == here]
            judged = [own for own in (*self.verdicts, *self.guards) if (own.first, own.other) == here]
            lines += [verdict.sentence(self.names) for verdict in judged]
            rows = [] if judged else [row for row in self.rows(pair, (*self.measures, *self.final)) if row.judged]
            lines += [f"{label(row.id, row.title)}: {between}: {text(row.value, row.effect, row.unit)}, not judged" for row in rows]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    @property
    def table(self) -> pd.DataFrame:
        """What was judged, as a table: a row for each verdict, with the two runs, the effect, its interval, p and the verdict."""
        import pandas as pd

        rows = [
            {
                "run": self.names[own.first],
                "against": self.names[own.other],
                "id": own.id,
                "measure": own.title,
                "level": own.levels[0],
                "level_against": own.levels[1],
                "unit": own.unit,
                "effect": own.effect,
                "value": own.value,
                "low": own.low,
                "high": own.high,
                "p": own.p_corrected,
                "verdict": own.verdict,
            }
            for own in (*self.verdicts, *self.guards)
        ]
        return pd.DataFrame(rows)

    def rows(self, pair: Pair, rows: Sequence[Measured]) -> list[Measured]:
        """Pick the rows that are about a pair."""
        return [row for row in rows if (row.first, row.other) == (pair.first, pair.other)]

    def final_errors(self, run: int) -> tuple[float, ...]:
        """Give the final errors of the seeds of a run on the main probe."""
        row = next(row for row in self.final if run in (row.first, row.other))
        return row.values[0 if row.first == run else 1]

    def to_json(self) -> dict[str, Any]:
        """Turn the comparison into plain values; numbers that do not exist become null, infinite ones "inf"."""
        plain: dict[str, Any] = plain_values({"schema": SCHEMA, **asdict(self)})
        for section in ("verdicts", "guards", "explored"):
            for row, verdict in zip(plain[section], getattr(self, section), strict=True):
                row["sentence"] = verdict.sentence(self.names)
        return plain


def compare(
    runs: Sequence[Run],
    smallest: SmallestEffect | None = None,
    watch: Callable[[int], None] = lambda done: None,
    *,
    baseline: int | None = None,
    all_pairs: bool = False,
    unequal: bool = False,
    primary: Sequence[str] | None = None,
) -> Comparison:
    """Measure runs of one task side by side, and judge the differences where there are enough seeds.

    The first run is compared against each other one; with a `baseline`, a place among the runs, each other one against that; with
    `all_pairs` each against each one after it. Runs that were trained for different numbers of steps are judged only if they may be
    `unequal`. Where `primary` names measures or hypotheses, only those are judged, and the others are exploratory. `watch` is told how
    many seeds are measured. Raises `InputError` for fewer than two runs, runs that are not over, runs that cannot be paired, which
    are those of different tasks, models or probes, a smallest effect of an unknown measure, and an unknown name in `primary`.
    """
    lineup = line_up(runs, baseline, all_pairs, unequal)
    smallest = smallest or SmallestEffect()
    known = list(metrics_by_id(runs[0]))
    for strange in [own for own in smallest.own if own not in known]:
        raise InputError(unknown("measure", strange, known))
    chosen = None if primary is None else primary_ids(runs[0], primary)
    done = itertools.count(1)
    found = [measure(runs, pairing, lambda: watch(next(done))) for pairing in lineup.pairings]
    look = look_of(runs)
    judged = judge(found, lineup, runs[0].look.hypotheses, smallest, chosen, look.share if look else 1.0)
    gates = {(gate.id, gate.run): gate for own in reversed(found) for gate in own.gates}
    notes = (*said(look), *lineup.notes, *judged.notes, *(note for own in found for note in gaps(own, lineup.runs)))
    return Comparison(
        runs=lineup.runs,
        pairs=tuple(_pair(runs, own) for own in found),
        final=tuple(row for own in found for row in own.final),
        measures=tuple(row for own in found for row in own.measures),
        tests=judged.tests,
        verdicts=judged.verdicts,
        guards=judged.guards,
        exploratory=tuple(row for own in found for row in own.exploratory),
        explored=judged.explored,
        hypotheses=judged.hypotheses,
        gates=tuple(sorted(gates.values(), key=lambda gate: (gate.id, gate.run))),
        tails=tuple(tail for own in found for tail in tails(own.measures)),
        smallest=smallest,
        primary=chosen,
        earlier_looks=(),
        look=look,
        last_losses=tuple(_last_losses(run) for run in runs),
        notes=tuple(dict.fromkeys(notes)),
    )


def seeds_to_measure(runs: Sequence[Run], baseline: int | None = None, all_pairs: bool = False) -> int:
    """Count the seeds that `compare` measures: those of each run for each pair that it is in."""
    return sum(
        len(runs[place].seeds) for pairing in line_up(runs, baseline, all_pairs).pairings for place in (pairing.first, pairing.other)
    )


def _pair(runs: Sequence[Run], found: Measurements) -> Pair:
    first, other = runs[found.pairing.first], runs[found.pairing.other]
    return Pair(
        first=found.pairing.first,
        other=found.pairing.other,
        first_step=found.first_step,
        windows={name: tuple(intervals(mask)) for name, mask in found.windows.items()},
        mean_lr={name: (_mean_lr(first, mask), _mean_lr(other, mask)) for name, mask in found.windows.items()},
        sheets=diff_sheets(first.sheet, other.sheet, max(len(first.schedule), len(other.schedule))),
    )


def _mean_lr(run: Run, mask: Mask) -> float:
    """Compute the mean learning rate of a run in a window; NaN where the window is empty, or without a column of it."""
    if RATE not in run.schedule.properties or not mask.any():
        return math.nan
    return float(run.schedule.column(RATE)[: len(mask)][mask].mean())


def _last_losses(run: Run) -> dict[str, float]:
    """Read the losses of the last step as they were logged, the median over seeds."""
    steps = values_of(run.metrics_table["step"])
    last = steps == steps.max(initial=0)
    medians = {}
    for name in ("total", *run.terms):
        values = values_of(run.metrics_table[name])[last]
        known = values[~np.isnan(values)]
        medians[name] = float(np.median(known)) if len(known) else math.nan
    return {name: value for name, value in medians.items() if math.isfinite(value)}
