"""The measures by which the runs of a task are compared: scores, final errors, those of this package, and the task's own."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from functools import partial
from typing import Protocol

from curriculum import plugins
from curriculum.errors import InputError, unknown
from curriculum.measure.metric import Metric
from curriculum.measure.of_scores import metrics_of_score
from curriculum.measure.trace import Trace, scored
from curriculum.measure.windows import Mask
from curriculum.store.manifest import LookManifest, OwnMeasureManifest, ProbeManifest, ScoreManifest

FINAL = "final"  # the id of final errors
LAST = "last 5% of steps"  # of each run, the window of its scores and final errors
END = "end of training"  # the window of a task's own measures
OWN_ORDER = 1000  # a task's own measures come after the others


class Looked(Protocol):
    """What says how a run is compared: the run itself, or the plan of one."""

    @property
    def look(self) -> LookManifest: ...

    @property
    def probes(self) -> tuple[ProbeManifest, ...]: ...

    @property
    def has_latents(self) -> bool: ...


def metrics_by_id(run: Looked) -> dict[str, Metric]:
    """Find all measures of a run by their ids, the scores first, then the final error on the first probe that has one."""
    return {metric.id: metric for metric in (*score_metrics(run), *final_metrics(run)[:1], *metrics_of(run))}


def primary_ids(looked: Looked, names: Iterable[str]) -> tuple[str, ...]:
    """Give the ids of measures that are meant by names, each the id of a measure or of a hypothesis.

    An exploratory measure that is named becomes one that is judged. Raises `InputError` for a name of neither, and for a gate.
    """
    metrics = metrics_by_id(looked)
    judged = [id_ for id_, metric in metrics.items() if metric.limit is None]
    questions = looked.look.hypotheses
    found: list[str] = []
    for name in names:
        if name in judged:
            found.append(name)
        elif name in questions:
            ids = questions[name].measures
            found += [id_ for id_ in judged if (id_.startswith(name) if ids is None else id_ in ids)]
        elif name in metrics:
            raise InputError(f"the measure {name!r} cannot be primary: it is a gate, which seeds pass or fail")
        else:
            raise InputError(unknown("measure or hypothesis", name, [*judged, *questions]))
    return tuple(dict.fromkeys(found))


def count_tests(looked: Looked, primary: Collection[str] | None) -> int:
    """Count the tests of one pair of runs, of which all measures have a value."""
    metrics = [*score_metrics(looked), *metrics_of(looked), *final_metrics(looked)]
    judged = [metric for metric in metrics if metric.limit is None]
    return sum(not metric.exploratory if primary is None else metric.id in primary for metric in judged)


def metrics_of(run: Looked) -> list[Metric]:
    """Find the measures by which a run's task is compared, in their order, the task's own last."""
    found: list[Metric] = [plugins.shipped("measure", name) for name in run.look.measures]
    found = [metric for metric in found if run.has_latents or not metric.latents]
    for id_, (name, shown, probe) in _scores_by_id(run).items():
        about = f"{name} on {probe.title}" if probe.title else name
        found += metrics_of_score(id_, f"{name}.{probe.name}", about, shown, END)
    return [*sorted(found, key=lambda metric: metric.order), *(_own_metric(own) for own in run.look.own_measures)]


def final_metrics(run: Looked) -> list[Metric]:
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


def score_metrics(run: Looked) -> list[Metric]:
    """Make a measure of each score on each probe that has one; on the first of them, its id is the score's name."""
    return [
        Metric(
            order=0,
            id=id_,
            title=f"{name} on {probe.title}" if probe.title else f"{name} at the end",
            unit=shown.unit,
            compute=partial(_score, place=f"{name}.{probe.name}"),
            windowed=False,
            effect="difference",
            better=shown.better,
            window=LAST,
            needs="the last steps of the run, where this score is recorded",
            smallest=shown.smallest,
        )
        for id_, (name, shown, probe) in _scores_by_id(run).items()
    ]


def _scores_by_id(run: Looked) -> dict[str, tuple[str, ScoreManifest, ProbeManifest]]:
    """List the scores by their ids: the name on the first probe, `NAME.PROBE` on the others."""
    found: dict[str, tuple[str, ScoreManifest, ProbeManifest]] = {}
    for name, shown, probe in scored(run.look, run.probes):
        found[f"{name}.{probe.name}" if name in found else name] = (name, shown, probe)
    return found


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
