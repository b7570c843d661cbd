"""Measures and figures of a user's own: computed while the run is at hand, since nothing that looks at it later imports their code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculum import plugins
from curriculum.blame import blame
from curriculum.errors import CurriculumError, InputError
from curriculum.measure.metric import Metric
from curriculum.outside import Folders
from curriculum.store.reader import Run
from curriculum.train.hooks import definition

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from curriculum.train.task import Task

Draw = Callable[[Run, int], "Figure"]


@dataclass(frozen=True)
class Own:
    """What a task names of a user's: its measures, and its figures by the name of their file."""

    measures: tuple[Metric, ...] = ()
    figures: Mapping[str, Draw] = field(default_factory=dict)


NOTHING_OWN = Own()


def own_of(task: Task, near: Folders = ()) -> Own:
    """Find the measures and figures that a task names and that are not shipped.

    Raises `InputError` where they cannot be imported, or have the id of another.
    """
    shipped = {kind: set(plugins.shipped_names(kind)) for kind in ("measure", "figure")}
    measures = [
        one if isinstance(one, Metric) else plugins.find("measure", one, near) for one in task.measures if one not in shipped["measure"]
    ]
    ids = [metric.id for metric in measures]
    taken = {*task.scores, *(plugins.shipped("measure", name).id for name in task.measures if name in shipped["measure"])}
    for id_ in ids:
        if ids.count(id_) > 1 or id_ in taken:
            raise InputError(f"two measures have the id {id_!r}: rename one of them")
    drawn = [one for one in task.plots if one not in shipped["figure"]]
    figures = {_stem(one): one if callable(one) else plugins.find("figure", one, near) for one in drawn}
    return Own(tuple(measures), figures)


def _stem(figure: str | Draw) -> str:
    """Name the file of a figure by the function that draws it."""
    name = figure if isinstance(figure, str) else definition(figure).__name__
    return name.rpartition(":")[2].rpartition(".")[2].replace("_", "-")


def described(metric: Metric) -> dict[str, Any]:
    """Say in `run.json` what a measure of a user's is."""
    names = ("id", "title", "unit", "effect", "better", "needs", "exploratory", "counts", "limit", "smallest")
    return {name: getattr(metric, name) for name in names}


def measure_own(run: Run, metrics: Sequence[Metric]) -> tuple[dict[str, np.ndarray[Any, Any]], list[str]]:
    """Compute measures of a run for each seed: arrays `[S]` by `measure.ID`; also say what is at fault in those that failed.

    A measure that failed has no values.
    """
    from curriculum.measure.trace import common_strides, trace
    from curriculum.measure.windows import windows

    masks, strides = windows([run.schedule]), common_strides([run])
    traces = [trace(run, index, strides) for index in range(len(run.seeds))]
    found, faults = {}, []
    for metric in metrics:
        try:
            values = [float(metric.compute(one, masks[metric.window])) for one in traces]
        except (Exception, SystemExit) as error:
            why = blame(error) or f"{type(error).__name__}: {error}"
            faults.append(f"the measure {metric.id!r} of {run.path} has no values: {why}")
        else:
            found[f"measure.{metric.id}"] = np.array(values)
    return found, faults


def draw_own(run: Run, figures: Mapping[str, Draw]) -> None:
    """Draw figures of a user's into a run's folder, for the seed whose final error is the median.

    Raises `CurriculumError` with the line of the user's code that is at fault.
    """
    from curriculum.draw import style
    from curriculum.measure.trace import median_seeds

    for name, draw in figures.items():
        (middle,) = median_seeds([run])
        try:
            style.save(draw(run, middle), run.figure(f"{name}.png"))
        except CurriculumError:
            raise
        except (Exception, SystemExit) as error:
            why = blame(error) or f"{type(error).__name__}: {error}"
            raise CurriculumError(f"the run {run.path} is stored, but its figure {name!r} failed: {why}") from error
