"""Export stored runs to folders that other programs read: each whole at once, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from curriculum.errors import InputError, OutputExistsError, RunError
from curriculum.store import csv_export, event_export
from curriculum.store.place import check_parent, exists_already, swap
from curriculum.store.reader import Run

Form = Literal["csv", "tensorboard"]


@dataclass(frozen=True)
class Export:
    """A folder to write, and the runs that it is to hold: one as it is, or each in a folder of its own, by its name."""

    path: Path
    runs: Mapping[str, Run]

    @classmethod
    def of(cls, path: Path, run: Run) -> Export:
        """Make the export of a single run, without a folder of its own inside."""
        return cls(path, {"": run})


def plan_exports(runs: Sequence[Run], form: Form, output: Path | None, together: str | None) -> list[Export]:
    """Say which folders runs are exported to: each to `RUN-csv` in the working folder, or all to `output`.

    `together` names an experiment whose arms go into one folder. Raises `InputError` where two runs would have the same folder.
    """
    distinct = list({run.path.resolve(): run for run in runs}.values())
    if len(distinct) == 1 and together is None:
        return [Export.of(output or Path(f"{distinct[0].name}-{form}"), distinct[0])]
    by_name: dict[str, Run] = {}
    for run in distinct:
        if (other := by_name.setdefault(run.name, run)) is not run:
            raise InputError(f"{other.path} and {run.path} have the same name: export them one at a time, with -o")
    if together is None and output is None:
        return [Export.of(Path(f"{name}-{form}"), run) for name, run in by_name.items()]
    return [Export(output or Path(f"{together}-{form}"), by_name)]


def check_export(path: Path, force: bool) -> None:
    """Check that a folder can be written. Raises `OutputExistsError` where it exists, unless it is an export and may be replaced.

    Raises `InputError` where there is no folder that it can be in.
    """
    if path.name in ("", ".."):
        raise InputError(f"cannot write {str(path)!r}: pass the name of a new folder")
    if os.path.lexists(path):
        if not force:
            raise exists_already(path)
        if not _is_export(path):
            raise OutputExistsError(f"{path} has other files than those of an export, and is not replaced: choose another name")
    check_parent(path)


def export(exports: Sequence[Export], form: Form, force: bool, watch: Callable[[int], None] = lambda seeds: None) -> list[list[str]]:
    """Write exports, and list the files of each by their paths in it; `watch` is told how many seeds are done.

    Raises what `check_export` does, and `RunError` for a damaged run and where a folder cannot be written: what is there by then is
    whole.
    """
    for own in exports:
        check_export(own.path, force)
    written, done = [], 0
    for own in exports:
        written.append(_export(own, form, force, partial(_tell, watch, done)))
        done += sum(len(run.seeds) for run in own.runs.values())
    return written


def _export(made: Export, form: Form, force: bool, watch: Callable[[float], None]) -> list[str]:
    write = csv_export.export_csv if form == "csv" else event_export.export_events
    temporary, done = None, 0
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{made.path.name}.", dir=made.path.parent))
        temporary.chmod(0o755)
        for name, run in made.runs.items():
            folder = temporary / name
            folder.mkdir(exist_ok=True)
            write(run, folder, partial(_share, watch, done, len(run.seeds)))
            done += len(run.seeds)
        files = sorted(own.relative_to(temporary).as_posix() for own in temporary.rglob("*") if own.is_file())
        if force and os.path.lexists(made.path):
            if not swap(temporary, made.path):
                raise exists_already(made.path)
        elif os.path.lexists(made.path):
            raise exists_already(made.path)
        else:
            os.rename(temporary, made.path)
    except OSError as error:
        raise RunError(f"cannot write {made.path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                shutil.rmtree(temporary)
    return files


def _tell(watch: Callable[[int], None], before: int, seeds: float) -> None:
    watch(before + int(seeds))


def _share(watch: Callable[[float], None], before: int, count: int, share: float) -> None:
    watch(before + share * count)


def _is_export(path: Path) -> bool:
    """Tell whether a folder holds an export and nothing else: `--force` must not remove anything else."""
    if path.is_symlink() or not path.is_dir():
        return False
    inside = [own for own in path.rglob("*") if own.is_symlink() or not own.is_dir()]
    of_events = [own for own in inside if own.name.startswith(event_export.FILE)]
    of_tables = [own for own in inside if own.name in csv_export.FILES]
    whole = bool(of_events) or any(own.name == csv_export.SCHEDULE for own in of_tables)
    return whole and len(of_events) + len(of_tables) == len(inside) and not any(own.is_symlink() for own in inside)
