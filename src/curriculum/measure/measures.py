"""The measures by which the runs of a task are compared: scores, final errors, those of this package, and the task's own."""

from __future__ import annotations

import math
from functools import partial

from curriculum import plugins
from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace, scores_of
from curriculum.measure.windows import Mask
from curriculum.store.manifest import OwnMeasureManifest
from curriculum.store.reader import Run

FINAL = "final"  # the id of final errors
LAST = "last 5% of steps"  # of each run, the window of its scores and final errors
END = "end of training"  # the window of a task's own measures
OWN_ORDER = 1000  # a task's own measures come after the others


def metrics_of(run: Run) -> list[Metric]:
    """Find the measures by which a run's task is compared, in their order, the task's own last."""
    found: list[Metric] = [plugins.shipped("measure", name) for name in run.look.measures]
    found = [metric for metric in found if run.has_latents or not metric.latents]
    return [*sorted(found, key=lambda metric: metric.order), *(_own_metric(own) for own in run.look.own_measures)]


def final_metrics(run: Run) -> list[Metric]:
    """Make a measure of the final error on each probe that has one."""
    return [
        Metric(
            order=0,
            id=FINAL,
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


def score_metrics(run: Run) -> list[Metric]:
    """Make a measure of each score on each probe that has one; on the first of them, its id is the score's name."""
    found: dict[str, Metric] = {}
    for score in scores_of(run):
        place, shown = f"{score.name}.{score.probe.name}", score.shown
        id_ = place if score.name in found else score.name
        found[id_] = Metric(
            order=0,
            id=id_,
            title=score.what,
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
