"""What an experiment says of its arms, stored next to their runs: how they are shown, and what is to be judged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from curriculum.errors import InputError, RunError, nearest
from curriculum.store.files import read_document, reason, write_file
from curriculum.store.names import EXPERIMENT, experiment_paths, is_run
from curriculum.store.reader import Run
from curriculum.store.shelf import find_run, runs_in

LONGEST = 60  # characters of a label: it stands above a column of a video, and in legends


def _check_label(label: str | None) -> str | None:
    """Raise `ValueError` for a label that cannot be shown."""
    if label is not None and not (label.strip() and label.isprintable() and len(label) <= LONGEST):
        raise ValueError(f"a label is up to {LONGEST} printable characters")
    return label


def _check_color(color: str | None) -> str | None:
    """Raise `ValueError` for a color that is not written as #rrggbb."""
    if color is not None and not re.fullmatch(r"#[0-9A-Fa-f]{6}", color):
        raise ValueError("a color is written as '#rrggbb', such as '#0072b2'")
    return color


Label = Annotated[str | None, AfterValidator(_check_label)]
Color = Annotated[str | None, AfterValidator(_check_color)]


class ArmRecord(BaseModel):
    """How an arm is shown: its name in texts and figures, and its color there; None stands for the usual ones."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    label: Label = None
    color: Color = None


class LookRecord(BaseModel):
    """A planned look at an experiment that grows: the seeds of each arm by then, and the error that it may spend."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    seeds: Annotated[int, Field(ge=1)]
    alpha: Annotated[float, Field(gt=0, le=1)]


class ExperimentRecord(BaseModel):
    """What an experiment says: its `arms` by the names of their runs, its `baseline`, and the ids that are `primary`.

    `blocks` are the seeds of each block that it was cut into, and `launcher` the settings with which it was last launched.
    `looks` are planned for one that grows until it is decided; `looked_before` tells that there were runs before they were.
    """

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    arms: Annotated[dict[str, ArmRecord], Field(max_length=1000)] = {}
    baseline: str | None = None
    primary: Annotated[list[str], Field(max_length=1000)] | None = None
    blocks: Annotated[list[Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]], Field(max_length=10_000)] | None = None
    launcher: dict[str, Any] | None = None
    looks: Annotated[list[LookRecord], Field(max_length=1000)] | None = None
    looked_before: bool = False


def write_experiment(folder: Path, record: ExperimentRecord) -> None:
    """Store what an experiment says in the folder of its arms; looks and blocks that were planned before stay planned."""
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(RunError):
        stored = read_experiment(folder) or record
        if record.looks is None:
            record = record.model_copy(update={"looks": stored.looks, "looked_before": stored.looked_before})
        if record.blocks is None:
            record = record.model_copy(update={"blocks": stored.blocks, "launcher": stored.launcher})
    write_file(folder / EXPERIMENT, (record.model_dump_json(indent=2) + "\n").encode())


def read_experiment(folder: Path) -> ExperimentRecord | None:
    """Read what the experiment in a folder says; None where there is none. Raises `RunError` for a damaged file."""
    path = folder / EXPERIMENT
    if not path.is_file():
        return None
    try:
        return ExperimentRecord.model_validate(read_document(path))
    except (OSError, ValueError, RecursionError, ValidationError) as error:
        detail = error.errors()[0]["msg"] if isinstance(error, ValidationError) else reason(error)
        raise RunError(f"{path} is damaged ({detail}): remove it, or run the experiment again to write it anew") from None


def arm_of(run: Run) -> ArmRecord:
    """Say how the experiment of a run shows it; as usual where it is of none."""
    record = read_experiment(run.path.resolve().parent)
    return record.arms.get(run.path.resolve().name, ArmRecord()) if record else ArmRecord()


def find_runs(names: Sequence[str], folder: Path) -> tuple[list[Run], ExperimentRecord]:
    """Open the runs that are named: each by its path or name, or all arms of an experiment by the name of that alone.

    What the experiment says is given with them; of single runs it is nothing. Raises `InputError` where there is none of a name.
    """
    place = experiment_folder(names[0], folder) if len(names) == 1 else None
    if place is None:
        experiments = [path.name for path in experiment_paths(folder)] if len(names) == 1 else []
        return [find_run(name, folder, experiments) for name in names], ExperimentRecord()
    record = read_experiment(place)
    if record is None:
        return runs_in(place)[0], ExperimentRecord()
    found = [Run(place / name) for name in record.arms if is_run(place / name)]
    return found, record if len(found) == len(record.arms) else record.model_copy(update={"baseline": None})


def experiment_folder(name: str, folder: Path) -> Path | None:
    """Find the folder of the arms of an experiment by its name or path; None for what is none."""
    places = (folder / name, Path(name)) if name else ()
    return next((path for path in places if path.is_dir() and not is_run(path)), None)


def place_of_baseline(reference: str | None, chosen: Sequence[Run], record: ExperimentRecord, folder: Path) -> int | None:
    """Give the place among runs of the one that is named as the baseline, or that their experiment names; None where none does.

    Raises `InputError` as `find_baseline` does, and for one that is not among the runs.
    """
    if reference is None:
        return None if record.baseline is None else list(record.arms).index(record.baseline)
    found = find_baseline(reference, chosen, record, folder)
    paths = [run.path.resolve() for run in chosen]
    if found.path.resolve() not in paths:
        raise InputError(f"the baseline {found.name!r} is not one of the runs: name it among them")
    return paths.index(found.path.resolve())


def find_baseline(reference: str, chosen: Sequence[Run], record: ExperimentRecord, folder: Path) -> Run:
    """Open the run that is named as the baseline: an arm of an experiment by its name or its label, and any run as `find_run` does.

    Raises `InputError` with the nearest arm where there is none.
    """
    for run in chosen if record.arms else ():
        arm = run.path.name
        if reference in (arm, record.arms[arm].label):
            return run
    try:
        return find_run(reference, folder)
    except InputError:
        if not record.arms:
            raise
    guess = nearest(reference, record.arms)
    hint = f", did you mean {guess!r}?" if guess else ""
    place = chosen[0].path.parent.name if chosen else folder
    raise InputError(f"there is no arm {reference!r} in {place}{hint} (allowed: {', '.join(record.arms)})")
