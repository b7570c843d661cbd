"""Compare runs from Python."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from curriculum.errors import InputError
from curriculum.measure import comparison
from curriculum.store.reader import Run
from curriculum.store.shelf import find_run

if TYPE_CHECKING:
    from curriculum.runner.session import Result


def compare(runs: Sequence[Run | Result | str | PathLike[str]], *, folder: str | PathLike[str] = "runs") -> comparison.Comparison:
    """Compare two or more runs; the first is measured against each of the others.

    Each is a stored run, the result of `run` with a `folder`, a path, or a name in `folder`. Nothing is written. Raises
    `InputError` if there are fewer than two, if one was not stored or is not over, and if they cannot be compared.
    """
    if isinstance(runs, str | PathLike):
        raise InputError(f"compare takes a list of runs, not {runs!r} alone: write compare([{runs!r}, OTHER])")
    return comparison.compare([_stored(one, Path(folder)) for one in runs])


def _stored(run: Run | Result | str | PathLike[str], folder: Path) -> Run:
    if isinstance(run, Run):
        return run
    if isinstance(run, str | PathLike):
        return find_run(str(run), folder)
    if not hasattr(run, "run"):
        raise InputError(f"cannot compare {run!r}: pass a run, a path, or a name of one")
    if run.run is None:
        raise InputError("cannot compare a run that was not stored: train it with folder=...")
    return run.run
