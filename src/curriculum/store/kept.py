"""What a folder of runs keeps: runs, experiments, comparisons, videos and reports, by their exact names, in order to be changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from curriculum.errors import InputError, InUseError, nearest_name
from curriculum.store.blocks import block_paths
from curriculum.store.compared import DOCUMENT
from curriculum.store.lock import wait_for_lock
from curriculum.store.names import (
    BESIDE,
    BLOCKS,
    COMPARISONS,
    EXPERIMENT,
    LAUNCH,
    MANIFEST,
    REPORTS,
    VIDEOS,
    experiment_paths,
    is_run,
    run_paths,
)
from curriculum.store.reports import SUFFIX

PATIENCE = 1.0  # seconds to wait for a lock that whoever lists the runs may hold for a moment
Kind = Literal["run", "experiment", "comparison", "video", "report"]
FILES: dict[str, tuple[Kind, tuple[str, ...]]] = {VIDEOS: ("video", (".mp4", ".webm", ".gif", ".png")), REPORTS: ("report", (SUFFIX,))}


@dataclass(frozen=True)
class Kept:
    """Something that is kept: what it is, and where."""

    kind: Kind
    path: Path

    @property
    def is_file(self) -> bool:
        """Whether it is a single file, not a folder."""
        return self.kind in ("video", "report")

    @property
    def runs(self) -> list[Path]:
        """The run that it is, or the arms of the experiment."""
        if self.kind == "run":
            return [self.path]
        return [own for own in sorted(self.path.iterdir()) if _is_run_folder(own)] if self.kind == "experiment" else []


def find_kept(reference: str, folder: Path) -> Kept:
    """Find a run, an experiment, a comparison, a video or a report by its exact name or path.

    Raises `InputError` with the nearest name where there is none, and for a symbolic link: what is changed is never beyond one.
    """
    if not reference:
        raise InputError("an empty name is not a run")
    places = (folder / reference, Path(reference), *(folder / name / reference for name in BESIDE))
    there = [path for path in (Path(os.path.abspath(place.replace("\0", ""))) for place in map(str, places)) if os.path.lexists(path)]
    for path in there:
        _check_no_link(path, folder)
        if kind := _kind_of(path, folder):
            return Kept(kind, _shown(path, folder))
    if there:
        what = "a run, an experiment, a comparison, a video or a report"
        raise InputError(f"{there[0]} is not {what}: a run has a {MANIFEST}, an experiment an {EXPERIMENT}")
    names = kept_names(folder)
    guess = nearest_name(reference, names)
    hint = f", did you mean {guess!r}?" if guess else ""
    listed = f"(in {folder}: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''})" if names else f"({folder} has none yet)"
    raise InputError(f"there is no run, experiment, comparison, video or report {reference!r}{hint} {listed}")


def kept_names(folder: Path) -> list[str]:
    """List by name what a folder of runs keeps, the runs first."""
    paths = [*run_paths(folder), *experiment_paths(folder)]
    for name in BESIDE:
        inside = folder / name
        own = sorted(inside.iterdir()) if inside.is_dir() else []
        paths += [path for path in own if not path.name.startswith(".") and _kind_of(path.absolute(), folder)]
    return [path.relative_to(folder).as_posix() for path in paths]


@contextmanager
def held(runs: Iterable[Path]) -> Iterator[None]:
    """Hold the locks of runs, of all of their blocks, and of experiments that are being launched.

    Raises `InUseError` where another process trains one of them.
    """
    every = list(runs)
    with ExitStack() as locks:
        for launch in {run.parent / LAUNCH for run in every if (run.parent / LAUNCH).is_dir()}:
            try:
                locks.callback(wait_for_lock(launch, PATIENCE).release)
            except InUseError:
                raise InUseError(f"another command is running {launch.parent}: wait until it has finished, or stop it") from None
        for run in every:
            inside = [run / BLOCKS] if (run / BLOCKS).is_dir() else []
            for place in (*inside, run, *block_paths(run)):
                try:
                    locks.callback(wait_for_lock(place, PATIENCE).release)
                except InUseError:
                    raise InUseError(f"{run} is being trained by another process: wait until it has finished, or stop it") from None
        yield


def _kind_of(path: Path, folder: Path) -> Kind | None:
    """Tell what is kept at an absolute path; None for anything else."""
    kept = Path(os.path.abspath(folder))
    if _is_run_folder(path):
        return "run"
    if path.is_dir() and _is_file(path / EXPERIMENT):
        return "experiment"
    if path.parent == kept / COMPARISONS and path.is_dir() and _is_file(path / DOCUMENT):
        return "comparison"
    for name, (kind, suffixes) in FILES.items():
        if path.parent == kept / name and path.suffix in suffixes and _is_file(path):
            return kind
    return None


def _is_run_folder(path: Path) -> bool:
    """Tell whether a folder is a run, damaged or not: one with no more than a sheet may be anything."""
    return path.is_dir() and is_run(path) and _is_file(path / MANIFEST)


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _check_no_link(path: Path, folder: Path) -> None:
    """Raise `InputError` where a path is a symbolic link, or leads through one inside the folder of runs."""
    kept = Path(os.path.abspath(folder))
    inside = [parent for parent in path.parents if parent != kept and parent.is_relative_to(kept)]
    for place in (*reversed(inside), path):
        if place.is_symlink():
            raise InputError(f"{place} is a symbolic link, and is not followed: name what it points to, {os.path.realpath(place)}")


def _shown(path: Path, folder: Path) -> Path:
    """Give a path as messages show it: as the folder of runs was given."""
    kept = Path(os.path.abspath(folder))
    return folder / path.relative_to(kept) if path.is_relative_to(kept) else path
