"""Compare runs from Python."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from curriculum.errors import InputError
from curriculum.measure import comparison
from curriculum.store.experiment import ExperimentRecord, find_runs, place_of_baseline
from curriculum.store.reader import Run
from curriculum.store.shelf import find_run

if TYPE_CHECKING:
    from curriculum.runner.session import Result

    Stored = Run | Result | str | PathLike[str]


def compare(
    runs: Sequence[Stored] | str | PathLike[str],
    *,
    folder: str | PathLike[str] = "runs",
    baseline: Stored | None = None,
    metric: str | Sequence[str] | None = None,
    better: Literal["lower", "higher"] | None = None,
) -> comparison.Comparison:
    """Compare two or more runs, or all arms of an experiment by its name.

    The first run is measured against each of the others; with a `baseline`, one of them, each of the others against that. Each is a
    stored run, the result of `run` with a `folder`, a path, or a name in `folder`. `metric` names the measures, scores or hypotheses
    that are judged, by their ids; the others are exploratory. An experiment has a baseline and primary measures of its own. `better`
    makes sure that a metric is read as you mean it.

    Nothing is written. `table` of the result is a pandas table. Raises `InputError` if there are fewer than two runs, if one was not
    stored or is not over, if they cannot be compared, and where the metric is better in the other direction.
    """
    place = Path(folder)
    if isinstance(runs, str | PathLike):
        chosen, record = find_runs([str(runs)], place)
    else:
        chosen, record = [_stored(one, place) for one in runs], ExperimentRecord()
    if len(chosen) < 2:
        raise InputError(f"compare takes at least two runs, or the name of an experiment, not {runs!r} alone: write compare([RUN, OTHER])")
    named = baseline if baseline is None or isinstance(baseline, str) else str(_stored(baseline, place).path.resolve())
    at = place_of_baseline(named, chosen, record, place)
    primary = [metric] if isinstance(metric, str) else metric
    found = comparison.compare(chosen, baseline=at, primary=record.primary if primary is None else primary)
    if better is not None:
        for verdict in (*found.verdicts, *found.guards):
            if verdict.better != better:
                raise InputError(f"{verdict.title} is better where it is {verdict.better}, not {better}: its task says so")
    return found


def _stored(run: Stored, folder: Path) -> Run:
    if isinstance(run, Run):
        return run
    if isinstance(run, str | PathLike):
        return find_run(str(run), folder)
    if not hasattr(run, "run"):
        raise InputError(f"cannot compare {run!r}: pass a run, a path, or a name of one")
    if run.run is None:
        raise InputError("cannot compare a run that was not stored: train it with folder=...")
    return run.run
