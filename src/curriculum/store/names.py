"""The names of files and folders, and which ones a run can have."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

from curriculum.errors import InputError, OutputExistsError

SCHEMA = 1

MANIFEST, CONFIG, SHEET = "run.json", "config.yaml", "dopesheet.csv"

METRICS, SNAPSHOTS, TRACES, MODEL = "metrics.parquet", "snapshots.safetensors", "traces.safetensors", "model.safetensors"

EVENTS, PHASE_ENDS, EXHIBITS, FIGURES = "events.jsonl", "phase-ends.safetensors", "exhibits.safetensors", "figures"

BLOCKS = "blocks"  # holds the blocks of a run, each a run folder of its own
JOINED = ".joined"  # holds what blocks were joined to, until it is moved to its place

FIXED = "fixed."  # before the name of an array that no model changes
ABSENT = "absent."  # before the name of a curve: where a seed has no value, because only other blocks recorded that step
STEPS = "steps"  # the name of the steps among a snapshot file's tensors
IN_PARTS = (METRICS, SNAPSHOTS, TRACES, PHASE_ENDS)  # what grows while a run goes on

OVER = ("finished", "diverged")  # the states of a run of which nothing is left to train

EXPERIMENT = "experiment.json"  # in the folder of the arms of an experiment
LAUNCH = "launch"  # in that folder: the logs of its blocks, and what launchers write

COMPARISONS, VIDEOS, REPORTS = "comparisons", "videos", "reports"
BESIDE = (COMPARISONS, VIDEOS, REPORTS)  # beside the runs, so no run can have these names


def check_name(name: str) -> None:
    """Raise `InputError` for a name that no run can have."""
    check_folder(name)
    if name in BESIDE:
        raise InputError(f"{name!r} cannot be a run's name: the {name} are kept in a folder of that name")


def check_folder(name: str) -> None:
    """Raise `InputError` for a name that cannot be a folder's everywhere."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name):
        raise InputError(f"{name!r} cannot be a name: use up to 100 letters, digits, '.', '_' and '-', the first no '.' or '-'")


def plain(name: str) -> str:
    """Make a name from any text that `check_name` accepts, but for those that are reserved."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:80] or "run"


def free_name(folder: Path, stem: str, suffix: str = "") -> str:
    """Find a name that nothing in `folder` has yet: the stem, as `plain` makes it, or that and a number."""
    names = (plain(stem) if count == 1 else f"{plain(stem)}-{count}" for count in itertools.count(1))
    return next(name for name in names if name not in BESIDE and not any(os.path.lexists(folder / f"{name}{end}") for end in {"", suffix}))


def check_new(path: Path) -> None:
    """Raise an error where no new run can be at `path`."""
    check_name(path.name)
    if os.path.lexists(path):
        raise OutputExistsError(f"{path} already exists: choose another --name, or remove it first")


def is_run(path: Path) -> bool:
    """Tell whether a folder is a run, damaged or not."""
    return os.path.lexists(path / MANIFEST) or os.path.lexists(path / SHEET)


def is_part(file: str, name: str) -> bool:
    """Tell whether a file is a part of what `name` holds."""
    stem, suffix = name.split(".")
    return re.fullmatch(rf"{re.escape(stem)}-[0-9]{{6,9}}\.{suffix}", file) is not None


def parts_of(folder: Path, name: str) -> list[Path]:
    """List the parts that a folder has of what `name` holds, in order."""
    return sorted(path for path in folder.iterdir() if is_part(path.name, name))


def run_paths(folder: Path) -> list[Path]:
    """List the runs in a folder, and in the folders in it that are experiments.

    One to which several paths lead is listed once, without links in its path where there is such a one. Links to `folder`, or
    to one that it is in, are not followed.
    """
    whole = Path(os.path.realpath(folder))
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")] if folder.is_dir() else []
    found = []
    for path in inside:
        if is_run(path):
            found.append(path)
        elif path.name not in (COMPARISONS, VIDEOS) and not whole.is_relative_to(os.path.realpath(path)):
            found += [own for own in sorted(path.iterdir()) if is_run(own) and not own.name.startswith(".")]
    by_place: dict[str, Path] = {}
    for path in sorted(found, key=lambda path: path.is_symlink() or (path.parent != folder and path.parent.is_symlink())):
        by_place.setdefault(os.path.realpath(path), path)
    return sorted(by_place.values())


def experiment_paths(folder: Path) -> list[Path]:
    """List the folders of the experiments among the runs in a folder."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in inside if not path.name.startswith(".") and (path / EXPERIMENT).is_file()]
