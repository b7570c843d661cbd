"""Rename a run or an experiment, and everything that refers to it by its name.

The run's own manifest is changed last: where a renaming was killed, the same command completes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curriculum.errors import CurriculumError, InputError, OutputExistsError, RunError
from curriculum.store.blocks import block_paths, run_of
from curriculum.store.compared import DOCUMENT, MOST_COMPARISON, comparisons_of
from curriculum.store.experiment import ExperimentRecord, read_experiment, write_experiment
from curriculum.store.files import read_document, write_file
from curriculum.store.kept import Kept, find_kept, held
from curriculum.store.manifest import read_manifest
from curriculum.store.names import BLOCKS, MANIFEST, check_name, is_run
from curriculum.store.writer import to_json

Document = dict[str, Any]


@dataclass(frozen=True)
class Renamed:
    """What was renamed, the path that it has now, the comparisons that refer to it, and what is left to the user to rename."""

    before: Path
    path: Path
    comparisons: tuple[str, ...]
    notes: tuple[str, ...]


def rename(reference: str, name: str, folder: Path) -> Renamed:
    """Rename a run, or an experiment with all its arms, by its exact name or path.

    Raises `InputError` for a name that it cannot have, for a block, and where there is nothing to rename; `OutputExistsError` where
    something has the new name; `InUseError` if another process trains the run, or one that trained with it as one stack; `RunError`
    for a damaged run, and where it cannot be renamed.
    """
    check_name(name)
    begun = _begun(reference, name, folder)
    kept = begun or _found(reference, name, folder)
    before, path = kept.path.with_name(Path(reference).name) if begun else kept.path, kept.path.with_name(name)
    partners = _partners(kept.path, before, name) if kept.kind == "run" else []
    with held([*kept.runs, *partners]):
        compared = [own.path for own in comparisons_of(before, folder)]
        record = read_experiment(before.parent) if kept.kind == "run" else None
        others, own = _changed(kept.path, before, name, partners) if kept.kind == "run" else ([], [])
        _tell_comparisons(compared, before, path)
        if not begun:
            try:
                os.rename(before, path)
            except OSError as error:
                _tell_comparisons(compared, path, before)
                raise RunError(f"cannot rename {before} to {path}: {error.strerror or error}") from error
        if record is not None:
            _tell_experiment(path.parent, record, before.name, name)
        for place, document in [*others, *((path / inside, document) for inside, document in own)]:
            write_file(place / MANIFEST, to_json(document).encode())
    return Renamed(before, path, tuple(own.name for own in compared), tuple(_notes(kept, record, before.name, name)))


def _begun(reference: str, name: str, folder: Path) -> Kept | None:
    """Find the run whose renaming was begun and not completed: it has the new name, but its manifest has the old one."""
    for place in (folder / reference, Path(reference)):
        there = place.with_name(name) if place.name else place
        if not os.path.lexists(place) and is_run(there):
            with suppress(CurriculumError):
                if read_manifest(there)[0]["name"] == place.name:
                    return find_kept(str(there.absolute()), folder)
    return None


def _found(reference: str, name: str, folder: Path) -> Kept:
    kept = find_kept(reference, folder)
    if kept.kind not in ("run", "experiment"):
        raise InputError(f"{kept.path} is a {kept.kind}: only runs and experiments have names of your own")
    if (owner := run_of(kept.path)) is not None:
        raise InputError(f"{kept.path} is a block of {owner}, and blocks are named after their seeds")
    if kept.path.name == name:
        raise InputError(f"{kept.path} has this name already")
    if os.path.lexists(kept.path.with_name(name)):
        raise OutputExistsError(f"{kept.path.with_name(name)} already exists: choose another name")
    return kept


def _partners(path: Path, before: Path, name: str) -> list[Path]:
    """List the runs that trained as one stack with the run at `path`, and know it by the name that it had `before`.

    Raises `InputError` where one of them, which is gone, had the new name: the list of the stack would have it twice.
    """
    manifests = [read_manifest(own)[0] for own in (path, *block_paths(path))]
    old = manifests[0]["name"]
    named = dict.fromkeys(str(other) for manifest in manifests for other in manifest.get("stack") or () if other != old)
    if name in named and path == before:
        raise InputError(f"{name!r} is the name of a run that was trained as one stack with {path}, and is gone: choose another name")
    if old != before.name and os.path.lexists(before.with_name(old)):
        return []  # a copy of the run that they know
    return [other for other in map(before.with_name, _possible(named)) if other != path and is_run(other)]


def _possible(names: Mapping[str, None]) -> Iterator[str]:
    for name in names:
        with suppress(InputError):
            check_name(name)
            yield name


def _changed(
    path: Path, before: Path, name: str, partners: Sequence[Path]
) -> tuple[list[tuple[Path, Document]], list[tuple[Path, Document]]]:
    """Make the manifests that are to be written: of the partners, by path, and the run's own, by path in the run, itself last."""
    manifest = read_manifest(path)[0]
    old = str(manifest["name"])

    def in_stack(document: Document) -> Document:
        stack = document.get("stack")
        return {**document, "stack": [name if own == old else own for own in stack]} if stack else document

    others = [(place, read_manifest(place)[0]) for partner in partners for place in (partner, *block_paths(partner))]
    blocks = [(Path(BLOCKS, own.name), read_manifest(own)[0]) for own in block_paths(path)]
    told = [(place, in_stack(document)) for place, document in others if old in (document.get("stack") or ())]
    own = [(place, in_stack({**document, "block_of": name})) for place, document in blocks if "block_of" in document]
    return told, [*own, (Path(), in_stack({**manifest, "name": name}))]


def _tell_experiment(folder: Path, record: ExperimentRecord, old: str, name: str) -> None:
    if old in record.arms:
        arms = {name if arm == old else arm: own for arm, own in record.arms.items()}
        write_experiment(folder, record.model_copy(update={"arms": arms, "baseline": name if record.baseline == old else record.baseline}))


def _tell_comparisons(compared: Sequence[Path], before: Path, path: Path) -> None:
    """Change the paths of runs in stored comparisons. The names that their sentences and figures use stay."""
    old, new = os.path.realpath(before), os.path.realpath(path)
    for own in compared:
        document = read_document(own / DOCUMENT, MOST_COMPARISON)
        for run in document["runs"]:
            if Path(run["path"]).is_relative_to(old):
                run["path"] = str(Path(new, Path(run["path"]).relative_to(old)))
        write_file(own / DOCUMENT, (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())


def _notes(kept: Kept, record: ExperimentRecord | None, old: str, name: str) -> Iterator[str]:
    """Say what else has the old name, and only its author can change."""
    if kept.kind == "experiment":
        yield f"`curriculum experiment` keeps runs under the name of its file: rename that to {name}.yaml as well"
    elif record is not None and old in record.arms:
        yield f"the experiment's file still has the arm {old!r}: rename it there as well, or `curriculum experiment` trains it again"
