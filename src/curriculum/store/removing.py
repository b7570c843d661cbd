"""Remove runs, experiments, comparisons, videos and reports: nothing else, never beyond a link, and each at once.

What is removed gets a hidden name before anything in it is deleted. What a killed process leaves behind looks like no run, and
goes with the next removal beside it.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curriculum.errors import CurriculumError, InputError, RunError
from curriculum.store.blocks import run_of
from curriculum.store.compared import DOCUMENT, comparisons_of
from curriculum.store.kept import PATIENCE, Kept, find_kept, held
from curriculum.store.lock import wait_for_lock
from curriculum.store.manifest import read_manifest
from curriculum.store.names import (
    BLOCKS,
    COMPARISONS,
    CONFIG,
    EVENTS,
    EXHIBITS,
    EXPERIMENT,
    FIGURES,
    IN_PARTS,
    JOINED,
    LAUNCH,
    MANIFEST,
    MODEL,
    SHEET,
    is_part,
    is_run,
)

HIDDEN = ".removed."  # how the name of a folder begins of which nothing is left but to delete it
MOST_NAMED = 5  # files in a message
FILES_OF_A_RUN = (MANIFEST, CONFIG, SHEET, EVENTS, EXHIBITS, MODEL, *IN_PARTS)
CHECKPOINT = re.compile(r"checkpoint-[0-9]{9,12}\.(json|safetensors)")
UNFINISHED = re.compile(r"\..+\.([0-9]+\.tmp|[a-z0-9_]{8}(\.old)?)")  # what a killed process leaves of a file or a folder
FILES_OF_AN_EXPERIMENT = re.compile(r"experiment\.json|(ablation|tuning)\.json|(ablation-.+|tuning)\.(png|svg|pdf)")
FIGURE_SUFFIXES = (".png", ".svg", ".pdf")
LOGS = "logs"  # of an experiment whose arms were trained by a command
OF_A_LAUNCHER = re.compile(r".+\.(log|sh)|token")


@dataclass(frozen=True)
class Removal:
    """What is to be removed, the bytes that this frees, and what to know of what stays."""

    kept: Kept
    freed: int
    notes: tuple[str, ...]


def plan_removals(references: Sequence[str], folder: Path) -> list[Removal]:
    """Find what is to be removed, by exact names or paths, and check that it is nothing but that.

    Raises `InputError` where there is nothing of a name, for a joined block of a run, and for a folder with files of somebody else.
    """
    found = {kept.path.absolute(): kept for kept in (find_kept(reference, folder) for reference in references)}
    chosen = [kept for path, kept in found.items() if not any(parent in found for parent in path.parents)]
    for kept in chosen:
        _check_own(kept)
        _check_not_joined(kept.path)
    return [Removal(kept, _size(kept.path), tuple(_notes(kept, [own.path for own in chosen], folder))) for kept in chosen]


def remove(removals: Sequence[Removal]) -> None:
    """Remove what was planned: all of it, or nothing where one of the runs is in use.

    Raises `InUseError` if another process trains one of the runs, `RunError` where something cannot be deleted.
    """
    hidden: list[Path] = []
    try:
        with ExitStack() as locks:
            for own in removals:
                if run_of(own.kept.path) is not None:
                    locks.callback(wait_for_lock(own.kept.path.parent, PATIENCE).release)
                locks.enter_context(held(own.kept.runs))
            for own in removals:
                path = own.kept.path
                if own.kept.is_file:
                    path.unlink()
                    continue
                _sweep(path.parent)
                aside = Path(tempfile.mkdtemp(prefix=HIDDEN, dir=path.parent))
                hidden.append(aside)
                os.rename(path, aside / path.name)
    except OSError as error:
        raise RunError(f"cannot remove {error.filename}: {error.strerror or error}") from error
    finally:
        for aside in hidden:
            shutil.rmtree(aside, ignore_errors=True)
    if left := [str(aside) for aside in hidden if os.path.lexists(aside)]:
        raise RunError(f"removed, but not everything could be deleted: see {', '.join(left)}")


def _sweep(folder: Path) -> None:
    """Delete what a removal that was killed left behind."""
    for aside in folder.glob(f"{HIDDEN}*"):
        if aside.is_dir() and not aside.is_symlink():
            shutil.rmtree(aside, ignore_errors=True)


def _check_own(kept: Kept) -> None:
    """Raise `InputError` where a folder has files that are not of what it is."""
    strange = {"run": _strange_in_run, "experiment": _strange_in_experiment, "comparison": _strange_in_comparison}
    if kept.is_file:
        return
    found = sorted(str(path.relative_to(kept.path)) for path in strange[kept.kind](kept.path))
    if found:
        more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        raise InputError(
            f"{kept.path} has files that do not belong to the {kept.kind}: {', '.join(found[:MOST_NAMED])}{more}. Move them elsewhere first"
        )


def _strange_in_run(path: Path) -> Iterator[Path]:
    for own in path.iterdir():
        if own.is_symlink():
            yield own
        elif own.name == BLOCKS and own.is_dir():
            for block in own.iterdir():
                if block.is_dir() and not block.is_symlink() and is_run(block):
                    yield from _strange_in_run(block)
                elif not _is_unfinished(block):
                    yield block
        elif own.name in (FIGURES, JOINED) and own.is_dir():
            yield from (inside for inside in own.iterdir() if inside.is_symlink() or not inside.is_file())
        elif not (own.is_file() and _is_of_a_run(own.name)) and not _is_unfinished(own):
            yield own


def _is_of_a_run(name: str) -> bool:
    return name in FILES_OF_A_RUN or CHECKPOINT.fullmatch(name) is not None or any(is_part(name, whole) for whole in IN_PARTS)


def _strange_in_experiment(path: Path) -> Iterator[Path]:
    for own in path.iterdir():
        if own.is_symlink():
            yield own
        elif own.is_dir() and is_run(own):
            yield from _strange_in_run(own)
        elif own.name in (LOGS, LAUNCH) and own.is_dir():
            files = (inside for inside in own.rglob("*") if inside.is_symlink() or not inside.is_dir())
            yield from (inside for inside in files if inside.is_symlink() or not OF_A_LAUNCHER.fullmatch(inside.name))
        elif not (own.is_file() and FILES_OF_AN_EXPERIMENT.fullmatch(own.name)) and not _is_unfinished(own):
            yield own


def _strange_in_comparison(path: Path) -> Iterator[Path]:
    for own in path.iterdir():
        if own.is_symlink() or not own.is_file() or not (own.name == DOCUMENT or own.suffix in FIGURE_SUFFIXES or _is_unfinished(own)):
            yield own


def _is_unfinished(path: Path) -> bool:
    return not path.is_symlink() and (UNFINISHED.fullmatch(path.name) is not None or path.name.startswith(HIDDEN))


def _check_not_joined(path: Path) -> None:
    """Raise `InputError` for a block whose seeds are in the files of its run."""
    owner = run_of(path)
    blocks: Sequence[Mapping[str, Any]] = ()
    if owner is not None:
        with suppress(CurriculumError):  # of a damaged run nothing is known
            blocks = read_manifest(owner)[0].get("blocks") or ()
    if any(block["name"] == path.name for block in blocks):
        raise InputError(f"{path} is a block of {owner}, whose files have its seeds: only the whole run can be removed")


def _notes(kept: Kept, going: Sequence[Path], folder: Path) -> Iterator[str]:
    """Say what refers to what is removed, and stays."""
    gone = {path.absolute() for path in going}
    if kept.kind in ("run", "experiment"):
        for comparison in comparisons_of(kept.path, folder):
            if comparison.path.absolute() not in gone:
                command = f"curriculum rm {COMPARISONS}/{comparison.name}"
                yield f"the comparison {comparison.name} refers to it and is kept; to remove it: {command}"
    if kept.kind != "run":
        return
    name, beside = kept.path.name, kept.path.parent
    with suppress(CurriculumError):
        for other in read_manifest(kept.path)[0].get("stack") or ():
            there = beside / other
            if other != name and os.sep not in other and is_run(there) and there.absolute() not in gone:
                yield f"it was trained as one stack with {there}, which `verify --replay` cannot retrain without it"
    if (beside / EXPERIMENT).is_file():
        yield f"it is an arm of the experiment {beside.name}: `curriculum experiment` would train it again"


def _size(path: Path) -> int:
    """Add up the bytes that are freed: those of files that have no other name elsewhere."""
    if path.is_file():
        return path.lstat().st_size
    found: dict[tuple[int, int], tuple[int, int, int]] = {}  # by file: its size, its names in all, and those seen here
    for folder, _, files in os.walk(path):
        for name in files:
            with suppress(OSError):
                own = os.lstat(os.path.join(folder, name))
                key = own.st_dev, own.st_ino
                found[key] = own.st_size, own.st_nlink, found.get(key, (0, 0, 0))[2] + 1
    return sum(size for size, names, seen in found.values() if seen >= names)
