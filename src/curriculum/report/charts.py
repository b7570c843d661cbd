"""The curves that the page shows: every metric that was recorded and every column of the schedules, of all seeds.

Percentiles come from `measure`; here curves are chosen and packed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.bands import percentiles
from curriculum.measure.trace import error_curves, has_error, scores_of
from curriculum.report.pack import Blocks, steps_of
from curriculum.sheet.schedule import RATE
from curriculum.store.names import STEPS
from curriculum.store.reader import Run

Array = NDArray[np.float64]
WIDE = 50  # a positive curve whose largest value is so many times its least is drawn on a log scale
BUCKETS = 512  # of the steps, whose least and largest value stand for a seed that is not stored step by step
MOST_VALUES = 800_000  # of the first curve: where all seeds of all runs have more, only some seeds are stored step by step
FEW = 2 * BUCKETS  # steps up to which every seed is stored step by step
SCHEDULE, ERROR, SCORE, LOSS = "schedule", "error", "score", "loss"


@dataclass(frozen=True)
class Curve:
    """A metric of one run: `values` `[F, S]` at `steps` `[F]`, of which the seeds `kept` did not diverge."""

    id: str
    title: str
    unit: str
    group: str
    steps: NDArray[np.int64]
    values: Array
    kept: Sequence[int]


def charts(runs: Sequence[Run], chosen: Sequence[Sequence[int]], blocks: Blocks) -> list[dict[str, Any]]:
    """Pack the charts of runs. The seeds `chosen` of each run, by their places, are always stored step by step.

    A chart has one entry in `arms` for each run, null where the run does not have it.
    """
    found = [{curve.id: curve for curve in curves_of(run)} for run in runs]
    first = next(iter(found[0]), "")
    whole = sum(own[first].values.size for own in found if first in own) <= MOST_VALUES
    packed = [_schedule(runs, name, blocks) for name in dict.fromkeys(name for run in runs for name in run.schedule.properties)]
    for id_ in dict.fromkeys(id_ for own in found for id_ in own):
        curves = [own.get(id_) for own in found]
        packed.append(_chart(curves, chosen, blocks, whole and id_ == first))
    return packed


def curves_of(run: Run) -> Iterator[Curve]:
    """List what a run recorded, in the order in which it matters: scores, the errors on the probes, and the losses as logged."""
    kept = [index for index, seed in enumerate(run.seeds) if seed not in run.diverged] or list(range(len(run.seeds)))
    for score in scores_of(run):
        if len(score.steps):
            values = score.values if score.absent is None else np.where(score.absent, np.nan, score.values)
            yield Curve(f"score.{score.name}.{score.probe.name}", score.title, score.shown.unit, SCORE, score.steps, values, kept)
    if has_error(run):
        steps, dex = error_curves(run)
        main = next(probe for probe in run.probes if "loss" in probe.uses)
        yield Curve(f"error.{main.name}", f"error on {main.title}", run.look.error_unit, ERROR, steps, 10**dex, kept)
        for probe in run.probes:
            name = f"loss.{probe.name}"
            if probe != main and name in run.traces:
                steps, values = run.traces[f"{name}.{STEPS}"], run.traces[name].astype(np.float64)
                yield Curve(f"error.{probe.name}", f"error on {probe.title}", run.look.error_unit, ERROR, steps, values, kept)
    yield from _logged(run, kept)


def _logged(run: Run, kept: Sequence[int]) -> Iterator[Curve]:
    if run.metrics.empty:
        return
    place = {seed: index for index, seed in enumerate(run.seeds)}
    for name in ("total", *run.terms):
        rows = run.metrics[["step", "seed", name]].dropna()
        if rows.empty or (run.tracked and f"score.{name}.logged" in run.traces):
            continue
        steps, at = np.unique(rows["step"].to_numpy(), return_inverse=True)
        values = np.full((len(steps), len(run.seeds)), np.nan)
        values[at, rows["seed"].map(place).to_numpy()] = rows[name]
        title = "loss" if run.tracked and name == "total" else name
        yield Curve(f"loss.{name}", title, "", LOSS, steps.astype(np.int64), values, kept)


def _schedule(runs: Sequence[Run], name: str, blocks: Blocks) -> dict[str, Any]:
    columns = [run.schedule.column(name) if name in run.schedule.properties else None for run in runs]
    log = name == RATE and _wide([column for column in columns if column is not None])
    arms = [None if own is None else {"steps": steps_of(np.arange(len(own))), "line": blocks.add("first", own, log=log)} for own in columns]
    levels = {float(value) for own in columns if own is not None for value in np.unique(own)}
    constant = levels.pop() if len(levels) == 1 and None not in arms else None
    return {"id": f"schedule.{name}", "title": name, "unit": "", "group": SCHEDULE, "log": log, "constant": constant, "arms": arms}


def _chart(curves: Sequence[Curve | None], chosen: Sequence[Sequence[int]], blocks: Blocks, whole: bool) -> dict[str, Any]:
    there = [own for own in curves if own is not None]
    log = there[0].group in (ERROR, LOSS) and _wide([own.values for own in there])
    arms = [None if own is None else _arm(own, places, blocks, log, whole) for own, places in zip(curves, chosen, strict=True)]
    first = there[0]
    return {"id": first.id, "title": first.title, "unit": first.unit, "group": first.group, "log": log, "constant": None, "arms": arms}


def _arm(curve: Curve, chosen: Sequence[int], blocks: Blocks, log: bool, whole: bool) -> dict[str, Any]:
    steps, values = curve.steps, curve.values
    seeds = values.shape[1]
    fine = list(range(seeds)) if whole or len(steps) <= FEW else list(dict.fromkeys(chosen))
    rest = [index for index in range(seeds) if index not in fine]
    found: dict[str, Any] = {
        "steps": steps_of(steps),
        "seeds": fine,
        "values": blocks.add("first" if len(fine) <= len(chosen) else "seeds", values[:, fine].T, log=log),
    }
    if seeds > 1:
        found["band"] = blocks.add("first", percentiles(values[:, list(curve.kept)]), log=log)
    if rest:
        at, ends = envelope(steps, values[:, rest])
        found["rest"] = {"steps": steps_of(at), "seeds": rest, "values": blocks.add("seeds", ends.T, log=log)}
    return found


def envelope(steps: NDArray[np.int64], values: Array) -> tuple[NDArray[np.int64], Array]:
    """Give the least and the largest of values `[F, S]` in each of `BUCKETS` stretches: steps `[2 B]`, and values `[2 B, S]`.

    The two are at the first and the middle step of the stretch. A stretch without a value has none.
    """
    cuts = np.unique(np.linspace(0, len(steps), BUCKETS + 1).astype(int))[:-1]
    none = np.isnan(values)
    low = np.minimum.reduceat(np.where(none, np.inf, values), cuts)
    high = np.maximum.reduceat(np.where(none, -np.inf, values), cuts)
    ends = np.stack([low, high], axis=1).reshape(2 * len(cuts), -1)
    middles = (cuts + np.append(cuts[1:], len(steps))) // 2
    at = steps[np.stack([cuts, middles], axis=1).ravel()]
    return at, np.where(np.isfinite(ends), ends, np.nan)


def _wide(values: Sequence[Array]) -> bool:
    """Tell whether values suit a log scale: nearly all are above 0, and they span a wide range."""
    known = np.concatenate([own[np.isfinite(own)] for own in values])
    above = known[known > 0]
    return len(above) > 0.9 * len(known) and bool(above.max() > WIDE * above.min())
